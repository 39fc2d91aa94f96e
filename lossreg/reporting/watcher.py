"""The common part of all displays of a running study: how far it is, and a request to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lossreg.errors import count_of
from lossreg.reporting import values
from lossreg.reporting.pace import Pace, clock
from lossreg.storage.activity import Activity
from lossreg.storage.observer import Ahead, Observer, Running
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord


class Task(NamedTuple):
    """Work that is done, since when, and how many of its trainings are done; 0 of 0 where it has none."""

    text: str
    since: float
    done: float = 0.0
    total: int = 0


class Watcher(Observer):
    """The common part of all displays: a request to stop, and the result when training ends.

    pace: how fast the study is, and when it ends; is_onlooker: whether it shows a study that another process runs, so
    that q leaves it at any time; training: whether trials are trained now; messages: those shown so far; is_concluded:
    whether the caller prints how the study ended; on_trained: called with the result when its leaderboard is final.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self.pace = now, Pace(now)
        self._task = Task("", now())
        self._result: StudyResult | None = None
        self.training = self.is_concluded = self.is_onlooker = False
        self.messages: set[str] = set()
        self.on_trained: Callable[[StudyResult], Any] = lambda result: None
        self._stop: str | None = None

    @property
    def hint(self) -> str:
        """The effect of the key q, where it is read."""
        return "q leaves: the study goes on without it" if self.is_onlooker else "q ends after this epoch"

    @property
    def stopped_by_q(self) -> str:
        """The line that is shown once it was pressed."""
        return "leaving" if self.is_onlooker else "q: finishing the epoch; Ctrl-C ends at once"

    def stop(self, text: str) -> None:
        """Ask the study to end after the epoch, and show `text`, if any, at once. A signal's handler may call it."""
        self._stop = text

    def stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stop is not None

    def phase(self, text: str) -> None:
        """Show what is being done."""
        self._task = Task(text, self._now())

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Count the trials, of which some may be done."""
        self.training = True
        self._task = Task("", self._now())
        self.pace.begin(total, done)

    def expect(self, ahead: Ahead) -> None:
        """Count what follows the search in the time left."""
        self.pace.expect(ahead)

    def retrained(self, task: str, done: float, total: int) -> None:
        """Show how many trainings of a task are done."""
        self.pace.retrained(task, done, total)
        since = self._task.since if task == self._task.text else self._now()
        self._task = Task(task, since, done, total)

    def follow(self, activity: Activity) -> None:
        """Show what another process does, with the time left that it has noted."""
        now = time.time()
        left = None if activity.left is None else max(0.0, activity.left - (now - activity.at))
        is_counted = activity.total or activity.speed or left is not None
        self.pace.reported = (activity.speed, left) if is_counted else None
        if not activity.text:
            return
        if self.training:
            self.searched()
        if activity.total:
            self.retrained(activity.text, activity.done, activity.total)
        elif activity.text != self._task.text:
            self.phase(activity.text)
        self._task = self._task._replace(since=self._now() - max(0.0, now - activity.since))

    def look(self, result: StudyResult, running: Callable[[], Sequence[Running]]) -> None:
        """Show the trials that run, too."""
        self._result = result
        self.pace.look(running)

    def epoch(self, active: int, epochs_done: int) -> None:
        """Count the time from the end of the first epoch on, in which programs are compiled."""
        self.pace.epoch()

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial."""
        self.pace.done += 1
        self._result = result

    def elsewhere(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial of another worker."""
        self.trial(record, result)

    def searched(self) -> None:
        """Show no more how many trials have ended."""
        if self.training:
            self.pace.searched()
        self.training = False

    def trained(self, result: StudyResult) -> None:
        """Remove what is shown and pass the result to `on_trained`."""
        self.searched()
        self.close()
        self.on_trained(result)

    def interrupted(self, text: str) -> None:
        """Remove what is shown, and leave a line on how the study goes on."""
        self.close()
        self.message(text)

    def close(self) -> None:
        """Remove what is shown."""

    def doing(self, *, with_running: bool = True) -> str:
        """Return what is done now, in one line, with its own progress and the time left; empty before anything is.

        with_running: trials that run are counted, with their epochs.
        """
        if self.training:
            return self._reached(self.pace.running() if with_running else ()) if self._result else ""
        if not self._task.text:
            return ""
        left = self.pace.remaining() if self._task.total else ""
        return ", ".join(filter(None, [self._progress(), self._so_far(), left]))

    def _progress(self) -> str:
        task = self._task
        if not task.total:
            return task.text
        share = f"{_share(task)} of" if task.done else "setting up"
        return f"{task.text}: {share} {count_of(task.total, 'training')}"

    def _so_far(self) -> str:
        """Return `0:12 so far` of work whose progress is not known."""
        seconds = self._now() - self._task.since
        return f"{clock(seconds)} so far" if seconds >= 1 and not self._task.done else ""

    def _reached(self, running: Sequence[Running]) -> str:
        """Return `14/64 trials, 20 in epoch 12 of 30, highest accuracy 0.9731 (focal), 2.0 trials/s, 0:25 left`."""
        trained = f"{count} {where(running) or 'running'}" if (count := len(in_training(running))) else ""
        best = standing(self._result) if self._result and self._result.trials else ""
        counts = f"{self.pace.done:,}/{self.pace.total:,} trials"
        pace = str(self.pace) or (self._so_far() if self.pace.done == 0 else "")
        return ", ".join(filter(None, [counts, trained, best, pace]))


def _share(task: Task) -> str:
    """Return `35%`: a number would count as done what trainings that go on side by side have in common."""
    percent = math.floor(round(100 * task.done / task.total, 6))
    return f"{percent}%" if percent else "under 1%"


def standing(result: StudyResult) -> str:
    """Return `highest accuracy 0.9731 (focal), 9 pruned`: the top score and the trials that did not complete."""
    best, top = result.best, f"{'confirmed' if result.confirmed(result.best) else result.extreme} {result.metric}"
    tied = f" and {len(result.ties) - 1} more" if result.ties else ""
    score = values.number(result.compared_score(best))
    violates = "" if best is None or result.keeps(best) else ", which violates a constraint"
    leader = f"{top} {score} ({best.candidate}{tied}{violates})" if best else "no trial completed yet"
    others = [f"{count:,} {state}" for state, count in result.counts.items() if count and state != "complete"]
    return ", ".join([leader, *others])


def in_training(running: Sequence[Running]) -> list[Running]:
    """Return the trials that go on; the others have had their last epoch, and their end is about to be told."""
    return [one for one in running if one.epoch < one.epochs or not one.epochs]


def where(running: Sequence[Running]) -> str:
    """Return `in epoch 12 of 30`, or `in epochs 3 to 12 of 30`, of trials in training; empty if not known."""
    trained = [one for one in in_training(running) if one.epochs]
    if not trained:
        return ""
    first, last = min(one.epoch for one in trained) + 1, max(one.epoch for one in trained) + 1
    return f"in {f'epochs {first} to {last}' if last > first else f'epoch {last}'} of {trained[0].epochs}"
