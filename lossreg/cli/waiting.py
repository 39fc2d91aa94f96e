"""Messages on standard error while something takes time; the next message replaces them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from lossreg.terminal import width
from lossreg.terminal.plain_text import printable_line
from lossreg.terminal.status_line import announce, is_live, step, wipe

__all__ = ["announce", "busy", "step", "wipe"]


# seconds between lines where none can be taken back
EVERY = 10.0


@contextmanager
def busy(text: str, *, line: bool = False) -> Iterator[Callable[[str], None]]:
    """Show a spinner and `text` during the block, even if the block redirects standard error.

    line: print `text` once where a line cannot be taken back. Yields a function that replaces the text.
    """
    if not is_live() and line:
        step(text)
    wipe()
    with os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace") as stream:
        if not is_live():
            yield _lines(stream if line else None)
            return
        from rich.console import Console
        from rich.text import Text

        from lossreg.reporting import progress

        with progress.spinner(Console(file=stream, width=width.for_rich(stream)), text) as status:
            yield lambda text: status.update(Text(printable_line(text)))


def _lines(stream: TextIO | None) -> Callable[[str], None]:
    """Return a function that writes a text as a line every `EVERY` seconds; nothing without a stream."""
    written = time.monotonic()

    def show(text: str) -> None:
        nonlocal written
        if stream is not None and time.monotonic() - written >= EVERY:
            written = time.monotonic()
            stream.write(f"{printable_line(text)}\n")
            stream.flush()

    return show
