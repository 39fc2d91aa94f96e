"""What a study is told beforehand of a verdict that its rows are too few for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lossreg
from lossreg.contract.data_options import GIVEN
from lossreg.data import load
from lossreg.metrics import catalogue
from lossreg.search import run
from lossreg.search.outline import plan
from lossreg.verdict import shortage

FEW = "{} rows of class {!r}{}, and a verdict needs at least 30 of each; more rows of rare classes{} would allow one"
MERGED = ", or these merged with others,"


def table(*sizes, groups=None):
    """Rows of so many classes: a, b, ...; groups: so many rows of each."""
    y = np.repeat([*"abcdef"[: len(sizes)]], sizes)
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=len(y)), "y": y})
    return frame if groups is None else frame.assign(customer=np.arange(len(y)) // groups)


@pytest.mark.parametrize(
    ("rows", "keys", "reason"),
    [
        (table(60, 39), {}, "99 rows, and a verdict needs at least 100; more rows would allow one"),
        (table(70, 30), {}, ""),
        (table(90, 29), {}, FEW.format(29, "b", "", "")),
        (table(90, 20, 20), {}, FEW.format(20, "b", " (and 1 more class has too few)", MERGED)),
        (table(90, 15, 14), {}, FEW.format(14, "c", " (and 1 more class has too few)", "")),
        (
            table(180, 90, groups=3), {"group": "customer"},
            "90 groups, and a verdict needs at least 100; more groups would allow one",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("outer", [None, 0, 5])
def test_too_few_rows_are_told_with_what_would_be_enough(rows, keys, reason, outer):
    dataset = load(GIVEN, given=rows, target="y", **keys)
    told = shortage.foreseen(dataset, catalogue.resolve("f1_macro", dataset.task), outer)
    assert told == (f"{shortage.START}: {reason}" if reason else "")


TESTED = "4 test rows of class 'b', and a verdict by f1_macro needs at least 5 of each; "
ALL = "verdict.outer = 5, which tests every row once, would allow one"


@pytest.mark.parametrize(
    ("rare", "key", "outer", "reason"),
    [
        (4, "split", None, f"{TESTED}{ALL}"),
        (4, "split", 0, f"{TESTED}{ALL}"),
        (4, "split", 5, ""),
        (5, "split", None, ""),
        (4, "time", None, f"{TESTED}more test rows would allow one"),
        (4, "", None, ""),  # outer folds, unless they take long
        (4, "", 0, ""),  # test rows are drawn by class
    ],
)
def test_too_few_test_rows_are_told_where_no_outer_folds_are_taken(rare, key, outer, reason):
    """The last fifth of the rows is tested, of which some are of class b."""
    when = np.arange(300)
    y, part = np.where((when < 60) | (when >= 300 - rare), "b", "a"), np.where(when < 240, "train", "test")
    x = np.random.default_rng(0).normal(size=300)
    frame = pd.DataFrame({"x": x, "y": y, "split": part, "time": when})
    named = frame.drop(columns=[name for name in ("split", "time") if name != key])
    dataset = load(GIVEN, given=named, target="y", **({key: key} if key else {}))
    told = shortage.foreseen(dataset, catalogue.resolve("f1_macro", "binary"), outer)
    assert told == (f"{shortage.START}: {reason}" if reason else "")


def test_a_dry_run_tells_it_of_a_study_that_wants_a_verdict(tmp_path):
    table(90, 29).to_csv(tmp_path / "rows.csv", index=False)
    document = {
        "name": "few", "data": {"source": str(tmp_path / "rows.csv"), "target": "y"}, "model": {"hidden": [4]},
        "losses": {"cross_entropy": {}, "focal": {}}, "tracking": {"enabled": False},
    }  # fmt: skip
    told = {enabled: plan(document, [f"verdict.enabled={enabled}"]).notes for enabled in ("true", "false")}
    assert [sum(shortage.START in note for note in notes) for notes in told.values()] == [1, 0]


@pytest.mark.long
def test_the_note_goes_where_a_verdict_comes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    when = np.arange(300)
    y, part = np.where((when < 60) | (when >= 296), "b", "a"), np.where(when < 240, "train", "test")
    x = np.random.default_rng(0).normal(size=300)
    pd.DataFrame({"x": x, "y": y, "split": part}).to_csv(tmp_path / "rows.csv", index=False)
    document = {
        "name": "few", "model": {"hidden": [4]}, "train": {"epochs": 1}, "search": {"trials": 2, "metric": "f1_macro"},
        "data": {"source": str(tmp_path / "rows.csv"), "target": "y", "split": "split"},
        "losses": {"cross_entropy": {}, "binary_focal": {}}, "tracking": {"enabled": False},
    }  # fmt: skip
    before = lossreg.tune(document)
    after = run.verdict(document | {"verdict": {"outer": 5, "repeats": 2}})
    assert (before.verdict.repeats, after.verdict.repeats) == (0, 2)
    assert [sum(note.startswith(shortage.START) for note in one.notes) for one in (before, after)] == [1, 0]
