"""The `Tracker`: a process of its own between a study and its MLflow store."""

from __future__ import annotations

import contextlib
import itertools
import queue
import shutil
import threading
import time
from collections.abc import Callable, Collection
from typing import IO, Any, Protocol

from lossreg.errors import LossregError
from lossreg.storage.observer import Observer
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.terminal import masking
from lossreg.tracking import model_package, wire
from lossreg.tracking import uri as store
from lossreg.tracking.process import Process


class Link(Protocol):
    """A process, or what stands in for one: see `Process`."""

    lines: IO[bytes]
    answers: IO[bytes]

    def kill(self) -> None:
        """End it at once."""
        ...

    def wait(self) -> int:
        """Wait until it has ended; its exit status."""
        ...


class Tracker(Observer):
    """Writes a study into MLflow through a process of its own, which imports neither Keras nor TensorFlow.

    `uri` comes from `check`. `key` names the study for good: a parent run that carries it is
    found again even when its run id was lost. `warn` is told, from a thread, why tracking was
    given up; everything after that is dropped, and `sync` brings it up later. With `required`,
    `start` and `finish` raise `LossregError` instead. Nothing waits for more than `patience`
    seconds without progress. `launch` starts what stands in for `Process`.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        *,
        key: str = "",
        warn: Callable[[str], None] = lambda text: None,
        required: bool = False,
        patience: float = 60.0,
        launch: Callable[[], Link] | None = None,
    ) -> None:
        masking.learn(uri)
        self.uri, self.experiment = uri, experiment
        self.run_id = self.experiment_id = ""
        self.error = ""
        self.seconds = self.waited = 0.0
        self._key, self._warn, self._required, self._patience = key, warn, required, patience
        self._launch = launch
        self._link: Link | None = None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._tickets, self._done = itertools.count(1), 0
        self._news = threading.Condition()
        self._progress = time.monotonic()
        self._started = self._drawn = self._closed = False
        self._end = ""

    # ------------------------------------------------------------------- what a study calls

    def prepare(self) -> None:
        """Start the process, which imports MLflow and makes new tables in memory; no store is touched before `start`.

        Whoever calls it calls `close` in the end.
        """
        try:
            self._link = (self._launch or Process)()
        except OSError as error:
            self._end = f"its process does not start ({error})"
            return
        threading.Thread(target=self._pump, args=(self._link,), name="lossreg-tracking", daemon=True).start()
        threading.Thread(target=self._listen, args=(self._link,), name="lossreg-answers", daemon=True).start()
        self._tell("prepare", uri=self.uri, experiment=self.experiment)

    def start(self, result: StudyResult, run_id: str | None = None, key: str = "", lost: Collection[int] = ()) -> None:
        """Create the parent run or take `run_id` up again, and write every trial of `result` that is missing.

        `lost` are the numbers of trials that were cut off for good, for which the best score so far does not wait.
        """
        if self._link is None and not self._end:
            self.prepare()
        self.run_id, self._started, self._progress = run_id or "", True, time.monotonic()
        trials = [wire.entry(trial) for trial in result.trials]
        about = {"run_id": self.run_id, "key": key or self._key, "lost": list(lost)}
        self._tell("open", result=wire.header(result), trials=trials, **about)
        if self._end:
            self._give_up(self._end)
        if self._required:
            self._wait(self._is_opened)
            self._insist()

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Queue the child run of an ended trial; returns at once."""
        if not self.error:
            self._tell("trial", trial=wire.entry(record))

    def where(self) -> dict[str, Any]:
        """The result's `tracking`; waits for the parent run, and has None for what there is not."""
        self._wait(self._is_opened)
        return {
            "uri": store.shown(self.uri),
            "experiment": self.experiment,
            "experiment_id": self.experiment_id or None,
            "run_id": self.run_id or None,
        }

    def spent(self) -> dict[str, float]:
        """Seconds of `tracking` in its own process, and how much of it the study waited for."""
        return {"tracking": self.seconds, "tracking_waited": self.waited}

    def flush(self) -> None:
        """Wait until everything queued is written. The parent counts as killed unless `finish` follows."""
        self._ask("flush")

    def trained(self, result: StudyResult) -> None:
        """Queue the plots of a study that has ended; returns at once. `finish` follows, and draws them otherwise."""
        self._drawn = True
        self._tell("draw", result=wire.header(result))

    def finish(self, result: StudyResult, model: Any = None) -> None:
        """Write what is queued, the report, the plots and the model; end the parent run and the process.

        model is a Keras model, the path of one, or what `describe` says of one.
        """
        status = "FINISHED" if result.best is not None else "FAILED"
        if not self._drawn:
            self.trained(result)
        about, folder = model_package.of(model) if model is not None and not self.error else (None, None)
        self._ask("finish", result=wire.header(result), status=status, model=about)
        self.close()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._insist()

    def sync(self, result: StudyResult, run_id: str | None = None, model: Any = None) -> dict[str, Any]:
        """Write whatever of `result` is missing in MLflow, complete what is half-written; the new `tracking`."""
        try:
            self.start(result, run_id)
            self.finish(result, model)
        finally:
            self.close()
        return self.where()

    def close(self) -> None:
        """Hang up: the process writes what it was told and ends, at once if no study was begun."""
        self._closed = True
        self._lines.put(None)

    # ------------------------------------------------------------------------------ waiting

    def _ask(self, what: str, **more: Any) -> None:
        """Tell something and wait until it is done."""
        ticket = next(self._tickets)
        self._tell(what, ticket=ticket, **more)
        self._wait(lambda: self._done >= ticket)

    def _is_opened(self) -> bool:
        return bool(self.experiment_id) or not self._started

    def _wait(self, ready: Callable[[], bool]) -> None:
        began = time.monotonic()
        with self._news:
            while not ready() and not self.error:
                self._news.wait(0.2)
                if time.monotonic() - max(self._progress, began) > self._patience:
                    self._give_up(f"nothing written for {self._patience:.0f} s")
        self.waited += time.monotonic() - began

    def _insist(self) -> None:
        if self._required and self.error:
            raise LossregError(f"tracking failed: {self.error}")

    # ---------------------------------------------------------------------------- the process

    def _tell(self, what: str, **more: Any) -> None:
        self._lines.put(wire.line({"do": what, **more}))

    def _pump(self, link: Link) -> None:
        """Carry lines to the process, on a thread: a process that stands still holds nothing else up."""
        with contextlib.suppress(OSError):  # it is gone, which the other thread tells
            while (line := self._lines.get()) is not None:
                link.lines.write(line)
                link.lines.flush()
        with contextlib.suppress(OSError):
            link.lines.close()

    def _listen(self, link: Link) -> None:
        """Take what the process says until it ends."""
        with contextlib.suppress(ValueError):  # killed half-way through a line
            for line in link.answers:
                self._hear(wire.message(line))
        status = link.wait()
        link.answers.close()
        self._end = f"its process ended with exit code {status}"
        if self._started and not self._closed:
            self._give_up(self._end)

    def _hear(self, said: dict[str, Any]) -> None:
        if "warning" in said:
            self._warn(masking.masked(said["warning"]))
        if "error" in said:
            self._give_up(said["error"])
        with self._news:
            self.run_id = said.get("run_id", self.run_id)
            self.experiment_id = said.get("experiment_id", self.experiment_id)
            self.seconds = said.get("seconds", self.seconds)
            self._done = said.get("done", self._done)
            self._progress = time.monotonic()
            self._news.notify_all()

    def _give_up(self, reason: str) -> None:
        if self.error:
            return
        self.error = masking.masked(reason)
        self.close()
        if self._link is not None:
            self._link.kill()
        if not self._required:
            self._warn(
                f"MLflow at {store.shown(self.uri)}: {self.error}. The study goes on without it; "
                "`lossreg sync STUDY` writes the runs later."
            )


class Untracked(Observer):
    """Stands in for the tracker of a study that is not tracked, or has nothing left to be written."""

    error = ""

    def spent(self) -> dict[str, float]:
        """No time."""
        return {"tracking": 0.0, "tracking_waited": 0.0}

    def prepare(self) -> None:
        """Nothing."""

    def start(self, result: StudyResult, run_id: str | None = None, key: str = "", lost: Collection[int] = ()) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing is waiting."""

    def where(self) -> dict[str, Any]:
        """Nowhere."""
        return {}

    def finish(self, result: StudyResult, model: Any = None) -> None:
        """Nothing is tracked."""

    def close(self) -> None:
        """Nothing runs."""
