"""Scores of tuned decisions: the same from both trainers, and those that the weights give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from problems import plan, problem, run
from quick import long_but
from scipy.special import softmax
from sklearn import metrics as sk

from lossreg.metrics import catalogue, decision
from lossreg.training import scoring
from lossreg.training.population import Population
from lossreg.training.solo import Fit

CASES = {
    "threshold": ("binary", "f1", {"one": "binary_crossentropy", "two": "squared_hinge"}, sk.f1_score),
    "shift": (
        "multiclass", "f1_macro", {"one": "cross_entropy", "two": "weighted_ce"},
        lambda y, labels: sk.f1_score(y, labels, average="macro"),
    ),
    "temperature": ("multiclass", "log_loss", {"one": "cross_entropy", "two": "focal"}, sk.log_loss),
}  # fmt: skip


def tuned(what):
    """A problem with two losses whose decisions are tuned, and the metric as scikit-learn has it."""
    task, metric, losses, function = CASES[what]
    setup = problem(task, losses)
    return replace(setup, metric=catalogue.resolve(metric, task), decision="tuned"), function


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch):
    monkeypatch.setitem(decision.FEWEST, decision.TEMPERATURE, 50)


def decided(what, raw_scores, numbers):
    if what == "threshold":
        return (raw_scores[:, 0] > numbers).astype(int)
    return (raw_scores + numbers).argmax(1) if what == "shift" else softmax(raw_scores / numbers, axis=1)


@pytest.mark.parametrize("what", long_but({"shift"}, list(CASES)))
def test_both_trainers_report_the_scores_that_the_weights_give(what):
    setup, function = tuned(what)
    plans = [plan(setup, name, 3e-3) for name in setup.losses]
    reports, weights = run(Population(setup, 2), plans)
    others, _ = run(Fit(setup, 2), plans)
    y, half = setup.dataset.validation.y, decision.halves(setup.dataset.validation.y)
    for slot, each in enumerate(plans):
        last, other = reports[slot][-1], others[slot][-1]
        assert last.val_score == pytest.approx(other.val_score, rel=1e-3)
        assert last.default_score == pytest.approx(other.default_score, rel=1e-3)
        np.testing.assert_allclose(last.decision[what], other.decision[what], rtol=1e-2, atol=1e-3)
        model = setup.build(setup.outputs(each.candidate), 0)
        model.set_weights(weights[slot])
        raw_scores = np.asarray(model(setup.dataset.validation.x), np.float64)
        default = {"threshold": 0.0, "shift": 0.0, "temperature": 1.0}[what]
        assert last.default_score == pytest.approx(function(y, decided(what, raw_scores, default)), rel=1e-4)
        logs = np.concatenate([-raw_scores / 2, raw_scores / 2], 1) if what == "threshold" else raw_scores
        predicted = decision.crossfit(what, setup.metric, y, logs[None], half)[0]
        assert last.val_score == pytest.approx(function(y, predicted), rel=1e-4)


@pytest.mark.long
def test_too_few_rows_are_scored_with_the_default_decision():
    setup, _ = tuned("threshold")
    setup = replace(setup, metric=catalogue.resolve("accuracy", "binary"))
    reports, _ = run(Population(setup, 1), [plan(setup, "one", 3e-3)], epochs=1)
    plain, _ = run(Population(replace(setup, decision="default"), 1), [plan(setup, "one", 3e-3)], epochs=1)
    assert reports[0][0].val_score == plain[0][0].val_score
    assert (reports[0][0].decision, reports[0][0].default_score) == ({}, None)


def test_masks_are_halved_mask_by_mask_and_diverged_lanes_left_alone():
    setup = problem("segmentation", {"one": "binary_crossentropy"})
    setup = replace(setup, metric=catalogue.resolve("jaccard", "segmentation"), decision="tuned")
    y = setup.dataset.validation.y
    rng = np.random.default_rng(0)
    raw_scores = (1.5 * y + rng.normal(size=(2, *y.shape)))[..., None].astype(np.float32)
    raw_scores[1, 3] = np.nan
    first, second = scoring.of_validation(setup, ["one", "one"], raw_scores)
    half = decision.halves(np.zeros(len(y)))
    odds = raw_scores[0, ..., 0].astype(np.float64)
    logs = np.stack([-odds / 2, odds / 2], -1)
    predicted = np.empty(y.shape, int)
    for part in (half, ~half):
        numbers = decision.fit("threshold", setup.metric, y[~part].ravel(), logs[~part].reshape(1, -1, 2))
        predicted[part] = odds[part] > numbers[0, 0]
    assert first.score == pytest.approx(sk.jaccard_score(y.ravel(), predicted.ravel()))
    assert first.default_score == pytest.approx(sk.jaccard_score(y.ravel(), odds.ravel() > 0))
    assert first.score > first.default_score
    assert np.isnan(second.score)
    assert second.decision == {}
