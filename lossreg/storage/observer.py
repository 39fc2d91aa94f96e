"""`Observer`: what is told of a study while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from lossreg.storage.records import StudyResult, TrialRecord, Weights


class Observer:
    """Is told how a study goes; every method does nothing, and subclasses override those that they need."""

    def message(self, text: str) -> None:
        """Take something to know."""

    def warn(self, text: str) -> None:
        """Take something to worry about; may be called from another thread."""

    def phase(self, text: str) -> None:
        """Take what is done from now on, before training and after it."""

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Training starts: trials in all, those done before, losses, trials at a time."""

    def checkpoint(self, record: TrialRecord, weights: Weights) -> None:
        """A trial is about to end, and the weights of its first member at the scored epoch are to be kept."""

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """A trial ended; result includes it."""

    def epoch(self, active: int, epochs_done: int) -> None:
        """The active trials were trained for one more epoch."""

    def stopping(self) -> bool:
        """Return whether the study shall end here, asked after every epoch; a later `tune` goes on with it."""
        return False

    def trained(self, result: StudyResult) -> None:
        """The last trial ended; model, plots and MLflow are still to be written."""

    def end(self, result: StudyResult) -> None:
        """The study is done."""
