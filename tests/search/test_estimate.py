"""The estimate of what a verdict takes, by what the trials of a study took."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sample_study as sample

from lossreg.config import study as studies
from lossreg.search import preparation
from lossreg.search.estimate import Estimate, pace
from lossreg.search.frozen import Notes


def trials(spans, worker=""):
    return [
        replace(sample.trial(number, "focal"), started=start, ended=end, worker=worker)
        for number, (start, end) in enumerate(spans)
    ]


def test_the_pace_is_the_time_in_which_any_lane_was_busy():
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 300, 40)
    ends = starts + rng.integers(1, 12, 40)
    busy = {second for start, end in zip(starts, ends, strict=True) for second in range(start, end)}
    assert len(busy) < sum(ends - starts), "lanes overlap"
    assert pace(trials(zip(starts, ends, strict=True)), 4) == pytest.approx(len(busy) / 40 / 4)


def test_time_between_two_runs_of_a_study_is_none_of_its_pace():
    first, second = [(0.0, 10.0), (2.0, 12.0)], [(9000.0, 9008.0)]
    assert pace(trials([*first, *second]), 1) == pytest.approx((12 + 8) / 3)


def test_workers_that_train_at_the_same_time_each_take_theirs():
    both = [*trials([(0.0, 10.0), (5.0, 12.0)], "one:1:a"), *trials([(1.0, 9.0)], "two:1:b")]
    assert pace(both, 1) == pytest.approx((12 + 8) / 3)


def test_a_clock_that_was_set_back_and_no_trials_take_nothing():
    assert pace(trials([(10.0, 7.0)]), 1) == pace([], 5) == 0.0


def test_searches_of_outer_folds_also_take_what_the_search_took_to_ask():
    result = sample.study(8)
    result.trials[:] = [replace(trial, asking=0.25) for trial in result.trials]
    prepared = preparation.prepare(
        studies.of({"data": {"source": "sklearn:iris"}, "losses": {"cross_entropy": {}, "focal": {}}}), rehearsed=False
    )
    estimates = [
        Estimate.of(prepared, replace(result, trials=trials), Notes((), 8), outer=5, repeats=6)
        for trials in (result.trials, [replace(trial, asking=0.0) for trial in result.trials])
    ]
    assert 60 * (estimates[0].minutes - estimates[1].minutes) == pytest.approx(5 * 8 * 0.25)
    assert estimates[0].trainings == estimates[1].trainings
