"""The `Session` of a study with its MLflow store, in the process that tracks it: one method per kind of message."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossreg.storage.reached import Reached
from lossreg.storage.trial_record import TrialRecord
from lossreg.terminal import masking
from lossreg.tracking import failures, messages, model_package, new_database
from lossreg.tracking.failures import NotDrawnError
from lossreg.tracking.messages import Message
from lossreg.tracking.outage import Outage
from lossreg.tracking.uri import ping

if TYPE_CHECKING:
    from lossreg.storage.study_result import StudyResult
    from lossreg.tracking.new_database import NewDatabase
    from lossreg.tracking.writer import Writer

REFRESH = 5.0


class Session:
    """One study on its way into one store; `answer` takes the answers.

    Whatever fails, the study is kept here, and all of it that is missing is written once the store works again.
    """

    def __init__(self, answer: Callable[..., None], now: Callable[[], float] = time.monotonic) -> None:
        self.answer, self._now = answer, now
        self.uri = self.experiment = ""
        self.is_open = self._is_drawn = self._is_rehearsed = False
        self.outage = Outage()
        self._writer: Writer | None = None
        self._known: dict[str, Any] = {}
        self._exact, self._is_alone, self._reopens = False, True, True
        self._refused = ""  # why the artifact store took no files
        self._ready: NewDatabase | None = None
        self._held = contextlib.ExitStack()
        self._refreshed, self._is_stale = now(), False

    @property
    def patience(self) -> float | None:
        """Seconds until the store is to be tried again or the parent's page is due, None where nothing is."""
        if not self.is_open:
            return None
        left = max(0.0, self._refreshed + REFRESH - self._now()) if self._is_stale else None
        return left if self.outage.wait is None else self.outage.wait

    # ------------------------------------------------------------------- messages of a study

    def prepare(self, uri: str, experiment: str) -> None:
        """Import MLflow and make the tables of a missing database, in memory; nothing is written.

        What fails here fails again, with a message, when the study opens.
        """
        self.uri, self.experiment = uri, experiment
        masking.learn(uri)
        new_database.open_anew_each_time(uri)
        with contextlib.suppress(Exception):
            from lossreg.tracking import artifacts, writer

            writer.silence()
            self.answer()
            if new_database.is_missing(uri):
                self._ready = new_database.NewDatabase()
                self.answer()
            artifacts.warm_up()

    def open(
        self, result: Message, trials: list[Message], run_id: str, key: str, lost: Iterable[int] = (),
        *, exact: bool = False, is_alone: bool = True, reopens: bool = False,
    ) -> None:  # fmt: skip
        """Create the parent run or take it up again, and write every trial that is missing; `exact` as in `Writer`.

        is_alone: whether the parent run is kept up to date and ended from here; reopens: whether it is set running if
        not.
        """
        self._disconnect()
        self.result = messages.study(result, list(map(messages.trial, trials)))
        self._known, self._exact = {"run_id": run_id, "key": key, "lost": list(lost)}, exact
        self._is_alone, self._reopens = is_alone, is_alone or reopens
        if is_alone:
            self._wait_for_predecessor(result["folder"])
        self.is_open = True
        self._is_stale = is_alone and bool(trials)
        self._attempt(self._connected)

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Write trials that ended; while the store is away they are kept for later."""
        for trial in trials:
            self.result.add(trial)
        self._is_stale = self._is_alone
        if self._writer is not None:
            self._attempt(lambda: self._write(trials))
        else:
            self.rest()

    def rest(self) -> None:
        """Use a time without messages: try a store that failed again, bring the parent's page up to date."""
        if not self.is_open or not self.outage.is_due:
            return
        if self._writer is None:
            self._attempt(self._connected)
        self._rehearse()
        if self._writer is not None and self._is_alone and self._now() - self._refreshed >= REFRESH:
            self._is_stale = not self._attempt(lambda: self._connected().refresh(self._shown()))
            self._refreshed = self._now()

    def flush(self, ticket: int) -> None:
        """Everything so far is written; the parent counts as killed unless more comes."""
        self.interrupt()
        self.answer(done=ticket)

    def interrupt(self) -> None:
        """Close the parent as killed: the study ends here, for now.

        Of several workers, the one that finishes the study closes it, and writes what is missing.
        """
        self._insist(self._interrupt if self._is_alone else self._connected)
        if not self._is_alone:
            self._disconnect()
            self.is_open = False

    def draw(self, result: Message) -> None:
        """Show the confirmed scores of a study whose trials have ended, and draw its plots."""
        self.result = messages.study(result, self.result.trials)
        if self._writer is not None and self._attempt(lambda: self._connected().summarise(self._shown())):
            self._attempt(self._draw)

    def finish(self, result: Message, status: str, model: Message | None, ticket: int, register: str = "") -> None:
        """Write the parent's summary, then what needs an artifact store, which may be closed to us; end the parent.

        register: the name under which the model is registered, empty for none.
        """
        self.result = messages.study(result, self.result.trials)
        self._insist(lambda: self._finish(status, model, register))
        self.is_open = False
        self.leave()
        if self._refused:
            self.answer(lacking=self._refused)
        self.answer(done=ticket)

    def leave(self) -> None:
        """Let the next process have the study, once nothing is being written any more."""
        self._disconnect()
        self._held.close()

    # ---------------------------------------------------------------------------- the store

    def _attempt(self, work: Callable[[], object]) -> bool:
        """Do work on the store and return whether it went well; after a failure all begins with the parent run."""
        try:
            work()
        except Exception as error:
            self._disconnect()
            self.outage.add(failures.reason(error, self.uri))
            if self.outage.is_certain:
                self.answer(error=self.outage.reason)
            return False
        if self.outage.failures:
            self.outage.end()
            self.answer(error="")
        return True

    def _insist(self, work: Callable[[], object]) -> None:
        """Do work at once, until it goes well or it is certain that the store is away."""
        while not self._attempt(work) and not self.outage.is_certain:
            time.sleep(self.outage.wait or 0.0)

    def _connected(self) -> Writer:
        """Return the writer; where there is none, the parent run is opened and every missing trial written first."""
        if self._writer is None:
            from lossreg.tracking.writer import Writer

            ping(self.uri)
            self.answer(trying=True)
            new_database.make(self.uri, self._ready)
            self._writer = writer = Writer(self.uri, self.experiment, exact=self._exact, reopens=self._reopens)
            writer.open(self._shown(), **self._known)
            self._known["run_id"] = writer.run_id
            self._is_drawn, self._refused = False, ""
            self.answer(run_id=writer.run_id, experiment_id=writer.experiment_id)
            self._write(self.result.trials)
        return self._writer

    def _shown(self, *, is_running: bool = True, is_over: bool = False) -> StudyResult:
        """Return the study with how far it is, where this process alone knows that."""
        if not self.result.budget or not (self._is_alone or is_over):
            return self.result
        return replace(self.result, reached=Reached(len(self.result.trials), self.result.budget, is_running, is_over))

    def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None

    def _wait_for_predecessor(self, folder: str) -> None:
        """Wait until the process of a killed run has written its trials: two would write each of them twice."""
        if not folder or not Path(folder).is_dir():
            return
        import fcntl

        lock = self._held.enter_context(Path(folder, "tracking.lock").open("ab"))  # noqa: SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)

    def _write(self, trials: Sequence[TrialRecord]) -> None:
        """Write the trials that are missing; answer how many are left, at first and after each, as a sign of life."""
        writer = self._connected()
        missing = writer.missing(trials)
        self.answer(left=len(missing))
        for written, _ in enumerate(writer.write(missing, self.result.metric), start=1):
            self.answer(left=len(missing) - written)

    def _rehearse(self) -> None:
        """Do once what the study will wait for, to have it over."""
        if not self._is_rehearsed:
            self._is_rehearsed = True
            with contextlib.suppress(Exception):
                model_package.rehearse()

    def _interrupt(self) -> None:
        writer = self._connected()
        writer.refresh(self._shown(is_running=False))
        writer.close(self.result, "KILLED")

    def _draw(self) -> None:
        self._is_drawn = True
        self._with_files(self._connected().artifacts.draw, self.result)

    def _finish(self, status: str, model: Message | None, register: str) -> None:
        writer = self._connected()
        self.result = self._shown(is_running=False, is_over=status != "KILLED")
        writer.summarise(self.result)
        self.answer()
        if not self._is_drawn:
            self._draw()
        self._with_files(writer.artifacts.tabulate, self.result)
        self._with_files(writer.artifacts.draw_verdict, self.result)
        self._with_files(writer.artifacts.describe, writer.tracked(self.result))
        if model is not None:
            self._model(writer, model, register)
        self._with_files(writer.artifacts.write_page, writer.tracked(self.result))
        self.answer(**writer.model)
        writer.close(self.result, status)

    def _model(self, writer: Writer, model: Message, register: str) -> None:
        """Write the model and register it, then say in all places how to load it."""
        self._with_files(writer.artifacts.log_model, self.result, model)
        if register and not self._refused:
            self._register(writer, register)
        writer.describe_model(self.result)
        self._with_files(writer.artifacts.describe, writer.tracked(self.result))

    def _register(self, writer: Writer, name: str) -> None:
        """Register the model, unless the store has no registry that takes it, which is told."""
        try:
            writer.artifacts.register(self.result, name)
        except Exception as error:
            self.answer(unregistered=failures.reason(error, self.uri))

    def _with_files(self, work: Callable[..., None], *args: object) -> None:
        """Do work that needs an artifact store, unless that has refused some, and answer as a sign of life."""
        if self._refused:
            return
        try:
            work(*args)
            self.answer()
        except NotDrawnError as error:
            self.answer(undrawn=failures.reason(error, self.uri))
        except Exception as error:
            self._refused = failures.reason(error, self.uri)
