"""The backend set up for lanes, before anything is computed."""

from lossreg.trainers.machine import start

__all__ = ["start"]
