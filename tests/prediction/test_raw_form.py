"""The form of raw rows that MLflow is told: it takes the rows of training, whatever the types of their columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.models import validate_schema

from lossreg.contract.data_options import Options
from lossreg.data.preprocess import TablePreprocessor
from lossreg.prediction import raw_form
from lossreg.prediction.description import Description
from lossreg.tracking import raw_signature

TEXTS, TRUTHS = ["S", "M", "L", "S"] * 5, [True, False, False, True] * 5
TEXTS_WITH_GAP, TRUTHS_WITH_GAP = [None, *TEXTS[1:]], [None, *TRUTHS[1:]]
ARROW_TEXT, ARROW_TRUTH = pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.bool_())
ARROW_CATEGORIES = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
COLUMNS = {
    "text": (TEXTS, object, "string"), "text with gaps": (TEXTS_WITH_GAP, object, "string"),
    "str": (TEXTS, "string", "string"), "str with gaps": (TEXTS_WITH_GAP, "string", "string"),
    "Arrow text": (TEXTS, ARROW_TEXT, "string"), "Arrow text with gaps": (TEXTS_WITH_GAP, ARROW_TEXT, "string"),
    "category": (TEXTS, "category", "any"), "category with gaps": (TEXTS_WITH_GAP, "category", "any"),
    "ordered": (TEXTS, pd.CategoricalDtype(["S", "M", "L"], ordered=True), "any"),
    "Arrow dictionary": (TEXTS, ARROW_CATEGORIES, "any"),
    "category of numbers": ([1, 2, 3, 4] * 5, "category", "any"), "category of truth": (TRUTHS, "category", "any"),
    "bool": (TRUTHS, bool, "boolean"), "boolean": (TRUTHS, "boolean", "boolean"),
    "boolean with gaps": (TRUTHS_WITH_GAP, "boolean", "any"), "objects with gaps": (TRUTHS_WITH_GAP, object, "any"),
    "Arrow truth": (TRUTHS, ARROW_TRUTH, "boolean"), "Arrow truth with gaps": (TRUTHS_WITH_GAP, ARROW_TRUTH, "any"),
    "whole": ([1, 2, 3, 4] * 5, "Int64", "any"), "days": (pd.date_range("2024-01-01", periods=20), None, "any"),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_mlflow_takes_the_rows_of_training_and_their_example(name):
    values, dtype, kind = COLUMNS[name]
    rows = pd.DataFrame({"age": [31.5, 40.0, 52.0, 60.0] * 5, "column": pd.Series(values, dtype=dtype)})
    columns = raw_form.columns(rows, TablePreprocessor().fit(rows))
    about = Description(
        study="s", trial=0, loss="l", task="regression", target=("price",), output="prediction", columns=columns,
        example=raw_form.example(rows, columns),
    )  # fmt: skip
    assert [(column.kind, column.required) for column in columns] == [("any", True), (kind, "gap" not in name)]
    for given in (rows, rows.head(1), raw_signature.example(about)):
        validate_schema(given, raw_signature.of(about).inputs)


MARKED = {
    "numbers and a word": (["1.5", "2.25", "7", "k.A."] * 5, "any"),
    "decimal commas": (["1,5", "2,25", "7,5", "?"] * 5, "any"),
    "dates and a word": (["2024-01-05", "2024-02-17"] * 9 + ["2024-03-01", "later"], "any"),
    "named in na_values": (["S", "M", "L", "none"] * 5, "string"), "blank": (["S", "M", "L", "  "] * 5, "string"),
    "infinite": ([1.5, 2.5, 3.5, np.inf] * 5, "any"),
}  # fmt: skip


@pytest.mark.parametrize("name", MARKED)
def test_a_column_whose_gaps_were_marked_in_training_is_optional_and_takes_values_without_the_mark(name):
    values, kind = MARKED[name]
    rows = pd.DataFrame({"age": [31.5, 40.0, 52.0, 60.0] * 5, "column": values})
    fitted = TablePreprocessor(Options(na_values=("none",))).fit(rows)
    columns = raw_form.columns(rows, fitted)
    assert [(column.kind, column.required) for column in columns] == [("any", True), (kind, False)]
    schema = raw_signature.of(Description(
        study="s", trial=0, loss="l", task="regression", target=("price",), output="prediction", columns=columns,
    )).inputs  # fmt: skip
    for given in (rows, rows[["age"]], rows.assign(column=None), *([rows.assign(column=1.5)] if kind == "any" else [])):
        validate_schema(given, schema)


def test_the_example_of_categories_that_mostly_differ_is_none_of_them():
    rows = pd.DataFrame({"name": pd.Categorical([f"Ann {i}" for i in range(20)])})
    column = raw_form.Column(name="name", kind="any", required=True)
    assert raw_form.example(rows, (column,)) == [{"name": "text"}]
