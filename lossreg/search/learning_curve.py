"""`LearningCurve`: the epochs that a trial was trained for, those of its members gathered into one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossreg.storage.trial_record import CURVES
from lossreg.training.interface import EpochReport


@dataclass(frozen=True, slots=True)
class Patience:
    """Early stopping: after `epochs` epochs in which the score got no better by more than `min_delta`."""

    epochs: int
    min_delta: float = 0.0


class LearningCurve:
    """The curves of a trial of one or more members, and the epoch that is scored.

    sign is 1.0 where a higher score is better, else -1.0; `best` scores the best epoch, the
    first of equals, otherwise the last. chosen is the epoch that is scored, from 1 (0 before the first);
    diverged the first member that went non-finite; is_stopped whether callbacks have ended the training of all members.
    """

    def __init__(self, sign: float, *, best: bool = False, patience: Patience | None = None) -> None:
        self._sign, self._best, self._patience = sign, best, patience
        self.curves: dict[str, list[float]] = {name: [] for name in CURVES}
        self.member_scores: list[list[float]] = []
        self._predicts_only: list[int] = []
        self._default_scores: list[float | None] = []
        self._decisions: list[Mapping[str, Any]] = []
        self._also: list[Mapping[str, float]] = []
        self.chosen, self.is_stopped = 0, False
        self.diverged: int | None = None
        # of scores times sign: that of the chosen epoch, and the one that early stopping wants surpassed
        self._chosen_score, self._to_surpass, self._epochs_waited = -math.inf, -math.inf, 0

    def add(self, reports: Sequence[EpochReport]) -> None:
        """Add an epoch, one report per member; curves and score are the members' means."""
        for name in CURVES:
            self.curves[name].append(float(sum(getattr(report, name) for report in reports) / len(reports)))
        self.member_scores.append([float(report.val_score) for report in reports])
        # the first member's model is the one that is kept
        self._predicts_only.append(reports[0].predicts_only)
        self._decisions.append(reports[0].decision)
        names = reports[0].also
        self._also.append({name: sum(report.also[name] for report in reports) / len(reports) for name in names})
        default = [report.default_score for report in reports if report.default_score is not None]
        self._default_scores.append(sum(default) / len(default) if len(default) == len(reports) else None)
        self.is_stopped = all(report.stopped for report in reports)
        self.diverged = next((i for i, report in enumerate(reports) if report.diverged), None)
        if self.diverged is None:
            self._compare(self._sign * self.curves["val_score"][-1])

    def _compare(self, score: float) -> None:
        """Choose the epoch just trained if it is to be scored; score is larger where it is better."""
        if not self._best or score > self._chosen_score or not self.chosen:
            self._chosen_score, self.chosen = score, self.epoch
        is_better = score > self._to_surpass + (self._patience.min_delta if self._patience else 0.0)
        # outside the metric's domain there is no score yet that could get better
        self._epochs_waited = 0 if is_better or self._to_surpass == -math.inf else self._epochs_waited + 1
        self._to_surpass = score if is_better else self._to_surpass

    @property
    def epoch(self) -> int:
        """The number of epochs trained."""
        return len(self.member_scores)

    @property
    def score(self) -> float:
        """The score at the chosen epoch."""
        return self.curves["val_score"][self.chosen - 1]

    @property
    def scores(self) -> list[float]:
        """The members' scores at the chosen epoch; none before there is one."""
        return self.member_scores[self.chosen - 1] if self.chosen else []

    @property
    def predicts_only(self) -> int | None:
        """The class that the first member predicts for all validation samples at the chosen epoch, None for several."""
        predicted = self._predicts_only[self.chosen - 1] if self.chosen else -1
        return None if predicted < 0 else predicted

    @property
    def default_score(self) -> float | None:
        """The score at the chosen epoch without tuned decisions, None where none are tuned."""
        return self._default_scores[self.chosen - 1] if self.chosen else None

    @property
    def decision(self) -> Mapping[str, Any]:
        """The first member's decision at the chosen epoch, nothing where it is not tuned."""
        return self._decisions[self.chosen - 1] if self.chosen else {}

    @property
    def also(self) -> Mapping[str, float]:
        """The further metrics at the chosen epoch, the members' means by name."""
        return self._also[self.chosen - 1] if self.chosen else {}

    @property
    def is_chosen(self) -> bool:
        """True if the epoch just trained is the one that is scored, as far as is known."""
        return self.chosen == self.epoch

    @property
    def is_exhausted(self) -> bool:
        """True if early stopping ends the trial here."""
        return self._patience is not None and self._epochs_waited >= self._patience.epochs
