"""Inspection of data before a study: what they are, what is suspicious about them, and a study file that fits."""
