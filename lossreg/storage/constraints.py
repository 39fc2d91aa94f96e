"""`Constraint`: a value of a further metric that trials must keep, such as a recall of at least 0.9."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from lossreg.storage import directions
from lossreg.storage.rounding import DIGITS, exact

NONE_KEPT = "no trial keeps"  # of those that are compared
# how far a trial is off that has no value at all; a storage keeps no infinity, and the cube of this is finite
FARTHEST = 1e90


@dataclass(frozen=True, slots=True)
class Constraint:
    """The bound of a metric: at least of one that is maximised, at most of one that is minimised."""

    metric: str
    bound: float
    direction: str

    @property
    def sign(self) -> float:
        """1 where a higher value is better, else -1."""
        return directions.sign(self.direction)

    def violation(self, value: float | None) -> float:
        """Return by how much a value violates the constraint, 0 or less where it keeps it or is equal to the bound."""
        if value is None or not math.isfinite(value):
            return FARTHEST
        return self.sign * (exact(self.bound) - exact(value))

    def is_kept(self, value: float | None) -> bool:
        """Return whether a value keeps the constraint."""
        return self.violation(value) <= 0

    def text(self, value: float, digits: int) -> str:
        """Return a value with so many digits, or as many as it takes to be on the same side of the bound."""
        texts = (f"{value:.{number}g}" for number in range(digits, DIGITS))
        is_kept = self.is_kept(value)
        return next((text for text in texts if self.is_kept(float(text)) == is_kept), f"{value:.{DIGITS}g}")

    @property
    def sides(self) -> str:
        """`at least` or `at most`."""
        return "at least" if self.sign > 0 else "at most"

    def __str__(self) -> str:
        return f"{self.metric} of {self.sides} {self.bound:g}"

    @property
    def short(self) -> str:
        """The constraint as the heading of a column: `recall >= 0.9`."""
        return f"{self.metric} {'>=' if self.sign > 0 else '<='} {self.bound:g}"

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the constraint whose fields were stored."""
        return cls(values["metric"], float(values["bound"]), values["direction"])


def total_violation(constraints: Iterable[Constraint], metrics: Mapping[str, float | None]) -> float:
    """Return the sum of the violations, each as a share of its bound; of a bound of 0 as it is."""
    return sum(
        max(0.0, constraint.violation(metrics.get(constraint.metric))) / (abs(constraint.bound) or 1.0)
        for constraint in constraints
    )


def are_kept(constraints: Iterable[Constraint], metrics: Mapping[str, float | None]) -> bool:
    """Return whether these values of metrics keep all constraints; True of none."""
    return all(constraint.is_kept(metrics.get(constraint.metric)) for constraint in constraints)


def in_words(constraints: Iterable[Constraint]) -> str:
    """Return `recall of at least 0.9 and brier_score of at most 0.2`."""
    return " and ".join(map(str, constraints))
