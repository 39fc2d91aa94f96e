"""A study that other processes run, as its storage shows it: nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lossreg.errors import count_of
from lossreg.reporting.watcher import Watcher
from lossreg.search import budget, history
from lossreg.search.unfinished import CLOCK, PLACED
from lossreg.storage.activity import Activity
from lossreg.storage.observer import Running
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE

# seconds between two looks, or this many times as long as a look takes
EVERY, REST = 1.0, 10
# of these, between two looks at the keys
STEP = 0.1
STARTING = "a run is starting"


def running(study: optuna.Study) -> list[Running]:
    """Return the trials that run; their epochs are known where a pruner is told of them, and are 0 otherwise."""
    epochs = study.user_attrs[ATTRIBUTE]["spec"].get("train", {}).get("epochs", 0)
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [_running(trial, epochs) for trial in trials if "loss" in trial.params and _is_placed(trial)]


def _is_placed(trial: FrozenTrial) -> bool:
    """Tell a trial that is trained from one that waits for its turn, where that is noted."""
    marks = trial.user_attrs.get(CLOCK)
    return marks is None or marks.get(PLACED, -1) >= 0


def _running(trial: FrozenTrial, epochs: int) -> Running:
    epoch = trial.last_step or 0
    score = trial.intermediate_values.get(epoch)
    return Running(trial.params["loss"], epoch, epochs if epoch else 0, score)


def is_run(folder: StudyFolder) -> bool:
    """Return whether another process runs a study, or prepares to."""
    return folder.activity is not None or folder.is_busy


def follow(folder: StudyFolder, watcher: Watcher, pause: Callable[[float], Any] = time.sleep) -> None:
    """Show a study on `watcher` until nobody runs it, or `watcher` is to stop."""
    followed = _Followed(folder, watcher)
    while is_run(folder) and not watcher.stopping():
        begin = time.monotonic()
        followed.look()
        _wait(watcher, max(EVERY, REST * (time.monotonic() - begin)), pause)


class _Followed:
    """A study, as far as its trials were shown to a watcher."""

    def __init__(self, folder: StudyFolder, watcher: Watcher) -> None:
        self._folder, self._watcher = folder, watcher
        self._starting = Activity(STARTING, since=time.time())
        self._shown: set[int] | None = None
        self._done, self._is_over = 0, False

    def look(self) -> None:
        """Tell what is new."""
        activity = self._folder.activity
        # until a run has the lock, the journal has at most a former one
        study = self._folder.peek() if self._folder.is_busy else None
        is_searched = activity is None or not activity.text
        if study is not None and (is_searched or self._shown is not None):
            if activity and is_searched:
                self._watcher.follow(activity)
            self._take(study, activity)
        if study is None or not is_searched:
            self._watcher.follow(activity if activity and activity.text else self._starting)

    def _take(self, study: optuna.Study, activity: Activity | None) -> None:
        """Tell of the trials of a study, and of its end where the run does not tell what it does."""
        if self._is_over:
            return
        result, trials = history.result(study, self._folder.path), budget.of(study)
        now = list((activity and activity.running) or running(study))
        if self._shown is None:
            self._shown, self._done = {trial.number for trial in result.trials}, self._folder.ended(study)
            self._watcher.begin(trials, self._done, list(result.losses), 0)
        new = _tell(self._watcher, result, now, self._shown)
        # also a trial that fails: only the next run repeats it
        self._shown, self._done = self._shown | new, self._done + len(new)
        if self._done >= trials and not now:
            self._is_over = True
            self._watcher.searched()
            if not activity:
                self._watcher.phase(f"{count_of(trials, 'trial')} done; the study is being finished")


def _tell(watcher: Watcher, result: StudyResult, now: list[Running], shown: set[int]) -> set[int]:
    """Tell of the trials that have ended since, and of those that run; return the numbers of the first."""
    watcher.look(result, lambda: now)
    new = [trial for trial in result.trials if trial.number not in shown]
    for trial in new:
        watcher.trial(trial, result)
    watcher.epoch(len(now), 0)
    return {trial.number for trial in new}


def _wait(watcher: Watcher, seconds: float, pause: Callable[[float], Any]) -> None:
    for _ in range(round(seconds / STEP)):
        if watcher.stopping():
            return
        pause(STEP)
