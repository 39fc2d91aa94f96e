"""`RunState`: a study that is open and runs, from its first trial to what it leaves behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import optuna

from lossreg.errors import LossregError
from lossreg.search import ahead, attributes, completion, history, notes, top_model, unfinished
from lossreg.search.ask_tell import AskTell
from lossreg.search.checkpoints import Checkpoints
from lossreg.search.confirming_stage import ConfirmingStage
from lossreg.search.policy import SearchPolicy
from lossreg.search.sampler import FAIR_START, enqueue_start
from lossreg.search.scheduler import Scheduler
from lossreg.search.verdict_stage import VerdictStage
from lossreg.storage.constraints import NONE_KEPT
from lossreg.storage.observer import Ahead, Observer
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE
from lossreg.terminal.masking import masked_values
from lossreg.tracking import Tracker, Untracked
from lossreg.training import programs
from lossreg.training.pool import Pool
from lossreg.verdict import shortage

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.search.run import Run
    from lossreg.search.shared_tracking import SharedTracking

    Recorder = Tracker | Untracked | SharedTracking


@dataclass(frozen=True, slots=True)
class RunState:
    """A run whose study is open: everything that training and finishing need.

    uri is of the MLflow store, empty without one; interrupted is the number of trials that a former run left
    unfinished; together, that of trials at a time; seconds has those of the verdict, once it is reached for; counted,
    those of this run that are stored.
    """

    run: Run
    prepared: Prepared
    study: optuna.Study
    result: StudyResult
    tracker: Tracker | Untracked
    uri: str
    scheduler: Scheduler
    interrupted: int
    together: int
    seconds: dict[str, float] = field(default_factory=dict)
    counted: dict[str, float] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, run: Run, prepared: Prepared, pool: Pool, study: optuna.Study, tracker: Tracker | Untracked,
        *, uri: str, deadline: float, new: Sequence[str] = (),
    ) -> Self:  # fmt: skip
        """Queue the trials that are due, and begin the study in MLflow or take it up again.

        new: notes on how the study changed.
        """
        interrupted = cls._queue(prepared, study)
        result = replace(history.result(study, run.folder.path), budget=prepared.trials)
        policy = SearchPolicy.of(prepared, deadline)
        recorder = cls._recorder(run, prepared, study, tracker)
        observers = [Checkpoints(run.folder, policy.keep, result, policy.contenders), recorder, run.progress]
        ask_tell = cls._ask_tell(run, prepared, study, policy)
        scheduler = Scheduler(
            study, prepared.proposer, pool, policy, result=result, observers=observers, ask_tell=ask_tell
        )
        for note in new:
            run.progress.message(note)
        result.notes = list(dict.fromkeys((*result.notes, *new)))
        origins = notes.changed_origins(prepared, study.user_attrs[ATTRIBUTE])
        for line in origins:
            run.progress.warn(line)
        result.notes += [line for line in origins if line not in result.notes]
        lines = [*notes.of_study(prepared, pool.slots), *notes.of_trainers(prepared, pool)]
        _add_notes(result, lines, run.progress, is_enough=scheduler.started > prepared.trials)
        together = pool.slots // policy.members
        state = cls(run, prepared, study, result, tracker, uri, scheduler, interrupted, together)
        observers.append(Account(state))
        state.note_notes()
        recorder.start(result, result.tracking.get("run_id"), study.user_attrs[ATTRIBUTE]["id"], history.lost(study))
        return state

    @classmethod
    def begin_study(
        cls, run: Run, prepared: Prepared, study: optuna.Study, initial: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> None:
        """Give a new study its attributes; stored: those that were read before."""
        if ATTRIBUTE not in study.user_attrs:
            study.set_user_attr(ATTRIBUTE, initial)

    @classmethod
    def _queue(cls, prepared: Prepared, study: optuna.Study) -> int:
        """Queue the fair start; return the number of trials that were cut off, with which the scheduler begins."""
        interrupted = len(unfinished.end_recorded(study))
        enqueue_start(study, prepared.start, prepared.trials)
        return interrupted

    @classmethod
    def _ask_tell(cls, run: Run, prepared: Prepared, study: optuna.Study, policy: SearchPolicy) -> AskTell:
        return AskTell(
            study, prepared.proposer, policy.trials, policy.baseline, hurried=policy.is_hurried,
            constraints=prepared.constraints,
        )  # fmt: skip

    @classmethod
    def _recorder(cls, run: Run, prepared: Prepared, study: optuna.Study, tracker: Tracker | Untracked) -> Recorder:
        return tracker

    def execute(self) -> StudyResult:
        """Run the trials that are left and finish the study; whatever ends it, a summary of it is written.

        Raises `LossregError` when every trial failed.
        """
        with self._summarised() as summary:
            self._train()
            return self._concluded(summary)

    @contextmanager
    def _summarised(self) -> Iterator[dict[str, Any]]:
        """Write a summary of the study in the end, and what the block adds to it."""
        summary: dict[str, Any] = {completion.KEY: {}}
        try:
            yield summary
        finally:
            self._write(summary)

    def _write(self, summary: Mapping[str, Any]) -> None:
        self._summarise()
        with self._counted():
            attributes.write_summary(self.study, self.result, summary)

    def _store(self) -> None:
        """Write what the study has come to, so that a kill loses none of it; it is not complete yet."""
        self._write({completion.KEY: {}})

    def note_parent(self) -> bool:
        """Note the parent run in MLflow once there is one; return whether it is noted."""
        tracker = self.tracker
        if not (tracker.experiment_id and tracker.run_id):
            return False
        if tracker.run_id != self.result.tracking.get("run_id"):
            self.result.tracking = tracker.where()
            attributes.note(self.study, tracking=self.result.tracking)
        return True

    def note_notes(self) -> None:
        """Note the notes so far, such as those on how the study changed, without the rest of the summary."""
        if masked_values(self.result.notes) != self.study.user_attrs[ATTRIBUTE].get("notes"):
            attributes.note(self.study, notes=self.result.notes)

    def note_seconds(self) -> None:
        """Note the seconds so far, without the rest of the summary."""
        self._count()
        with self._counted():
            self.study.set_user_attr(history.SPENT, self.result.seconds)

    def _concluded(self, summary: dict[str, Any]) -> StudyResult:
        """Finish a study whose trials have ended."""
        run = self.run
        self._finish()
        summary[history.OVER] = len(self.result.trials)
        if attributes.is_finished(self.study, self.prepared.trials, run.folder.counts) and not self.tracker.error:
            summary[completion.KEY] = completion.of(run.spec, self.result, self.uri)
        run.progress.end(self.result)
        self._require_score()
        return self.result

    def _require_score(self) -> None:
        if self.result.trials and not self.result.best:
            raise LossregError(f"no trial completed: {notes.why_no_score(self.result)}")

    def _train(self) -> None:
        """Run the scheduler; the tracker has written all that was done, whatever ends it."""
        progress, done, total = self.run.progress, self.scheduler.ask_tell.known, self.prepared.trials
        try:
            if done < total:
                progress.begin(total, done, list(self.prepared.candidates), self.together)
                progress.look(self.result, self.scheduler.running)
                progress.expect(Ahead() if self.run.trainers else ahead.of(self.prepared))
                if line := self._resumed(done, total):
                    progress.message(line)
            elif line := notes.nothing_to_train(done, total):
                progress.message(line)
            self.scheduler.run()
        except BaseException:
            self._flush()
            raise

    def _flush(self) -> None:
        """Wait until the tracker has written all that was done; a study that is interrupted says so."""
        progress = self.run.progress

        def tell(text: str) -> None:
            progress.searched()
            progress.phase(text)

        self.tracker.flush(tell if progress.stopping() else None)

    def _resumed(self, done: int, total: int) -> str:
        """Return a line on what was there before, empty of a new study."""
        return notes.resumed(done, total, self.interrupted) if done or self.interrupted else ""

    def _finish(self) -> None:
        """Write the model of the top trial, and plots and model into MLflow."""
        run, result = self.run, self.result
        with programs.shared():
            self._answer()
        run.folder.require_turn()
        model = top_model.save(self.prepared, result, run.folder, run.progress)
        self._summarise()
        if not isinstance(self.tracker, Untracked):
            run.progress.phase(f"study {run.spec.name}: writing plots and model into MLflow")
        run.folder.require_turn()
        self._stop_clock()
        self.tracker.finish(result, model if run.spec.tracking.model else None)
        self._summarise()

    def _stop_clock(self) -> None:
        """Fix the study's total time, so that MLflow, journal and terminal report the same."""
        if self.scheduler.epochs or self.seconds:
            self.seconds.update(total=time.perf_counter() - self.run.begin, **self.tracker.spent())
            self._summarise()

    def _answer(self) -> None:
        """Confirm the best settings, and reach the verdict."""
        run, result = self.run, self.result
        study = self.prepared, result, self.study, run.folder, run.progress
        for observer in self.scheduler.observers:
            observer.searched()
        # trainers that stand in for others can train nothing else
        confirming = ConfirmingStage(*study, partial(self._after_search, "confirm"))
        if not run.trainers:
            confirming.reach()
        others = [note for note in result.notes if not note.startswith(NONE_KEPT)]
        result.notes = [*others, *filter(None, [result.unkept])]
        for observer in self.scheduler.observers:
            observer.trained(result)
        if run.spec.verdict.enabled and not run.trainers and not confirming.has_failed:
            before = result.verdict, result.failure
            result.verdict = VerdictStage(*study, partial(self._after_search, "verdict")).reach(again=run.is_verdict)
            if (result.verdict, result.failure) != before:
                self._store()

    @contextmanager
    def _after_search(self, stage: str) -> Iterator[None]:
        """Free the trainers of the search, and count the seconds as those of a stage."""
        self.scheduler.pool.shutdown()
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin
            self.note_seconds()

    def _summarise(self) -> None:
        """Bring the result up to date: times, who trained what, and where it is in MLflow."""
        self._count()
        self.result.trainer = attributes.trainers(self.result)
        self.result.tracking = self.tracker.where() or self.result.tracking

    def _count(self) -> None:
        """Add this run's times to those of earlier ones; a run that trains nothing adds none."""
        before, spent = dict(history.seconds(self.study.user_attrs)), {}
        if self.scheduler.epochs or self.seconds or not before:
            total = time.perf_counter() - self.run.begin
            spent = {"total": total, **self.tracker.spent(), **self.scheduler.seconds, **self.seconds}
        new = {name: seconds - self.counted.get(name, 0.0) for name, seconds in spent.items()}
        self.result.seconds = {name: before.get(name, 0.0) + new.get(name, 0.0) for name in before | new}

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Have the result's seconds stored in the block, and count those of this run as that."""
        before = dict(history.seconds(self.study.user_attrs))
        yield
        for name, seconds in self.result.seconds.items():
            self.counted[name] = self.counted.get(name, 0.0) + seconds - before.get(name, 0.0)


class Account(Observer):
    """Has the storage keep what a kill would lose while trials run: parent run in MLflow, notes, and seconds."""

    def __init__(self, state: RunState) -> None:
        self._state, self._is_noted = state, False

    def epoch(self, active: int, epochs_done: int) -> None:
        """Note the parent run once it is there."""
        self._is_noted = self._is_noted or self._state.note_parent()

    def written(self) -> None:
        """Note notes and seconds."""
        self._state.note_notes()
        self._state.note_seconds()


def _add_notes(result: StudyResult, lines: Sequence[str], progress: Observer, *, is_enough: bool) -> None:
    """Add the notes that the study has not yet, and say them.

    Fair start: the note depends on the budget, which may have grown; a study with more trials keeps its former note.
    A verdict: the note that there is none holds for this run, and not where there is one.
    """
    if result.verdict and result.verdict.repeats and not result.is_outdated:
        lines = [line for line in lines if not line.startswith(shortage.START)]
    result.notes = [note for note in result.notes if note in lines or not note.startswith(shortage.START)]
    if is_enough:
        lines = [line for line in lines if not line.startswith(FAIR_START)]
    else:
        result.notes = [note for note in result.notes if not note.startswith(FAIR_START)]
    for note in lines:
        if note not in result.notes:
            result.notes.append(note)
            progress.message(note)
