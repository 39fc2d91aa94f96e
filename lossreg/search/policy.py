"""`SearchPolicy`: how long a study is searched, the members of a trial, and how a trial is scored."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from lossreg.search import confirming
from lossreg.search.learning_curve import LearningCurve, Patience
from lossreg.storage import directions
from lossreg.storage.constraints import FARTHEST
from lossreg.storage.trial_record import Outcome, TrialRecord
from lossreg.training.interface import Plan

if TYPE_CHECKING:
    from lossreg.metrics.catalogue import Metric
    from lossreg.search.preparation import Prepared


@dataclass(frozen=True, slots=True)
class SearchPolicy:
    """The size of a search and what counts in it: see the study's `search` section.

    deadline is a `time.monotonic` after which no trial is started; folds and seeds make the members of a trial, `folds
    * seeds` of them; further: metrics that are optimised beside the first; keep and contenders say whose weights are
    kept, see `KeepPolicy`.
    """

    trials: int
    metric: Metric
    baseline: str
    score_epoch: str = "last"
    prune: bool = False
    deadline: float = math.inf
    folds: int = 1
    seeds: int = 1
    patience: Patience | None = None
    keep: str = "losses"
    contenders: int = 0
    further: tuple[Metric, ...] = ()

    @classmethod
    def of(cls, prepared: Prepared, deadline: float = math.inf) -> Self:
        """Return the policy of a prepared study."""
        search, stopping = prepared.spec.search, prepared.spec.train.early_stopping
        return cls(
            prepared.trials, prepared.metric, prepared.baseline, search.score_epoch, search.pruner != "none", deadline,
            folds=len(prepared.problem.folds), seeds=search.seeds, keep=search.keep,
            contenders=confirming.settings(len(prepared.candidates), prepared.trials) if search.confirm else 0,
            further=prepared.objectives[1:],
            patience=Patience(stopping.patience, stopping.min_delta) if stopping else None,
        )  # fmt: skip

    @property
    def worst(self) -> float:
        """The score that Optuna is told of a diverged trial, so that the sampler learns: NaN would be ignored."""
        if self.metric.worst is not None:
            return self.metric.worst
        return -math.inf if self.metric.direction == "maximize" else math.inf

    @property
    def is_hurried(self) -> bool:
        """True if the study may end before its budget is spent."""
        return math.isfinite(self.deadline)

    @property
    def members(self) -> int:
        """The number of members of a trial."""
        return self.folds * self.seeds

    def optuna_value(self, record: TrialRecord) -> float | list[float] | None:
        """Return what Optuna is told of a trial: its score, of several metrics all values, each finite."""
        has_diverged = record.state == Outcome.DIVERGED
        first = self.worst if has_diverged else record.score
        if not self.further or first is None:
            return first
        others = [None if has_diverged else record.metrics.get(metric.name) for metric in self.further]
        pairs = zip((self.metric, *self.further), (first, *others), strict=True)
        return [_finite(metric, value) for metric, value in pairs]

    def plans(self, plan: Plan) -> list[Plan]:
        """Return the members of a trial, every seed of a fold after the other; all with the parameters of `plan`."""
        return [
            replace(plan, fold=fold, seed=plan.seed + seed) for fold in range(self.folds) for seed in range(self.seeds)
        ] if self.members > 1 else [plan]  # fmt: skip

    def member(self, plan: Plan) -> str:
        """Name a member of a trial, ` (fold 2 of 5, seed 1)`; empty where there is but one."""
        parts = [f"fold {plan.fold + 1} of {self.folds}"] if self.folds > 1 else []
        parts += [f"seed {plan.seed}"] if self.seeds > 1 else []
        return f" ({', '.join(parts)})" if parts else ""

    def curve(self) -> LearningCurve:
        """Return the learning curve of a trial that begins."""
        sign = directions.sign(self.metric.direction)
        return LearningCurve(sign, best=self.score_epoch == "best", patience=self.patience)

    def may_count(self, curve: LearningCurve, outcome: Outcome | None) -> bool:
        """Return whether the epoch just trained may be the one that is scored; outcome: None before the end."""
        is_scored = self.score_epoch == "best" or outcome == Outcome.COMPLETE
        return curve.diverged is None and curve.is_chosen and is_scored


def _finite(metric: Metric, value: float | None) -> float:
    """Return a value, a very bad one where it is not finite: hypervolumes have no infinity."""
    if value is not None and math.isfinite(value):
        return value
    if metric.worst is not None:
        return metric.worst
    return -directions.sign(metric.direction) * FARTHEST
