"""A study that is killed, three times, and resumed: nothing lost, nothing twice."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys

import optuna
import pytest

from lossreg.storage.study_folder import StudyFolder

pytestmark = pytest.mark.long

STUDY = """
name = "killed"
[data]
source = "sklearn:iris"
[model]
hidden = [16]
[train]
epochs = 40
batch_size = 8
[search]
trials = 64
metric = "accuracy"
lanes = 8
[verdict]
outer = 0
[tracking]
experiment = "killed"
"""


def tune(folder, *args, until=None):
    """Run the study; with `until`, kill it as soon as that many trials are done."""
    command = [sys.executable, "-m", "lossreg", "tune", "study.toml", *args]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if until is not None:
            journal = folder / ".lossreg" / "killed" / "journal.log"
            while process.poll() is None and finished(journal) < until:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
    return process.returncode, out, err


def finished(journal):
    """Trials that the journal has as complete, Optuna's state 1."""
    if not journal.exists():
        return 0
    return journal.read_bytes().count(b'"state":1')


def trials(folder):
    return StudyFolder(folder / ".lossreg" / "killed", "killed").read().get_trials(deepcopy=False)


def test_killed_three_times_and_resumed_a_study_has_every_trial_once(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    kept, interrupted = {}, []
    for until in (5, 20, 41):
        assert tune(tmp_path, until=until)[0] == -signal.SIGKILL
        now = trials(tmp_path)
        done = {t.number: (t.params, t.value) for t in now if t.state == optuna.trial.TrialState.COMPLETE}
        assert len(done) >= until
        assert kept.items() <= done.items()
        kept = done
        interrupted += [t.params for t in now if t.state == optuna.trial.TrialState.RUNNING]
    code, out, err = tune(tmp_path, "--json")
    assert code == 0, err
    assert "Traceback" not in err
    told = json.loads(out)
    assert told["trials"] == {"complete": 64, "pruned": 0, "failed": 0, "diverged": 0}
    done = [t.params for t in trials(tmp_path) if t.state == optuna.trial.TrialState.COMPLETE]
    assert len({json.dumps(p, sort_keys=True) for p in done}) == 64
    for params in interrupted:
        if len(params) > 1:
            assert any(params.items() <= p.items() for p in done)
    assert children(tmp_path, told["tracking"]["run_id"]) == 64


def children(folder, parent):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    assert len(client.search_experiments(filter_string="name = 'killed'")) == 1
    experiment = client.get_experiment_by_name("killed").experiment_id
    runs = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'", max_results=1000)
    parents = [
        run for run in client.search_runs([experiment], max_results=1000) if "mlflow.parentRunId" not in run.data.tags
    ]
    assert [run.info.run_id for run in parents] == [parent]
    assert {run.info.status for run in runs} == {"FINISHED"}
    return len(runs)
