"""Notes what a run does in its activity file, beside whatever observer its caller gave."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

from lossreg.reporting.watcher import Watcher
from lossreg.storage.activity import Activity, ActivityFile
from lossreg.storage.observer import Observer

# trials that run, of which those who watch are told; of more they know what the journal has
MOST_NOTED = 64


class ActivityNotes(Watcher):
    """Shows nothing, and writes what is done into the activity file of a run."""

    def __init__(self, file: ActivityFile) -> None:
        super().__init__()
        self._file = file

    def phase(self, text: str) -> None:
        """Note what is being done."""
        super().phase(text)
        self._note()

    def begin(self, total: int, done: int, candidates: Sequence[str], together: int) -> None:
        """Note that trials are searched."""
        super().begin(total, done, candidates, together)
        self._note()

    def retrained(self, task: str, done: float, total: int) -> None:
        """Note how many trainings of a task are done."""
        super().retrained(task, done, total)
        self._note()

    def epoch(self, active: int, epochs_done: int) -> None:
        """Note the speed and the time left."""
        super().epoch(active, epochs_done)
        self._note()

    def meanwhile(self) -> None:
        """Note that an epoch lasts."""
        self._note()

    def _note(self) -> None:
        task, seconds = self._task, self._now() - self._task.since
        if not (self.training or task.text):
            return
        running = tuple(self.pace.running()) if self.training else ()
        running = running if len(running) <= MOST_NOTED else ()
        self._file.note(
            Activity(
                task.text, task.done, task.total, time.time() - seconds, speed=self.pace.speed(),
                left=self.pace.left(), running=running,
            )
        )  # fmt: skip


def beside(observer: Observer, file: ActivityFile) -> Observer:
    """Return an observer that passes everything on, and notes it in a file."""
    return cast(Observer, _Both(ActivityNotes(file), observer))


class _Both:
    """Two observers as one, which answers what the second one answers."""

    def __init__(self, first: Observer, second: Observer) -> None:
        self._first, self._second = first, second

    def __getattr__(self, name: str) -> Any:
        first, second = getattr(self._first, name), getattr(self._second, name)

        def both(*told: Any) -> Any:
            first(*told)
            return second(*told)

        return both
