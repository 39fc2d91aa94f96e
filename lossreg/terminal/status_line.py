"""The line at the bottom of a terminal that says what is being done, until the next message replaces it."""

from __future__ import annotations

import os
import sys

from lossreg.terminal import width
from lossreg.terminal.plain_text import printable_line

WIPE = "\r\x1b[2K"

_standing = False


def is_live() -> bool:
    """Tell whether standard error is a terminal on which a line can be removed."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def announce(text: str) -> None:
    """Show a line until the next message, cut to the terminal; nothing where a line cannot be removed."""
    global _standing  # noqa: PLW0603
    if is_live():
        sys.stderr.write(f"{WIPE if _standing else ''}{_cut(printable_line(text), width.of(sys.stderr) - 1)}")
        sys.stderr.flush()
        _standing = True


def step(text: str) -> None:
    """Show a line of progress: on a terminal until the next message, elsewhere for good."""
    announce(text)
    if not is_live():
        sys.stderr.write(f"{printable_line(text)}\n")
        sys.stderr.flush()


def wipe() -> None:
    """Remove the line, if there is one."""
    global _standing  # noqa: PLW0603
    if _standing:
        _standing = False
        sys.stderr.write(WIPE)
        sys.stderr.flush()


def warn(text: str) -> None:
    """Show a warning on a line of its own. May be called by any thread."""
    global _standing  # noqa: PLW0603
    _standing = False
    sys.stderr.write(f"{WIPE if is_live() else ''}Warning: {printable_line(text)}\n")
    sys.stderr.flush()


def _cut(text: str, columns: int) -> str:
    """Cut `text` to a number of columns; wide letters take two."""
    if text.isascii():
        return text[:columns]
    from rich.cells import set_cell_size

    return set_cell_size(text, columns).rstrip()
