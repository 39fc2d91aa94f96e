"""`SharedTracking`: one of several workers writes its own trials into MLflow, under the parent run of the study."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace

import optuna

from lossreg.errors import ReplacedError
from lossreg.search.history import PARENT
from lossreg.storage.observer import Observer
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.tracking import Tracker, Untracked

# seconds between two looks for the parent run
EVERY = 2.0


class SharedTracking(Observer):
    """Hands the trials of this worker to its tracker once there is a parent run, which the founder makes and notes.

    reopens: whether the parent run of a study that was interrupted is set running again.
    take_turn: called before it is read what others noted. Trials that never get there are written by the worker that
    finishes the study.
    """

    def __init__(
        self, study: optuna.Study, tracker: Tracker | Untracked, *, is_founder: bool, reopens: bool = False,
        take_turn: Callable[[], None] = lambda: None, now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._study, self._tracker, self._is_founder, self._now = study, tracker, is_founder, now
        self._reopens, self._take_turn = reopens, take_turn
        self._result: StudyResult | None = None
        self._key = ""
        self._held: list[TrialRecord] = []
        self._is_started = self._is_noted = False
        self._looked = -EVERY

    def start(self, result: StudyResult, run_id: str | None = None, key: str = "", lost: Collection[int] = ()) -> None:
        """Take up the parent run, or make it as the founder, or wait until it is noted."""
        self._result, self._key, self._is_noted = result, key, bool(run_id)
        if run_id or self._is_founder:
            self._begin(run_id)

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Write a trial of this worker, or hold it until there is a parent run."""
        if self._is_started:
            self._tracker.trial(record, result)
        else:
            self._held.append(record)

    def epoch(self, active: int, epochs_done: int) -> None:
        """Note the parent run that was made here, or look for the one that another worker made."""
        if isinstance(self._tracker, Untracked) or self._is_noted or self._now() - self._looked < EVERY:
            return
        self._looked = self._now()
        self._take_turn()
        noted = self._study.user_attrs.get(PARENT)
        if noted and not self._is_started:
            self._begin(noted["run_id"])
        elif not noted and self._is_founder and self._tracker.run_id:
            with suppress(ReplacedError):
                self._study.set_user_attr(PARENT, self._tracker.where())
        self._is_noted = bool(noted)

    def _begin(self, run_id: str | None) -> None:
        assert self._result is not None
        self._is_started = True
        held = replace(self._result, trials=self._held)
        self._tracker.start(held, run_id, self._key, is_alone=False, reopens=self._reopens)
        self._held = []
