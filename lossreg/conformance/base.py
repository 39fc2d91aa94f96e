"""A check, its failure and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossreg.conformance.case import Case


class Failure(Exception):  # noqa: N818
    """A check found something wrong: `what` it found, and the `remedy`."""

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what.rstrip('.')}. {remedy}" if remedy else what)


@dataclass(frozen=True, slots=True)
class Check:
    """A named check: `function` says what it found, or raises `Failure`.

    standalone: it applies to a loss that cannot be called, too.
    """

    name: str
    summary: str
    function: Callable[[Case], str]
    standalone: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check of one loss: `message` says in a sentence what was found."""

    name: str
    ok: bool
    message: str
    seconds: float


def does_not_apply(reason: str) -> str:
    """The message of a check that a loss passes because the question does not arise."""
    return f"does not apply: {reason}"
