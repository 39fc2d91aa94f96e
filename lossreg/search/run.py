"""`tune`, `plan` and `results`: a study launched or resumed, shown beforehand, looked at afterwards."""

from __future__ import annotations

import bisect
import math
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from lossreg.config import study as studies
from lossreg.config.search_space import shown
from lossreg.config.study import StudySpec
from lossreg.errors import InputError, LossregError
from lossreg.metrics import catalogue
from lossreg.registry import registry
from lossreg.reporting import report
from lossreg.runtime import backend
from lossreg.search import ending, history, pruners, restore, sizing
from lossreg.search.callbacks import Progress
from lossreg.search.sampler import FAIR_START, SeededSampler, enqueue_start, undirected_note
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE, counts_as_trial, requeue_interrupted
from lossreg.terminal.masking import masked_values
from lossreg.training.pool import Pool

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.search.scheduler import Scheduler
    from lossreg.storage.records import Weights
    from lossreg.tracking import Tracker, Untracked
    from lossreg.training.interface import Trainer

StudyLike = StudySpec | str | Path | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outline:
    """What a study would do: `tune --dry-run`.

    rows has, by loss, candidate, registered name, distribution and `{parameter: space}`; architectures is what is
    searched of batch size and model; asked is what else the study sets; refused maps a candidate to why it
    goes to `model.fit`.
    """

    study: str
    task: str
    metric: str
    direction: str
    data: dict[str, Any]
    rows: list[tuple[str, str, str, dict[str, str]]]
    baseline: str
    learning_rate: str
    trials: int
    done: int
    epochs: int
    lanes: int
    blocks: int
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    optimizer: str = ""
    schedule: str = ""
    architectures: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)


def results(study: StudyLike) -> StudyResult:
    """A study as far as it has come; raises `InputError` if it was never run."""
    spec = studies.of(study)
    store = StudyFolder(spec.folder, spec.name)
    return history.result(store.read(), spec.folder)


def plan(study: StudyLike, overrides: Sequence[str] = ()) -> Outline:
    """What `tune` would do; nothing is written. Raises `InputError` as `tune` would."""
    from lossreg.search import preparation

    spec = studies.of(study, overrides)
    backend.check()
    tracking_uri(spec)
    store = StudyFolder(spec.folder, spec.name)
    begun = store.peek()
    kept = _kept(spec, begun)
    prepared = preparation.prepare(spec, kept)
    done = len(history.records(begun)) if begun else 0
    lanes = kept.get("lanes") or sizing.lanes(spec, prepared)
    pool = sizing.pool(prepared, lanes)
    outline = Outline(
        study=spec.name, task=prepared.problem.dataset.task, metric=prepared.metric.name,
        direction=prepared.metric.direction, data=prepared.problem.dataset.summary(),
        rows=[(candidate, c.spec.name, _origin(c), {name: space.describe() for name, space in c.space.items()})
              for candidate, c in prepared.candidates.items()],
        baseline=prepared.baseline, learning_rate=spec.train.learning_rate.describe(), trials=prepared.trials,
        done=done, epochs=spec.train.epochs, lanes=lanes, blocks=sizing.blocks(pool),
        refused=sizing.refused(prepared, pool), notes=_notes(prepared), optimizer=spec.train.optimizer.describe(),
        schedule=spec.train.schedule.describe() if spec.train.schedule else "",
        architectures=prepared.architecture_spaces, asked=_asked(spec),
    )  # fmt: skip
    pool.shutdown()
    return outline


def _asked(spec: StudySpec) -> dict[str, str]:
    """What a study sets besides data, metric, losses and ranges, in words; nothing of what it leaves as it is."""
    data, train, search, stop = spec.data, spec.train, spec.search, spec.train.early_stopping
    said = {
        "model": spec.model.build if ":" in spec.model.build else "",
        "a trial": report.members(spec.document()),
        "row weights": data.weight or "",
        "class weights": shown(train.class_weight) if train.class_weight else "",
        "early stopping": f"after {stop.patience} epochs without a better score" if stop else "",
        "pruner": search.pruner if search.pruner != "none" else "",
    }
    return {name: value for name, value in said.items() if value}


def tune(
    study: StudyLike,
    overrides: Sequence[str] = (),
    *,
    fresh: bool = False,
    progress: Progress | None = None,
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
    store, progress = StudyFolder(spec.folder, spec.name), progress or Progress()
    if not fresh and (result := finished(spec, progress)):
        return result
    return Run(spec, store, progress, begin).execute(fresh, require_tracking, trainers)


def finished(spec: StudySpec, progress: Progress) -> StudyResult | None:
    """The result of a study of which nothing is left to do, told to `progress`; None for others. Imports no Keras."""
    store = StudyFolder(spec.folder, spec.name)
    store.insist_free()
    result = ending.reached(spec, store, tracking_uri(spec))
    if result is not None:
        progress.trained(result)
        progress.message(f"all {len(result.trials)} trials are done: nothing is left to do")
    return result


def _check_arguments(progress: Any, trainers: Any, **switches: Any) -> None:
    """Raise `InputError` for arguments of another kind: a text is no switch, and would start a study over."""
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputError(f"must be True or False, not {shown(value)}", where=name)
    if progress is not None and not isinstance(progress, Progress):
        raise InputError(f"must be a lossreg.search.callbacks.Progress, not {shown(progress)}", where="progress")
    if trainers is None:
        return
    if not isinstance(trainers, (list, tuple)) or not all(hasattr(trainer, "advance") for trainer in trainers):
        raise InputError(f"must be a list of trainers, not {shown(trainers)}", where="trainers")


class Run:
    """One run of a study: the loop's listener, and keeper of what it leaves behind."""

    def __init__(self, spec: StudySpec, store: StudyFolder, progress: Progress, begin: float) -> None:
        self.spec, self.store, self.progress, self.begin = spec, store, progress, begin
        self.deadline = time.monotonic() + 60 * spec.search.minutes if spec.search.minutes else math.inf
        self.epochs = 0
        self.kept: dict[str, int] = {}
        self.outdone: int | None = None
        self.loop: Scheduler | None = None
        self.begun: optuna.Study | None = None
        self.uri = ""
        self.is_tracked = False
        self.ending: dict[str, Any] = {}

    def execute(self, fresh: bool, require_tracking: bool, trainers: Sequence[Trainer] | None) -> StudyResult:
        """Prepare everything, then open the store, train, and finish; MLflow is imported meanwhile."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.uri = uri = tracking_uri(self.spec)
        # asked again when the data are loaded and traced; until then nothing is written
        self.store.insist_free()
        self.store.insist_writable()
        self.begun = None if fresh else self.store.peek()
        kept = _kept(self.spec, self.begun)
        if self.begun:
            result = history.result(self.begun, self.store.folder)
            self.is_tracked = ending.is_tracked(kept, self.spec, result, uri)
        self.tracker = self._new_tracker(uri, require_tracking)
        self.tracker.prepare()
        try:
            return self._execute(uri, kept, fresh, require_tracking, trainers)
        finally:
            self.tracker.close()

    def _execute(
        self, uri: str, kept: dict[str, Any], fresh: bool, require_tracking: bool, trainers: Sequence[Trainer] | None
    ) -> StudyResult:
        from lossreg import tracking
        from lossreg.search import preparation

        self.progress.phase(f"study {self.spec.name}: loading data and losses")
        self.prepared = preparation.prepare(self.spec, kept)
        self.lanes = kept.get("lanes") or sizing.lanes(self.spec, self.prepared)
        pool = Pool(trainers) if trainers else sizing.pool(self.prepared, self.lanes)
        try:
            # before the lock, since a trace may fail
            if not self._is_finished(self.begun):
                self.progress.phase(f"study {self.spec.name}: tracing model and losses")
                pool.prepare()
                self._settle_lanes(pool, kept, trainers)
            if require_tracking:
                tracking.insist(uri)
            if fresh and (aside := self.store.archive()):
                self.progress.message(f"the former run was moved to {aside}")
            return self._locked(pool)
        finally:
            pool.shutdown()

    def _locked(self, pool: Pool) -> StudyResult:
        """The study itself, while no other process may run it."""
        with self.store.lock():
            try:
                self._begin_study(pool)
                key = self.study.user_attrs[ATTRIBUTE]["id"]
                lost = history.lost(self.study)
                self.tracker.start(self.result, self.result.tracking.get("run_id"), key, lost)
                return self._train(pool)
            finally:
                self.store.close()

    def _settle_lanes(self, pool: Pool, kept: Mapping[str, Any], trainers: Sequence[Trainer] | None) -> None:
        """Settle how many lanes there are, and say it; other trainers have their own."""
        pool.warn = self.progress.warn
        if not trainers:
            chosen = sizing.settle(self.prepared, pool, kept.get("lanes", 0))
            self.lanes = chosen.lanes
            if chosen.said:
                self.progress.message(chosen.said)

    def _is_finished(self, study: optuna.Study | None) -> bool:
        """Whether no trial is left to run."""
        trials = study.get_trials(deepcopy=False) if study else []
        done = [trial for trial in trials if trial.state.is_finished() and counts_as_trial(trial)]
        return len(done) >= self.prepared.trials

    def _new_tracker(self, uri: str, required: bool) -> Tracker | Untracked:
        from lossreg.tracking import Tracker, Untracked

        if not self.spec.tracking.enabled or self.is_tracked:
            return Untracked()
        return Tracker(uri, self.spec.tracking.experiment, warn=self.progress.warn, required=required)

    def _train(self, pool: Pool) -> StudyResult:
        """Run the loop; whatever ends it, what was done is kept."""
        try:
            self._loop(pool)
        except BaseException:
            self.tracker.flush()
            raise
        else:
            return self._finish()
        finally:
            self._keep()

    def _begin_study(self, pool: Pool) -> None:
        """Create or reopen the Optuna study, queue what is due, and say what is resumed."""
        spec, prepared = self.spec, self.prepared
        sampler = SeededSampler(spec.search.seed, spec.search.sampler)
        pruner = pruners.build(spec.search.pruner, spec.train.epochs)
        self.study = self.store.open(prepared.metric.direction, sampler, pruner)
        pruners.settle(self.study)
        if ATTRIBUTE not in self.study.user_attrs:
            self.study.set_user_attr(ATTRIBUTE, _attributes(prepared, self.lanes))
        self._check_provenance()
        self.interrupted = requeue_interrupted(self.study)
        candidates = prepared.proposer.every or tuple(prepared.candidates)
        start = {candidate: prepared.proposer.published(candidate)[0] for candidate in prepared.candidates}
        enqueue_start(self.study, {candidate: start.get(candidate) for candidate in candidates}, prepared.trials)
        self.result = history.result(self.study, self.store.folder)
        # it depends on the budget, which may have grown
        self.result.notes = [note for note in self.result.notes if not note.startswith(FAIR_START)]
        for note in _notes(prepared) + [
            f"{candidate} goes to model.fit: {why}" for candidate, why in sizing.refused(prepared, pool).items()
        ]:
            if note not in self.result.notes:
                self.result.notes.append(note)
                self.progress.message(note)

    def _check_provenance(self) -> None:
        before = self.study.user_attrs[ATTRIBUTE]["provenance"]
        for candidate, now in self.prepared.provenance.items():
            if candidate in before and tuple(before[candidate]) != now:
                was = " ".join(before[candidate]) or "the study's own"
                self.progress.warn(
                    f"{candidate} came from {was} when the study began, and comes from {' '.join(now)} now"
                )

    def _loop(self, pool: Pool) -> None:
        from lossreg.search.learning_curve import Patience
        from lossreg.search.policy import SearchPolicy
        from lossreg.search.scheduler import Scheduler

        spec, prepared = self.spec, self.prepared
        stopping = spec.train.early_stopping
        rules = SearchPolicy(
            prepared.trials, prepared.metric, prepared.baseline, spec.search.score_epoch, spec.search.pruner != "none",
            self.deadline, prepared.provenance, folds=len(prepared.problem.folds), seeds=spec.search.seeds,
            patience=Patience(stopping.patience, stopping.min_delta) if stopping else None, keep=spec.search.keep,
        )  # fmt: skip
        self.loop = Scheduler(self.study, prepared.proposer, pool, rules, self)
        done = self.loop.started
        if done < prepared.trials:
            self.progress.begin(prepared.trials, done, list(prepared.candidates), pool.slots // rules.members)
            if done or self.interrupted:
                self.progress.message(_resumed(done, prepared.trials, self.interrupted))
        self.loop.run()

    def keep(self, record: TrialRecord, weights: Weights) -> None:
        """A trial is about to end whose weights are wanted."""
        self.store.save_weights(record.number, weights)
        if self.spec.search.keep != "all":
            candidate = "" if self.spec.search.keep == "best" else record.candidate
            self.outdone = self.kept.get(candidate)
            self.kept[candidate] = record.number

    def warn(self, text: str) -> None:
        """Something to worry about."""
        self.progress.warn(text)

    def trial(self, record: TrialRecord) -> None:
        """A trial ended: track and show it. The weights that it made superfluous go only now that it is told."""
        if self.outdone is not None:
            self.store.forget_weights([self.outdone])
            self.outdone = None
        bisect.insort(self.result.trials, record, key=lambda trial: trial.number)
        self.tracker.trial(record)
        self.progress.trial(record, self.result)

    def epoch(self, active: int) -> None:
        """One more epoch of all active trials."""
        self.epochs += 1
        self.progress.epoch(active, self.epochs)

    def stopping(self) -> bool:
        """Whether the study shall end here."""
        return self.progress.stopping()

    def _keep(self) -> None:
        """Put the run's summary into the storage."""
        self._summarise()
        names = ("seconds", "trainer", "tracking", "notes")
        summary = masked_values({name: getattr(self.result, name) for name in names} | {ending.KEY: self.ending})
        self.study.set_user_attr(ATTRIBUTE, {**self.study.user_attrs[ATTRIBUTE], **summary})

    def _summarise(self) -> None:
        """This run's times, added to those of earlier runs that trained, and who trained what."""
        training = self.loop.seconds if self.loop else {}
        own = {"total": time.perf_counter() - self.begin, **self.tracker.spent(), **training}
        before = self.study.user_attrs[ATTRIBUTE]["seconds"]
        added = {name: before.get(name, 0.0) + value for name, value in own.items()}
        self.result.seconds = added if self.epochs or not before else dict(before)
        self.result.trainer = _trainer_summary(self.result)
        self.result.tracking = self.tracker.where() or self.result.tracking

    def _finish(self) -> StudyResult:
        self.tracker.draw(self.result)
        self.progress.trained(self.result)
        all_done = self._is_finished(self.study)
        model = self._save_model() if self.result.best else None
        self._summarise()
        if self.spec.tracking.enabled and not self.is_tracked:
            self.progress.phase(f"study {self.spec.name}: writing plots and model into MLflow")
        self.tracker.finish(self.result, model if self.spec.tracking.model else None)
        self._summarise()
        if all_done and not self.tracker.error:
            self.ending = ending.of(self.spec, self.result, self.uri)
        self.progress.end(self.result)
        if self.result.trials and not self.result.best:
            raise LossregError(f"no trial completed: {_why_none(self.result)}")
        return self.result

    def _save_model(self) -> Path | dict[str, Any] | None:
        """Write the top trial's model and its preprocessing; where that cannot be, it is said."""
        assert self.result.best
        try:
            return self._saved(self.result.best)
        except (InputError, OSError) as error:
            self.progress.warn(f"there is no model of the top trial ({self.result.best.number}): {error}")
            return None

    def _saved(self, best: TrialRecord) -> Path | dict[str, Any] | None:
        """Write the model of a trial, from preprocessed rows to predictions, and its preprocessing; what it is.

        Where both are there already, the model's file.
        """
        import joblib

        from lossreg import tracking

        self.store.forget_weights(set(self.store.kept_weights()) - self._wanted())
        if best.candidate in self.prepared.missing:
            self.progress.warn(
                f"the top trial ({best.number}) is of {best.candidate}, which is missing: no model is written"
            )
            return None
        weights = self.store.load_weights(best.number)
        if weights is None:
            self.progress.warn(f"the weights of the top trial ({best.number}) were not kept, so there is no model")
            return None
        if self.store.has_best(best.number):
            return self.store.model_of(best.number)
        self.progress.phase(f"study {self.spec.name}: writing the model of trial {best.number}")
        model = restore.build(self.prepared, best, weights)
        path = self.store.save_model(model, best.number)
        joblib.dump(restore.data_of(self.prepared, best).preprocessor, self.store.preprocessor)
        return tracking.describe(model, path)

    def _wanted(self) -> set[int]:
        """The trials whose weights stay."""
        if self.spec.search.keep == "all":
            return {trial.number for trial in self.result.trials if trial.state == "complete"}
        board = self.result.leaderboard()
        rows = board[:1] if self.spec.search.keep == "best" else board
        return {row.best.number for row in rows if row.best}


def _resumed(done: int, total: int, interrupted: int) -> str:
    """`resuming: 64 of 96 trials are done; 20 that were interrupted run again`."""
    again = min(interrupted, total - done)
    return f"resuming: {done} of {total} trials are done" + (
        f"; {again} that {'was' if again == 1 else 'were'} interrupted run{'s' * (again == 1)} again" if again else ""
    )


def _kept(spec: StudySpec, begun: optuna.Study | None) -> dict[str, Any]:
    """What the storage holds of the study; raises `InputError` when the study file has changed since it was begun."""
    if begun is None:
        return {}
    kept: dict[str, Any] = begun.user_attrs[ATTRIBUTE]
    if studies.changes(kept["fingerprint"], studies.fingerprint(spec)):
        _check_names(spec, kept)
    studies.require_unchanged(spec, kept["fingerprint"])
    return kept


def _check_names(spec: StudySpec, kept: Mapping[str, Any]) -> None:
    """Raise `InputError` for an unknown metric, loss or parameter: rather a slip than other settings."""
    task, data = kept["task"], kept["data"]
    if spec.data.task not in ("auto", task):
        return
    try:
        catalogue.resolve(spec.search.metric or kept["metric"], task)
    except InputError as error:
        raise error.at(spec.place("search.metric")) from None
    known = registry.default(tuple(spec.plugins.block))
    gone = [candidate for candidate, name in kept["losses"].items() if known.look_up(name) is None]
    studies.candidates(spec, known, task, len(data.get("classes") or ()), gone)


def tracking_uri(spec: StudySpec) -> str:
    """The absolute URI of the study's MLflow store, empty when it is not tracked; raises `InputError`."""
    from lossreg import tracking

    try:
        return tracking.check(spec.tracking.uri) if spec.tracking.enabled else ""
    except InputError as error:
        if error.where != "tracking.uri":
            raise
        raise error.at(spec.place("tracking.uri")) from None


def _attributes(prepared: Prepared, lanes: int) -> dict[str, Any]:
    """What the storage holds of a study from the start."""
    spec, data = prepared.spec, prepared.problem.dataset
    return {
        "id": uuid.uuid4().hex,
        "metric": prepared.metric.name,
        "direction": prepared.metric.direction,
        "task": data.task,
        "losses": {name: candidate.spec.name for name, candidate in prepared.candidates.items()},
        "baseline": prepared.baseline,
        "data": data.summary() | {"slugs": dict(zip(data.slugs, data.classes, strict=True))},
        "spec": spec.document(),
        "fingerprint": studies.fingerprint(spec),
        "provenance": {name: list(origin) for name, origin in prepared.provenance.items()},
        "spaces": prepared.spaces,
        "shapes": prepared.architecture_spaces,
        "lanes": lanes,
        "seconds": {},
        "tracking": {},
        "trainer": {},
        "notes": [],
    }


def _notes(prepared: Prepared) -> list[str]:
    clipped = [note for candidate in prepared.candidates for note in prepared.proposer.published(candidate)[1]]
    capped = prepared.trials != prepared.spec.search.trials
    published = {candidate: prepared.proposer.published(candidate)[0] for candidate in prepared.candidates}
    learns = prepared.is_searched and prepared.spec.search.sampler != "random"
    undirected = [undirected_note(published, prepared.trials)] if learns else []
    once = [f"no parameter is searched, so each loss is trained once: {prepared.trials} trials"] if capped else []
    return [*prepared.notes, *clipped, *once, *filter(None, undirected), *_members(prepared)]


def _members(prepared: Prepared) -> list[str]:
    """Which of the models of a trial is kept, where it has several."""
    folds, seeds = len(prepared.problem.folds), prepared.spec.search.seeds
    first = " and ".join(["the first fold"] * (folds > 1) + ["the first seed"] * (seeds > 1))
    return [f"a trial is trained {folds * seeds} times; its model is that of {first}"] if first else []


def _origin(candidate: studies.Candidate) -> str:
    entry = candidate.entry
    return " ".join(filter(None, (entry.distribution, entry.version))) or entry.plugin


def _trainer_summary(result: StudyResult) -> dict[str, Any]:
    count = Counter(trial.trainer for trial in result.trials)
    reasons = sorted({trial.refusal for trial in result.trials if trial.refusal})
    return {"population": count["population"], "fit": count["fit"], "reasons": reasons}


def _why_none(result: StudyResult) -> str:
    reasons = Counter(f"{trial.state} ({trial.reason})" if trial.reason else trial.state for trial in result.trials)
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
