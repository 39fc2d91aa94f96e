from __future__ import annotations

from dataclasses import replace

import pytest

from lossreg.storage.verdict import Answer, Arm, Cause, Comparison
from lossreg.verdict.answers import answer, cause, is_unstable, recommend, shortage, shortage_of_tested


def interval(low: float, high: float) -> Comparison:
    return Comparison((low + high) / 2, low, high, share_won=0.5, detectable=0.1, repeats=20)


WINNER, BASELINE = (Arm(name, trial, name, 0.01, {}) for trial, name in enumerate(("focal", "cross_entropy")))


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.01, 0.03, 0.0, Answer.BETTER),
        (-0.03, -0.01, 0.0, Answer.WORSE),
        (-0.01, 0.03, 0.0, Answer.NO_DIFFERENCE),
        (0.0, 0.03, 0.0, Answer.NO_DIFFERENCE),
        (-0.03, 0.0, 0.0, Answer.NO_DIFFERENCE),
        (0.0, 0.0, 0.0, Answer.NO_DIFFERENCE),
        (0.0, 0.0, 0.001, Answer.EQUAL),
        (-0.01, 0.01, 0.02, Answer.EQUAL),
        (-0.01, 0.02, 0.02, Answer.NO_DIFFERENCE),
        (0.001, 0.01, 0.02, Answer.EQUAL),
        (-0.01, -0.001, 0.02, Answer.EQUAL),
        (0.001, 0.03, 0.02, Answer.BETTER),
        (-0.03, -0.001, 0.02, Answer.WORSE),
    ],
)
def test_the_answer_follows_from_the_interval_and_the_margin(
    low: float, high: float, margin: float, expected: Answer
) -> None:
    assert answer(interval(low, high), margin) is expected


@pytest.mark.parametrize(
    ("low", "high", "unseen", "expected"),
    [
        (-0.003, 0.003, 0.0, Answer.EQUAL),
        (-0.003, 0.003, 0.003, Answer.EQUAL),
        (-0.003, 0.003, 0.004, Answer.NO_DIFFERENCE),
        (0.001, 0.003, 0.0049, Answer.BETTER),
        (-0.003, -0.001, 0.0049, Answer.WORSE),
    ],
)
def test_arms_that_unseen_rows_may_tell_apart_are_not_equal(
    low: float, high: float, unseen: float, expected: Answer
) -> None:
    assert answer(replace(interval(low, high), unseen=unseen), 0.005) is expected


@pytest.mark.parametrize(
    ("default", "tuned", "margin", "expected"),
    [
        ((0.02, 0.04), (0.01, 0.02), 0.0, Answer.BETTER),
        ((0.02, 0.04), (-0.01, 0.02), 0.0, Answer.NO_DIFFERENCE),
        ((0.02, 0.04), (-0.03, -0.01), 0.0, Answer.NO_DIFFERENCE),
        ((-0.04, -0.02), (0.01, 0.02), 0.0, Answer.WORSE),
        ((0.001, 0.004), (0.001, 0.03), 0.01, Answer.BETTER),
        ((-0.001, 0.004), (0.001, 0.03), 0.01, Answer.NO_DIFFERENCE),
        ((-0.001, 0.004), (-0.002, 0.003), 0.01, Answer.EQUAL),
    ],
)
def test_a_tuned_decision_of_the_baseline_has_to_be_beaten_too(
    default: tuple[float, float], tuned: tuple[float, float], margin: float, expected: Answer
) -> None:
    assert answer(interval(*default), margin, interval(*tuned)) is expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.02, 0.04, Answer.NO_DIFFERENCE),
        (-0.001, 0.001, Answer.NO_DIFFERENCE),
        (-0.001, 0.03, Answer.NO_DIFFERENCE),
        (-0.04, -0.02, Answer.WORSE),
    ],
)
def test_where_tuned_decisions_were_not_compared_but_could_be_nothing_good_is_said(
    low: float, high: float, expected: Answer
) -> None:
    assert answer(interval(low, high), 0.01, lacks_tuned=True) is expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.02, 0.04, Answer.NO_DIFFERENCE), (-0.001, 0.001, Answer.NO_DIFFERENCE), (-0.04, -0.02, Answer.WORSE)],
)
def test_nothing_good_is_said_of_a_winner_that_lost_many_repeats(low: float, high: float, expected: Answer) -> None:
    assert answer(interval(low, high), 0.01, is_unstable=True) is expected


@pytest.mark.parametrize(
    ("scored", "repeats", "expected"),
    [(20, 20, False), (16, 20, False), (15, 20, True), (10, 20, True), (5, 6, False), (4, 6, True), (3, 4, True)],
)
def test_more_than_a_fifth_of_the_repeats_is_many(scored: int, repeats: int, expected: bool) -> None:
    assert is_unstable(scored, repeats) is expected


def by_scored(winner: int, baseline: int, comparison: Comparison | None, margin: float = 0.0) -> Arm:
    return recommend(WINNER, BASELINE, comparison, margin, scored={"winner": winner, "baseline": baseline}, repeats=20)


@pytest.mark.parametrize(
    ("winner", "baseline", "expected"),
    [(0, 0, BASELINE), (9, 9, BASELINE), (20, 3, WINNER), (4, 3, WINNER), (3, 20, BASELINE), (1, 0, WINNER)],
)
def test_without_a_comparison_the_data_are_not_enough_and_the_loss_with_more_repeats_is_taken(
    winner: int, baseline: int, expected: Arm
) -> None:
    assert answer(None) is Answer.NOT_ENOUGH_DATA
    assert by_scored(winner, baseline, None) is expected


@pytest.mark.parametrize(
    ("winner", "baseline", "expected"),
    [(20, 20, WINNER), (16, 20, WINNER), (15, 20, BASELINE), (12, 12, WINNER), (12, 11, WINNER)],
)
def test_a_winner_that_lost_many_repeats_and_more_than_the_baseline_is_not_recommended(
    winner: int, baseline: int, expected: Arm
) -> None:
    assert by_scored(winner, baseline, interval(0.01, 0.03)) is expected


@pytest.mark.parametrize(
    ("against_same_rate", "same_rate", "expected"),
    [
        (None, True, Cause.LOSS),
        (None, False, Cause.LOSS_OR_RATE),
        (interval(0.01, 0.03), False, Cause.LOSS),
        (interval(-0.01, 0.03), False, Cause.LOSS_OR_RATE),
        (interval(-0.03, -0.01), False, Cause.LOSS_OR_RATE),
    ],
)
def test_the_loss_is_the_cause_where_the_rate_cannot_be(
    against_same_rate: Comparison | None, same_rate: bool, expected: Cause
) -> None:
    assert cause(Answer.BETTER, against_same_rate, same_rate=same_rate) is expected
    for other in set(Answer) - {Answer.BETTER}:
        assert cause(other, against_same_rate, same_rate=same_rate) is None


@pytest.mark.parametrize(
    ("difference", "margin", "expected"),
    [(0.01, 0.0, WINNER), (0.0, 0.0, BASELINE), (-0.01, 0.0, BASELINE), (0.01, 0.01, BASELINE), (0.02, 0.01, WINNER)],
)
def test_the_estimate_decides_what_to_train_with(difference: float, margin: float, expected: Arm) -> None:
    comparison = Comparison(difference, -1.0, 1.0, share_won=0.5, detectable=0.1, repeats=20)
    assert by_scored(20, 20, comparison, margin) is expected


@pytest.mark.parametrize(
    ("rows", "counts", "reason"),
    [
        (99, None, "99 rows, and a verdict needs at least 100"),
        (99, {"a": 50, "b": 49}, "99 rows, and a verdict needs at least 100"),
        (100, {"a": 71, "b": 29}, "29 rows of class 'b', and a verdict needs at least 30 of each"),
        (
            100,
            {"a": 60, "b": 25, "c": 15},
            "15 rows of class 'c' (and 1 more class has too few), and a verdict needs at least 30 of each",
        ),
        (
            150,
            {"a": 90, "b": 25, "c": 15, "d": 20},
            "15 rows of class 'c' (and 2 more classes have too few), and a verdict needs at least 30 of each",
        ),
        (100, {"a": 70, "b": 30}, ""),
        (100, {}, ""),
        (100, None, ""),
    ],
)
def test_too_few_rows_are_told_in_words(rows: int, counts: dict[str, int] | None, reason: str) -> None:
    assert shortage(rows, counts) == reason


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"a": 50, "b": 5}, ""),
        ({}, ""),
        ({"a": 50, "b": 4}, "4 test rows of class 'b', and a verdict by f1_macro needs at least 5 of each"),
        ({"a": 1, "b": 4}, "1 test row of class 'a', and a verdict by f1_macro needs at least 5 of each"),
    ],
)
def test_too_few_test_rows_of_a_class_are_told_in_words(counts: dict[str, int], reason: str) -> None:
    assert shortage_of_tested(counts, "f1_macro") == reason
