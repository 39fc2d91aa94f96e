"""A study of 64 trials that is killed five times, or fifty: none lost, none twice, all as in an unbroken run."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import killed_study
import mlflow
import pytest
from killed_study import EPOCHS, JOURNAL, NEVER, TRIALS

import lossreg
from lossreg.search import history
from lossreg.storage.study_folder import StudyFolder

TRACKED_EVERY = 5


def ended(folder):
    """The number of trials that the journal has as complete, Optuna's state 1."""
    journal = folder / JOURNAL
    return journal.read_bytes().count(b'"state":1') if journal.exists() else 0


def live(context, folder, kind, until, chance, *, tracked):
    """Run the study until so many trials have ended, kill it at a random moment after that; return its exit code."""
    process = context.Process(target=killed_study.run, args=(folder, kind, tracked, until + chance.randint(1, 4)))
    process.start()
    while process.is_alive() and ended(folder) < until:
        process.join(0.002)
    process.join(chance.expovariate(20.0))
    process.kill()
    process.join()
    return process.exitcode


def whole_run(context, folder, kind, *, tracked):
    """Run the study to its end; return its exit code."""
    process = context.Process(target=killed_study.run, args=(folder, kind, tracked, NEVER))
    process.start()
    process.join()
    return process.exitcode


def outcome(folder):
    study = StudyFolder(folder / ".lossreg/killed", "killed").read()
    return study, {record.number: record for record in history.records(study)}


@pytest.mark.long
def test_after_five_kills_every_trial_is_there_once_and_as_in_an_unbroken_run(tmp_path):
    run_killed(tmp_path, "tpe", kills=5, seed=3, tracked_every=0)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "module"), [("cmaes", "cmaes"), ("gp", "torch")])
def test_a_killed_study_with_another_sampler_of_optuna_is_as_an_unbroken_one_too(tmp_path, kind, module):
    pytest.importorskip(module)
    run_killed(tmp_path, kind, kills=10, seed=4, tracked_every=0)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "seed"), [("random", 1), ("tpe", 2)])
def test_after_fifty_kills_mlflow_too_has_every_trial_once_as_in_an_unbroken_run(tmp_path, monkeypatch, kind, seed):
    expected = run_killed(tmp_path, kind, kills=50, seed=seed, tracked_every=TRACKED_EVERY)
    monkeypatch.chdir(tmp_path / "broken")
    result = lossreg.results(killed_study.document(kind, tracked=True))
    assert result.best.number == min(expected.values(), key=lambda record: (record.score, record.number)).number
    _check_mlflow(result, expected)


def run_killed(tmp_path, kind, *, kills, seed, tracked_every):
    """Kill a study so many times and end it; return the trials that it has, which are those of an unbroken run.

    tracked_every: of how many runs one is tracked, and the last one too; 0 for none.
    """
    context, chance = killed_study.processes(), random.Random(seed)

    def is_tracked(kill):
        return bool(tracked_every) and not kill % tracked_every

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    assert whole_run(context, whole, kind, tracked=False) == 0
    codes = [
        live(context, broken, kind, kill * TRIALS // (kills + kills // 10 + 1), chance, tracked=is_tracked(kill))
        for kill in range(kills)
    ]
    sys.stderr.write(f"seed {seed}, {kind}: killed {len(codes)} times, {ended(broken)} trials had ended then\n")
    assert codes == [-signal.SIGKILL] * kills
    assert whole_run(context, broken, kind, tracked=bool(tracked_every)) == 0

    study, records = outcome(broken)
    _, expected = outcome(whole)
    assert len(records) == TRIALS
    assert {trial.state.name for trial in study.get_trials(deepcopy=False)} == {"COMPLETE"}
    assert {number: (record.candidate, record.params, record.score) for number, record in records.items()} == {
        number: (record.candidate, record.params, record.score) for number, record in expected.items()
    }
    return records


def _check_mlflow(result, records):
    client = mlflow.MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    experiment = client.get_experiment_by_name("killed").experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    (parent,) = [run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent == result.tracking["run_id"]
    children = [run for run in runs if run.info.run_id != parent]
    scores = {int(run.data.tags["lossreg.trial"]): run.data.metrics["score"] for run in children}
    assert len(children) == len(scores) == TRIALS
    assert scores == {number: pytest.approx(record.score) for number, record in records.items()}
    assert {run.info.status for run in children} == {"FINISHED"}
    assert all(len(record.curves["val_score"]) == EPOCHS for record in records.values())
