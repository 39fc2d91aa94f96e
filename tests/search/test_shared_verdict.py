"""The verdict of a study that several workers share: one of them reaches it, or the next one where it was cut off."""

from __future__ import annotations

import json

import commands
import mlflow
import pytest
import sample_verdict
import small_study
from fake_trainer import Fake

import lossreg
from lossreg.runtime import processes
from lossreg.search import top_model
from lossreg.search.verdict_stage import VerdictStage
from lossreg.storage.observer import Observer
from lossreg.storage.shared_study import SharedStudy

REPEATS = 2
STUDY = """
name = "small"
data.source = "table.py:rows"
model.hidden = [8]
train.epochs = 3
search = { trials = 9, metric = "mean_absolute_error" }
losses = { mean_squared_error = {}, huber = {} }
tracking.enabled = false
storage = { url = "${LOSSREG_STORAGE}", patience = 1.0 }
"""


class Heard(Observer):
    """Remembers the phases that it is told; the study stops in one with the words `at`."""

    def __init__(self, at=""):
        self.phases, self._at = [], at

    def phase(self, text):
        self.phases.append(text)

    def stopping(self):
        return bool(self._at) and any(self._at in text for text in self.phases[-1:])


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that makes the folder of that name the current one, which has the rows of the study."""

    def enter(name):
        folder = tmp_path / name
        folder.mkdir()
        small_study.write_rows(folder, 300)
        monkeypatch.chdir(folder)

    return enter


@pytest.mark.long
def test_a_verdict_that_was_cut_off_is_finished_by_the_next_worker_and_by_no_further_one(database, tmp_path, machine):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    asked = small_study.study(
        verdict={"repeats": REPEATS, "outer": 0}, storage={"url": database}, tracking={"uri": store}
    )
    machine("first")
    with pytest.raises(KeyboardInterrupt):
        lossreg.tune(asked, progress=Heard(at="winner and baseline"))
    assert lossreg.results(asked).verdict is None
    heard, results = {}, {}
    for name in ("second", "third"):
        machine(name)
        heard[name] = Heard()
        results[name] = lossreg.tune(asked, progress=heard[name])
    assert any("winner and baseline" in phase for phase in heard["second"].phases)
    assert not any("verdict" in phase or "MLflow" in phase for phase in heard["third"].phases)
    verdict = results["second"].verdict
    assert (verdict.repeats, verdict.openings, verdict.trials) == (REPEATS, 1, 6)
    assert results["third"].verdict == lossreg.results(asked).verdict == verdict
    runs = mlflow.MlflowClient(store).search_runs(["1"], max_results=100)
    assert sorted("mlflow.parentRunId" in run.data.tags for run in runs) == [False, *[True] * 6]
    assert {run.info.status for run in runs} == {"FINISHED"}


class FailsOnce(Fake):
    """Cannot begin one trial of huber."""

    has_failed = False

    def open(self, slot, plan):
        if plan.candidate == "huber" and not self.has_failed:
            self.has_failed = True
            raise RuntimeError("not today")
        super().open(slot, plan)


def test_the_command_reaches_the_verdict_of_what_workers_left_and_trains_none_of_their_trials(
    database, tmp_path, machine, monkeypatch, capfd
):
    machine("here")
    (tmp_path / "here" / "small.toml").write_text(STUDY)
    monkeypatch.setenv("LOSSREG_STORAGE", database)
    trainer = FailsOnce(lambda plan, epoch: -1.0 - (plan.candidate != "huber"))
    unjudged = ["verdict.enabled=false", "search.trials=8"]
    assert lossreg.tune("small.toml", overrides=unjudged, trainers=[trainer]).counts["failed"] == 1
    shared = SharedStudy(tmp_path, "small", database, dead_after=60.0, patience=0.0)
    boot, namespace, *_ = processes.mark().split()
    with monkeypatch.context() as patch:
        patch.setattr(processes, "mark", lambda: f"{boot} {namespace} 1 0")
        shared.workers.join()
    with shared.opened("minimize", None, None) as study:
        study.ask()
    before = [(trial.number, trial.state, trial.params) for trial in shared.read().get_trials()]
    reached, judged = [], sample_verdict.study("equal", trials=8).verdict
    monkeypatch.setattr(VerdictStage, "reach", lambda self, again: reached.append(self.result) or judged)
    monkeypatch.setattr(top_model, "save", lambda *args: None)
    code, out, err = commands.runner(monkeypatch, capfd)("verdict", "small.toml", "--json")
    assert code == 0, err
    assert json.loads(out)["trials"]["complete"] == 7
    assert [len(result.trials) for result in reached] == [8]
    assert [(trial.number, trial.state, trial.params) for trial in shared.read().get_trials()] == before
    assert lossreg.results("small.toml").verdict == judged
