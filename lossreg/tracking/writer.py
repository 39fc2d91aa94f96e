"""Writes one study into MLflow: a parent run and one child run a trial, by explicit run ids.

Everything here blocks and may raise; the process of `lossreg.tracking.child` calls it.
Importing this module imports MLflow (seconds).
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException

from lossreg import __version__
from lossreg.errors import LossregError
from lossreg.reporting import report
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.terminal.plain_text import printable
from lossreg.tracking import entities, model_package
from lossreg.tracking import uri as store
from lossreg.tracking.database import Child, Rows
from lossreg.tracking.entities import Point

MOST_METRICS = 800
MOST_PARAMS = 100
ROWS_AT_ONCE = 64
# a server answers a request in 20 ms or more, and several at a time
HANDS = 4
PAGE = 1_000
TABLES = "mlflow.loggedArtifacts"
MODEL_TRIAL = "lossreg.model_trial"
# without it the UI takes an experiment for one about language models, and hides charts and columns
TRAINING = {"mlflow.experimentKind": "custom_model_development"}
Answer = TypeVar("Answer")


class Writer:
    """One study in one MLflow store."""

    def __init__(self, uri: str, experiment: str) -> None:
        quiet()
        self.uri, self.experiment = uri, experiment
        self.client = MlflowClient(uri)
        self.run_id = ""
        self.experiment_id = ""
        self._rows, self._hands = _rows(uri), requests_at_once(uri)
        self._children: dict[int, str] = {}
        self._written: set[int] = set()
        self._steps: set[int] = set()
        self._lost: set[int] = set()
        self._note = self._place = ""

    def open(self, result: StudyResult, run_id: str = "", key: str = "", lost: Iterable[int] = ()) -> None:
        """Take up the parent run `run_id`, or the one that carries `key`, or create it; `lost` as in `best_points`."""
        self._lost = set(lost)
        self.experiment_id = self._find_experiment()
        parent = self._find_parent(run_id, key)
        self._place = str(self.client.get_experiment(self.experiment_id).artifact_location)
        if parent is None:
            self._create_parent(result, key)
        else:
            self._take_up(parent)
        self._take_in_orphans(run_id, key)

    def _take_up(self, parent: Run) -> None:
        self.run_id = parent.info.run_id
        for run in self._search(entities.PARENT, self.run_id):
            self._index(run)
        history = self.client.get_metric_history(self.run_id, "best_score") if self._children else []
        self._steps = {metric.step for metric in history}
        self.client.update_run(self.run_id, status="RUNNING")

    @property
    def at_once(self) -> int:
        """How many trials may be written in one call: rows go in together, requests a few at a time."""
        return self._hands if self._rows is None else ROWS_AT_ONCE

    def write(self, trials: Sequence[TrialRecord], metric: str) -> None:
        """The child runs of trials; those that have ended are left alone, half-written ones are completed."""
        due = [trial for trial in trials if trial.number not in self._written]
        new = [trial for trial in due if trial.number not in self._children]
        if self._rows is not None and new:
            self._insert(self._rows, new, metric)
        left = [trial for trial in due if trial.number not in self._written]
        with ThreadPoolExecutor(self._hands) as pool:
            list(pool.map(partial(self._write, metric=metric), left))

    def _insert(self, rows: Rows, trials: Sequence[TrialRecord], metric: str) -> None:
        """New children, in one transaction."""
        children = [
            Child(
                entities.run_name(trial), entities.STATUS[trial.state], entities.milliseconds(trial.started),
                entities.milliseconds(trial.ended), entities.trial_tags(trial, self.run_id),
                entities.trial_params(trial),
                entities.trial_points(trial, metric),
            )
            for trial in trials
        ]  # fmt: skip
        ids = _patiently(rows.write, children, self.experiment_id, self._place)
        self._children |= {trial.number: run_id for trial, run_id in zip(trials, ids, strict=True)}
        self._written |= {trial.number for trial in trials}

    def _write(self, trial: TrialRecord, metric: str) -> None:
        run_id = self._children.get(trial.number) or self._create_child(trial)
        params = [Param(name, value) for name, value in entities.trial_params(trial).items()]
        self._log(run_id, entities.trial_points(trial, metric), params)
        _patiently(self.client.set_terminated, run_id, entities.STATUS[trial.state], entities.milliseconds(trial.ended))
        self._written.add(trial.number)

    def refresh(self, result: StudyResult, *, settled: bool = False) -> None:
        """Bring the parent's leaderboard and its best-so-far curve up to date."""
        curve = entities.best_points(result, self._lost, settled=settled)
        points = [point for point in curve if point.step not in self._steps]
        tags = entities.study_tags(result)
        if not points and tags[entities.NOTE] == self._note:
            return
        self._log(self.run_id, points, tags=[RunTag(name, value) for name, value in tags.items()])
        self._steps |= {point.step for point in points}
        self._note = tags[entities.NOTE]

    def summarise(self, result: StudyResult) -> None:
        """The parent's last words: leaderboard, best-so-far, the baseline's best."""
        self.refresh(result, settled=True)
        self._log(self.run_id, entities.baseline_points(result))

    def tabulate(self, result: StudyResult) -> None:
        """Tables and the whole report as artifacts of the parent."""
        texts = {
            "report.md": report.markdown(result),
            "result.json": json.dumps(result.to_json(), indent=2),
            "trials.csv": printable(report.to_csv(report.trial_rows(result))),
        }
        for name, text in texts.items():
            self.client.log_text(self.run_id, text, name)
        self._log_table("leaderboard.json", report.leaderboard_rows(result))

    def draw(self, result: StudyResult) -> None:
        """Plots as artifacts of the parent."""
        from lossreg.reporting import study_plots

        for name, figure in study_plots.figures(result).items():
            self.client.log_figure(self.run_id, figure, f"plots/{name}.png")

    def _log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        columns = list(rows[0]) if rows else []
        table = {"columns": columns, "data": [[row[column] for column in columns] for row in rows]}
        self.client.log_dict(self.run_id, table, name)
        self.client.set_tag(self.run_id, TABLES, json.dumps([{"path": name, "type": "table"}]))

    def log_model(self, result: StudyResult, model: Mapping[str, Any]) -> None:
        """The best trial's model, as `package.describe` says of it, as an MLflow model of the parent.

        A resumed study whose best trial is still the same keeps the model that it has.
        """
        best = result.best
        if best is None or self.client.get_run(self.run_id).data.tags.get(MODEL_TRIAL) == str(best.number):
            return
        with tempfile.TemporaryDirectory() as folder:
            logged = self.client.create_logged_model(
                self.experiment_id,
                re.sub(r"[/:.%\"']", "_", f"{result.study}-best"),
                source_run_id=self.run_id,
                params=entities.trial_params(best),
                tags={entities.TRIAL: str(best.number), "lossreg.get": entities.recipe_tag(best)},
            )
            model_package.pack(model, Path(folder, "model"), logged, self.run_id)
            self.client.log_model_artifacts(logged.model_id, str(Path(folder, "model")))
        self.client.finalize_logged_model(logged.model_id, "READY")
        self.client.log_outputs(self.run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self.client.set_tag(self.run_id, MODEL_TRIAL, str(best.number))

    def close(self, result: StudyResult, status: str) -> None:
        """End the parent run, with its last trial; a resumed study opens it again."""
        ended = max((trial.ended for trial in result.trials), default=time.time())
        _patiently(self.client.set_terminated, self.run_id, status, entities.milliseconds(ended))

    def _find_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            return str(self.client.create_experiment(self.experiment, self._artifacts(), TRAINING))
        if found.lifecycle_stage != "active":
            raise LossregError(
                f"the experiment {self.experiment!r} is deleted; bring it back with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or name another"
            )
        return str(found.experiment_id)

    def _artifacts(self) -> str | None:
        """Beside an SQLite file, whatever the current folder is; elsewhere MLflow's own choice."""
        path = store.sqlite_path(self.uri)
        return (path.parent / "mlartifacts" / entities.safe_name(self.experiment)).as_uri() if path else None

    def _find_parent(self, run_id: str, key: str) -> Run | None:
        run = self._look_up(run_id)
        if run is not None and run.info.lifecycle_stage == "active" and _is_of(run, key):
            self.experiment_id = run.info.experiment_id
            return run
        return next(iter(self._search(entities.KEY, key)), None) if key else None

    def _look_up(self, run_id: str) -> Run | None:
        """The run of that id, deleted or not; None where there is none."""
        try:
            return self.client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _take_in_orphans(self, run_id: str, key: str) -> None:
        """Give the children of this study's deleted parents to the parent that there is now.

        Of trials that it has already, they are deleted.
        """
        for former in self._deleted_parents(run_id, key):
            for child in self._search(entities.PARENT, former):
                if _number(child) in self._children:
                    _patiently(self.client.delete_run, child.info.run_id)
                else:
                    _patiently(self.client.set_tag, child.info.run_id, entities.PARENT, self.run_id)
                    self._index(child)

    def _deleted_parents(self, run_id: str, key: str) -> list[str]:
        """Ids of former parents: those that are deleted, and `run_id` where it is gone for good."""
        ids = [run.info.run_id for run in self._search(entities.KEY, key, ViewType.DELETED_ONLY)] if key else []
        if not run_id or run_id in (self.run_id, *ids):
            return ids
        run = self._look_up(run_id)
        is_gone = run is None or (run.info.lifecycle_stage != "active" and _is_of(run, key))
        return [*ids, run_id] if is_gone else ids

    def _search(self, tag: str, value: str, view: Any = ViewType.ACTIVE_ONLY) -> list[Run]:
        """Every run with that tag, oldest first."""
        found: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.`{tag}` = '{value}'",
                view,
                PAGE,
                ["attributes.start_time DESC"],
                token,
            )
            found += page
            token = page.token
            if not token:
                return found[::-1]

    def _create_parent(self, result: StudyResult, key: str) -> None:
        started = entities.milliseconds(min((t.started for t in result.trials if t.started), default=time.time()))
        tags = entities.study_tags(result, key)
        run = self.client.create_run(self.experiment_id, started, tags, result.study)
        self.run_id, self._note = run.info.run_id, tags[entities.NOTE]
        params = [Param(name, value) for name, value in entities.study_params(result).items()]
        self._log(self.run_id, (), params, [RunTag("mlflow.source.name", f"lossreg {__version__}")])
        if result.data:
            entity = Dataset(**entities.dataset(result.data))
            inputs = [DatasetInput(entity, [InputTag("mlflow.data.context", "tuning")])]
            self.client.log_inputs(self.run_id, inputs)

    def _index(self, child: Run) -> None:
        number = _number(child)
        if number is None:
            return
        self._children[number] = child.info.run_id
        if child.info.status != "RUNNING":
            self._written.add(number)

    def _create_child(self, trial: TrialRecord) -> str:
        started, tags = entities.milliseconds(trial.started), entities.trial_tags(trial, self.run_id)
        child = _patiently(self.client.create_run, self.experiment_id, started, tags, entities.run_name(trial))
        self._children[trial.number] = child.info.run_id
        return self._children[trial.number]

    def _log(
        self, run_id: str, points: Sequence[Point], params: Sequence[Param] = (), tags: Sequence[RunTag] = ()
    ) -> None:
        """One request, or several where MLflow's limits ask for it."""
        metrics = [Metric(point.name, point.value, point.at, point.step) for point in points]
        requests = max(-(-len(metrics) // MOST_METRICS), -(-len(params) // MOST_PARAMS), 1)
        for number in range(requests):
            _patiently(
                self.client.log_batch,
                run_id,
                metrics[number * MOST_METRICS : (number + 1) * MOST_METRICS],
                params[number * MOST_PARAMS : (number + 1) * MOST_PARAMS],
                () if number else tags,
                True,
            )


def _number(child: Run) -> int | None:
    """The number of the trial that a child run is of, None where it does not say."""
    tag = child.data.tags.get(entities.TRIAL)
    return None if tag is None else int(tag)


def _is_of(run: Run, key: str) -> bool:
    """Whether a run is the parent of the study that `key` names: a run id from elsewhere may be anybody's."""
    return not key or run.data.tags.get(entities.KEY) == key


def quiet() -> None:
    """Keep MLflow's remarks to itself."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"mlflow\b")


def requests_at_once(uri: str) -> int:
    """Return how many requests may be under way together: an SQLite file takes one writer."""
    return HANDS if store.sqlite_path(uri) is None else 1


def _rows(uri: str) -> Rows | None:
    """Children of an SQLite store are written as rows, if its tables are the known ones."""
    path = store.sqlite_path(uri)
    if path is None or "?" in uri:
        return None
    rows = Rows(path)
    if rows.are_known:
        return rows
    rows.close()
    return None


def _patiently(call: Callable[..., Answer], *args: Any) -> Answer:
    """`call(*args)`, tried again for a few seconds while another process holds an SQLite file."""
    for pause in (0.2, 0.5, 1.0, 2.0):
        try:
            return call(*args)
        except Exception as error:
            if "database is locked" not in str(error):
                raise
            time.sleep(pause)
    return call(*args)
