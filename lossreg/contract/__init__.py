"""The loss contract: what a loss is, its parameters, its targets, and the activations that make its predictions."""
