"""Studies of images: the model that they take, what they say of it, and the models that they keep."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from fake_trainer import Fake
from PIL import Image
from typer.testing import CliRunner

import lossreg
from lossreg import cli
from lossreg.config import study
from lossreg.errors import InputError
from lossreg.search import completion, preparation
from lossreg.search.outline import plan
from lossreg.storage.study_folder import StudyFolder

KINDS = {
    "colours": (8, 8, 3), "grey": (8, 8, 1), "bytes": (8, 9), "shares": (9, 8), "steps": (12, 5), "signed": (9, 9),
    "first": (3, 8, 8), "table": (5,),
}  # fmt: skip
CODE = f"""
import numpy as np

def rows(kind="colours", number=60):
    rng, shape = np.random.default_rng(0), {KINDS!r}[kind]
    x, y = rng.uniform(size=(number, *shape)), np.arange(number) % 2
    x = {{"bytes": 255 * x, "colours": 255 * x, "signed": x - 0.5}}.get(kind, x)
    return (x.astype(np.uint8) if kind in ("bytes", "colours") else x), y

def masks():
    x = np.random.default_rng(0).normal(size=(60, 8, 8, 3))
    return x, (x.sum(-1) > 0).astype(int)

def several():
    return {{"a": rows()[0], "b": rows("table")[0]}}, rows()[1]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures.py").write_text(CODE)


def document(source, **model):
    return {
        "name": "pictures", "data": {"source": source}, "model": model, "train": {"epochs": 2, "learning_rate": 0.01},
        "search": {"trials": 2, "metric": "accuracy", "lanes": 2, "confirm": 0},
        "losses": {"cross_entropy": {}, "gce": {"q": 0.5}},
        "verdict": {"enabled": False}, "tracking": {"enabled": False},
    }  # fmt: skip


def prepared(source, **model):
    asked = document(source, **model) | {"losses": {}, "search": {"trials": 2}}
    return preparation.prepare(study.of(asked), rehearsed=False)


def faked(**model):
    return lossreg.tune(document("pictures.py:rows", **model), trainers=[Fake(lambda plan, epoch: 0.5)])


def begun_with():
    """The model of the study in the working folder, as its journal has it."""
    text = Path(".lossreg/pictures/journal.log").read_text()
    return {json.loads(part)["model.build"] for part in [f'{{"model.build":{line.split(",")[0]}}}' for line in
            text.split('"model.build":')[1:]]}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "build"),
    [(f"pictures.py:rows?kind={kind}", "cnn") for kind in ("colours", "grey", "bytes", "shares")]
    + [(f"pictures.py:rows?kind={kind}", "mlp") for kind in ("steps", "signed", "first", "table")]
    + [("pictures.py:masks", "mlp"), ("pictures.py:several", "mlp")],
)
def test_images_have_a_convolutional_model_by_default_and_others_the_mlp(source, build):
    found = prepared(source)
    assert found.problem.builder.name == found.spec.model.build == build
    told = [note for note in found.notes if note.startswith("the model is cnn: rows are images of ")]
    assert len(told) == (build == "cnn")


def test_a_model_that_is_named_is_taken():
    assert prepared("pictures.py:rows", build="mlp").problem.builder.name == "mlp"
    assert prepared("pictures.py:rows?kind=steps", build="cnn").problem.builder.name == "cnn"


def test_channels_that_come_first_are_said():
    assert any("numpy.moveaxis(x, 1, -1)" in note for note in prepared("pictures.py:rows?kind=first").notes)


@pytest.mark.parametrize(
    ("source", "model", "words"),
    [
        (
            "pictures.py:rows?kind=table",
            {"filters": [3]},
            'model.filters: belongs to build = "cnn", and the model is mlp',
        ),
        ("pictures.py:rows?kind=table", {"build": "cnn"}, "model.build: cnn takes images"),
        ("pictures.py:masks", {"build": "cnn"}, "masks need one per pixel"),
        ("pictures.py:several", {"build": "cnn"}, "takes one input of images"),
        ("pictures.py:rows", {"activation": "rellu"}, "Did you mean relu?"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(source, model, words):
    with pytest.raises(InputError) as caught:
        prepared(source, **model)
    assert words in str(caught.value)


def test_a_study_of_an_older_version_goes_on_with_the_mlp():
    faked(build="mlp")  # what was stored when a study named no model
    assert begun_with() == {"mlp"}
    assert plan(document("pictures.py:rows")).asked.get("model") is None
    assert len(faked().trials) == 2
    assert begun_with() == {"mlp"}


def test_a_study_that_took_the_cnn_goes_on_with_it_and_is_no_study_of_another_model():
    faked()
    assert begun_with() == {"cnn"}
    assert plan(document("pictures.py:rows")).asked["model"] == "cnn"
    faked(build="cnn")
    for model in ({"build": "mlp"}, {"filters": [3]}):
        with pytest.raises(InputError, match="keeps the former trials apart"):
            faked(**model)


def test_a_folder_of_images_is_tuned_and_its_model_takes_files(tmp_path):
    rng = np.random.default_rng(0)
    for name, start in (("bright", 156), ("dark", 0)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(20):
            image = rng.integers(start, start + 100, (10, 12, 3), np.uint8)
            Image.fromarray(image).save(tmp_path / "photos" / name / f"{i}.png")
    asked = document("photos", filters={"choices": [[2], [2, 3]]}, hidden=[6])
    asked["data"]["image_size"], asked["train"]["epochs"] = [6, 6], 8
    result = lossreg.tune(asked)
    assert result.data["classes"] == {"bright": 20, "dark": 20}
    assert result.data["input_shape"] == [6, 6, 3]
    assert any("resized to 6 x 6" in note for note in result.notes)
    assert all(trial.score == 1 for trial in result.trials)
    model, preprocessor = lossreg.load_trial(asked)
    files = [f"photos/{name}/{i}.png" for name in ("bright", "dark") for i in range(3)]
    predicted = model.predict(preprocessor.transform(files), verbose=0)
    assert [int(label) for label in (predicted > 0.5).ravel()] == [0, 0, 0, 1, 1, 1]
    spec = study.of(asked)
    assert (
        completion.reached(spec, StudyFolder(spec.folder, spec.name), "").recommended.number
        == result.recommended.number
    )
    study_file(asked)
    done = CliRunner().invoke(cli.app, ["model", "pictures.toml", "--output", "kept.keras"])
    assert done.exit_code == 0, done.output
    again = keras.saving.load_model("kept.keras", compile=False)
    transformed = lossreg.load_preprocessor("kept.preprocessor.json").transform(files)
    np.testing.assert_array_equal(again.predict(transformed, verbose=0), predicted)
    (tmp_path / "photos" / "dark" / "0.png").unlink()
    assert completion.reached(spec, StudyFolder(spec.folder, spec.name), "") is None


def study_file(asked):
    data, model = asked["data"], asked["model"]
    Path("pictures.toml").write_text(
        f'name = "pictures"\n[data]\nsource = "{data["source"]}"\nimage_size = {data["image_size"]}\n'
        f"[model]\nhidden = {model['hidden']}\n"
    )


def test_a_wrong_folder_ends_with_one_message(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    Path("pictures.toml").write_text('[data]\nsource = "photos/"\n')
    done = CliRunner().invoke(cli.app, ["tune", "pictures.toml"])
    assert done.exit_code == 2
    assert "Error: pictures.toml: data: has one class folder, cat, and at least two are needed." in done.stderr
    assert not Path(".lossreg").exists()
