"""The version of lossreg."""

__version__ = "0.1.0"
