"""`tune`: a study is run from its file to its result, or resumed where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import optuna

from lossreg.config import study as studies
from lossreg.config.search_space import shown
from lossreg.config.study import StudySpec
from lossreg.errors import InputError, LossregError
from lossreg.runtime import backend
from lossreg.search import attributes, ending, history, notes, pruners, sizing, top_model, tracked
from lossreg.search.checkpoints import Checkpoints
from lossreg.search.history import StudyLike
from lossreg.search.sampler import FAIR_START, SeededSampler, enqueue_start
from lossreg.storage.observer import Observer
from lossreg.storage.records import StudyResult
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE, counts_as_trial, requeue_interrupted
from lossreg.training.pool import Pool

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.search.scheduler import Scheduler
    from lossreg.tracking import Tracker, Untracked
    from lossreg.training.interface import Trainer


def tune(
    study: StudyLike,
    overrides: Sequence[str] = (),
    *,
    fresh: bool = False,
    progress: Observer | None = None,
    require_tracking: bool = False,
    trainers: Sequence[Trainer] | None = None,
) -> StudyResult:
    """Run a study, or finish one that was begun.

    study is a file, a table of its sections or a `StudySpec`; `fresh` moves a former run aside;
    `require_tracking` makes a tracking server that does not answer an error; `trainers` stand
    in for the population and `model.fit`. Raises `InputError` for what is wrong with the
    study, `LossregError` when every trial failed.
    """
    begin = time.perf_counter()
    spec = studies.of(study, overrides)
    _check_arguments(progress, trainers, fresh=fresh, require_tracking=require_tracking)
    backend.check()
    progress = progress or Observer()
    if not fresh and (result := finished(spec, progress)):
        return result
    folder = StudyFolder(spec.folder, spec.name)
    return Run(spec, folder, progress, begin, fresh, require_tracking, tuple(trainers or ())).execute()


def finished(spec: StudySpec, progress: Observer) -> StudyResult | None:
    """Return the result of a study of which nothing is left to do, None of others. Imports no Keras."""
    folder = StudyFolder(spec.folder, spec.name)
    folder.require_free()
    result = ending.reached(spec, folder, tracked.uri(spec))
    if result is not None:
        progress.trained(result)
        progress.message(f"all {len(result.trials)} trials are done: nothing is left to do")
    return result


def _check_arguments(progress: Any, trainers: Any, **switches: Any) -> None:
    """Raise `InputError` for arguments of another kind: a text is no switch, and would start a study over."""
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputError(f"must be True or False, not {shown(value)}", where=name)
    if progress is not None and not isinstance(progress, Observer):
        raise InputError(f"must be a lossreg.storage.observer.Observer, not {shown(progress)}", where="progress")
    if trainers is None:
        return
    if not isinstance(trainers, (list, tuple)) or not all(hasattr(trainer, "advance") for trainer in trainers):
        raise InputError(f"must be a list of trainers, not {shown(trainers)}", where="trainers")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a study, with the arguments of `tune`; begin is when it was called."""

    spec: StudySpec
    folder: StudyFolder
    progress: Observer
    begin: float
    fresh: bool
    require_tracking: bool
    trainers: tuple[Trainer, ...]

    def execute(self) -> StudyResult:
        """Prepare everything, then open the study's storage, train, and finish; MLflow is imported meanwhile."""
        from lossreg.search import preparation

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        minutes = self.spec.search.minutes
        deadline = time.monotonic() + 60 * minutes if minutes else math.inf
        # asked again when the data are loaded and traced; until then nothing is written
        self.folder.require_free()
        self.folder.require_writable()
        begun = None if self.fresh else self.folder.peek()
        stored = attributes.stored(self.spec, begun)
        with closing(self._tracker(begun, stored)) as tracker:
            tracker.prepare()
            self.progress.phase(f"study {self.spec.name}: loading data and losses")
            prepared = preparation.prepare(self.spec, stored)
            lanes = stored.get("lanes") or sizing.lanes(self.spec, prepared)
            with self._pool(prepared, lanes) as pool:
                # before the lock, since a trace may fail
                if not _is_finished(begun, prepared.trials):
                    lanes = self._trace(prepared, pool, stored) or lanes
                self._make_way()
                with self.folder.lock(), self._opened(prepared, lanes) as study:
                    return RunState.begin(self, prepared, pool, study, tracker, deadline=deadline).execute()

    def _tracker(self, begun: optuna.Study | None, stored: Mapping[str, Any]) -> Tracker | Untracked:
        uri, is_tracked = tracked.uri(self.spec), False
        if begun is not None:
            is_tracked = ending.is_tracked(stored, self.spec, history.result(begun, self.folder.folder), uri)
        return tracked.tracker(self.spec, self.progress, is_tracked=is_tracked, required=self.require_tracking)

    @contextmanager
    def _pool(self, prepared: Prepared, lanes: int) -> Iterator[Pool]:
        pool = Pool(self.trainers) if self.trainers else sizing.pool(prepared, lanes)
        pool.warn = self.progress.warn
        try:
            yield pool
        finally:
            pool.shutdown()

    def _trace(self, prepared: Prepared, pool: Pool, stored: Mapping[str, Any]) -> int | None:
        """Trace model and losses; return the number of lanes, None for trainers that have their own."""
        self.progress.phase(f"study {self.spec.name}: tracing model and losses")
        pool.prepare()
        if self.trainers:
            return None
        chosen = sizing.choose(prepared, pool, stored.get("lanes", 0))
        if chosen.message:
            self.progress.message(chosen.message)
        return chosen.lanes

    def _make_way(self) -> None:
        """Raise `LossregError` for a store that must answer and does not; move a former run aside."""
        from lossreg import tracking

        if self.require_tracking:
            tracking.insist(tracked.uri(self.spec))
        if self.fresh and (aside := self.folder.archive()):
            self.progress.message(f"the former run was moved to {aside}")

    @contextmanager
    def _opened(self, prepared: Prepared, lanes: int) -> Iterator[optuna.Study]:
        """Have the Optuna study open, created if need be."""
        sampler = SeededSampler(self.spec.search.seed, self.spec.search.sampler)
        pruner = pruners.build(self.spec.search.pruner, self.spec.train.epochs)
        with self.folder.opened(prepared.metric.direction, sampler, pruner) as study:
            pruners.begin(study)
            if ATTRIBUTE not in study.user_attrs:
                study.set_user_attr(ATTRIBUTE, attributes.initial(prepared, lanes))
            yield study


@dataclass(frozen=True, slots=True)
class RunState:
    """A run whose study is open: everything that training and finishing need.

    interrupted is the number of trials that a former run left unfinished; together, that of trials at a time.
    """

    run: Run
    prepared: Prepared
    study: optuna.Study
    result: StudyResult
    tracker: Tracker | Untracked
    scheduler: Scheduler
    interrupted: int
    together: int

    @classmethod
    def begin(
        cls, run: Run, prepared: Prepared, pool: Pool, study: optuna.Study, tracker: Tracker | Untracked,
        *, deadline: float,
    ) -> Self:  # fmt: skip
        """Queue the trials that are due, and begin the study in MLflow or take it up again."""
        from lossreg.search.policy import SearchPolicy
        from lossreg.search.scheduler import Scheduler

        _warn_of_changed_origins(prepared, study, run.progress)
        interrupted = requeue_interrupted(study)
        _queue_start(prepared, study)
        result = history.result(study, run.folder.folder)
        _add_notes(result, [*notes.of_study(prepared), *notes.of_trainers(prepared, pool)], run.progress)
        tracker.start(result, result.tracking.get("run_id"), study.user_attrs[ATTRIBUTE]["id"], history.lost(study))
        policy = SearchPolicy.of(prepared, deadline)
        observers = [Checkpoints(run.folder, policy.keep, result), tracker, run.progress]
        scheduler = Scheduler(study, prepared.proposer, pool, policy, result=result, observers=observers)
        return cls(run, prepared, study, result, tracker, scheduler, interrupted, pool.slots // policy.members)

    def execute(self) -> StudyResult:
        """Run the trials that are left and finish the study; whatever ends it, a summary of it is written.

        Raises `LossregError` when every trial failed.
        """
        summary: dict[str, Any] = {ending.KEY: {}}
        try:
            self._train()
            self._finish()
            if _is_finished(self.study, self.prepared.trials) and not self.tracker.error:
                summary[ending.KEY] = ending.of(self.run.spec, self.result, tracked.uri(self.run.spec))
            self.run.progress.end(self.result)
            if self.result.trials and not self.result.best:
                raise LossregError(f"no trial completed: {notes.why_no_score(self.result)}")
            return self.result
        finally:
            self._summarise()
            attributes.write_summary(self.study, self.result, summary)

    def _train(self) -> None:
        """Run the scheduler; the tracker has written all that was done, whatever ends it."""
        progress, done, total = self.run.progress, self.scheduler.started, self.prepared.trials
        try:
            if done < total:
                progress.begin(total, done, list(self.prepared.candidates), self.together)
                if done or self.interrupted:
                    progress.message(notes.resumed(done, total, self.interrupted))
            self.scheduler.run()
        except BaseException:
            self.tracker.flush()
            raise

    def _finish(self) -> None:
        """Write the model of the top trial, and plots and model into MLflow."""
        from lossreg.tracking import Untracked

        run, result = self.run, self.result
        for observer in self.scheduler.observers:
            observer.trained(result)
        model = top_model.save(self.prepared, result.best, run.folder, run.progress) if result.best else None
        self._summarise()
        if not isinstance(self.tracker, Untracked):
            run.progress.phase(f"study {run.spec.name}: writing plots and model into MLflow")
        self.tracker.finish(result, model if run.spec.tracking.model else None)
        self._summarise()

    def _summarise(self) -> None:
        """Bring the result up to date: this run's times, added to those of earlier runs, and who trained what."""
        before, result = self.study.user_attrs[ATTRIBUTE]["seconds"], self.result
        spent = {
            "total": time.perf_counter() - self.run.begin, **self.tracker.spent(), **self.scheduler.seconds
        }  # fmt: skip
        total = {name: before.get(name, 0.0) + seconds for name, seconds in spent.items()}
        result.seconds = total if self.scheduler.epochs or not before else dict(before)
        result.trainer = attributes.trainers(result)
        result.tracking = self.tracker.where() or result.tracking


def _is_finished(study: optuna.Study | None, trials: int) -> bool:
    """Return whether no trial is left to run."""
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()] if study else []
    return sum(map(counts_as_trial, ended)) >= trials


def _warn_of_changed_origins(prepared: Prepared, study: optuna.Study, progress: Observer) -> None:
    """Warn of losses that another distribution or version offers than when the study began."""
    before = study.user_attrs[ATTRIBUTE]["provenance"]
    for candidate, now in prepared.provenance.items():
        if candidate in before and tuple(before[candidate]) != now:
            was = " ".join(before[candidate]) or "the study's own"
            progress.warn(f"{candidate} came from {was} when the study began, and comes from {' '.join(now)} now")


def _queue_start(prepared: Prepared, study: optuna.Study) -> None:
    """Queue what is missing of the fair start, missing losses left out."""
    proposer = prepared.proposer
    published = {candidate: proposer.published(candidate)[0] for candidate in prepared.candidates}
    candidates = proposer.every or tuple(prepared.candidates)
    enqueue_start(study, {candidate: published.get(candidate) for candidate in candidates}, prepared.trials)


def _add_notes(result: StudyResult, lines: Sequence[str], progress: Observer) -> None:
    """Add the notes that the study has not yet, and say them."""
    # it depends on the budget, which may have grown
    result.notes = [note for note in result.notes if not note.startswith(FAIR_START)]
    for note in lines:
        if note not in result.notes:
            result.notes.append(note)
            progress.message(note)
