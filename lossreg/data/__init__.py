"""Data: tables and arrays are read, split and preprocessed for a model."""

from lossreg.data.dataset import Dataset, Split
from lossreg.data.loading import load

__all__ = ["Dataset", "Split", "load"]
