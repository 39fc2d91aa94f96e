"""Trials in Optuna's storage: how they end, which of them count, and those that were cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from lossreg.storage import internals
from lossreg.storage.journal_keys import TOLD
from lossreg.storage.trial_record import Outcome

ATTRIBUTE = "lossreg"
START = "lossreg:start"
RETRY_OF = "lossreg:retry_of"
# of several workers: the number of the one that runs a trial
OWNER = "lossreg:owner"
# Optuna's name of the parameters that a trial was queued with
FIXED = "fixed_params"
# why a trial ended without an outcome: it was cut off and runs again, or it was one too many
LOST = "lossreg:lost"
# what Optuna is told of a trial: its score, or those of several metrics
TrialValue = float | list[float] | None
CUT_OFF, BEYOND, TWICE, MISSING = "cut off", "beyond the budget", "there twice", "its loss is missing"
ENDS = {Outcome.FAILED: TrialState.FAIL, Outcome.PRUNED: TrialState.PRUNED}


def counts_as_trial(trial: FrozenTrial) -> bool:
    """Return whether a trial uses up the budget; interrupted and failed ones do not, and are run again on resuming."""
    return trial.state in (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


def end(state: str) -> TrialState:
    """Return how a trial of that outcome ends in Optuna; one that diverged is complete there, with the worst value."""
    return ENDS.get(Outcome(state), TrialState.COMPLETE)


def tell(study: optuna.Study, number: int, state: str, value: TrialValue) -> None:
    """End a trial in Optuna."""
    if state in ENDS:
        study.tell(number, state=end(state))
    else:
        study.tell(number, value)


def has_score(trial: FrozenTrial) -> bool:
    """Return whether a trial has ended and uses up the budget of one process."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def has_outcome(trial: FrozenTrial) -> bool:
    """Return whether a trial has come to its end, if only to fail; one that was cut off has not, its copy will."""
    return has_score(trial) or has_failed(trial)


def has_failed(trial: FrozenTrial) -> bool:
    """Return whether a trial came to its end and failed, and was neither cut off nor one too many."""
    record = trial.user_attrs.get(ATTRIBUTE)
    is_failure = record is not None and record["state"] == Outcome.FAILED and LOST not in trial.user_attrs
    return trial.state == TrialState.FAIL and is_failure


def has_place(trial: FrozenTrial) -> bool:
    """Return whether a trial has a place in the budget that several workers share; it keeps it when it is cut off.

    A failed one keeps it too: a loss that always fails would be tried for ever. Copies have that of their original.
    """
    return RETRY_OF not in trial.user_attrs and stands(trial)


def stands(trial: FrozenTrial) -> bool:
    """Return whether a trial runs, has an outcome, waits, or has a copy that does: all but those too many."""
    is_kept = has_failed(trial) or trial.user_attrs.get(LOST) == CUT_OFF
    return trial.state != TrialState.FAIL or is_kept


def drop(study: optuna.Study, trial: FrozenTrial, reason: str) -> bool:
    """End a trial without an outcome; return False where another worker has ended it."""
    try:
        internals.storage(study).set_trial_user_attr(internals.trial_id(trial), LOST, reason)
        study.tell(trial.number, state=TrialState.FAIL)
    except (UpdateFinishedTrialError, ValueError):
        return False
    return True


def requeue_interrupted(study: optuna.Study, is_cut_off: Callable[[FrozenTrial], bool] = lambda trial: True) -> int:
    """Queue again, with the same parameters, every trial that was cut off, and return their number.

    is_cut_off: says so of a trial that runs; without other workers all are. Optuna is told of one that had ended
    before it was told. A copy is queued before its original is ended, and recognised afterwards, so that a kill in
    between repeats nothing.
    """
    trials: Sequence[FrozenTrial] = study.get_trials(deepcopy=False)
    copied = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    running = [trial for trial in trials if trial.state == TrialState.RUNNING and is_cut_off(trial)]
    again = 0
    for trial in running:
        record = trial.user_attrs.get(ATTRIBUTE)
        if record is not None:
            with suppress(UpdateFinishedTrialError, ValueError):
                tell(study, trial.number, record["state"], record[TOLD])
            continue
        if trial.number not in copied:
            _copy(study, trial)
        again += drop(study, trial, CUT_OFF)
    return again


def _copy(study: optuna.Study, trial: FrozenTrial) -> None:
    attrs = {RETRY_OF: trial.number}
    if START in trial.user_attrs:
        attrs[START] = trial.user_attrs[START]
    study.enqueue_trial(trial.system_attrs.get(FIXED, {}) | trial.params, user_attrs=attrs)
