"""Every lane equals the same plan trained alone with `model.fit`, on the same batches from the same weights."""

from __future__ import annotations

import functools
from dataclasses import replace

import keras
import numpy as np
import pytest
from problems import (
    ACCURACY,
    BATCH,
    ROWS,
    Mlp,
    again,
    alone,
    assert_as_alone,
    dataset,
    difference,
    plan,
    problem,
    run,
)  # fmt: skip

from lossreg import LossSpec
from lossreg.registry import registry
from lossreg.training import lane_graph
from lossreg.training.interface import Architecture, batch_order
from lossreg.training.lane_graph import State
from lossreg.training.population import Population, device_samples

# Weights after 56 steps, float32. A 1% change of any loss parameter or of the learning rate
# moves them by more (test_a_change_of_one_percent_is_seen).
TOLERANCE = {"sgd": 1e-6, "adam": 2e-5, "adamw": 2e-5, "rmsprop": 2e-5}
SETTINGS = {"sgd": {"momentum": 0.9}, "adam": {}, "adamw": {"weight_decay": 0.01}, "rmsprop": {"momentum": 0.5}}
RATES = {"sgd": 0.01, "adam": 0.003, "adamw": 0.003, "rmsprop": 0.002}

MULTICLASS = {
    "cross_entropy": {},
    "focal": {"gamma": 1.7, "alpha": (0.5, 1.0, 2.0, 4.0)},
    "label_smoothing_ce": {"eps": 0.12},
    "generalized_cross_entropy": {"q": 0.6},
    "softened_ce": {"kappa": 1.8},
    "class_balanced_ce": {"one_minus_beta": 0.02},
}
BINARY = {
    "binary_crossentropy": {"label_smoothing": 0.08},
    "binary_focal": {"gamma": 1.4, "alpha": 0.35},
    "squared_hinge": {"margin": 0.8},
    "generalized_cross_entropy": {"q": 0.6},
    "softened_bce": {"kappa": 2.5},
}
REGRESSION = {
    "mean_squared_error": {},
    "huber": {"delta": 0.4},
    "log_cosh": {"c": 0.5},
    "poisson": {},
    "mean_squared_logarithmic_error": {},
}
MULTILABEL = {
    "multilabel_bce": {},
    "asymmetric": {"gamma_neg": 3.0, "gamma_pos": 0.5, "m": 0.1},
    "multilabel_ce": {},
}
SEGMENTATION = {"binary_crossentropy": {"label_smoothing": 0.1}, "binary_focal": {"gamma": 1.4, "alpha": 0.35}}
TASKS = {
    "multiclass": MULTICLASS,
    "binary": BINARY,
    "regression": REGRESSION,
    "multilabel": MULTILABEL,
    "segmentation": SEGMENTATION,
}


def mixed(task, optimizer):
    """A problem and a plan for each loss, at different learning rates."""
    losses = TASKS[task]
    setup = problem(task, {name: name for name in losses}, optimizer=optimizer, settings=SETTINGS[optimizer])
    rates = RATES[optimizer] * np.linspace(0.7, 1.3, len(losses))
    return setup, [plan(setup, name, float(rate), **losses[name]) for name, rate in zip(losses, rates, strict=True)]


LONG = pytest.mark.long
# test_optimizers.py has the other optimizers, test_recipes.py a loss of each kind in every task
CASES = [
    ("multiclass", "adam"), ("regression", "sgd"), ("multiclass", "sgd"), ("binary", "adam"), ("multilabel", "sgd"),
    ("segmentation", "sgd"),
]  # fmt: skip
# a parameter that is searched, a constant of the training samples
FITTED = {("multiclass", "adam"): ("focal",), ("regression", "sgd"): ("poisson",)}
LANES = [
    pytest.param(task, optimizer, name, marks=() if name in FITTED.get((task, optimizer), ()) else LONG)
    for task, optimizer in CASES for name in TASKS[task]
]  # fmt: skip


@functools.cache
def trained(task, optimizer):
    """A population of mixed losses, trained once."""
    setup, plans = mixed(task, optimizer)
    assert setup.dataset.train.x.shape[0] % BATCH
    assert plans[0].epochs * -(-ROWS // BATCH) >= 50
    population = Population(setup, len(plans), blocks=1 if task == "multiclass" else 2, variants=plans)
    return setup, plans, population, *run(population, plans)


@pytest.mark.parametrize(("task", "optimizer", "name"), LANES)
def test_every_lane_of_a_mixed_population_equals_model_fit(task, optimizer, name):
    setup, plans, _, reports, weights = trained(task, optimizer)
    slot = list(TASKS[task]).index(name)
    model = assert_as_alone(setup, plans[slot], weights[slot], reports[slot], TOLERANCE[optimizer])
    assert reports[slot][-1].val_score == pytest.approx(_score(setup, plans[slot], model), rel=1e-4)


def _score(setup, each, model):
    """The validation metric of a model trained alone, in the user's units."""
    data, spec = setup.dataset, setup.losses[each.candidate]
    z = model.predict(data.validation.x, verbose=0)
    if data.task in ("multilabel", "segmentation"):
        return float(((z > 0).reshape(data.validation.y.shape) == data.validation.y).mean())
    if setup.metric is ACCURACY:
        return float(((z[:, 0] > 0 if z.shape[1] == 1 else z.argmax(1)) == data.validation.y).mean())
    c = data.constants
    value = {
        "identity": c.target_center + c.target_scale * z,
        "exp": c.target_mean * np.exp(z),
        "softplus": c.target_scale * np.logaddexp(0, z),
    }[spec.activation][:, 0]
    return -float(((value - data.validation.y) ** 2).mean())


@pytest.mark.long
@pytest.mark.parametrize(("task", "optimizer"), CASES)
def test_a_change_of_one_percent_is_seen(task, optimizer):
    setup, plans, _, _, weights = trained(task, optimizer)
    changed, originals = [], []
    for slot, each in enumerate(plans):
        changed.append(_changed(setup, each, each.learning_rate * 1.01, {}))
        originals.append(slot)
        for name, value in TASKS[task][each.candidate].items():
            for altered in _one_percent(value):
                changed.append(_changed(setup, each, each.learning_rate, {name: altered}))
                originals.append(slot)
    _, others = run(Population(setup, len(changed), blocks=2, variants=changed), changed)
    for each, slot, other in zip(changed, originals, others, strict=True):
        assert difference(weights[slot], other) > 2 * TOLERANCE[optimizer], each


def _one_percent(value):
    if not isinstance(value, tuple):
        return [value * 1.01]
    return [tuple(v * (1.01 if i == k else 1) for i, v in enumerate(value)) for k in range(len(value))]


def _changed(setup, each, rate, change):
    return plan(setup, each.candidate, rate, each.epochs, each.seed, **{**each.params, **change})


def test_a_lane_that_moves_into_a_used_slot_equals_one_from_the_start():
    _, plans, population, _, weights = trained("regression", "sgd")
    again(population, plans, epochs=2)
    population.close(1)
    late = plans[2]
    population.open(1, late)
    for _ in range(late.epochs):
        population.advance()
    assert difference(population.weights(1), weights[2]) < TOLERANCE["sgd"]


def test_lanes_that_end_together_are_taken_out_once_and_waiting_ones_not_at_all(monkeypatch):
    setup = problem("multiclass", {"cross_entropy": "cross_entropy"})
    plans = [plan(setup, "cross_entropy", rate) for rate in (0.01, 0.003, 0.001, 0.0003)]
    population = Population(setup, 6, blocks=1, variants=plans)
    run(population, plans, epochs=1)
    taken = []
    take = State.take
    monkeypatch.setattr(State, "take", lambda state, places: taken.append(places) or take(state, places))
    population.open(5, plans[0])
    for slot in (5, 0, 2):
        population.close(slot)
    population.open(2, plans[2])
    assert not taken
    kept = population.weights(3)
    assert population.blocks[0].position(3) == 3
    assert set(population.advance()) == {1, 2, 3}
    assert taken == [[1, 4, 3]]
    population.close(2)
    assert set(population.advance()) == {1, 3}
    assert difference(kept, population.weights(3)) > 0
    moved = population.weights(3)
    _, (wanted,) = again(population, [plans[3]], epochs=3)
    assert difference(moved, wanted) < 1e-6


def test_populations_of_a_problem_share_its_rows():
    setup = problem("multiclass", {"cross_entropy": "cross_entropy"})
    assert device_samples(setup, "train") is device_samples(setup, "train")
    assert device_samples(replace(setup), "train") is not device_samples(setup, "train")


@pytest.mark.long
def test_a_plan_with_other_static_parameters_rebuilds_the_graph_and_disturbs_nobody():
    setup = problem("binary", {"binary_focal": "binary_focal", "hinge": "hinge"})
    first = plan(setup, "binary_focal", 0.003, gamma=1.0, alpha=0.3)
    late = plan(setup, "binary_focal", 0.003, gamma=1.0, alpha=None)
    population = Population(setup, 2, variants=[first])
    population.open(0, first)
    population.advance()
    population.open(1, late)
    for _ in range(3):
        population.advance()
    assert difference(population.weights(0), alone(setup, first)[1]) < TOLERANCE["adam"]
    population.advance()
    assert difference(population.weights(1), alone(setup, late)[1]) < TOLERANCE["adam"]


def test_another_rate_seed_or_parameter_changes_no_other_lane_by_a_single_bit():
    setup, plans, population, _, before = trained("multiclass", "adam")
    other = [plans[0], plan(setup, "focal", 0.03, gamma=4.0, alpha=(1, 1, 1, 9), seed=9), *plans[2:]]
    _, after = again(population, other)
    assert difference(before[1], after[1]) > 0.1
    for slot in (0, 2, 3, 4, 5):
        assert difference(before[slot], after[slot]) == 0


def test_another_loss_changes_no_other_lane_by_more_than_rounding():
    setup, plans, population, _, before = trained("multiclass", "adam")
    other = [plan(setup, "focal", 0.03, gamma=4.0, alpha=(1, 1, 1, 9)), *plans[1:]]
    _, after = again(population, other)
    assert difference(before[0], after[0]) > 0.1
    for slot in range(1, 6):
        assert difference(before[slot], after[slot]) < 1e-6


def test_equal_losses_under_three_labels_are_equal_one_lane_at_a_time_on_tensorflow_to_the_last_bit():
    names = {
        "categorical": "categorical_crossentropy",
        "sparse": "sparse_categorical_crossentropy",
        "kl": "kl_divergence",
    }
    setup = problem("multiclass", names, optimizer="sgd", settings={"momentum": 0.9})
    plans = [plan(setup, label, 0.01) for label in names]
    population = Population(setup, 1, variants=plans)
    runs = []
    for each in plans:
        reports, weights = run(population, [each])
        runs.append((reports[0], weights[0]))
        population.close(0)
    # XLA compiles each loss by itself, and for some processors adds up in another order
    rounding = 0 if keras.backend.backend() == "tensorflow" else 1e-6
    for reports, weights in runs[1:]:
        np.testing.assert_allclose(curves(reports), curves(runs[0][0]), rtol=rounding)
        assert difference(weights, runs[0][1]) <= rounding


def curves(reports):
    return [(each.epoch, each.train_loss, each.val_loss, each.train_score, each.val_score) for each in reports]


def test_a_divergent_lane_reports_it_and_harms_no_other():
    setup, plans, population, _, _ = trained("regression", "sgd")
    wild = [plan(setup, "mean_squared_error", 1e6), *plans[1:]]
    reports, weights = again(population, wild)
    assert reports[0][-1].diverged
    assert not any(report.diverged for slot in range(1, len(plans)) for report in reports[slot])
    assert all(np.isfinite(w).all() for own_weights in weights[1:] for w in own_weights)


@pytest.mark.long
def test_regularisers_and_normalisation_are_trained_as_model_fit_does():
    builder = Mlp(
        lambda: keras.layers.Dense(10, "gelu", kernel_regularizer=keras.regularizers.L2(0.01)),
        lambda: keras.layers.BatchNormalization(momentum=0.8),
        keras.layers.LayerNormalization,
    )
    setup = problem(
        "multiclass", {"cross_entropy": "cross_entropy", "focal": "focal"}, optimizer="sgd", builder=builder
    )
    plans = [plan(setup, "cross_entropy", 0.05), plan(setup, "focal", 0.02, gamma=1.0)]
    population = Population(setup, 2, variants=plans)
    assert not population.refuses("focal")
    reports, weights = run(population, plans)
    for slot, each in enumerate(plans):
        losses, solo, _ = alone(setup, each)
        assert difference(weights[slot], solo) < 1e-5
        assert [r.train_loss for r in reports[slot]] == pytest.approx([loss for loss, _ in losses], rel=1e-4)
        assert [r.val_loss for r in reports[slot]] == pytest.approx([loss for _, loss in losses], rel=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("sgd", {"global_clipnorm": 0.2}),
        ("adam", {"amsgrad": True, "clipvalue": 0.02}),
        ("rmsprop", {"centered": True, "clipnorm": 0.1}),
    ],
)
def test_optimizer_settings_act_in_each_lane_as_they_do_alone(optimizer, settings):
    setup = problem("multiclass", {"cross_entropy": "cross_entropy"}, optimizer=optimizer, settings=settings)
    # without clipping per lane the second, steeper lane would hold the first one back
    plans = [plan(setup, "cross_entropy", RATES[optimizer]), plan(setup, "cross_entropy", 10 * RATES[optimizer])]
    _, weights = run(Population(setup, 2, blocks=1, variants=plans[:1]), plans)
    for each, lane in zip(plans, weights, strict=True):
        assert difference(lane, alone(setup, each)[1]) < 5 * TOLERANCE[optimizer]


def test_an_optimizer_that_is_not_proven_is_refused_by_name():
    setup = problem("multiclass", {"ce": "cross_entropy"}, optimizer="schedulefreeadamw")
    assert "schedulefreeadamw" in Population(setup, 2).refuses("ce")


def equal_to_fit(setup, plans, population=None):
    """The lanes equal `model.fit`, weights and losses of every epoch."""
    reports, weights = run(population or Population(setup, len(plans), blocks=1, variants=plans), plans)
    for slot, each in enumerate(plans):
        model = assert_as_alone(setup, each, weights[slot], reports[slot], TOLERANCE[setup.optimizer])
        fold = replace(setup, dataset=setup.folds[each.fold])
        assert reports[slot][-1].val_score == pytest.approx(_score(fold, each, model), rel=1e-4)
    return reports, weights


@pytest.mark.parametrize(
    ("task", "names"),
    [
        pytest.param("regression", ("mean_squared_error", "poisson", "huber"), marks=LONG),
        ("multiclass", ("class_balanced_ce",)),
    ],
)
def test_a_lane_trains_on_its_fold_with_the_constants_of_that_fold(task, names):
    setup = problem(task, {name: name for name in names}, optimizer="sgd", settings={"momentum": 0.9})
    folds = tuple(dataset(task, seed) for seed in (0, 1, 2))
    setup.dataset.folds = folds
    plans = [
        replace(plan(setup, name, 0.005 * (1 + i), epochs=2, seed=i), fold=fold)
        for i, name in enumerate(names) for fold in (2, 0)
    ]  # fmt: skip
    _, weights = equal_to_fit(setup, plans)
    assert difference(weights[0], weights[1]) > 100 * TOLERANCE["sgd"]


def weighted(task, **names):
    """A problem whose rows have weights, in training and in validation."""
    setup = problem(task, names, optimizer="sgd", settings={"momentum": 0.9})
    rng = np.random.default_rng(5)
    for name in ("train", "validation"):
        part = getattr(setup.dataset, name)
        given = rng.uniform(0.2, 3.0, len(part.y)).astype(np.float32)
        setattr(setup.dataset, name, replace(part, weights=given))
    return setup


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("multiclass", ("focal",)),
        pytest.param("segmentation", ("binary_crossentropy", "binary_focal"), marks=LONG),
    ],
)
def test_weights_of_rows_count_in_training_and_validation_as_in_model_fit(task, names):
    setup = weighted(task, **{name: name for name in names})
    plans = [plan(setup, name, 0.02, epochs=3) for name in names]
    if task == "segmentation":
        # Keras takes one weight a place there
        for name in ("train", "validation"):
            part = getattr(setup.dataset, name)
            setattr(setup.dataset, name, replace(part, weights=np.ones_like(part.weights) * 1.7))
    equal_to_fit(setup, plans)


def batch_mean(y, z, *, sample_weight):
    """A loss of a whole batch: the squared distance from the mean of the batch, by its weights."""
    mean = keras.ops.sum(sample_weight[:, None] * (z - y), 0) / keras.ops.sum(sample_weight)
    return keras.ops.mean(keras.ops.square(z - y - mean), -1) + keras.ops.sum(keras.ops.square(mean))


class Handed(keras.losses.Loss):
    """The same in `model.fit`, which is given the weights beside the labels."""

    def call(self, both, z):
        return batch_mean(both[:, :1], z, sample_weight=both[:, 1])


def test_a_loss_that_asks_for_weights_is_given_them_and_not_multiplied_by_them():
    setup = weighted("regression", mine="mean_squared_error")
    fields = {
        "tasks": ("regression",),
        "summary": "s",
        "reference": "r",
        "target": "real",
        "outputs": "1",
        "activation": "affine",
    }
    spec = LossSpec(name="mine", function=batch_mean, level="batch", needs=("sample_weight",), **fields)
    setup.losses["mine"] = spec
    each = plan(setup, "mine", 0.01, epochs=1)
    reports, weights = run(Population(setup, 1, variants=[each]), [each])
    data = setup.dataset
    model = setup.build(1, 0)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), Handed())
    y = (data.train.y - data.constants.target_center) / data.constants.target_scale
    order = batch_order(0, 0, ROWS)
    both = np.stack([y, data.train.weights], 1).astype(np.float32)[order]
    loss = model.fit(data.train.x[order], both, batch_size=BATCH, shuffle=False, verbose=0).history["loss"][0]
    assert difference(weights[0], model.get_weights()) < TOLERANCE["sgd"]
    assert reports[0][0].train_loss == pytest.approx(loss, rel=1e-5)


class TwoInputs:
    """A builder of models of two inputs."""

    def build(self, input_shape, outputs, n_classes, seed):
        keras.utils.set_random_seed(seed)
        inputs = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
        parts = [keras.layers.Dense(6, "relu")(inputs["left"]), keras.layers.Dense(5, "tanh")(inputs["right"])]
        joined = keras.layers.Concatenate()(parts)
        return keras.Model(inputs, keras.layers.Dense(outputs)(joined))


@pytest.mark.long
def test_a_model_of_several_inputs_equals_model_fit():
    setup = problem("multiclass", {"ce": "cross_entropy"}, optimizer="sgd", builder=TwoInputs())
    setup.dataset.input_shape = {"left": (3,), "right": (4,)}
    for name in ("train", "validation"):
        part = getattr(setup.dataset, name)
        setattr(setup.dataset, name, replace(part, x={"left": part.x[:, :3], "right": part.x[:, 3:]}))
    setup.dataset.folds = (setup.dataset, setup.dataset)
    equal_to_fit(setup, [replace(plan(setup, "ce", 0.1, epochs=2), fold=fold) for fold in (0, 1)])


def test_a_population_is_of_one_shape():
    setup = problem("multiclass", {"ce": "cross_entropy"}, optimizer="sgd")
    architecture = Architecture(50)
    each = replace(plan(setup, "ce", 0.1, epochs=2), architecture=architecture)
    equal_to_fit(setup, [each], Population(setup, 1, architecture=architecture, variants=[each]))


@pytest.mark.long
def test_rows_in_pieces_and_the_last_scores_alone_give_the_same_numbers(monkeypatch):
    setup = problem("multiclass", {"ce": "cross_entropy"}, optimizer="sgd")
    plans = [plan(setup, "ce", rate, epochs=2, seed=i) for i, rate in enumerate((0.05, 0.2))]
    whole, _ = run(Population(setup, 2, blocks=1, variants=plans), plans)
    monkeypatch.setattr(lane_graph, "TOGETHER", 16)
    monkeypatch.setattr(lane_graph, "KEPT", 16 * 4 * 5)
    setup.groups.clear()
    parts, _ = run(Population(setup, 2, blocks=1, variants=plans), plans)
    for slot in (0, 1):
        for one, other in zip(whole[slot], parts[slot], strict=True):
            assert one.val_loss == pytest.approx(other.val_loss, rel=1e-5)
            assert (one.val_score, one.train_loss) == (other.val_score, other.train_loss)
            assert 0.0 < abs(one.train_score - other.train_score) < 0.2


def test_a_multiclass_loss_sees_a_binary_logit_as_two_opposite_halves():
    """categorical_hinge is not shift-invariant: [0, z] would give other values."""
    spec = registry.default().get("categorical_hinge")
    z = np.array([[-3.0], [-0.5], [0.0], [0.7], [4.0]], np.float32)
    for true in (0, 1):
        y = np.eye(2, dtype=np.float32)[[true] * 5]
        of_label, other = (z[:, 0] / 2, -z[:, 0] / 2) if true else (-z[:, 0] / 2, z[:, 0] / 2)
        # Keras's categorical hinge: the true class counts as a score of 0 among the others
        wanted = np.maximum(0.0, 1.0 + np.maximum(other, 0.0) - of_label)
        got = spec.values(y, z, 2, spec.bind({}))
        np.testing.assert_allclose(keras.ops.convert_to_numpy(got), wanted, rtol=1e-6)
