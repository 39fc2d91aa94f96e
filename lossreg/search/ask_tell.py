"""`AskTell`: where Optuna is asked for trials and told how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from lossreg.search import unfinished
from lossreg.search.history import to_attribute
from lossreg.search.proposer import MissingLossError, Proposer
from lossreg.search.unfinished import Unfinished
from lossreg.storage import internals
from lossreg.storage.constraints import Constraint
from lossreg.storage.journal_keys import TOLD
from lossreg.storage.trial_record import Outcome, TrialRecord
from lossreg.storage.trials import ATTRIBUTE, TrialValue, counts_as_trial, requeue_interrupted, tell
from lossreg.training.interface import Plan


class AskTell:
    """Asks the queue first, then for the baseline where it lags behind, then the sampler, and counts the answers.

    trials: their number at most, the `budget`; hurried: whether the study may end before that. `started` counts the
    trials that use up the budget, `known` those of them whose end the sampler has been told, `queued` those that wait
    in Optuna's own queue. constraints: of trials, from which the sampler learns too; worker: the name of this one
    among several, empty without others.
    """

    worker = ""

    def __init__(
        self, study: optuna.Study, proposer: Proposer, trials: int, baseline: str, *, hurried: bool = False,
        constraints: Sequence[Constraint] = (),
    ) -> None:  # fmt: skip
        self.study, self.proposer, self._constraints = study, proposer, constraints
        self.budget, self._baseline, self._hurried = trials, baseline, hurried
        begun = study.get_trials(deepcopy=False)
        counted = [trial for trial in begun if counts_as_trial(trial)]
        self.started, self.known = len(counted), sum(trial.state.is_finished() for trial in counted)
        self.queued = sum(trial.state == TrialState.WAITING for trial in begun)
        self._open: dict[int, optuna.Trial] = {}
        self._asked = Counter(trial.params["loss"] for trial in counted if "loss" in trial.params)

    @property
    def left(self) -> int:
        """The number of trials that the budget still allows."""
        return self.budget - self.started

    @property
    def may_ask(self) -> bool:
        """True if the budget allows one more trial."""
        return self.left > 0

    @property
    def learns(self) -> bool:
        """True if the next answer depends on what is known."""
        return not self.queued and getattr(self.study.sampler, "learns", True)

    def again(self) -> list[tuple[optuna.Trial, Plan, Unfinished]]:
        """Return the trials that a former run left unfinished, with the parameters that they have; only at first."""
        return [asked for trial in unfinished.end_recorded(self.study) if (asked := self._again(trial))]

    def _again(self, frozen: FrozenTrial) -> tuple[optuna.Trial, Plan, Unfinished] | None:
        # the storage may change the trial that it returned
        before, is_counted = Unfinished.of(frozen), "loss" in frozen.params
        trial = internals.running(self.study, frozen)
        try:
            plan = self.proposer.suggest(trial)
        except MissingLossError:
            self.started -= 1
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        self._open[trial.number] = trial
        self._asked[plan.candidate] += not is_counted
        return trial, plan, before

    def try_ask(self) -> tuple[optuna.Trial, Plan] | None:
        """Return the same as `ask`; None if other workers have taken all."""
        return self.ask()

    def ask(self) -> tuple[optuna.Trial, Plan]:
        """Return the next trial, and the training that it asks for."""
        if not self.queued and self._baseline_is_due():
            self._queue(self._baseline)
        trial, plan = self._next()
        self.started += 1
        self._open[trial.number] = trial
        self._asked[plan.candidate] += 1
        return trial, plan

    def wait(self, is_stopping: Callable[[], bool]) -> bool:
        """Wait, with nothing to train, for trials that other workers may leave; return whether there are some."""
        return False

    def news(self) -> list[TrialRecord]:
        """Return the trials that other workers have ended since the last call."""
        return []

    def refresh(self) -> None:
        """Do nothing: without other workers all trials are known."""

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
        return self._lags(self._lag(self._asked), self.left)

    def _lag(self, tried: Mapping[str, int]) -> int:
        """Return how many trials the baseline has fewer than the most tried other loss."""
        others = (count for candidate, count in tried.items() if candidate != self._baseline)
        return max(others, default=0) - tried.get(self._baseline, 0)

    def _lags(self, lag: int, left: int) -> bool:
        # one more trial of the leader and one fewer left must still be made good
        return lag >= (1 if self._hurried else left - 1)

    def tell(self, record: TrialRecord, value: TrialValue) -> bool:
        """Write a trial's end: its record first, by which a resumed study tells Optuna what a kill kept from it.

        What a trial violates is written before. Return False where another worker has the trial by now.
        """
        self._constrain(self._open[record.number], record)
        self._open[record.number].set_user_attr(ATTRIBUTE, to_attribute(record) | {TOLD: value})
        tell(self.study, record.number, record.state, value)
        del self._open[record.number]
        has_failed = record.state == Outcome.FAILED
        self.known += not has_failed
        self._asked[record.candidate] -= has_failed
        return True

    def _constrain(self, trial: optuna.Trial, record: TrialRecord) -> None:
        """Write by how much a trial violates each constraint that an interrupted run did not write.

        They are written in order of name, since samplers tell them apart by their place.
        """
        if not self._constraints or record.state not in (Outcome.COMPLETE, Outcome.DIVERGED):
            return
        known = trial.constraints
        for one in sorted(self._constraints, key=lambda each: each.metric):
            if one.metric not in known:
                trial.set_constraint(one.metric, one.violation(record.metrics.get(one.metric)))

    def note_training(self, is_trained: bool) -> None:
        """Do nothing: whether anything can be trained matters where other workers can."""

    def give_back(self) -> None:
        """Queue again what was asked for and never trained."""
        requeue_interrupted(self.study)
