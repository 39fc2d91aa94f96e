"""`Objective`: one of several metrics that a study optimises; the trials than which none is better in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from lossreg.storage import directions

MOST_METRICS = 3  # of a study
Item = TypeVar("Item")


class Named(Protocol):
    """Anything with the name of a metric and its direction."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def direction(self) -> str:
        """`maximize` or `minimize`."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric that is optimised beside others."""

    metric: str
    direction: str

    @property
    def sign(self) -> float:
        """1 where a higher value is better, else -1."""
        return directions.sign(self.direction)

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the objective whose fields were stored."""
        return cls(values["metric"], values["direction"])


def of(metrics: Sequence[Named]) -> tuple[Objective, ...]:
    """Return the objectives of several metrics, none of one."""
    return tuple(Objective(metric.name, metric.direction) for metric in metrics) if len(metrics) > 1 else ()


def front(items: Sequence[tuple[Item, Sequence[float]]]) -> list[Item]:
    """Return the items that no other dominates, by values of which larger is better; the best by the first value first.

    One dominates another if it is as good in all values and better in one; equal ones stand together.
    """
    kept: list[tuple[Item, Sequence[float]]] = []
    for item, values in sorted(items, key=lambda pair: tuple(pair[1]), reverse=True):
        if not any(_dominates(other, values) for _, other in kept):
            kept.append((item, values))
    return [item for item, _ in kept]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a >= b for a, b in zip(one, other, strict=True))
