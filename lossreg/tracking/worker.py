"""The process that tracks a study: it reads messages of the study as lines of JSON, and answers likewise."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any

from lossreg.runtime import processes
from lossreg.terminal import masking, signals
from lossreg.tracking import failures, messages
from lossreg.tracking.messages import Message
from lossreg.tracking.session import Session

CODE = "from lossreg.tracking import worker; worker.main()"
GRACE = 60.0
# seconds between signs of life of a process that works, and of processor time that show that it does
PULSE, LEAST_WORK = 5.0, 0.02
# MLflow's own 120 s and 7 tries would hold a study up for a quarter of an hour; the `Session` tries again by itself
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MPLBACKEND": "agg",
}


class Process:
    """A Python in a session of its own, so that Ctrl-C reaches the study alone.

    `lines` takes messages, `answers` gives the answers. Raises `OSError` when it cannot be started.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            processes.python(CODE), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self.lines: IO[bytes] = self._process.stdin
        self.answers: IO[bytes] = self._process.stdout

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def wait(self) -> int:
        """Wait until it has ended, and return its exit status."""
        return self._process.wait()


def serve(lines: IO[bytes], answers: IO[bytes], leave: Callable[[], None] = lambda: None) -> None:
    """Obey the messages in `lines` until they end; a store that fails is tried again in between.

    Lines that end before `finish` come from a killed study: its trials are written, the parent run is closed as
    killed, and `leave`, which ends this process, is called after `GRACE` seconds at the latest, or at once if no study
    was opened.
    """
    session, spent = Session(partial(_answer, answers)), 0.0
    inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, inbox, leave), name="lossreg-inbox", daemon=True).start()
    try:
        for batch in _batches(inbox, lambda: session.patience):
            began = time.monotonic()
            _obey(session, batch)
            if inbox.empty() or session.patience == 0.0:
                session.rest()
            spent += time.monotonic() - began
            session.answer(seconds=spent)
        if session.is_open:
            session.interrupt()
    except Exception as error:
        session.answer(error=failures.reason(error, session.uri))
    finally:
        session.leave()


def _obey(session: Session, batch: list[Message]) -> None:
    """Obey one message of any kind, or several of trials; none was a time without any."""
    if not batch:
        return
    if batch[0]["do"] == "trial":
        session.add([messages.trial(message["trial"]) for message in batch])
        return
    [message] = batch
    getattr(session, message["do"])(**{name: value for name, value in message.items() if name != "do"})


def _batches(inbox: queue.SimpleQueue[Message | None], patience: Callable[[], float | None]) -> Iterator[list[Message]]:
    """Yield the messages in order, trials that are there at the same time together; none where none comes for so long.

    patience returns the seconds, None for any time.
    """
    trials: list[Message] = []
    while True:
        try:
            message = inbox.get(timeout=patience())
        except queue.Empty:
            yield []
            continue
        if message is None:
            break
        if message["do"] == "trial":
            trials.append(message)
        if trials and (message["do"] != "trial" or inbox.empty()):
            yield trials
            trials = []
        if message["do"] != "trial":
            yield [message]
    if trials:
        yield trials


def _read(lines: IO[bytes], inbox: queue.SimpleQueue[Message | None], leave: Callable[[], None]) -> None:
    """Take every line off the pipe as soon as it comes, so that the study never waits."""
    is_begun = False
    with contextlib.suppress(ValueError):  # the last line of a killed study may be cut off
        for line in lines:
            message = messages.decode(line)
            is_begun = is_begun or message["do"] == "open"
            inbox.put(message)
    if not is_begun:
        leave()
    inbox.put(None)
    time.sleep(GRACE)
    leave()


def _answer(answers: IO[bytes], **message: Any) -> None:
    """Write an answer, which nobody reads if the study is gone."""
    with contextlib.suppress(OSError, ValueError):
        answers.write(messages.encode(masking.masked_values(message)))
        answers.flush()


def keep_alive(
    answer: Callable[[], None], is_over: Callable[[float], bool], spent: Callable[[], float] = time.process_time
) -> None:
    """Answer every `PULSE` seconds in which this process worked: on a slow machine one import may take minutes.

    A process that waits for a server uses no processor, and does not answer. is_over waits for so many seconds, and
    returns whether that was the last time; spent returns the processor time of this process.
    """
    before = spent()
    while not is_over(PULSE):
        if (now := spent()) - before > LEAST_WORK:
            answer()
        before = now


def main() -> None:
    """Serve on standard input and output; whatever else prints, prints elsewhere."""
    # schedulers such as Slurm and systemd signal all processes; this one ends when its lines do
    for number in signals.INTERRUPTING:
        signal.signal(number, signal.SIG_IGN)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # this process is what is asynchronous; what it has written must be there when it says so
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    pulse = (partial(_answer, answers), threading.Event().wait)
    threading.Thread(target=keep_alive, args=pulse, name="lossreg-pulse", daemon=True).start()
    serve(sys.stdin.buffer, answers, leave=partial(os._exit, 0))
    with contextlib.suppress(OSError):  # the study is gone
        answers.flush()
    # no thread or exit handler of a library holds the end up
    os._exit(0)
