"""Exposures: a column that is an offset, in whatever form the rows come, and what is no exposure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.data import pieces
from lossreg.data.preprocessor_file import dumps, load_preprocessor, save_preprocessor
from lossreg.errors import InputError

RNG = np.random.default_rng(4)
N = 120
TABLE = pd.DataFrame({
    "age": RNG.normal(40, 9, N).round(1), "days": RNG.integers(1, 366, N), "city": RNG.choice(["b", "h"], N),
    "claims": RNG.poisson(2.0, N),
})  # fmt: skip
NAMED = {"target": "claims", "exposure": "days"}
ARRAYS = {"x": TABLE[["age"]].to_numpy(), "y": TABLE.claims.to_numpy(), "days": TABLE.days.to_numpy()}


def of(rows: Any, **options: Any) -> data.Dataset:
    return data.load("data=", given=rows, **options)


def exposures(split: Any) -> np.ndarray[Any, Any]:
    return np.asarray(split.x["exposure"])


@pytest.mark.parametrize("way", ["frame", "csv", "german csv", "npz", "function", "dictionary", "several inputs"])
def test_the_exposure_of_each_row_stands_beside_its_features_wherever_they_come_from(tmp_path: Path, way: str) -> None:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    TABLE.assign(days=TABLE.days + 0.5).to_csv(tmp_path / "g.csv", index=False, sep=";", decimal=",")
    np.savez(tmp_path / "t.npz", **ARRAYS)
    (tmp_path / "f.py").write_text("import pandas as pd\n\ndef rows():\n    return pd.read_csv('t.csv')\n")
    several = {"x.a": ARRAYS["x"], "x.b": np.ones((N, 2, 2)), "y": ARRAYS["y"], "days": ARRAYS["days"]}
    source, options = {
        "frame": ("data=", {**NAMED, "given": TABLE}),
        "csv": ("t.csv", NAMED),
        "german csv": ("g.csv", NAMED),
        "npz": ("t.npz", {"exposure": "days"}),
        "function": ("f.py:rows", NAMED),
        "dictionary": ("data=", {"given": ARRAYS, "exposure": "days"}),
        "several inputs": ("data=", {"given": several, "exposure": "days"}),
    }[way]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        dataset = data.load(source, base=tmp_path, **options)
    assert dataset.task == "count"
    assert not any("days" in name for name in dataset.features)
    for split in (dataset.train, dataset.validation, dataset.test):
        assert exposures(split).shape == (len(split), 1)
    every = np.concatenate([exposures(part) for part in (dataset.train, dataset.validation, dataset.test)])[:, 0]
    assert sorted(every) == sorted(TABLE.days + (0.5 if way == "german csv" else 0))
    constants = dataset.constants
    assert constants.target_mean == pytest.approx(dataset.train.y.sum() / exposures(dataset.train).sum())
    assert sum("log(days) is added to the raw score" in note for note in dataset.notes) == 1
    shapes = {"several inputs": {"a": (1,), "b": (2, 2)}, "npz": (1,), "dictionary": (1,)}
    assert dataset.input_shape == shapes.get(way, (3,))


def test_rows_keep_their_own_exposure_in_every_fold() -> None:
    by_age = dict(zip(TABLE.age.round(4), TABLE.days, strict=True))
    rows = TABLE[TABLE.age.map(TABLE.age.value_counts()) == 1]
    dataset = of(rows[["age", "days", "claims"]], **NAMED, preprocess="none", folds=3)
    for fold in dataset.folds:
        for split in (fold.train, fold.validation, fold.test):
            ages = np.round(split.x["x"][:, 0].astype(np.float64), 4)
            assert exposures(split)[:, 0].tolist() == [by_age[age] for age in ages]
        assert fold.constants.target_mean == pytest.approx(fold.train.y.sum() / exposures(fold.train).sum())
    (again,) = dataset.resampled([7]).folds
    assert exposures(again.validation)[:, 0].tolist() == [
        by_age[age] for age in np.round(again.validation.x["x"][:, 0].astype(np.float64), 4)
    ]


def test_new_rows_bring_their_exposure_or_count_as_1(tmp_path: Path) -> None:
    dataset = of(TABLE, **NAMED)
    save_preprocessor(dataset.preprocessor, tmp_path / "p.json")
    preprocessor = load_preprocessor(tmp_path / "p.json")
    assert dumps(preprocessor) == dumps(dataset.preprocessor)
    TABLE.assign(days=TABLE.days / 2).to_csv(tmp_path / "new.csv", index=False)
    for rows in (TABLE, str(tmp_path / "new.csv"), TABLE.iloc[:, ::-1]):
        inputs = preprocessor.transform(rows)
        half = 2 if isinstance(rows, str) else 1
        np.testing.assert_array_equal(inputs["exposure"][:, 0], (TABLE.days / half).to_numpy(np.float32))
        np.testing.assert_array_equal(inputs["x"], dataset.preprocessor.transform(TABLE)["x"])
    TABLE.drop(columns=["days", "claims"]).to_csv(tmp_path / "without.csv", index=False)
    for rows in (TABLE[["age", "city"]], str(tmp_path / "without.csv"), TABLE[["age", "city"]].to_numpy()):
        with pytest.warns(UserWarning, match="no column days: predictions are rates, for an exposure of 1"):
            assert set(preprocessor.transform(rows)["exposure"][:, 0]) == {1.0}
    with pytest.raises(InputError, match="exposure = 'days': row 2 of the data has 0"):
        preprocessor.transform(TABLE.assign(days=[3, 0, *[2] * (N - 2)]))


SHARES = [f"0,{value:03d}" for value in range(101, 101 + N)]


@pytest.mark.parametrize("stored", [False, True])
def test_exposures_of_new_rows_are_read_as_those_of_training(tmp_path: Path, *, stored: bool) -> None:
    def preprocessor(days: Any) -> Any:
        fitted = of(TABLE.assign(days=days), **NAMED).preprocessor
        save_preprocessor(fitted, tmp_path / "p.json")
        return load_preprocessor(tmp_path / "p.json") if stored else fitted

    commas, file = preprocessor(SHARES), tmp_path / "new.csv"
    for given, meant in (
        (["1,234", "1,500"], [1.234, 1.5]),
        (["1.234", "1.500"], [1234, 1500]),
        ([7, 0.25], [7, 0.25]),
    ):
        two = TABLE[:2].assign(days=given)
        np.testing.assert_allclose(commas.counted(two).array["exposure"][:, 0], meant)
        two.to_csv(file, index=False, sep=";")
        if given != [7, 0.25]:
            np.testing.assert_allclose(commas.counted(str(file)).array["exposure"][:, 0], meant)
            (piece,) = pieces.of(str(file), commas)
            np.testing.assert_allclose(commas.counted(piece.rows).array["exposure"][:, 0], meant)
    with pytest.raises(InputError, match=r"row 1 of the data has '0\.5'.*Its decimal mark is a comma"):
        commas.transform(TABLE[:2].assign(days=["0.5", "0.25"]))
    lasting = preprocessor(pd.to_timedelta(12 * TABLE.days, "h"))
    some = lasting.transform(TABLE[:2].assign(days=["36:00:00", "2 days"]))
    assert some["exposure"][:, 0].tolist() == [1.5, 2]
    for bare in ([36, 2], ["36", "2"]):
        with pytest.raises(InputError, match=r"row 1 of the data has '?36'?.*holds durations, such as"):
            lasting.transform(TABLE[:2].assign(days=bare))
    plain = preprocessor(TABLE.days + 0.5)
    for odd in (pd.to_timedelta([1, 2], "D"), [True, True], ["0,5", "0,7"]):
        with pytest.raises(InputError, match="row 1 of the data has"):
            plain.transform(TABLE[:2].assign(days=odd))
    with pytest.warns(
        UserWarning, match=r"days: 2 of 2 values are texts that may mean other numbers \('1,500' as 1500"
    ):
        plain.transform(TABLE[:2].assign(days=["1,500", "2,500"]))


@pytest.mark.parametrize("name", ["new.csv", "new.parquet"])
def test_a_blank_column_of_exposures_is_refused_wherever_it_comes_from(tmp_path: Path, name: str) -> None:
    preprocessor, blank, file = of(TABLE, **NAMED).preprocessor, TABLE[:3].assign(days=np.nan), tmp_path / name
    blank.to_csv(file, index=False) if name.endswith("csv") else blank.to_parquet(file)
    (piece,) = pieces.of(str(file), preprocessor)
    for rows in (blank, str(file), file, piece.rows):
        with pytest.raises(
            InputError, match="exposure = 'days': 3 of 3 rows have none, the first in rows 1, 2, 3"
        ) as no:
            preprocessor.transform(rows)
        assert str(no.value).startswith(str(file)) == isinstance(rows, (str, Path))


def test_values_that_the_study_names_as_missing_are_no_exposures_of_new_rows_either() -> None:
    preprocessor = of(TABLE, **NAMED, options=Options(na_values=(999,))).preprocessor
    with pytest.raises(InputError, match="exposure = 'days': 1 of 2 rows has none, the first in row 2"):
        preprocessor.transform(TABLE[:2].assign(days=[3, 999]))


def test_new_arrays_bring_their_exposure_under_its_name() -> None:
    preprocessor = of(ARRAYS, exposure="days").preprocessor
    inputs = preprocessor.transform({"x": ARRAYS["x"][:4], "days": [1, 2, 3, 4]})
    assert inputs["exposure"][:, 0].tolist() == [1, 2, 3, 4]
    x = np.ones((N, 2))
    several = of({"x.a": x, "x.b": x, "y": ARRAYS["y"], "days": ARRAYS["days"]}, exposure="days").preprocessor
    with pytest.warns(UserWarning, match="days: 2 of 2 values are texts that may mean other numbers"):
        several.transform({"a": x[:2], "b": x[:2], "days": ["1,500", "2,500"]})
    with pytest.raises(InputError, match="4 rows have 3 exposures"):
        preprocessor.transform({"x": ARRAYS["x"][:4], "days": [1, 2, 3]})


def test_durations_are_exposures_in_days_and_numbers_as_text_are_read() -> None:
    day = of(TABLE.assign(days=pd.to_timedelta(12 * TABLE.days, "h")), **NAMED)
    assert sorted(exposures(day.train)[:, 0]) == sorted(exposures(of(TABLE, **NAMED).train)[:, 0] / 2)
    text = of(TABLE.assign(days=[f"{value},5" for value in TABLE.days]), **NAMED)
    assert {value % 1 for value in exposures(text.train)[:, 0]} == {0.5}


def test_exposures_of_files_of_test_rows_and_of_rows_with_a_label_are_those_of_these_rows(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    TABLE.assign(days=1000).to_csv(tmp_path / "test.csv", index=False)
    dataset = data.load("t.csv", base=tmp_path, test="test.csv", **NAMED)
    assert set(exposures(dataset.test)[:, 0]) == {1000.0}
    assert exposures(dataset.train).max() < 366
    gaps = TABLE.assign(claims=TABLE.claims.where(TABLE.days > 100), days=TABLE.days.where(TABLE.days > 100))
    kept = of(gaps, **NAMED, options=Options(drop_unlabelled=True))
    assert min(exposures(part).min() for part in (kept.train, kept.validation, kept.test)) > 100


def test_rows_that_differ_in_their_exposure_alone_are_no_copies() -> None:
    twice = pd.concat([TABLE, TABLE.assign(days=TABLE.days + 1)])
    assert not any("occur more than once" in note for note in of(twice, **NAMED).notes)
    assert any("occur more than once" in note for note in of(pd.concat([TABLE, TABLE]), **NAMED).notes)


def test_data_with_another_exposure_are_other_data() -> None:
    plain = of(TABLE.drop(columns="days"), target="claims", task="count")
    one, other = of(TABLE, **NAMED), of(TABLE.assign(days=TABLE.days * 2), **NAMED)
    assert len({plain.digest, one.digest, other.digest, of(TABLE, target="claims", task="count").digest}) == 4


DAYS = TABLE.days.astype(float)
WRONG = [
    (TABLE.assign(days=DAYS.where(DAYS.index != 4)), {}, "1 of 120 rows has none, the first in row 5 of the data"),
    (TABLE.assign(days=DAYS.where(DAYS.index > 2)), {}, "3 of 120 rows have none, the first in rows 1, 2, 3 of"),
    (TABLE.assign(days=DAYS.where(DAYS.index > 2, 0)), {}, r"row 1 of the data has 0 \(3 such rows\).*above 0"),
    (TABLE.assign(days=DAYS.where(DAYS.index != 7, -1)), {}, "row 8 of the data has -1. It is a number above 0"),
    (TABLE.assign(days=DAYS.where(DAYS.index != 7, np.inf)), {}, "row 8 of the data has inf.*in another unit"),
    (TABLE.assign(days=DAYS * 1e12), {}, r"row 1 of the data has .*e\+1\d \(120 such rows\).*in another unit"),
    (TABLE.assign(days=TABLE.city), {}, "exposure = 'days' holds '[bh]', and no numbers"),
    (TABLE.assign(days=None), {}, "exposure = 'days': 120 of 120 rows have none"),
    (TABLE.assign(days=DAYS > 9), {}, "exposure = 'days' holds True, and no numbers"),
    (TABLE.assign(days=[*map(str, TABLE.days[1:]), "some"]), {}, "row 120 of the data has 'some'"),
    (TABLE, {"exposure": "day"}, "no column 'day' for exposure. Did you mean days"),
    (TABLE, {"target": "city"}, "belongs to counts and other numbers of 0 and more, and this task is binary.*task = "),
    (TABLE.assign(claims=TABLE.claims - 1), {}, "this task is (regression|multiclass)"),
    (TABLE, {"task": "regression"}, "this task is regression"),
    (ARRAYS, {"exposure": "dayz", "target": None}, "exposure = 'dayz' names no array of this data"),
    ({**ARRAYS, "days": [1, 2]}, {"target": None}, "x has 120 rows and days, for exposure, has 2"),
    (
        {"x.exposure": ARRAYS["x"], "x.b": ARRAYS["x"], "y": ARRAYS["y"], "days": ARRAYS["days"]},
        {"target": None},
        "an input is called exposure.*another name",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "options", "says"), WRONG)
def test_what_is_no_exposure_is_refused_in_one_line(rows: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        of(rows, **{**NAMED, **options})
    assert "\n" not in str(error.value)
