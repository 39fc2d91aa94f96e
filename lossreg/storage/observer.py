"""`Observer`: what is told of a study while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lossreg.errors import count_of
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord, Weights


class Running(NamedTuple):
    """A trial that is being trained: its loss, the epochs that it was trained for and those it gets, its score so far.

    epochs: 0 where that is not known; score: None before there is one.
    """

    candidate: str
    epoch: int
    epochs: int
    score: float | None


class Ahead(NamedTuple):
    """The numbers of trainings that follow the search of a study; whatever is trained together is set up once.

    confirm: those that confirm settings; verdict: those of the verdict, in parts that are set up one after the other,
    and are none where they have no training;
    in_folds: its parts with outer folds, which it has where they take less than `most` seconds, None if outer folds are
    ruled out; per_trial: the trainings of a trial of the search.
    """

    confirm: int = 0
    verdict: tuple[int, ...] = ()
    in_folds: tuple[int, ...] | None = None
    most: float = 0.0
    per_trial: int = 1

    def parts(self, seconds: float) -> tuple[int, ...]:
        """Return the parts that are to be expected where a training takes so many seconds."""
        folds = self.in_folds
        verdict = self.verdict if folds is None or seconds * sum(folds) >= self.most else folds
        return tuple(part for part in (self.confirm, *verdict) if part)


class Observer:
    """Is told how a study goes; every method does nothing, and subclasses override those that they need."""

    def message(self, text: str) -> None:
        """Note something that the user should know."""

    def warn(self, text: str) -> None:
        """Note a warning; may be called from another thread."""

    def phase(self, text: str) -> None:
        """Note the work that begins, before training and after it."""

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Note that training starts: trials in all, those done before, losses, trials at a time."""

    def look(self, result: StudyResult, running: Callable[[], Sequence[Running]]) -> None:
        """Take the study as far as it has come, and what returns the trials that run; any thread may call that."""

    def checkpoint(self, record: TrialRecord, weights: Weights) -> None:
        """Keep the weights of a trial that is about to end, those of its first member at the scored epoch."""

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Note that a trial has ended; result includes it."""

    def written(self) -> None:
        """Note that the ends of all trials that have ended so far are written."""

    def elsewhere(self, record: TrialRecord, result: StudyResult) -> None:
        """Note that a trial has ended in another worker; result includes it."""

    def epoch(self, active: int, epochs_done: int) -> None:
        """Note that the active trials were trained for one more epoch."""

    def meanwhile(self) -> None:
        """Note that the epoch of the active trials still lasts; called every few seconds."""

    def expect(self, ahead: Ahead) -> None:
        """Set the trainings that are still to come."""

    def retrained(self, task: str, done: float, total: int) -> None:
        """Note how many trainings of a task that follows the search are done, parts of those that run included.

        Called before the first of them and after every epoch. By default it is a phase where the number is whole.
        """
        if done == int(done):
            self.phase(f"{task}: {int(done)} of {count_of(total, 'training')}")

    def stopping(self) -> bool:
        """Return whether the study shall end here, asked after every epoch; a later `tune` goes on with it."""
        return False

    def searched(self) -> None:
        """Note that the last trial has ended; settings may still be confirmed."""

    def trained(self, result: StudyResult) -> None:
        """Note that the leaderboard is final; verdict, model, plots and MLflow are still to come."""

    def end(self, result: StudyResult) -> None:
        """Note that the study is done."""
