"""What runs in the process that tracks a study: it is told by lines of JSON, and answers with such.

It knows two kinds of end. Told `finish`, it writes all and answers. When the pipe ends before that, the study was
killed: it writes what it was told, closes the parent run as killed, and is gone within `GRACE` seconds. A study
that never began is left at once, with nothing written anywhere.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lossreg.storage.records import TrialRecord
from lossreg.terminal import masking
from lossreg.tracking import uri as store
from lossreg.tracking import wire

if TYPE_CHECKING:
    from lossreg.tracking.database import NewDatabase
    from lossreg.tracking.writer import Writer

REFRESH = 5.0
GRACE = 60.0
# MLflow's own 120 s and 7 tries would hold a study up for a quarter of an hour; its usage
# reports are nobody's business that did not ask for them.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MPLBACKEND": "agg",
}
Message = dict[str, Any]


class Session:
    """One study on its way into one store; `answer` takes what is said in return."""

    def __init__(self, answer: Callable[..., None]) -> None:
        self.answer = answer
        self.uri = self.experiment = ""
        self.is_open = self._refused = False
        self._ready: NewDatabase | None = None
        self._lock: IO[bytes] | None = None
        self._refreshed = time.monotonic()

    def prepare(self, uri: str, experiment: str) -> None:
        """Import MLflow and make the tables of a database that is not there yet, in memory; nothing is written.

        What fails here fails again, and is told, when the study opens.
        """
        self.uri, self.experiment = uri, experiment
        masking.learn(uri)
        with contextlib.suppress(Exception):
            from lossreg.tracking import writer
            from lossreg.tracking.database import NewDatabase

            writer.quiet()
            self.answer()
            if store.is_missing(uri):
                self._ready = NewDatabase()
                self.answer()
            # MLflow's own name for it would load it late
            for needed in ("mlflow.pyfunc", "lossreg.reporting.study_plots"):
                importlib.import_module(needed)

    def open(self, result: Message, trials: list[Message], run_id: str, key: str, lost: Iterable[int] = ()) -> None:
        """Create the parent run or take it up again, and write every trial that is missing."""
        self.result = wire.study(result, [])
        self._wait_for_a_predecessor(result["folder"])
        store.knock(self.uri)
        store.make(self.uri, self._ready)
        self.writer = self._connect()
        there = list(map(wire.trial, trials))
        self.result.trials.extend(there)
        self.writer.open(self.result, run_id, key, lost)
        self.is_open = True
        self.answer(run_id=self.writer.run_id, experiment_id=self.writer.experiment_id)
        self._write(there)

    def _connect(self) -> Writer:
        from lossreg.tracking.writer import Writer

        return Writer(self.uri, self.experiment)

    def _wait_for_a_predecessor(self, folder: str) -> None:
        """Until the process of a killed run has written what it was told: two would write each trial twice."""
        if not folder or not Path(folder).is_dir():
            return
        import fcntl

        self._lock = Path(folder, "tracking.lock").open("wb")  # noqa: SIM115
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def add(self, trials: list[TrialRecord]) -> None:
        """Write trials that ended."""
        self.result.trials.extend(trials)
        self.result.trials.sort(key=lambda trial: trial.number)
        self._write(trials)

    def _write(self, trials: list[TrialRecord]) -> None:
        """Some at a time, each a sign of life: a study waits for no server that has gone quiet."""
        for start in range(0, len(trials), self.writer.at_once):
            self.writer.write(trials[start : start + self.writer.at_once], self.result.metric)
            self.answer()

    def rest(self) -> None:
        """There is time to bring the parent's page up to date."""
        if self.is_open and time.monotonic() - self._refreshed > REFRESH:
            self.writer.refresh(self.result)
            self._refreshed = time.monotonic()

    def flush(self, ticket: int) -> None:
        """Everything so far is written; the parent counts as killed unless more comes."""
        self.interrupt()
        self.answer(done=ticket)

    def interrupt(self) -> None:
        """The study ends here, for now."""
        self.writer.refresh(self.result)
        self.writer.close(self.result, "KILLED")

    def draw(self, result: Message) -> None:
        """The plots of a study that has ended."""
        self.result = wire.study(result, self.result.trials)
        self._with_files(self.writer.draw, self.result)

    def finish(self, result: Message, status: str, model: Message | None, ticket: int) -> None:
        """The parent's summary, then what needs an artifact store, which may be closed to us; the parent ends."""
        self.result = wire.study(result, self.result.trials)
        self.writer.summarise(self.result)
        self._with_files(self.writer.tabulate, self.result)
        if model is not None:
            self._with_files(self.writer.log_model, self.result, model)
        self.writer.close(self.result, status)
        self.is_open = False
        self.leave()
        self.answer(done=ticket)

    def _with_files(self, work: Callable[..., None], *args: Any) -> None:
        if self._refused:
            return
        try:
            work(*args)
        except Exception as error:
            self._refused = True
            self.answer(warning=f"MLflow has the trials, but took no plots or model: {reason(error, self.uri)}")

    def leave(self) -> None:
        """Let the next process have the study."""
        if self._lock is not None:
            self._lock.close()


def serve(lines: IO[bytes], answers: IO[bytes], leave: Callable[[], None] = lambda: None) -> None:
    """Do what the lines say until they end; `leave` ends this process when nobody waits for it any more.

    After the first failure, which is answered, nothing more is done.
    """
    session, spent = Session(partial(_answer, answers)), 0.0
    inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, inbox, leave), name="lossreg-inbox", daemon=True).start()
    try:
        for messages in _batches(inbox):
            began = time.monotonic()
            _obey(session, messages)
            if inbox.empty():
                session.rest()
            spent += time.monotonic() - began
            session.answer(seconds=spent)
        if session.is_open:
            session.interrupt()
    except Exception as error:
        session.answer(error=reason(error, session.uri))
    finally:
        session.leave()


def _obey(session: Session, messages: list[Message]) -> None:
    """Messages of one kind: one of any, or several trials."""
    if messages[0]["do"] == "trial":
        session.add([wire.trial(message["trial"]) for message in messages])
        return
    [message] = messages
    getattr(session, message["do"])(**{name: value for name, value in message.items() if name != "do"})


def _batches(inbox: queue.SimpleQueue[Message | None]) -> Iterator[list[Message]]:
    """The messages in order, the trials that lie there together."""
    held: list[Message] = []
    while (message := inbox.get()) is not None:
        if message["do"] != "trial":
            if held:
                yield held
                held = []
            yield [message]
            continue
        held.append(message)
        if inbox.empty():
            yield held
            held = []
    if held:
        yield held


def _read(lines: IO[bytes], inbox: queue.SimpleQueue[Message | None], leave: Callable[[], None]) -> None:
    """Take every line off the pipe as soon as it comes, so that the study never waits."""
    begun = False
    with contextlib.suppress(ValueError):  # the last line of a killed study may be cut off
        for line in lines:
            message = wire.message(line)
            begun = begun or message["do"] == "open"
            inbox.put(message)
    if not begun:
        leave()
    inbox.put(None)
    time.sleep(GRACE)
    leave()


def _answer(answers: IO[bytes], **message: Any) -> None:
    """Say something, to nobody if the study is gone."""
    with contextlib.suppress(OSError, ValueError):
        answers.write(wire.line(masking.masked_values(message)))
        answers.flush()


def reason(error: Exception, uri: str) -> str:
    """Return what went wrong with the store `uri` and what to do, or the first line of the error, without SQL."""
    text = masking.masked(str(error)).strip() or type(error).__name__
    if known := store.explained(text, error, uri):
        return known
    first = text.splitlines()[0].strip().rstrip(".")
    return first if len(first) <= 300 else f"{first[:300]} ..."


def main() -> None:
    """Serve on standard input and output; whatever else prints, prints elsewhere."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers, leave=partial(os._exit, 0))
    answers.flush()
    # no thread or exit handler of a library holds the end up
    os._exit(0)
