"""The `Tracker` of a study: hands its trials to a process that writes them into MLflow."""

from __future__ import annotations

import contextlib
import itertools
import queue
import shutil
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from lossreg.errors import LossregError, count_of
from lossreg.storage.observer import Observer
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.terminal import caller, masking
from lossreg.tracking import failures, messages, model_package
from lossreg.tracking.messages import Message
from lossreg.tracking.uri import ping, without_secrets
from lossreg.tracking.worker import Process

# seconds without progress, after which a study, or one that requires tracking, waits no longer
PATIENCE, REQUIRED_PATIENCE = 20.0, 60.0
# seconds in which a store that is known to be away may show that it is back, when the study ends
LAST_TRY = 2.0
# seconds of a wait after which it is told
UNTOLD = 1.0
# seconds that a study waits in all for a store that works, and the share of its own time where that is more
MOST, SHARE = 60.0, 0.1


class Tracker(Observer):
    """Writes a study into MLflow through a process of its own, which imports neither Keras nor TensorFlow.

    `uri` comes from `check`. `key` names the study for good: a parent run that carries it is
    found again even when its run id was lost. `warn` is called once, from a thread, when the store does not work; the
    process goes on trying, and `sync` writes what is still missing in the end. With `required`, `start` and `finish`
    raise `LossregError` instead. `register` is the name under which the model is registered, that of the study where
    it is true. `launch` starts what stands in for `Process`. `on_left` is called, from a thread, with
    the number of children that are still to be written.

    Nothing waits for more than `patience` seconds without progress, `LAST_TRY` for a store that is known to be away,
    and, unless `required`, for more than `MOST` seconds, or `SHARE` of the study's time, in all.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        *,
        key: str = "",
        warn: Callable[[str], None] = lambda text: None,
        required: bool = False,
        register: bool | str = True,
        patience: float | None = None,
        launch: Callable[[], Process] | None = None,
    ) -> None:
        masking.learn(uri)
        self.uri, self.experiment = uri, experiment
        self.run_id = self.experiment_id = ""
        self.on_left: Callable[[int], None] = lambda left: None
        self._trouble = self._lacking = self._doubt = ""
        self._model: dict[str, Any] = {}
        self.seconds = self.waited = 0.0
        self._key, self._warn, self._required = key, warn, required
        self._register = register
        self._patience = patience or (REQUIRED_PATIENCE if required else PATIENCE)
        self._launch = launch
        self._worker: Process | None = None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._tickets, self._done, self._left = itertools.count(1), 0, 0
        self._change = threading.Condition()
        self._begin = self._progress = time.monotonic()
        self._started = self._closed = self._is_given_up = self._is_told = self._is_trying = False
        self._end = ""

    @property
    def error(self) -> str:
        """The reason why the store lacks something of the study now, empty where it does not."""
        return self._trouble or self._lacking

    # ------------------------------------------------------------------ calls of a study

    def prepare(self) -> None:
        """Start the process, which imports MLflow and makes new tables in memory; nothing is written before `start`.

        Whoever calls it calls `close` in the end.
        """
        try:
            self._worker = (self._launch or Process)()
        except OSError as error:
            self._end = f"its process does not start ({error})"
            return
        threading.Thread(target=self._pump, args=(self._worker,), name="lossreg-tracking", daemon=True).start()
        threading.Thread(target=self._listen, args=(self._worker,), name="lossreg-answers", daemon=True).start()
        if not self._required:
            threading.Thread(target=self._look, name="lossreg-ping", daemon=True).start()
        self._send("prepare", uri=self.uri, experiment=self.experiment)

    def _look(self) -> None:
        """Note a store that does not answer, long before the process can tell: a short study waits for none."""
        try:
            ping(self.uri)
        except LossregError as error:
            self._doubt = failures.reason(error, self.uri)

    def start(
        self, result: StudyResult, run_id: str | None = None, key: str = "", lost: Collection[int] = (),
        *, exact: bool = False, is_alone: bool = True, reopens: bool = False,
    ) -> None:  # fmt: skip
        """Create the parent run or take `run_id` up again, and write every trial of `result` that is missing.

        `lost` are the numbers of trials that were cut off for good: the best score so far does not wait for them.
        `exact` as in `Writer`. `is_alone`: whether no other worker writes trials of this study; where some do, the
        parent run is left to the one that finishes it, and to the one that `reopens` an interrupted study.
        """
        if self._worker is None and not self._end:
            self.prepare()
        self.run_id, self._started, self._progress = run_id or "", True, time.monotonic()
        trials = [messages.of_trial(trial) for trial in result.trials]
        about = {"run_id": self.run_id, "key": key or self._key, "lost": list(lost)}
        how = {"exact": exact, "is_alone": is_alone, "reopens": reopens}
        self._send("open", result=messages.of_study(result), trials=trials, **how, **about)
        if self._end:
            self._give_up(self._end)
        if self._required:
            self._wait(self._is_opened)
            self._raise_if_required()

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Queue the child run of an ended trial; returns at once."""
        if not self._is_given_up:
            self._send("trial", trial=messages.of_trial(record))

    def where(self) -> dict[str, Any]:
        """Return the `tracking` of the result, with None for what is missing; waits for the parent run.

        `error` is there only where the store lacks something; `model`, its address, and `model_trial` once it has the
        model of that trial.
        """
        self._wait(self._is_opened)
        failed = {"error": self.error} if self.error else {}
        return {
            "uri": without_secrets(self.uri),
            "experiment": self.experiment,
            "experiment_id": self.experiment_id or None,
            "run_id": self.run_id or None,
            **self._model,
            **failed,
        }

    def spent(self) -> dict[str, float]:
        """Return the seconds of `tracking` in its process, and those that the study waited for."""
        return {"tracking": self.seconds, "tracking_waited": self.waited}

    def flush(self, tell: Callable[[str], None] | None = None) -> None:
        """Wait until everything queued is written. The parent counts as killed unless `finish` follows.

        tell: called with what a longer wait is for, where Ctrl-C ends it.
        """
        if self._started:
            self._ask("flush", tell)

    def trained(self, result: StudyResult) -> None:
        """Queue the plots of a study that has ended; returns at once. `finish` follows, and draws them otherwise."""
        self._send("draw", result=messages.of_study(result))

    def finish(self, result: StudyResult, model: Any = None, *, is_over: bool = True) -> None:
        """Write what is queued, the report, the plots and the model; end the parent run and the process.

        `model` is a Keras model, the path of one, or its description by `describe`. The parent of a study that was
        interrupted, and so is not `is_over`, is killed.
        """
        status = ("FINISHED" if result.best is not None else "FAILED") if is_over else "KILLED"
        about, folder = model_package.of(model) if model is not None and not self._is_given_up else (None, None)
        name = result.study if self._register is True else self._register or ""
        self._ask("finish", result=messages.of_study(result), status=status, model=about, register=name)
        self.close()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._raise_if_required()

    def sync(
        self, result: StudyResult, run_id: str | None = None, model: Any = None, *, is_over: bool = True
    ) -> dict[str, Any]:
        """Bring MLflow to exactly what `result` has, and return the new `tracking`; is_over as in `finish`."""
        try:
            self.start(result, run_id, exact=True)
            self.finish(result, model, is_over=is_over)
        finally:
            self.close()
        return self.where()

    def close(self) -> None:
        """End the connection: the process writes what it was sent and ends, at once if no study was opened."""
        self._closed = True
        self._lines.put(None)

    # ------------------------------------------------------------------------------ waiting

    def _ask(self, kind: str, tell: Callable[[str], None] | None = None, **more: Any) -> None:
        """Send a message and wait until it is obeyed."""
        ticket = next(self._tickets)
        self._send(kind, ticket=ticket, **more)
        self._wait(lambda: self._done >= ticket, tell)

    def _is_opened(self) -> bool:
        return bool(self.experiment_id or self._trouble) or not self._started

    def _wait(self, ready: Callable[[], bool], tell: Callable[[str], None] | None = None) -> None:
        began = time.monotonic()
        with self._change:
            while not ready() and not self._is_given_up:
                self._change.wait(0.2)
                if tell and time.monotonic() - began > UNTOLD:
                    tell(self._awaited)
                    tell = None
                if reason := self._impatience(began):
                    self._give_up(reason)
        self.waited += time.monotonic() - began

    @property
    def _awaited(self) -> str:
        """What is waited for when a study is interrupted."""
        return (
            f"waiting for MLflow at {without_secrets(self.uri)} to take what is left, at most {self._patience:.0f} s "
            "without an answer; Ctrl-C ends at once"
        )

    def _impatience(self, began: float) -> str:
        """Return why a wait that began then has lasted long enough, empty while it has not."""
        now, trouble = time.monotonic(), self._trouble or self._doubt
        patience = LAST_TRY if trouble and not self._is_trying else self._patience
        if now - max(self._progress, began) > patience:
            return trouble or f"nothing written for {patience:.0f} s"
        most = max(MOST, SHARE * (began - self._begin))
        if not self._required and self.waited + now - began > most:
            left = count_of(self._left, "trial was", "trials were")
            missing = left if self._left else "plots, tables or model were"
            return trouble or f"it is too slow: {missing} still missing {most:.0f} s after the last trial ended"
        return ""

    def _raise_if_required(self) -> None:
        if self._required and self._trouble:
            raise LossregError(f"tracking failed: {self._trouble}")

    # ---------------------------------------------------------------------------- the process

    def _send(self, kind: str, **more: Any) -> None:
        self._lines.put(messages.encode({"do": kind, **more}))

    def _pump(self, worker: Process) -> None:
        """Carry lines to the process, on a thread: a process that stands still delays nothing else."""
        with contextlib.suppress(OSError):  # the process is gone, which the other thread notices
            while (line := self._lines.get()) is not None:
                worker.lines.write(line)
                worker.lines.flush()
        with contextlib.suppress(OSError):
            worker.lines.close()

    def _listen(self, worker: Process) -> None:
        """Take the answers of the process until it ends."""
        with worker.answers, contextlib.suppress(ValueError):  # killed half-way through a line
            for line in worker.answers:
                self._take(messages.decode(line))
        status = worker.wait()
        self._end = f"its process ended with exit code {status}"
        if self._started and not self._closed:
            self._give_up(self._end)

    def _take(self, answer: Message) -> None:
        if "trying" in answer:
            self._is_trying, self._doubt = True, ""
        if "error" in answer:
            self._is_trying = False
            self._note(answer["error"])
        if "left" in answer:
            self._left = answer["left"]
            self.on_left(self._left)
        if reason := masking.masked(answer.get("unregistered", "")):
            self._tell(f"MLflow at {without_secrets(self.uri)} has the model, but did not register it: {reason}")
        if undrawn := masking.masked(answer.get("undrawn", "")):
            self._warn(f"MLflow at {without_secrets(self.uri)} has the study without {undrawn}.")
        if lacking := masking.masked(answer.get("lacking", "")):
            self._lacking = f"it has the trials, but took no plots or model: {lacking}"
            self._tell(f"MLflow at {without_secrets(self.uri)} has the trials, but took no plots or model: {lacking}")
        with self._change:
            self.run_id = answer.get("run_id", self.run_id)
            self.experiment_id = answer.get("experiment_id", self.experiment_id)
            self.seconds = answer.get("seconds", self.seconds)
            self._done = answer.get("done", self._done)
            self._model |= {name: answer[name] for name in ("model", "model_trial") if name in answer}
            self._progress = time.monotonic()
            self._change.notify_all()

    def _give_up(self, reason: str) -> None:
        """End the process, whatever it does: what it has not written is missing."""
        if self._is_given_up:
            return
        self._is_given_up = True
        self._note(reason)
        self.close()
        if self._worker is not None:
            self._worker.kill()

    def _note(self, reason: str) -> None:
        """Note why the store does not work, nothing where it works again."""
        self._trouble = masking.masked(reason)
        if self._trouble and not self._required:
            self._tell(f"MLflow at {without_secrets(self.uri)}: {self._trouble}. The study goes on without it")

    def _tell(self, trouble: str) -> None:
        """Warn of the first trouble."""
        if not self._is_told:
            self._is_told = True
            later = caller.words(f"by `{caller.command('sync')}`", "when the study is run again")
            self._warn(f"{trouble}; what is missing there is written once it works again, or {later}.")


class Untracked(Observer):
    """Stands in for the tracker of a study that is not tracked, or has nothing left to write."""

    error = run_id = experiment_id = ""

    def spent(self) -> dict[str, float]:
        """Return zeros."""
        return {"tracking": 0.0, "tracking_waited": 0.0}

    def prepare(self) -> None:
        """Do nothing."""

    def start(
        self, result: StudyResult, run_id: str | None = None, key: str = "", lost: Collection[int] = (),
        *, exact: bool = False, is_alone: bool = True, reopens: bool = False,
    ) -> None:  # fmt: skip
        """Do nothing."""

    def flush(self, tell: Callable[[str], None] | None = None) -> None:
        """Do nothing."""

    def where(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def finish(self, result: StudyResult, model: Any = None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
