"""New rows for a model that is trained: the values of the training rows in any form, or a warning of what is not."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.data import pieces
from lossreg.data.inputs import InputsPreprocessor
from lossreg.data.preprocess import AsGiven, Columns, ImagePreprocessor, TablePreprocessor
from lossreg.data.readings import Readings
from lossreg.errors import DataError

N = 60


def cycled(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


COLUMNS: dict[str, Any] = {
    "code": cycled("01234", "00501", "90210", "10001"),
    "mixed": cycled("01", "1", "01", "2"),
    "kind": pd.Categorical(cycled(1, 2, 3)),
    "floats": pd.Categorical(cycled("1.0", "2.0")),
    "rank": pd.Categorical(cycled(0, 1, 2), [0, 1, 2], ordered=True),
    "bool": cycled(True, False, False),
    "word": cycled("true", "false", "false"),
    "flag": cycled(1, 0, 0),
    "answer": cycled("yes", "no"),
    "gaps": cycled("a", "b", None),
    "many": [f"text {min(i // 2, 29)}" for i in range(N)],
    "number": [i * 1.5 for i in range(N)],
    "comma": [f"{i},5" for i in range(N)],
    "points": [f"{i + 1}.{100 + i}" for i in range(N - 1)] + ["1.234.567"],
    "cents": [f"{i + 1}.{100 + i},50" for i in range(N)],
    "commas": [f"{i + 1},{100 + i}" for i in range(N - 1)] + ["1,234,567"],
}
VALUES = {
    "number": np.arange(N) * 1.5, "flag": np.array(cycled(1.0, 0.0, 0.0)), "rank": np.array(cycled(0.0, 1.0, 2.0)),
    "comma": np.arange(N) + 0.5, "cents": np.array([1000.0 * (i + 1) + 100 + i + 0.5 for i in range(N)]),
    "points": np.array([1000.0 * (i + 1) + 100 + i for i in range(N - 1)] + [1234567.0]),
}  # fmt: skip
VALUES["commas"] = VALUES["points"]


def fitted(column: str) -> TablePreprocessor:
    return TablePreprocessor().fit(pd.DataFrame({"c": COLUMNS[column]}))


def transformed(preprocessor: Any, rows: Any) -> tuple[np.ndarray, str]:
    """Return the transformed rows, and the text of the one warning, empty for none."""
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("ignore")  # such as that of a file that another test left open
        warnings.simplefilter("always", UserWarning)
        array = preprocessor.transform(rows)
    assert len(raised) <= 1
    return array, "".join(str(warning.message) for warning in raised)


def categories(preprocessor: TablePreprocessor, rows: pd.DataFrame) -> tuple[list[str], str]:
    """The category that each row of one column is taken for, empty for none, and the warning."""
    array, notes = transformed(preprocessor, rows)
    names = [name.removeprefix("c_") for name in preprocessor.get_feature_names_out()]
    return ["".join(names[i] for i in np.flatnonzero(row)) for row in array], notes


NEW = "c: 1 of 2 values is a category that no training row has"
GAP = "c: 1 of 2 values is missing, and none was in training: treated as unknown."


@pytest.mark.parametrize(
    ("column", "values", "expected", "message"),
    [
        ("code", [1234, 90210], ["01234", "90210"], r"1 of 2 values is a number, and was text .* \(1234 as '01234'\)"),
        ("code", [501.0, np.nan], ["00501", ""], r"c: 1 of 2 .* \(501 as '00501'\): matched by value. .*dtype=str"),
        ("code", ["01234", 777], ["01234", ""], rf"{NEW} \(777\): treated as unknown\.$"),
        ("code", ["1234", "00501"], ["", "00501"], rf"{NEW} \('1234'\)"),
        ("code", [10001, 90210], ["10001", "90210"], ""),
        ("mixed", [1, 2], ["", "2"], r"c: 1 of 2 values is a number that stands for several categories \(1\)"),
        ("mixed", ["1", "01"], ["1", "01"], ""),
        ("kind", [1.0, 3.0], ["1", "3"], ""),
        ("kind", ["1.0", "3.0"], ["1", "3"], ""),
        ("kind", ["01", "+3.5"], ["", ""], "2 of 2 values are categories that no training row has"),
        ("floats", ["1", "2.0"], ["1.0", "2.0"], ""),
        ("mixed", ["1.0", "2"], ["", "2"], rf"{NEW} \('1.0'\)"),
        ("kind", [2.5, 3.0], ["", "3"], rf"{NEW} \(2.5\)"),
        ("kind", pd.array([1, None], "Int64"), ["1", ""], GAP),
        ("bool", [1, 0], ["True", "False"], ""),
        ("bool", [1.0, None], ["True", ""], GAP),
        ("bool", ["TRUE", "false"], ["True", "False"], ""),
        ("bool", ["1", "0"], ["True", "False"], ""),
        ("bool", ["yes", "True"], ["", "True"], rf"{NEW} \('yes'\)"),
        ("bool", [2, 1], ["", "True"], rf"{NEW} \(2\)"),
        ("word", [True, False], ["true", "false"], ""),
        ("word", ["TRUE", "False"], ["true", "false"], ""),
        ("word", [0, 1], ["false", "true"], ""),
        ("answer", [True, "no"], ["", "no"], rf"{NEW} \(True\)"),
        ("answer", ["Yes", "no"], ["", "no"], rf"{NEW} \('Yes'\)"),
        ("gaps", ["a", None], ["a", "(missing)"], ""),
        ("gaps", pd.Categorical(["a", "c"]), ["a", ""], rf"{NEW} \('c'\)"),
        ("many", ["text 3", "text 99"], ["text 3", ""], rf"{NEW} \('text 99'\)"),
    ],
)
def test_new_values_are_categories_of_the_training_rows_or_said(
    column: str, values: Any, expected: list[str], message: str
) -> None:
    actual, warning = categories(fitted(column), pd.DataFrame({"c": values}))
    assert actual == expected
    assert bool(warning) == bool(message)
    assert re.search(message, warning)


MISREAD = r"c: 2 of 2 values are numbers with more decimals .* read as given. Read the column as text \(dtype=str\)"
DOUBTFUL = "c: 1 of 2 values is text that may mean another number"


@pytest.mark.parametrize(
    ("column", "values", "expected", "message"),
    [
        ("points", [1.234, 2.1], [1.234, 2.1], MISREAD),
        ("points", np.array([1.234, 2.1], np.float32), [1.234, 2.1], MISREAD),
        ("points", [1234.0, 2100.0], [1234, 2100], ""),
        ("points", ["1.234", "2.100"], [1234, 2100], ""),
        ("cents", [1.234, 12.345], [1.234, 12.345], MISREAD),
        ("cents", [1234.5, 12.25], [1234.5, 12.25], ""),
        ("commas", [1.234, 2.101], [1.234, 2.101], MISREAD),
        ("comma", [1.234, 2.5], [1.234, 2.5], ""),
        ("comma", ["1.234", "2,5"], [1234, 2.5], rf"{DOUBTFUL} \('1.234' as 1234\)"),
        ("number", ["1,234", "2.5"], [1234, 2.5], rf"{DOUBTFUL} \('1,234' as 1234\)"),
        (
            "number",
            ["1,234", "2,5"],
            [1.234, 2.5],
            r"^c: read as numbers with a decimal comma, which '2,5' needs; .* point\.$",
        ),
        (
            "number",
            ["-1,303", "0,346", "x"],
            [-1.303, 0.346, None],
            "decimal comma, which '0,346' needs.*\nc: 1 of 3 .*'x'",
        ),
        ("number", ["1.234.567", "1.234"], [1234567, 1234], "decimal comma, which '1.234.567' needs"),
        ("number", ["2,5", "2.5", "1,234"], [None, 2.5, 1234], "c: 1 of 3 values is not a number"),
        (
            "comma",
            ["1.234", "2.5"],
            [1.234, 2.5],
            "decimal point, which '2.5' needs; training rows have a decimal comma",
        ),
        ("number", ["1,234", "1,234,567"], [1234, 1234567], ""),
        ("number", ["1,234", "1,234.5"], [1234, 1234.5], ""),
        ("number", [True, 1.5], [None, 1.5], r"1 of 2 values is not a number \(True\)"),
        ("number", [[1, 2], 1.5], [None, 1.5], r"1 of 2 values is not a number \(\[1, 2\]\)"),
        ("comma", [{"a": 1}, "1,5"], [None, 1.5], r"1 of 2 values is not a number \({'a': 1}\)"),
        ("flag", [True, False], [1, 0], ""),
        ("flag", ["true", "FALSE"], [1, 0], ""),
        ("flag", ["yes", "1"], [None, 1], r"1 of 2 values is not a number \('yes'\)"),
        ("rank", [1.0, 2.0], [1, 2], ""),
        ("rank", [1.0, None], [1, None], ""),
        ("rank", [7, 2], [None, 2], r"1 of 2 values is not one of the ordered categories \('7'\)"),
    ],
)
def test_new_values_are_the_numbers_they_are_written_as_or_said(
    column: str, values: Any, expected: list[Any], message: str
) -> None:
    array, warning = transformed(fitted(column), pd.DataFrame({"c": values}))
    known = VALUES[column]
    right = np.array([np.median(known) if value is None else value for value in expected], np.float64)
    np.testing.assert_allclose(array[:, 0], (right - known.mean()) / known.std(), rtol=1e-5, atol=1e-5)
    assert bool(warning) == bool(message)
    assert re.search(message, warning)


def test_a_value_of_na_values_beside_a_list_is_missing() -> None:
    options = Options(na_values=(999,))
    table = pd.DataFrame({"c": cycled(1.5, 2.5, 4.0), "y": cycled(0, 1)})
    preprocessor = data.load("data=", given=table, target="y", options=options).preprocessor
    array, warning = transformed(preprocessor, pd.DataFrame({"c": [[1, 2], 999, 2.5]}))
    np.testing.assert_allclose(array[:, 0], array[2, 0])  # the median
    assert "c: 1 of 3 values is among na_values (999)" in warning
    assert "c: 1 of 3 values is not a number ([1, 2])" in warning


# ------------------------------------------------------------------ rows in any form

TABLE = pd.DataFrame({"a": np.arange(N) * 2.0, "f": cycled("x", "y", "z"), "y": cycled(0, 1)})
ROWS = pd.DataFrame({"a": [10.0, 20.0], "f": ["y", "x"]})
MEAN, DEVIATION = TABLE["a"].mean(), TABLE["a"].std(ddof=0)
RIGHT = [[(10 - MEAN) / DEVIATION, 0, 1, 0], [(20 - MEAN) / DEVIATION, 1, 0, 0]]

FORMS: dict[str, Any] = {
    "another order": ROWS[["f", "a"]],
    "more columns": ROWS.assign(b=1, y=0),
    "other columns twice": pd.DataFrame([[10.0, "y", 1, 2], [20.0, "x", 1, 2]], columns=["a", "f", "b", "b"]),
    "an index with a column's name": ROWS.set_index("a", drop=False),
    "an index with values twice": ROWS.set_axis([5, 5]),
    "an index of two levels": ROWS.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("f", 1)])),
    "spaces around names": ROWS.rename(columns={"f": " f "}),
    "an array": ROWS.to_numpy(),
    "lists": ROWS.to_numpy().tolist(),
    "an Arrow table": pa.Table.from_pandas(ROWS[["f", "a"]]),
    "a structured array": np.array([("y", 10.0), ("x", 20.0)], [("f", "U1"), ("a", "f8")]),
}


def test_a_column_that_the_study_knows_is_not_meant_by_another_name() -> None:
    fitted = TablePreprocessor().fit(TABLE[["a", "f"]].rename(columns={"a": "income", "f": "incomes"}))
    with pytest.raises(DataError, match=r"columns are missing: incomes\. Add it, empty where it is not known\."):
        fitted.transform(pd.DataFrame({"income": [1.0, 2.0]}))


@pytest.mark.parametrize("form", FORMS)
def test_rows_may_have_any_form(form: str) -> None:
    array, notes = transformed(TablePreprocessor().fit(TABLE[["a", "f"]]), FORMS[form])
    np.testing.assert_allclose(array, RIGHT, rtol=1e-6)
    assert not notes


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (ROWS[["a"]], r"columns are missing: f\. Add it, empty where it is not known\."),
        (ROWS.set_index("a"), r"columns are missing: a\. a is the index: give rows.reset_index\(\)\."),
        (ROWS.rename(columns={"f": "F"}), "columns are missing: f. Did you mean F?"),
        (ROWS[["a"]].set_axis(["b"], axis=1), r"columns are missing: a, f\. The rows have b\."),
        (pd.DataFrame(), r"columns are missing: a, f\. The rows have none\."),
        (pd.DataFrame(index=[0, 1]), "columns are missing: a, f"),
        (pd.concat([ROWS, ROWS[["f"]]], axis=1), "two columns are called 'f'"),
        (ROWS.iloc[0], r"rows have shape \(2,\), and \(n, 2\) is needed. Give a DataFrame with the columns a, f"),
        ({"a": [1.0], "f": ["x"]}, "rows are a table, not dict. Give a DataFrame with the columns a, f"),
        (None, "rows are a table, not NoneType"),
        ("lacking.csv", "lacking.csv: no such file. Relative paths start at the current folder"),
        ("rows.csv", "rows.csv: columns are missing: f. Add it, empty where"),
        ("rows.docx", "rows.docx: is no known kind of table. Known: .csv"),
    ],
)
def test_rows_that_are_no_rows_of_the_table_are_one_message(
    rows: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.docx").touch()
    (tmp_path / "rows.csv").write_text("a,y\n1,2\n")
    with pytest.raises(DataError, match=says):
        TablePreprocessor().fit(TABLE[["a", "f"]]).transform(rows)


IMAGES = np.random.default_rng(0).normal(size=(N, 2, 3))


@pytest.mark.parametrize(
    ("preprocessor", "rows", "shape"),
    [
        (TablePreprocessor().fit(TABLE[["a", "f"]]), TABLE[:0], (0, 4)),
        (TablePreprocessor().fit(TABLE[["a", "f"]]), pd.DataFrame(columns=["f", "a"]), (0, 4)),
        (TablePreprocessor().fit(TABLE[["a", "f"]]), np.empty((0, 2)), (0, 4)),
        (AsGiven().fit(TABLE[["a", "y"]]), pd.DataFrame(columns=["y", "a"]), (0, 2)),
        (AsGiven().fit(IMAGES), IMAGES[:0], (0, 2, 3)),
        (ImagePreprocessor().fit(IMAGES), IMAGES[:0], (0, 2, 3)),
    ],
)
def test_no_rows_are_an_array_of_no_rows(preprocessor: Any, rows: Any, shape: tuple[int, ...]) -> None:
    array, notes = transformed(preprocessor, rows)
    assert (array.shape, array.dtype, notes) == (shape, np.float32, "")


def test_what_is_masked_is_missing() -> None:
    rows = np.ma.masked_equal([[10.0, 1.0], [20.0, 0.0]], 20)
    array, notes = transformed(TablePreprocessor().fit(TABLE[["a", "y"]]), rows)
    np.testing.assert_allclose(array[:, 0], [(10 - MEAN) / DEVIATION, (np.median(TABLE["a"]) - MEAN) / DEVIATION])
    assert not notes
    images, notes = transformed(ImagePreprocessor().fit(IMAGES), np.ma.masked_greater(np.full((1, 2, 3), 5.0), 4))
    assert not images.any()
    assert "x: 6 of 6 values are not numbers" in notes


GERMAN = [f"{i + 1}.{100 + i};{code};{i},5;{i % 3 == 0};{i % 2}" for i, code in enumerate(COLUMNS["code"])]


def test_a_file_is_read_as_training_read_its_own(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("\n".join(["size;code;half;bool;y", *GERMAN]))
    loaded = data.load("rows.csv", target="y", base=tmp_path)
    path = tmp_path / "new.csv"
    path.write_text("code; half;bool;size\n90210;5;TRUE;1.234\n10001;6;FALSE;2.100\n")
    array, notes = transformed(loaded.preprocessor, path)
    scaler = loaded.preprocessor.transformer_.named_transformers_["number"][-1]
    np.testing.assert_allclose(scaler.inverse_transform(array[:, :2]), [[1234, 5], [2100, 6]], rtol=1e-5)
    names = loaded.preprocessor.get_feature_names_out().tolist()
    assert {names[i] for i in np.flatnonzero(array[0, 2:]) + 2} == {"code_90210", "bool_True"}
    assert not notes
    np.testing.assert_array_equal(loaded.preprocessor.transform(str(path)), array)
    _, notes = transformed(loaded.preprocessor, pd.read_csv(path, sep=";", skipinitialspace=True))
    assert re.match("size: 2 of 2 values are numbers with more decimals", notes)
    path.write_text("code;half;bool;size\n")
    assert transformed(loaded.preprocessor, path)[0].shape == (0, len(names))


def test_categories_that_training_rows_lack_are_a_note_of_the_study(tmp_path: Path) -> None:
    rows, labels = np.array(cycled(["x"], ["y"])), cycled(0, 1, 1)
    np.savez(tmp_path / "a.npz", x_train=rows, y_train=labels, x_test=[["rare"], ["x"]], y_test=[0, 1])
    notes = data.load("a.npz", base=tmp_path).notes
    assert "x0: 1 of 62 values is a category that no training row has ('rare'): treated as unknown." in notes


# ------------------------------------------------------------------ targets far from 0


@pytest.mark.parametrize(
    ("center", "scale", "task", "message"),
    [
        (1e9, 1.0, "regression", True),
        (-1e9, 1000.0, "regression", True),
        (1e9, 1e6, "regression", False),
        (1e4, 1.0, "regression", False),
        (0.0, 1e-30, "regression", False),
        (1e9, 10.0, "positive", True),
    ],
)
def test_a_target_that_float32_holds_coarsely_is_a_note(
    center: float, scale: float, task: str, message: bool, tmp_path: Path
) -> None:
    y = center + scale * np.random.default_rng(0).normal(size=N)
    pd.DataFrame({"a": y, "y": y}).to_csv(tmp_path / "rows.csv", index=False)
    notes = data.load("rows.csv", target="y", task=task, base=tmp_path).notes
    lost = np.abs(y.astype(np.float32) - y).max() / y.std()
    actual = [note for note in notes if "float32 goes in steps of" in note]
    assert bool(actual) == message == bool(lost > 0.005)
    hint = "" if task == "regression" else ' and set task = "regression"'
    assert all(re.search(rf"Subtract {center:g} from the target{hint}\.$".replace("+", r"\+"), n) for n in actual)


# ------------------------------------------------------------------ files whose lines are not all rows


def test_an_unnamed_column_that_training_has_is_no_number_of_the_rows(tmp_path: Path) -> None:
    rows = pd.DataFrame({"Unnamed: 0": np.arange(N) // 2, "a": np.arange(N) / 4})
    preprocessor = TablePreprocessor().fit(rows)
    (tmp_path / "new.csv").write_text(",a\n1,0.5\n2,0.75\n")
    wanted = preprocessor.transform(pd.DataFrame({"Unnamed: 0": [1, 2], "a": [0.5, 0.75]}))
    array, warning = transformed(preprocessor, tmp_path / "new.csv")
    assert np.array_equal(array, wanted)
    assert not warning


@pytest.mark.parametrize("kind", [TablePreprocessor, AsGiven])
@pytest.mark.parametrize("several", [False, True], ids=["one input", "several inputs"])
def test_a_line_that_is_no_row_is_a_warning(kind: Any, several: bool, tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": np.arange(N) / 4, "b": np.arange(N) / 8})
    preprocessor = kind().fit(rows)
    (tmp_path / "new.csv").write_text("a,b\nkg,m\n0.25,0.5\n0.75,1.5\n")
    wanted = preprocessor.transform(pd.DataFrame({"a": [0.25, 0.75], "b": [0.5, 1.5]}))
    message = "Line 2 has words above columns of numbers, such as units (kg, m): left out."
    if several:
        arrays, warning = transformed(InputsPreprocessor({"t": preprocessor}), {"t": tmp_path / "new.csv"})
        array, message = arrays["t"], f"t: {message}"
    else:
        array, warning = transformed(preprocessor, tmp_path / "new.csv")
    assert np.array_equal(array, wanted)
    assert warning == message


# ------------------------------------------------------------------ dates and tables in another form

STAMPS = pd.date_range("2021-01-01", periods=N)
ISO, SLASHES = "%Y-%m-%d", "%m/%d/%Y"
OPEN = (
    r"c: 12 of 12 values are no dates, or leave the order of day and month open \('01/01/2021', .* taken as missing\."
)


@pytest.mark.parametrize("trained", [None, ISO, SLASHES], ids=["datetime64", "ISO", "month first"])
@pytest.mark.parametrize(
    ("form", "rows", "message"),
    [
        ("%d.%m.%Y", N, "c: dates in another form than in training: '13.01.2021' is read as day before month."),
        ("%d.%m.%Y", 12, "c: dates in another form than in training: '02.01.2021' is read as day before month."),
        ("%d/%m/%Y", N, "c: dates in another form than in training: '13/01/2021' is read as day before month."),
        ("%m/%d/%Y", N, "c: dates in another form than in training: '01/13/2021' is read as month before day."),
        ("%d/%m/%Y %H:%M", N, "'13/01/2021 00:00' is read as day before month."),
        ("%d-%b-%Y", N, ""),
        ("%Y/%m/%d", N, ""),
    ],
)
def test_new_rows_decide_on_the_order_of_their_own_dates(trained: Any, form: str, rows: int, message: str) -> None:
    training = pd.DataFrame({"c": STAMPS.strftime(trained) if trained else STAMPS})
    preprocessor = TablePreprocessor().fit(training)
    new = pd.DataFrame({"c": STAMPS[:rows].strftime(form)})
    array, warning = transformed(preprocessor, new)
    np.testing.assert_allclose(array, preprocessor.transform(training)[:rows], atol=1e-6)
    message = message if trained != SLASHES or form.startswith("%d/") else ""  # as training has it
    assert bool(warning) == bool(message)
    assert message in warning


def test_new_dates_whose_order_is_open_are_missing_together() -> None:
    preprocessor = TablePreprocessor().fit(pd.DataFrame({"c": STAMPS.strftime(ISO)}))
    array, warning = transformed(preprocessor, pd.DataFrame({"c": STAMPS[:12].strftime(SLASHES)}))
    np.testing.assert_allclose(array, 0, atol=1e-6)
    assert re.match(OPEN, warning)


GIVEN_ORDER = Options(columns={"c": "date:mdy"})


def test_an_order_that_the_study_says_holds_for_new_rows() -> None:
    rows = pd.DataFrame({"c": STAMPS.strftime(SLASHES)})
    columns = Columns.of(rows, Readings.of(rows, GIVEN_ORDER))
    preprocessor = TablePreprocessor(GIVEN_ORDER).fit(rows, columns=columns)
    assert "c: 48 of 60 values are not dates" not in transformed(preprocessor, rows)[1]
    array, warning = transformed(preprocessor, pd.DataFrame({"c": ["13/01/2021", "02/03/2021"]}))
    assert array[1] == preprocessor.transform(pd.DataFrame({"c": ["2021-02-03"]}))[0]
    assert "c: 1 of 2 values is not a date ('13/01/2021')" in warning


def measured(rows: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    table = {
        "day": pd.date_range("2021-01-01", periods=rows),
        "a": draw.normal(0, 2, rows).round(3),
        "b": draw.uniform(1, 9, rows).round(3),
    }
    return pd.DataFrame({**table, "y": draw.normal(size=rows).round(3)})


def german(rows: pd.DataFrame) -> pd.DataFrame:
    written = {name: [f"{value:.3f}".replace(".", ",") for value in rows[name]] for name in ("a", "b")}
    return rows.assign(**written, day=rows["day"].dt.strftime("%d.%m.%Y"))


@pytest.mark.parametrize("part", ["test", "validation"])
def test_rows_of_a_further_file_may_be_written_in_another_form(part: str, tmp_path: Path) -> None:
    further = measured(90, 1)
    measured(200, 0).to_csv(tmp_path / "rows.csv", index=False)
    further.to_csv(tmp_path / "same.csv", index=False)
    german(further).to_csv(tmp_path / "other.csv", index=False, sep=";")
    same, other = (
        data.load("rows.csv", target="y", task="regression", base=tmp_path, **{part: file})
        for file in ("same.csv", "other.csv")
    )
    for name in ("train", "validation", "test"):
        np.testing.assert_allclose(getattr(other, name).x, getattr(same, name).x, atol=1e-6)
    notes = "\n".join(other.notes)
    assert re.search(rf"{part.capitalize()} rows: a, b: read as numbers with a decimal comma, which .* needs", notes)
    assert f"{part.capitalize()} rows: day: dates in another form than in training: '13.01.2021'" in notes
    assert not any("in another form" in note or "missing" in note for note in same.notes)
    measured(90, 1).to_csv(tmp_path / "labels.csv", index=False, sep=";", decimal=",")
    says = r"labels\.csv: the labels are written in another form \('-?\d,\d+'\) than those of rows\.csv"
    with pytest.raises(DataError, match=says):
        data.load("rows.csv", target="y", task="regression", base=tmp_path, **{part: "labels.csv"})


@pytest.mark.parametrize("written", [german, lambda rows: rows], ids=["German", "as in training"])
def test_all_pieces_of_a_file_are_read_in_one_form(written: Any, tmp_path: Path) -> None:
    rows = measured(90, 1).sort_values("b", ignore_index=True)
    rows["day"] = rows["day"].sort_values(key=lambda days: days.dt.day, ignore_index=True)
    preprocessor = TablePreprocessor().fit(measured(200, 0)[["day", "a", "b"]])
    rows["b"] = rows["b"].replace(rows["b"].iloc[-1], 0.5)  # what decides is in the last piece
    written(rows).to_csv(tmp_path / "new.csv", index=False, sep=";")
    parts = [
        preprocessor.counted(piece.rows, piece.forms) for piece in pieces.of(tmp_path / "new.csv", preprocessor, 7)
    ]
    assert len(parts) == 13
    np.testing.assert_allclose(np.concatenate([part.array for part in parts]), preprocessor.transform(rows), atol=1e-6)
    assert len({tuple(part.lost.lines()) for part in parts}) == 1


def test_training_rows_are_read_as_the_study_decided(tmp_path: Path) -> None:
    rows = pd.DataFrame({"c": ["02/03/2021", "04/05/2021"] * 40, "a": np.arange(80) / 4, "y": np.arange(80) % 7 / 3})
    rows.iloc[:60].to_csv(tmp_path / "rows.csv", index=False)
    rows.iloc[60:].to_csv(tmp_path / "test.csv", index=False)
    loaded = data.load("rows.csv", target="y", task="regression", test="test.csv", base=tmp_path)
    assert any("month before day is assumed" in note for note in loaded.notes)
    assert not any("in another form" in note for note in loaded.notes)


# ------------------------------------------------------------------ preprocessors of version 0.1.0

# written by version 0.1.0: `joblib.dump(TablePreprocessor().fit(ROWS), ...)`, and `TRANSFORMED` by its `transform`
SAVED = Path(__file__).parent / "saved" / "preprocessor-0.1.0.joblib"
ROWS = pd.DataFrame(
    {
        "size": [1.5, None, 3.0, 4.5],
        "place": ["north ", "south", "north ", None],
        "code": ["00501", "01234", "00501", "01234"],
        "day": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
    }
)
TRANSFORMED = [
    [-1.4142135381698608, 0, 1, 0, 1, 0, -1.341640830039978],
    [0, 0, 0, 1, 0, 1, -0.4472135901451111],
    [0, 0, 1, 0, 1, 0, 0.4472135901451111],
    [1.4142135381698608, 1, 0, 0, 0, 1, 1.341640830039978],
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("given", ["table", "file"])
def test_a_preprocessor_that_version_0_1_0_saved_reads_as_it_did(given: str, tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "rows.csv", index=False)
    rows = ROWS if given == "table" else tmp_path / "rows.csv"
    assert np.array_equal(joblib.load(SAVED).transform(rows), np.array(TRANSFORMED, np.float32))
