"""Wrong calls of `lossreg.init` and of what it returns: always an `InputError`, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from odd_values import Unspeakable, Vague

import lossreg
from lossreg import InputError

N = 40
ROWS = pd.DataFrame({"a": np.arange(N) * 1.0, "b": np.arange(N) % 7, "y": np.arange(N) % 2})
X, Y = ROWS[["a", "b"]].to_numpy(), ROWS.y.to_numpy()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ROWS.to_csv("rows.csv", index=False)
    Path("taken.toml").write_text("mine")
    return tmp_path


def refused(folder, *words, call):
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    with pytest.raises(InputError) as caught:
        call()
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert len(said) < 700
    assert "returned" not in said  # as a function does
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before


NO_DATA = [None, 3, 1.5, True, [], b"rows.csv", object, len, Unspeakable(), Vague(), np.zeros(3), np.zeros((N, 2)),
           ROWS.a, iter(()), (1,), (X,), (X, Y, Y, Y), set(), range(5), np.float64(1)]  # fmt: skip


@pytest.mark.parametrize("data", NO_DATA, ids=lambda value: type(value).__name__)
def test_what_is_no_data_is_named_by_its_kind(folder, data):
    refused(folder, "data: it is ", "which is no data", "Give ", call=lambda: lossreg.init(data, "y"))


# data, target, words of the message
WRONG = {
    "no name": ("", "y", "must not be empty"),
    "blank": (" ", "y", "names no source", "rows.csv"),
    "NUL": ("x\0", "y", "NUL"),
    "half a character": ("\ud800", "y", "half a character"),
    "too long": ("x" * 5000, "y", "has 5,000 letters"),
    "no file": (Path("zzzzzzz.csv"), "y", "zzzzzzz.csv: no such file", "Relative paths start at the current folder"),
    "nearly a file": ("row.csv", "y", "row.csv: no such file.", "Did you mean rows.csv?"),
    "an address": ("http://a/b.csv", "y", "downloads nothing", "Save it"),
    "no set": ("sklearn:none", None, "unknown data set; known: breast_cancer"),
    "no module": ("nomod:f", None, "No module named 'nomod'"),
    "no rows": (ROWS.head(0), "y", "data: no rows"),
    "no columns": (pd.DataFrame(), "y", "data: the table has no columns"),
    "two of one name": (pd.concat([ROWS, ROWS], axis=1), "y", "two columns are called 'a'"),
    "no labels": (ROWS.assign(y=None), "y", "data: no row has a label"),
    "one class": (ROWS.assign(y="a"), "y", "data: one class only (a)"),
    "dates as labels": (ROWS.assign(y=pd.date_range("2024", periods=N)), "y", "the target holds dates"),
    "lists as labels": (ROWS.assign(y=[[1]] * N), "y", "the target holds lists"),
    "complex labels": (ROWS.assign(y=1j), "y", "complex"),
    "a single column": (ROWS[["y"]], "y", "no columns besides the target"),
    "no arrays": ({"x": X}, None, "no arrays x and y; it has x"),
    "different lengths": ((X, Y[:3]), None, "x has 40 rows and y has 3"),
    "a target of arrays": ((X, Y), "y", "target = 'y' names a column of a table"),
    "no target": (ROWS, None, "a table needs a target", "Likely: y (2 classes)"),
    "another case": (ROWS, "Y", "no column 'Y'", "Did you mean y?"),
    "empty target": (ROWS, "", "no column ''", "Likely: y (2 classes)"),
    "a long target": (ROWS, "x" * 5000, "no column 'xxx", "Likely: y (2 classes)"),
    "the index": (
        ROWS.set_index("y"),
        "y",
        "no column 'y'",
        "y is in the index of the table: give table.reset_index().",
    ),
    "one of two": (ROWS, ["y", "zz"], "no column 'zz'"),
    "twice": (ROWS, ("y", "y"), "target: names 'y' twice"),
    "all columns": (ROWS, ["a", "b", "y"], "no columns besides the target"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_data_and_targets_are_one_message(folder, case):
    data, target, *words = WRONG[case]
    refused(folder, *words, call=lambda: lossreg.init(data, target))


NO_TARGET = [3, 1.5, True, [], [None], {"y"}, b"y", "\ud800", np.array(["y"]), ["y", 3], object, Unspeakable(), Vague(),
             {"y": 1}, iter("y"), pd.Series(["y"])]  # fmt: skip


@pytest.mark.parametrize("target", NO_TARGET, ids=lambda value: type(value).__name__)
def test_a_target_is_a_column_or_a_list_of_them(folder, target):
    refused(folder, "target: must be a column or a list of columns", call=lambda: lossreg.init(ROWS, target))


NO_PATH = [3, None, b"a.toml", Unspeakable(), [], True, {}]


@pytest.mark.parametrize("path", NO_PATH, ids=lambda value: type(value).__name__)
def test_paths_are_texts_or_paths(folder, path):
    refused(folder, "path: ", "is no path", call=lambda: lossreg.init(ROWS, "y").write(path))
    refused(folder, "folder: ", "is no path", call=lambda: lossreg.init("rows.csv", "y", folder=path))
    refused(folder, "lossreg.load_preprocessor: ", "is no path", call=lambda: lossreg.load_preprocessor(path))


NOT_WRITTEN = {"": ".toml", ".": ".toml", "a.txt": ".toml", "no/a.toml": "no such folder", "a\0.toml": "NUL",
               "a" * 5000 + ".toml": "too long", "\ud800.toml": "lone surrogates", "/proc/a.toml": "no such file",
               "taken.toml": "already exists"}  # fmt: skip


@pytest.mark.parametrize("path", NOT_WRITTEN, ids=lambda path: ascii(path[:20]))
def test_a_study_file_that_cannot_be_written_is_one_message(folder, path):
    refused(folder, NOT_WRITTEN[path], call=lambda: lossreg.init(ROWS, "y").write(path))
