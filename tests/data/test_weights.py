"""Weights of rows: sample weights from every source, class weights of the study, and both together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.utils.class_weight import compute_class_weight

from lossreg import data
from lossreg.config import study
from lossreg.contract.data_options import Options
from lossreg.data import weights
from lossreg.data.classes import Labels
from lossreg.data.row_numbers import RowNumbers
from lossreg.errors import DataError, InputError
from lossreg.metrics import catalogue
from lossreg.registry import registry
from lossreg.search import study_data, study_losses

X, Y = datasets.make_blobs(150, n_features=4, centers=3, random_state=0)
W = np.random.default_rng(0).uniform(0.25, 2, len(Y))
IMBALANCED = "sklearn:make_classification?n_samples=400&n_classes=3&n_informative=5&weights=[.7,.2]"


def weight_of(loaded: data.Dataset) -> dict[tuple[float, ...], float]:
    """The weight of every row, by its preprocessed features."""
    parts = (loaded.train, loaded.validation, loaded.test)
    return {tuple(row): weight for part in parts for row, weight in zip(part.x, part.weights, strict=True)}


def check_all(loaded: data.Dataset) -> None:
    rows = map(tuple, loaded.preprocessor.transform(X))
    assert weight_of(loaded) == dict(zip(rows, W.astype(np.float32), strict=True))
    assert loaded.train.weights.dtype == np.float32


FUNCTIONS = """
import numpy as np, pandas as pd
from sklearn.datasets import make_blobs
from sklearn.utils import Bunch

X, Y = make_blobs(150, n_features=4, centers=3, random_state=0)
W = np.random.default_rng(0).uniform(0.25, 2, len(Y))

def triple():
    return X, Y, W

def column():
    return X, Y, pd.DataFrame({"w": W})

def bunch():
    return Bunch(data=X, target=Y, sample_weight=W)

def mapping():
    return {"x": X, "y": Y, "weights": W.tolist()}

def pairs():
    return (X[:120], Y[:120], W[:120]), (X[120:], Y[120:], W[120:])

def one_sided():
    return (X[::2], Y[::2], W[::2]), (X[1::2], Y[1::2])

def ones():
    return X, Y, np.ones(len(Y))

def large():
    return X, Y, 40 * W

def short():
    return X, Y, W[:-1]

def masks():
    return np.zeros((40, 3, 3)), np.eye(3)[None].repeat(40, 0).astype(int), np.ones((40, 3, 3))

def zero_training():
    return X, Y, np.where(np.arange(len(Y)) == 7, 1.0, 0.0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=Y, w=W)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    np.savez(tmp_path / "a.npz", x=X, y=Y, sample_weight=W)
    return tmp_path


@pytest.mark.parametrize("source", ["mine.py:triple", "mine.py:column", "mine.py:bunch", "mine.py:mapping", "a.npz"])
def test_arrays_bring_their_weights(folder: Path, source: str) -> None:
    check_all(data.load(source, base=folder))


@pytest.mark.parametrize("source", ["t.csv", "t.parquet"])
def test_a_column_of_a_table_may_be_its_weights(folder: Path, source: str) -> None:
    loaded = data.load(source, base=folder, target="kind", weight="w")
    assert loaded.features == tuple("abcd")
    check_all(loaded)


@pytest.mark.parametrize(("row", "decimal"), [("{:.7f};{}", "."), ("{:.7f} €;{}", ",")])
def test_weights_in_text_are_read_as_features_are(tmp_path: Path, row: str, decimal: str) -> None:
    rows = [f"{i},5;{row.format(2 + w, i % 2).replace('.', decimal)}" for i, w in enumerate(W)]
    (tmp_path / "t.csv").write_text("\n".join(["a;w;y", *rows]))
    loaded = data.load("t.csv", target="y", weight="w", base=tmp_path)
    actual = np.concatenate([part.weights for part in (loaded.train, loaded.validation, loaded.test)])
    np.testing.assert_allclose(np.sort(actual), np.sort(2 + W), rtol=1e-6)
    assert any(note.startswith("w: read as numbers with a decimal comma") for note in loaded.notes) == (decimal == ",")


def test_the_decimal_mark_of_the_table_is_that_of_its_weights(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["a;w;y", *(f"{i},5;{1 + i % 3},500;{i % 2}" for i in range(60))]))
    loaded = data.load("t.csv", target="y", weight="w", base=tmp_path)
    assert set(loaded.train.weights.tolist()) == {1.5, 2.5, 3.5}
    assert "w: read as numbers with a decimal comma; '1,500' is read as 1.5 and could mean 1500." in loaded.notes


def test_a_given_test_set_brings_its_own(folder: Path) -> None:
    loaded = data.load("mine.py:pairs", base=folder)
    np.testing.assert_array_equal(loaded.test.weights, W[120:].astype(np.float32))
    loaded = data.load("mine.py:one_sided", base=folder)
    assert loaded.test.weights is None
    assert loaded.train.weights is not None


def test_weights_are_used_as_given_and_a_mean_far_from_1_is_said(folder: Path) -> None:
    loaded = data.load("mine.py:large", base=folder)
    mean = loaded.train.weights.mean()
    assert mean > 30
    assert f"Divide the weights by {mean:.4g} to leave it as it is." in " ".join(loaded.notes)
    assert "Divide" not in " ".join(data.load("mine.py:triple", base=folder).notes)


def test_weights_of_1_are_none_and_weights_belong_to_the_digest(folder: Path) -> None:
    ones, weighed = (data.load(f"mine.py:{name}", base=folder) for name in ("ones", "triple"))
    assert [part.weights for part in (ones.train, ones.validation, ones.test)] == [None] * 3
    assert ones.digest != weighed.digest


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("t.csv", {"target": "kind", "weight": "v"}, "no column 'v' for the weights. Columns: a, b, c, d, kind, w"),
    ("t.csv", {"target": "kind", "weight": "W"}, "Did you mean w"),
    ("a.npz", {"weight": "w"}, "weight = 'w' names a column of a table.*sample_weight"),
    ("mine.py:short", {}, r"weights have shape \(149,\), and one per row is needed \(150\)"),
    ("mine.py:masks", {}, r"weights have shape \(40, 3, 3\), and one per row is needed"),
    ("mine.py:zero_training", {"folds": 5}, "every weight of the training rows in fold . is 0|and there is"),
]


@pytest.mark.parametrize(("source", "kwargs", "says"), ERRORS, ids=[f"{i}-{e[0]}" for i, e in enumerate(ERRORS)])
def test_weights_that_cannot_be_are_one_message(folder: Path, source: str, kwargs: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says) as error:
        data.load(source, base=folder, **kwargs)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("values", "says"), [
    ([1, 2, -1, -2], r"the weight of row 3 .* is -1 \(2 such rows\). A weight is"), ([1, np.nan, 1, 1], "row 2 .* nan"),
    ([np.inf, 1, 1, 1], "of row 1 .* is inf"), (["1", "2", "x", "4"], "the weight of row 3 .* is x"),
    ([0, 0, 0, 0], "every weight is 0"), ([None, 1, 1, 1], "row 1 .* None"), (3, r"weights have shape \(\)"),
    (np.ones((4, 2)), r"weights have shape \(4, 2\)"), (np.ones((2, 2)), r"weights have shape \(2, 2\)"),
])  # fmt: skip
def test_bad_weights_name_their_row(values: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        weights.read(values, RowNumbers.of(4), "here")


@pytest.mark.parametrize(
    "values", [[0, 1, 2, 3], ["0", "1", "2", "3"], np.arange(4)[:, None], np.arange(4, dtype="u1")]
)
def test_good_weights_are_float64(values: Any) -> None:
    np.testing.assert_array_equal(weights.read(values, RowNumbers.of(4), "here"), np.arange(4.0))


# ------------------------------------------------------------- class weights


@pytest.mark.parametrize("folds", [None, 4])
def test_balanced_is_that_of_scikit_learn_in_each_fold_from_its_own_training_rows(folds: int | None) -> None:
    loaded = data.load(IMBALANCED, folds=folds, class_weight="balanced")
    for fold in loaded.folds:
        y = fold.train.y
        expected = compute_class_weight("balanced", classes=np.arange(3), y=y)[y]
        np.testing.assert_array_equal(fold.train.weights, expected.astype(np.float32))
        assert fold.train.weights.mean(dtype=float) == pytest.approx(1, abs=1e-6)
        assert fold.validation.weights is None
        assert fold.test.weights is None
    assert "Divide" not in " ".join(loaded.notes)


@pytest.mark.parametrize(("asked", "expected"), [
    ([1, 2, 5.5], [1, 2, 5.5]), ({"0": 0.5, "2": 3}, [0.5, 1, 3]), ({2: 3}, [1, 1, 3]), ((1, 0, 0), [1, 0, 0]),
])  # fmt: skip
def test_class_weights_stand_in_class_order_or_by_name(asked: Any, expected: list[float]) -> None:
    loaded = data.load(IMBALANCED, class_weight=asked)
    np.testing.assert_array_equal(loaded.train.weights, np.asarray(expected, np.float32)[loaded.train.y])


def test_class_weights_of_1_are_none() -> None:
    assert data.load(IMBALANCED, class_weight=[1, 1, 1]).train.weights is None


def test_sample_and_class_weights_multiply_in_training_and_samples_alone_in_validation(folder: Path) -> None:
    for asked in ("balanced", [1, 2, 3]):
        both = data.load("mine.py:triple", base=folder, class_weight=asked, folds=3)
        alone = data.load("mine.py:triple", base=folder, folds=3)
        for fold, plain in zip(both.folds, alone.folds, strict=True):
            y = plain.train.y
            by_class = compute_class_weight("balanced", classes=np.arange(3), y=y) if asked == "balanced" else [1, 2, 3]
            expected = plain.train.weights.astype(np.float64) * np.asarray(by_class)[y]
            np.testing.assert_allclose(fold.train.weights, expected, rtol=2e-7)
            np.testing.assert_array_equal(fold.validation.weights, plain.validation.weights)


def test_weights_are_there_in_all_folds_or_in_none() -> None:
    """Balanced folds of a balanced set: weights of 1 in some folds, not in others."""
    loaded = data.load("sklearn:make_blobs?n_samples=101&random_state=0", folds=3, class_weight="balanced")
    assert len({fold.train.weights is None for fold in loaded.folds}) == 1


def labels(task: str, k: int = 2) -> Labels:
    return Labels(task, np.arange(12) % max(k, 1), tuple("abc"[:k]), tuple("abc"[:k]))


@pytest.mark.parametrize(("task", "asked", "says"), [
    ("regression", "balanced", "one class per row, and this is regression. Rows are weighted by data.weight"),
    ("multilabel", [1, 2], "this is multilabel"), ("segmentation", [1, 2], "this is segmentation"),
    ("binary", "balance", "unknown class weight 'balance'. Did you mean balanced"),
    ("binary", [1, 2, 3], "has 3 weights, and there are 2 classes. In this order: a, b"),
    ("binary", {"c": 1}, "no class 'c'. Classes: a, b"), ("binary", {"A": 1}, "no class 'A'. Did you mean a"),
    ("binary", [0, 0], "one is above 0"), ("binary", [1, -1], "0 or more"), ("binary", {"a": np.inf}, "finite"),
])  # fmt: skip
def test_class_weights_that_cannot_be(task: str, asked: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        weights.of_classes(asked, labels(task, 0 if task == "regression" else 2), np.arange(12))
    assert error.value.where == "class_weight"


# -------------------------------------------------------------------- studies


def spec_of(train: dict[str, Any] | None = None, **section: Any) -> study.StudySpec:
    return study.from_dict({"data": {"source": "sklearn:iris"} | section, "train": train or {}})


@pytest.mark.parametrize(
    "asked", ["balanced", [1.0, 2, 3], {"setosa": 2.0}, None], ids=["balanced", "list", "table", "none"]
)
def test_a_study_keeps_its_class_weights(asked: Any) -> None:
    spec = spec_of({"class_weight": asked})
    assert spec.document()["train"]["class_weight"] == asked
    assert study.from_dict(spec.document()).train == spec.train
    loaded, _ = study_data.load_data(spec)
    assert (loaded.train.weights is None) == (asked in (None, "balanced"))  # iris is balanced


@pytest.mark.parametrize(("train", "section", "says"), [
    ({"class_weight": {"setos": 2}}, {}, "train.class_weight: no class 'setos'. Did you mean setosa"),
    ({"class_weight": [1, 2]}, {}, "train.class_weight: has 2 weights, and there are 3 classes"),
    ({}, {"folds": 61}, "data.folds: 61 folds need 122 rows outside the test, and there are 120. Use at most 60"),
    ({}, {"weight": "w"}, "data: weight = 'w' names a column"),
])  # fmt: skip
def test_a_mistake_is_located_in_the_study(train: dict[str, Any], section: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        study_data.load_data(spec_of(train, **section))


@pytest.mark.parametrize("named", [True, False])
def test_a_loss_of_whole_batches_cannot_weigh_rows(named: bool) -> None:
    loaded = data.load("sklearn:iris", class_weight=[1, 2, 3])
    whole = replace(registry.default().get("categorical_crossentropy"), level="batch")
    candidate: Any = SimpleNamespace(spec=whole, name="whole", baseline=False)
    metric = catalogue.resolve("accuracy", "multiclass")
    losses = {"losses": {"whole": {"loss": "focal"}}} if named else {}
    spec = study.from_dict({"data": {"source": "sklearn:iris"}, **losses})
    if named:
        with pytest.raises(
            InputError, match=r"losses.whole: .* one value for a whole batch, so it cannot weight samples"
        ):
            study_losses.suitable(spec, [candidate], metric, loaded)
    else:
        fit, notes = study_losses.suitable(spec, [candidate], metric, loaded)
        assert not fit
        assert notes[0].startswith("whole is left out: ")
    plain = data.load("sklearn:iris")
    assert study_losses.suitable(spec, [candidate], metric, plain) == ({"whole": candidate}, [])


def test_weights_in_text_have_the_marks_of_the_study(tmp_path: Path) -> None:
    values = [1500.0, 900.0] * 30
    texts = ["1.500", "900"] * 30
    pd.DataFrame({"f": texts, "w": texts, "y": ["a", "b", "b"] * 20}).to_parquet(tmp_path / "rows.parquet")
    options = Options(thousands=".")
    read = data.load("rows.parquet", target="y", weight="w", base=tmp_path, options=options).rows.raw
    assert read.weights.tolist() == values
    arrays = np.arange(120.0).reshape(60, 2), np.arange(60) % 2, np.array(texts)
    assert data.load("data=", given=arrays, options=options).rows.raw.weights.tolist() == values
