"""The line at the bottom of a terminal that says what is being done, and is gone when the next thing is said."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from lossreg.terminal.plain_text import printable_line

WIPE = "\r\x1b[2K"
# of a terminal that does not tell
UNKNOWN_WIDTH = 80

_standing = False


def is_live() -> bool:
    """Tell whether standard error is a terminal on which a line can be taken back."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def announce(text: str) -> None:
    """Show a line until the next thing is said, cut to the terminal; nothing where a line cannot be taken back."""
    global _standing  # noqa: PLW0603
    if is_live():
        sys.stderr.write(f"{WIPE if _standing else ''}{_cut(printable_line(text), width(sys.stderr) - 1)}")
        sys.stderr.flush()
        _standing = True


def step(text: str) -> None:
    """Show a line of progress: on a terminal until the next thing is said, else for good."""
    announce(text)
    if not is_live():
        sys.stderr.write(f"{printable_line(text)}\n")
        sys.stderr.flush()


def wipe() -> None:
    """Take the line back that is standing, if there is one."""
    global _standing  # noqa: PLW0603
    if _standing:
        _standing = False
        sys.stderr.write(WIPE)
        sys.stderr.flush()


def warn(text: str) -> None:
    """Show a warning on a line of its own, amid whatever is shown. May be called by any thread."""
    global _standing  # noqa: PLW0603
    _standing = False
    sys.stderr.write(f"{WIPE if is_live() else ''}Warning: {printable_line(text)}\n")
    sys.stderr.flush()


def width(terminal: TextIO) -> int:
    """Return the columns of a terminal."""
    columns = shutil.get_terminal_size(os.get_terminal_size(terminal.fileno())).columns
    return columns or UNKNOWN_WIDTH


def _cut(text: str, columns: int) -> str:
    """As much of `text` as fits, letters that take two columns counted so."""
    if text.isascii():
        return text[:columns]
    from rich.cells import set_cell_size

    return set_cell_size(text, columns).rstrip()
