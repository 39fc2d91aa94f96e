"""MLflow's tables: made in memory ahead of the need, and children of a study written straight into them.

Making them takes MLflow seconds, and its client needs 20 ms of processor time for one child run of 80 metrics
(objects, six transactions); the rows themselves need less than 1 ms, many children in one transaction.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lossreg.tracking.entities import Point

_numbers = itertools.count()
WAIT = 20.0
# the tables of MLflow 3.17, which a child run is written into; where they differ, MLflow's client writes
TABLES = {
    "runs": (
        "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
        "end_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id", "deleted_time",
    ),
    "tags": ("key", "value", "run_uuid"),
    "params": ("key", "value", "run_uuid"),
    "metrics": ("key", "value", "timestamp", "run_uuid", "step", "is_nan"),
    "latest_metrics": ("key", "value", "timestamp", "step", "is_nan", "run_uuid"),
}  # fmt: skip


class NewDatabase:
    """An empty MLflow database in memory."""

    def __init__(self) -> None:
        from mlflow import MlflowClient

        name = f"file:lossreg-{os.getpid()}-{next(_numbers)}?mode=memory&cache=shared"
        self._kept = sqlite3.connect(name, uri=True, check_same_thread=False)
        MlflowClient(f"sqlite:///{name}&uri=true").search_experiments(max_results=1)

    def put(self, path: Path) -> None:
        """Write it to `path`, unless something is there by then: whole or not at all, whatever kills this process."""
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            with contextlib.closing(sqlite3.connect(fresh)) as file:
                self._kept.backup(file)
            _rename(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)


def _rename(fresh: Path, path: Path) -> None:
    """Give `fresh` the name `path` unless a database has it already."""
    try:
        path.hardlink_to(fresh)
    except OSError:
        if not (path.exists() and path.stat().st_size):
            fresh.replace(path)


class Child(NamedTuple):
    """One ended trial as MLflow keeps it; `start` and `end` in milliseconds since 1970."""

    name: str
    status: str
    start: int
    end: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]


class Rows:
    """Writes children into the SQLite database at `path`, which MLflow has made."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)

    @property
    def are_known(self) -> bool:
        """Whether the tables are those that this class writes."""
        return all(self._columns(table) == set(columns) for table, columns in TABLES.items())

    def _columns(self, table: str) -> set[str]:
        return {name for _, name, *_ in self._database.execute(f"pragma table_info({table})")}

    def write(self, children: Sequence[Child], experiment: str, artifacts: str) -> list[str]:
        """Write all or none; their run ids. `artifacts` is the experiment's place for files."""
        ids = [uuid.uuid4().hex for _ in children]
        self._database.execute("begin immediate")
        try:
            for run, child in zip(ids, children, strict=True):
                self._write(run, child, experiment, f"{artifacts.rstrip('/')}/{run}/artifacts")
            self._database.execute("commit")
        except BaseException:
            if self._database.in_transaction:  # a full disk has ended it, and would be hidden by an error about that
                self._database.execute("rollback")
            raise
        return ids

    def _write(self, run: str, child: Child, experiment: str, artifacts: str) -> None:
        self._insert("runs", [(
            run, child.name, "UNKNOWN", "", "", "unknown", child.status, child.start, child.end, "", "active",
            artifacts, int(experiment), None,
        )])  # fmt: skip
        self._insert("tags", [(key, value, run) for key, value in {**child.tags, "mlflow.runName": child.name}.items()])
        self._insert("params", [(key, value, run) for key, value in child.params.items()])
        self._insert("metrics", [(p.name, p.value, p.at, run, p.step, False) for p in child.points])
        self._insert("latest_metrics", [(p.name, p.value, p.at, p.step, False, run) for p in _latest(child.points)])

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        columns = TABLES[table]
        places = ", ".join("?" * len(columns))
        self._database.executemany(f"insert or ignore into {table} ({', '.join(columns)}) values ({places})", rows)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _latest(points: Iterable[Point]) -> Iterable[Point]:
    """The last value of each metric, by step, time and value as MLflow orders them."""
    last: dict[str, Point] = {}
    for point in points:
        known = last.get(point.name)
        if known is None or (point.step, point.at, point.value) > (known.step, known.at, known.value):
            last[point.name] = point
    return last.values()
