"""No leak: whatever is fitted knows the training rows alone, in every fold of a study, its verdict and its outer folds.

Each row is known by its weight, so that NumPy can compute from the raw table what a fold should hold.
"""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from quick import long_but
from sklearn.neighbors import KNeighborsClassifier

from lossreg import data
from lossreg.contract.targets import Constants
from lossreg.data import inputs
from lossreg.data.preprocess import TablePreprocessor
from lossreg.data.preprocessor_file import load_preprocessor, save_preprocessor

N = 240
RNG = np.random.default_rng(3)
WORDS = ["red", "green", "blue", "small", "large", "old", "new", "soft", "hard", "warm", "cold", "round"]
PARTS = ("train", "validation", "test")
FRAME = pd.DataFrame(
    {
        "number": np.exp(RNG.normal(size=N)),
        "gaps": np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(5, 3, N)),
        "kind": RNG.choice(["k0", "k1", "k2", "k3"], N),
        "note": [f"{' '.join(RNG.choice(WORDS, 5))} {'abcdefgh'[i % 8]}{i}" for i in range(N)],
        "y": RNG.normal(size=N),
        "row": np.arange(N) + 1,
        "customer": RNG.permutation(np.arange(N) % 60),
        "week": RNG.permutation(np.arange(N) // 4),
        "part": RNG.permutation(np.repeat(PARTS, [140, 50, 50])),
    }
)
ASIDE = ("customer", "week", "part")
SCHEMES: dict[str, dict[str, Any]] = {
    "plain": {}, "folds": {"folds": 4}, "group": {"group": "customer"},
    "group, folds": {"group": "customer", "folds": 4},
    "time": {"time": "week"}, "time, folds": {"time": "week", "folds": 4}, "split": {"split": "part"},
    "files": {"validation": "validation.csv", "test": "test.csv"},
}  # fmt: skip


def loaded(folder: Path, frame: pd.DataFrame, scheme: str) -> data.Dataset:
    """Write a table, of files one for each part, and load it."""
    keys = SCHEMES[scheme]
    unused = [name for name in ASIDE if name not in keys.values()]
    for part in PARTS:
        (frame[frame.part == part] if scheme == "files" else frame).drop(columns=unused).to_csv(
            folder / f"{part}.csv", index=False
        )
    return data.load("train.csv", base=folder, target="y", task="regression", weight="row", seed=1, **keys)


def one_of_each(study: data.Dataset, scheme: str) -> list[data.Dataset]:
    """The last fold of a study, a fresh split of its verdict, and a search and repeats in outer folds, but of times."""
    made = [study.folds[-1], *study.resampled([20_001]).folds]
    if not scheme.startswith("time"):
        parts = study.rows.outer(3, 0)
        made += study.resampled([50_000], 0.8, parts[1:2]).folds
        made += study.resampled([60_001, 60_002], parts=[parts[2]] * 2).folds
    return made


def rows_of(fold: data.Dataset) -> dict[str, np.ndarray]:
    """The rows of each part."""
    return {part: getattr(fold, part).weights.astype(int) - 1 for part in PARTS}


def standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Values with the training rows' median in gaps, less their mean, over their deviation."""
    filled = np.where(np.isnan(values), np.nanmedian(values[train]), values)
    return (filled - filled[train].mean()) / filled[train].std()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_statistics_are_the_training_rows_alone_in_every_fold(tmp_path: Path, scheme: str) -> None:
    study = loaded(tmp_path, FRAME.drop(columns="note"), scheme)
    for fold in [*study.folds[:-1], *one_of_each(study, scheme)]:
        rows, names = rows_of(fold), list(fold.preprocessor.get_feature_names_out())
        train = rows["train"]
        assert len(set(np.concatenate(list(rows.values())).tolist())) == sum(map(len, rows.values()))
        expected = {name: standardised(FRAME[name].to_numpy(), train) for name in ("number", "gaps")}
        expected |= {f"kind_{kind}": FRAME.kind.eq(kind).to_numpy() for kind in FRAME.kind.unique()}
        for part, index in rows.items():
            x = getattr(fold, part).x
            for name, values in expected.items():
                np.testing.assert_allclose(x[:, names.index(name)], values[index], rtol=1e-4, atol=1e-4)
        assert fold.constants == Constants.from_labels(FRAME.y.to_numpy()[train], 0, multihot=False)


@pytest.mark.parametrize("scheme", long_but({"group", "time"}, SCHEMES))
def test_training_rows_are_the_same_whatever_the_others_hold(tmp_path: Path, scheme: str) -> None:
    """Other numbers, gaps, categories, words and labels in validation and test rows change nothing in training rows."""
    before = one_of_each(loaded(tmp_path, FRAME, scheme), scheme)
    for number in (0, len(before) - 1):
        rows = rows_of(before[number])
        others = np.setdiff1d(np.arange(N), rows["train"])
        changed = FRAME.copy()
        changed.loc[others, "number"] = 1000 - 7 * FRAME.number[others]
        changed.loc[others, "gaps"] = np.where(FRAME.gaps[others].isna(), 99.0, np.nan)
        changed.loc[others[1:], "kind"] = "k2"
        changed.loc[others, "note"] = [f"heavy dark wet sharp {'xyzw'[i % 4]}{i}" for i in others]
        changed.loc[others, "y"] = 50 + 9 * FRAME.y[others]
        after = one_of_each(loaded(tmp_path, changed, scheme), scheme)[number]
        np.testing.assert_array_equal(rows_of(after)["train"], rows["train"])
        np.testing.assert_array_equal(after.train.x, before[number].train.x)
        np.testing.assert_array_equal(after.train.y, before[number].train.y)
        assert after.constants == before[number].constants
        assert not np.array_equal(after.test.x, before[number].test.x)


@pytest.mark.parametrize("values", [(0.0, 1.0), ("in", "out"), (7.5, np.nan)], ids=["numbers", "words", "gaps"])
@pytest.mark.parametrize("scheme", long_but({"group, folds", "files"}, SCHEMES))
def test_a_column_that_betrays_the_split_says_nothing(tmp_path: Path, scheme: str, values: tuple[Any, Any]) -> None:
    """A column with one value in all training rows of a fold, and another one elsewhere, is the same in every row."""
    frame = FRAME.drop(columns="note")
    before = one_of_each(loaded(tmp_path, frame, scheme), scheme)
    for number in (0, len(before) - 1):
        train = rows_of(before[number])["train"]
        told = pd.Series(np.where(np.isin(np.arange(N), train), *values))
        fold = one_of_each(loaded(tmp_path, frame.assign(betrays=told), scheme), scheme)[number]
        np.testing.assert_array_equal(rows_of(fold)["train"], train)
        names = list(fold.preprocessor.get_feature_names_out())
        columns = [place for place, name in enumerate(names) if name.startswith("betrays")]
        for part in PARTS:
            assert (getattr(fold, part).x[:, columns] == fold.train.x[0, columns]).all()
            rest = np.delete(getattr(fold, part).x, columns, axis=1)
            np.testing.assert_array_equal(rest, getattr(before[number], part).x)


@pytest.mark.parametrize("scheme", ["plain", "folds"])
def test_what_a_cut_in_time_keeps_from_the_model_is_known_to_others(tmp_path: Path, scheme: str) -> None:
    """Each week has a place and a label of its own, both drawn at random: nothing is to be learned for other weeks."""
    rng = np.random.default_rng(0)
    weeks, labels = rng.normal(size=(60, 2)), rng.permutation(np.arange(60) % 2)
    x = weeks[FRAME.week] + 0.01 * rng.normal(size=(N, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "week": FRAME.week, "y": labels[FRAME.week]})

    def score(**keys: Any) -> float:
        made = data.load("data=", given=frame if "time" in keys else frame.drop(columns="week"), target="y", **keys)
        folds = [*made.folds, *made.resampled(range(4)).folds]
        nearest = KNeighborsClassifier(1)
        return float(np.mean([nearest.fit(f.train.x, f.train.y).score(f.validation.x, f.validation.y) for f in folds]))

    keys = SCHEMES[scheme]
    assert score(**keys) > 0.9
    assert abs(score(**keys, time="week") - 0.5) < 0.15


TRAINING, OTHERS = FRAME.part == "train", FRAME.row % 2 == 0
ELSEWHERE: dict[str, tuple[Any, Any, Any, bool]] = {
    "numbers": (0.0, 0.0, 1.0, True), "words": ("in", "in", "out", True), "the same": (1.0, 1.0, 1.0, False),
    "gaps": (5.0, np.nan, 7.0, True), "gaps elsewhere": (5.0, 5.0, np.nan, False),
    "texts of a number": ("5", "5.0", "7", True), "the same number": ("5", "5", "5.0", False),
    "spaces": ("a", " a", "b", True), "spaces elsewhere": ("a", "a", " a", False),
    "a date in two forms": ("2024-01-31", "2024-01-31 00:00", "2024-02-01", True),
    "infinite": (5.0, np.inf, 7.0, True), "beyond all others": (5.0, 5.0, 1e300, False),
    "no float32": (2.0**60, 2.0**60, 2.0**60 + 2**10, True), "not constant": (1.0, 2.0, 3.0, False),
}  # fmt: skip


@pytest.mark.parametrize(("one", "same", "other", "differs"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_the_digest_knows_columns_that_were_another_value_elsewhere(
    one: Any, same: Any, other: Any, differs: bool
) -> None:
    """A study of 0.2.0 in which such values stayed has scores of other rows."""

    def digest(column: Any) -> tuple[str, str]:
        frame = FRAME.drop(columns=["note", "customer", "week"]).assign(told=column)
        made = data.load("data=", given=frame, target="y", split="part", task="regression")
        marks = inputs.marks(made.rows.readings)
        return made.digest, made.rows.raw.digest([*marks, *made.rows.labels.marks])

    now, before = digest(pd.Series(np.where(TRAINING, np.where(OTHERS, same, one), other)))
    assert (now != before) is differs


def test_new_rows_of_a_kept_preprocessor_say_nothing_there_either(tmp_path: Path) -> None:
    frame = FRAME[["number", "y"]].assign(word="in", size=3.0, flag=True)
    made = data.load("data=", given=frame, target="y", task="regression")
    save_preprocessor(made.preprocessor, tmp_path / "p.json")
    usual, other = frame.head(3), frame.head(3).assign(word="out", size=[4.0, -9.0, 1e12], flag=False)
    for kept in (made.preprocessor, load_preprocessor(tmp_path / "p.json")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(kept.transform(usual), kept.transform(other))


def test_a_preprocessor_from_before_a_constant_column_said_nothing_is_as_it_was(tmp_path: Path) -> None:
    """The model of a study is used with the numbers that it was scored on: another category is 0 there."""
    preprocessor = TablePreprocessor().fit(pd.DataFrame({"word": ["in"] * 9, "x": range(9)}))
    save_preprocessor(preprocessor, tmp_path / "p.json")
    document = json.loads((tmp_path / "p.json").read_text())
    [word] = [step for step in document["parts"][""]["fitted"]["steps"] if step.get("column") == "word"]
    del word["constant"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    pickled = copy.deepcopy(preprocessor)
    del pickled.transformer_.named_transformers_["category"][-1].always_
    joblib.dump(pickled, tmp_path / "old.joblib")
    rows = pd.DataFrame({"word": ["in", "out"], "x": 4.0})
    for file, expected in (("p.json", [1, 1]), ("old.json", [1, 0]), ("old.joblib", [1, 0])):
        with pytest.warns(UserWarning, match="out"):
            array = load_preprocessor(tmp_path / file).transform(rows)
        assert array[:, list(preprocessor.get_feature_names_out()).index("word_in")].tolist() == expected
    save_preprocessor(load_preprocessor(tmp_path / "old.joblib"), tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["parts"][""]["fitted"]["steps"] == [
        {**step, "constant": False} if step.get("column") == "word" else step
        for step in document["parts"][""]["fitted"]["steps"]
    ]
