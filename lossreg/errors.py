"""What can go wrong, as one small tree.

LossregError            the work failed                        exit code 1
├── InputError          the user's input is wrong              exit code 2
│   ├── ParameterError  a parameter value outside its domain
│   ├── UnknownError    a name that nothing answers to
│   └── DataError       the data cannot be used as asked
└── RefusedError        a trainer cannot carry this plan out
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LossregError(Exception):
    """The work failed although the input was right."""

    exit_code = 1


class InputError(LossregError, ValueError):
    """The user's input is wrong: says where, what, and what would work."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(f"{where}: {what}" if where else what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text.rstrip('.')}. {self.hint}" if self.hint else text

    def at(self, where: str) -> InputError:
        """The same error, said of the place `where` (a file and dotted key)."""
        return type(self)(self.what, where=where, hint=self.hint)


class ParameterError(InputError):
    """A parameter value outside its domain."""


class UnknownError(InputError):
    """A name that nothing answers to."""


class DataError(InputError):
    """The data cannot be used as asked."""


def gist(error: BaseException) -> str:
    """`Type: what happened` in one line, without TensorFlow's account of where in the graph."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "[[{{" not in line]
    told = [line for line in lines if not line.endswith(":") and "stack traces" not in line.lower()] or lines
    line = (told[-1] if "Graph execution error" in str(error) else told[0]) if told else ""
    return f"{type(error).__name__}: {line}".removesuffix(": ")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`Did you mean delta?` for the nearest of `choices`, else the empty string."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"Did you mean {by_lower[near[0]]}?" if near else ""
