"""Several labels per row, and masks: from every source to three parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from lossreg import data
from lossreg.data import classes, label_arrays
from lossreg.errors import DataError, InputError
from lossreg.registry.registry import default

GENERATED = "sklearn:make_multilabel_classification?n_samples=300&random_state=3"
RNG = np.random.default_rng(0)
X, TAGS = datasets.make_multilabel_classification(300, random_state=3)
NAMES = ["news", "sport", "a<b", "Été", "last"]
MASKS = (RNG.random((120, 4, 3)) < 0.3).astype(int)
IMAGES = MASKS[..., None] + RNG.normal(size=(120, 4, 3, 2))


def everything(loaded: data.Dataset) -> np.ndarray:
    return np.concatenate([part.y for part in (loaded.train, loaded.validation, loaded.test)])


def rows(y: np.ndarray) -> list[tuple[int, ...]]:
    return sorted(map(tuple, y.reshape(len(y), -1).tolist()))


FUNCTIONS = """
import numpy as np, pandas as pd
from sklearn.datasets import make_multilabel_classification
from scipy.sparse import csr_array
from sklearn.utils import Bunch

X, Y = make_multilabel_classification(300, random_state=3)
NAMES = ["news", "sport", "a<b", "Été", "last"]

def pair():
    return X, Y

def floats():
    return X, Y.astype(float)

def booleans():
    return X, Y.astype(bool)

def frame():
    return X, pd.DataFrame(Y, columns=NAMES)

def sparse():
    return X, csr_array(Y)

def bunch():
    return Bunch(data=X, target=Y, target_names=NAMES)

def table():
    return pd.concat([pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y, columns=NAMES)], axis=1)

def given():
    return (X[:200], Y[:200]), (X[200:], Y[200:])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    np.savez(tmp_path / "tags.npz", x=X, y=TAGS)
    table = pd.DataFrame(X).add_prefix("x").assign(**dict(zip(NAMES, TAGS.T, strict=True)), yes=TAGS[:, 0] == 1)
    table.to_csv(tmp_path / "tags.csv", index=False)
    table.to_parquet(tmp_path / "tags.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "target", "names"),
    [
        (GENERATED, None, [f"label_{i}" for i in range(5)]),
        ("tags.npz", None, [f"label_{i}" for i in range(5)]),
        ("mine.py:pair", None, [f"label_{i}" for i in range(5)]),
        ("mine.py:floats", None, [f"label_{i}" for i in range(5)]),
        ("mine.py:booleans", None, [f"label_{i}" for i in range(5)]),
        ("mine.py:sparse", None, [f"label_{i}" for i in range(5)]),
        ("mine.py:frame", None, NAMES),
        ("mine.py:bunch", None, NAMES),
        ("mine.py:table", NAMES, NAMES),
        ("tags.csv", NAMES, NAMES),
        ("tags.parquet", tuple(NAMES), NAMES),
    ],
)
def test_several_labels_come_from_every_source(folder: Path, source: str, target: Any, names: list[str]) -> None:
    loaded = data.load(
        source, target=target, base=folder, drop=["yes"] if source.startswith("tags.") and target else ()
    )
    assert (loaded.task, loaded.classes, loaded.n_classes, loaded.input_shape) == ("multilabel", tuple(names), 5, (20,))
    assert loaded.train.y.dtype == np.int64
    assert rows(everything(loaded)) == rows(TAGS)
    assert loaded.spatial_shape == ()
    assert loaded.notes[0].startswith(("Task multilabel, inferred from 5 labels per row", "random_state"))


def test_labels_that_are_booleans_and_a_task_that_is_said(folder: Path) -> None:
    loaded = data.load("tags.csv", target=["yes", "last"], task="multilabel", base=folder)
    assert loaded.classes == ("yes", "last")
    assert rows(everything(loaded)) == rows(TAGS[:, [0, 4]])
    assert not any(note.startswith("Task") for note in loaded.notes)


def test_a_list_of_one_target_is_that_target(folder: Path) -> None:
    one, same = (data.load("tags.csv", target=target, base=folder) for target in ("yes", ["yes"]))
    assert (one.task, one.digest) == (same.task, same.digest) == ("binary", one.digest)


def test_one_hot_columns_are_classes_unless_several_labels_are_asked_for(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    table = pd.DataFrame(x).add_prefix("x").assign(**{name: y == i for i, name in enumerate("abc")})
    table.to_csv(tmp_path / "t.csv", index=False)
    classed = data.load("t.csv", target=list("abc"), base=tmp_path)
    assert (classed.task, classed.classes) == ("multiclass", ("a", "b", "c"))
    assert "one-hot rows of 3 columns, read as class numbers" in classed.notes[0]
    assert data.load("t.csv", target=list("abc"), task="multilabel", base=tmp_path).task == "multilabel"


@pytest.mark.parametrize("task", ["auto", "segmentation"])
@pytest.mark.parametrize("kind", [np.int64, np.uint8, float, bool])
@pytest.mark.parametrize("last", [False, True])
def test_masks(tmp_path: Path, task: str, kind: Any, last: bool) -> None:
    y = MASKS.astype(kind)
    np.savez(tmp_path / "m.npz", x=IMAGES, y=y[..., None] if last else y)
    loaded = data.load("m.npz", base=tmp_path, task=task)
    assert (loaded.task, loaded.spatial_shape, loaded.input_shape) == ("segmentation", (4, 3), (4, 3, 2))
    assert loaded.classes == ("background", "foreground")
    assert loaded.train.y.dtype == np.int8
    assert rows(everything(loaded)) == rows(MASKS)
    assert any("masks of shape (4, 3)" in note for note in loaded.notes) == (task == "auto")


def test_masks_of_one_dimension_have_to_be_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", x=IMAGES[:, :, 0], y=MASKS[:, :, 0])
    assert data.load("m.npz", base=tmp_path).task == "multilabel"
    loaded = data.load("m.npz", base=tmp_path, task="segmentation")
    assert (loaded.spatial_shape, loaded.n_classes) == ((4,), 2)


# ------------------------------------------------------------------ what follows from the labels


def test_the_summary_counts_rows_of_each_label() -> None:
    loaded = data.load(GENERATED)
    assert loaded.summary()["classes"] == {f"label_{i}": int(n) for i, n in enumerate(TAGS.sum(axis=0))}
    assert "foreground" not in loaded.summary()
    counts = loaded.train.y.sum(axis=0)
    assert loaded.constants.class_counts == tuple(counts)
    np.testing.assert_allclose(loaded.constants.class_priors, counts / len(loaded.train))


def test_the_summary_gives_the_share_of_the_foreground(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", x=IMAGES, y=MASKS)
    loaded = data.load("m.npz", base=tmp_path)
    assert loaded.summary()["foreground"] == pytest.approx(MASKS.mean(), abs=1e-4)
    assert loaded.summary()["classes"] == {"background": int((1 - MASKS).sum()), "foreground": int(MASKS.sum())}
    assert loaded.constants.class_counts == tuple(np.bincount(loaded.train.y.ravel()))


def test_labels_reach_the_losses_in_their_form(tmp_path: Path) -> None:
    loaded = data.load(GENERATED)
    encoded = default().get("multilabel_bce").encode(loaded.train.y, loaded.constants)
    np.testing.assert_array_equal(encoded, loaded.train.y.astype(np.float32))
    np.savez(tmp_path / "m.npz", x=IMAGES, y=MASKS)
    masks = data.load("m.npz", base=tmp_path)
    encoded = default().get("binary_crossentropy").encode(masks.train.y, masks.constants)
    np.testing.assert_array_equal(encoded, masks.train.y[..., None].astype(np.float32))


def test_the_digest_follows_the_labels(tmp_path: Path) -> None:
    digests = set()
    for number, y in enumerate((TAGS, 1 - TAGS, TAGS[:, ::-1], TAGS[:, :4])):
        np.savez(tmp_path / f"{number}.npz", x=X, y=y)
        digests.add(data.load(f"{number}.npz", base=tmp_path).digest)
        assert data.load(f"{number}.npz", base=tmp_path, seed=5, test=0.3).digest in digests
    assert len(digests) == 4


@pytest.mark.parametrize("seed", range(4))
def test_a_rare_label_is_spread_over_the_parts(tmp_path: Path, seed: int) -> None:
    y = TAGS.copy()
    y[:, 2] = 0
    y[np.random.default_rng(seed).choice(300, 15, replace=False), 2] = 1
    np.savez(tmp_path / "t.npz", x=X, y=y)
    loaded = data.load("t.npz", base=tmp_path, seed=seed)
    counts = [int(part.y[:, 2].sum()) for part in (loaded.train, loaded.validation, loaded.test)]
    assert counts == [10, 2, 3] or (sum(counts) == 15 and min(counts) >= 1)


def test_a_label_of_a_single_row_stays_with_the_training_rows_and_is_said_to_be_missing(tmp_path: Path) -> None:
    y = TAGS.copy()
    y[:, 2], y[7, 2] = 0, 1
    np.savez(tmp_path / "t.npz", x=X, y=y)
    for seed in range(4):
        loaded = data.load("t.npz", base=tmp_path, seed=seed)
        assert loaded.train.y[:, 2].sum() == 1
        absent = [note for note in loaded.notes if note.startswith("No ")]
        assert absent == ["No validation row with label label_2.", "No test row with label label_2."]


def test_empty_masks_are_spread_over_the_parts(tmp_path: Path) -> None:
    y = MASKS.copy()
    y[::2] = 0
    np.savez(tmp_path / "m.npz", x=IMAGES, y=y)
    loaded = data.load("m.npz", base=tmp_path)
    for part in (loaded.train, loaded.validation, loaded.test):
        assert part.y.any(axis=(1, 2)).mean() == pytest.approx(0.5, abs=0.06)


def test_a_label_that_all_rows_have_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=X, y=np.column_stack([TAGS, np.ones(300, int)]))
    assert "Every row has the label label_5." in data.load("t.npz", base=tmp_path).notes


@pytest.mark.parametrize(
    ("values", "suggests"),
    [
        (RNG.poisson(1.5, 300), "count"),
        (RNG.negative_binomial(1, 0.02, 300), "count"),
        (RNG.lognormal(size=300), "positive"),
        (RNG.normal(5, 1, 300), "multiclass"),
        (RNG.integers(0, 10, 300), "regression"),
        (-RNG.lognormal(size=300), "multiclass"),
    ],
)
def test_the_note_names_the_task_that_numbers_look_like(tmp_path: Path, values: np.ndarray, suggests: str) -> None:
    values = np.concatenate([values, np.unique(values)])  # two rows a class at least
    np.savez(tmp_path / "t.npz", x=RNG.normal(size=(len(values), 2)), y=values)
    assert f'(such as "{suggests}")' in data.load("t.npz", base=tmp_path).notes[0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("-1", "1"), ("minus_1", "1")), (("-0.5", "0.5"), ("minus_0_5", "0_5")), (("-a", "a"), ("a", "a_2"))],
)
def test_negative_classes_have_slugs_of_their_own(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert classes.slugs(names) == expected


# ------------------------------------------------------------------ errors


def npz(y: Any, x: Any = None) -> Callable[[Path], None]:
    y = np.asarray(y)
    return lambda folder: np.savez(folder / "bad.npz", x=np.zeros((len(y), 2)) if x is None else x, y=y)


BAD = [
    (npz(TAGS * 2), {"task": "multilabel"}, "several labels per row are 0 and 1, and the data has 2. Divide by 2."),
    (npz(TAGS * 2), {}, r"y has 5 numbers per row to predict, .*: y\[:, 0\]. Only labels of 0 and 1"),
    (npz(TAGS - 1), {"task": "multilabel"}, "the data has -1. Recode them as 0 and 1"),
    (
        npz(TAGS),
        {"task": "binary"},
        r'task binary needs one label per row, and y has shape \(300, 5\). Set task = "multi',
    ),
    (
        npz(RNG.normal(size=(9, 2))),
        {"task": "regression"},
        "y has 2 numbers per row to predict, and a study predicts one",
    ),
    (npz(TAGS.astype(str)), {}, r"y of shape \(300, 5\) holds <U\d+, not numbers"),
    (
        npz(np.where(TAGS, 1, np.nan)),
        {},
        rf"{(TAGS != 1).any(axis=1).sum()} of 300 rows have a label that is missing \(NaN\), the first in rows",
    ),
    (npz(np.zeros((9, 0))), {}, r"y has shape \(9, 0\): no labels"),
    (npz(np.zeros((60, 3))), {}, "no training row with label label_0, label_1, label_2. Drop rare labels"),
    (
        npz(TAGS[:, 0]),
        {"task": "multilabel"},
        r'needs several labels per row, and there is one. .*target = \["a", "b"\]',
    ),
    (npz(TAGS[:, 0]), {"task": "segmentation"}, "needs a mask per row, and there is one label. Give masks as arrays"),
    (npz(MASKS * 255), {}, r"masks of shape \(4, 3\) are 0 and 1, and the data has 255. Divide by 255"),
    (npz(MASKS + 0.5), {"task": "segmentation"}, "are 0 and 1, and the data has .*Recode"),
    (npz(MASKS), {"task": "multilabel"}, 'task multilabel needs labels .*Masks are for task = "segmentation"'),
    (npz(MASKS), {"task": "multiclass"}, 'task multiclass needs one label per row.*Set task = "segmentation"'),
    (npz(np.eye(3)[MASKS]), {}, r"are one-hot over 3 classes, and one class is needed. .*y\[..., 1\]"),
    (npz(0 * MASKS), {}, "no training row with any foreground. A mask has 1 where the object is"),
    (npz(MASKS[:3]), {}, "not enough rows for the splits"),
    (npz(MASKS, np.zeros((7, 2))), {}, "x has 7 rows and y has 120"),
]


@pytest.mark.parametrize(("prepare", "options", "says"), BAD)
def test_wrong_labels_are_one_message(
    tmp_path: Path, prepare: Callable[[Path], None], options: dict[str, Any], says: str
) -> None:
    prepare(tmp_path)
    with pytest.raises(DataError, match=says) as error:
        data.load("bad.npz", base=tmp_path, **options)
    assert "\n" not in str(error.value)
    assert error.value.where == "bad.npz"


TABLE = pd.DataFrame({"a": range(40), "b": [0, 1] * 20, "c": ["yes", "no"] * 20, "d": [1, 0, None, 1] * 10})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": ["b", "e"]}, "no column 'e'; it has a, b, c, d"),
        ({"target": ["b", "c"]}, "target column 'c' holds 'yes', and several targets are labels of 0 and 1. Recode"),
        ({"target": ["b", "d"]}, r"10 of 40 rows have a label that is missing \(NaN\)"),
        ({"target": ["a", "b"]}, r"y has 2 numbers per row \(a, b\) .*: target = 'a', with the others under drop"),
        ({"target": list("abcd")}, "no columns besides the target 'a', 'b', 'c', 'd'"),
        ({"target": "b", "drop": ["a", "c", "d"]}, "drop leaves no column. Keep at least one"),
        ({"target": "b", "task": "multilabel"}, "task multilabel needs several labels per row"),
    ],
)
def test_wrong_target_columns_are_one_message(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=says) as error:
        data.load("t.csv", base=tmp_path, **options)
    assert error.value.where == "t.csv"


def test_columns_of_lists_are_left_out_and_targets_of_lists_refused(tmp_path: Path) -> None:
    lists = [[1, 2], [3]] * 20
    TABLE.assign(lists=lists, nested=[{"a": 1}] * 40).to_parquet(tmp_path / "t.parquet")
    loaded = data.load("t.parquet", target="b", base=tmp_path)
    assert "lists, nested: left out, because the values are lists." in loaded.notes
    assert np.isfinite(loaded.train.x).all()
    for task in ("auto", "regression", "multilabel"):
        with pytest.raises(DataError, match=r"the target holds lists. Give a column of 0 and 1 for each label"):
            data.load("t.parquet", target="lists", base=tmp_path, task=task)


def test_given_test_labels_must_have_the_shape_of_the_others(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x_train=X[:200], y_train=TAGS[:200], x_test=X[200:], y_test=TAGS[200:, :3])
    with pytest.raises(DataError, match="training labels have shape"):
        data.load("t.npz", base=tmp_path)
    np.savez(tmp_path / "t.npz", x_train=X[:200], y_train=TAGS[:200], x_test=X[200:], y_test=TAGS[200:])
    np.testing.assert_array_equal(data.load("t.npz", base=tmp_path).test.y, TAGS[200:])


def test_what_is_one_hot() -> None:
    assert label_arrays.is_onehot(np.eye(3))
    assert not label_arrays.is_onehot(TAGS)
    assert not label_arrays.is_onehot(2 * np.eye(3))
    assert not label_arrays.is_onehot(np.eye(3)[:, None])


# ------------------------------------------------------------------ several numbers per row

SIZES = pd.DataFrame(RNG.normal(size=(60, 3)), columns=pd.Index(["a", "waist", "pulse"]))
SIZES.loc[3, "pulse"] = np.nan  # what is wrong with single values is said once the targets are right


@pytest.mark.parametrize("task", ["auto", "regression", "positive", "count"])
@pytest.mark.parametrize("way", ["frame", "csv", "npz", "function", "dictionary", "tuple of frames"])
def test_several_regression_targets_are_refused_in_the_same_words_wherever_they_come_from(
    tmp_path: Path, way: str, task: str
) -> None:
    x, y = SIZES[["a"]], SIZES[["waist", "pulse"]]
    SIZES.to_csv(tmp_path / "t.csv", index=False)
    np.savez(tmp_path / "t.npz", x=x, y=y)
    (tmp_path / "f.py").write_text("import numpy as np\n\ndef rows():\n    a = np.ones((9, 2))\n    return a, 3 * a\n")
    named, arrays = {"target": ["waist", "pulse"]}, dict[str, Any]()
    source, options = {
        "frame": ("data=", {**named, "given": SIZES}),
        "csv": ("t.csv", named),
        "npz": ("t.npz", arrays),
        "function": ("f.py:rows", arrays),
        "dictionary": ("data=", {"given": {"x": x.to_numpy(), "y": y.to_numpy()}}),
        "tuple of frames": ("data=", {"given": (x, y)}),
    }[way]
    with pytest.raises(DataError, match=r"y has 2 numbers per row .*to predict, and a study predicts one") as error:
        data.load(source, base=tmp_path, task=task, **options)
    assert "Make a study for each" in error.value.hint
    assert ("target = 'waist'" in error.value.hint) == (way in ("frame", "csv", "tuple of frames"))
