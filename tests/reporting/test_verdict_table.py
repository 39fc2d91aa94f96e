"""The comparisons of a verdict as a table."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import sample_verdict
from rich.console import Console
from sample_verdict import CASES, compared

from lossreg.reporting import verdict, verdict_table
from lossreg.storage.verdict import OF_FOLDS, Answer

MEASURED = re.compile(r"95% interval|repeated training")


def shown(result, width=80):
    """The table's lines without the rule, each as its cells."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(verdict_table.table(result, result.verdict))
    return [re.split(r"\s{2,}", line.strip()) for line in capture.get().splitlines() if line.strip(" ─")]


def with_scores(result, winner, baseline):
    of = result.verdict
    return replace(of, winner=replace(of.winner, score=winner), baseline=replace(of.baseline, score=baseline))


@pytest.mark.parametrize(("direction", "is_better"), [("maximize", "higher"), ("minimize", "lower")])
def test_gains_are_above_0_where_the_winner_is_better_whatever_the_direction(direction, is_better):
    result = sample_verdict.study("better, because of the loss", direction, against_tuned_decision=compared(0.0, 0.01))
    result.verdict = with_scores(result, 0.9314, 0.9004)
    rows = {name: cells for name, *cells in shown(result)[2:]}
    assert shown(result)[0] == [f"f1_macro on 500 test rows, {is_better} is better"]
    assert rows == {
        "focal": ["0.931", "+0.031", "+0.012 to +0.050", "19 of 20"],
        "cross_entropy": ["0.900"],
        "same learning rate for both": ["+0.025", "+0.006 to +0.044", "14 of 20"],
        "tuned threshold for both": ["0.000", "-0.010 to +0.010", "14 of 20"],
    }


def test_an_interval_that_is_very_narrow_does_not_lengthen_the_other_numbers():
    narrow = compared(-3.5e-09, 2e-08)
    result = sample_verdict.study("no difference, ahead", against_same_rate=narrow)
    result.verdict = with_scores(result, 0.9314, 0.9194)
    assert [cells[1:3] for cells in shown(result)[2:4]] == [["0.93140", "+0.01200"], ["0.91940"]]
    assert shown(result)[4][1:3] == ["0.00000", "0.00000 to 0.00000"]


def test_outer_folds_compare_what_each_chose():
    result = sample_verdict.study("better, because of the loss", outer=5)
    title, _, winner, *_ = shown(result)
    assert title == ["f1_macro on all 500 rows in 5 outer folds, higher is better"]
    assert winner[0] == OF_FOLDS


def test_a_tie_counts_half_and_lost_repeats_are_not_counted():
    main = compared(0.03, 0.02, share_won=0.75, repeats=18)
    result = sample_verdict.study("better, because of the loss", against_baseline=main)
    assert shown(result)[2][-1] == "75% of 18"
    assert shown(result)[-1] == ["A tie counts half."]
    result = sample_verdict.study("no difference at all")
    assert {"50% of 20", "A tie counts half."} < {cells[-1] for cells in shown(result)}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize(("scores", "is_exact"), [((0.6056, 0.5942), False), ((0.6056, 0.5946), True)])
def test_a_gain_that_is_not_the_difference_of_the_rounded_scores_is_explained(direction, scores, is_exact):
    main = compared(abs(scores[0] - scores[1]), 0.016)
    result = sample_verdict.study("no difference, ahead", direction, against_baseline=main)
    result.verdict = with_scores(result, *(scores if direction == "maximize" else scores[::-1]))
    rows = {name: cells for name, *cells in shown(result)}
    assert rows["focal"][1] == "+0.011"
    assert ("The gain is that of the scores before they are rounded." in rows) is not is_exact


def test_a_gain_of_large_scores_that_is_shown_in_tens_is_their_difference():
    result = sample_verdict.study("no difference, ahead", against_baseline=compared(123.4, 150.0))
    result.verdict = with_scores(result, 1003.4, 880.0)
    rows = {name: cells for name, *cells in shown(result)}
    assert (rows["focal"][:2], rows["cross_entropy"][0]) == (["1003", "+120"], "880")
    assert not any(name.startswith("The gain is") for name in rows)


def test_without_a_comparison_there_is_no_table():
    result = sample_verdict.study("not enough data")
    assert verdict_table.table(result, result.verdict) is None


@pytest.mark.parametrize("case", [case for case, (_, main, _) in CASES.items() if main])
def test_the_sentences_beside_the_table_do_not_repeat_what_was_measured(case):
    result = sample_verdict.study(case, metric="f1_macro", against_tuned_decision=compared(0.02, 0.006))
    all_said = verdict.evidence(result, result.verdict)
    beside = verdict.evidence(result, result.verdict, has_table=True)
    further = set(beside) - set(all_said)
    clear = "With a tuned threshold for both, the interval lies above 0: there focal is better."
    is_told = result.verdict.answer is Answer.WORSE
    alone = "The gain is not one of the threshold alone." if result.verdict.answer is Answer.BETTER else clear
    assert further == (set() if is_told else {alone})
    # but for the comparison that a cause is concluded from
    concluded = [line for line in beside if "because of" in line or "may have done it" in line]
    assert not any(MEASURED.search(line) for line in beside if line not in concluded)
