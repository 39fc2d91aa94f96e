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
from lossreg.storage.observer import Running
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE

# seconds between two looks, or this many times as long as a look takes
EVERY, REST = 1.0, 10
# of these, between two looks at the keys
STEP = 0.1


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


def follow(folder: StudyFolder, watcher: Watcher, pause: Callable[[float], Any] = time.sleep) -> None:
    """Show a study on `watcher` until nobody runs it, or `watcher` is to stop."""
    shown: set[int] | None = None
    done, is_over = 0, False
    while folder.is_busy and not watcher.stopping():
        begin = time.monotonic()
        study = folder.read()
        result, trials, now = history.result(study, folder.path), budget.of(study), running(study)
        if shown is None:
            shown, done = {trial.number for trial in result.trials}, folder.ended(study)
            watcher.begin(trials, done, list(result.losses), 0)
        if not is_over:
            new = _tell(watcher, result, now, shown)
            # also a trial that fails: only the next run repeats it
            shown, done = shown | new, done + len(new)
        if done >= trials and not now and not is_over:
            is_over = True
            watcher.searched()
            watcher.phase(f"{count_of(trials, 'trial')} done; the study is being finished")
        _wait(watcher, max(EVERY, REST * (time.monotonic() - begin)), pause)


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
