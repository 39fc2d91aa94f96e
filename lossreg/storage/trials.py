"""Trials in Optuna's storage: how they end, which of them count, and those that were cut off."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from lossreg.storage.records import TOLD, Outcome

ATTRIBUTE = "lossreg"
START = "lossreg:start"
RETRY_OF = "lossreg:retry_of"


def counts_as_trial(trial: FrozenTrial) -> bool:
    """Return whether a trial uses up the budget; interrupted and failed ones do not, and are run again on resuming."""
    return trial.state in (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


def tell(study: optuna.Study, number: int, state: str, value: float | None) -> None:
    """End a trial in Optuna; one that diverged is complete there, with the worst value."""
    ends = {Outcome.FAILED: TrialState.FAIL, Outcome.PRUNED: TrialState.PRUNED}
    if state in ends:
        study.tell(number, state=ends[Outcome(state)])
    else:
        study.tell(number, value)


def requeue_interrupted(study: optuna.Study) -> int:
    """Queue again, with the same parameters, every trial that was cut off, and return their number.

    Optuna is told of one that had ended before it was told. A copy is queued
    before its original is ended, and recognised afterwards, so that a kill in between repeats
    nothing.
    """
    trials: Sequence[FrozenTrial] = study.get_trials(deepcopy=False)
    copied = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    again = 0
    for trial in running:
        record = trial.user_attrs.get(ATTRIBUTE)
        if record is not None:
            tell(study, trial.number, record["state"], record[TOLD])
            continue
        again += 1
        if trial.number not in copied:
            _copy(study, trial)
        study.tell(trial.number, state=TrialState.FAIL)
    return again


def _copy(study: optuna.Study, trial: FrozenTrial) -> None:
    attrs = {RETRY_OF: trial.number}
    if START in trial.user_attrs:
        attrs[START] = trial.user_attrs[START]
    study.enqueue_trial(trial.system_attrs.get("fixed_params", {}) | trial.params, user_attrs=attrs)
