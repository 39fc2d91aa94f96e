"""`Confirmation`: the best settings of each loss on fresh splits, by which a study says which is best."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from lossreg.storage.stored_types import Count, Scores, Size, as_tuple

KEY = "confirmation"  # of a study's attributes


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A setting on fresh splits of the development rows.

    scores: the metric on each split; ratio: validation rows per training row of a split.
    """

    scores: tuple[float, ...]
    ratio: float

    @property
    def mean(self) -> float:
        """The mean over the splits."""
        return statistics.fmean(self.scores)

    @property
    def error(self) -> float | None:
        """The standard error of the mean, with the variance of splits that share rows; None of one split.

        Source: Nadeau and Bengio 2003, Inference for the generalization error.
        """
        if len(self.scores) < 2:
            return None
        return statistics.stdev(self.scores) * math.sqrt(1 / len(self.scores) + self.ratio)

    def to_json(self) -> dict[str, Any]:
        """Return the form in the JSON documents."""
        return {"score": self.mean, "standard_error": self.error, "scores": list(self.scores)}


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The best settings of each loss, trained again on fresh splits.

    trials: the number of trials that they are the best of; splits: the number of splits; scores: by number of trial,
    of those that came to their end on every split; p_values: by candidate, how likely a deficit of its best setting
    against the first is if all are as good, adjusted for the number of candidates; none of the first, and none of a
    single split; ratio: validation rows per training row of a split; reason: the commonest one
    why settings have no scores; ended: when they were trained, in POSIX seconds; metrics: further ones by name and
    number of trial, on each split.
    """

    trials: Count
    splits: Count
    scores: Mapping[int, Scores] = field(default_factory=dict)
    p_values: Mapping[str, float] = field(default_factory=dict)
    ratio: Size = 0.0
    reason: str = ""
    ended: float = 0.0
    metrics: Mapping[str, Mapping[int, tuple[float | None, ...]]] = field(default_factory=dict)

    def metrics_of(self, number: int) -> dict[str, float | None]:
        """Return the further metrics of a trial's setting, the means over the splits; None where one is not finite."""
        known = {name: by_number[number] for name, by_number in self.metrics.items() if number in by_number}
        return {name: _mean(values) for name, values in known.items()}

    def of(self, number: int) -> Confirmed | None:
        """Return the scores of a trial's setting, None where it has none."""
        scores = self.scores.get(number)
        return Confirmed(scores, self.ratio) if scores else None

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the record that was stored as JSON, where keys are texts."""
        metrics = {name: _by_number(each) for name, each in values.get("metrics", {}).items()}
        return cls(**{**values, "scores": _by_number(values["scores"]), "metrics": metrics})

    def stored(self) -> dict[str, Any]:
        """Return the form that `of_stored` reads."""
        metrics = {name: _by_text(each) for name, each in self.metrics.items()}
        return {**asdict(self), "scores": _by_text(self.scores), "metrics": metrics}


def _by_number(stored: Mapping[str, Any]) -> dict[int, tuple[Any, ...]]:
    return {int(number): as_tuple(each) for number, each in stored.items()}


def _by_text(by_number: Mapping[int, tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {str(number): list(each) for number, each in by_number.items()}


def _mean(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(known) if known and len(known) == len(values) else None
