"""Trials that a former run left unfinished: trained again to where they were, before anything new is asked for.

So an interrupted study goes on as an unbroken one would: the sampler is asked at the same times and knows the same
trials. For this each trial has marks of the scheduler's clock, which counts epochs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from lossreg.storage.journal_keys import TOLD
from lossreg.storage.trials import ATTRIBUTE, tell

# attribute of a trial with these marks
CLOCK = "lossreg:clock"
ASKED, AHEAD, PLACED, PRUNED = "asked", "ahead", "placed", "pruned"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A trial that is to be trained again: its number, and when it was placed, -1 where it was not.

    asked: the clock when it was asked for, -1 where the run was cut off before that was noted; ready: that from which
    it may be placed; reported: the last epoch that the pruner was told of; pruned: the epoch after which it was to be
    pruned, -1 where it was not.
    """

    number: int
    placed: int = -1
    asked: int = -1
    ready: int = 0
    reported: int = 0
    pruned: int = -1

    @classmethod
    def of(cls, trial: FrozenTrial) -> Unfinished:
        """Return what the storage holds of a trial."""
        marks = trial.user_attrs.get(CLOCK, {})
        asked = marks.get(ASKED, -1)
        reported = max(trial.intermediate_values, default=0)
        return cls(
            trial.number, marks.get(PLACED, -1), asked, asked + marks.get(AHEAD, False), reported, marks.get(PRUNED, -1)
        )


def end_recorded(study: optuna.Study) -> list[FrozenTrial]:
    """Tell Optuna of the trials that had ended before it was told; return those that are unfinished, by number."""
    running = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.RUNNING]
    for trial in running:
        if record := trial.user_attrs.get(ATTRIBUTE):
            tell(study, trial.number, record["state"], record[TOLD])
    return [trial for trial in running if ATTRIBUTE not in trial.user_attrs]


def clock(trials: Iterable[FrozenTrial]) -> int:
    """Return the clock up to which the storage tells of a study's trials."""
    return max(map(_clock, trials), default=0)


def _clock(trial: FrozenTrial) -> int:
    """Return the last clock at which a trial was asked for, placed, or had ended; a report is made just before it."""
    marks, record = trial.user_attrs.get(CLOCK, {}), trial.user_attrs.get(ATTRIBUTE)
    if PLACED not in marks:
        return int(marks.get(ASKED, 0))
    trained = len(record["curves"].get("val_score", ())) if record else max(trial.intermediate_values, default=1) - 1
    return int(marks[PLACED] + trained)
