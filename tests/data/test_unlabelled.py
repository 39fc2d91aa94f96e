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
    with pytest.raises(
        DataError, match=r"2 of 120 labels are not numbers \('\?'\), the first in lines 5, 52 of the file\. Set data"
    ):
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


@pytest.mark.parametrize("values", [["0", "1"], ["False", "True"], ["0.5", "1.5"]])
@pytest.mark.parametrize("gapped", ["rows.csv", "further.csv"])
def test_a_gap_in_one_file_alone_leaves_the_classes_of_both(tmp_path, values, gapped):
    options = Options(drop_unlabelled=True, na_values=("?",) if values[0] == "False" else ())
    frames = {"rows.csv": rows(y=values * (N // 2)), "further.csv": rows(y=values * (N // 2)).head(40)}
    frames[gapped].loc[3, "y"] = "?"
    for name, frame in frames.items():
        frame.to_csv(tmp_path / name, index=False)
    dataset = data.load(
        "rows.csv", target="y", task="binary", test="further.csv", base=tmp_path, options=options, ties_twins=False
    )
    wanted = np.arange(N + 40) % 2
    np.testing.assert_array_equal(dataset.rows.labels.y, np.delete(wanted, N + 3 if gapped == "further.csv" else 3))
    assert dataset.classes == tuple(values)


def test_a_sign_in_another_file_is_named_with_its_line(tmp_path):
    rows(y=["?", *["0", "1"] * 10, "1"] + [None] * (N - 22)).head(22).to_csv(tmp_path / "further.csv", index=False)
    with pytest.raises(
        DataError, match=r"1 of 142 labels is not a number \('\?'\), the first in line 2 of further.csv"
    ):
        loaded(tmp_path, rows(y=[0, 1] * (N // 2)), "y", test="further.csv")


def test_words_that_are_missing_labels_are_shown(tmp_path):
    told = "are 'NA', which counts as missing in text files: if it is a class, write another word, such as 'NA_'"
    frame = rows(y=["NA", "EU", "AS"] * (N // 3), c=["NA", "none"] * (N // 2))
    assert f"40 labels {told}." in loaded(tmp_path, frame, "y", DROPPED).notes
    with pytest.raises(DataError, match=rf"40 of 120 labels are missing .* 40 labels {told}. Set data.drop_unlabelled"):
        loaded(tmp_path, frame, "y")
    with pytest.raises(DataError, match=rf"one class only \(EU\)\. 60 labels {told}"):
        loaded(tmp_path, frame.assign(y=["NA", "EU"] * (N // 2)), "y", DROPPED)
    with pytest.raises(DataError, match=r"no row has a label\. 120 labels are 'None', which counts"):
        loaded(tmp_path, frame.assign(y="None"), "y", DROPPED)


def test_words_that_are_missing_values_are_shown_with_their_number(tmp_path):
    frame = rows(c=["NA", "none", "", "None"] * (N // 4), d=["NA", "1"] * (N // 2), y=[0, 1] * (N // 2))
    notes = loaded(tmp_path, frame, "y").notes
    assert [note for note in notes if "text files" in note] == [
        "c: 60 of 120 values are 'NA' or 'None', which count as missing in text files."
    ]


@pytest.mark.parametrize(
    ("known", "new", "told"),
    [
        (["no", "yes"], ["NO", "YES"], "The others differ in upper and lower case only"),
        (["no", "yes"], ["0", "1"], "Write the same classes alike"),
        (["0", "1"], ["no", "yes"], "Write the same classes alike"),
        (["no", "yes"], ["no", "maybe"], "drop or merge rare ones"),
    ],
)
@pytest.mark.parametrize("part", ["test", "validation"])
def test_classes_of_another_file_alone_are_named_with_it(tmp_path, known, new, told, part):
    rows(y=new * (N // 2)).to_csv(tmp_path / "further.csv", index=False)
    lacking = ", ".join(sorted(set(new) - set(known)))
    match = rf"no training row of class {lacking}, which lines .* of further.csv have. Training rows have {known[0]}, "
    with pytest.raises(DataError, match=rf"{match}{known[1]}\. .*{told}"):
        loaded(tmp_path, rows(y=known * (N // 2)), "y", **{part: "further.csv"})


@pytest.mark.parametrize("part", ["rows", "test"])
def test_counts_that_are_no_whole_numbers_are_noted(tmp_path, part):
    counts = np.arange(N) % 7
    rows(y=counts + 0.5 * (part == "test")).head(40).to_csv(tmp_path / "further.csv", index=False)
    frame = rows(y=np.where(np.arange(N) < 40, 0.5 * (part == "rows"), 0) + counts)
    notes = loaded(tmp_path, frame, "y", task="count", test="further.csv").notes
    first = "line 2 of rows.csv" if part == "rows" else "line 2 of further.csv"
    assert any(note.startswith(f"40 of 160 labels are no whole numbers (0.5 in {first})") for note in notes)
    whole = loaded(tmp_path, rows(y=counts), "y", task="count")
    assert not any("whole numbers" in note for note in whole.notes)
