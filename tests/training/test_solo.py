"""`Fit` against the population and against `model.fit`: the same reports and the same weights."""

from __future__ import annotations

import dataclasses
import gc

import keras
import numpy as np
import pytest
from problems import Mlp, alone, dataset, difference, is_close, of_one_fold, plan, problem, run
from quick import long_but

from lossreg import ops
from lossreg.contract.activations import Activation
from lossreg.contract.params import Float
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import Constants
from lossreg.data.dataset import Split
from lossreg.metrics import catalogue
from lossreg.models.builder import resolve
from lossreg.registry import registry
from lossreg.training.population import Population
from lossreg.training.solo import Fit

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


def one_by_one(setup, plans):
    """Reports and final weights of plans that one `Fit` trains in turn."""
    trainer, reports, weights = Fit(setup), [], []
    for each in plans:
        seen, final = run(trainer, [each])
        trainer.close(0)
        reports.append(seen[0])
        weights.append(final[0])
    return reports, weights


def same(report, other):
    return is_close(report, other, 1e-6)


@pytest.mark.parametrize("task", long_but({"multiclass"}, list(PLANS)))
def test_reports_and_weights_are_those_of_the_population(task):
    setup = problem(task, {name: name for name, *_ in PLANS[task]})
    plans = [plan(setup, name, rate, 3, seed, **params) for name, rate, params, seed in PLANS[task]]
    reports, weights = one_by_one(setup, plans)
    lanes, lane_weights = run(Population(setup, len(plans), blocks=1, variants=plans), plans)
    for slot, each in enumerate(plans):
        assert difference(weights[slot], lane_weights[slot]) < 2e-5, each.candidate
        assert len(reports[slot]) == 3
        assert all(map(same, reports[slot], lanes[slot])), each.candidate


def test_penalties_are_those_of_model_fit():
    penalty = keras.regularizers.L2(0.01)
    builder = Mlp(lambda: keras.layers.Dense(8, "relu", activity_regularizer=penalty, kernel_regularizer=penalty))
    setup = problem("multiclass", {"ce": "cross_entropy"}, optimizer="sgd", builder=builder)
    each = plan(setup, "ce", 0.05, 3)
    (reports,), (weights,) = one_by_one(setup, [each])
    losses, solo, _ = alone(setup, each)
    assert difference(weights, solo) < 1e-6
    assert [(report.train_loss, report.val_loss) for report in reports] == [pytest.approx(p, rel=1e-5) for p in losses]


def test_a_plan_is_trained_to_the_last_bit_alike_whatever_came_before():
    builder = Mlp(
        lambda: keras.layers.Dense(8, "relu"),
        lambda: keras.layers.BatchNormalization(momentum=0.8),
        lambda: keras.layers.Dropout(0.5),
    )
    setup = problem("multiclass", {"ce": "cross_entropy"}, builder=builder)
    first, other = plan(setup, "ce", 0.003, 2), plan(setup, "ce", 0.01, 1, seed=3)
    reports, weights = one_by_one(setup, [first, other, first])
    (alone_reports,), (alone_weights,) = one_by_one(setup, [first])
    assert reports[0] == reports[2] == alone_reports
    assert difference(weights[0], weights[2]) == difference(weights[0], alone_weights) == 0
    late_reports, late_weights = one_by_one(setup, [other])
    assert late_reports[0] == reports[1]
    assert difference(late_weights[0], weights[1]) == 0


def graphs_of_steps():
    gc.collect()
    return sum(getattr(each, "name", "") == "one_step_on_data" for each in gc.get_objects() if is_graph(each))


def is_graph(each):
    return type(each).__name__ == "FuncGraph"


def test_the_graphs_of_trained_models_are_freed():
    setup, before = problem("multiclass", {"ce": "cross_entropy"}), graphs_of_steps()
    one_by_one(setup, [plan(setup, "ce", 0.01, 1)])
    assert graphs_of_steps() <= before


def warming(y_true, y_pred, *, progress):
    from lossreg import ops

    return (1 + 3 * progress) * ops.mean((y_true - y_pred) ** 2, axis=-1)


def test_progress_is_told_alike():
    setup = problem("regression", {"mse": "mean_squared_error"}, optimizer="sgd")
    spec = LossSpec(
        name="warming", function=warming, tasks=("regression",), summary="Grows.", reference="None.", target="real",
        outputs="1", activation="identity", needs=("progress",),
    )  # fmt: skip
    setup = dataclasses.replace(setup, losses={"warming": spec})
    each = plan(setup, "warming", 0.01, 3)
    (reports,), (weights,) = one_by_one(setup, [each])
    lanes, lane_weights = run(Population(setup, 1, variants=[each]), [each])
    assert difference(weights, lane_weights[0]) < 1e-6
    assert all(map(same, reports, lanes[0]))
    for report in reports:
        error = -report.val_score / setup.dataset.constants.target_scale**2
        assert report.val_loss == pytest.approx((1 + report.epoch) * error, rel=1e-4)


def wide(task):
    """A few rows with several labels each, with masks, or with ordered classes."""
    base = dataset("multiclass")
    k = {"multilabel": 3, "segmentation": 2, "multiclass": 4}[task]

    def labels(part):
        if task == "multiclass":
            return part.y
        places = (part.x[:, :6] + 0.5 * part.x[:, 1:] > 0.4).astype(np.int64)
        return places[:, :3] if task == "multilabel" else places.reshape(-1, 2, 3).astype(np.int8)

    parts = {name: Split(getattr(base, name).x, labels(getattr(base, name))) for name in ("train", "validation")}
    constants = Constants.from_labels(parts["train"].y, k, multihot=task == "multilabel")
    return of_one_fold(**parts, task=task, n_classes=k, constants=constants, input_shape=base.input_shape)


def overlap(y_true, y_pred, *, smooth):
    p = ops.sigmoid(y_pred)
    hits, total = ops.sum(y_true * p, axis=(1, 2, 3)), ops.sum(y_true + p, axis=(1, 2, 3))
    return 1 - (2 * hits + smooth) / (total + smooth)


def questions(y_true, y_pred):
    above = ops.cast(y_true > ops.arange(y_pred.shape[-1], dtype=y_true.dtype), y_true.dtype)
    return ops.mean(ops.softplus((1 - 2 * above) * y_pred), axis=-1)


def shares(z):
    above = ops.sigmoid(z)
    one, none = ops.ones_like(above[..., :1]), ops.zeros_like(above[..., :1])
    return ops.concatenate([one, above], -1) - ops.concatenate([above, none], -1)


def own_loss(function, task, **facts):
    return LossSpec(name=function.__name__, function=function, tasks=(task,), summary="s", reference="r", **facts)


SMOOTH = (Float("smooth", 1.0, 0.1, 1.0),)
WIDE = {
    "multilabel": ("f1_macro", [registry.default().get(name) for name in ("multilabel_bce", "multilabel_ce")]),
    "segmentation": ("jaccard", [
        registry.default().get("binary_crossentropy"),
        own_loss(overlap, "segmentation", target="dense", outputs="1", activation="sigmoid", params=SMOOTH),
    ]),
    "multiclass": ("cohen_kappa_quadratic", [
        own_loss(questions, "multiclass", target="ordinal", outputs="k-1",
                 activation=Activation("shares", shares, None),
                 probabilistic=True),
    ]),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("task", WIDE)
def test_masks_several_labels_and_ordered_classes_train_alike_alone_and_in_lanes(task):
    metric, losses = WIDE[task]
    data = wide(task)
    setup = dataclasses.replace(
        problem("multiclass", {}), dataset=data, metric=catalogue.resolve(metric, task),
        losses={each.name: each for each in losses},
        builder=resolve(
            "mlp", hidden=[8], multilabel=task == "multilabel", spatial_shape=(2, 3) if task == "segmentation" else ()
        ),
    )  # fmt: skip
    plans = [plan(setup, each.name, 0.01, 3) for each in losses]
    reports, weights = one_by_one(setup, plans)
    population = Population(setup, len(plans), blocks=1, variants=plans)
    assert not any(population.refuses(each.candidate) for each in plans)
    lanes, lane_weights = run(population, plans)
    for slot, each in enumerate(plans):
        assert difference(weights[slot], lane_weights[slot]) < 2e-5, each.candidate
        assert all(map(same, reports[slot], lanes[slot])), each.candidate
        assert reports[slot][-1].train_loss < reports[slot][0].train_loss
        assert reports[slot][-1].val_score > 0.1
