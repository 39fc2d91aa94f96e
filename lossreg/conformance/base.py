"""What a check is, what it needs to say, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossreg.conformance.case import Case


class Failure(Exception):  # noqa: N818
    """A check found something wrong: `what` it found, and what would `mend` it."""

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what.rstrip('.')}. {remedy}" if remedy else what)


@dataclass(frozen=True, slots=True)
class Check:
    """A named check: `function` says what it found, or raises `Failure`.

    standalone: whether it says something about a loss that cannot be called, too.
    """

    name: str
    summary: str
    function: Callable[[Case], str]
    standalone: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check of one loss: `message` is what was found, in a sentence."""

    name: str
    ok: bool
    message: str
    seconds: float


def does_not_apply(reason: str) -> str:
    """The message of a check that a loss passes because the matter does not arise."""
    return f"does not apply: {reason}"
