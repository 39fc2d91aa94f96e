"""Fresh splits of the rows outside the test: the same test rows, and statistics of each split's own training rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from lossreg import data
from lossreg.contract.targets import Constants
from lossreg.data import splits
from lossreg.data.classes import Labels
from lossreg.errors import DataError, InputError
from lossreg.runtime import system

N = 240
RNG = np.random.default_rng(0)
NUMBER = RNG.normal(size=N)
MASKS = RNG.random((N, 3, 2)) < 0.2
LABELS = {
    "regression": NUMBER**3,
    "binary": (NUMBER > 0.8).astype(int),
    "multiclass": np.digitize(NUMBER, [-0.5, 0.5, 1.3]),
    "multilabel": (NUMBER[:, None] + RNG.normal(size=(N, 3)) > [0, 0.7, 1.2]).astype(int),
    "segmentation": MASKS.astype(int),
}


def labels_of(task: str) -> Labels:
    y = LABELS[task]
    k = {"regression": 0, "multilabel": 3, "segmentation": 2}.get(task, int(y.max()) + 1)
    return Labels(task, y, tuple("abcd"[:k]), tuple("abcd"[:k]))


def save(folder: Path, task: str, **arrays: Any) -> None:
    """Write rows that bear their number, so that each is known again."""
    x = np.column_stack([np.arange(N), NUMBER]).astype(np.float32)
    np.savez(folder / "a.npz", **{"x": x, "y": LABELS[task], **arrays})


def numbers(split: data.Split) -> np.ndarray:
    x = split.x["a"] if isinstance(split.x, dict) else split.x
    return x[:, 0].astype(int)


def assert_same(one: data.Dataset, other: data.Dataset) -> None:
    """Compare one fold with another, value by value."""
    assert one.constants == other.constants
    for part in ("train", "validation", "test"):
        a, b = getattr(one, part), getattr(other, part)
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)
        assert (a.weights is None) == (b.weights is None)
        if a.weights is not None:
            np.testing.assert_array_equal(a.weights, b.weights)


@pytest.mark.parametrize("folds", [None, 4])
@pytest.mark.parametrize("task", LABELS)
def test_the_test_rows_stay_and_all_others_are_split_anew(tmp_path: Path, task: str, folds: int | None) -> None:
    save(tmp_path, task)
    study = data.load("a.npz", base=tmp_path, preprocess="none", task=task, folds=folds, seed=3)
    again = study.resampled(range(6))
    development = np.setdiff1d(np.arange(N), numbers(study.test))
    assert len(again.folds) == 6
    for fold in again.folds:
        np.testing.assert_array_equal(fold.test.x, study.test.x)
        np.testing.assert_array_equal(fold.test.y, study.test.y)
        train, validation = numbers(fold.train), numbers(fold.validation)
        assert (len(train), len(validation)) == (163, 29)  # 29 is 15% of 192, rounded up
        np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), development)
        np.testing.assert_array_equal(fold.train.y, LABELS[task][train])
        np.testing.assert_array_equal(fold.validation.y, LABELS[task][validation])
        y, k = LABELS[task][train], study.n_classes
        assert fold.constants == Constants.from_labels(y, k, multihot=task == "multilabel")
    validated = {tuple(numbers(fold.validation)) for fold in (*again.folds, *study.folds)}
    assert len(validated) == 6 + len(study.folds)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "segmentation"])
def test_splits_are_stratified(task: str) -> None:
    labels = labels_of(task)
    test = np.arange(0, N, 5)
    groups = labels.strata
    assert groups is not None
    part = splits.Part(test, np.setdiff1d(np.arange(N), test))
    counts = np.bincount(groups[part.development])
    for rows in splits.resample(labels, [(part, seed) for seed in range(10)], share=0.85, where="here"):
        drawn = np.bincount(groups[rows.validation], minlength=len(counts))
        assert (np.abs(drawn - 0.15 * counts) <= 1).all()


@pytest.mark.parametrize(
    ("rows", "share", "validation"), [(100, 0.85, 15), (100, 0.9, 10), (60, 0.7, 18), (90, 0.5, 45)]
)
def test_the_share_is_that_of_the_training_rows(rows: int, share: float, validation: int) -> None:
    labels = Labels("regression", np.arange(float(rows + 20)))
    outer = splits.Part(np.arange(20), np.arange(20, rows + 20))
    (part,) = splits.resample(labels, [(outer, 7)], share=share, where="here")
    assert (len(part.train), len(part.validation)) == (rows - validation, validation)
    assert splits.left_out(rows, share) == validation


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_a_seed_gives_the_same_split_whichever_others_are_asked_for(tmp_path: Path, task: str) -> None:
    save(tmp_path, task, sample_weight=RNG.uniform(0.5, 2, N))
    weighted = {"class_weight": "balanced"} if task == "multiclass" else {}
    study = data.load("a.npz", base=tmp_path, task=task, **weighted)
    together, *apart = [study.resampled(seeds) for seeds in ([0, 1, 2, 3], [3, 1], [2], [0])]
    for fold, other in zip(
        [together.folds[seed] for seed in (3, 1, 2, 0)], [f for chunk in apart for f in chunk.folds], strict=True
    ):
        assert_same(fold, other)
    fresh = data.load("a.npz", base=tmp_path, task=task, **weighted)
    for fold, other in zip(together.folds, fresh.resampled(range(4)).folds, strict=True):
        assert_same(fold, other)


def test_columns_do_not_depend_on_the_seeds_that_are_asked_for(tmp_path: Path) -> None:
    """A category of three rows is in the training rows of some splits only."""
    frame = pd.DataFrame(
        {"number": NUMBER, "plan": np.where(np.arange(N) % 2, "free", "pro"), "left": LABELS["binary"]}
    )
    frame.loc[[10, 11, 12, 100, 101, 102], "plan"] = ["once"] * 3 + ["rare"] * 3
    frame.to_csv(tmp_path / "t.csv", index=False)
    study = data.load("t.csv", target="left", base=tmp_path)
    together = study.resampled(range(8))
    assert len({fold.input_shape for fold in together.folds}) == 1
    for seed, fold in enumerate(together.folds):
        assert_same(fold, study.resampled([seed]))


def test_statistics_are_those_of_the_training_rows_of_each_split(tmp_path: Path) -> None:
    save(tmp_path, "binary")
    x = np.column_stack([np.arange(N), NUMBER]).astype(np.float32)
    raw, scaled = (
        data.load("a.npz", base=tmp_path, preprocess=way).resampled(range(4)) for way in ("none", "standard")
    )
    for fold, given in zip(scaled.folds, raw.folds, strict=True):
        scaler = StandardScaler().fit(x[numbers(given.train)])
        for part in ("train", "validation", "test"):
            expected = scaler.transform(x[numbers(getattr(given, part))])
            np.testing.assert_allclose(getattr(fold, part).x, expected, rtol=1e-4, atol=1e-4)


def test_weights_go_with_their_rows_and_class_weights_with_each_split(tmp_path: Path) -> None:
    weights = RNG.uniform(0.5, 2, N)
    save(tmp_path, "multiclass", sample_weight=weights)
    study = data.load("a.npz", base=tmp_path, preprocess="none", class_weight="balanced")
    again = study.resampled([4, 9])
    for fold in again.folds:
        y = fold.train.y
        of_class = compute_class_weight("balanced", classes=np.arange(4), y=y)[y]
        np.testing.assert_allclose(fold.train.weights, weights[numbers(fold.train)] * of_class, rtol=1e-6)
        for part in (fold.validation, fold.test):
            np.testing.assert_allclose(part.weights, weights[numbers(part)], rtol=1e-6)
    assert again.weights.keys() == study.weights.keys() == {"rows", "classes"}


def test_several_inputs_are_split_together(tmp_path: Path) -> None:
    a = np.column_stack([np.arange(N), NUMBER])
    np.savez(tmp_path / "a.npz", **{"x.a": a, "x.b": a[:, :1, None].repeat(2, 2), "y": LABELS["binary"]})
    study = data.load("a.npz", base=tmp_path, preprocess="none")
    for fold in study.resampled([0, 1]).folds:
        for part in (fold.train, fold.validation, fold.test):
            np.testing.assert_array_equal(part.x["b"][:, 0, 0], numbers(part))
            np.testing.assert_array_equal(part.y, LABELS["binary"][numbers(part)])
        np.testing.assert_array_equal(numbers(fold.test), numbers(study.test))


def test_a_given_test_set_stays_the_test_set_whatever_it_holds(tmp_path: Path) -> None:
    """Its values, its labels and its categories reach no training or validation sample, and no statistic."""
    frame = pd.DataFrame({"number": NUMBER, "plan": RNG.choice(["free", "pro"], N), "left": LABELS["multiclass"]})
    wild = frame.copy()
    wild.loc[200:, "number"] = 1e9
    wild.loc[200:, "plan"] = "of the test alone"
    wild.loc[200:, "left"] = RNG.integers(0, 4, 40)
    function = """
import pandas as pd

def parts(name):
    t = pd.read_pickle(f"{FOLDER}/{name}")
    x = t.drop(columns="left")
    return (x[:200], t.left[:200]), (x[200:], t.left[200:])
"""
    (tmp_path / "mine.py").write_text(f"FOLDER = {str(tmp_path)!r}\n{function}")
    frame.to_pickle(tmp_path / "frame")
    wild.to_pickle(tmp_path / "wild")
    weighted = {"base": tmp_path, "class_weight": "balanced"}
    one, other = (data.load(f"mine.py:parts?name={name}", **weighted).resampled(range(5)) for name in ("frame", "wild"))
    for a, b in zip(one.folds, other.folds, strict=True):
        np.testing.assert_array_equal(b.test.y, wild.left[200:])
        assert_same(a, replace(b, test=a.test))
        np.testing.assert_array_equal(a.preprocessor.transform(frame), b.preprocessor.transform(frame))


def test_the_source_is_read_once(tmp_path: Path) -> None:
    """A function that draws other rows whenever it is called."""
    (tmp_path / "mine.py").write_text("""
import numpy as np

calls = []

def draw():
    calls.append(1)
    assert len(calls) == 1
    rng = np.random.default_rng()
    return rng.normal(size=(80, 3)), rng.integers(0, 2, 80)
""")
    study = data.load("mine.py:draw", base=tmp_path, preprocess="none")
    (fold,) = study.resampled([0]).folds
    np.testing.assert_array_equal(fold.test.x, study.test.x)
    both = [np.concatenate([part.train.x, part.validation.x]) for part in (study, fold)]
    assert {tuple(row) for row in both[0]} == {tuple(row) for row in both[1]}


def test_as_many_splits_at_a_time_as_fit_into_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    study = data.load("sklearn:digits")
    per_split = 2 * 4 * 64 * 1797
    for free, number in ((2 * 7 * per_split, 7), (2 * 8 * per_split - 2, 7), (per_split, 1), (1, 1)):
        monkeypatch.setattr(system, "free_memory", lambda free=free: free)
        assert study.resampled_at_once() == number
    with pytest.raises(DataError, match=r"sklearn:digits: 1,797 rows of shape .* memory"):
        study.resampled([0])


def test_splits_that_cannot_be_made() -> None:
    study = data.load("sklearn:iris")
    with pytest.raises(InputError, match=r"share: must be a share between 0 and 1, not 1\.5"):
        study.resampled([0], share=1.5)
    with pytest.raises(DataError, match="not kept"):
        replace(study, loaded=None).resampled([0])


# ------------------------------------------------------------ outer parts


@pytest.mark.parametrize("number", [2, 5, 7])
@pytest.mark.parametrize("task", LABELS)
def test_every_row_is_tested_once_and_all_parts_have_equally_many_others(task: str, number: int) -> None:
    parts = splits.outer(labels_of(task), number, seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([part.test for part in parts])), np.arange(N))
    assert {len(part.test) for part in parts} <= {N // number, N // number + 1}
    assert {len(part.development) for part in parts} == {N - -(-N // number)}
    for part in parts:
        assert not set(part.test) & set(part.development)
        assert len(set(part.development)) == len(part.development)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "segmentation"])
def test_parts_are_stratified_and_follow_the_seed(task: str) -> None:
    labels = labels_of(task)
    groups = labels.strata
    assert groups is not None
    parts = splits.outer(labels, 5, seed=3)
    for part in parts:
        counts = np.bincount(groups[part.test], minlength=groups.max() + 1)
        assert (np.abs(counts - np.bincount(groups) / 5) <= 1).all()
    again, other = splits.outer(labels, 5, seed=3), splits.outer(labels, 5, seed=4)
    assert all(np.array_equal(one.test, same.test) for one, same in zip(parts, again, strict=True))
    assert not all(np.array_equal(one.test, same.test) for one, same in zip(parts, other, strict=True))


@pytest.mark.parametrize("task", LABELS)
def test_folds_of_different_parts_have_their_own_test_rows_and_equal_sizes(tmp_path: Path, task: str) -> None:
    save(tmp_path, task)
    study = data.load("a.npz", base=tmp_path, preprocess="none", task=task, seed=3)
    parts = study.rows.outer(7, seed=1)
    wanted = [(0, 5), (6, 5), (0, 6)]
    again = study.resampled([seed for _, seed in wanted], parts=[parts[part] for part, _ in wanted])
    assert len({(len(fold.train), len(fold.validation)) for fold in again.folds}) == 1
    for fold, (part, _) in zip(again.folds, wanted, strict=True):
        np.testing.assert_array_equal(numbers(fold.test), parts[part].test)
        used = np.sort(np.concatenate([numbers(fold.train), numbers(fold.validation)]))
        np.testing.assert_array_equal(used, parts[part].development)
        assert fold.constants == study.rows.constants(numbers(fold.train))
    (alone,) = study.resampled([5], parts=[parts[6]]).folds
    np.testing.assert_array_equal(numbers(alone.train), numbers(again.folds[1].train))
