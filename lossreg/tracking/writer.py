"""The `Writer` of a study into MLflow: a parent run and one child run per trial, by explicit run ids.

Everything here goes through MLflow's public client, blocks and may raise; the process of `lossreg.tracking.worker`
calls it. Importing this module imports MLflow (seconds).
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from lossreg import __version__
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.tracking import entities
from lossreg.tracking.artifacts import Artifacts
from lossreg.tracking.entities import Point
from lossreg.tracking.lookup import Lookup
from lossreg.tracking.uri import sqlite_path

# a server answers a request in 20 ms or more, and several at a time
THREADS = 4
EMPTY: Mapping[str, str] = {}
Answer = TypeVar("Answer")


class Writer:
    """One study in one MLflow store."""

    def __init__(self, uri: str, experiment: str) -> None:
        silence()
        self.client = MlflowClient(uri)
        self.run_id = ""
        self._lookup = Lookup(self.client, experiment, _location(uri, experiment))
        self._pool = ThreadPoolExecutor(threads(uri), "lossreg-writer")
        self._children: dict[int, str] = {}
        self._written: set[int] = set()
        self._steps: set[int] = set()
        self._lost: set[int] = set()
        self._note = ""
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
            self._take_up(parent)
        for former in self._lookup.lost_parents(run_id, key, self.run_id):
            self._adopt_children(former)

    def _create_parent(self, result: StudyResult, key: str) -> None:
        started = entities.milliseconds(_start(result))
        tags = entities.study_tags(result, key)
        self._note = tags[entities.NOTE]
        source = {"mlflow.source.name": f"lossreg {__version__}"}
        run = self.client.create_run(self.experiment_id, started, {**tags, **source}, result.study)
        self.run_id = run.info.run_id
        self._log(self.run_id, (), entities.study_params(result))
        if result.data:
            dataset = Dataset(**entities.dataset(result.data))
            self.client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "tuning")])])

    def _take_up(self, parent: Run) -> None:
        self.run_id = run_id = parent.info.run_id
        self._former = entities.OUTDATED if entities.VERDICT in parent.data.tags else EMPTY
        for run in self._lookup.children(run_id):
            self._index(run)
        history = self.client.get_metric_history(run_id, "best_score") if self._children else []
        self._steps = {metric.step for metric in history}
        self.client.update_run(run_id, status="RUNNING")

    def _adopt_children(self, former: str) -> None:
        """Give the parent the children of a former one; those of trials that it has already are deleted."""
        for child in self._lookup.children(former):
            if _number(child) in self._children:
                patiently(self.client.delete_run, child.info.run_id)
            else:
                patiently(self.client.set_tag, child.info.run_id, entities.PARENT, self.run_id)
                self._index(child)

    def _index(self, child: Run) -> None:
        number = _number(child)
        if number is None:
            return
        self._children[number] = child.info.run_id
        if child.info.status != "RUNNING":
            self._written.add(number)

    def write(self, trials: Sequence[TrialRecord], metric: str) -> Iterator[None]:
        """Write the child runs of trials, and yield after each of those that were not complete already."""
        missing = [trial for trial in trials if trial.number not in self._written]
        return self._pool.map(partial(self._write, metric=metric), missing)

    def _write(self, trial: TrialRecord, metric: str) -> None:
        """Write a child in three calls, the last of which says that it is complete."""
        run_id = self._children.get(trial.number) or self._create_child(trial)
        points, params = entities.trial_points(trial, metric), entities.trial_params(trial)
        self._log(run_id, points, params)
        patiently(self.client.set_terminated, run_id, entities.STATUS[trial.state], entities.milliseconds(trial.ended))
        self._written.add(trial.number)

    def _create_child(self, trial: TrialRecord) -> str:
        started, tags = entities.milliseconds(trial.started), entities.trial_tags(trial, self.run_id)
        child = patiently(self.client.create_run, self.experiment_id, started, tags, entities.run_name(trial))
        self._children[trial.number] = child.info.run_id
        return self._children[trial.number]

    def refresh(self, result: StudyResult, *, is_over: bool = False) -> None:
        """Bring the parent's leaderboard and its best-so-far curve up to date."""
        curve = entities.best_points(result, self._lost, is_over=is_over)
        points = [point for point in curve if point.step not in self._steps]
        tags = {**self._former, **entities.study_tags(result)}
        if not points and tags[entities.NOTE] == self._note:
            return
        self._log(self.run_id, points, tags=tags)
        self._steps |= {point.step for point in points}
        self._note = tags[entities.NOTE]
        if result.verdict:
            self._former = entities.OUTDATED

    def summarise(self, result: StudyResult) -> None:
        """Bring the parent's leaderboard, curve, baseline's best and verdict to their final state."""
        self.refresh(result, is_over=True)
        self._log(self.run_id, [*entities.baseline_points(result), *entities.verdict_points(result)])

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
        """End the parent run, with its last trial; a resumed study opens it again."""
        ended = max((trial.ended for trial in result.trials), default=time.time())
        patiently(self.client.set_terminated, self.run_id, status, entities.milliseconds(ended))


def _start(result: StudyResult) -> float:
    """Return when a study began, before all its trials; now, where that is not known."""
    return min(filter(None, [result.started, *(trial.started for trial in result.trials)]), default=time.time())


def _number(child: Run) -> int | None:
    """Return the number of the trial that a child run is of, None where it has none."""
    tag = child.data.tags.get(entities.TRIAL)
    return None if tag is None else int(tag)


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
