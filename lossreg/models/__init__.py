"""The models of trials: how they are built, what they put out, and their own hyperparameters."""
