"""Show something while it takes time: at once, on standard error, and gone when the next thing is said."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lossreg.terminal.status_line import announce, is_live, step, wipe

__all__ = ["announce", "busy", "step", "wipe"]


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

    from lossreg.cli import progress

    wipe()
    with (
        os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace") as kept,
        progress.spinner(Console(file=kept), text),
    ):
        yield
