from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from lossreg import data
from lossreg.data import labels
from lossreg.data.preprocess import TablePreprocessor
from lossreg.data.raw import Raw
from lossreg.errors import DataError, InputError


def table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n)
    return pd.DataFrame(
        {
            "age": age,
            "plan": rng.choice(["free", "pro", "team"], n),
            "active": rng.random(n) > 0.5,
            "constant": 7,
            "left": np.where(age + rng.normal(0, 5, n) > 45, "yes", "no"),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table().to_csv(tmp_path / "churn.csv", index=False)
    return tmp_path


def load_table(folder: Path, frame: pd.DataFrame, **kwargs: Any) -> data.Dataset:
    frame.to_csv(folder / "t.csv", index=False)
    return data.load("t.csv", base=folder, **{"target": "left", **kwargs})


# ------------------------------------------------------------------ sources


@pytest.mark.parametrize(
    ("name", "task", "rows", "shape", "classes"),
    [
        ("breast_cancer", "binary", 569, (30,), ("malignant", "benign")),
        ("digits", "multiclass", 1797, (64,), tuple("0123456789")),
        ("iris", "multiclass", 150, (4,), ("setosa", "versicolor", "virginica")),
        ("wine", "multiclass", 178, (13,), ("class_0", "class_1", "class_2")),
        ("diabetes", "regression", 442, (10,), ()),
    ],
)
def test_bundled_sets(name: str, task: str, rows: int, shape: tuple[int, ...], classes: tuple[str, ...]) -> None:
    loaded = data.load(f"sklearn:{name}")
    assert (loaded.name, loaded.task, loaded.classes, loaded.input_shape) == (name, task, classes, shape)
    assert len(loaded.train) + len(loaded.validation) + len(loaded.test) == rows
    assert loaded.n_classes == len(classes)
    assert loaded.train.x.dtype == np.float32
    assert loaded.train.y.dtype == (np.int64 if classes else np.float64)
    assert len(loaded.features) == shape[0]


def test_the_parts_of_a_bundled_set_are_its_rows() -> None:
    loaded = data.load("sklearn:iris", seed=3)
    x, y = datasets.load_iris(return_X_y=True)
    parts = (loaded.train, loaded.validation, loaded.test)
    scaled = np.concatenate([part.x for part in parts])
    back = loaded.preprocessor.transform(x)
    assert sorted(map(tuple, scaled)) == sorted(map(tuple, back))
    assert np.bincount(np.concatenate([part.y for part in parts])).tolist() == np.bincount(y).tolist()


def test_a_generator_takes_its_arguments_and_the_seed_of_the_study() -> None:
    loaded = data.load("sklearn:make_circles?n_samples=300&noise=0.1", seed=5)
    x, y = datasets.make_circles(n_samples=300, noise=0.1, random_state=5)
    assert loaded.task == "binary"
    assert loaded.name == "circles"
    assert "data.source: sklearn:make_circles takes random_state = 5, the study's seed." in loaded.notes
    expected = {tuple(row) for row in loaded.preprocessor.transform(x)}
    assert {tuple(row) for row in loaded.train.x} <= expected
    assert y.mean() == pytest.approx(0.5)


def test_a_generator_with_a_seed_of_its_own_keeps_it() -> None:
    one, two = (data.load("sklearn:make_moons?random_state=1&noise=.2", seed=seed) for seed in (0, 7))
    assert one.digest == two.digest
    assert data.load("sklearn:make_moons?noise=.2", seed=7).digest != one.digest


@pytest.mark.parametrize(
    ("query", "task", "shape"),
    [
        ("make_blobs?centers=[[0,0],[5,5],[0,9]]&cluster_std=2.0", "multiclass", (2,)),
        ("make_regression?n_features=20&noise=.1", "regression", (20,)),
        ("make_friedman1", "regression", (10,)),
        ("digits?n_class=3", "multiclass", (64,)),
        ("make_hastie_10_2?n_samples=300", "binary", (10,)),
    ],
)
def test_arguments_are_python_literals(query: str, task: str, shape: tuple[int, ...]) -> None:
    loaded = data.load(f"sklearn:{query}")
    assert (loaded.task, loaded.input_shape) == (task, shape)


def test_classes_that_are_not_0_and_up_are_numbered_in_order() -> None:
    loaded = data.load("sklearn:make_hastie_10_2?n_samples=300")
    assert loaded.classes == ("-1", "1")
    assert loaded.slugs == ("minus_1", "1")


@pytest.mark.parametrize(
    ("suffix", "save"),
    [
        (".csv", lambda frame, path: frame.to_csv(path, index=False)),
        (".csv.gz", lambda frame, path: frame.to_csv(path, index=False)),
        (".tsv", lambda frame, path: frame.to_csv(path, index=False, sep="\t")),
        (".parquet", lambda frame, path: frame.to_parquet(path)),
    ],
)
def test_every_table_format_gives_the_same_data(
    tmp_path: Path, suffix: str, save: Callable[[pd.DataFrame, Path], None]
) -> None:
    save(table(), tmp_path / f"my.churn{suffix}")
    loaded = data.load(f"my.churn{suffix}", target="left", base=tmp_path)
    reference = load_table(tmp_path, table())
    assert loaded.name == "my.churn"
    assert loaded.features == ("age", "plan", "active", "constant")
    assert loaded.digest == reference.digest
    np.testing.assert_array_equal(loaded.train.x, reference.train.x)
    assert loaded.task == "binary"
    assert loaded.classes == ("no", "yes")


def test_a_semicolon_and_a_saved_index_are_seen_through(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "t.csv", sep=";")
    loaded = data.load("t.csv", target="left", base=tmp_path)
    assert loaded.features == ("age", "plan", "active", "constant")
    assert any("';'" in note for note in loaded.notes)
    assert any("row numbers" in note for note in loaded.notes)


def test_dropped_columns_are_gone(folder: Path) -> None:
    assert data.load("churn.csv", target="left", base=folder, drop=["age", "plan"]).features == ("active", "constant")


def test_npz(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    np.savez(tmp_path / "a.npz", X=x, y=y[:, None])
    loaded = data.load("a.npz", base=tmp_path)
    bundled = data.load("sklearn:iris")
    np.testing.assert_array_equal(loaded.train.x, bundled.train.x)
    np.testing.assert_array_equal(loaded.test.y, bundled.test.y)


def test_a_given_test_set_is_the_test_split(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:120], order[120:]
    np.savez(tmp_path / "a.npz", x_train=x[train], y_train=y[train], x_test=x[test], y_test=y[test])
    loaded = data.load("a.npz", base=tmp_path, test=0.5)
    assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (96, 24, 30)
    np.testing.assert_array_equal(loaded.test.y, y[test])
    np.testing.assert_array_equal(loaded.test.x, loaded.preprocessor.transform(x[test]))


FUNCTIONS = """
import numpy as np, pandas as pd
from sklearn.datasets import load_iris, make_moons

def pair():
    return load_iris(return_X_y=True)

def bunch():
    return load_iris()

def frame():
    return load_iris(as_frame=True).frame

def mapping():
    x, y = load_iris(return_X_y=True)
    return {"x": x.tolist(), "y": y.tolist()}

def keras_like():
    x, y = load_iris(return_X_y=True)
    return (x[::2], y[::2]), (x[1::2], y[1::2])

def onehot():
    x, y = load_iris(return_X_y=True)
    return x, np.eye(3)[y]

def seeded(n=100, seed=0):
    return make_moons(n, noise=.1, random_state=seed)

def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (100, 6, 5, 3)).astype("uint8"), rng.integers(0, 4, 100)

def raises():
    raise ZeroDivisionError("no such luck")

def nothing():
    return None

def sparse():
    from scipy.sparse import eye_array
    return eye_array(10, format="csr"), np.arange(10)

def mismatch():
    return np.zeros((5, 2)), np.zeros(4)

def two_outputs():
    return np.zeros((5, 2)), np.random.default_rng(0).random((5, 2))

def no_rows():
    return np.zeros((0, 2)), np.zeros(0)

number = 3
"""


@pytest.fixture
def code(folder: Path) -> Path:
    (folder / "my_data.py").write_text(FUNCTIONS)
    return folder


@pytest.mark.parametrize("name", ["pair", "bunch", "mapping", "onehot", "frame"])
def test_functions_may_return_many_things(code: Path, name: str) -> None:
    loaded = data.load(f"my_data.py:{name}", base=code, target="target" if name == "frame" else None)
    expected = data.load("sklearn:iris")
    np.testing.assert_array_equal(loaded.train.x, expected.train.x)
    np.testing.assert_array_equal(loaded.train.y, expected.train.y)


def test_a_function_with_a_test_set(code: Path) -> None:
    assert len(data.load("my_data.py:keras_like", base=code).test) == 75


def test_a_function_takes_arguments_and_the_seed_of_the_study(code: Path) -> None:
    one = data.load("my_data.py:seeded?n=60", base=code, seed=1)
    assert len(one.train) + len(one.validation) + len(one.test) == 60
    assert one.digest == data.load("my_data.py:seeded?n=60&seed=1", base=code, seed=2).digest
    assert one.digest != data.load("my_data.py:seeded?n=60", base=code, seed=2).digest


def test_images_are_scaled_by_one_mean_and_deviation(code: Path) -> None:
    loaded = data.load("my_data.py:images", base=code)
    assert loaded.input_shape == (6, 5, 3)
    assert loaded.features == ()
    assert loaded.summary()["features"] == 90
    assert loaded.train.x.mean() == pytest.approx(0, abs=1e-5)
    assert loaded.train.x.std() == pytest.approx(1, abs=1e-5)
    assert loaded.train.x.mean(axis=(0, 1, 2)) == pytest.approx(0, abs=0.1)
    assert abs(loaded.train.x.mean(axis=(0, 1, 2))).max() > 1e-4
    assert loaded.train.x.dtype == np.float32


# --------------------------------------------------------------------- tasks


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([True, False], "binary"),
        ([0, 1], "binary"),
        ([1.0, 2.0, 5.0], "multiclass"),
        (list(range(20)), "multiclass"),
        (list(range(21)), "regression"),
        ([0.5, 1.0, 1.5], "regression"),
        (["1", "b"], "binary"),
        ([0.0, 0.0, 0.0, 1.5, 2.25, 40.5], "positive"),
        ([0.5, 0.5, 0.5, 1.5, 2.25, 40.5], "regression"),
        ([0.0, 0.0, -0.5, 1.5, 2.25, 40.5], "regression"),
        ([0.0, 0.0, 0.25, 0.5, 0.5, 0.25], "regression"),
    ],
)
def test_the_task_is_inferred_and_said(code: Path, values: list[Any], task: str) -> None:
    y = pd.Series(values * 40)
    loaded = labels.read(Raw("d", pd.DataFrame({"x": range(len(y))}), y), "auto", "here")
    assert loaded.task == task
    assert loaded.notes[0].startswith(f"Task {task}, inferred from")
    assert "to override" in loaded.notes[0]
    assert len(loaded.classes) == (0 if task in ("regression", "positive") else len(values))


def test_categories_are_classes() -> None:
    y = pd.Series(pd.Categorical(["b", "a", "b", "a"], categories=["b", "a", "unused"], ordered=True))
    actual = labels.read(Raw("d", pd.DataFrame(), y), "auto", "here")
    assert (actual.task, actual.classes, actual.y.tolist()) == ("binary", ("b", "a"), [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("task", "classes"), [("regression", ()), ("count", ()), ("multiclass", ("0", "1", "2")), ("auto", ("0", "1", "2"))]
)
def test_the_task_can_be_overridden(task: str, classes: tuple[str, ...]) -> None:
    loaded = data.load("sklearn:make_blobs", task=task)
    assert loaded.classes == classes
    assert loaded.task == ("multiclass" if task == "auto" else task)
    assert any(note.startswith("Task") for note in loaded.notes) == (task == "auto")


def test_real_labels_may_be_classes() -> None:
    y = pd.Series([0.5, 1.5, 2.5] * 5)
    actual = labels.read(Raw("d", pd.DataFrame(), y), "multiclass", "here")
    assert actual.classes == ("0.5", "1.5", "2.5")


def test_the_positive_class_is_said(folder: Path) -> None:
    loaded = data.load("churn.csv", target="left", base=folder)
    assert any(note.startswith("Positive class (index 1): yes, by its value;") for note in loaded.notes)
    frame = table()
    assert loaded.summary()["classes"] == {name: int((frame.left == name).sum()) for name in ("no", "yes")}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Café Crème", "a<b", "a=b", "a,b"), ("cafe_creme", "a_b", "a_b_2", "a_b_3")),
        (("日本", "", "x"), ("class_0", "class_1", "x")),
        (("a_2", "a", "A"), ("a_2", "a", "a_3")),
    ],
)
def test_slugs_are_plain_and_unique(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert labels.slugs(names) == expected


def test_the_constants_are_those_of_the_training_rows() -> None:
    loaded = data.load("sklearn:breast_cancer")
    assert loaded.constants.class_counts == tuple(np.bincount(loaded.train.y).astype(float))
    real = data.load("sklearn:diabetes")
    assert real.constants.target_mean == pytest.approx(real.train.y.mean())
    assert real.constants.target_center == pytest.approx(np.median(real.train.y))


# -------------------------------------------------------------------- splits


@pytest.mark.parametrize(("test", "validation"), [(0.2, 0.2), (0.3, 0.5), (0.05, 0.1)])
def test_shares_and_strata(test: float, validation: float) -> None:
    loaded = data.load("sklearn:make_classification?n_samples=1000&weights=[.9]", test=test, validation=validation)
    assert len(loaded.test) == pytest.approx(1000 * test, abs=1)
    assert len(loaded.validation) == pytest.approx(1000 * (1 - test) * validation, abs=1)
    positives = [part.y.mean() for part in (loaded.train, loaded.validation, loaded.test)]
    assert positives == pytest.approx([positives[0]] * 3, abs=0.011)


def test_the_split_follows_the_seed() -> None:
    same = [data.load("sklearn:wine", seed=1).test.x for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], data.load("sklearn:wine", seed=2).test.x)


def test_the_test_rows_do_not_depend_on_the_validation_share(tmp_path: Path) -> None:
    frame = table().assign(number=range(200))
    numbers = []
    for share in (0.1, 0.4):
        loaded = load_table(tmp_path, frame[["number", "left"]], validation=share)
        scaler = loaded.preprocessor.transformer_.named_transformers_["number"][-1]
        numbers.append(np.round(scaler.inverse_transform(loaded.test.x)[:, 0]).tolist())
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rare", [2, 3])
def test_a_rare_class_is_always_among_the_training_rows(tmp_path: Path, rare: int, seed: int) -> None:
    frame = table()[["age"]].assign(left=["a"] * 100 + ["b"] * (100 - rare) + ["c"] * rare)
    loaded = load_table(tmp_path, frame, seed=seed)
    assert (loaded.train.y == 2).any()
    absent = [name for name, part in (("validation", loaded.validation), ("test", loaded.test)) if 2 not in part.y]
    expected = [f"No {name} row of class c." for name in absent]
    assert [note for note in loaded.notes if note.startswith("No ")] == expected


# ------------------------------------------------------------- preprocessing


def rows_of(folder: Path, frame: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Row numbers of the three parts, read back from a column that numbers the rows."""
    numbered = load_table(folder, frame.assign(number=np.arange(len(frame)))[["number", "left"]])
    scaler = numbered.preprocessor.transformer_.named_transformers_["number"][-1]
    parts = (numbered.train, numbered.validation, numbered.test)
    return tuple(np.round(scaler.inverse_transform(part.x)[:, 0]).astype(int) for part in parts)


def test_statistics_come_from_the_training_rows_only(tmp_path: Path) -> None:
    frame = table()
    train, *others = rows_of(tmp_path, frame)
    wild = frame.copy()
    held = np.concatenate(others)
    wild.loc[held, "age"] = np.linspace(-1e6, 1e6, len(held))
    wild.loc[held, "plan"] = "unheard of"
    wild.loc[held[::2], "age"] = np.nan
    one, two = load_table(tmp_path, frame), load_table(tmp_path, wild)
    np.testing.assert_array_equal(one.train.x, two.train.x)
    np.testing.assert_array_equal(one.preprocessor.transform(frame), two.preprocessor.transform(frame))
    np.testing.assert_allclose(
        one.train.x[:, 0], StandardScaler().fit_transform(frame.loc[train, ["age"]])[:, 0], rtol=1e-5, atol=1e-6
    )
    assert np.isfinite(two.validation.x).all()


def test_missing_numbers_become_the_median_of_the_training_rows(tmp_path: Path) -> None:
    frame = table().assign(at=np.arange(200))
    frame.loc[::7, "age"] = np.nan
    train = rows_of(tmp_path, frame)[0]
    loaded = load_table(tmp_path, frame)
    filled = frame.loc[train, "age"].fillna(frame.loc[train, "age"].median())
    expected = (filled - filled.mean()) / filled.std(ddof=0)
    np.testing.assert_allclose(loaded.train.x[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_columns_by_kind(tmp_path: Path) -> None:
    frame = table()[["age", "plan", "active", "constant"]].assign(
        left=table().left,
        empty=np.nan,
        name=[f"customer {i}" for i in range(200)],
        city=[f"city {i % 40}" for i in range(200)],
        since=[f"2024-01-{1 + i % 28:02d}" for i in range(200)],
    )
    frame.loc[3, "plan"] = None
    loaded = load_table(tmp_path, frame)
    names = loaded.preprocessor.get_feature_names_out().tolist()
    assert {"age", "constant", "since", "plan_free", "plan_pro", "plan_team", "active_True"} <= set(names)
    assert not any(name.startswith(("empty", "name")) for name in names)
    assert sum(name.startswith("city") for name in names) == 40
    assert loaded.input_shape == (len(names),)
    assert loaded.train.x[:, names.index("constant")].tolist() == [0.0] * len(loaded.train)
    message = " ".join(loaded.notes)
    for words in ("empty: left out", "name: left out", "since: dates"):
        assert words in message


def test_dates_are_days(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=200, freq="D")
    text, real = (tmp_path / name for name in ("text.parquet", "real.parquet"))
    pd.DataFrame({"d": days.strftime("%Y-%m-%d"), "y": range(200)}).to_parquet(text)
    pd.DataFrame({"d": days, "y": range(200)}).to_parquet(real)
    one, two = (data.load(path.name, target="y", base=tmp_path) for path in (text, real))
    np.testing.assert_allclose(one.train.x, two.train.x)
    np.testing.assert_allclose(np.corrcoef(one.train.x[:, 0], one.train.y)[0, 1], 1)


def test_infinite_features_count_as_missing(tmp_path: Path) -> None:
    frame = table()
    frame.loc[::9, "age"] = np.inf
    loaded = load_table(tmp_path, frame)
    assert np.isfinite(loaded.train.x).all()
    assert "age: 23 of 200 values are infinite or above 1.8e308 (inf): taken as missing." in loaded.notes


def test_the_preprocessor_survives_pickle_and_takes_raw_rows(tmp_path: Path) -> None:
    frame = table()
    loaded = load_table(tmp_path, frame)
    again = pickle.loads(pickle.dumps(loaded.preprocessor))
    raw = frame.drop(columns="left")
    expected = loaded.preprocessor.transform(raw)
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(again.transform(frame[["left", "constant", "active", "plan", "age"]]), expected)
    np.testing.assert_array_equal(again.transform(raw.to_numpy()), expected)
    with pytest.raises(DataError, match="columns are missing: age, constant"):
        again.transform(frame[["plan", "active"]])
    with pytest.raises(DataError, match=r"shape \(2, 3\), and \(n, 4\)"):
        again.transform(np.zeros((2, 3)))


# ----------------------------------------------------------- digest, summary


def test_the_digest_follows_the_values_and_nothing_else(tmp_path: Path) -> None:
    frame = table()
    base = load_table(tmp_path, frame)
    assert load_table(tmp_path, frame, seed=9, test=0.3).digest == base.digest
    changed = frame.copy()
    changed.loc[5, "age"] += 1e-9
    flipped = frame.assign(left=frame.left.map({"yes": "no", "no": "yes"}))
    renamed = frame.rename(columns={"age": "years"})
    for other in (changed, flipped, renamed, frame.iloc[::-1], frame.iloc[:-1]):
        assert load_table(tmp_path, other).digest != base.digest


def test_the_digest_is_the_same_on_every_machine(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(20), "b": [0.5, None] * 10, "c": ["x", "y", "z", None] * 5, "left": [0, 1] * 10})
    assert load_table(tmp_path, frame).digest == "02a004846f9de28c"


def test_the_summary_is_plain() -> None:
    summary = data.load("sklearn:wine").summary()
    assert summary["rows"] == {"train": 113, "validation": 29, "test": 36}
    assert summary["classes"] == {"class_0": 59, "class_1": 71, "class_2": 48}
    assert (summary["task"], summary["features"], summary["input_shape"]) == ("multiclass", 13, [13])
    assert len(summary["digest"]) == 16


# -------------------------------------------------------------------- errors


def write(frame: pd.DataFrame) -> Callable[[Path], None]:
    return lambda folder: frame.to_csv(folder / "bad.csv", index=False)


def text(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "bad.csv").write_text(content) and None


def npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / "bad.npz", allow_pickle=True, **arrays)


def binary(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(b"\x00\x01 no such format") and None


T = table()
ERRORS: list[tuple[str, dict[str, Any], Callable[[Path], None] | None, str]] = [
    ("nothing.csv", {"target": "left"}, None, "no such file"),
    ("chrun.csv", {"target": "left"}, None, "Did you mean churn.csv"),
    ("churn.docx", {"target": "left"}, None, "unsupported file type .docx"),
    ("churn", {}, None, "is no file, function or data set"),
    ("https://example.org/churn.csv", {"target": "left"}, None, "lossreg downloads nothing"),
    ("churn.csv", {}, None, "needs a target column.*age, plan, active, constant, left"),
    ("churn.csv", {"target": "lefd"}, None, "no column 'lefd'; it has age, .*Did you mean left"),
    ("churn.csv", {"target": "left", "drop": ["plann"]}, None, "no column 'plann' to drop.*Did you mean plan"),
    ("churn.csv", {"target": "left", "task": "regression"}, None, "needs numbers, and the target has '(yes|no)'"),
    ("churn.csv", {"target": "left", "task": "multiclass"}, None, '2 classes .*Set task = "binary"'),
    ("churn.csv", {"target": "left", "task": "regresion"}, None, "unknown task.*Did you mean regression"),
    ("churn.csv", {"target": "left", "test": 1.5}, None, "test: must be a share between 0 and 1, not 1.5"),
    ("churn.csv", {"target": "left", "validation": 0}, None, "validation: must be a share"),
    ("churn.csv", {"target": "left", "validation": 0.001}, None, "^validation: not enough rows .* 1 validation"),
    ("churn.csv", {"target": "left", "validation": 0.999}, None, "^validation: not enough rows .* 160 of 160"),
    ("churn.csv", {"target": "left", "test": 0.001}, None, "^test: not enough rows .* 1 test"),
    ("churn.csv", {"target": "left", "test": 0.99}, None, "^test: not enough rows"),
    ("bad.csv", {"target": "left"}, text(""), "no rows"),
    ("bad.csv", {"target": "left"}, write(T[:0]), "no rows"),
    ("bad.csv", {"target": "left"}, text("a,left\n1,2\n3,4,5,6\n"), "cannot be read"),
    ("bad.csv", {"target": "left"}, binary("bad.csv.gz"), "no such file"),
    ("bad.csv.gz", {"target": "left"}, binary("bad.csv.gz"), "cannot be read"),
    ("bad.parquet", {"target": "left"}, binary("bad.parquet"), "cannot be read"),
    ("bad.npz", {}, binary("bad.npz"), "cannot be read"),
    ("bad.npz", {}, npz(x=np.array([{}, 1], object), y=[1, 2]), "cannot be read.*numpy.savez"),
    ("bad.npz", {}, npz(a=[1], b=[2]), "no arrays x and y; it has"),
    ("bad.npz", {}, npz(x=[[1], [2]], y=[1, 2, 3]), "x has 2 rows and y has 3"),
    ("bad.npz", {}, npz(x_train=np.eye(3), y_train=[0, 1, 1], x_test=np.eye(2), y_test=[0, 1]), "different col"),
    ("bad.npz", {"target": "z"}, npz(x=[[1], [2]], y=[1, 2]), "target = 'z' names a column of a table"),
    ("bad.npz", {"drop": ["z"]}, npz(x=np.zeros((4, 2, 2)), y=[0, 0, 1, 1]), "drop names columns"),
    ("bad.npz", {}, npz(x=np.full((4, 2, 2), "a"), y=[0, 0, 1, 1]), "not numbers"),
    ("bad.csv", {"target": "left"}, write(T[["left"]]), "no columns besides the target"),
    (
        "bad.csv",
        {"target": "left"},
        write(T.assign(left=T.left.where(T.index > 11))),
        r"12 of 200 labels are missing \(NaN\), the first in lines 2, 3, 4, 5, 6 of the file",
    ),
    ("bad.csv", {"target": "age"}, write(T.assign(age=T.age.where(T.index > 2, np.inf))), "3 of 200 labels are inf"),
    ("bad.csv", {"target": "left"}, write(T.assign(left="yes")), r"one class only \(yes\)"),
    ("bad.csv", {"target": "age"}, write(T.assign(age=1.5)), "every label is 1.5"),
    ("bad.csv", {"target": "left"}, write(T.assign(left=T.left.where(T.index > 0, "odd"))), r"a single row \(odd\)"),
    ("bad.csv", {"target": "left", "task": "binary"}, write(T.assign(left=list("abcd") * 50)), "4 classes .*multi"),
    ("bad.csv", {"target": "age", "task": "positive"}, write(T.assign(age=T.age - 40)), "needs labels of 0 and more"),
    ("bad.csv", {"target": "age", "task": "count"}, write(T.assign(age=T.age - 40)), "needs labels of 0 and more"),
    ("bad.csv", {"target": "left"}, write(T[:4].assign(left=[0, 1, 0, 1])), "not enough rows for the splits"),
    ("bad.csv", {"target": "left"}, write(T[["left"]].assign(a=np.nan)), "no usable column among a"),
    ("sklearn:iriss", {}, None, "unknown data set.*Did you mean iris"),
    ("sklearn:circles", {}, None, "Did you mean make_circles"),
    ("sklearn:linnerud", {}, None, r"3 numbers per row \(Weight, Waist, Pulse\) to predict, and a study predicts one"),
    ("sklearn:make_regression?n_targets=2", {}, None, r"2 numbers per row to predict, .*each: y\[:, 0\]"),
    ("sklearn:fetch_covtype", {}, None, "would be downloaded"),
    ("sklearn:california_housing", {}, None, "would be downloaded"),
    ("sklearn:make_circles?n_sample=10", {}, None, "unknown argument n_sample.*Did you mean n_samples"),
    ("sklearn:make_blobs?return_centers=True", {}, None, "unknown argument return_centers"),
    ("sklearn:iris?return_X_y=True", {}, None, "unknown argument return_X_y; known: none"),
    ("sklearn:make_circles?n_samples", {}, None, "'n_samples' is not name=value"),
    ("sklearn:make_circles?n_samples=abc", {}, None, "circles rejects its arguments: .*'abc'"),
    ("sklearn:iris", {"target": "species"}, None, "names a column of a table"),
    ("my_data.py:par", {}, None, "has no par. Did you mean pair"),
    ("my_data.py:raises", {}, None, r"ZeroDivisionError: no such luck \(my_data.py, line \d+\)"),
    ("my_data.py:nothing", {}, None, "returned None, which is no data"),
    ("my_data.py:sparse", {}, None, "sparse matrix"),
    ("my_data.py:mismatch", {}, None, "x has 5 rows and y has 4"),
    ("my_data.py:two_outputs", {}, None, "2 numbers per row to predict"),
    ("my_data.py:no_rows", {}, None, "no rows"),
    ("my_data.py:number", {}, None, "is no function but int"),
    ("my_data.py:frame", {}, None, "needs a target column"),
    ("my_data.py:seeded?m=3", {}, None, "unknown argument m; known: n, seed"),
    ("no_such_module_of_mine:f", {}, None, "ModuleNotFoundError"),
]


@pytest.mark.parametrize(
    ("source", "kwargs", "prepare", "says"), ERRORS, ids=[f"{i}-{case[0]}" for i, case in enumerate(ERRORS)]
)
def test_bad_input_is_one_message(
    code: Path, source: str, kwargs: dict[str, Any], prepare: Callable[[Path], None] | None, says: str
) -> None:
    if prepare:
        prepare(code)
    with pytest.raises(InputError, match=says) as error:
        data.load(source, base=code, **kwargs)
    assert "\n" not in str(error.value)
    assert error.value.where


def test_a_target_of_dates_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(50), "d": pd.date_range("2024-01-01", periods=50)}).to_parquet(tmp_path / "t.parquet")
    for task in ("auto", "regression"):
        with pytest.raises(DataError, match="the target holds dates"):
            data.load("t.parquet", target="d", base=tmp_path, task=task)


def test_many_rows_are_encoded_as_each_by_itself():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(3, 2, 10_001), "kind": rng.choice(["x", "y", "z"], 10_001)})
    frame.loc[::9, "a"] = np.nan
    fitted = TablePreprocessor().fit(frame.head(5000))
    encoded = fitted.transform(frame)
    seen = frame.a[:5000].fillna(frame.a[:5000].median())
    filled = frame.a.fillna(frame.a[:5000].median())
    assert encoded[:, 0] == pytest.approx(((filled - seen.mean()) / seen.std(ddof=0)).to_numpy(), abs=1e-6)
    assert encoded[:, 1:].sum(axis=0).tolist() == [(frame.kind == kind).sum() for kind in ("x", "y", "z")]
    for row in (0, 4095, 4096, 8192, 10_000):
        assert fitted.transform(frame.iloc[[row]])[0].tolist() == encoded[row].tolist()
