"""The progress of a command, which is that of `lossreg.reporting.progress`."""

from __future__ import annotations

import os
import sys

from lossreg.reporting.progress import Display, Lines, Pace, Watcher, clock, progress, spinner, standing

__all__ = ["Display", "Lines", "Pace", "Watcher", "clock", "is_one_stream", "progress", "spinner", "standing"]


def is_one_stream() -> bool:
    """Tell whether standard output and standard error go to the same place, so that messages need no repetition."""
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)
