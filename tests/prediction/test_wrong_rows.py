"""Rows in Python and from MLflow that do not fit: one message each, with what would work."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from mlflow.exceptions import MlflowException

from lossreg.data.inputs import InputsPreprocessor
from lossreg.data.preprocess import TablePreprocessor
from lossreg.errors import InputError
from lossreg.prediction import pyfunc, raw_form
from lossreg.prediction.description import Description
from lossreg.prediction.predictor import Predictor

ROWS = pd.DataFrame({
    "age": [31.5, np.nan, 40.0, 52.0] * 5, "city": ["Bonn", "Ulm", "Ulm", "Kiel"] * 5, "rooms": [1, 2, 3, 4] * 5,
    "since": pd.date_range("2024-01-01", periods=20).astype(str),
})  # fmt: skip
NEEDED = "Give a DataFrame with the columns age, city, rooms, since, an array, or the path of a file."


@pytest.fixture(scope="module")
def predictor():
    preprocessor = TablePreprocessor().fit(ROWS)
    shape = (len(preprocessor.get_feature_names_out()),)
    network = keras.Sequential([keras.Input(shape), keras.layers.Dense(1, "sigmoid", name="probability")])
    about = Description(
        study="s", trial=0, loss="l", task="binary", target=("left",), classes=("no", "yes"), output="probability",
        columns=raw_form.columns(ROWS, preprocessor),
    )  # fmt: skip
    return Predictor(network, preprocessor, about)


REFUSED = {
    "nothing": (lambda: None, f"rows are a table, not NoneType. {NEEDED}"),
    "a number": (lambda: 3, f"rows are a table, not int. {NEEDED}"),
    "bytes": (lambda: b"a,b", f"rows are a table, not bytes. {NEEDED}"),
    "a generator": (lambda: (row for row in ROWS.to_numpy()), f"rows are a table, not generator. {NEEDED}"),
    "a set": (lambda: {1, 2}, f"rows are a table, not set. {NEEDED}"),
    "a function": (lambda: print, f"rows are a table, not builtin_function_or_method. {NEEDED}"),
    "sparse": (lambda: scipy.sparse.csr_matrix(np.zeros((2, 4))), "not csr_matrix. Give rows.toarray()."),
    "no file": (lambda: "nowhere.csv", "nowhere.csv: no such file. Relative paths start at the current"),
    "no name": (lambda: "", 'names no source. Name a file, such as "rows.csv".'),
    "a NUL": (lambda: "a\0.csv", "'a\\x00.csv' has characters that no path has"),
    "an empty list": (lambda: [], f"rows have shape (0,), and (n, 4) is needed. {NEEDED}"),
    "nested lists": (lambda: [[[1, 2, 3, 4]]], f"rows have shape (1, 1, 4), and (n, 4) is needed. {NEEDED}"),
    "ragged lists": (lambda: [[1, 2], [3]], "x is no array: ValueError: setting an array element with a sequence"),
    "three axes": (lambda: np.zeros((2, 3, 4)), f"rows have shape (2, 3, 4), and (n, 4) is needed. {NEEDED}"),
    "one axis": (lambda: ROWS["age"], f"rows have shape (20,), and (n, 4) is needed. {NEEDED}"),
    "too few columns": (lambda: np.zeros((2, 3)), f"rows have shape (2, 3), and (n, 4) is needed. {NEEDED}"),
    "complex": (lambda: ROWS.assign(age=1j), "column age: holds complex numbers. Give the real"),
    "a complex array": (lambda: np.zeros((2, 4), complex), "column age: holds complex numbers."),
    "no columns": (dict, "columns are missing: age, city, rooms, since. The rows have none."),
    "a missing column": (lambda: ROWS.drop(columns="rooms"), "columns are missing: rooms. Add it, empty where"),
    "another case": (lambda: ROWS.rename(columns=str.upper), "columns are missing: age, city, rooms, since. Did you"),
    "an index": (lambda: ROWS.set_index("rooms"), "rooms is the index: give rows.reset_index()."),
    "numbers as names": (lambda: ROWS.set_axis(range(4), axis=1), "columns are missing: "),
    "a column twice": (lambda: pd.concat([ROWS, ROWS[["rooms"]]], axis=1), "two columns are called 'rooms'"),
    "columns of two lengths": (lambda: {"age": [1, 2], "city": ["Ulm"]}, "rows are no table: ValueError: All"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_rows_that_do_not_fit_are_refused_in_one_line(predictor, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, words = REFUSED[name]
    for predict in (predictor.predict, predictor.predict_proba, predictor.predict_frame):
        with pytest.raises(InputError) as refused:
            predict(make())
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises((MlflowException, InputError), match=r"\w+") as served:
        pyfunc.Model(predictor).predict(make())
    assert isinstance(served.value, MlflowException)
    assert served.value.get_http_status_code() == 400


COUNTED = {
    "infinite": (lambda: ROWS.assign(age=np.inf), "age: 20 of 20 values are infinite or above 1.8e308 (inf)"),
    "words": (lambda: ROWS.assign(rooms="many"), "rooms: 20 of 20 values are not numbers ('many')"),
    "dates": (lambda: ROWS.assign(rooms=pd.Timestamp("2024-01-01")), "rooms: 20 of 20 values are not numbers"),
    "no dates": (lambda: ROWS.assign(since="soon"), "since: 20 of 20 values are not dates ('soon')"),
    "long text": (lambda: ROWS.assign(city="x" * 1_000_000), "city: 20 of 20 values are categories that no training"),
    "lists": (lambda: ROWS.assign(city=[[1]] * 20), "values are categories that no training row has ([1])"),
    "huge": (lambda: ROWS.assign(rooms=10**40), "rooms: 20 of 20 values are out of all proportion"),
    "gaps": (lambda: ROWS.assign(rooms=np.nan), "rooms: 20 of 20"),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_values_that_do_not_fit_are_counted_in_one_short_warning(predictor, name):
    make, words = COUNTED[name]
    with pytest.warns(UserWarning, match="values|Gaps") as caught:
        assert np.isfinite(predictor.predict_proba(make())).all()
    assert len(caught) == 1
    assert words in str(caught[0].message)
    assert len(str(caught[0].message)) < 500


def test_zones_repeated_indices_and_no_rows_are_no_mistakes(predictor):
    rows = ROWS.assign(age=40.0)
    expected = predictor.predict_proba(rows)
    zoned = rows.assign(since=pd.to_datetime(rows["since"]).dt.tz_localize("UTC"))
    for same in (zoned, rows.set_axis([7] * 20), rows[rows.columns[::-1]], rows.to_dict("records")):
        np.testing.assert_allclose(predictor.predict_proba(same), expected, rtol=1e-6)
    for none in (rows.head(0), np.zeros((0, 4)), rows.head(0).to_dict("list")):
        assert predictor.predict_frame(none).shape == (0, 3)


INDICES = {
    "names": pd.Index([f"r{i}" for i in range(20)], name="id"), "another order": pd.Index(range(19, -1, -1)),
    "repeated": pd.Index([7] * 20), "days": pd.date_range("2024-01-01", periods=20),
    "two levels": pd.MultiIndex.from_product([["a", "b"], range(10)]),
}  # fmt: skip


@pytest.mark.parametrize("name", INDICES)
def test_predictions_have_the_index_of_the_rows(predictor, name):
    rows = ROWS.assign(age=40.0).set_axis(INDICES[name])
    others = ({column: rows[column] for column in rows}, pa.Table.from_pandas(rows))
    for frame in (pyfunc.Model(predictor).predict(rows), *map(predictor.predict_frame, (rows, *others))):
        pd.testing.assert_index_equal(frame.index, rows.index)
        np.testing.assert_array_equal(frame["prediction"], predictor.predict(rows))
    pd.testing.assert_index_equal(predictor.predict_frame(rows.head(0)).index, rows.index[:0])
    pd.testing.assert_index_equal(predictor.predict_frame(rows.to_dict("list")).index, pd.RangeIndex(20))


def test_predictions_of_several_inputs_have_the_index_of_a_table_among_them(predictor):
    numbers = ROWS[["rooms"]].set_axis(INDICES["days"])
    parts = {name: TablePreprocessor().fit(numbers) for name in ("given", "array")}
    inputs = {name: keras.Input((1,), name=name) for name in parts}
    joined = keras.layers.Concatenate()(list(inputs.values()))
    network = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="probability")(joined))
    of_inputs = Predictor(network, InputsPreprocessor(parts), predictor.about)
    rows = {"array": numbers.to_numpy(), "given": numbers, "unused": numbers.head(3)}
    pd.testing.assert_index_equal(of_inputs.predict_frame(rows).index, numbers.index)


def test_a_column_that_may_be_missing_is_told_where_it_is(predictor):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pyfunc.Model(predictor).predict(ROWS.rename(columns={"age": "Age"}))
    gaps, left_out = map(str, (line.message for line in caught))
    assert "Gaps filled" in gaps
    assert left_out == "Columns that are not given are taken as missing: age."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pyfunc.Model(predictor).predict(ROWS.assign(age=4.0))
