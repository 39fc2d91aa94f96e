"""MLflow's database on a disk that is full, must not be written to, is damaged or gone: named, and brought up later."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import sqlite3

import pytest
import sample_study as sample
from inline import Inline
from mlflow import MlflowClient

from lossreg import tracking
from lossreg.errors import LossregError
from lossreg.tracking import Tracker, new_database, outage, tracker
from lossreg.tracking.new_database import NewDatabase
from lossreg.tracking.uri import sqlite_path

CONNECT = sqlite3.connect
FULL, READ_ONLY = "pragma max_page_count = 1", "pragma query_only = 1"


@pytest.fixture(scope="module")
def empty():
    """MLflow's tables, in memory."""
    return NewDatabase()


@pytest.fixture
def uri(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(tracker, "Process", Inline)
    monkeypatch.setattr(outage, "FIRST", 0.01)
    address = tracking.check(f"sqlite:///{tmp_path / 'mlflow.db'}", {})
    new_database.make(address, empty)
    return address


@pytest.fixture
def ailing(monkeypatch):
    """Make SQLite itself refuse to write: its pages are used up, or it may only read."""

    def ail(pragma):
        def connect(*args, **kwargs):
            connection = CONNECT(*args, **kwargs)
            if "memory" not in str(args[0]):
                connection.execute(pragma)
            return connection

        for module in (sqlite3, sqlite3.dbapi2):
            monkeypatch.setattr(module, "connect", connect)

    return ail


def run_through(uri, result, **options):
    """The warnings of a study's worth of calls, and its parent run."""
    warnings = []
    sender = Tracker(uri, "x", key="key", warn=warnings.append, **options)
    sender.start(dataclasses.replace(result, trials=[]))
    for trial in result.trials:
        sender.trial(trial, result)
    sender.finish(result)
    return warnings, sender.run_id


def trials(uri, parent):
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_run(parent).info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(int(run.data.tags["lossreg.trial"]) for run in runs)


@pytest.mark.parametrize(
    "trouble",
    [(FULL, "make room there"), pytest.param((READ_ONLY, "give yourself that right"), marks=pytest.mark.long)],
)
def test_a_store_that_cannot_grow_is_named_with_what_to_do(uri, ailing, monkeypatch, trouble):
    pragma, advice = trouble
    ailing(pragma)
    result = sample.study(30)
    [warning], _ = run_through(uri, result)
    assert f"{sqlite_path(uri)}" in warning
    assert advice in warning
    assert "when the study is run again" in warning
    assert "SQL:" not in warning
    monkeypatch.undo()
    monkeypatch.setattr(tracker, "Process", Inline)
    # MLflow goes on with the connections that it has; under another name it opens new ones
    later = sqlite_path(uri).rename(sqlite_path(uri).with_name("later.db"))
    uri = f"sqlite:///{later}"
    warnings, parent = run_through(uri, result)
    assert (warnings, trials(uri, parent)) == ([], list(range(30)))


def test_a_disk_without_room_for_a_new_store_is_named_and_nothing_is_left_there(empty, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "new.db"))

    monkeypatch.setattr(tracker, "Process", Inline)
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    [warning], _ = run_through(f"sqlite:///{tmp_path / 'new.db'}", sample.study(2))
    assert f"no room is left on the disk of {tmp_path / 'new.db'}" in warning
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_went_away_is_named(uri):
    path = sqlite_path(uri)
    moved = path.with_name("gone") / path.name
    moved.parent.mkdir()
    shutil.copy(path, moved)
    address = tracking.check(f"sqlite:///{moved}", {})
    shutil.rmtree(moved.parent)
    [warning], _ = run_through(address, sample.study(1))
    assert f"{moved} cannot be opened: its folder must be there" in warning


def test_a_damaged_store_is_named(uri):
    path = sqlite_path(uri)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(LossregError, match=rf"tracking failed: {path} is damaged: move it aside"):
        run_through(uri, sample.study(1), required=True)


def test_no_room_for_artifacts_is_named(uri, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/big/disk/report.md")

    monkeypatch.setattr(MlflowClient, "log_text", refuse)
    [warning], parent = run_through(uri, sample.study(3))
    assert "has the trials, but took no plots or model: no room is left on the disk of /big/disk" in warning
    assert trials(uri, parent) == [0, 1, 2]
