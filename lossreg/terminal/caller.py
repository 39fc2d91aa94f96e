"""The caller of lossreg, a shell or Python: messages name what the reader can type."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lossreg.terminal.masking import masked

# sections of a study file that say which study it is, and where it is stored and tracked
WHERE = ("name", "storage", "tracking")
_at_the_shell: list[bool] = [False]
_study: list[str] = [""]
# None of a command that takes none
_overrides: list[Sequence[str] | None] = [None]


@contextmanager
def shell() -> Iterator[None]:
    """Word messages for the command line during this block, in all threads."""
    before = _at_the_shell[0]
    _at_the_shell[0] = True
    try:
        yield
    finally:
        _at_the_shell[0] = before
        _study[0], _overrides[0] = "", None


def name_study(file: str, overrides: Sequence[str] | None = None) -> None:
    """Name the study file in the commands of messages, until the block of `shell` ends.

    overrides: what the command at hand was given with `--set`, None of a command that has no such option.
    """
    _study[0], _overrides[0] = shlex.quote(file), overrides


def takes_overrides() -> bool:
    """Tell whether the caller is a command that has `--set`."""
    return _overrides[0] is not None


def command(verb: str, otherwise: Sequence[str] = ()) -> str:
    """Return `lossreg VERB STUDY` with the overrides without which it is another study or store; secrets are masked.

    otherwise: the overrides of a study where the command at hand was given none.
    """
    given = [one for one in _overrides[0] or otherwise if one.partition("=")[0].strip().split(".")[0] in WHERE]
    return " ".join([f"lossreg {verb} {_study[0] or 'STUDY'}", *(f"--set {shlex.quote(masked(one))}" for one in given)])


def is_shell() -> bool:
    """Tell whether messages are for the command line."""
    return _at_the_shell[0]


def words(shell: str, python: str) -> str:
    """Return `shell` for a reader at the command line, `python` for a caller from Python.

    STUDY in the first is replaced by the study file of the command.
    """
    return (shell.replace("STUDY", _study[0]) if _study[0] else shell) if _at_the_shell[0] else python
