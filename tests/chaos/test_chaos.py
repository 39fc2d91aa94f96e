"""Chaos: four workers on one study, with PostgreSQL and MLflow; all of them are killed at random, and nothing is lost.

`make chaos` runs the long one; README.md has its figures.
"""

from __future__ import annotations

from collections import Counter

import havoc
import optuna
import pytest
from mlflow import MlflowClient
from mlflow_server import MLflow
from optuna.trial import TrialState
from postgres import PASSWORD, Postgres
from processes import has_ended

import lossreg
from lossreg.search.history import FINISHED as FINISHED_BY
from lossreg.storage.trials import CUT_OFF, LOST, RETRY_OF, START

STUDY = """
name = "chaos"
data.source = "sklearn:iris"
train.epochs = 6
search = {{trials = {trials}, metric = "accuracy", pruner = "median"}}
losses = {{cross_entropy = {{}}, focal = {{}}, label_smoothing_ce = {{}}}}
verdict.enabled = false
tracking.uri = "{uri}"
storage = {{url = "{url}", dead_after = {dead_after}, patience = 60.0}}
"""
DEAD_AFTER = 8.0
# seconds of an epoch, and trials of a worker at a time
PACE = (0.3, 2)
SHORT = havoc.Plan(trials=48, most=300, kill=4, term=1, pause=1, database=1, tracking=1)
LONG = havoc.Plan(trials=200, most=1500, kill=10, term=4, pause=3, database=2, tracking=2)
# what they are in MLflow
FINISHED = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED"}


@pytest.fixture
def servers(tmp_path):
    """Both servers, by name; what the workers import is imported meanwhile."""
    havoc.forked()
    tracking, database = MLflow(tmp_path), Postgres(durable=True)
    yield {"database": database, "tracking": tracking}
    database.close()
    tracking.stop()


@pytest.mark.long
@pytest.mark.parametrize("plan", [SHORT, LONG], ids=["short", "long"])
def test_nothing_is_lost_and_nothing_is_there_twice(plan, servers, tmp_path, request):
    tracking, url = servers["tracking"], servers["database"].database("chaos")
    study = tmp_path / "study.toml"
    study.write_text(STUDY.format(trials=plan.trials, uri=tracking.uri, url=url, dead_after=DEAD_AFTER))
    chaos = havoc.Havoc(
        plan, request.config.getoption("seed"), ["worker", str(study)], tmp_path, servers, pace=PACE,
        paused=1.5 * DEAD_AFTER,
    )  # fmt: skip
    chaos.run()
    assert chaos.happened == plan.happening
    require_told([worker.log.read_text() for worker in chaos.past])
    tracking.wait()
    assert all(has_ended(worker.writer, 90) for worker in chaos.past if worker.writer)
    require_finished(lossreg.results(study), url, tracking.uri)
    # the last of them to its end
    assert sum(havoc.FINISHES in worker.log.read_text() for worker in chaos.past) == 1 + plan.finishing
    synced = chaos.command("sync", str(study))
    assert synced.process.exitcode == 0, synced.log.read_text()
    trials = optuna.load_study(study_name="chaos", storage=url).get_trials()
    require_whole(trials, plan.trials)
    require_equal(lossreg.results(study), trials, tracking.uri)


def require_told(logs):
    """Workers say once that a server is away, in a line of their own, and tell no password."""
    assert any("Warning: the storage at" in log for log in logs)
    assert all(log.count("The study goes on without it") <= 1 for log in logs)
    lines = [line for log in logs for line in log.splitlines()]
    assert not [line for line in lines if any(word in line for word in ("Traceback", "SELECT", PASSWORD))]


def require_finished(result, url, uri):
    """One worker has noted that it finished the study; MLflow has heard of it, unless it is noted that it did not."""
    noted = optuna.load_study(study_name="chaos", storage=url).user_attrs[FINISHED_BY]
    assert noted["trials"] == len(result.trials)
    assert "error" in result.tracking or MlflowClient(uri).get_run(result.tracking["run_id"]).info.status == "FINISHED"


def require_whole(trials, budget):
    """Every trial that was begun has one end, itself or one copy of it with the same parameters; all are the budget."""
    finished = [trial for trial in trials if trial.state in FINISHED]
    assert len(finished) == budget
    assert not [trial.number for trial in trials if not trial.state.is_finished()]
    assert {trial.user_attrs.get(LOST) for trial in finished} == {None}
    origins = [origin(trials, trial) for trial in finished]
    assert sorted(origins) == sorted(set(origins))
    cut_off = {trial.number for trial in trials if trial.user_attrs.get(LOST) == CUT_OFF}
    assert cut_off == {number for trial in finished for number in copied(trials, trial)}
    for trial in finished:
        for number in copied(trials, trial):
            assert trials[number].params.items() <= trial.params.items()
    starts = Counter(trial.user_attrs[START] for trial in finished if START in trial.user_attrs)
    assert set(starts.values()) == {1}


def copied(trials, trial):
    """The numbers of the trials that one runs again, the first of them last."""
    while RETRY_OF in trial.user_attrs:
        trial = trials[trial.user_attrs[RETRY_OF]]
        yield trial.number


def origin(trials, trial):
    return [trial.number, *copied(trials, trial)][-1]


def require_equal(result, trials, uri):
    """MLflow has one run for each finished trial, with its parameters, score and curve, under one parent that ended."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("chaos")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    children = {int(run.data.tags["lossreg.trial"]): run for run in runs if "mlflow.parentRunId" in run.data.tags}
    finished = {trial.number: trial for trial in trials if trial.state in FINISHED}
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(runs) == len(children) + 1
    assert set(children) == set(finished)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_id == result.tracking["run_id"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    for number, run in children.items():
        record = finished[number].user_attrs["lossreg"]
        assert run.info.status == FINISHED[finished[number].state]
        assert run.data.params["loss"] == finished[number].params["loss"]
        assert float(run.data.params["learning_rate"]) == pytest.approx(record["learning_rate"], rel=1e-5)
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        curve = {point.step: point.value for point in history}
        assert len(history) == len(curve)
        assert curve == pytest.approx(dict(enumerate(record["curves"]["val_score"], start=1)))
