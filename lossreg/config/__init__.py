"""The study file: its document, the schema of its sections, search spaces and settings of the optimizer."""
