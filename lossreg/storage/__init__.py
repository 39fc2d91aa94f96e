"""A study on disk: its folder, its journal, the records of its trials."""
