"""What the compose file starts, run on loopback without containers: PostgreSQL, MLflow's server, and the shell loop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import optuna
import pytest
import yaml
from mlflow import MlflowClient
from mlflow_server import wait_for
from postgres import PASSWORD, free_port
from processes import LOOPBACK, listening

from lossreg.storage.workers import WORKER

FOLDER = Path(__file__).parents[1] / "studies" / "deploy"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
SMALL = ["search.trials=12", "train.epochs=3", "verdict.enabled=false"]


@pytest.fixture
def here(postgres, tmp_path):
    """A function that puts this machine's places into a text of the compose file."""
    port = free_port()
    names = {kind: Path(postgres.database(f"{kind}-{os.getpid()}")).name for kind in ("studies", "mlflow")}
    places = {
        **{f"lossreg@postgres/{kind}": f"tester@127.0.0.1:{postgres.port}/{name}" for kind, name in names.items()},
        "mlflow:5000,": f"mlflow:{port},", "127.0.0.1:5000": f"127.0.0.1:{port}", "localhost:5000": f"localhost:{port}",
        "mlflow:5000": f"127.0.0.1:{port}", "--port=5000": f"--port={port}", "0.0.0.0": "127.0.0.1",
        "=/artifacts": f"={tmp_path / 'artifacts'}", SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]: PASSWORD,
    }  # fmt: skip

    def put(text):
        for there, place in places.items():
            text = text.replace(there, place)
        return text

    return put


def environment(service, here):
    return {**os.environ, **{name: here(value) for name, value in SERVICES[service]["environment"].items()}}


@pytest.mark.long
def test_the_services_of_the_compose_file_run_a_study_together(here, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    shutil.copy(FOLDER / "shared.toml", tmp_path)
    python = Path(sys.executable).parent
    service = SERVICES["mlflow"]
    server = [str(python / service["entrypoint"][0]), *map(here, service["command"])]
    port = next(part for part in server if part.startswith("--port=")).removeprefix("--port=")
    address = f"http://127.0.0.1:{port}"
    mlflow = subprocess.Popen(server, cwd=tmp_path, env=environment("mlflow", here), start_new_session=True)
    try:
        wait_for(address, mlflow, seconds=300)
        assert listening(mlflow.pid) <= LOOPBACK
        asked = urllib.request.Request(f"{address}/health", headers={"Host": f"mlflow:{port}"})
        assert urllib.request.urlopen(asked).status == 200
        variables = environment("worker", here)
        run_workers(tmp_path, variables)
        # on a busy machine the server is too slow for the end of the study, which then asks for this
        subprocess.run([python / "lossreg", "sync", "shared.toml"], cwd=tmp_path, env=variables, check=True)
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("shared")
        runs = client.search_runs([experiment.experiment_id], max_results=100)
        assert len([run for run in runs if "mlflow.parentRunId" in run.data.tags]) == 12
        [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        assert client.list_artifacts(parent.info.run_id)
        assert {run.info.status for run in runs} == {"FINISHED"}
    finally:
        os.killpg(mlflow.pid, signal.SIGKILL)
        mlflow.wait()


def run_workers(folder, variables):
    """Run the study by the shell loop; the first worker that begins is killed."""
    command, study, *device = SERVICES["worker"]["command"]
    assert (command, device[0]) == ("worker", "--device")
    options = [part for override in SMALL for part in ("--set", override)]
    program = Path(sys.executable).with_name("lossreg")
    with subprocess.Popen(
        [FOLDER / "workers.sh", study, device[1], device[1], "--", *options], cwd=folder, stderr=subprocess.PIPE,
        env={**variables, "LOSSREG": str(program), "PAUSE": "0"}, text=True,
    ) as loop:  # fmt: skip
        assert any("12 trials of 12 to run" in line for line in loop.stderr)
        storage = variables["LOSSREG_STORAGE"]
        workers = optuna.load_study(study_name="shared:workers", storage=storage)
        os.kill(int(workers.trials[0].user_attrs[WORKER]["name"].split(":")[1]), signal.SIGKILL)
        _, err = loop.communicate()
    assert loop.returncode == 0, err
    assert "workers.sh: the worker on cpu ended with code 137; start 1 of 20 follows" in err
    study = optuna.load_study(study_name="shared", storage=storage)
    assert sum(trial.state.name == "COMPLETE" for trial in study.trials) == 12
