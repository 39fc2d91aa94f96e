"""`Progress`: who watches a study run. This one looks away; a terminal's shows what it sees."""

from __future__ import annotations

from collections.abc import Sequence

from lossreg.storage.records import StudyResult, TrialRecord


class Progress:
    """Is told how a study goes; every method may be left as it is."""

    def message(self, text: str) -> None:
        """Something to know."""

    def warn(self, text: str) -> None:
        """Something to worry about; may come from another thread."""

    def phase(self, text: str) -> None:
        """What is done from now on, before training and after it."""

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Training starts: trials in all, those done before, losses, trials at a time."""

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """A trial ended; result includes it."""

    def epoch(self, active: int, epochs_done: int) -> None:
        """One more epoch of the active trials."""

    def stopping(self) -> bool:
        """Asked after every epoch; true ends the study there, and a later `tune` goes on with it."""
        return False

    def trained(self, result: StudyResult) -> None:
        """The last trial ended; model, plots and MLflow are still to be written."""

    def end(self, result: StudyResult) -> None:
        """The study is done."""
