"""Who asks: the command line or Python, so that a message names what the reader can type."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

_at_the_shell: list[bool] = [False]
_study: list[str] = [""]


@contextmanager
def shell() -> Iterator[None]:
    """Messages made in this block, by whatever thread, are for somebody at the command line."""
    before = _at_the_shell[0]
    _at_the_shell[0] = True
    try:
        yield
    finally:
        _at_the_shell[0] = before
        _study[0] = ""


def name_study(file: str) -> None:
    """Commands in messages are on the study of that file, until the block of `shell` ends."""
    _study[0] = shlex.quote(file)


def is_shell() -> bool:
    """Whether this is the process of a command."""
    return _at_the_shell[0]


def words(shell: str, python: str) -> str:
    """The first for a reader at the command line, the second for a caller from Python.

    STUDY in the first gives way to the file of the study that the command is on.
    """
    return (shell.replace("STUDY", _study[0]) if _study[0] else shell) if _at_the_shell[0] else python
