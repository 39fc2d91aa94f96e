"""`SearchPolicy`: how long a study is searched, what a trial is made of, and what counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lossreg.search.learning_curve import Patience
from lossreg.training.interface import Plan

if TYPE_CHECKING:
    from lossreg.metrics.catalogue import Metric


@dataclass(frozen=True, slots=True)
class SearchPolicy:
    """How long to search and what counts: see the study's `search` section.

    deadline is a `time.monotonic` after which no trial is started; folds and seeds make the members of a
    trial, `folds * seeds` of them; keep says whose weights are kept: the best trial's, those of the best of
    each loss, or all.
    """

    trials: int
    metric: Metric
    baseline: str
    score_epoch: str = "last"
    prune: bool = False
    deadline: float = math.inf
    provenance: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    folds: int = 1
    seeds: int = 1
    patience: Patience | None = None
    keep: str = "losses"

    @property
    def sign(self) -> float:
        """1.0 where a higher score is better, else -1.0."""
        return 1.0 if self.metric.direction == "maximize" else -1.0

    @property
    def members(self) -> int:
        """How many plans a trial has."""
        return self.folds * self.seeds

    def plans(self, plan: Plan) -> list[Plan]:
        """The members of a trial, every seed of a fold after the other; all with the parameters of `plan`."""
        return [
            replace(plan, fold=fold, seed=plan.seed + seed) for fold in range(self.folds) for seed in range(self.seeds)
        ] if self.members > 1 else [plan]  # fmt: skip

    def member(self, plan: Plan) -> str:
        """` (fold 2 of 5, seed 1)`: which member of a trial a plan is, empty where there is but one."""
        parts = [f"fold {plan.fold + 1} of {self.folds}"] if self.folds > 1 else []
        parts += [f"seed {plan.seed}"] if self.seeds > 1 else []
        return f" ({', '.join(parts)})" if parts else ""
