"""The run of a study, from its file to its result, or resumed where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import optuna

from lossreg.config import study as studies
from lossreg.config.changes import Change
from lossreg.config.study import StudySpec
from lossreg.errors import InputError, LossregError, brief, count_of, is_for_want_of_room, refusal, represented
from lossreg.reporting import activity_notes
from lossreg.runtime import backend, digests, user_code
from lossreg.search import (
    attributes,
    budget,
    completion,
    history,
    more,
    notes,
    optuna_samplers,
    pruners,
    rows_given,
    shown,
    sizing,
    stages,
    tracked,
)
from lossreg.search.frozen import TESTED, openings
from lossreg.search.history import StudyLike
from lossreg.search.result import Result
from lossreg.search.resumption import Changes, KeptApartError
from lossreg.search.sampler import SeededSampler
from lossreg.storage import shared_study
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE, counts_as_trial
from lossreg.terminal.caller import words
from lossreg.training.pool import Pool

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.search.run_state import RunState
    from lossreg.tracking import Tracker, Untracked
    from lossreg.training.interface import Trainer


def tuned(
    study: Any, second: Any, progress: Observer, *, data: Any, arguments: Mapping[str, Any], settings: Any,
    switches: Mapping[str, Any], trainers: Any, begin: float, added: int | None = None,
) -> Result:  # fmt: skip
    """Run the study of a call of `lossreg.tune`; second: overrides or labels; arguments: by name; added: trials."""
    given = rows_given.asked(study, second, data, arguments, settings)
    named = given.arguments
    observer = named.observer(progress) if named else progress
    with named.named() if named else nullcontext():
        spec = studies.of(given.study, given.overrides, given.data)
        _check_arguments(trainers, switches)
        backend.check()
        more.check(added)
        folder, chosen = shared_study.of(spec), Switches(**switches, more=added)
        chosen.check(folder)
        spec = chosen.extended(spec, folder)
        done = None if chosen.fresh else finished(spec, folder, observer)
        if not done:
            shown.import_keras(progress)
            done = Run(spec, folder, observer, begin, chosen, tuple(trainers or ())).execute()
        result = Result.of(done)
        return named.result(result) if named else result


def verdict(
    study: StudyLike, repeats: int | None = None, *, progress: Observer | bool | None = None, data: Any = None
) -> Result:
    """Reach the verdict of a study as far as it has come, or deepen it to more repeats; no trial is added.

    data: the rows that were given to `tune`, which has the same `progress`. Raises `InputError` for a study of which
    no trial has ended.
    """
    with shown.shown(progress, "verdict: reading the study") as observer:
        spec, folder = _for_verdict(study, repeats, data)
        backend.check()
        if result := _judged(spec, folder):
            return Result.of(result)
        shown.import_keras(observer)
        return Result.of(Run(spec, folder, observer, time.perf_counter(), is_verdict=True).execute())


def reached_verdict(study: StudyLike, repeats: int | None = None) -> StudyResult | None:
    """Return the result of a study that has that verdict, None of others. Imports no Keras.

    Raises `InputError` for a study of which no trial has ended, or that another process runs.
    """
    return _judged(*_for_verdict(study, repeats))


def _for_verdict(study: StudyLike, repeats: int | None, data: Any = None) -> tuple[StudySpec, StudyFolder]:
    """Return the study with a verdict on the trials that have ended, and its folder, which no other process uses."""
    begun = studies.of(study, (), data)
    if not begun.has_verdict:
        raise InputError(studies.UNTESTED, where=begun.place("data.test"), hint=begun.tested_by)
    folder = shared_study.of(begun)
    changed = ["verdict.enabled=true", f"search.trials={_ended(folder)}"]
    folder.require_free()
    return studies.of(begun, [*changed, *([f"verdict.repeats={repeats}"] if repeats else [])]), folder


def _judged(spec: StudySpec, folder: StudyFolder) -> StudyResult | None:
    """Return the result of a study that has its verdict and lacks nothing, None of others."""
    result = completion.reached(spec, folder, tracked.uri(spec))
    return None if result is None or completion.lacks_verdict(result) else result


def _ended(folder: StudyFolder) -> int:
    """Return the number of trials that have ended; raises `InputError` if there is none."""
    ended = [trial for trial in folder.read().get_trials(deepcopy=False) if trial.state.is_finished()]
    if not any(map(counts_as_trial, ended)):
        raise InputError(f"no trial of study {folder.name!r} has ended, so there is nothing to compare")
    return sum(map(folder.counts, ended))


def finished(spec: StudySpec, folder: StudyFolder, progress: Observer) -> StudyResult | None:
    """Return the result of a study of which nothing is left to do, None of others. Imports no Keras."""
    folder.require_free()
    result = completion.reached(spec, folder, tracked.uri(spec))
    if result is not None:
        progress.trained(result)
        done = count_of(len(result.trials), "trial is", "trials are")
        line = f"{'all ' * (len(result.trials) > 1)}{done} done: nothing is left to do"
        if worker := completion.model_holder(folder, result, folder.noted):
            again = words("`lossreg model STUDY --train`", "`load_trial(study, train=True)`")
            line = f"worker {worker} has finished the study, and has its model; {again} trains it again here"
        progress.message(line)
    return result


def kept_in(folder: StudyFolder, spec: StudySpec, progress: Observer) -> Result:
    """Run a study that is kept in that folder, or finish one that was begun."""
    backend.check()
    backend.load()
    return Result.of(finished(spec, folder, progress) or go_on(spec, folder, progress, Switches()))


def go_on(spec: StudySpec, folder: StudyFolder, progress: Observer, switches: Switches) -> StudyResult:
    """Run a study that is not `finished`; folder: the one that was read, which is not read again."""
    return Run(spec, folder, progress, time.perf_counter(), switches).execute()


def _check_arguments(trainers: Any, switches: Mapping[str, Any]) -> None:
    """Raise `InputError` for arguments of another kind: a text is no switch, and would start a study over."""
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputError(f"must be True or False, not {represented(value)}", where=name)
    if trainers is None:
        return
    if not isinstance(trainers, (list, tuple)) or not all(hasattr(trainer, "advance") for trainer in trainers):
        raise InputError(f"must be a list of trainers, not {represented(trainers)}", where="trainers")


@dataclass(frozen=True, slots=True)
class Switches:
    """The switches of `tune`, which describes them; more: the number of trials that are added to the study."""

    fresh: bool = False
    allow_changed: bool = False
    require_tracking: bool = False
    more: int | None = None

    def extended(self, spec: StudySpec, folder: StudyFolder) -> StudySpec:
        """Return the study with the trials that were added to it before and are now."""
        return spec if self.fresh else more.extended(spec, folder, self.more)

    def check(self, folder: StudyFolder) -> None:
        """Raise `InputError` for switches that do not go together, or not with a storage that several workers share."""
        if self.fresh and self.more:
            what = f"adds trials to those that there are, and {words('--fresh', 'fresh=True')} starts over"
            raise InputError(what, where=words(*more.ASKED), hint="Leave one of the two out.")
        for name in [name for name in ("fresh", "allow_changed") if getattr(self, name)]:
            folder.require_journal(f"--{name.replace('_', '-')}", f"{name}=True")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a study, with the arguments of `tune`; begin is when it was called.

    is_verdict: only the verdict was asked for, so that one which failed is tried again; apart: the changes for which
    the former run is moved aside; added: the number of trials to which that run was extended, which this one has too.
    """

    spec: StudySpec
    folder: StudyFolder
    progress: Observer
    begin: float
    switches: Switches = Switches()
    trainers: tuple[Trainer, ...] = ()
    is_verdict: bool = False
    apart: tuple[Change, ...] = ()
    added: int = 0

    def execute(self) -> StudyResult:
        """Run the study; where its trials are to be kept apart from later ones, as a new one."""
        with self.folder.announced() as file:
            return replace(self, progress=activity_notes.beside(self.progress, file))._once_or_anew()

    def _once_or_anew(self) -> StudyResult:
        try:
            return self._execute()
        except KeptApartError as kept:
            more.require_kept(self.switches.more)
            anew, noted = replace(self.switches, fresh=True), more.noted(self.folder.peek())
            added = noted if noted == self.spec.search.trials else 0
            return replace(self, switches=anew, apart=kept.changes, added=added)._execute()
        except OSError as error:
            if not is_for_want_of_room(error):
                raise
            where = f"{brief(error.filename)}: " if error.filename else ""
            what = "Trials whose end was written are kept: make room, and run the study again."
            raise LossregError(f"{where}{refusal(error)}. {what}") from error

    def _own_functions(self) -> Iterator[Any]:
        """Yield the functions of the user's own that can be found."""
        spec = self.spec
        losses = [loss.function for loss in spec.losses.values()]
        for function in (spec.search.metric, spec.train.callbacks, spec.model.build, *losses):
            if user_code.is_function(function):
                with suppress(InputError):
                    yield user_code.locate(function, spec.base) if isinstance(function, str) else function

    def _execute(self) -> StudyResult:
        """Prepare everything, then open the study's storage, train, and finish; MLflow is imported meanwhile."""
        from lossreg.search import preparation

        studies.require_trusted(self.spec)
        if not self.is_verdict:
            optuna_samplers.maker(self.spec.search.sampler, self.spec.place(optuna_samplers.KEY))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        minutes = self.spec.search.minutes
        deadline = time.monotonic() + 60 * minutes if minutes else math.inf
        was_stopping = self.progress.stopping()
        # asked again when the data are loaded and traced; until then nothing is written
        self.folder.require_free()
        self.folder.require_writable()
        self.folder.report_to(self.progress)
        begun = None if self.switches.fresh else self.folder.peek()
        changed = Changes.of_file(self.spec, begun, allowed=self.switches.allow_changed)
        stored = changed.stored
        # once: the user's code may change the folder or the environment later
        uri = tracked.uri(self.spec)
        with closing(self._tracker(uri, begun, stored)) as tracker, digests.running(self._own_functions()):
            tracker.prepare()
            self.progress.phase(f"study {self.spec.name}: loading data and losses")
            prepared = stages.joined(preparation.prepare(self.spec, changed), begun)
            more.require_searched(self.switches.more, is_searched=prepared.is_searched)
            lane_bytes = sizing.lane_bytes(prepared)
            # each of several workers has a number of its own
            begun_with = 0 if self.folder.is_shared else stored.get("lanes", 0)
            before = sizing.kept(prepared, begun_with)
            lanes = before or sizing.lanes(prepared, lane_bytes)
            with self._pool(prepared, lanes) as pool:
                # before the lock, since a trace may fail
                if not attributes.is_finished(begun, prepared.trials, self.folder.counts):
                    lanes = self._trace(prepared, pool, lane_bytes, before) or lanes
                    if self.progress.stopping() and not was_stopping:
                        # foreign code may make an error of an interrupt, such as one that keeps a loss out of the lanes
                        raise KeyboardInterrupt
                looks = self._openings_before(prepared)
                aside = self._make_way(uri)
                initial = attributes.initial(prepared, lanes, looks)
                with self._entered(), self._opened(prepared, initial, stored) as study:
                    new = [*aside, *self.folder.note_place(study), *stages.begin(study, prepared)]
                    new += notes.fewer_lanes(before, begun_with)
                    new += self._added(study)
                    budget.note(study, prepared.trials)
                    attributes.note_overrides(study, self.spec)
                    prepared = replace(prepared, earlier=attributes.first_trial(study.user_attrs[ATTRIBUTE]))
                    begin = self._state.begin
                    return begin(self, prepared, pool, study, tracker, uri=uri, deadline=deadline, new=new).execute()

    def _added(self, study: optuna.Study) -> list[str]:
        """Note the number of trials of a study to which some are added, before any of them is trained."""
        lines = more.note(study, self.spec, self.switches.more) or more.note_anew(self.added)
        if lines or self.is_verdict:
            # a run that is cut off before a trial of it has ended, or in its verdict, is not over
            attributes.note(study, **{history.OVER: -1})
        if lines:
            # another worker may have added more meanwhile
            study.set_user_attr(more.NUMBER, max(more.noted(study), self.spec.search.trials))
            attributes.note(study, notes=[*study.user_attrs[ATTRIBUTE]["notes"], *lines])
        return lines

    def _entered(self) -> AbstractContextManager[None]:
        """Have the study for this process: alone for a verdict, else with others where its storage allows it."""
        return self.folder.lock() if self.is_verdict else self.folder.joined()

    @property
    def _state(self) -> type[RunState]:
        from lossreg.search.run_state import RunState
        from lossreg.search.shared_run import SharedRunState, SharedVerdictState

        if not self.folder.is_shared:
            return RunState
        return SharedVerdictState if self.is_verdict else SharedRunState

    def _tracker(self, uri: str, begun: optuna.Study | None, stored: Mapping[str, Any]) -> Tracker | Untracked:
        is_tracked = False
        if begun is not None and completion.is_noted(stored, self.spec, uri):
            is_tracked = completion.is_tracked(stored, self.spec, history.result(begun, self.folder.path), uri)
        return tracked.tracker(
            self.spec, uri, self.progress, is_tracked=is_tracked, required=self.switches.require_tracking
        )

    @contextmanager
    def _pool(self, prepared: Prepared, lanes: int) -> Iterator[Pool]:
        pool = Pool(self.trainers) if self.trainers else sizing.pool(prepared, lanes)
        pool.warn = self.progress.warn
        try:
            yield pool
        finally:
            pool.shutdown()

    def _trace(self, prepared: Prepared, pool: Pool, lane_bytes: int, before: int) -> int | None:
        """Trace model and losses; return the number of lanes, None for trainers that have their own."""
        self.progress.phase(f"study {self.spec.name}: preparing model and losses")
        pool.prepare()
        if self.trainers:
            return None
        chosen = sizing.choose(prepared, pool, lane_bytes, before)
        if chosen.message:
            self.progress.message(chosen.message)
        return chosen.lanes

    def _make_way(self, uri: str) -> list[str]:
        """Move a former run aside; return notes on why, where it was not asked for.

        Raises `LossregError` for a store that must answer and does not.
        """
        from lossreg import tracking

        if self.switches.require_tracking:
            tracking.require_answer(uri)
        aside = self.folder.archive() if self.switches.fresh else None
        if aside and not self.apart:
            self.progress.message(f"the former run was moved to {aside}")
        return [f"begun anew, apart from the former run in {aside}: {change.described}" for change in self.apart]

    def _openings_before(self, prepared: Prepared) -> int:
        """Return how often a former run that is moved aside opened the same test rows; 0 if it cannot be read."""
        if self.switches.fresh:
            with suppress(InputError):
                former = self.folder.peek()
                stored = former.user_attrs[ATTRIBUTE] if former else {}
                return openings(stored) if stored.get(TESTED) == prepared.problem.dataset.rows.tested else 0
        return 0

    @contextmanager
    def _opened(
        self, prepared: Prepared, initial: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Iterator[optuna.Study]:
        """Have the Optuna study open, created if need be."""
        stages.widen(self.folder, prepared)
        sampler = SeededSampler(self.spec.search.seed, self.spec.search.sampler, prepared.proposer.allowed)
        pruner = pruners.build(self.spec.search.pruner, self.spec.train.epochs)
        with self.folder.opened([one.direction for one in prepared.objectives], sampler, pruner) as study:
            pruners.begin(study)
            self._state.begin_study(self, prepared, study, initial, stored)
            yield study
