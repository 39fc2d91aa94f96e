"""Winner and baseline are chosen by scores on fresh splits, not by the score that the search selected."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
import sample_study as sample
from scipy.stats import t, ttest_rel

from lossreg.search import confirming

RATIO = 0.25  # validation rows per training row
# number, candidate, validation score of the search, scores on fresh splits
TRIALS = [
    (0, "ce", 0.90, (0.80, 0.82)),
    (1, "ce", 0.89, (0.84, 0.86)),
    (2, "focal", 0.95, (0.70, 0.72)),
    (3, "focal", 0.94, (0.88, 0.90)),
    (4, "mae", 0.93, (0.99, math.nan)),
]


def study(direction, trials=TRIALS):
    sign = 1 if direction == "maximize" else -1
    records = [sample.trial(number, name, "complete", score=sign * score) for number, name, score, _ in trials]
    losses = dict.fromkeys(("ce", "focal", "mae"), "x")
    return sample.study(0, losses=losses, baseline="ce", direction=direction, trials=records)


def confirmed(direction, trials=TRIALS):
    result, sign = study(direction, trials), 1 if direction == "maximize" else -1
    scores = {number: [sign * score for score in scores] for number, _, _, scores in trials}
    result.confirmation = confirming.confirmed(result, scores, 2, ratio=RATIO, reason="went non-finite")
    return result


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_mean_on_fresh_splits_wins_and_one_that_diverged_does_not(direction):
    result = confirmed(direction)
    winner, baseline = confirming.choose(result)
    assert (winner.number, baseline.number, result.best.number) == (3, 1, 3)


@pytest.mark.parametrize(("missing", "chosen"), [("ce", (3, None)), ("focal", (None, 1))])
def test_there_is_no_choice_without_the_baseline_or_without_another_loss(missing, chosen):
    choice = confirming.choose(confirmed("maximize", [trial for trial in TRIALS if trial[1] != missing]))
    assert tuple(trial and trial.number for trial in choice) == chosen


def test_without_fresh_splits_the_scores_of_the_search_choose():
    assert tuple(trial.number for trial in confirming.choose(study("maximize"))) == (2, 0)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_candidates_stand_in_the_order_of_their_means_and_those_without_come_last(direction):
    board = confirmed(direction).ranking()
    assert [(row.candidate, row.best.number, row.rank) for row in board] == [
        ("focal", 3, 1),
        ("ce", 1, 2),
        ("mae", 4, 3),
    ]
    assert [row.confirmed and abs(row.confirmed.mean) for row in board] == [
        pytest.approx(0.89),
        pytest.approx(0.85),
        None,
    ]


def test_the_error_of_a_mean_counts_the_rows_that_splits_share():
    """Nadeau and Bengio: the variance is (1/k + n_validation/n_training) times that of the scores."""
    score = confirmed("maximize").ranking()[0].confirmed
    assert score.error == pytest.approx(statistics.stdev((0.88, 0.90)) * math.sqrt(1 / 2 + RATIO))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_setting_of_each_candidate_is_compared_with_that_of_the_first(direction):
    """Against SciPy's paired t-test, its standard error larger by the rows that splits share (Nadeau and Bengio)."""
    trials = [(0, "ce", 0.9, (0.80, 0.83, 0.84)), (1, "focal", 0.8, (0.84, 0.85, 0.88))]
    result = confirmed(direction, trials)
    (p_value,) = result.confirmation.p_values.values()
    statistic = ttest_rel(trials[1][3], trials[0][3]).statistic * math.sqrt((1 / 3) / (1 / 3 + RATIO))
    assert list(result.confirmation.p_values) == ["ce"]
    # twice, since either of the two might have been the first
    assert p_value == pytest.approx(2 * t.sf(statistic, 2))
    assert [(one.candidate, one.p_value) for one in confirming.reevaluated(result)] == [
        ("focal", None),
        ("ce", p_value),
    ]


@pytest.mark.parametrize(("candidates", "expected"), [(1, 5), (2, 5), (4, 5), (7, 3), (20, 1), (69, 1)])
def test_about_twenty_settings_are_trained_again(candidates, expected):
    assert confirming.settings(candidates, 64) == expected


def test_the_contenders_are_the_best_settings_of_each_candidate():
    trials = [(n, name, 0.1 * n, ()) for n, name in enumerate(["ce"] * 18 + ["focal"] * 2)]
    numbers = [trial.number for trial in confirming.contenders(study("maximize", trials))]
    assert numbers == [17, 16, 15, 19, 18]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_of_each_candidate_on_fresh_splits_stays_a_contender_when_better_scores_of_the_search_come(direction):
    sign = 1 if direction == "maximize" else -1
    result = confirmed(direction, TRIALS[:4])
    added = [(number, name, 0.96, ()) for number, name in enumerate(["ce", "ce", "focal", "focal", "mae"], start=4)]
    for number, name, score, _ in added:
        result.add(sample.trial(number, name, "complete", score=sign * score))
    former = confirmed(direction, TRIALS[:4]).confirmation
    # one setting of each; trials 1 and 3 were the best on the fresh splits
    assert [trial.number for trial in confirming.contenders(result, 3)] == [4, 6, 8]
    assert [trial.number for trial in confirming.contenders(result, 3, former)] == [4, 1, 6, 3, 8]


@pytest.mark.parametrize(("losses", "settings"), [(4, 5), (7, 3), (20, 1)])
def test_of_equal_settings_one_is_seldom_said_to_be_worse_than_the_first(losses, settings):
    """Scores on splits that share rows are equally correlated, as Nadeau and Bengio assume."""
    rng, share = np.random.default_rng(losses), RATIO / (1 + RATIO)
    common = rng.normal(size=(400, losses, settings, 1)) * math.sqrt(share)
    scores = common + rng.normal(size=(400, losses, settings, 5)) * math.sqrt(1 - share)
    best = np.take_along_axis(scores, scores.mean(-1).argmax(-1)[:, :, None, None], axis=2)[:, :, 0]
    names = [f"loss {number}" for number in range(losses)]
    result = sample.study(0, losses=dict.fromkeys(names, "x"), baseline=names[0])
    result.trials = [sample.trial(number, name, "complete", score=0.5) for number, name in enumerate(names)]
    claims = 0
    for each in best:
        confirmation = confirming.confirmed(result, dict(enumerate(each)), 5, ratio=RATIO)
        claims += min(confirmation.p_values.values()) <= 0.05
    assert claims / len(best) <= 0.05
