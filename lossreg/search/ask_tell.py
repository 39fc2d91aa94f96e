"""`AskTell`: where Optuna is asked for trials and told how they ended."""

from __future__ import annotations

from collections import Counter

import optuna
from optuna.trial import TrialState

from lossreg.search.history import to_attribute
from lossreg.search.proposer import MissingLossError, Proposer
from lossreg.storage.records import TOLD, Outcome, TrialRecord
from lossreg.storage.trials import ATTRIBUTE, counts_as_trial, requeue_interrupted, tell
from lossreg.training.interface import Plan


class AskTell:
    """Asks the queue first, then for the baseline where it lags behind, then the sampler, and counts the answers.

    trials: their number at most; hurried: whether the study may end before that. `started` counts the trials
    that use up the budget, `known` those of them whose end the sampler has been told, `queued` those that
    wait in Optuna's own queue.
    """

    def __init__(
        self, study: optuna.Study, proposer: Proposer, trials: int, baseline: str, *, hurried: bool = False
    ) -> None:
        self.study, self.proposer = study, proposer
        self._trials, self._baseline, self._hurried = trials, baseline, hurried
        begun = study.get_trials(deepcopy=False)
        counted = [trial for trial in begun if counts_as_trial(trial)]
        self.started, self.known = len(counted), sum(trial.state.is_finished() for trial in counted)
        self.queued = sum(trial.state == TrialState.WAITING for trial in begun)
        self._open: dict[int, optuna.Trial] = {}
        self._asked = Counter(trial.params["loss"] for trial in counted if "loss" in trial.params)

    @property
    def left(self) -> int:
        """The number of trials that the budget still allows."""
        return self._trials - self.started

    @property
    def learns(self) -> bool:
        """True if the next answer depends on what is known."""
        return not self.queued and getattr(self.study.sampler, "learns", True)

    def ask(self) -> tuple[optuna.Trial, Plan]:
        """Return the next trial, and the training that it asks for."""
        if not self.queued and self._baseline_is_due():
            self._queue(self._baseline)
        trial, plan = self._next()
        self.started += 1
        self._open[trial.number] = trial
        self._asked[plan.candidate] += 1
        return trial, plan

    def _next(self) -> tuple[optuna.Trial, Plan]:
        """Return the next trial of a loss that is installed.

        A trial of a missing one ends untrained, and the least tried loss is next.
        """
        while True:
            queued, trial = self.queued > 0, self.study.ask()
            self.queued = max(0, self.queued - 1)
            try:
                return trial, self.proposer.suggest(trial)
            except MissingLossError:
                self.study.tell(trial, state=TrialState.FAIL)
            if not queued:
                self._queue(min(self.proposer.names, key=lambda candidate: self._asked[candidate]))

    def _queue(self, candidate: str) -> None:
        self.study.enqueue_trial({"loss": candidate})
        self.queued += 1

    def _baseline_is_due(self) -> bool:
        """Return whether the baseline, to end with as many trials as any other loss, must be tried now.

        In a hurried study the baseline never lags behind.
        """
        others = (count for candidate, count in self._asked.items() if candidate != self._baseline)
        lag = max(others, default=0) - self._asked[self._baseline]
        # one more trial of the leader and one fewer left must still be made good
        return lag >= (1 if self._hurried else self.left - 1)

    def tell(self, record: TrialRecord, told: float | None) -> None:
        """Write a trial's end: its record first, by which a resumed study tells Optuna what a kill kept from it."""
        self._open.pop(record.number).set_user_attr(ATTRIBUTE, to_attribute(record) | {TOLD: told})
        tell(self.study, record.number, record.state, told)
        has_failed = record.state == Outcome.FAILED
        self.known += not has_failed
        self._asked[record.candidate] -= has_failed

    def give_back(self) -> None:
        """Queue again what was asked for and never trained."""
        requeue_interrupted(self.study)
