"""Points in the numbers of a text file, which may be decimal points or stand between thousands."""

import pandas as pd
import pytest

from lossreg import data
from lossreg.contract.data_options import Options

N = 60
TOLD = "'94.158' is read as 94.158 and could mean 94158; data.thousands = \".\" says"


def loaded(tmp_path, numbers, options=None, gap="703", **named):
    column = [numbers[i % len(numbers)] for i in range(N)]
    column[7] = gap
    frame = pd.DataFrame({"a": column, "b": range(N), "c": ["u", "v"] * (N // 2), "y": [i // 2 % 2 for i in range(N)]})
    frame.to_csv(tmp_path / "rows.csv", sep=";", index=False)
    return data.load("rows.csv", **{"target": "y", "base": tmp_path, "options": options, **named})


def doubts(dataset):
    return [note for note in dataset.notes if "could mean" in note]


NOTED = ["94.158", "703", "68.070", "521"]


@pytest.mark.parametrize("gap", ["703", "", "?"])
def test_numbers_that_may_be_thousands_are_noted(tmp_path, gap):
    assert [note.startswith(f"a: {TOLD}") for note in doubts(loaded(tmp_path, NOTED, gap=gap))] == [True]


@pytest.mark.parametrize("named", [{"time": "a"}, {"weight": "a"}, {"target": "a", "drop": ["b"]}], ids=str)
def test_so_are_those_of_columns_that_are_no_features(tmp_path, named):
    assert [note.startswith(f"a: {TOLD}") for note in doubts(loaded(tmp_path, NOTED, **named))] == [True]


@pytest.mark.parametrize("other", ["1703", "0.158", "94.15", "094.158", "1094.158", "94.1580"])
def test_numbers_that_can_be_no_thousands_are_decimals_without_a_note(tmp_path, other):
    assert doubts(loaded(tmp_path, [*NOTED, other])) == []


def test_beside_decimal_commas_the_note_says_what_is_read(tmp_path):
    points = [f"{100 + i}.625" for i in range(N)]
    frame = pd.DataFrame({"a": points, "b": [f"{i},40" for i in range(N)], "y": [i // 2 % 2 for i in range(N)]})
    frame.to_csv(tmp_path / "rows.csv", sep=";", index=False)
    dataset = data.load("rows.csv", target="y", base=tmp_path)
    about = [note for note in dataset.notes if note.startswith("a: ")]
    assert len(about) == 1
    assert "'100.625' is read as 100625 and could mean 100.625" in about[0]
    assert dataset.rows.readings[""].apply(dataset.rows.raw.x)[0]["a"].max() == 159625


def test_few_such_numbers_and_marks_that_are_said_have_no_note(tmp_path):
    few = [f"{i}" if i > 3 else f"{i + 1}.158" for i in range(N)]
    assert doubts(loaded(tmp_path, few)) == []
    dataset = loaded(tmp_path, ["94.158", "703"], Options(thousands="."))
    assert doubts(dataset) == []
    assert dataset.rows.raw.x["a"].max() == 94158
