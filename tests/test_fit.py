"""`Fit` against the population and against `model.fit`: the same reports and the same weights."""

from __future__ import annotations

import dataclasses

import keras
import pytest
from problems import Mlp, alone, difference, plan, problem, run

from lossreg.spec import LossSpec
from lossreg.trainers.fit import Fit
from lossreg.trainers.population import Population

PLANS = {
    "multiclass": [
        ("cross_entropy", 0.003, {}, 0),
        ("focal", 0.002, {"gamma": 1.7, "alpha": (0.5, 1.0, 2.0, 4.0)}, 1),
        ("focal", 0.004, {"gamma": 0.6}, 0),
        ("label_smoothing_ce", 0.003, {"eps": 0.12}, 0),
    ],
    "regression": [
        ("mean_squared_error", 0.003, {}, 0),
        ("huber", 0.002, {"delta": 0.4}, 1),
        ("poisson", 0.004, {}, 0),
    ],
}


def one_by_one(own, plans):
    """Reports and final weights of plans that one `Fit` trains in turn."""
    trainer, reports, weights = Fit(own), [], []
    for each in plans:
        seen, final = run(trainer, [each])
        trainer.close(0)
        reports.append(seen[0])
        weights.append(final[0])
    return reports, weights


def same(report, other):
    return dataclasses.astuple(report) == pytest.approx(dataclasses.astuple(other), rel=2e-4, abs=1e-6)


@pytest.mark.parametrize("task", list(PLANS))
def test_reports_and_weights_are_those_of_the_population(task):
    own = problem(task, {name: name for name, *_ in PLANS[task]})
    plans = [plan(own, name, rate, 3, seed, **params) for name, rate, params, seed in PLANS[task]]
    reports, weights = one_by_one(own, plans)
    lanes, lane_weights = run(Population(own, len(plans), blocks=1, variants=plans), plans)
    for slot, each in enumerate(plans):
        assert difference(weights[slot], lane_weights[slot]) < 2e-5, each.label
        assert len(reports[slot]) == 3
        assert all(map(same, reports[slot], lanes[slot])), each.label


@pytest.mark.parametrize("where", ["activity_regularizer", "kernel_regularizer"])
def test_penalties_are_those_of_model_fit(where):
    builder = Mlp(lambda: keras.layers.Dense(8, "relu", **{where: keras.regularizers.L2(0.01)}))
    own = problem("multiclass", {"ce": "cross_entropy"}, optimizer="sgd", builder=builder)
    each = plan(own, "ce", 0.05, 3)
    (reports,), (weights,) = one_by_one(own, [each])
    losses, solo, _ = alone(own, each)
    assert difference(weights, solo) < 1e-6
    assert [(report.train_loss, report.val_loss) for report in reports] == [pytest.approx(p, rel=1e-5) for p in losses]


def test_a_plan_is_trained_to_the_last_bit_alike_whatever_came_before():
    builder = Mlp(
        lambda: keras.layers.Dense(8, "relu"),
        lambda: keras.layers.BatchNormalization(momentum=0.8),
        lambda: keras.layers.Dropout(0.5),
    )
    own = problem("multiclass", {"ce": "cross_entropy"}, builder=builder)
    first, other = plan(own, "ce", 0.003, 2), plan(own, "ce", 0.01, 1, seed=3)
    reports, weights = one_by_one(own, [first, other, first])
    (alone_reports,), (alone_weights,) = one_by_one(own, [first])
    assert reports[0] == reports[2] == alone_reports
    assert difference(weights[0], weights[2]) == difference(weights[0], alone_weights) == 0
    late_reports, late_weights = one_by_one(own, [other])
    assert late_reports[0] == reports[1]
    assert difference(late_weights[0], weights[1]) == 0


def warming(y_true, y_pred, *, progress):
    from lossreg import ops

    return (1 + 3 * progress) * ops.mean((y_true - y_pred) ** 2, axis=-1)


def test_progress_is_told_alike():
    own = problem("regression", {"mse": "mean_squared_error"}, optimizer="sgd")
    spec = LossSpec(
        name="warming", function=warming, tasks=("regression",), summary="Grows.", reference="None.", target="real",
        outputs="1", link="identity", needs=("progress",),
    )  # fmt: skip
    own = dataclasses.replace(own, losses={"warming": spec})
    each = plan(own, "warming", 0.01, 3)
    (reports,), (weights,) = one_by_one(own, [each])
    lanes, lane_weights = run(Population(own, 1, variants=[each]), [each])
    assert difference(weights, lane_weights[0]) < 1e-6
    assert all(map(same, reports, lanes[0]))
    for report in reports:
        error = -report.val_score / own.dataset.constants.target_scale**2
        assert report.val_loss == pytest.approx((1 + report.epoch) * error, rel=1e-4)
