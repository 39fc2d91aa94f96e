"""The command `lossreg`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

# in the order in which `lossreg --help` lists the commands
from lossreg.cli import listings  # noqa: F401

# isort: split
from lossreg.cli import checking, studies  # noqa: F401

# isort: split
from lossreg.cli import authoring  # noqa: F401
from lossreg.cli.shell import app, main

__all__ = ["app", "main"]
