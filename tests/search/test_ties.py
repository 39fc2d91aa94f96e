"""Equal scores: one rank, the baseline first, and the same trial wherever a study's best is asked for."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import sample_study as sample
import searches
from fake_trainer import Fake
from rich.console import Console

from lossreg.reporting import description, leaderboard, report, tables, watcher
from lossreg.search.restore import find

LOSSES = {label: label for label in ("focal", "gce", "cross_entropy", "poly1", "never_run")}


def study(scores, direction="maximize"):
    """A study of one trial per label and score, in this order."""
    trials = [sample.trial(n, label, score=score) for n, (label, score) in enumerate(scores.items())]
    return sample.study(0, trials=trials, direction=direction, losses=LOSSES)


def printed(what):
    console = Console(file=io.StringIO(), width=160, highlight=False)
    console.print(what)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def tied():
    """Three at the top, of which the baseline ran last; one below; one that never ran."""
    return study({"focal": 0.975, "gce": 0.975, "cross_entropy": 0.975, "poly1": 0.95})


def test_equal_scores_share_a_rank_and_the_next_rank_counts_them(tied):
    ranks = [(row.candidate, row.rank) for row in tied.ranking()]
    assert ranks == [("cross_entropy", 1), ("focal", 1), ("gce", 1), ("poly1", 4), ("never_run", None)]
    assert [(row["candidate"], row["rank"]) for row in leaderboard.rows(tied)] == ranks
    assert [(row["name"], row["rank"]) for row in tied.to_json()["losses"]] == ranks


def test_of_equals_the_best_trial_is_the_baselines_everywhere(tied):
    assert tied.best.candidate == "cross_entropy"
    assert find(tied) is tied.best is tied.ranking()[0].best
    document = json.loads(json.dumps(tied.to_json()))
    assert document["best"]["loss"] == "cross_entropy"
    assert document["ties"] == ["cross_entropy", "focal", "gce"]


def test_of_equals_without_the_baseline_the_earliest_is_first():
    result = study({"gce": 0.97, "focal": 0.97, "cross_entropy": 0.9})
    assert result.best.candidate == "gce"
    assert "the earliest trial is listed first" in leaderboard.ties(result)
    assert study({"gce": 0.97, "focal": 0.96}).ties == []
    assert leaderboard.ties(study({"gce": 0.97, "focal": 0.96})) == ""


def test_a_gain_of_nothing_is_a_tie_and_a_small_one_is_not_shown_as_nothing(tied):
    assert [leaderboard.gain(tied, row) for row in tied.ranking()][:3] == ["baseline", "tie", "tie"]
    near = study({"cross_entropy": 0.9, "focal": 0.900004, "gce": 0.8999969})
    assert [leaderboard.gain(near, row) for row in near.ranking()][:3] == ["+4.0e-06", "baseline", "-3.1e-06"]
    assert [row.rank for row in near.ranking()][:3] == [1, 2, 3]
    lower = study({"cross_entropy": 0.9, "focal": 0.8999969}, "minimize")
    assert [leaderboard.gain(lower, row) for row in lower.ranking()][:2] == ["+3.1e-06", "baseline"]


def test_means_of_the_same_folds_in_another_order_are_equal():
    folds = [0.1, 0.2, 0.3]
    one, other = sum(folds) / 3, sum(reversed(folds)) / 3
    assert one != other
    assert study({"focal": one, "cross_entropy": other}).ties == ["cross_entropy", "focal"]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("odd", [[], [math.inf], [-math.inf]])
def test_the_best_of_many_is_the_first_in_order_however_close_they_are(direction, odd):
    rng, sign = np.random.default_rng(0), {"minimize": 1, "maximize": -1}[direction]
    for size in (0.0, 1e-9, 0.3, -7e5):
        scores = [*(size * (1 + rng.integers(-3, 4, 200) * 10.0 ** -rng.integers(9, 15, 200))), *odd]
        trials = [sample.trial(n, list(LOSSES)[n % 3], score=float(score)) for n, score in enumerate(scores)]
        result = sample.study(0, trials=trials, direction=direction, losses=LOSSES)
        order = [(sign * float(f"{t.score:.12g}"), t.candidate != "cross_entropy", t.number) for t in trials]
        assert result.best.number == min(order)[2]


def test_everything_printed_says_that_several_are_at_the_top(tied):
    page, table = description.markdown(tied), printed(tables.leaderboard(tied))
    message = (
        "3 of 5 candidates tie at 0.975: cross_entropy (baseline), focal, gce; the baseline's trial is listed first"
    )
    assert message in page
    assert page.startswith("# toy\n\nHighest validation score (accuracy) **0.975**: **cross_entropy**")
    assert [line.split("|")[1].strip(" \\") for line in page.splitlines() if line.startswith("| ")][2:7] == [*"1114-"]
    rows = table.rpartition("──")[2]
    assert [line.split()[0] for line in rows.splitlines()[1:6]] == [*"1114-"]
    assert "+0.0000" not in page + table
    assert watcher.standing(tied) == "highest accuracy 0.975 (cross_entropy and 2 more)"


@pytest.mark.parametrize(("direction", "word"), [("maximize", "Highest"), ("minimize", "Lowest")])
def test_nothing_is_called_best(direction, word):
    result = study({"cross_entropy": 0.9, "focal": 0.8}, direction)
    page = description.markdown(result)
    assert f"{word} validation score (accuracy)" in page
    assert "best" not in (page + printed(tables.leaderboard(result)) + watcher.standing(result)).lower().replace(
        report.caveat(result).lower(), ""
    )


@pytest.mark.parametrize("direction", [1, -1])
def test_the_weights_that_are_kept_are_those_of_the_trial_called_best(direction):
    proposals = searches.proposer()
    proposals = replace(proposals, candidates=dict(reversed(proposals.candidates.items())))  # the baseline last
    metric = searches.ACCURACY if direction > 0 else searches.LOSS
    study = searches.optuna_study(metric=metric)
    search = searches.loop(
        study, 6, Fake(lambda plan, epoch: 0.9, slots=1), proposals=proposals, metric=metric, keep="best"
    )
    search.run()
    result = sample.study(
        0, trials=search.heard.records, direction=metric.direction, losses=dict.fromkeys(proposals.names)
    )
    assert search.heard.records[0].candidate != "cross_entropy"
    assert result.best.candidate == "cross_entropy"
    assert list(search.heard.weights)[-1] == result.best.number
