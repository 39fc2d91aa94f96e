"""Several inputs, each preprocessed on its own, and features left as they are."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from lossreg import data
from lossreg.config import study
from lossreg.data import embeddings
from lossreg.errors import DataError, InputError
from lossreg.runtime import system
from lossreg.search import study_data

N = 120
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(5, 3, (N, 4))
TOKENS = RNG.integers(0, 50, (N, 7))
IMAGES = RNG.integers(0, 256, (N, 3, 2)).astype("uint8")
Y = np.arange(N) % 3
PARTS = {"numbers": NUMBERS, "tokens": TOKENS, "images": IMAGES}

FUNCTIONS = """
import numpy as np, pandas as pd
from scipy.sparse import eye_array

file = np.load(FILE)
A, T, I, Y = (file[k] for k in ("x.numbers", "x.tokens", "x.images", "y"))
PARTS = {"numbers": A, "tokens": T, "images": I}

def pair():
    return PARTS, Y

def weighed():
    return PARTS, Y, np.linspace(0.5, 1.5, len(Y))

def mapping():
    return {"x": PARTS, "y": Y}

def test_set():
    return ({k: v[:90] for k, v in PARTS.items()}, Y[:90]), ({k: v[90:] for k, v in PARTS.items()}, Y[90:])

def frames():
    return {"people": pd.DataFrame({"age": A[:, 0], "plan": np.where(T[:, 0] > 25, "free", "pro")}), "images": I}, Y

def one():
    return {"numbers": A}, Y

def uneven():
    return {"a": A, "b": T[:-1]}, Y

def short():
    return PARTS, Y[:-1]

def empty():
    return {}, Y

def slash():
    return {"a/b": A}, Y

def sparse():
    return {"a": A, "b": eye_array(len(Y), format="csr")}, Y

def nested():
    return {"a": {"b": A}}, Y

def useless():
    return {"a": A, "b": np.full((len(Y), 2), np.nan)}, Y

def other_inputs():
    return ({"a": A[:90]}, Y[:90]), ({"b": A[90:]}, Y[90:])

def half():
    return ({"a": A[:90]}, Y[:90]), (A[90:], Y[90:])

def none_of_test():
    return ({"a": A}, Y), ({"a": A[:0]}, Y[:0])

def none_of_validation():
    return ({"a": A}, Y), ({"a": A[:0]}, Y[:0]), ({"a": A}, Y)

def wide():
    return ({"a": A}, Y), ({"a": A[:, :1]}, Y), ({"a": A}, Y)

def tokens():
    return T, Y

def images():
    return I, Y

def floats():
    return np.where(np.arange(I.size).reshape(I.shape) == 40, np.nan, I), Y

def large():
    return T + 2**24, Y
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", y=Y, **{f"x.{name}": part for name, part in PARTS.items()})
    (tmp_path / "mine.py").write_text(FUNCTIONS.replace("FILE", repr(str(tmp_path / "a.npz"))))
    return tmp_path


def everything(loaded: data.Dataset, name: str) -> np.ndarray:
    return np.concatenate([part.x[name] for part in (loaded.train, loaded.validation, loaded.test)])


SOURCES = ["a.npz", "mine.py:pair", "mine.py:mapping", "mine.py:weighed", "mine.py:test_set"]


@pytest.mark.parametrize("source", SOURCES)
def test_several_inputs_are_preprocessed_each_on_its_own(folder: Path, source: str) -> None:
    loaded = data.load(source, base=folder)
    assert loaded.input_shape == {"numbers": (4,), "tokens": (7,), "images": (3, 2)}
    assert {part.x[name].dtype for part in (loaded.train, loaded.test) for name in PARTS} == {np.dtype(np.float32)}
    actual = loaded.preprocessor.transform(PARTS)
    for name, part in actual.items():
        assert sorted(map(bytes, part)) == sorted(map(bytes, everything(loaded, name)))
    train = [int(np.flatnonzero((actual["numbers"] == row).all(1))[0]) for row in loaded.train.x["numbers"]]
    np.testing.assert_array_equal(loaded.train.y, Y[train])
    for name in ("numbers", "tokens"):
        expected = StandardScaler().fit_transform(PARTS[name][train].astype(float))
        np.testing.assert_allclose(loaded.train.x[name], expected, rtol=1e-4, atol=1e-5)
    pixels = IMAGES[train].astype(float)
    np.testing.assert_allclose(loaded.train.x["images"], (pixels - pixels.mean()) / pixels.std(), rtol=1e-4, atol=1e-5)
    assert (loaded.train.weights is None) == (source != "mine.py:weighed")


def test_the_same_inputs_have_the_same_digest_in_any_order(folder: Path) -> None:
    assert len({data.load(source, base=folder).digest for source in ("a.npz", "mine.py:pair", "mine.py:mapping")}) == 1
    np.savez(folder / "b.npz", y=Y, **{f"x.{name}": PARTS[name] for name in reversed(PARTS)})
    np.savez(folder / "c.npz", y=Y, **{f"x.{name}": PARTS[name] + (name == "tokens") for name in PARTS})
    np.savez(folder / "d.npz", y=Y, **{f"x.{name}2": PARTS[name] for name in PARTS})
    reference, same, changed, renamed = (data.load(f"{name}.npz", base=folder).digest for name in "abcd")
    assert reference == same
    assert len({reference, changed, renamed}) == 3


def test_the_summary_and_the_features_say_what_belongs_to_which_input(folder: Path) -> None:
    loaded = data.load("mine.py:frames", base=folder)
    assert loaded.features == ("people.age", "people.plan")
    summary = loaded.summary()
    assert summary["input_shape"] == {"people": [3], "images": [3, 2]}
    assert summary["features"] == 2 + 6
    assert data.load("mine.py:one", base=folder).input_shape == {"numbers": (4,)}


def test_a_test_set_with_keys_of_its_own(folder: Path) -> None:
    arrays = {f"x_{end}.{name}": part[rows] for name, part in PARTS.items()
              for end, rows in (("train", slice(90)), ("test", slice(90, None)))}  # fmt: skip
    np.savez(folder / "b.npz", y_train=Y[:90], y_test=Y[90:], **arrays)
    loaded = data.load("b.npz", base=folder)
    np.testing.assert_array_equal(loaded.test.y, Y[90:])
    assert loaded.digest == data.load("mine.py:test_set", base=folder).digest


def test_the_preprocessor_of_several_inputs_is_kept_and_takes_raw_rows(folder: Path) -> None:
    loaded = data.load("mine.py:frames", base=folder, folds=3)
    joblib.dump(loaded.preprocessor, folder / "p.joblib")
    people = pd.DataFrame({"plan": ["free", "other"], "age": [40.0, np.nan], "more": [1, 2]})
    for again in (joblib.load(folder / "p.joblib"), pickle.loads(pickle.dumps(loaded.preprocessor))):
        with pytest.warns(UserWarning, match="people.plan: 1 of 2 values is a category that no training row has"):
            actual = again.transform({"images": IMAGES[:2], "people": people, "unused": 3})
        assert {name: part.shape for name, part in actual.items()} == {"people": (2, 3), "images": (2, 3, 2)}
        assert actual["people"][1].tolist() == pytest.approx([actual["people"][1, 0], 0, 0])
        for rows, says in (
            ({"people": people}, "inputs are missing: images"), (people, "inputs are missing: people, images"),
            ({"people": people[["age"]], "images": IMAGES[:2]}, "input people: columns are missing: plan"),
            ({"people": people, "images": IMAGES[:2, 0]}, r"input images: rows have shape \(2,\)"),
            ({"people": people, "images": IMAGES[:3]}, "different numbers of rows: people has 2, images has 3"),
        ):  # fmt: skip
            with pytest.raises(DataError, match=says):
                again.transform(rows)


def test_folds_of_several_inputs_have_statistics_of_their_own_and_one_shape(folder: Path) -> None:
    loaded = data.load("mine.py:frames", base=folder, folds=4)
    assert len({str(fold.input_shape) for fold in loaded.folds}) == 1
    assert len({fold.train.x["images"].tobytes() for fold in loaded.folds}) == 4
    for fold in loaded.folds:
        assert fold.train.x["people"][:, 0].mean() == pytest.approx(0, abs=1e-5)


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("mine.py:uneven", {}, "different numbers of rows: a has 120, b has 119"),
    ("mine.py:short", {}, "x has 120 rows and y has 119"),
    ("mine.py:empty", {}, "x has no inputs"),
    ("mine.py:slash", {}, "'a/b' names no input of a model"),
    ("mine.py:sparse", {}, r"x.b is a sparse matrix. Return x.b.toarray\(\)"),
    ("mine.py:nested", {}, "x.a is no array but dict"),
    ("mine.py:useless", {}, "input b: no usable column among x0, x1"),
    ("mine.py:useless", {"folds": 3}, "input b: no usable column among x0, x1"),
    ("mine.py:other_inputs", {}, "training rows have the inputs a, test rows b"),
    ("mine.py:none_of_test", {}, "no test rows"),
    ("mine.py:none_of_validation", {}, "no validation rows"),
    ("mine.py:wide", {}, "training and validation rows have different columns"),
    ("mine.py:half", {}, "of training and test rows only one has several inputs"),
    (
        "mine.py:pair",
        {"drop": ["x0"]},
        "drop names columns of a table, and this data has the inputs numbers, tokens, im",
    ),
    ("mine.py:pair", {"target": "y"}, "target = 'y' names a column of a table"),
    ("mine.py:pair", {"weight": "y"}, "weight = 'y' names a column of a table"),
    ("mine.py:pair", {"preprocess": "nome"}, 'must be "standard" or "none", not .nome.. Did you mean none'),
    ("mine.py:pair", {"preprocess": {"token": "none"}}, "no input 'token'. Did you mean tokens"),
    ("mine.py:pair", {"preprocess": {"tokens": "raw"}}, 'must be "standard" or "none"'),
    ("mine.py:tokens", {"preprocess": {"tokens": "none"}}, "table by input, and this data has one input"),
]


@pytest.mark.parametrize(("source", "kwargs", "says"), ERRORS, ids=[f"{i}-{e[0]}" for i, e in enumerate(ERRORS)])
def test_inputs_that_cannot_be_are_one_message(folder: Path, source: str, kwargs: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        data.load(source, base=folder, **kwargs)
    assert "\n" not in str(error.value)
    assert error.value.where


# ---------------------------------------------------------------- as they are


@pytest.mark.parametrize("source", ["mine.py:tokens", "mine.py:images"])
@pytest.mark.parametrize("folds", [None, 3])
def test_numbers_may_be_left_as_they_are(folder: Path, source: str, folds: int | None) -> None:
    loaded = data.load(source, base=folder, preprocess="none", folds=folds)
    given = TOKENS if "tokens" in source else IMAGES
    for fold in loaded.folds:
        rows = np.concatenate([part.x for part in (fold.train, fold.validation, fold.test)])
        assert rows.dtype == np.float32
        assert sorted(map(bytes, rows)) == sorted(map(bytes, given.astype(np.float32)))
    again = pickle.loads(pickle.dumps(loaded.preprocessor))
    np.testing.assert_array_equal(again.transform(given), given)
    assert loaded.summary()["features"] == given[0].size
    assert loaded.digest == data.load(source, base=folder).digest


def test_each_of_several_inputs_goes_its_own_way(folder: Path) -> None:
    loaded = data.load("mine.py:pair", base=folder, preprocess={"tokens": "none"})
    tokens = everything(loaded, "tokens")
    np.testing.assert_array_equal(tokens, np.round(tokens))
    assert tokens.max() > 40
    assert loaded.train.x["numbers"].mean() == pytest.approx(0, abs=1e-5)
    alike = data.load("mine.py:pair", base=folder, preprocess="none")
    np.testing.assert_array_equal(everything(alike, "tokens"), tokens)
    assert everything(alike, "images").max() > 200


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"age": np.arange(60.0), "active": [True, False] * 30, "y": [0, 1, 2] * 20} | columns)


def test_a_table_of_numbers_may_be_left_as_it_is(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    loaded = data.load("t.csv", target="y", base=tmp_path, preprocess="none")
    assert loaded.features == ("age", "active")
    rows = np.concatenate([part.x for part in (loaded.train, loaded.validation, loaded.test)])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, frame()[["age", "active"]].to_numpy(np.float32)))
    np.testing.assert_array_equal(loaded.preprocessor.transform(frame()[["y", "active", "age"]])[:, 0], np.arange(60))


@pytest.mark.parametrize(("columns", "says"), [
    ({"plan": ["free", "pro"] * 30}, 'column plan holds .(free|pro)., and preprocess = "none" takes numbers'),
    ({"gap": [1.0, np.nan] * 30}, "values are missing or infinite, the first in column gap, and preprocess"),
    ({"wide": [1.0, np.inf] * 30}, "the first in column wide"),
    ({"far": [1.0, -1e39] * 30}, r"values are above 3.4e\+38 in size, the first in column far"),
    ({"empty": [None] * 60}, "values are missing or infinite, the first in column empty|column empty holds no value"),
])  # fmt: skip
def test_a_table_with_texts_or_gaps_cannot_be_left_as_it_is(tmp_path: Path, columns: Any, says: str) -> None:
    frame(**columns).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=says) as error:
        data.load("t.csv", target="y", base=tmp_path, preprocess="none")
    assert 'leave preprocess at "standard"' in error.value.hint


def test_an_array_with_a_gap_cannot_be_left_as_it_is_and_large_numbers_are_said_to_be_rounded(folder: Path) -> None:
    with pytest.raises(DataError, match="1 value is missing or infinite, and preprocess"):
        data.load("mine.py:floats", base=folder, preprocess="none")
    message = "Whole numbers above 16,777,216 are rounded: float32 does not hold them all."
    assert message in data.load("mine.py:large", base=folder, preprocess="none").notes
    assert message not in data.load("mine.py:tokens", base=folder, preprocess="none").notes


@pytest.mark.parametrize(("values", "rounded"), [
    ([2.0**24 + 1, 3.0], True),
    ([2.0**25, 0.5], False),
    ([2.0**24, 3.0], False),
])  # fmt: skip
def test_only_whole_numbers_are_said_to_be_rounded(tmp_path: Path, values: Any, rounded: bool) -> None:
    frame(large=values * 30).to_csv(tmp_path / "t.csv", index=False)
    notes = data.load("t.csv", target="y", base=tmp_path, preprocess="none").notes
    assert any("are rounded" in note for note in notes) == rounded


def test_a_study_says_how_its_inputs_are_preprocessed(folder: Path) -> None:
    spec = study.from_dict({"data": {"source": "mine.py:pair", "preprocess": {"tokens": "none"}}}, base=folder)
    assert study.from_dict(spec.document(), base=folder).data == spec.data
    assert study_data.load_data(spec)[0].train.x["tokens"].max() > 40
    wrong = study.from_dict({"data": {"source": "mine.py:pair", "preprocess": {"token": "none"}}}, base=folder)
    with pytest.raises(InputError, match=r"^data.preprocess: no input 'token'. Did you mean tokens"):
        study_data.load_data(wrong)
    assert "preprocess" not in study.from_dict({"data": {"source": "a.npz"}}).document()["data"]


# --------------------------------------------------------------------- memory


EACH = 2 * 120 * 6 * 4  # 120 rows of 6 float32 values, once as arrays and once as tensors


@pytest.mark.parametrize(("free", "folds", "says"), [
    (5 * EACH, 5, ""), (EACH, None, ""),
    (5 * EACH - 1, 5, r"5 folds of 120 rows of shape \(3, 2\) need .* GiB are free. Use at most 4 folds."),
    (EACH, 5, "Set validation in place of folds, which needs"), (EACH - 1, 5, "Use fewer or smaller rows"),
    (EACH - 1, None, "are free. Use fewer or smaller rows"),
])  # fmt: skip
def test_folds_that_do_not_fit_in_memory_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: int, folds: int | None, says: str
) -> None:
    monkeypatch.setattr(system, "free_memory", lambda: free)
    if not says:
        assert len(data.load("mine.py:images", base=folder, folds=folds).folds) == (folds or 1)
        return
    with pytest.raises(DataError, match=says) as error:
        data.load("mine.py:images", base=folder, folds=folds)
    assert "\n" not in str(error.value)


# --------------------------------------------------------------------- tokens


@pytest.mark.parametrize(("source", "preprocess", "size", "says"), [
    ("mine.py:tokens", "none", 50, ""), ("mine.py:pair", {"tokens": "none"}, 50, ""), ("mine.py:pair", "none", 50, ""),
    ("mine.py:tokens", "standard", 50, r'whole numbers from 0 to 49, not -?\d.*set data.preprocess = "none"'),
    ("mine.py:pair", "standard", 50, r'set data.preprocess = \{ tokens = "none" \}'),
    ("mine.py:tokens", "none", 40, r"from 0 to 39, not 4\d. The rows have 0 to 49: give it a larger input_dim"),
])  # fmt: skip
def test_an_embedding_takes_tokens_only(folder: Path, source: str, preprocess: Any, size: int, says: str) -> None:
    import keras

    inputs = {name: keras.Input(PARTS[name].shape[1:], name=name) for name in PARTS}
    embedded = keras.layers.Embedding(size, 2)(inputs["tokens"])
    used = inputs if "pair" in source else {"tokens": inputs["tokens"]}
    flat = [keras.layers.Flatten()(part) for part in (embedded, *used.values())]
    model = keras.Model(list(used.values()), keras.layers.Concatenate()(flat))
    loaded = data.load(source, base=folder, preprocess=preprocess, folds=3)
    if not says:
        embeddings.check(model, loaded)
        return
    with pytest.raises(InputError, match=says):
        embeddings.check(model, loaded)
