"""The page about the ways in and out, run from top to bottom: the same predictions through every door."""

from __future__ import annotations

import io
import os
import re
import runpy
import subprocess
import sys
import urllib.request
from pathlib import Path

import keras_tuner
import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
from inline import Inline
from mlflow.exceptions import MlflowException
from typer.testing import CliRunner

import lossreg
import lossreg.keras_tuner
import lossreg.optuna
from lossreg import cli
from lossreg.errors import InputError
from lossreg.reporting import study_plots
from lossreg.tracking import free_port, tracker

PAGE = (Path(__file__).parents[2] / "docs" / "doors.md").read_text()
# the file that the line before a block names, if any; the language; the text
BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
PORT = "5001"
PROBABILITIES = ["probability_of_benign", "probability_of_malignant"]
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:.*type hint:UserWarning", "ignore:.*optuna.*"),
]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names that the Python of the page defines when it has run, its commands included, in one folder."""
    folder, scope = tmp_path_factory.mktemp("doors"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(tracker, "Process", Inline)
        patch.setattr(study_plots, "figures", lambda result: {})  # which would only take time
        patch.setattr(urllib.request, "urlopen", lambda request: answered(scope, request))
        for file, language, text in BLOCKS:
            if file:
                (folder / file).write_text(text)
            elif language == "python":
                exec(text, scope)
            else:
                for line in text.splitlines():
                    run(line, patch)
        yield scope


def run(line, patch):
    """Run a line of the shell here."""
    program, *arguments = line.split()
    if program == "lossreg":
        done = CliRunner().invoke(cli.app, arguments)
        assert done.exit_code == 0, done.output
    elif program == "python":
        patch.syspath_prepend(Path(arguments[0]).parent)
        patch.setattr(sys, "argv", arguments)
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        assert line in (SERVE, "export MLFLOW_TRACKING_URI=sqlite:///mlflow.db")


def answered(scope, request):
    """Answer a request to the server as MLflow's scoring server does, without the server."""
    scope["served"] = mlflow.pyfunc.load_model(re.search(r"-m (\S+)", SERVE)[1])
    return io.BytesIO(scored(scope["served"], request.data).encode())


def scored(model, body):
    """Return the text with which MLflow's server answers a body; raises what it sends as an error."""
    from mlflow.pyfunc import scoring_server  # which warns when it is imported

    schema = model.metadata.get_input_schema()
    return scoring_server.invocations(body, "application/json", model, schema).response


[SERVE] = re.findall(r"^mlflow models serve .*$", PAGE, re.MULTILINE)


def by_command(folder=Path()):
    return pd.read_csv(folder / "by_command.csv")[["prediction", *PROBABILITIES]]


@pytest.fixture
def expected(names, monkeypatch):
    monkeypatch.chdir(Path(names["result"].folder).parents[1])
    return by_command()


@pytest.mark.parametrize("door", ["by_python", "by_mlflow", "by_server", "by_export.csv"])
def test_every_door_gives_the_predictions_of_the_command_line(names, expected, door):
    table = pd.read_csv(door)[list(expected)] if door.endswith(".csv") else names[door]
    assert list(table) == list(expected)
    assert table["prediction"].tolist() == expected["prediction"].tolist()
    given, of_command = (each[PROBABILITIES].to_numpy(np.float32) for each in (table, expected))
    np.testing.assert_array_equal(given, of_command)


def test_the_estimator_trains_the_same_study(names, expected):
    np.testing.assert_array_equal(names["by_sklearn"], expected[PROBABILITIES].to_numpy(np.float32))
    assert names["estimator"].classes_.tolist() == ["benign", "malignant"]


def test_the_tuner_of_keras_tuner_trains_the_same_study(names, expected):
    of_study = pd.read_csv("by_model.csv")[PROBABILITIES].to_numpy(np.float32)
    np.testing.assert_array_equal(names["by_tuner"], of_study)
    with pytest.raises(InputError, match=r"take preprocessed rows.*tuner\.result\.predictor"):
        names["loss_tuner"].get_best_models()


def test_these_predictions_are_good_ones(names, expected):
    assert (names["labels"] == expected["prediction"]).mean() > 0.9


def test_predictions_of_a_users_model_are_good_ones(names, expected):
    assert (pd.read_csv("by_model.csv")["prediction"] == names["labels"]).mean() > 0.9


def test_the_tables_of_a_notebook_have_the_losses_and_the_trials(names):
    assert set(names["board"]["candidate"]) == {"cross_entropy", "focal"}
    assert len(names["trials"]) == 4
    assert "cross_entropy" in names["result"]._repr_html_()


def values_of(names):
    """The parameters of each trial of the searches of KerasTuner and Optuna, with the loss that they give again."""
    losses, y = ["cross_entropy", "focal"], names["y"]
    for trial in names["tuner"].oracle.trials.values():
        hp = keras_tuner.HyperParameters.from_config(trial.hyperparameters.get_config())
        yield hp.values, lossreg.keras_tuner.loss(hp, losses, y)
    for trial in names["search"].trials:
        yield trial.params, lossreg.optuna.suggest_loss(optuna.trial.FixedTrial(trial.params), losses, y)


def test_a_suggested_loss_is_that_of_the_registry_to_the_last_bit(names):
    y, p = names["y"][:, None], np.random.default_rng(0).uniform(0.01, 0.99, (569, 1)).astype(np.float32)
    trials = list(values_of(names))
    assert len(trials) == 4
    for values, loss in trials:
        parameters = {}
        if values["loss"] == "focal":
            ratios = np.array([1.0, values["focal.alpha.1"]])  # over all rows the mean weight is 1
            alpha = ratios / (ratios * np.bincount(names["y"]) / 569).sum()
            parameters = {"gamma": values["focal.gamma"], "alpha": tuple(alpha)}
        assert float(loss(y, p)) == float(lossreg.get(values["loss"], **parameters)(y, p))


REFUSED = {
    "{": "valid JSON formatted string", "": "valid JSON formatted string", "3": "must be a JSON dictionary",
    "{}": "exactly one of the input fields", '{"rows": []}': "exactly one of the input fields",
    '{"dataframe_records": "x"}': "must be a list of records", '{"dataframe_records": {}}': "must be a list of records",
    '{"dataframe_records": []}': "Model is missing inputs ['mean radius'",
    '{"dataframe_records": [{"mean radius": 1}]}': "Model is missing inputs ['mean texture'",
    '{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}': "1 columns passed, passed data had 2 columns",
    '{"inputs": [[[1, 2], [3, 4]]]}': "Error: ", '{"instances": [[1, 2, 3]]}': "Model is missing inputs",
}  # fmt: skip


@pytest.mark.parametrize("body", REFUSED)
def test_a_server_refuses_rows_that_do_not_fit_without_a_traceback(names, body):
    with pytest.raises(MlflowException, match=re.escape(REFUSED[body])) as refused:
        scored(names["served"], body)
    assert refused.value.get_http_status_code() == 400
    assert "stack_trace" not in refused.value.serialize_as_json()


def test_a_server_answers_the_request_of_the_page(names, expected):
    port = str(free_port())
    command = [sys.executable, "-m", *SERVE.replace(PORT, port).split()]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "PATH": path}
    [request] = [text for _, _, text in BLOCKS if "urlopen" in text]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as server:
        try:
            assert any("Uvicorn running" in line for line in server.stderr)
            exec(request.replace(PORT, port), names)
        finally:
            server.terminate()
            server.communicate()
    np.testing.assert_allclose(names["by_server"][PROBABILITIES], expected[PROBABILITIES], rtol=1e-6)


def test_every_door_of_the_table_has_a_part_of_the_page():
    links = re.findall(r"^\| \[.*?\]\(#([\w-]+)\)", PAGE, re.MULTILINE)
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert links == [re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings]
