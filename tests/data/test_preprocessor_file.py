"""Preprocessors as JSON files: what is read transforms as what was written, and nothing in a file is run."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from lossreg.data.inputs import InputsPreprocessor, Preprocessor
from lossreg.data.preprocess import AsGiven, ImagePreprocessor, TablePreprocessor
from lossreg.data.preprocessor_file import load_preprocessor, save_preprocessor
from lossreg.errors import DataError, InputError

N = 160
SAVED = Path(__file__).parent / "saved" / "preprocessor-0.1.0.joblib"


def cycled(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


def table() -> pd.DataFrame:
    """A table with a column of every kind of reading."""
    rng = np.random.default_rng(0)
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=int(day)) for day in range(N)]
    return pd.DataFrame(
        {
            "number": rng.normal(size=N), "gaps": cycled(0.1, None, 1e300), "far": [*range(N - 1), 1e40],
            "comma": [f"{value:.2f}".replace(".", ",") for value in rng.normal(size=N)],
            "price": [f"${value},500.25" for value in range(1, N + 1)], "share": [f"{value}%" for value in range(N)],
            "day": days, "dates": [f"{day:%d/%m/%Y}" for day in days], "short": [f"{day:%d.%m.%y}" for day in days],
            "stamp": pd.to_datetime(pd.Series(days)), "time": cycled("08:30", "21:15", "7:00 pm"),
            "lasts": pd.to_timedelta(range(N), unit="h"), "period": pd.period_range("2020", periods=N, freq="M"),
            "ordered": pd.Categorical(cycled("s", "m", "l"), ["s", "m", "l"], ordered=True),
            "span": pd.IntervalIndex.from_breaks(range(N + 1)), "ratio": [Fraction(i, 7) for i in range(N)],
            "code": cycled("00501", "01234", "99999"), "word": cycled("a ", "b", None, "ü\n", "true"),
            "many": [f"c{min(i, 145)}" for i in range(N)], "flag": cycled(True, False), "zero_one": cycled(0, 1),
            "empty": [None] * N, "same": 7.0, "unique": [f"id {i}" for i in range(N)],
            "note": [f"{word} cable of the kitchen, no. {i}" for i, word in enumerate(cycled("red", "blue", "long"))],
        }
    )  # fmt: skip


NEW = {
    "rows of training": table,
    "other values": lambda: table().assign(
        word="never seen", many=cycled("c0", "c44", "x"), gaps=np.nan, far=-1e60, comma=1.5, ordered="xl",
        dates="not a day", price="1,250", code=cycled(501, 1234), flag=cycled("true", "FALSE"), zero_one=True,
        time="25 o'clock", number=np.inf, day="2024-01-01",
    ),
    "no rows": lambda: table()[:0],
    "an array": lambda: table().to_numpy(object),
}  # fmt: skip


def through_a_file(preprocessor: Preprocessor, path: Path) -> Any:
    save_preprocessor(preprocessor, path)
    return load_preprocessor(path)


def transformed(preprocessor: Any, rows: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")  # such as that of a file that another test left open
        warnings.simplefilter("always", UserWarning)
        array = preprocessor.transform(rows)
    return array, [str(warning.message) for warning in warned]


@pytest.fixture(scope="module")
def fitted() -> TablePreprocessor:
    return TablePreprocessor().fit(table())


@pytest.mark.parametrize("rows", NEW.values(), ids=NEW)
def test_a_table_s_preprocessor_is_the_same_after_it_was_stored(fitted, tmp_path: Path, rows: Any) -> None:
    again = through_a_file(fitted, tmp_path / "p.json")
    array, warned = transformed(again, rows())
    expected, told = transformed(fitted, rows())
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == expected.dtype
    assert warned == told
    assert again.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()
    assert again.notes == fitted.notes


def test_a_file_of_new_rows_is_read_as_in_training(fitted, tmp_path: Path) -> None:
    table().to_csv(tmp_path / "new.csv", index=False)
    array, warned = transformed(through_a_file(fitted, tmp_path / "p.json"), tmp_path / "new.csv")
    expected, told = transformed(fitted, tmp_path / "new.csv")
    np.testing.assert_array_equal(array, expected)
    assert warned == told


def test_what_was_read_is_stored_again_in_the_same_words(fitted, tmp_path: Path) -> None:
    again = through_a_file(fitted, tmp_path / "one.json")
    save_preprocessor(again, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


IMAGES = np.random.default_rng(0).normal(size=(N, 3, 2))
OTHERS = {
    "images": (ImagePreprocessor().fit(IMAGES), IMAGES * 1e12),
    "bytes": (ImagePreprocessor().fit((IMAGES * 9).astype(np.uint8)), IMAGES),
    "no value": (ImagePreprocessor().fit(np.full((2, 2, 2), np.nan)), np.ones((1, 2, 2))),
    "numbers as given": (AsGiven().fit(table()[["number", "same"]]), table()),
    "tokens as given": (AsGiven().fit(np.arange(12).reshape(3, 4)), np.ones((2, 4))),
}


@pytest.mark.parametrize(("preprocessor", "rows"), OTHERS.values(), ids=OTHERS)
def test_other_preprocessors_are_the_same_after_they_were_stored(preprocessor, rows, tmp_path: Path) -> None:
    again = through_a_file(preprocessor, tmp_path / "p.json")
    assert type(again) is type(preprocessor)
    np.testing.assert_array_equal(transformed(again, rows)[0], transformed(preprocessor, rows)[0])
    assert transformed(again, rows)[1] == transformed(preprocessor, rows)[1]


def test_several_inputs_are_stored_together(fitted, tmp_path: Path) -> None:
    several = InputsPreprocessor({"people": fitted, "i": OTHERS["images"][0]})
    rows = {"people": NEW["other values"](), "i": IMAGES}
    again = through_a_file(several, tmp_path / "p.json")
    arrays, warned = transformed(again, rows)
    expected, told = transformed(several, rows)
    assert list(arrays) == list(expected)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name])
    assert (warned, again.notes) == (told, several.notes)


def changed(path: Path, *keys: Any, value: Any) -> None:
    document = json.loads(path.read_text())
    part = document
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("format",), "lossreg preprocessor 2", "format"),
        (("parts", "", "kind"), "object", "kind"),
        (("parts", "", "limits", "number"), [0.0], r"parts\.+table.*limits.number"),
        (("parts", "", "readings", 0, "read"), "os.system", "read"),
        (("parts", "", "readings", 0, "__reduce__"), "x", "__reduce__"),
        (("parts", "", "fitted", "steps", 0), {"py/object": "os.system"}, "fitted.steps"),
    ],
)
def test_a_file_with_anything_else_in_it_is_refused(fitted, tmp_path: Path, keys, value, says: str) -> None:
    save_preprocessor(fitted, tmp_path / "p.json")
    changed(tmp_path / "p.json", *keys, value=value)
    with pytest.raises(InputError, match=says):
        load_preprocessor(tmp_path / "p.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\x80\x04N.", b"[" * 100_000, b'{"parts": {}}'])
def test_what_is_no_preprocessor_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.json").write_bytes(content)
    with pytest.raises(InputError, match=r"p\.json: is no preprocessor of lossreg"):
        load_preprocessor(tmp_path / "p.json")


def test_parts_that_do_not_fit_together_are_a_mistake_of_the_data(fitted, tmp_path: Path) -> None:
    save_preprocessor(fitted, tmp_path / "p.json")
    changed(tmp_path / "p.json", "parts", "", "fitted", "steps", 0, "mean", value=[0.0] * 999)
    with pytest.raises(DataError, match="cannot be read"):
        load_preprocessor(tmp_path / "p.json").transform(table())


def test_a_missing_file_and_one_that_cannot_be_written_are_said(fitted, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_preprocessor(tmp_path / "p.json")
    with pytest.raises(InputError, match="no such file"):
        save_preprocessor(fitted, tmp_path / "nowhere" / "p.json")
    with pytest.raises(InputError, match="must be a preprocessor of lossreg"):
        save_preprocessor("a text", tmp_path / "p.json")  # type: ignore[arg-type]


# ------------------------------------------------------------------ pickles of versions up to 0.2.0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_pickle_of_version_0_1_0_is_loaded_and_not_written(tmp_path: Path) -> None:
    loaded = load_preprocessor(SAVED)
    assert isinstance(loaded, TablePreprocessor)
    with pytest.raises(InputError, match=r"of lossreg 0\.1\.0 cannot be written"):
        save_preprocessor(loaded, tmp_path / "p.json")


@pytest.mark.parametrize(("value", "says"), [(b"x", "cannot be loaded"), ({"a": 1}, "holds no preprocessor but")])
def test_a_pickle_of_something_else_is_said_to_be_none(tmp_path: Path, value: Any, says: str) -> None:
    file = tmp_path / "p.joblib"
    file.write_bytes(value) if isinstance(value, bytes) else joblib.dump(value, file)
    with pytest.raises(InputError, match=says):
        load_preprocessor(file)
