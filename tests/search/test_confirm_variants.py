"""Which trials get through a race of folds in the benchmark of other ways to confirm, and what that takes, by hand."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "studies/benchmarks"
LOSSES = {0: "a", 1: "a", 2: "b", 3: "a", 4: "a", 5: "a"}
SCORES = {
    0: [0.8, 0.9, 0.7],  # the first of its loss: mean 0.8, worst fold 0.7
    1: [0.75, 0.6, 0.9],  # means so far 0.75 and 0.675
    2: [0.1, 0.1, 0.1],  # the only one of another loss
    3: [0.85, 0.9, 0.8],  # the best from then on: mean 0.85, worst fold 0.8
    4: [math.nan, 0.9, 0.9],
    5: [0.82, 0.7, 0.9],  # means so far 0.82 and 0.76
}


@pytest.fixture(scope="module")
def variants():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module("confirm_variants")


@pytest.mark.parametrize(
    ("bar", "trainings"), [(min, [3, 2, 3, 3, 1, 2]), (lambda each: sum(each) / 3, [3, 1, 3, 3, 1, 1])]
)
def test_a_trial_is_given_up_at_the_fold_after_which_it_is_below_the_bar(variants, bar, trainings):
    assert variants.raced(SCORES, LOSSES, 100, bar) == ([0, 2, 3], 6, sum(trainings))


def test_a_race_ends_before_the_trial_that_it_cannot_afford(variants):
    assert variants.raced(SCORES, LOSSES, 8, min) == ([0, 2], 3, 8)
    assert variants.raced(SCORES, LOSSES, 10, min) == ([0, 2], 3, 8)


@pytest.mark.parametrize("losses", [4, 7])
def test_each_way_takes_as_many_trainings_as_the_search_with_confirmation_or_just_fewer(variants, losses):
    budget = 48 + 5 * variants.WAYS["confirmed"].again(losses, 48)
    for way in variants.WAYS.values():
        if way.bar is None:
            sized = way.sized(losses, budget)
            splits = len(variants.SPLITS[way.kind](0))
            spent = sized.trials * splits + sized.repeats * sized.again(losses, sized.trials)
            assert budget - 5 <= spent <= budget
