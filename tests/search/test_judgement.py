"""What the repeats of winner and baseline say of both, whatever the comparison of those that are left says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sample_verdict

from lossreg.search.judgement import Repeats, with_predictions
from lossreg.storage.verdict import Answer

NAN, INF = np.nan, np.inf


def repeats(winner, baseline):
    scores = {"winner": np.array(winner), "baseline": np.array(baseline)}
    return Repeats({name: int((~np.isnan(values)).sum()) for name, values in scores.items()}, scores)


def test_scores_that_are_compared_are_those_of_the_repeats_that_have_both():
    both = repeats([1.0, 2.0, NAN, 4.0, 5.0], [NAN, 6.0, 7.0, INF, 9.0])
    assert {name: values.tolist() for name, values in both.paired.items()} == {
        "winner": [2.0, 5.0], "baseline": [6.0, 9.0],
    }  # fmt: skip
    assert (both.finished, both.scored) == ({"winner": 4, "baseline": 4}, {"winner": 4, "baseline": 3})


@pytest.mark.parametrize(
    ("winner", "baseline", "reason"),
    [
        ([1.0] * 6, [1.0] * 6, "roc_auc cannot be computed once some of the test rows are left out, as for its "
                               "interval"),
        ([1.0] * 6, [1.0, 1.0, NAN, NAN, NAN, INF], "2 of 6 repeats have a score of both losses (6 of the winner, 2 "
                                                    "of the baseline), and a comparison takes 3"),
        ([NAN, 1.0], [1.0, 1.0], "1 of 2 repeats has a score of both losses (1 of the winner, 2 of the baseline), "
                                 "and a comparison takes 2"),
    ],
)  # fmt: skip
def test_why_there_is_no_comparison(winner, baseline, reason):
    said = repeats(winner, baseline).reason("roc_auc", Answer.NOT_ENOUGH_DATA, is_compared=False)
    assert said == reason


@pytest.mark.parametrize(
    ("lost", "answer", "is_said"),
    [(5, Answer.NO_DIFFERENCE, True), (4, Answer.NO_DIFFERENCE, False), (5, Answer.WORSE, False)],
)
def test_it_is_said_that_a_winner_lost_many_repeats_where_that_may_decide(lost, answer, is_said):
    said = repeats([NAN] * lost + [1.0] * (20 - lost), [0.0] * 20).reason("f1", answer, is_compared=True)
    assert said == "15 of its 20 repeats alone have a score, which are its best ones" * is_said


def test_a_picture_that_fails_costs_no_verdict_and_is_noted():
    def fails():
        raise MemoryError("no room for a picture")

    verdict = dataclasses.replace(sample_verdict.study("equal").verdict, notes=("a note",))
    kept = with_predictions(verdict, fails)
    assert dataclasses.replace(kept, notes=verdict.notes) == verdict
    assert kept.notes[0] == "a note"
    assert "no room for a picture" in kept.notes[1]
    assert with_predictions(verdict, lambda: {"scores": {}}).predicted == {"scores": {}}
