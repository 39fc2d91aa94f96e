"""What is shown while something takes time: at once, on standard error, and gone when the next thing is said."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lossreg.plain_text import one_line

WIPE = "\r\x1b[2K"

_standing = False


def is_live() -> bool:
    """Whether standard error is a terminal on which a line can be taken back."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def announce(text: str) -> None:
    """Show a line until the next thing is said; nothing where a line cannot be taken back."""
    global _standing  # noqa: PLW0603
    if is_live():
        sys.stderr.write(f"{WIPE if _standing else ''}{one_line(text)}")
        sys.stderr.flush()
        _standing = True


def step(text: str) -> None:
    """Show a line of progress: on a terminal until the next thing is said, else for good."""
    announce(text)
    if not is_live():
        sys.stderr.write(f"{one_line(text)}\n")
        sys.stderr.flush()


def wipe() -> None:
    """Take the line back that is standing, if there is one."""
    global _standing  # noqa: PLW0603
    if _standing:
        _standing = False
        sys.stderr.write(WIPE)
        sys.stderr.flush()


@contextmanager
def busy(text: str, *, line: bool = False) -> Iterator[None]:
    """Show what the block does, with a spinner that leaves nothing behind, even if the block hushes standard error.

    Where no line can be taken back, that is said once if `line` is set.
    """
    if not is_live():
        if line:
            step(text)
        yield
        return
    from rich.console import Console

    from lossreg import terminal

    wipe()
    with (
        os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace") as kept,
        terminal.spinner(Console(file=kept), text),
    ):
        yield
