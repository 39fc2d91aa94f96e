"""Metrics that are optimised: the catalogue, and their values for a batch of lanes at once."""
