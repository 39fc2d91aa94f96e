"""What is given in Python in place of data: `init` and `tune` say what it is and what would work, and write nothing."""

import re

import numpy as np
import pandas as pd
import pytest

import lossreg
from lossreg import InputError
from lossreg.config import study

FRAME = pd.DataFrame({"a": np.arange(8.0), "b": np.arange(8.0) % 3, "y": list("pq" * 4)})
PAIRS = r"Give \(x, y\)"
WRONG = {
    "a number": (5, f"it is int, which is no data. {PAIRS}"),
    "a truth value": (True, f"it is bool, which is no data. {PAIRS}"),
    "bytes": (b"x", f"it is bytes, which is no data. {PAIRS}"),
    "a Series": (FRAME.y, rf"it is a single column \(Series\), which is no data. {PAIRS}, or a DataFrame"),
    "an array": (np.zeros((4, 2)), f"it is a single array, which is no data. {PAIRS}"),
    "an empty list": ([], f"it is an empty list, which is no data. {PAIRS}"),
    "a list of three numbers": ([1, 2, 3], f"it is a list of 3, which is no data. {PAIRS}"),
    "a pair of numbers": ((1, 2), f"it is a tuple of 2, which is no data. {PAIRS}"),
    "too many parts": ((FRAME, FRAME.y, FRAME.y, FRAME.y), f"it is a tuple of 4, which is no data. {PAIRS}"),
    "records": ([{"a": 1}] * 4, "a list of 4 dictionaries, which is no data. Give pandas.DataFrame of them"),
    "an empty dictionary": ({}, 'it is empty: no arrays x and y. Such as {"x"'),
    "a dictionary of something else": (
        {"a": [1, 2]},
        "no arrays x and y; it has a. .*a table of columns needs a target",
    ),
    "a dictionary of nothing": ({"x": None, "y": None}, "no arrays x and y: x and y are None"),
    "labels that are None": ((FRAME[["a"]], None), "y is None"),
    "a function": (lambda: FRAME, "it is a function, which is no data. Give what it returns"),
    "an empty frame": (pd.DataFrame(), "the table has no columns"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_data_is_named_in_the_words_of_python(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, message = WRONG[wrong]
    for call in (lossreg.init, lambda given: study.of({}, data=given)):
        with pytest.raises(InputError, match=f"^data: .*{message}"):
            call(rows)
    assert list(tmp_path.iterdir()) == []


def test_none_is_no_data_of_init_and_a_study_without_it_says_how_to_give_rows():
    with pytest.raises(InputError, match=f"^data: it is None, which is no data. {PAIRS}"):
        lossreg.init(None)
    for document, key in (({}, "data"), ({"data": {"target": "y"}}, "data.source")):
        with pytest.raises(InputError, match=f"^{key}: is missing.*rows in Python are given as data=rows"):
            study.of(document)


def test_a_frame_in_the_place_of_a_source_or_a_study_is_told_its_own():
    with pytest.raises(InputError, match=r"^data.source: must be text.*rows in Python are given as data=rows"):
        study.of({"data": {"source": FRAME, "target": "y"}})
    with pytest.raises(InputError, match=r"^data.source: the rows are given as data= too"):
        study.of({"data": {"source": FRAME, "target": "y"}}, data=FRAME)
    with pytest.raises(InputError, match=r"a study is a file or a table.*Rows are given beside it, as data=rows"):
        study.of(FRAME)
    with pytest.raises(InputError, match=re.escape("FRAME: is no file") + ".*A table in Python is given itself"):
        lossreg.init("FRAME", "y")


def test_text_in_the_place_of_rows_is_a_source():
    with pytest.raises(InputError, match=r"it is the text 'rows.csv'.*Name a file or a function as the study's source"):
        study.of({}, data="rows.csv")


def test_a_frame_without_rows_says_so():
    with pytest.raises(InputError, match=r"^data: no rows"):
        lossreg.init(FRAME.head(0), "y")


def test_arrays_may_still_be_given_as_a_list():
    assert lossreg.init([np.arange(60.0).reshape(30, 2), list("pq") * 15]).task.value == "binary"
