"""Several labels per row and masks, from the data file to the metric, the page and the saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.datasets import load_digits, make_multilabel_classification

import lossreg
from lossreg import data
from lossreg.config import study
from lossreg.errors import InputError
from lossreg.reporting import description
from lossreg.tracking import model_package

OWN = """
import keras
from keras import layers, ops

def overlap(y_true, y_pred, smooth=1.0):
    hits, total = ops.sum(y_true * y_pred, axis=(1, 2, 3)), ops.sum(y_true + y_pred, axis=(1, 2, 3))
    return 1 - (2 * hits + smooth) / (total + smooth)

def squares(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 2, axis=-1)

def convolutional(hp):
    x = inputs = keras.Input((None, None, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))

def pooled(hp):
    x = inputs = keras.Input(hp.get("input_shape"))
    return keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    images = load_digits().images[:300, ..., None]
    noisy = images + np.random.default_rng(0).normal(scale=4, size=images.shape)
    np.savez("strokes.npz", x=noisy, y=images[..., 0] >= 8)
    x, y = make_multilabel_classification(400, n_classes=3, random_state=0)
    table = pd.DataFrame(x).add_prefix("x").assign(news=y[:, 0] == 1, sport=y[:, 1], arts=y[:, 2].astype(float))
    table.to_csv("topics.csv", index=False)
    return tmp_path


def tune(
    source: dict[str, Any], losses: dict[str, Any], model: dict[str, Any] | None = None, confirm: int = 0, **train: Any
) -> Any:
    document = {
        "data": source, "model": model or {"hidden": [32]}, "losses": losses,
        "tracking": {"enabled": False}, "verdict": {"enabled": False},
        "train": {"epochs": 4, "learning_rate": 0.01, **train},
        "search": {"trials": 2 * (len(losses) or 2), "confirm": confirm},
    }  # fmt: skip
    return study.from_dict(document), lossreg.tune(document)


def predicted(folder: Path, spec: study.StudySpec) -> tuple[data.Dataset, np.ndarray, np.ndarray]:
    """The data, what the saved model makes of the validation rows, and their labels."""
    given = spec.data
    loaded = data.load(given.source, target=given.target, base=folder)
    model = keras.models.load_model(spec.folder / "best.keras")
    assert "lossreg" not in str(model.get_config())
    described, _ = model_package.of(spec.folder / "best.keras")
    assert described["outputs"][0][2][1:] == list(model.output_shape[1:])
    preprocessor = lossreg.load_preprocessor(spec.folder / "preprocessor.json")
    assert type(preprocessor) is type(loaded.preprocessor)
    return loaded, model.predict(loaded.validation.x, verbose=0), loaded.validation.y


def test_columns_of_several_labels_are_tuned_scored_and_predicted(folder: Path) -> None:
    losses = {"multilabel_bce": {}, "asymmetric": {}, "mine": {"function": "own.py:squares"}}
    spec, result = tune({"source": "topics.csv", "target": ["news", "sport", "arts"]}, losses)
    assert (result.task, result.metric) == ("multilabel", "f1_macro")
    assert result.counts["complete"] == len(result.trials) == 6
    assert result.trainer["fit"] == 0
    loaded, probabilities, y = predicted(folder, spec)
    assert probabilities.shape == y.shape == (len(loaded.validation), 3)
    assert sk.f1_score(y, probabilities > 0.5, average="macro") == pytest.approx(result.best.score)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    page = description.markdown(result)
    assert "- Labels: news " in page
    assert "Task: multilabel" in page
    assert lossreg.results(spec).best == result.best


def test_masks_are_tuned_scored_and_predicted(folder: Path) -> None:
    losses = {"binary_crossentropy": {"label_smoothing": 0}, "mine": {"function": "own.py:overlap"}}
    spec, result = tune({"source": "strokes.npz"}, losses, confirm=2)
    assert (result.task, result.metric) == ("segmentation", "jaccard")
    assert all(len(row.confirmed.scores) == 2 for row in result.ranking())
    assert result.counts["complete"] == len(result.trials)
    assert result.trainer["fit"] == 0
    _, probabilities, y = predicted(folder, spec)
    assert probabilities.shape == (*y.shape, 1)
    assert sk.jaccard_score(y.ravel(), probabilities.ravel() > 0.5) == pytest.approx(result.best.score, abs=1e-3)
    assert "% of the pixels are foreground" in description.markdown(result)
    assert result.best.score > 0.5


def test_a_convolution_of_the_users_that_ends_in_sigmoid_segments(folder: Path) -> None:
    source, losses = {"source": "strokes.npz"}, {"binary_focal": {"gamma": 1.0, "alpha": "none"}}
    spec, result = tune(source, losses, {"build": "own.py:convolutional"}, epochs=3, batch_size=16)
    assert result.counts["complete"] == len(result.trials) == 2
    assert any("sigmoid of the last layer" in note for note in result.notes)
    _, probabilities, y = predicted(folder, spec)
    assert probabilities.shape == (*y.shape, 1)
    assert sk.jaccard_score(y.ravel(), probabilities.ravel() > 0.5) == pytest.approx(result.best.score, abs=1e-3)


@pytest.mark.parametrize(
    ("source", "model", "says"),
    [
        ({"source": "strokes.npz"}, {"build": "own.py:pooled"}, "the model's output .*one raw score per pixel"),
        ({"source": "strokes.npz", "task": "multilabel"}, {}, "data: task multilabel needs labels"),
        ({"source": "topics.csv", "target": ["news", "x0"]}, {}, "data: y has 2 numbers per row"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_trained(
    folder: Path, source: dict[str, Any], model: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        tune(source, {"binary_crossentropy": {}}, model)
    assert not (folder / ".lossreg").exists()
