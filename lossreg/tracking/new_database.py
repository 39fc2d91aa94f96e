"""A new SQLite store: MLflow makes its tables in memory, ahead of the need, and they reach the disk as one file."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from pathlib import Path

from lossreg.tracking.uri import sqlite_path

_numbers = itertools.count()


class NewDatabase:
    """An empty MLflow database in memory. Making it imports MLflow and takes seconds."""

    def __init__(self) -> None:
        from mlflow import MlflowClient

        name = f"file:lossreg-{os.getpid()}-{next(_numbers)}?mode=memory&cache=shared"
        self._kept = sqlite3.connect(name, uri=True, check_same_thread=False)
        MlflowClient(f"sqlite:///{name}&uri=true").search_experiments(max_results=1)

    def write(self, path: Path) -> None:
        """Write it to `path` unless a file is there by then: whole or not at all, whatever kills this process."""
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


def is_missing(uri: str) -> bool:
    """Return whether the store is an SQLite file that is yet to be made."""
    path = sqlite_path(uri)
    return path is not None and not (path.exists() and path.stat().st_size)


def open_anew_each_time(uri: str) -> None:
    """Have MLflow keep no connection to an SQLite file: one that is deleted meanwhile would take all, and lose it."""
    if sqlite_path(uri) is not None:
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")


def make(uri: str, ready: NewDatabase | None = None) -> None:
    """Create an SQLite store that is missing, from `ready` if it was made ahead.

    A kill half-way leaves nothing behind: MLflow does not complete tables that it had begun to make.
    """
    path = sqlite_path(uri)
    if path is not None and is_missing(uri):
        (ready or NewDatabase()).write(path)
