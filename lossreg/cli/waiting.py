"""Messages on standard error while something takes time; the next message replaces them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lossreg.terminal.status_line import announce, is_live, step, wipe

__all__ = ["announce", "busy", "step", "wipe"]


@contextmanager
def busy(text: str, *, line: bool = False) -> Iterator[None]:
    """Show a spinner and `text` during the block, even if the block redirects standard error.

    line: print `text` once where a line cannot be taken back.
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
        os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace") as stream,
        progress.spinner(Console(file=stream), text),
    ):
        yield
