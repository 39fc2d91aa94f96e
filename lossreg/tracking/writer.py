"""The `Writer` of a study into MLflow: a parent run and one child run per trial, by explicit run ids.

Everything here goes through MLflow's public client, blocks and may raise; the process of `lossreg.tracking.worker`
calls it. Importing this module imports MLflow (seconds).
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunInfo, RunTag

from lossreg import __version__
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.tracking import entities
from lossreg.tracking.artifacts import Artifacts
from lossreg.tracking.entities import Point
from lossreg.tracking.lookup import Lookup
from lossreg.tracking.uri import sqlite_path, without_secrets

# a server answers a request in 20 ms or more, and several at a time
THREADS = 4
EMPTY: Mapping[str, str] = {}
Answer = TypeVar("Answer")


class Writer:
    """One study in one MLflow store.

    exact: the store is to hold this study as it is now: a deleted experiment is brought back, and children of trials
    that the study does not have are deleted. reopens: the parent run is set running; of several workers, one that
    comes late leaves the status of a parent run that another one may have ended.
    """

    def __init__(self, uri: str, experiment: str, *, exact: bool = False, reopens: bool = True) -> None:
        silence()
        self.client = MlflowClient(uri)
        self.run_id = ""
        self._exact, self._reopens = exact, reopens
        self._lookup = Lookup(self.client, experiment, _location(uri, experiment), restore=exact)
        self._pool = ThreadPoolExecutor(threads(uri), "lossreg-writer")
        self._children: dict[int, RunInfo] = {}
        self._written: set[int] = set()
        self._steps: defaultdict[str, set[int]] = defaultdict(set)  # by curve of the parent
        self._lost: set[int] = set()
        self._note = ""
        self._model: Mapping[str, str] = EMPTY
        # by run id: the last values of the metrics of verdict and confirmation, NaN for none
        self._shown: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._former: Mapping[str, str] = EMPTY  # tags in place of those of a verdict that was written before

    @property
    def experiment_id(self) -> str:
        """The experiment of the parent run."""
        return self._lookup.experiment_id

    @property
    def artifacts(self) -> Artifacts:
        """The artifacts of the parent run."""
        return Artifacts(self.client, self.experiment_id, self.run_id)

    def open(self, result: StudyResult, run_id: str = "", key: str = "", lost: Iterable[int] = ()) -> None:
        """Take up the parent run `run_id`, or the one that carries `key`, or create it; `lost` as in `best_points`."""
        self._lost = set(lost)
        parent = self._lookup.parent(run_id, key)
        if parent is None:
            self._create_parent(result, key)
        else:
            self._take_up(parent, result)
        doubles = self._lookup.doubles(key, self.run_id)
        self._gather([self.run_id, *self._lookup.lost_parents(run_id, key, self.run_id), *doubles])
        for double in doubles:
            patiently(self.client.delete_run, double)
        if self._exact:
            for number in self._children.keys() - {trial.number for trial in result.trials}:
                self._delete_child(number)

    def _create_parent(self, result: StudyResult, key: str) -> None:
        started = entities.milliseconds(_start(result))
        tags = self._tags(result, key)
        self._note = tags[entities.NOTE]
        source = {"mlflow.source.name": f"lossreg {__version__}"}
        run = patiently(self.client.create_run, self.experiment_id, started, {**tags, **source}, result.study)
        self._describe(run, result)

    def _take_up(self, parent: Run, result: StudyResult) -> None:
        run_id = parent.info.run_id
        self._former = entities.OUTDATED if entities.VERDICT in parent.data.tags else EMPTY
        parent = self.client.get_run(run_id)
        self._describe(parent, result)
        for name in (name for name in parent.data.metrics if name.split("/")[0] == entities.BEST):
            self._steps[name] = {metric.step for metric in self.client.get_metric_history(run_id, name)}
        if self._reopens:
            patiently(self.client.update_run, run_id, "RUNNING")

    def _describe(self, parent: Run, result: StudyResult) -> None:
        """Give the parent what it lacks of the study's parameters and data."""
        self._see(parent)
        self._model = entities.model_tags(parent.data.tags)
        self.run_id, params = parent.info.run_id, entities.study_params(result)
        self._log(self.run_id, (), {name: params[name] for name in params if name not in parent.data.params})
        if result.data and not (parent.inputs and parent.inputs.dataset_inputs):
            inputs = [
                DatasetInput(Dataset(**split), [InputTag("mlflow.data.context", context)])
                for context, split in entities.datasets(result.data).items()
            ]
            patiently(self.client.log_inputs, self.run_id, inputs)

    def _gather(self, parents: Iterable[str]) -> None:
        """Take over the children of all parents: one per trial, a complete one where there is one; others go."""
        children = [child for parent in parents for child in self._lookup.children(parent)]
        for child in sorted(children, key=lambda child: not _is_complete(child.info)):
            number, run_id = _number(child), child.info.run_id
            self._see(child)
            if number in self._children:
                patiently(self.client.delete_run, run_id)
                continue
            if child.data.tags[entities.PARENT] != self.run_id:
                patiently(self.client.set_tag, run_id, entities.PARENT, self.run_id)
            if number is not None:
                self._children[number] = child.info

    def _delete_child(self, number: int) -> None:
        patiently(self.client.delete_run, self._children.pop(number).run_id)

    def missing(self, trials: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Return the trials of which there is no complete child run."""
        return [trial for trial in trials if not self._has(trial)]

    def _has(self, trial: TrialRecord) -> bool:
        child = self._children.get(trial.number)
        is_complete = trial.number in self._written or (child is not None and _is_complete(child))
        return is_complete and child is not None and _is_of(child, trial)

    def write(self, trials: Sequence[TrialRecord], metric: str) -> Iterator[None]:
        """Write the child runs of trials, and yield after each of those that were not complete already."""
        return self._pool.map(partial(self._write, metric=metric), self.missing(trials))

    def _write(self, trial: TrialRecord, metric: str) -> None:
        """Write a child in three calls, the last of which says that it is complete."""
        child = self._children.get(trial.number)
        if child is not None and not _is_of(child, trial):
            self._delete_child(trial.number)
            child = None
        run_id = (child or self._create_child(trial)).run_id
        points, params = entities.trial_points(trial, metric), entities.trial_params(trial)
        self._log(run_id, points, params)
        patiently(self.client.set_terminated, run_id, entities.STATUS[trial.state], entities.milliseconds(trial.ended))
        self._written.add(trial.number)

    def _create_child(self, trial: TrialRecord) -> RunInfo:
        started, tags = entities.milliseconds(trial.started), entities.trial_tags(trial, self.run_id)
        child = patiently(self.client.create_run, self.experiment_id, started, tags, entities.run_name(trial))
        self._children[trial.number] = child.info
        return self._children[trial.number]

    def refresh(self, result: StudyResult, *, is_over: bool = False) -> None:
        """Bring the parent's leaderboard, its best-so-far curves and its verdict up to date."""
        self._show(self.run_id, entities.verdict_points(result))
        curve = entities.best_points(result, self._lost, is_over=is_over)
        curves = [*curve, *entities.loss_points(result, curve, is_over=is_over)]
        points = [point for point in curves if point.step not in self._steps[point.name]]
        tags = {**self._former, **self._tags(result)}
        if not points and tags[entities.NOTE] == self._note:
            return
        self._log(self.run_id, points, tags=tags)
        for point in points:
            self._steps[point.name].add(point.step)
        self._note = tags[entities.NOTE]
        if result.verdict:
            self._former = entities.OUTDATED

    def _tags(self, result: StudyResult, key: str = "") -> dict[str, str]:
        """Return the tags of the parent, the description among them, which says how to load the model that it has."""
        return entities.study_tags(self.tracked(result), key)

    @property
    def model(self) -> dict[str, Any]:
        """Address and trial of the model that the parent has, as a study's `tracking` has them."""
        return entities.model_of(self._model)

    def tracked(self, result: StudyResult) -> StudyResult:
        """Return a study whose `tracking` has this store and the model that the parent has in it."""
        others = {name: value for name, value in result.tracking.items() if name not in ("model", "model_trial")}
        return replace(result, tracking={**others, "uri": without_secrets(self.client.tracking_uri), **self.model})

    def describe_model(self, result: StudyResult) -> None:
        """Have the description say how to load the model, now that the parent has it."""
        self._model = entities.model_tags(self.client.get_run(self.run_id).data.tags)
        self.refresh(result, is_over=True)

    def summarise(self, result: StudyResult) -> None:
        """Bring the parent's leaderboard, curves, verdict and confirmed scores to their final state."""
        self.refresh(result, is_over=True)
        self._confirm(result)

    def _confirm(self, result: StudyResult) -> None:
        """Write the scores on fresh splits: of each trial to its child run, the recommended one's to the parent."""
        points = entities.confirmed_points(result)
        if result.recommended:
            self._show(self.run_id, points[result.recommended.number])
        for number in points.keys() & self._children.keys():
            self._show(self._children[number].run_id, points[number])

    def _see(self, run: Run) -> None:
        """Note what a run shows that may be taken back."""
        names = {*entities.VERDICT_METRICS, *entities.CONFIRMED_METRICS} & run.data.metrics.keys()
        self._shown[run.info.run_id] = {name: run.data.metrics[name] for name in names}

    def _show(self, run_id: str, points: Iterable[Point]) -> None:
        """Have these points be the last of their metrics, where they are not; NaN takes back what is there.

        MLflow shows the latest point of the highest step, and the largest value of equal ones.
        """
        shown = self._shown[run_id]
        new = [point for point in points if not _is_same(point.value, shown.get(point.name, math.nan))]
        if new:
            after = [self._after_others(run_id, point) if point.name in shown else point for point in new]
            self._log(run_id, after)
            shown |= {point.name: point.value for point in new}

    def _after_others(self, run_id: str, point: Point) -> Point:
        """Return a point no earlier than those that its metric has."""
        for other in self.client.get_metric_history(run_id, point.name):
            point = point._replace(at=max(point.at, other.timestamp + 1), step=max(point.step, other.step))
        return point

    def _log(
        self, run_id: str, points: Iterable[Point], params: Mapping[str, str] = EMPTY, tags: Mapping[str, str] = EMPTY
    ) -> None:
        """Log in one call, which MLflow's client splits where its limits ask for it."""
        patiently(
            self.client.log_batch,
            run_id,
            [Metric(point.name, point.value, point.at, point.step) for point in points],
            [Param(name, value) for name, value in params.items()],
            [RunTag(name, value) for name, value in tags.items()],
        )

    def shutdown(self) -> None:
        """Wait for the children that are being written, and write no more."""
        self._pool.shutdown(cancel_futures=True)

    def close(self, result: StudyResult, status: str) -> None:
        """End the parent run, with the study; a resumed study opens it again."""
        patiently(self.client.set_terminated, self.run_id, status, entities.milliseconds(_end(result)))


def _is_same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _start(result: StudyResult) -> float:
    """Return when a study began, before all its trials; now, where that is not known."""
    return min(filter(None, [result.started, *(trial.started for trial in result.trials)]), default=time.time())


def _end(result: StudyResult) -> float:
    """Return when a study ended, after its trials, confirmation and verdict; now, where that is not known.

    A resumed study ended no earlier than after the time that all its runs took.
    """
    spent = result.started + result.seconds.get("total", 0.0) if result.started else 0.0
    confirmed = result.confirmation.ended if result.confirmation else 0.0
    return max(filter(None, [spent, confirmed, *(trial.ended for trial in result.trials)]), default=time.time())


def _number(child: Run) -> int | None:
    """Return the number of the trial that a child run is of, None where it has none."""
    tag = child.data.tags.get(entities.TRIAL)
    return None if tag is None else int(tag)


def _is_complete(child: RunInfo) -> bool:
    return bool(child.status != "RUNNING")


def _is_of(child: RunInfo, trial: TrialRecord) -> bool:
    """Return whether a child is of this very training: a journal that lost its end goes on with the same numbers."""
    return not trial.started or bool(child.start_time == entities.milliseconds(trial.started))


def _location(uri: str, experiment: str) -> str | None:
    """Return where an experiment's files go: beside an SQLite file, elsewhere None, which is MLflow's own choice."""
    path = sqlite_path(uri)
    return (path.parent / "mlartifacts" / entities.safe_name(experiment)).as_uri() if path else None


def threads(uri: str) -> int:
    """Return how many children are written at a time: an SQLite file takes one writer."""
    return THREADS if sqlite_path(uri) is None else 1


def silence() -> None:
    """Silence MLflow's warnings and log."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"mlflow\b")


def patiently(call: Callable[..., Answer], *args: Any) -> Answer:
    """Return `call(*args)`, tried again for a few seconds while another process holds an SQLite file."""
    for pause in (0.2, 0.5, 1.0, 2.0):
        try:
            return call(*args)
        except Exception as error:
            if "database is locked" not in str(error):
                raise
            time.sleep(pause)
    return call(*args)
