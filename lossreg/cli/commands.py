"""All commands, in the order of `lossreg --help`."""

from __future__ import annotations

from lossreg.cli import listings  # noqa: F401

# isort: split
from lossreg.cli import inspecting  # noqa: F401

# isort: split
from lossreg.cli import checking, studies  # noqa: F401

# isort: split
from lossreg.cli import reports  # noqa: F401

# isort: split
from lossreg.cli import watch  # noqa: F401

# isort: split
from lossreg.cli import predicting  # noqa: F401

# isort: split
from lossreg.cli import stores  # noqa: F401

# isort: split
from lossreg.cli import authoring, shell  # noqa: F401
from lossreg.cli.shell import app, main

__all__ = ["app", "main"]
