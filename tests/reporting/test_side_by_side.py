"""Several studies side by side: what cannot be compared is said, and names of studies are only names."""

from __future__ import annotations

import dataclasses
import re

import pytest
import sample_study as sample
import sample_verdict
from rich.console import Console

from lossreg.reporting import side_by_side, tables, verdict
from lossreg.storage.confirmation import Confirmation
from lossreg.storage.constraints import Constraint

STUDY = sample.study(4)
SPEC = STUDY.spec
OTHERS = {
    "metric": {"metric": "f1"},
    "data": {"data": {**STUDY.data, "digest": "other"}},
    "the seed of the split": {"spec": {**SPEC, "search": {**SPEC["search"], "seed": 1}}},
    "folds": {"spec": {**SPEC, "data": {"folds": 5}}},
    "classes or which of two is positive": {"data": {**STUDY.data, "classes": {"b": 20, "a": 10}}},
    "what is scored (validation rows: a; 5 fresh splits: b)": {
        "confirmation": Confirmation(4, 5, {0: (0.9,) * 5}, ratio=0.25)
    },
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_keeps_scores_from_being_compared_is_named(name):
    other = dataclasses.replace(STUDY, **OTHERS[name])
    [remark] = side_by_side.remarks({"a": STUDY, "b": other})
    assert f"differ in {name}" in remark


def test_a_study_without_a_score_has_none_that_cannot_be_compared():
    confirmed = dataclasses.replace(STUDY, **OTHERS["what is scored (validation rows: a; 5 fresh splits: b)"])
    assert side_by_side.remarks({"a": confirmed, "b": dataclasses.replace(STUDY, trials=[])}) == []


def test_studies_alike_have_no_remark():
    assert side_by_side.remarks({"a": STUDY, "b": dataclasses.replace(STUDY, study="b", trials=STUDY.trials[:2])}) == []


def test_constraints_are_named_where_a_study_has_some():
    bound = dataclasses.replace(STUDY, constraints=(Constraint("recall", 0.9, "maximize"),))
    assert side_by_side.facts({"a": bound, "b": STUDY})["constraints"] == ["recall >= 0.9", ""]
    assert "constraints" not in side_by_side.facts({"b": STUDY})


def test_data_without_a_digest_are_not_taken_as_the_same():
    nameless = dataclasses.replace(STUDY, data={**STUDY.data, "digest": None})
    [remark] = side_by_side.remarks({"a": nameless, "b": nameless})
    assert "Nothing says that the data are the same: a, b" in remark


def test_the_gain_is_that_of_the_verdict():
    result = sample_verdict.study("better, at the same rate")
    [shown] = side_by_side.facts({"a": result})["gain"]
    sentence = verdict.evidence(result, result.verdict)[0]
    numbers = re.findall(r"\d\.\d+", sentence)[:3]  # the difference and the ends of its interval, all higher
    assert shown == "focal over cross_entropy on 500 test rows: +{} (95% interval: +{} to +{})".format(*numbers)


@pytest.mark.parametrize(("end", "sign"), [("low", "-"), ("high", "+")])
def test_a_gain_whose_interval_has_no_end_is_left_out(end, sign):
    known = sample_verdict.study("better, at the same rate")
    comparison = dataclasses.replace(known.verdict.against_baseline, **{end: float(f"{sign}inf")})
    unknown = dataclasses.replace(known, verdict=dataclasses.replace(known.verdict, against_baseline=comparison))
    first, second = side_by_side.facts({"a": unknown, "b": known})["gain"]
    assert first == ""
    assert "+" in second


def test_what_to_train_with_is_told_of_a_verdict_alone():
    known = sample_verdict.study("better, at the same rate")
    rows = side_by_side.facts({"a": known, "b": sample.study(4)})
    assert rows["verdict"][0].startswith("Train with focal(gamma=2.1)")
    assert rows["recommended"] == [f"focal, learning rate {known.recommended.learning_rate:.5g}", ""]
    assert [bool(cell) for cell in rows["best so far"]] == [False, True]


def test_a_loss_has_one_row_whatever_its_candidate_is_called_unless_it_has_several():
    other = {"ce": "cross_entropy", "soft": "focal", "hard": "focal"}
    renamed = [dataclasses.replace(trial, candidate="ce") for trial in STUDY.trials if trial.loss == "cross_entropy"]
    other = dataclasses.replace(STUDY, study="b", losses=other, trials=renamed, baseline="ce")
    rows = side_by_side.scores({"a": STUDY, "b": other})
    assert [trial is not None for trial in rows["cross_entropy / ce"]] == [True, True]
    assert rows.keys() == {"cross_entropy / ce", *STUDY.losses.keys() - {"cross_entropy"}, "soft", "hard"}
    assert "cross_entropy / ce: one loss under several names." in side_by_side.remarks({"a": STUDY, "b": other})


def test_a_loss_is_called_as_all_studies_call_it():
    losses = {"cross_entropy": "cross_entropy", "gce": "generalized_cross_entropy"}
    one = sample.study(0, losses=losses, trials=[sample.trial(0, "gce")])
    assert list(side_by_side.scores({"a": one, "b": one})) == ["gce", "cross_entropy"]
    # the same name of two losses
    other = dataclasses.replace(one, losses={"cross_entropy": "cross_entropy", "gce": "focal"})
    assert set(side_by_side.scores({"a": one, "b": other})) == {
        "cross_entropy", "gce (generalized_cross_entropy)", "gce (focal)",
    }  # fmt: skip


def test_rows_are_of_one_loss_where_a_study_has_a_loss_twice():
    twice = {"ce": "cross_entropy", "ce2": "cross_entropy", "focal": "binary_focal", "ab": "binary_focal"}
    one = sample.study(0, losses=twice, baseline="ce", trials=[sample.trial(0, "ce"), sample.trial(1, "focal")])
    other = sample.study(0, losses={"ce": "cross_entropy", "focal": "focal"}, baseline="ce", trials=one.trials)
    rows = side_by_side.scores({"a": one, "b": other})
    known = {name: [trial is not None for trial in row] for name, row in rows.items()}
    assert known == {
        "ce": [True, True], "ce2": [False, False], "ab": [False, False],
        "focal (binary_focal)": [True, False], "focal (focal)": [False, True],
    }  # fmt: skip


def test_studies_that_can_be_compared_are_named_where_another_cannot():
    other = dataclasses.replace(STUDY, metric="f1")
    [remark] = side_by_side.remarks({"a": STUDY, "b": STUDY, "c": other})
    assert remark == "Scores can only be compared between a and b: the studies differ in metric."


@pytest.mark.parametrize("name", ["a[/b]", "[bold]x", "[red", "a]b["])
def test_names_of_studies_are_no_markup(name):
    console = Console(width=60, color_system=None)
    with console.capture() as capture:
        console.print(tables.table(name, {"": "left", name: "left"}, [[name, name]]))
    assert capture.get().count(name) == 4
