"""The columns of a terminal: those that the variable COLUMNS gives, where they are a width, else its own."""

from __future__ import annotations

import os
from typing import TextIO

VARIABLE = "COLUMNS"
# columns below which the variable, as 0 of some terminals in containers, is no width
LEAST = 20
# of a terminal that does not say how wide it is
UNKNOWN = 80


def given() -> int | None:
    """Return the width that the variable gives, None where it gives none."""
    columns = os.environ.get(VARIABLE, "")
    return int(columns) if columns.isdecimal() and int(columns) >= LEAST else None


def of(terminal: TextIO) -> int:
    """Return the width of a terminal."""
    return given() or os.get_terminal_size(terminal.fileno()).columns or UNKNOWN


def for_rich(stream: TextIO) -> int | None:
    """Return the width of a console of rich, None where rich finds it: it would take any number in the variable."""
    return of(stream) if os.environ.get(VARIABLE) and stream.isatty() else None
