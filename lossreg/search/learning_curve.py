"""`LearningCurve`: what a trial's training has come to, its members' epochs gathered into one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lossreg.storage.records import CURVES
from lossreg.training.interface import EpochReport


@dataclass(frozen=True, slots=True)
class Patience:
    """Early stopping: after `epochs` epochs in which the score got no better by more than `min_delta`."""

    epochs: int
    min_delta: float = 0.0


class LearningCurve:
    """The curves of a trial of one or more members, and which of its epochs is scored.

    sign is 1.0 where a higher score is better, else -1.0; `best` scores the best epoch, the
    first of equals, otherwise the last.
    """

    def __init__(self, sign: float, *, best: bool = False, patience: Patience | None = None) -> None:
        self._sign, self._best, self._patience = sign, best, patience
        self.curves: dict[str, list[float]] = {name: [] for name in CURVES}
        self.member_scores: list[list[float]] = []
        self._predicts_only: list[int] = []
        self.chosen = 0
        self.diverged: int | None = None
        self._height, self._bar, self._waited = -math.inf, -math.inf, 0

    def add(self, reports: Sequence[EpochReport]) -> None:
        """One more epoch, a report a member; curves and score are the members' means."""
        for name in CURVES:
            self.curves[name].append(float(sum(getattr(report, name) for report in reports) / len(reports)))
        self.member_scores.append([float(report.val_score) for report in reports])
        # the first member's model is the one that is kept
        self._predicts_only.append(reports[0].predicts_only)
        self.diverged = next((i for i, report in enumerate(reports) if report.diverged), None)
        if self.diverged is None:
            self._weigh(self._sign * self.curves["val_score"][-1])

    def _weigh(self, worth: float) -> None:
        if not self._best or worth > self._height or not self.chosen:
            self._height, self.chosen = worth, self.epoch
        better = worth > self._bar + (self._patience.min_delta if self._patience else 0.0)
        # outside the metric's domain there is no score yet that could get better
        self._waited = 0 if better or self._bar == -math.inf else self._waited + 1
        self._bar = worth if better else self._bar

    @property
    def epoch(self) -> int:
        """How many epochs were trained."""
        return len(self.member_scores)

    @property
    def score(self) -> float:
        """The score at the chosen epoch."""
        return self.curves["val_score"][self.chosen - 1]

    @property
    def scores(self) -> list[float]:
        """The members' scores at the chosen epoch."""
        return self.member_scores[self.chosen - 1]

    @property
    def predicts_only(self) -> int | None:
        """The class that the first member predicted for every validation row at the chosen epoch, None for several."""
        predicted = self._predicts_only[self.chosen - 1]
        return None if predicted < 0 else predicted

    @property
    def is_chosen(self) -> bool:
        """Whether the epoch just trained is the one that is scored, as far as is known."""
        return self.chosen == self.epoch

    @property
    def is_exhausted(self) -> bool:
        """Whether early stopping ends it here."""
        return self._patience is not None and self._waited >= self._patience.epochs


def spread(scores: Sequence[float]) -> float | None:
    """The standard deviation of the members' scores (n - 1 in the denominator), None of fewer than two."""
    return statistics.stdev(scores) if len(scores) > 1 and all(map(math.isfinite, scores)) else None
