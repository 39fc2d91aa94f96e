"""Whole studies of several workers in a real PostgreSQL: how they begin, end, and are looked at."""

from __future__ import annotations

import json
import re
import sys
import threading

import commands
import mlflow
import pytest
from fake_trainer import Fake
from inline import Inline

import lossreg
from lossreg.errors import InputError, LossregError
from lossreg.reporting import study_plots
from lossreg.search.outline import plan
from lossreg.storage.best_model import BestModel
from lossreg.storage.observer import Observer
from lossreg.storage.shared_study import SharedStudy
from lossreg.tracking import tracker

SECRET = "pr1vate-w0rd"


class Heard(Observer):
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)

    warn = phase = message


def document(url, **sections):
    return {
        "name": "many",
        "data": {"source": "sklearn:iris"},
        "model": {"hidden": [4]},
        "train": {"epochs": 3, "batch_size": 16},
        "search": {"trials": 10, "metric": "accuracy"},
        "losses": {"cross_entropy": {}, "focal": {}},
        "verdict": {"enabled": False},
        "storage": {"url": url, "patience": 1.0},
        **sections,
    }


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracker, "Process", Inline)
    monkeypatch.setattr(study_plots, "figures", lambda result: {})
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def faked(asked, **options):
    """The study run without Keras: every epoch of a trial scores a half."""
    return lossreg.tune(asked, trainers=[Fake(lambda plan, epoch: 0.5)], **options)


def together(asked, count):
    """Run the study with so many workers at once; return each one's result and what it said."""
    heard, results = [Heard() for _ in range(count)], [None] * count

    def run(i):
        results[i] = faked(asked, progress=heard[i])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, heard


def runs_of(folder, experiment):
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], max_results=1000)


def test_workers_share_a_study_and_one_of_them_finishes_it(database, tmp_path):
    asked = document(database)
    results, heard = together(asked, 3)
    assert [len(result.trials) for result in results] == [10, 10, 10]
    assert ["this worker finishes the study" in one.messages for one in heard].count(True) == 1
    kept = lossreg.results(asked)
    assert kept.counts["complete"] == 10
    assert all(trial.worker for trial in kept.trials)
    runs = runs_of(tmp_path, "many")
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.info.run_id for run in parents] == [kept.tracking["run_id"]]
    numbers = [int(run.data.tags["lossreg.trial"]) for run in runs if run not in parents]
    assert sorted(numbers) == list(range(10))
    assert {run.info.status for run in runs} == {"FINISHED"}
    told = "\n".join([str(kept.to_json()), *(line for one in heard for line in one.messages)])
    assert SECRET not in told
    assert not any(
        SECRET in file.read_text(errors="replace") for file in (tmp_path / ".lossreg").rglob("*") if file.is_file()
    )


class Leaves(Heard):
    """Does something when its first trial has ended, and is then interrupted."""

    def __init__(self, first=lambda: None):
        super().__init__()
        self.first, self.has_ended = first, False

    def trial(self, record, result):
        if not self.has_ended:
            self.first()
        self.has_ended = True

    def stopping(self):
        return self.has_ended


def parent_status(folder):
    [status] = {run.info.status for run in runs_of(folder, "many") if "mlflow.parentRunId" not in run.data.tags}
    return status


def test_the_last_worker_that_leaves_kills_the_parent_run_and_the_next_one_sets_it_running(database, tmp_path):
    asked = document(database)
    with pytest.raises(KeyboardInterrupt):
        faked(asked, progress=Leaves())
    assert parent_status(tmp_path) == "KILLED"
    other = SharedStudy(tmp_path, "many", database, dead_after=60.0, patience=0.0)
    with pytest.raises(KeyboardInterrupt):
        faked(asked, progress=Leaves(other.workers.join))
    # the other one goes on
    assert parent_status(tmp_path) == "RUNNING"
    other.workers.leave()
    faked(asked)
    assert parent_status(tmp_path) == "FINISHED"


def test_a_shared_study_is_looked_at_and_not_started_over_or_repaired(database):
    asked = document(database, tracking={"enabled": False})
    with pytest.raises(InputError, match="has not been run yet"):
        lossreg.results(asked)
    faked(asked)
    outline = plan(asked)
    assert (outline.trials, outline.done) == (10, 10)
    assert re.fullmatch(r"postgresql\S+tester:\*\*\*@127\S+, which all workers share", outline.asked["storage"])
    for refused in (lambda: faked(asked, fresh=True), lambda: lossreg.repair(asked)):
        with pytest.raises(InputError, match="optuna delete-study --study-name many") as error:
            refused()
        assert SECRET not in str(error.value)
    more = faked(document(database, tracking={"enabled": False}, search={"trials": 14, "metric": "accuracy"}))
    assert len(more.trials) == 14


def test_a_changed_study_is_refused_and_told_only_what_works_for_a_shared_one(database):
    untracked = {"tracking": {"enabled": False}}
    faked(document(database, **untracked))
    changed = document(
        database, **untracked, data={"source": "sklearn:iris", "test": 0.3}, train={"epochs": 2, "batch_size": 16}
    )
    with pytest.raises(InputError) as refused:
        faked(changed)
    assert str(refused.value).splitlines()[1:] == [
        "  data.test: 0.2 -> 0.3",
        "  train.epochs: 3 -> 2. ",
        "Take the change back, give the study another name, or take another database.",
    ]
    for run in (plan, faked):
        with pytest.raises(InputError, match=r"allow_changed=True is for a study whose trials are in a file"):
            run(changed, allow_changed=True)


def test_a_storage_that_does_not_answer_is_told_without_its_password():
    asked = document(f"postgresql+psycopg://tester:{SECRET}@127.0.0.1:9/db")
    with pytest.raises(LossregError, match=r"127\.0\.0\.1:9/db does not answer") as error:
        faked(asked)
    assert SECRET not in str(error.value)
    assert error.value.exit_code == 1


def test_an_address_may_come_from_the_environment(database, monkeypatch):
    asked = document("${LOSSREG_STORAGE}", tracking={"enabled": False})
    with pytest.raises(InputError, match="no variable LOSSREG_STORAGE"):
        faked(asked)
    monkeypatch.setenv("LOSSREG_STORAGE", database)
    assert len(faked(asked).trials) == 10
    assert lossreg.results(document(database)).counts["complete"] == 10


STUDY = """
name = "many"
[data]
source = "sklearn:iris"
[model]
hidden = [4]
[train]
epochs = 3
batch_size = 16
[search]
trials = 10
metric = "accuracy"
[losses.cross_entropy]
[losses.focal]
[verdict]
enabled = false
[storage]
url = "${LOSSREG_STORAGE}"
"""


def test_commands_look_at_a_shared_study_and_bring_it_into_mlflow(database, tmp_path, monkeypatch, capfd):
    (tmp_path / "many.toml").write_text(STUDY)
    monkeypatch.setenv("LOSSREG_STORAGE", database)
    lossreg_ = commands.runner(monkeypatch, capfd)
    with monkeypatch.context() as patch:
        patch.setattr(BestModel, "is_loadable", lambda best, number: True)
        faked("many.toml", overrides=["tracking.enabled=false"])
    code, out, err = lossreg_("results", "many.toml", "--json")
    assert (code, json.loads(out)["trials"]["complete"]) == (0, 10)
    code, out, err = lossreg_("sync", "many.toml")
    assert code == 0, err
    assert "10 trials are in the experiment 'many'" in out
    # the folder had it, and has it no more
    assert "is not there; finish the study to have it" in err
    assert len(runs_of(tmp_path, "many")) == 11
    assert SECRET not in out + err
    code, out, err = lossreg_("repair", "many.toml")
    assert code == 2
    assert "optuna delete-study" in err


def test_a_shared_study_is_looked_at_in_safe_mode_without_a_pickle(database, tmp_path, monkeypatch, capfd):
    (tmp_path / "many.toml").write_text(STUDY)
    monkeypatch.setenv("LOSSREG_STORAGE", database)
    faked("many.toml", overrides=["tracking.enabled=false"])
    capfd.readouterr()
    unpickled = []
    sys.addaudithook(lambda event, args: unpickled.append(args) if event == "pickle.find_class" else None)
    code, out, err = commands.runner(monkeypatch, capfd)("results", "many.toml", "--json", "--safe")
    assert code == 0, err
    assert json.loads(out)["trials"]["complete"] == 10
    assert unpickled == []


def test_a_study_that_others_run_is_left_alone_by_what_wants_it_alone(database, tmp_path):
    shared = [
        SharedStudy(tmp_path, "many", database, dead_after=60.0, patience=0.0, pause=lambda seconds: beat())
        for _ in range(2)
    ]

    def beat():
        shared[0].workers.pulse()

    refused = pytest.raises(InputError, match=f"is being run by {shared[0].workers.name}")
    with shared[0].joined(), refused, shared[1].lock():
        pass
    with shared[1].lock():
        assert not shared[1].workers.others


def test_trials_that_one_worker_adds_are_known_to_those_that_join_later(database):
    asked = document(database, tracking={"enabled": False})
    faked(asked)
    with pytest.raises(KeyboardInterrupt):
        faked(asked, more=6, progress=Leaves())
    assert len(faked(asked).trials) == 16
    assert len(faked(asked).trials) == 16
