"""The registry of losses: plugins that are found, losses by name, and losses as Keras takes them."""
