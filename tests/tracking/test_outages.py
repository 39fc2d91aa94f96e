"""MLflow that fails in every way, from the start or in the middle: the study is run as if it worked, and says so once.

Afterwards, by itself or by `lossreg sync`, MLflow holds exactly what the study's journal does.
"""

from __future__ import annotations

import math
import re
import shutil
import threading
from pathlib import Path

import ailing_server
import commands
import pytest
from fake_trainer import Fake
from inline import Inline
from mlflow import MlflowClient
from optuna.trial import TrialState
from quick import long_but
from searches import curve

import lossreg
from lossreg.reporting import study_plots
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.terminal import masking
from lossreg.tracking import failures, new_database, outage, tracker

TOML = """
name = "{name}"
data.source = "sklearn:iris"
train.epochs = 3
search = {{trials = 5, metric = "accuracy", lanes = 1}}
losses = {{cross_entropy = {{}}, focal = {{}}}}
verdict.enabled = false
tracking.uri = "{uri}"
"""
AILMENTS = ("down", "hanging", "401", "403", "500", "html", "artifacts")
QUICK = {("down", 0), ("401", 3), ("artifacts", 3)}
WORDS = {
    "down": "no answer (connection refused)",
    "hanging": "no answer (timed out)",
    "401": "the server asks for a login (HTTP 401)",
    "403": "the server refuses access (HTTP 403)",
    "500": "the server failed (HTTP 500)",
    "html": "the answer is a web page and not MLflow's",
    "artifacts": "has the trials, but took no plots or model: the server refuses access (HTTP 403)",
    "experiment": "is deleted; bring it back with",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ailing_server.ailing(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture
def study(server, tmp_path, monkeypatch, request):
    """The file of a study on that server; tries follow each other quickly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracker, "Process", Inline)
    monkeypatch.setattr(study_plots, "figures", lambda result: {})
    monkeypatch.setattr(outage, "FIRST", 0.01)
    for name, value in {"TIMEOUT": "30", "MAX_RETRIES": "0"}.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    Path("study.toml").write_text(TOML.format(name=f"s{abs(hash(request.node.name))}", uri=server.uri))
    yield Path("study.toml")
    server.cure()


@pytest.fixture
def command(capfd, monkeypatch):
    return commands.runner(monkeypatch, capfd)


class Watch(Observer):
    """Has something happen when the first trial of some has ended, and keeps the warnings."""

    def __init__(self, at, happen):
        self.at, self.happen, self.warnings = at, happen, []

    def warn(self, text):
        if "MLflow" in text:
            self.warnings.append(text)

    def trial(self, record, result):
        if len(result.trials) == self.at:
            self.happen()


def run(study, watch, *, is_patient=True):
    """Run the study; a server that hangs is not waited for unless `is_patient`."""
    with pytest.MonkeyPatch.context() as patch:
        if not is_patient:
            patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
            patch.setattr("lossreg.tracking.uri.PATIENCE", 0.2)
        return lossreg.tune(study, progress=watch, trainers=[Fake(curve)])


def journal(study):
    """What Optuna holds of each trial."""
    name = study.read_text().split('"')[1]
    kept = StudyFolder(Path(".lossreg", name), name).read()
    return {trial.number: trial for trial in kept.get_trials(deepcopy=False)}, kept.user_attrs["lossreg"]


def runs_of(client, name):
    """The runs of an experiment that are not deleted: parents, children."""
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    return [run for run in runs if run not in children], children


def assert_equal_to_journal(study, store, studies=1):
    """MLflow has one parent, and one child for each trial of the journal, with its times, parameters and curves."""
    client, (trials, about) = MlflowClient(store), journal(study)
    parents, children = runs_of(client, about["spec"]["name"])
    assert len(parents) == studies
    [parent] = [parent for parent in parents if parent.info.run_id == about["tracking"]["run_id"]]
    children = [child for child in children if child.data.tags["mlflow.parentRunId"] == parent.info.run_id]
    assert parent.info.status == "FINISHED"
    assert sorted(int(child.data.tags["lossreg.trial"]) for child in children) == sorted(trials)
    for child in children:
        assert_is(client, child, trials[int(child.data.tags["lossreg.trial"])])
    assert_curve(client, parent.info.run_id, "best_score", best_so_far(trials))
    assert {"model.hidden", "search.trials", "losses"} <= parent.data.params.keys()
    assert len(client.get_run(parent.info.run_id).inputs.dataset_inputs) == 3


def assert_is(client, child, trial):
    record = trial.user_attrs["lossreg"]
    assert child.info.status == {TrialState.COMPLETE: "FINISHED", TrialState.FAIL: "FAILED"}[trial.state]
    assert child.info.start_time == round(1000 * record["started"])
    assert child.info.end_time == round(1000 * record["ended"])
    assert {name: child.data.params[name] for name in trial.params} == {
        name: value if isinstance(value, str) else f"{value:.9g}" for name, value in trial.params.items()
    }
    assert child.data.metrics["score"] == trial.value
    for kept, name in {"val_loss": "val_loss", "train_score": "train_accuracy", "val_score": "val_accuracy"}.items():
        assert_curve(client, child.info.run_id, name, dict(enumerate(record["curves"][kept], 1)))


def assert_curve(client, run_id, name, values):
    points = client.get_metric_history(run_id, name)
    assert {point.step: point.value for point in points} == values
    assert len(points) == len(values)


def best_so_far(trials):
    best, curve = -math.inf, {}
    for number in sorted(trials):
        best = max(best, trials[number].value)
        curve[number] = best
    return curve


def files(store, run_id):
    client = MlflowClient(store)
    return {item.path for item in client.list_artifacts(run_id)}


def test_a_status_is_told_though_a_password_is_a_word_of_the_message():
    error = "Max retries exceeded (Caused by ResponseError('too many 500 error responses'))"
    with masking.fresh():
        masking.learn("postgresql://me:error@host/db")
        assert failures.reason(ConnectionError(error), "http://host") == WORDS["500"] + ": look into its log"


@pytest.mark.parametrize(
    ("ailment", "at"),
    [pytest.param(ailment, at, id=f"{ailment}-{when}", marks=() if (ailment, at) in QUICK else pytest.mark.long)
     for ailment in AILMENTS for at, when in ((0, "from the start"), (3, "from the middle on"))],
)  # fmt: skip
def test_a_store_that_fails_costs_one_warning_and_sync_brings_everything(server, study, command, ailment, at):
    watch = Watch(at, lambda: server.ail(ailment))
    if at == 0:
        watch.happen()
    assert len(run(study, watch, is_patient=ailment != "hanging").trials) == 5
    [warning] = watch.warnings
    assert WORDS[ailment] in warning
    assert "written once it works again, or when the study is run again" in warning
    assert "<html" not in warning
    code, out, _ = command("results", study)
    assert code == 0
    assert f"write it there: lossreg sync {study}" in out
    server.cure()
    code, out, err = command("sync", study)
    assert code == 0, err
    assert "5 trials are in the experiment" in out
    assert_equal_to_journal(study, server.store)
    run_id = journal(study)[1]["tracking"]["run_id"]
    assert {"report.md", "trials.csv", "leaderboard.json"} <= files(server.uri, run_id)
    assert command("results", study)[1].count("lossreg sync") == 0


@pytest.mark.parametrize("ailment", long_but({"hanging", "401"}, ["down", "hanging", "401", "500", "html"]))
def test_a_store_that_is_back_before_the_end_has_everything_without_sync(server, study, ailment):
    def come_and_go():
        server.ail(ailment)
        watch.at, watch.happen = 4, server.cure

    watch = Watch(2, come_and_go)
    run(study, watch)
    assert len(watch.warnings) <= 1
    assert_equal_to_journal(study, server.store)
    assert "error" not in journal(study)[1]["tracking"]


@pytest.mark.parametrize(
    ("is_deleted", "at"),
    [("parent", 3), ("experiment", 5), *(pytest.param(*case, marks=pytest.mark.long)
                                         for case in [("parent", 5), ("experiment", 3)])],
)  # fmt: skip
def test_what_is_deleted_while_the_study_runs_is_rebuilt(server, study, command, is_deleted, at):
    client, name = MlflowClient(server.store), study.read_text().split('"')[1]

    def delete():
        experiment = client.get_experiment_by_name(name)
        if is_deleted == "experiment":
            client.delete_experiment(experiment.experiment_id)
        else:
            [parent], _ = runs_of(client, name)
            client.delete_run(parent.info.run_id)

    watch = Watch(at, lambda: [opened(client, name), delete()])
    assert len(run(study, watch).trials) == 5
    assert len(watch.warnings) == (is_deleted == "experiment"), "only a person brings an experiment back"
    assert all(WORDS["experiment"] in warning for warning in watch.warnings)
    assert command("sync", study)[0] == 0
    assert_equal_to_journal(study, server.store)


def opened(client, name):
    """Wait until the study's parent run is there."""
    pause = threading.Event()
    while (experiment := client.get_experiment_by_name(name)) is None or not client.search_runs(
        [experiment.experiment_id]
    ):
        pause.wait(0.02)


def test_an_sqlite_store_that_is_deleted_while_the_study_runs_is_rebuilt(study, command, tmp_path):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    new_database.make(store)
    study.write_text(re.sub("tracking.uri = .*", f'tracking.uri = "{store}"', study.read_text()))
    name = study.read_text().split('"')[1]
    watch = Watch(4, lambda: [opened(MlflowClient(store), name), Path("mlflow.db").unlink()])
    assert len(run(study, watch).trials) == 5
    assert_equal_to_journal(study, store)
    Path("mlflow.db").unlink()
    assert command("sync", study)[0] == 0
    assert_equal_to_journal(study, store)


def test_two_copies_of_a_study_have_a_run_each(server, study, command, tmp_path, monkeypatch):
    run(study, Watch(0, None))
    shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy"))
    notes = []
    for folder, trials in ((tmp_path.with_name(f"{tmp_path.name}-copy"), 8), (tmp_path, 7)):
        monkeypatch.chdir(folder)
        result = lossreg.tune(study, [f"search.trials={trials}"], trainers=[Fake(curve)])
        notes.append([note for note in result.notes if "copied from" in note])
        assert len(result.trials) == trials
    assert [len(of_run) for of_run in notes] == [1, 0]
    for folder in (tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy")):
        monkeypatch.chdir(folder)
        assert_equal_to_journal(study, server.store, studies=2)
        assert command("sync", study)[0] == 0
        assert_equal_to_journal(study, server.store, studies=2)


@pytest.mark.long
def test_a_copy_that_is_only_synced_has_a_run_of_its_own_too(server, study, command, tmp_path, monkeypatch):
    run(study, Watch(0, None))
    monkeypatch.chdir(shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy")))
    code, _, err = command("sync", study)
    assert code == 0
    assert "it has a run of its own in MLflow" in " ".join(err.split())
    assert_equal_to_journal(study, server.store, studies=2)


def test_tries_follow_each_other_ever_more_slowly():
    now = [0.0]
    away, tries = outage.Outage(clock=lambda: now[0]), []
    while now[0] < 3600:
        away.add("away")
        tries.append(away.wait)
        now[0] += away.wait
        assert away.is_due
    assert tries[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(tries) == 60.0
    away.end()
    assert (away.wait, away.is_certain) == (None, False)
