"""Safe mode, for study files and folders of strangers: no code of a study is run, and no plugin but those allowed.

It is on for the whole process during a block of `safe_mode`, and as long as `LOSSREG_SAFE` is set in the environment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lossreg.errors import InputError, is_text, represented

VARIABLE, ALLOWED = "LOSSREG_SAFE", "LOSSREG_ALLOW"
READ_IT = "Read it; if you trust it, run it without safe mode."
_blocks: list[frozenset[str]] = []
_changing = threading.Lock()


@contextmanager
def safe_mode(allow_plugins: Iterable[str] = ()) -> Iterator[None]:
    """Run no code of studies and pickles during the block, in all threads, and no plugin but those that are allowed.

    allow_plugins: names of plugins or of their distributions. What a study file names is refused with `InputError`.
    """
    names = [allow_plugins] if isinstance(allow_plugins, str) else list(allow_plugins)
    for name in names:
        if not is_text(name):
            raise InputError(f"must be names of plugins, not {represented(name)}", where="allow_plugins")
    block = frozenset(names)
    with _changing:
        _blocks.append(block)
    try:
        yield
    finally:
        with _changing:
            _blocks.remove(block)


def is_on() -> bool:
    """Tell whether safe mode is on."""
    return bool(_blocks) or os.environ.get(VARIABLE, "0") not in ("", "0")


def allowed() -> frozenset[str] | None:
    """Return the plugins or distributions that may be run in safe mode, None where it is off and all may.

    These are the names that every block allows, and those in `LOSSREG_ALLOW`, with commas between.
    """
    if not is_on():
        return None
    named = (name.strip() for name in os.environ.get(ALLOWED, "").split(","))
    return _allowed_by_blocks() | frozenset(filter(None, named))


def _allowed_by_blocks() -> frozenset[str]:
    blocks = list(_blocks)
    return frozenset.intersection(*blocks) if blocks else frozenset()


def options() -> list[str]:
    """Return the options of a command that has the same effect as the blocks that are open; none without any."""
    return ["--safe"] * bool(_blocks) + [
        part for name in sorted(_allowed_by_blocks()) for part in ("--allow-plugin", name)
    ]


def refuse(what: str, where: str) -> None:
    """Raise `InputError` in safe mode: `what` would be run."""
    if is_on():
        raise InputError(f"{what}, which safe mode does not run", where=where, hint=READ_IT)
