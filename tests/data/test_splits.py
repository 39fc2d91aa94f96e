"""Cross-validation: equal folds, each with statistics of its own training rows, and one set of columns."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from lossreg import data
from lossreg.data import splits
from lossreg.data.classes import Labels
from lossreg.data.layout import Layout
from lossreg.errors import DataError, InputError

RNG = np.random.default_rng(0)


def labels_of(task: str, y: np.ndarray) -> Labels:
    classes = (
        tuple("abcdefg"[: y.shape[1] if task == "multilabel" else int(y.max()) + 1]) if task != "regression" else ()
    )
    return Labels(task, y, classes, classes)


def cut(labels: Labels, folds: Any, seed: int = 0, test: float = 0.2) -> tuple[splits.Rows3, ...]:
    return splits.cut(labels, test=test, validation=0.2, folds=folds, seed=seed, where="here")


Y = {
    "regression": RNG.normal(size=101),
    "binary": RNG.permutation([0] * 70 + [1] * 33),
    "multiclass": RNG.permutation([0] * 51 + [1] * 30 + [2] * 17 + [3] * 4),
    "multilabel": (RNG.random((107, 4)) < [0.1, 0.3, 0.5, 0.8]).astype(np.int64),
    "segmentation": (RNG.random((99, 3, 2)) < 0.2).astype(np.int8),
}


@pytest.mark.parametrize("folds", [2, 3, 5, 7, 10])
@pytest.mark.parametrize("task", Y)
def test_every_fold_has_as_many_rows_as_the_others(task: str, folds: int) -> None:
    labels = labels_of(task, Y[task])
    for seed in range(3):
        cuts = cut(labels, folds, seed)
        rest = np.setdiff1d(np.arange(len(labels.y)), cuts[0].test)
        assert len(cuts) == folds
        assert {len(part.validation) for part in cuts} == {len(rest) // folds}
        assert {len(part.train) for part in cuts} == {len(rest) - len(rest) // folds}
        for part in cuts:
            np.testing.assert_array_equal(part.test, cuts[0].test)
            np.testing.assert_array_equal(np.union1d(part.train, part.validation), rest)
            assert (np.diff(part.train) > 0).all()
            assert (np.diff(part.validation) > 0).all()
        scored = np.concatenate([part.validation for part in cuts])
        assert len(set(scored.tolist())) == len(scored) >= len(rest) - folds + 1


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_the_folds_are_those_of_scikit_learn(task: str) -> None:
    """Compare the parts of the rows: 80 outside the test, 5 folds."""
    y = Y[task][:100]
    cuts = cut(labels_of(task, y), 5, seed=3)
    rest = np.setdiff1d(np.arange(100), cuts[0].test)
    kind = KFold if task == "regression" else StratifiedKFold
    expected = kind(5, shuffle=True, random_state=4).split(rest, y[rest])
    for part, (train, valid) in zip(cuts, expected, strict=True):
        np.testing.assert_array_equal(part.train, rest[train])
        np.testing.assert_array_equal(part.validation, rest[valid])


def test_the_test_rows_are_those_of_a_study_without_folds() -> None:
    labels = labels_of("multiclass", Y["multiclass"])
    np.testing.assert_array_equal(cut(labels, 5)[0].test, cut(labels, None)[0].test)


def test_classes_keep_their_shares() -> None:
    labels = labels_of("binary", np.repeat([0, 1], [900, 100]))
    for part in cut(labels, 5):
        assert labels.y[part.validation].sum() == 16
        assert labels.y[part.train].sum() == 64


@pytest.mark.parametrize("folds", [2, 5, 20])
@pytest.mark.parametrize("rare", [2, 3, 6])
def test_a_rare_class_has_training_rows_in_every_fold(rare: int, folds: int) -> None:
    labels = labels_of("multiclass", RNG.permutation(np.repeat([0, 1, 2], [100, 100 - rare, rare])))
    for seed in range(4):
        cuts = cut(labels, folds, seed)
        assert all((labels.y[part.train] == 2).any() for part in cuts)
        for number, part in enumerate(cuts, 1):
            is_noted = f"No validation row in fold {number} of class c." in part.notes
            assert is_noted == (2 not in labels.y[part.validation])


def test_classes_of_fewer_rows_than_folds_are_cut_all_the_same() -> None:
    labels = labels_of("multiclass", np.repeat(np.arange(7), 6))
    assert len(cut(labels, 10)) == 10


def test_a_label_that_lacks_training_rows_in_a_fold_is_an_error() -> None:
    """A row counts by its rarest label, so one that comes only beside rarer labels may be left out."""
    y = np.zeros((60, 4), np.int64)
    y[[0, 1, 2], 0] = 1
    y[[0, 3], 1] = y[[1, 4], 2] = y[[2, 5], 3] = 1
    labels = Labels("multilabel", y, tuple("abcd"), tuple("abcd"))
    given = np.repeat(np.array([0, 2], np.int8), 30)
    with pytest.raises(DataError, match=r"no training row in fold \d with label a. Drop rare labels"):
        splits.cut(labels, Layout(given=given), test=0.5, validation=0.2, folds=2, seed=8, where="here")


@pytest.mark.parametrize(("folds", "says"), [
    (1, "folds: must be a whole number from 2, not 1"), (2.0, "not 2.0"), (True, "not True"), ("5", "not '5'"),
    (41, "folds: 41 folds need 82 rows outside the test, and there are 80. Use at most 40"),
])  # fmt: skip
def test_a_number_of_folds_that_cannot_be(folds: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        cut(labels_of("regression", Y["regression"][:100]), folds)


# ------------------------------------------------------------------ data sets


def test_each_fold_has_its_own_statistics_and_constants() -> None:
    loaded = data.load("sklearn:breast_cancer", folds=5, seed=1)
    x, y = datasets.load_breast_cancer(return_X_y=True)
    labels = labels_of("binary", y)
    for fold, rows in zip(loaded.folds, cut(labels, 5, seed=1), strict=True):
        scaler = StandardScaler().fit(x[rows.train])
        for part, index in ((fold.train, rows.train), (fold.validation, rows.validation), (fold.test, rows.test)):
            np.testing.assert_allclose(part.x, scaler.transform(x[index]), rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(part.y, y[index])
        assert fold.constants.class_counts == tuple(np.bincount(y[rows.train]).astype(float))
    assert len({fold.train.x.tobytes() for fold in loaded.folds}) == 5


def test_the_data_set_itself_is_its_first_fold_and_its_digest_knows_no_folds() -> None:
    loaded, plain = data.load("sklearn:wine", folds=4), data.load("sklearn:wine")
    assert loaded.folds[0] is loaded
    assert [len(data.folds) for data in (*loaded.folds, plain)] == [4, 1, 1, 1, 1]
    assert {fold.digest for fold in loaded.folds} == {loaded.digest, plain.digest}
    assert loaded.summary() == plain.summary() | {"folds": 4, "rows": {"train": 107, "validation": 35, "test": 36}}
    assert not {"folds", "has_given_test"} & {*plain.summary()}
    np.testing.assert_array_equal(loaded.test.y, plain.test.y)


def test_folds_follow_the_seed() -> None:
    one, same, other = (data.load("sklearn:wine", folds=3, seed=seed) for seed in (0, 0, 1))
    for a, b in zip(one.folds, same.folds, strict=True):
        np.testing.assert_array_equal(a.train.x, b.train.x)
    assert not np.array_equal(one.folds[0].train.x, other.folds[0].train.x)


def wide_table(n: int = 400) -> pd.DataFrame:
    """Categories that some folds lack, a column empty in some folds, text that varies."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"number": rng.normal(size=n), "plan": rng.choice(["free", "pro"], n)})
    frame.loc[[3, 70], "plan"] = ["once", "also once"]
    frame["sparse"] = np.nan
    frame.loc[[5, 90], "sparse"] = 1.0, 2.0
    frame["city"] = [f"city {i % 140}" for i in range(n)]
    frame["left"] = rng.choice(["no", "yes"], n)
    return frame


def test_the_columns_are_the_same_in_every_fold(tmp_path: Path) -> None:
    wide_table().to_csv(tmp_path / "t.csv", index=False)
    for seed in range(3):
        loaded = data.load("t.csv", target="left", base=tmp_path, folds=5, seed=seed)
        names = [fold.preprocessor.get_feature_names_out() for fold in loaded.folds]
        assert {fold.input_shape for fold in loaded.folds} == {(len(names[0]),)}
        cities = {place for columns in names for place, name in enumerate(columns) if name.startswith("city")}
        assert len(cities) == 128
        assert any(note.endswith("categories, the rarest put together.") for note in loaded.notes)
        assert len({tuple(np.delete(columns, sorted(cities))) for columns in names}) == 1
        for fold in loaded.folds:
            assert all(np.isfinite(part.x).all() for part in (fold.train, fold.validation, fold.test))


def test_which_categories_are_frequent_follows_from_the_training_rows_of_each_fold(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"place": np.arange(1600), "city": rng.integers(0, 180, 1600), "left": rng.integers(0, 2, 1600)}
    )
    frame["city"] = "c" + frame.city.astype(str)
    frame.to_csv(tmp_path / "t.csv", index=False)
    kept = set()
    for fold in data.load("t.csv", target="left", base=tmp_path, folds=4).folds:
        scaler = fold.preprocessor.transformer_.named_transformers_["number"][-1]
        rows = scaler.inverse_transform(fold.train.x[:, :1]).round().astype(int)[:, 0]
        counts = frame.city[rows].value_counts()
        names = [name.removeprefix("city_") for name in fold.preprocessor.get_feature_names_out()[1:-1]]
        assert len(names) == 127
        assert counts[names].min() >= counts.drop(names).max()
        np.testing.assert_array_equal(fold.train.x[:, 1:-1].sum(axis=0), counts[names])
        assert fold.train.x[:, -1].sum() == counts.drop(names).sum()
        kept.add(tuple(names))
    assert len(kept) == 4


def test_a_category_that_a_fold_does_not_train_on_is_unknown_to_it(tmp_path: Path) -> None:
    frame = wide_table()[["number", "plan", "left"]]
    frame.to_csv(tmp_path / "t.csv", index=False)
    loaded = data.load("t.csv", target="left", base=tmp_path, folds=5)
    names = loaded.preprocessor.get_feature_names_out().tolist()
    column = names.index("plan_once")
    seen = [fold.train.x[:, column].sum() for fold in loaded.folds]
    assert sorted(seen) == [0, 1, 1, 1, 1]
    for fold, count in zip(loaded.folds, seen, strict=True):
        assert fold.validation.x[:, column].sum() == 0
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always", UserWarning)
            again = pickle.loads(pickle.dumps(fold.preprocessor)).transform(frame.drop(columns="left"))
        assert again[:, column].sum() == count
        assert ("'once'" in "".join(str(warning.message) for warning in raised)) == (count == 0)


def test_images_are_scaled_in_each_fold_by_its_own_rows(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 3)).astype("uint8")
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 3)
    loaded = data.load("a.npz", base=tmp_path, folds=3)
    assert len({fold.preprocessor.mean_ for fold in loaded.folds}) == 3
    for fold in loaded.folds:
        assert fold.train.x.mean() == pytest.approx(0, abs=1e-5)
        assert fold.train.x.std() == pytest.approx(1, abs=1e-5)


def test_a_given_test_set_stays_the_test_set(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:120], order[120:]
    np.savez(tmp_path / "a.npz", x_train=x[train], y_train=y[train], x_test=x[test], y_test=y[test])
    loaded = data.load("a.npz", base=tmp_path, folds=4)
    assert loaded.summary()["has_given_test"] is True
    assert [len(fold.validation) for fold in loaded.folds] == [30] * 4
    for fold in loaded.folds:
        np.testing.assert_array_equal(fold.test.y, y[test])
