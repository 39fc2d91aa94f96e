"""The arms of the verdict: settings that are trained again and again, with the same samples, seeds and batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lossreg.search import restore
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Arm
from lossreg.training.interface import Plan

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared

WINNER, BASELINE, SAME_RATE = "winner", "baseline", "same_rate"
OF = "_of_"  # between an arm's name and that of a further metric, in the name of predictions which that metric takes
TUNED = "_tuned"  # at the end of an arm's name: the same trainings, with their decision tuned
BEFORE = "_before"  # the same: without the temperature that is tuned for them, for pictures
ODDS = "_odds"  # the same: log odds of the second of two classes, of metrics that take classes, for pictures


@dataclass(frozen=True, slots=True)
class Arms:
    """Winner and baseline, and the plan of each arm by its name.

    The baseline at the winner's learning rate, optimizer settings and architecture is an arm where these differ.
    """

    winner: TrialRecord
    baseline: TrialRecord
    plans: Mapping[str, Plan]

    @classmethod
    def of(cls, prepared: Prepared, winner: TrialRecord, baseline: TrialRecord) -> Arms:
        """Return the arms of two trials of a study."""
        return cls(winner, baseline, plans(restore.plan_of(prepared, winner), restore.plan_of(prepared, baseline)))

    def described(self, scores: Mapping[str, np.ndarray] | None = None) -> tuple[Arm, Arm]:
        """Return winner and baseline as a verdict has them; scores: of each repeat, by arm."""
        return _arm(self.winner, (scores or {}).get(WINNER)), _arm(self.baseline, (scores or {}).get(BASELINE))


def plans(winner: Plan, baseline: Plan) -> dict[str, Plan]:
    """Return the plan of each arm."""
    same_rate = replace(
        baseline, learning_rate=winner.learning_rate, optimizer_settings=winner.optimizer_settings,
        architecture=winner.architecture,
    )  # fmt: skip
    both = {WINNER: winner, BASELINE: baseline}
    return both if same_rate == baseline else {**both, SAME_RATE: same_rate}


def in_words(names: Collection[str]) -> str:
    """Return which trainings arms are, by their names."""
    also = ", the latter also with the winner's settings" * (SAME_RATE in names)
    return f"winner and baseline{also}"


def _arm(trial: TrialRecord, scores: np.ndarray | None) -> Arm:
    finite = [] if scores is None else scores[np.isfinite(scores)]
    mean = float(np.mean(finite)) if len(finite) else None
    return Arm(trial.candidate, trial.number, trial.recipe, trial.learning_rate, dict(trial.params), mean)
