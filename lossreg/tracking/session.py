"""The `Session` of a study with its MLflow store, in the process that tracks it: one method per kind of message."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lossreg.storage.records import TrialRecord
from lossreg.terminal import masking
from lossreg.tracking import failures, messages, model_package, new_database
from lossreg.tracking.messages import Message
from lossreg.tracking.uri import ping

if TYPE_CHECKING:
    from lossreg.tracking.new_database import NewDatabase
    from lossreg.tracking.writer import Writer

REFRESH = 5.0


class Session:
    """One study on its way into one store; `answer` takes the answers."""

    def __init__(self, answer: Callable[..., None]) -> None:
        self.answer = answer
        self.uri = self.experiment = ""
        self.is_open = self._is_refused = self._is_rehearsed = False
        self._ready: NewDatabase | None = None
        self._held = contextlib.ExitStack()
        self._refreshed = time.monotonic()

    def prepare(self, uri: str, experiment: str) -> None:
        """Import MLflow and make the tables of a missing database, in memory; nothing is written.

        What fails here fails again, with a message, when the study opens.
        """
        self.uri, self.experiment = uri, experiment
        masking.learn(uri)
        with contextlib.suppress(Exception):
            from lossreg.tracking import artifacts, writer

            writer.silence()
            self.answer()
            if new_database.is_missing(uri):
                self._ready = new_database.NewDatabase()
                self.answer()
            artifacts.warm_up()

    def open(self, result: Message, trials: list[Message], run_id: str, key: str, lost: Iterable[int] = ()) -> None:
        """Create the parent run or take it up again, and write every trial that is missing."""
        from lossreg.tracking.writer import Writer

        self.result = messages.study(result, [])
        self._wait_for_predecessor(result["folder"])
        ping(self.uri)
        new_database.make(self.uri, self._ready)
        self.writer: Writer = Writer(self.uri, self.experiment)
        self._held.callback(self.writer.shutdown)
        self.result.trials.extend(map(messages.trial, trials))
        self.writer.open(self.result, run_id, key, lost)
        self.is_open = True
        self.answer(run_id=self.writer.run_id, experiment_id=self.writer.experiment_id)
        self._write(self.result.trials)

    def _wait_for_predecessor(self, folder: str) -> None:
        """Wait until the process of a killed run has written its trials: two would write each of them twice."""
        if not folder or not Path(folder).is_dir():
            return
        import fcntl

        lock = self._held.enter_context(Path(folder, "tracking.lock").open("wb"))  # noqa: SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)

    def add(self, trials: list[TrialRecord]) -> None:
        """Write trials that ended."""
        for trial in trials:
            self.result.add(trial)
        self._write(trials)

    def _write(self, trials: list[TrialRecord]) -> None:
        """Write trials and answer after each, as a sign of life: a study waits for no server that has gone quiet."""
        for _ in self.writer.write(trials, self.result.metric):
            self.answer()

    def rest(self) -> None:
        """Use a time without messages: rehearse what the study will wait for, bring the parent's page up to date."""
        if not self.is_open:
            return
        if not self._is_rehearsed:
            self._is_rehearsed = True
            with contextlib.suppress(Exception):
                model_package.rehearse()
        if time.monotonic() - self._refreshed > REFRESH:
            self.writer.refresh(self.result)
            self._refreshed = time.monotonic()

    def flush(self, ticket: int) -> None:
        """Everything so far is written; the parent counts as killed unless more comes."""
        self.interrupt()
        self.answer(done=ticket)

    def interrupt(self) -> None:
        """Close the parent as killed: the study ends here, for now."""
        self.writer.refresh(self.result)
        self.writer.close(self.result, "KILLED")

    def draw(self, result: Message) -> None:
        """Draw the plots of a study that has ended."""
        self.result = messages.study(result, self.result.trials)
        self._with_files(self.writer.artifacts.draw, self.result)

    def finish(self, result: Message, status: str, model: Message | None, ticket: int) -> None:
        """Write the parent's summary, then what needs an artifact store, which may be closed to us; end the parent."""
        self.result = messages.study(result, self.result.trials)
        self.writer.summarise(self.result)
        self.answer()
        self._with_files(self.writer.artifacts.tabulate, self.result)
        self._with_files(self.writer.artifacts.draw_verdict, self.result)
        if model is not None:
            self._with_files(self.writer.artifacts.log_model, self.result, model)
        self.writer.close(self.result, status)
        self.is_open = False
        self.leave()
        self.answer(done=ticket)

    def _with_files(self, work: Callable[..., None], *args: object) -> None:
        """Do work that needs an artifact store, unless that has refused some, and answer as a sign of life."""
        if self._is_refused:
            return
        try:
            work(*args)
            self.answer()
        except Exception as error:
            self._is_refused = True
            reason = failures.reason(error, self.uri)
            self.answer(warning=f"MLflow has the trials, but took no plots or model: {reason}")

    def leave(self) -> None:
        """Let the next process have the study, once nothing is being written any more."""
        self._held.close()
