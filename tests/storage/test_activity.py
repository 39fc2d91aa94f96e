"""The activity file of a run: whole at any moment, removed at its end, and never locked without a name."""

from __future__ import annotations

import os
import threading
import time

import pytest

from lossreg.reporting.ticker import Ticker
from lossreg.storage import activity
from lossreg.storage.activity import Activity, ActivityFile


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "toy"


def test_a_shorter_activity_can_be_read_before_the_longer_one_is_cut_off(folder, monkeypatch):
    with ActivityFile(folder) as file:
        file.note(Activity("a long text of what is done", 1.0, 40))
        monkeypatch.setattr(os, "ftruncate", lambda *told: None)
        file.note(Activity("short", 2.0, 40))
        noted = activity.read(folder)
        assert (noted.text, noted.done, noted.total) == ("short", 2.0, 40)


def test_a_half_written_activity_is_read_again(folder, monkeypatch):
    with ActivityFile(folder) as file:
        file.note(Activity("loading data"))
        path = activity.file_of(folder)
        whole = path.read_bytes()
        path.write_bytes(whole[:20])
        monkeypatch.setattr(time, "sleep", lambda seconds: path.write_bytes(whole))
        assert activity.read(folder).text == "loading data"


def test_a_file_is_closed_only_after_what_is_being_written(folder, monkeypatch):
    begun, goes_on, write, failed = threading.Event(), threading.Event(), os.pwrite, []

    def slow(descriptor, *told):
        begun.set()
        goes_on.wait(60)
        try:
            return write(descriptor, *told)
        except OSError as error:
            failed.append(error)
            raise

    with ActivityFile(folder) as file:
        monkeypatch.setattr(os, "pwrite", slow)
        noting = threading.Thread(target=file.note, args=(Activity("loading data"),))
        noting.start()
        begun.wait(60)
        threading.Timer(0.05, goes_on.set).start()
    noting.join()
    file.note(Activity("nothing runs any more"))
    assert not failed
    assert not activity.file_of(folder).exists()


def test_a_run_that_begins_while_another_ends_is_seen(folder, monkeypatch):
    first, second = ActivityFile(folder), ActivityFile(folder)
    first.__enter__()
    monkeypatch.setattr(time, "sleep", lambda seconds: first.__exit__())
    with second:
        assert activity.read(folder).text == "starting"
    assert activity.read(folder) is None


def test_a_run_notes_nothing_where_another_one_runs(folder):
    with ActivityFile(folder) as first:
        first.note(Activity("loading data"))
        with ActivityFile(folder) as second:
            second.note(Activity("another"))
        assert activity.read(folder).text == "loading data"


def test_no_call_of_a_ticker_goes_on_after_its_end():
    begun, goes_on, ended, ticker = threading.Event(), threading.Event(), threading.Event(), Ticker(0.001)

    def work():
        begun.set()
        goes_on.wait(60)
        ticker.stop()
        ended.set()

    ticker.start(work)
    begun.wait(60)
    threading.Timer(0.05, goes_on.set).start()
    ticker.stop()
    assert ended.is_set()
