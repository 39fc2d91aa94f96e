"""The search over losses and their parameters: a study from its file to its result."""
