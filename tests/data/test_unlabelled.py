"""Rows without a label, against pandas: in one column, in several, among numbers in text, and in files of their own."""

import numpy as np
import pandas as pd
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.errors import DataError

N = 120
DROPPED = Options(drop_unlabelled=True)
NAMED = Options(drop_unlabelled=True, na_values=("?",))


def rows(**columns):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N), **columns})


def several(gap, *places):
    """Two columns of 0 and 1 as text, with gaps at places (column, row)."""
    rng = np.random.default_rng(1)
    frame = rows(**{name: rng.integers(0, 2, N).astype(str).astype(object) for name in ("l1", "l2")})
    for name, row in places:
        frame.loc[row, name] = gap
    return frame


def loaded(tmp_path, frame, target, options=None, **further):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return data.load("rows.csv", target=target, base=tmp_path, options=options, **further)


@pytest.mark.parametrize("gap", ["?", ""])
def test_several_labels_with_gaps_are_those_of_the_other_rows(tmp_path, gap):
    frame = several(gap, ("l1", 3), ("l2", 3), ("l2", 70))
    dataset = loaded(tmp_path, frame, ["l1", "l2"], NAMED)
    kept = frame[~frame[["l1", "l2"]].eq(gap).any(axis=1)]
    np.testing.assert_array_equal(dataset.rows.labels.y, kept[["l1", "l2"]].astype(int))
    assert dataset.task == "multilabel"
    assert "2 of 120 rows have not all labels: left out." in dataset.notes


def test_truth_values_with_gaps_are_several_labels_too():
    frame = several("", ("l1", 3))
    frame[["l1", "l2"]] = frame[["l1", "l2"]].replace({"0": False, "1": True, "": None})
    dataset = data.load("data=", given=frame, target=["l1", "l2"], options=DROPPED)
    np.testing.assert_array_equal(dataset.rows.labels.y, frame[["l1", "l2"]].drop(3).astype(int))


def test_gaps_in_several_labels_are_counted_by_rows(tmp_path):
    with pytest.raises(DataError, match=r"1 of 120 rows has a label that is missing \(NaN\), the first in line 5 of"):
        loaded(tmp_path, several("", ("l1", 3), ("l2", 3)), ["l1", "l2"])
    with pytest.raises(DataError, match=r"holds '\?': 1 of 120 values is no number. Name it in data.na_values"):
        loaded(tmp_path, several("?", ("l1", 3)), ["l1", "l2"])


@pytest.mark.parametrize("task", ["auto", "multiclass"])
@pytest.mark.parametrize("options", [DROPPED, NAMED])
def test_whole_numbers_with_a_gap_are_classes_in_the_order_of_numbers(tmp_path, task, options):
    grades = np.random.default_rng(2).integers(8, 13, N)
    frame = rows(y=grades.astype(str).astype(object))
    frame.loc[[3, 50], "y"] = "?"
    dataset = loaded(tmp_path, frame, "y", options, task=task)
    assert dataset.classes == ("8", "9", "10", "11", "12")
    np.testing.assert_array_equal(dataset.rows.labels.y + 8, np.delete(grades, [3, 50]))
    with pytest.raises(DataError, match=r"2 of 120 labels are not numbers \('\?'\)\. Set data.drop_unlabelled = true"):
        loaded(tmp_path, frame, "y", task=task)


def test_a_sign_among_words_and_a_word_among_numbers_are_classes(tmp_path):
    words = rows(y=["yes", "no", "?"] * (N // 3))
    assert loaded(tmp_path, words, "y", DROPPED).classes == ("?", "no", "yes")
    numbers = rows(y=["1", "2", "unknown"] * (N // 3))
    assert loaded(tmp_path, numbers, "y", DROPPED, task="multiclass").classes == ("1", "2", "unknown")


def test_one_label_that_is_missing_is_told_in_the_singular(tmp_path):
    with pytest.raises(DataError, match=r"1 of 120 labels is missing \(NaN\), the first in line 9 of the file"):
        loaded(tmp_path, rows(y=np.where(np.arange(N) == 7, np.nan, np.arange(N) % 2)), "y")


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_file_without_labels_is_named_by_its_part(tmp_path, part):
    frame = rows(y=["p", "q"] * (N // 2))
    frame.head(40).assign(y=None).to_csv(tmp_path / "further.csv", index=False)
    with pytest.raises(DataError, match=f"{part}: no label in any of its 40 rows. Give rows with labels"):
        loaded(tmp_path, frame, "y", DROPPED, **{part: "further.csv"})
