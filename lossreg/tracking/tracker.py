"""The `Tracker`: a thread and a queue between a study and its MLflow store."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lossreg.errors import LossregError
from lossreg.records import StudyResult, TrialRecord
from lossreg.tracking import store

if TYPE_CHECKING:
    from lossreg.tracking.writer import Writer

REFRESH = 5.0
# MLflow's own 120 s and 7 tries would hold a study up for a quarter of an hour; its prints would
# end up in JSON documents; its usage reports are nobody's business that did not ask for them.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
Job = Callable[["Writer"], None]


class Tracker:
    """Writes a study into MLflow on a thread of its own.

    `uri` comes from `check`. `key` names the study for good: a parent run that carries it is
    found again even when its run id was lost. `warn` is told, from the thread, why tracking was
    given up; everything after that is dropped, and `sync` brings it up later. With `required`,
    `start` and `finish` raise `LossregError` instead. Nothing waits for more than `patience`
    seconds without progress.
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
    ) -> None:
        self.uri, self.experiment = uri, experiment
        self.run_id = self.experiment_id = ""
        self.error = ""
        self.seconds = 0.0
        self._key, self._warn, self._required, self._patience = key, warn, required, patience
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lossreg-tracking", daemon=True)
        self._result: StudyResult | None = None
        self._opened = threading.Event()
        self._progress = time.monotonic()

    def start(self, result: StudyResult, run_id: str | None = None) -> None:
        """Create the parent run or take `run_id` up again, and write every trial of `result` that is missing."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        self._result = replace(result, trials=list(result.trials))
        self.run_id = run_id or ""
        self._jobs.put(lambda writer: self._open(writer, run_id or ""))
        for trial in result.trials:
            self._jobs.put(lambda writer, trial=trial: writer.write(trial, result.metric))  # type: ignore[misc]
        self._progress = time.monotonic()
        self._thread.start()
        if self._required:
            self._wait(self._opened)
            self._insist()

    def trial(self, trial: TrialRecord) -> None:
        """Queue the child run of an ended trial; returns at once."""
        if not self.error:
            self._jobs.put(lambda writer: self._add(writer, trial))

    def where(self) -> dict[str, Any]:
        """The result's `tracking`; waits for the parent run, and has None for what there is not."""
        self._wait(self._opened)
        return {
            "uri": store.shown(self.uri),
            "experiment": self.experiment,
            "experiment_id": self.experiment_id or None,
            "run_id": self.run_id or None,
        }

    def flush(self) -> None:
        """Wait until everything queued is written. The parent counts as killed unless `finish` follows."""
        done = threading.Event()
        if (so_far := self._result) is not None:
            self._jobs.put(lambda writer: writer.refresh(so_far))
            self._jobs.put(lambda writer: writer.close(so_far, "KILLED"))
        self._jobs.put(lambda writer: done.set())
        self._wait(done)

    def finish(self, result: StudyResult, model: Any = None) -> None:
        """Write what is queued, the report, the plots and the model (or the path of one); end the parent."""
        status = "FINISHED" if result.best is not None else "FAILED"
        done = threading.Event()
        self._jobs.put(lambda writer: self._conclude(writer, result, model))
        self._jobs.put(lambda writer: writer.close(result, status))
        self._jobs.put(lambda writer: done.set())
        self._wait(done)
        self._jobs.put(None)
        self._insist()

    def sync(self, result: StudyResult, run_id: str | None = None, model: Any = None) -> dict[str, Any]:
        """Write whatever of `result` is missing in MLflow, complete what is half-written; the new `tracking`."""
        self.start(result, run_id)
        self.finish(result, model)
        return self.where()

    def _wait(self, event: threading.Event) -> None:
        while not event.wait(0.2) and not self.error:
            if time.monotonic() - self._progress > self._patience:
                self._give_up(f"nothing written for {self._patience:.0f} s")

    def _insist(self) -> None:
        if self._required and self.error:
            raise LossregError(f"tracking failed: {self.error}")

    def _work(self) -> None:
        """The thread: one job after the other; after the first failure the rest is dropped."""
        writer, refreshed = None, time.monotonic()
        while (job := self._jobs.get()) is not None and not self.error:
            began = time.monotonic()
            try:
                writer = writer or self._connect()
                job(writer)
                if self._jobs.empty() and began - refreshed > REFRESH and self._result is not None:
                    writer.refresh(self._result)
                    refreshed = time.monotonic()
            except Exception as error:
                self._give_up(_reason(error))
            finally:
                self._progress = time.monotonic()
                self.seconds += self._progress - began

    def _connect(self) -> Writer:
        store.knock(self.uri)
        store.make(self.uri)
        from lossreg.tracking.writer import Writer

        return Writer(self.uri, self.experiment)

    def _open(self, writer: Writer, run_id: str) -> None:
        assert self._result is not None
        writer.open(self._result, run_id, self._key)
        self.run_id, self.experiment_id = writer.run_id, writer.experiment_id
        self._opened.set()

    def _add(self, writer: Writer, trial: TrialRecord) -> None:
        assert self._result is not None
        self._result.trials.append(trial)
        writer.write(trial, self._result.metric)

    def _conclude(self, writer: Writer, result: StudyResult, model: Any) -> None:
        """The parent's summary, then what needs an artifact store, which may be closed to us."""
        writer.summarise(result)
        try:
            writer.illustrate(result)
            if model is not None:
                writer.log_model(result, model)
        except Exception as error:
            self._warn(f"MLflow has the trials, but took no plots or model: {_reason(error)}")

    def _give_up(self, reason: str) -> None:
        if self.error:
            return
        self.error = reason
        if not self._required:
            self._warn(
                f"MLflow at {store.shown(self.uri)}: {reason}. The study goes on without it; "
                "`lossreg sync STUDY` writes the runs later."
            )


def _reason(error: Exception) -> str:
    """The first line of an error, without SQL or stack."""
    text = str(error).strip() or type(error).__name__
    first = text.splitlines()[0].strip().rstrip(".")
    return first if len(first) <= 300 else f"{first[:300]} ..."


class Untracked:
    """Stands in for the tracker of a study that is not tracked."""

    seconds = 0.0

    def start(self, result: StudyResult, run_id: str | None = None) -> None:
        """Nothing."""

    def trial(self, trial: TrialRecord) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing is waiting."""

    def where(self) -> dict[str, Any]:
        """Nowhere."""
        return {}

    def finish(self, result: StudyResult, model: Any = None) -> None:
        """Nothing is tracked."""
