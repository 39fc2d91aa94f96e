"""A study's model elsewhere: exported and in MLflow, in processes without lossreg, with the same predictions."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import keras
import mlflow
import numpy as np
import pandas as pd
import pytest
from inline import Inline
from mlflow import MlflowClient
from postgres import free_port
from typer.testing import CliRunner

import lossreg
from lossreg import cli
from lossreg.data.image_files import ImageReader
from lossreg.data.preprocess import ImagePreprocessor
from lossreg.errors import InputError
from lossreg.prediction import bundle, export
from lossreg.reporting import study_plots
from lossreg.tracking import tracker

pytestmark = pytest.mark.filterwarnings(r"ignore:(.|\n)*Gaps filled:UserWarning")
RNG = np.random.default_rng(2)
ROWS = pd.DataFrame({
    "age": RNG.normal(40, 9, 120).round(2), "city": RNG.choice(["Bonn", "Köln", "Ulm"], 120),
    "since": pd.date_range("2021-03-01", periods=120).astype(str), "member": RNG.random(120) < 0.5,
    "rooms": RNG.integers(1, 6, 120),
})  # fmt: skip
ROWS.loc[::7, "age"] = np.nan
LEFT = np.where((ROWS["age"].fillna(40) > 42) | (ROWS["city"] == "Ulm"), "yes", "no")
STUDY = {
    "name": "who-left", "data": {"source": "rows.csv", "target": "left"}, "model": {"hidden": [4]},
    "train": {"epochs": 4, "learning_rate": 0.03}, "search": {"trials": 1}, "losses": {"cross_entropy": {}},
    "verdict": {"enabled": False}, "tracking": {"uri": "sqlite:///mlflow.db"},
}  # fmt: skip
NEW = ROWS.sample(40, random_state=1).assign(note="x")[["rooms", "note", "since", "city", "age", "member"]]
NEW.iloc[3, 3] = "Rom"
PAGE = Path(__file__).parents[2] / "docs" / "predicting.md"
WITHOUT = "import sys; sys.modules['lossreg'] = None; "


def store_here():
    """The store of the current folder, by its whole path: MLflow keeps one store for each address that it was given."""
    return f"sqlite:///{Path.cwd()}/mlflow.db"


@pytest.fixture(scope="module", autouse=True)
def _mlflow_is_written_from_here():
    """Spare the studies a process that imports MLflow, and plots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracker, "Process", Inline)
        patch.setattr(study_plots, "figures", lambda result: {})
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder with a study that has run, its export, and rows in another order with a gap and an unknown city."""
    folder = tmp_path_factory.mktemp("export")
    ROWS.assign(left=LEFT).to_csv(folder / "rows.csv", index=False)
    NEW.to_csv(folder / "new.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = lossreg.tune(STUDY)
        predictor = lossreg.load_predictor(STUDY)
        export.write(predictor, folder / "out")
        client = MlflowClient(store_here())
        [output] = client.get_run(result.tracking["run_id"]).outputs.model_outputs
        logged = client.get_logged_model(output.model_id)
        yield folder, predictor, logged.artifact_location.removeprefix("file://")


@pytest.fixture
def expected(study):
    with pytest.warns(UserWarning, match="Rom"):
        return study[1].predict_frame(NEW).reset_index(drop=True)


def run(code, folder, *arguments):
    """Run code in a process that cannot import lossreg."""
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, "-c", WITHOUT + code, *arguments]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done


def test_an_export_and_the_logged_model_predict_without_lossreg(study, expected):
    folder, _, location = study
    code = (
        "import runpy, mlflow, pandas; sys.argv = ['predict.py', '../new.csv', '-o', '../predicted.csv']; "
        "runpy.run_path('predict.py', run_name='__main__'); "
        f"model = mlflow.pyfunc.load_model({location!r}); rows = pandas.read_csv('../new.csv'); "
        "model.predict(rows).to_csv('../served.csv', index=False); "
        "model.predict(rows.drop(columns='age').head(1)).to_csv('../gap.csv', index=False)"
    )
    done = run(code, folder / "out")
    said = done.stderr
    assert not done.stdout
    assert "40 rows: ../predicted.csv" in said.splitlines()
    assert "oneDNN" not in said
    assert "city: 1 of 40 values is a category that no training row has ('Rom')" in said
    assert "Gaps filled with the median of the training rows: age:" in said
    written, served = (pd.read_csv(folder / name) for name in ("predicted.csv", "served.csv"))
    for table in (written[list(expected)], served):
        pd.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=1e-6)
    assert written["note"].tolist() == ["x"] * 40
    of_gap = study[1].predict_frame(NEW.assign(age=np.nan).head(1))
    pd.testing.assert_frame_equal(pd.read_csv(folder / "gap.csv"), of_gap.reset_index(drop=True), check_dtype=False)


def test_an_export_has_a_page_requirements_and_no_lossreg(study):
    folder = study[0] / "out"
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "model.keras", "predict.py", "predictor.json", "preprocessor.json", "requirements.txt",
        bundle.PACKAGE,
    }  # fmt: skip
    needed = (folder / "requirements.txt").read_text()
    assert all("==" in line for line in needed.splitlines())
    assert "lossreg" not in needed
    assert "Columns: age (may have gaps), city, since, member, rooms." in (folder / "README.md").read_text()
    for file in (folder / bundle.PACKAGE).rglob("*.py"):
        assert not bundle.IMPORT.search(file.read_text())


def test_the_logged_model_says_what_it_takes_and_gives(study):
    signature = mlflow.models.Model.load(study[2]).signature
    inputs, outputs = signature.inputs, signature.outputs
    assert inputs.input_names() == ["age", "city", "since", "member", "rooms"]
    assert inputs.optional_input_names() == ["age"]
    assert [str(kind) for kind in inputs.input_types()] == [
        "Any", "DataType.string", "Any", "DataType.boolean", "Any",
    ]  # fmt: skip
    assert outputs.input_names() == ["prediction", "probability_of_no", "probability_of_yes"]
    network = mlflow.keras.load_model(study[2])
    x = study[1].preprocessor.transform(ROWS)
    np.testing.assert_allclose(network.predict(x, verbose=0), study[1].model.predict(x, verbose=0), rtol=1e-6)


def test_the_example_is_typical_and_none_of_the_rows(study):
    [typical] = study[1].about.example
    assert ROWS["age"].quantile(0.4) < typical["age"] < ROWS["age"].quantile(0.6)
    assert typical["city"] in set(ROWS["city"])
    assert typical["rooms"] in (2, 3, 4)
    assert not (ROWS[["age", "city", "rooms"]] == pd.Series(typical)[["age", "city", "rooms"]]).all(axis=1).any()
    assert len(study[1].predict_frame(pd.DataFrame([typical]))) == 1


def test_a_registered_model_of_somebody_else_is_left_alone(study, monkeypatch, tmp_path):
    folder, *_ = study
    monkeypatch.chdir(folder)
    client = MlflowClient(store_here())
    client.create_registered_model("theirs")
    told = []
    settings = {"tracking": STUDY["tracking"], "verdict": STUDY["verdict"], "data": STUDY["data"]}
    document = {**STUDY, **settings, "name": "theirs"}
    monkeypatch.setattr("lossreg.storage.observer.Observer.warn", lambda self, text: told.append(text))
    lossreg.tune(document, progress=False)
    assert client.search_model_versions("name = 'theirs'") == []
    assert any("the registered model 'theirs' is none of lossreg's" in text for text in told)


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_the_model_is_registered_once_under_the_name_of_its_study(study, monkeypatch):
    folder, predictor, _ = study
    monkeypatch.chdir(folder)
    client = MlflowClient(store_here())
    lossreg.tune(STUDY)
    [version] = client.search_model_versions("name = 'who-left'")
    assert client.get_model_version_by_alias("who-left", "candidate").version == version.version
    assert client.get_registered_model("who-left").aliases == {"candidate": version.version}
    monkeypatch.setattr(mlflow, "get_registry_uri", store_here)
    mlflow.set_registry_uri(store_here())
    mlflow.set_tracking_uri(store_here())
    rows = ROWS.sample(5, random_state=0)
    loaded = mlflow.pyfunc.load_model("models:/who-left@candidate").predict(rows)
    pd.testing.assert_frame_equal(loaded, predictor.predict_frame(rows))


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning", "ignore:(.|\n)*Rom:UserWarning")
def test_the_code_on_the_page_predicts(study, monkeypatch):
    monkeypatch.chdir(study[0])
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        here = {"churn.toml": "out", "sqlite:///mlflow.db": store_here(), "churn@": "who-left@"}
        exec(functools.reduce(lambda code, name: code.replace(name, here[name]), here, block), names)
    table = names["predictor"].predict_frame(names["frame"])
    pd.testing.assert_frame_equal(names["model"].predict(names["frame"]), table)


@pytest.mark.long
def test_a_server_of_mlflow_answers_its_example_and_new_rows(study, expected):
    port, location = free_port(), study[2]
    code = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        location,
        "--env-manager",
        "local",
        "-p",
        str(port),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": path}
    with subprocess.Popen(
        code, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            for line in server.stderr:
                if "Uvicorn running" in line:
                    break
            example = json.loads(Path(location, "serving_input_example.json").read_text())
            records = json.loads(NEW.drop(columns="note").to_json(orient="records"))
            for body, rows in ((example, 1), ({"dataframe_records": records}, 40)):
                answer = asked(port, body)
                assert len(answer) == rows
            table = pd.DataFrame(answer)
            pd.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=1e-6)
        finally:
            server.terminate()
            server.communicate()


def asked(port, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["predictions"]


def test_a_folder_with_other_files_is_left_alone_and_an_export_is_replaced(study, tmp_path, monkeypatch):
    folder, predictor, _ = study
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "project").mkdir()
    for name in ("predict.py", "README.md"):
        (tmp_path / "project" / name).write_text("from lossreg_predictor.predictor import Predictor")
    (tmp_path / "file").write_text("x")
    refused = {"mine": "has files that are no export", "project": "has files that are no export", "file": "is a file"}
    for name, words in refused.items():
        with pytest.raises(InputError, match=words):
            export.write(predictor, tmp_path / name)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    monkeypatch.chdir(folder)
    (folder / "my exports").mkdir()
    done = CliRunner().invoke(cli.app, ["export", "out", "my exports/again"])
    assert (done.exit_code, "in place of" in done.stdout) == (0, False)
    install, predict = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("    ")]
    assert install == ["pip", "install", "-r", "my exports/again/requirements.txt"]
    assert predict == ["python", "my exports/again/predict.py", "new.csv", "-o", "predicted.csv"]
    again = folder / "my exports" / "again"
    assert (again / "predictor.json").read_text() == (folder / "out" / "predictor.json").read_text()
    done = CliRunner().invoke(cli.app, ["export", "out", "my exports/again"])
    assert (done.exit_code, "in place of the former export" in done.stdout) == (0, True)


def cut(work):
    """A function that does work, after which Ctrl-C comes."""

    def interrupted(*given, **options):
        work(*given, **options)
        raise KeyboardInterrupt

    return interrupted


@pytest.mark.parametrize("former", ["none", "export", "half"])
def test_an_export_that_is_cut_off_leaves_what_was_there_and_is_written_the_next_time(study, tmp_path, former):
    predictor, place = study[1], tmp_path / "out"
    if former != "none":
        export.write(predictor, place)
        (place / "mine.txt").write_text("kept")
    if former == "half":
        # a kill between the first file and the last one
        (place / "predictor.json").unlink()
        (place / ".export-cut-off").mkdir()
    before = files_below(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "write", cut(bundle.write))
        with pytest.raises(KeyboardInterrupt):
            export.write(predictor, place)
    assert files_below(tmp_path) == before
    export.write(predictor, place)
    assert {"predict.py", "predictor.json", "model.keras", bundle.PACKAGE} < {path.name for path in place.iterdir()}
    assert (place / "mine.txt").exists() == (former != "none")


def test_a_model_that_is_cut_off_leaves_the_former_file(study, monkeypatch):
    monkeypatch.chdir(study[0])
    Path("who-left.toml").write_text(
        'name = "who-left"\ndata = { source = "rows.csv", target = "left" }\nmodel = { hidden = [4] }\n'
        "train = { epochs = 4, learning_rate = 0.03 }\nsearch = { trials = 1 }\nlosses = { cross_entropy = {} }\n"
        'verdict = { enabled = false }\ntracking = { uri = "sqlite:///mlflow.db" }\n'
    )
    Path("kept.keras").write_text("former")
    before = files_below(Path())
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", cut(keras.Model.save))
        done = CliRunner().invoke(cli.app, ["model", "who-left.toml", "-o", "kept.keras"])
    assert (done.exit_code, files_below(Path())) == (130, before)
    done = CliRunner().invoke(cli.app, ["model", "who-left.toml", "-o", "kept.keras"])
    assert done.exit_code == 0, done.output
    assert keras.saving.load_model("kept.keras", compile=False).inputs
    assert files_below(Path()).keys() - before.keys() == {Path("kept.preprocessor.json")}


def files_below(folder):
    """The content of the files below a folder, by path."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_onnx_needs_is_said(study, monkeypatch, tmp_path):
    def missing(*args, **options):
        raise ImportError("No module named 'tf2onnx'")

    monkeypatch.setattr(study[1].model, "export", missing)
    packages = {"tensorflow": "onnx tf2onnx", "jax": "jax2onnx"}[keras.backend.backend()]
    message = f"--onnx: needs packages that are not installed. pip install {packages}"
    with pytest.raises(InputError, match=f"^{message}$"):
        export.write_onnx(study[1], tmp_path)
    with pytest.raises(InputError, match=message):
        export.write(study[1], tmp_path / "new", onnx=True)
    assert not (tmp_path / "new").exists()


def test_an_export_has_no_onnx_file_of_an_earlier_one(study, monkeypatch, tmp_path):
    monkeypatch.setattr(study[1].model, "export", lambda file, **options: Path(file).write_text("one"))
    export.write(study[1], tmp_path / "new", onnx=True)
    assert (tmp_path / "new" / "model.onnx").read_text() == "one"
    export.write(study[1], tmp_path / "new")
    assert not (tmp_path / "new" / "model.onnx").exists()


@pytest.mark.parametrize(
    ("task", "columns", "images", "files"),
    [
        ("binary", ("a",), None, "new.csv -o predicted.csv"),
        ("multiclass", (), ImageReader(16, 16, 3), "folder_of_images -o predicted.csv"),
        ("segmentation", (), None, "new.npz -o predicted.npz"),
    ],
)
def test_the_files_of_the_command_are_of_a_kind_that_it_takes(task, columns, images, files):
    about, preprocessor = SimpleNamespace(task=task, columns=columns), ImagePreprocessor()
    preprocessor.images_ = images
    assert " ".join(export.files(SimpleNamespace(about=about, preprocessor=preprocessor))) == files
