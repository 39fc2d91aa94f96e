"""`SharedAskTell`: where one of several workers asks Optuna for trials and tells how they ended.

No earlier count is relied on: the trials in the storage are read each time, and a worker gives up trials that it took
beyond the budget, by a rule that all workers share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from lossreg.errors import LossregError, count_of
from lossreg.search import history
from lossreg.search.ask_tell import AskTell
from lossreg.search.proposer import MissingLossError, Proposer
from lossreg.search.unfinished import Unfinished
from lossreg.storage import internals
from lossreg.storage import trials as states
from lossreg.storage.constraints import Constraint
from lossreg.storage.tally import Tallies, excess, loss
from lossreg.storage.trial_record import Outcome, TrialRecord
from lossreg.storage.trials import CUT_OFF, FIXED, LOST, MISSING, OWNER, RETRY_OF, TWICE, TrialValue
from lossreg.storage.workers import POLL, Workers
from lossreg.training.interface import Plan

# seconds to wait for the choices of others, which take a fraction of a second; each pause doubles
SOON, MOST_POLLS = 0.05, 7
# trials of several losses that end with the same error before anything is trained, after which a worker leaves
MOST_FAILURES = 3


class SharedAskTell(AskTell):
    """Asks and tells as one of several workers; `learns`, `started` and the others are those of all workers.

    message: called once with a line when there is nothing to do but to wait.
    """

    def __init__(
        self, study: optuna.Study, proposer: Proposer, trials: int, baseline: str, workers: Workers,
        *, hurried: bool = False, constraints: Sequence[Constraint] = (),
        message: Callable[[str], Any] = lambda text: None, pause: Callable[[float], Any] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(study, proposer, trials, baseline, hurried=hurried, constraints=constraints)
        self.workers, self._message, self._pause, self._now = workers, message, pause, now
        self.worker = workers.name
        self._reported = {record.number for record in history.records(study)}
        self._ownerless: dict[int, float] = {}
        self._is_waiting = False
        self._all: Sequence[FrozenTrial] = ()
        self._tallies = Tallies()
        self._running: list[FrozenTrial] = []
        self._news_from = 0
        self._has_trained = False
        self._failures: list[TrialRecord] = []
        self._look()

    @property
    def may_ask(self) -> bool:
        """True if a trial waits in the queue, or the budget of all workers allows one more."""
        self._look()
        return self.queued > 0 or self.left > 0

    def again(self) -> list[tuple[optuna.Trial, Plan, Unfinished]]:
        """Return nothing: what was cut off is queued again, for any worker."""
        return []

    def try_ask(self) -> tuple[optuna.Trial, Plan] | None:
        """Return the next trial and its training; None if others took the last, which this worker has given up."""
        while True:
            self._take_over()
            if not self.may_ask:
                return None
            # others counted this worker as dead, and reassigned the trial that it had just taken
            with suppress(UpdateFinishedTrialError):
                if asked := self._ask_once():
                    return asked

    def _ask_once(self) -> tuple[optuna.Trial, Plan] | None:
        """Take one trial, and return its training; None of one that is dropped."""
        trial = self.study.ask()
        if reason := self._excess(trial.number):
            self._drop(trial.number, reason)
            return None
        if self._is_due(trial.number):
            trial = self._of_baseline(trial.number)
        try:
            plan = self.proposer.suggest(trial)
        except MissingLossError:
            self._drop(trial.number, MISSING)
            self._queue(min(self.proposer.names, key=lambda candidate: self._asked[candidate]))
            return None
        self._open[trial.number] = trial
        return trial, plan

    def _is_due(self, number: int) -> bool:
        """Return whether a new trial must be of the baseline, by all trials below it.

        Where that depends on trials that other workers have just begun, it is waited for what they choose.
        """
        if loss(self._all[number]):
            return False
        for poll in range(MOST_POLLS):
            below = self._tallies.below(number)
            below.tried.pop("", None)
            lag, left = self._lag(below.tried), self.budget - below.placed
            undecided = sum(map(self._is_undecided, self._running_below(number)))
            if self._lags(lag - undecided, left) == self._lags(lag + undecided, left):
                break
            self._pause(SOON * 2**poll)
            self.refresh()
        return self._lags(lag, left)

    def _running_below(self, number: int) -> list[FrozenTrial]:
        """Return the running trials that have a place in the budget before this one."""
        return [trial for trial in self._running if trial.number < number and states.has_place(trial)]

    def _is_undecided(self, trial: FrozenTrial) -> bool:
        """Return whether a running trial has yet to choose its loss; for an interrupted trial its copy does."""
        return not loss(trial) and not self._is_cut_off(trial)

    def _of_baseline(self, number: int) -> optuna.Trial:
        """Return a new trial with its loss fixed."""
        trial = self._all[number]
        storage = internals.storage(self.study)
        storage.set_trial_system_attr(internals.trial_id(trial), FIXED, {"loss": self._baseline})
        return internals.running(self.study, trial)

    def _excess(self, number: int) -> str:
        """Return why a trial that was taken is one too many, empty where it is not."""
        # the storage has read all trials since it was taken
        self._look()
        copied = self._all[number].user_attrs.get(RETRY_OF)
        if copied is not None and not self._is_lost(copied):
            return TWICE
        return excess(self._tallies.below(number), self._all[number], self.budget)

    def _is_lost(self, number: int) -> bool:
        """Return whether the original of a copy is lost; one that seems to run is ended here."""
        if self._all[number].state == TrialState.RUNNING:
            self._drop(number, CUT_OFF)
            self.refresh()
        original = self._all[number]
        return bool(original.state == TrialState.FAIL and original.user_attrs.get(LOST) == CUT_OFF)

    def _drop(self, number: int, reason: str) -> None:
        states.drop(self.study, self._all[number], reason)

    def wait(self, is_stopping: Callable[[], bool]) -> bool:
        """Wait until other workers leave something to train or nothing runs any more; say once that it does.

        Raises `KeyboardInterrupt` when it is to stop.
        """
        self._tell_failures()
        while True:
            self._take_over()
            if self.may_ask or not self._running:
                self.refresh()
                self._take_over()
            if self.may_ask:
                self._is_waiting = False
                return True
            if not self._running:
                return False
            if is_stopping():
                raise KeyboardInterrupt
            self._say(len(self._running))
            self._pause(POLL)

    def _say(self, running: int) -> None:
        if not self._is_waiting:
            names = ", ".join(other.name for other in self.workers.others) or "others"
            self._message(
                f"nothing is left to start: waiting for {count_of(running, 'trial')} of {names}, "
                "which are run here if they are not ended there (Ctrl-C leaves)"
            )
        self._is_waiting = True

    def news(self) -> list[TrialRecord]:
        """Return the trials that other workers have ended since the last call."""
        self._look()
        ended = (trial for trial in self._all[self._news_from :] if trial.state.is_finished())
        new = [trial for trial in ended if trial.number not in self._reported and trial.number not in self._open]
        self._news_from = self._tallies.first
        self._reported |= {trial.number for trial in new}
        return [record for trial in new if (record := history.from_trial(trial))]

    def tell(self, record: TrialRecord, value: TrialValue) -> bool:
        """Write a trial's end; return False where it is kept for later, or was given to another worker."""
        if self._may_be_of_machine(record):
            self._failures.append(record)
            return False
        self._reported.add(record.number)
        return self._write(record, value)

    def _may_be_of_machine(self, record: TrialRecord) -> bool:
        """Return whether a trial may have failed since nothing can be trained here; a copy has its second chance."""
        is_copy = RETRY_OF in self._all[record.number].user_attrs
        return record.state == Outcome.FAILED and not self._has_trained and not is_copy

    def note_training(self, is_trained: bool) -> None:
        """Note whether an epoch was trained; failures before the first one count if they are not all the same.

        Raises `LossregError` where nothing can be trained here: the failed trials are then given back.
        """
        self._has_trained |= is_trained
        reasons = {record.reason for record in self._failures}
        if self._has_trained or len(reasons) > 1:
            self._tell_failures()
        elif len(self._failures) >= MOST_FAILURES and not self._may_be_of_loss():
            raise LossregError(
                f"nothing can be trained here: the first {len(self._failures)} trials of this worker failed "
                f"({reasons.pop()}). They are left to other workers: see to this machine, then start the worker again"
            )

    def _may_be_of_loss(self) -> bool:
        """Return whether all failures are of one loss of several, which may be what fails."""
        return len(self.proposer.names) > 1 and len({record.candidate for record in self._failures}) == 1

    def _tell_failures(self) -> None:
        """Write the failures that were kept; `news` has them then."""
        while self._failures:
            self._write(self._failures[0], None)
            del self._failures[0]

    def _write(self, record: TrialRecord, value: TrialValue) -> bool:
        """Write a trial's end, unless it was given to another worker, which counted this one as dead."""
        try:
            return super().tell(record, value)
        except (UpdateFinishedTrialError, ValueError):
            self._open.pop(record.number, None)
            self.refresh()
            trial = self._all[record.number]
            if LOST not in trial.user_attrs:
                if trial.state != states.end(record.state):
                    raise
                # another worker told it from the record, or the storage did it and its answer was lost
                return True
            self._message(
                f"trial {record.number} was given to another worker, since this one gave no sign of life for a while: "
                "its result is dropped"
            )
            return False

    def give_back(self) -> None:
        """Queue again what was asked for and is not told."""
        mine = set(self._open)
        states.requeue_interrupted(self.study, lambda trial: trial.number in mine)
        self._open.clear()

    # ------------------------------------------------------------ what all workers have done

    def refresh(self) -> None:
        """Look at the trials in the storage, as they are now."""
        internals.storage(self.study).refresh()
        self._look()

    def _look(self) -> None:
        """Count the trials of all workers, if they were read anew."""
        trials = self.study.get_trials(deepcopy=False)
        if trials is self._all:
            return
        self._all = trials
        self._tallies.read(trials)
        tally, unsettled = self._tallies.below(), trials[self._tallies.first :]
        self.started, self.known, self._asked = tally.placed, tally.ended, tally.asked
        self.queued = sum(trial.state == TrialState.WAITING for trial in unsettled)
        self._running = [trial for trial in unsettled if trial.state == TrialState.RUNNING]

    def _take_over(self) -> None:
        """Queue again the trials of workers that left or died."""
        self._look()
        if any(map(self._is_cut_off, self._running)):
            # what they wrote last
            self.refresh()
            states.requeue_interrupted(self.study, self._is_cut_off)
            self.refresh()

    def _is_cut_off(self, trial: FrozenTrial) -> bool:
        """Return whether nobody trains a running trial, as one that a lost answer of the storage left here."""
        owner = trial.user_attrs.get(OWNER)
        if owner is None:
            # its owner may be about to write its number
            since = self._ownerless.setdefault(trial.number, self._now())
            return self._now() - since > self.workers.longest
        is_mine = owner == self.workers.number and trial.number not in self._open
        return is_mine or self.workers.has_ended(owner)
