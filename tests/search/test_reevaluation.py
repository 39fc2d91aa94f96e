"""Winner and baseline are chosen by scores on fresh splits, not by the score that the search selected."""

from __future__ import annotations

import math

import pytest
import sample_study as sample

from lossreg.search import reevaluation

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


def fresh(direction, trials=TRIALS):
    sign = 1 if direction == "maximize" else -1
    return {number: [sign * score for score in scores] for number, _, _, scores in trials}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_mean_on_fresh_splits_wins_and_one_that_diverged_does_not(direction):
    result = study(direction)
    winner, baseline = reevaluation.choose(result, result.trials, fresh(direction))
    assert (winner.number, baseline.number) == (3, 1)


@pytest.mark.parametrize(("missing", "chosen"), [("ce", (3, None)), ("focal", (None, 1))])
def test_there_is_no_choice_without_the_baseline_or_without_another_loss(missing, chosen):
    trials = [trial for trial in TRIALS if trial[1] != missing]
    result = study("maximize", trials)
    choice = reevaluation.choose(result, result.trials, fresh("maximize", trials))
    assert tuple(trial and trial.number for trial in choice) == chosen


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_setting_of_each_candidate_is_compared_with_that_of_the_first(direction):
    """The first of the leaderboard is focal; mae diverged."""
    result = study(direction)
    reevaluated = reevaluation.of_candidates(result, result.trials, fresh(direction))
    assert [(one.candidate, one.trial) for one in reevaluated] == [("focal", 3), ("ce", 1)]
    assert (reevaluated[0].p_value, reevaluated[1].p_value) == (None, pytest.approx(0, abs=1e-6)), "0.04 in each split"


@pytest.mark.parametrize(("candidates", "expected"), [(1, 5), (2, 5), (4, 5), (7, 3), (20, 1), (69, 1)])
def test_about_twenty_settings_are_trained_again(candidates, expected):
    assert reevaluation.settings(candidates) == expected


def test_the_contenders_are_the_best_settings_of_each_candidate():
    trials = [(n, name, 0.1 * n, ()) for n, name in enumerate(["ce"] * 9 + ["focal"] * 2)]
    numbers = [trial.number for trial in reevaluation.contenders(study("maximize", trials))]
    assert numbers == [8, 7, 6, 5, 4, 10, 9]
