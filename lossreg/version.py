"""The version of lossreg."""

__version__ = "0.3.0"
