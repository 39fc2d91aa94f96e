"""The version of lossreg."""

__version__ = "0.2.0"
