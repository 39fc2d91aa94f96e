"""The constraints of a study in its verdict: whether winner and baseline keep them, and what that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lossreg.search.arms import BASELINE, OF, WINNER
from lossreg.storage.constraints import Constraint
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Kept, KeptBy, Value, Verdict
from lossreg.verdict import one_arm
from lossreg.verdict.comparison import is_finite

if TYPE_CHECKING:
    from lossreg.metrics.catalogue import Metric
    from lossreg.search.judgement import Tested
    from lossreg.search.predictions import Predictions
    from lossreg.search.preparation import Prepared


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """The constraints of a study in a verdict.

    tested, predictions: the test rows and what winner and baseline predict for them; None and nothing without.
    """

    prepared: Prepared
    result: StudyResult
    tested: Tested | None
    predictions: Predictions

    def completed(self, verdict: Verdict) -> Verdict:
        """Return a verdict with what both have of each constraint; one that alone keeps all is recommended.

        That is decided by the scores of the search and its fresh splits; the test rows are told beside it.
        """
        if not self.result.constraints:
            return verdict
        trials = {trial.number: trial for trial in self.result.trials}
        arms = {WINNER: trials[verdict.winner.trial], BASELINE: trials[verdict.baseline.trial]}
        metrics = {metric.name: metric for metric in self.prepared.problem.also}
        kept = [self._kept(constraint, metrics[constraint.metric], arms) for constraint in self.result.constraints]
        completed = replace(verdict, constraints=tuple(kept))
        if not completed.is_decided_by_constraints:
            return completed
        return replace(completed, recommended=verdict.winner if self.result.keeps(arms[WINNER]) else verdict.baseline)

    def _kept(self, constraint: Constraint, metric: Metric, arms: Mapping[str, TrialRecord]) -> Kept:
        by_arm = {
            name: KeptBy(self.result.measured(trial).get(metric.name), self._tested(metric, name))
            for name, trial in arms.items()
        }
        return Kept(constraint, by_arm[WINNER], by_arm[BASELINE])

    def _tested(self, metric: Metric, arm: str) -> Value | None:
        tested, predicted = self.tested, self.predictions.get(f"{arm}{OF}{metric.name}")
        if predicted is None or tested is None:
            return None
        lanes = predicted[is_finite(predicted)]
        lanes = lanes.astype(np.int64) if metric.response == "label" else lanes
        seed = self.prepared.spec.search.seed
        return one_arm.value(metric, tested.y, lanes, units=tested.groups, folds=tested.folds, seed=seed)
