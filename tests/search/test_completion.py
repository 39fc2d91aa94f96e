"""A study is complete when its verdict is reached too; `lossreg sync` ends its run in MLflow as the study ended."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import commands
import mlflow
import pytest
import sample_study
import sample_verdict
from fake_trainer import Fake
from inline import Inline

import lossreg
from lossreg import tracking
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.reporting import study_plots
from lossreg.search import completion
from lossreg.storage.confirmation import Confirmation
from lossreg.storage.observer import Observer


def asked(verdict):
    return studies.from_dict({"data": {"source": "sklearn:iris"}, "verdict": verdict})


def is_complete(result, failed=None, **verdict):
    """Tell whether a study is complete; `failed`: with this number of repeats a verdict failed."""
    spec = asked(verdict)
    stored = {completion.KEY: completion.of(spec, result, "")}
    if failed:
        stored[completion.FAILED] = completion.state(asked({"repeats": failed}), result)
    return completion.is_tracked(stored, spec, result, "")


@pytest.mark.parametrize(("repeats", "margin", "complete"), [(20, 0.0, True), (30, 0.0, False), (20, 0.01, False)])
def test_a_verdict_with_fewer_repeats_or_another_margin_is_not_the_one_asked_for(repeats, margin, complete):
    result = sample_verdict.study("no difference, ahead")
    assert is_complete(result, repeats=repeats, margin=margin) is complete


def test_a_verdict_that_was_cut_off_is_left_to_do_and_one_that_failed_is_not():
    unconfirmed = replace(sample_verdict.study("better, because of the loss"), verdict=None)
    result = replace(unconfirmed, confirmation=Confirmation(2, 5))
    assert not is_complete(result)
    assert is_complete(result, failed=20, repeats=20)
    assert not is_complete(result, failed=20, repeats=30)
    assert is_complete(result, enabled=False)
    for confirmation in (None, Confirmation(2, 4)):
        assert not is_complete(replace(unconfirmed, confirmation=confirmation), enabled=False)


def test_too_few_data_or_nothing_to_compare_leave_nothing_to_do():
    assert is_complete(sample_verdict.study("not enough data"))
    assert is_complete(sample_study.study(0, trials=[sample_study.trial(0, "cross_entropy")]))


STUDY = """
name = "small"
data.source = "sklearn:iris"
search = { trials = 8, metric = "accuracy" }
losses = { cross_entropy = {}, focal = {} }
verdict.enabled = false
tracking.uri = "sqlite:///mlflow.db"
"""


class Stops(Observer):
    """Interrupts the study once a trial has ended."""

    has_ended = False

    def trial(self, record, result):
        self.has_ended = True

    def stopping(self):
        return self.has_ended


def test_sync_ends_the_parent_run_as_the_study_ended(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study_plots, "figures", lambda result: {})
    monkeypatch.setattr(tracking, "Tracker", functools.partial(tracking.Tracker, launch=Inline))
    (tmp_path / "small.toml").write_text(STUDY)
    command = commands.runner(monkeypatch, capfd)

    def run(**options):
        lossreg.tune("small.toml", ["tracking.enabled=false"], trainers=[Fake(lambda plan, epoch: 0.5)], **options)

    def synchronised():
        assert command("sync", "small.toml")[0] == 0
        parent = lossreg.results("small.toml").tracking["run_id"]
        return mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_run(parent).info.status

    with pytest.raises(KeyboardInterrupt):
        run(progress=Stops())
    assert synchronised() == "KILLED"
    run()
    assert synchronised() == "FINISHED"


def test_a_finished_study_sees_that_a_file_of_test_rows_has_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{x / 7},{x % 2}" for x in range(120)]
    Path("train.csv").write_text("\n".join(["a,y", *rows]))
    Path("test.csv").write_text("\n".join(["a,y", *rows[:20]]))
    document = {
        "name": "parts",
        "data": {"source": "train.csv", "target": "y", "test": "test.csv"},
        "search": {"trials": 2},
        "losses": {"cross_entropy": {}, "focal": {}},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }
    trainer = [Fake(lambda plan, epoch: 0.5)]
    finished = lossreg.tune(document, trainers=trainer)
    assert lossreg.tune(document, trainers=trainer).trials == finished.trials
    Path("test.csv").write_text("\n".join(["a,y", *rows[1:21]]))
    with pytest.raises(InputError, match="the data"):
        lossreg.tune(document, trainers=trainer)
