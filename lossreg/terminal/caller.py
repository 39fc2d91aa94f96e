"""The caller of lossreg, a shell or Python: messages name what the reader can type."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

_at_the_shell: list[bool] = [False]
_study: list[str] = [""]
_takes_overrides: list[bool] = [False]


@contextmanager
def shell() -> Iterator[None]:
    """Word messages for the command line during this block, in all threads."""
    before = _at_the_shell[0]
    _at_the_shell[0] = True
    try:
        yield
    finally:
        _at_the_shell[0] = before
        _study[0], _takes_overrides[0] = "", False


def name_study(file: str, *, takes_overrides: bool = False) -> None:
    """Name the study file in the commands of messages, until the block of `shell` ends.

    takes_overrides: whether the command at hand has `--set`.
    """
    _study[0], _takes_overrides[0] = shlex.quote(file), takes_overrides


def takes_overrides() -> bool:
    """Tell whether the caller is a command that has `--set`."""
    return _takes_overrides[0]


def is_shell() -> bool:
    """Tell whether messages are for the command line."""
    return _at_the_shell[0]


def words(shell: str, python: str) -> str:
    """Return `shell` for a reader at the command line, `python` for a caller from Python.

    STUDY in the first is replaced by the study file of the command.
    """
    return (shell.replace("STUDY", _study[0]) if _study[0] else shell) if _at_the_shell[0] else python
