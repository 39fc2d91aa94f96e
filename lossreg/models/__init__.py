"""The models of trials: how they are built, their raw scores and predictions, and their hyperparameters."""
