"""The confirmation of a study: its best settings are trained again on fresh splits of the development rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import optuna

from lossreg.errors import LossregError, ReplacedError, count_of, one_line
from lossreg.search import confirming, restore
from lossreg.search.retrainer import Group, Retrainer
from lossreg.storage.confirmation import Confirmation
from lossreg.storage.observer import Observer
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE

if TYPE_CHECKING:
    from lossreg.data import Dataset
    from lossreg.search.preparation import Prepared

FIRST_SEED = 30_000  # of the splits, so that none is the search's own or one of the verdict's
FAILED = "settings could not be confirmed, so losses are compared by the scores of the search"


@dataclass(frozen=True, slots=True)
class ConfirmingStage:
    """The confirmation of a study whose trials have ended, in its open storage.

    training: a context for the time in which settings are trained again.
    """

    prepared: Prepared
    result: StudyResult
    study: optuna.Study
    folder: StudyFolder
    progress: Observer
    training: Callable[[], AbstractContextManager[None]]

    def reach(self) -> Confirmation | None:
        """Return the confirmation of the study, None where nothing is to be confirmed.

        Where it fails the progress is warned, and the reason noted; it is tried again whenever the study goes on.
        """
        self.result.notes = [note for note in self.result.notes if not note.startswith(FAILED)]
        splits, stored = self.prepared.spec.search.confirm, self.result.confirmation
        trials = [trial for trial in confirming.contenders(self.result) if trial.candidate not in self.prepared.missing]
        if not splits or len(trials) < 2:
            return None
        if stored and stored.splits == splits:
            return stored
        try:
            with self.training():
                confirmation = self._confirmed(trials, splits)
        except ReplacedError:
            raise
        except Exception as error:
            note = f"{FAILED}: {error if isinstance(error, LossregError) else one_line(error)}"
            self.result.notes.append(note)
            self.progress.warn(note)
            return None
        self.folder.require_turn()
        self.study.set_user_attr(ATTRIBUTE, {**self.study.user_attrs[ATTRIBUTE], confirming.KEY: confirmation.stored()})
        return confirmation

    def _confirmed(self, trials: Sequence[TrialRecord], splits: int) -> Confirmation:
        prepared, seed = self.prepared, self.prepared.spec.search.seed + FIRST_SEED

        def data(numbers: Sequence[int]) -> Dataset:
            return prepared.problem.dataset.resampled([seed + number for number in numbers])

        group = Group({str(trial.number): restore.plan_of(prepared, trial) for trial in trials})
        task = f"confirming: the {len(trials)} best settings, again on {count_of(splits, 'fresh split')}"
        with Retrainer(prepared, self.progress, range(splits), data) as retrainer:
            (scores,), reason = retrainer.scores([group], splits, task)
        return confirming.confirmed(self.result, scores, splits, reason)
