"""A loss is tried at once, in lanes and in a graph before a study starts."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from loss_cases import SPECS
from problems import plan, problem, run
from quick import ONE_PER_FAMILY

from lossreg import InputError, LossSpec, ops
from lossreg.contract.targets import TASKS
from lossreg.data.dataset import Split
from lossreg.registry import registry
from lossreg.training.mappable_losses import rehearse
from lossreg.training.population import Population


def squares(y, z):
    return ops.mean(ops.square(z - y), axis=-1)


def python_condition(y, z):
    return squares(y, z) if ops.mean(z) > 0 else 2 * squares(y, z)


def with_numpy(y, z):
    return np.mean(np.square(np.asarray(z) - np.asarray(y)), axis=-1)


def with_sort(y, z):
    return ops.sort(squares(y, z))


def scalar(y, z):
    return ops.mean(squares(y, z))


def python_number(y, z):
    return 1.0


def not_a_number(y, z):
    return squares(y, z) / 0 * 0


def infinite_slope(y, z):
    return ops.sqrt(squares(y, z) * 0)


def fixed_batch(y, z):
    if z.shape[0] != 32:
        raise ValueError("32 rows\nand no others")
    return squares(y, z)


def unlike_in_lanes(y, z):
    return squares(y, z) * (1.0 if tf.executing_eagerly() else 1.001)


@tf.custom_gradient
def _forward_as_one(z):
    return z, lambda upstream: upstream * (1.0 if tf.executing_eagerly() else 1.001)


def unlike_gradient(y, z):
    return squares(y, _forward_as_one(z))


def by_progress(y, z, *, progress):
    return squares(y, z) * (1 + progress)


def tried(function, **more):
    instance = problem("regression", {"l": "mean_squared_error"})
    fields = {"name": "mine", "tasks": ("regression",), "summary": "s", "reference": "r", "target": "real"}
    instance.losses["l"] = LossSpec(**{**fields, "function": function, "outputs": "1", "activation": "affine", **more})
    return instance, plan(instance, "l", 0.01)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (python_condition, "fails in a TensorFlow graph: OperatorNotAllowedInGraphError: Using a symbolic"),
        (with_numpy, "fails in a TensorFlow graph: NotImplementedError: Cannot convert a symbolic"),
        (fixed_batch, "fails in a TensorFlow graph: ValueError: 32 rows and no others. Use lossreg.ops"),
        (scalar, r"returns shape \(\) for 32 samples. One value per sample is needed"),
        (python_number, r"returns shape \(\) for 32 samples"),
        (not_a_number, "is not finite on ordinary raw scores"),
        (infinite_slope, "has a gradient that is not finite on ordinary raw scores"),
    ],
)
def test_a_loss_that_cannot_train_is_refused_in_one_line(function, message):
    with pytest.raises(InputError, match=message) as caught:
        rehearse(*tried(function))
    assert "\n" not in str(caught.value)
    if "graph" in message:
        assert caught.value.hint.startswith("Use lossreg.ops (keras.ops) instead of NumPy")


def test_what_a_loss_raises_itself_is_passed_on():
    with pytest.raises(AttributeError, match="no_such_operation"):
        rehearse(*tried(lambda y, z: ops.no_such_operation(z)))


def test_a_loss_that_sorts_trains_in_lanes():
    """Nothing is ever computed for a loss without lanes, which sorting could not bear."""
    assert rehearse(*tried(with_sort)) == ""


def test_a_loss_with_state_does_not_train_in_lanes():
    drawn = rehearse(*tried(lambda y, z: squares(y, z) + 0.0 * tf.random.normal(ops.shape(y)[:1])))
    factor = keras.Variable(2.0)
    assert drawn == rehearse(*tried(lambda y, z: factor * squares(y, z))) != ""
    assert "variable" in drawn


@pytest.mark.parametrize(("function", "part"), [(unlike_in_lanes, "values"), (unlike_gradient, "gradients")])
def test_lanes_that_give_other_numbers_are_refused(function, part):
    assert rehearse(*tried(function)) == (
        f"cannot be mapped over lanes: its {part} differ from those of one lane at a time"
    )


@pytest.mark.parametrize(
    ("function", "needs"),
    [pytest.param(squares, (), marks=pytest.mark.long), (by_progress, ("progress",)), (with_sort, ())],
)
def test_the_verdict_is_what_training_does(function, needs):
    """The second block has no lane of the first loss."""
    setup, mine = tried(function, needs=needs)
    setup = replace(
        setup, losses={**setup.losses, "other": registry.default().get("mean_squared_error")}, batch_size=32
    )
    # 215 rows: a whole number of batches, so that a loss of a fixed batch sees no other
    train = setup.dataset.train
    setup.dataset.train = Split(train.x[:192], train.y[:192])
    setup.dataset.validation = Split(train.x[:32], train.y[:32])
    plans = [mine, plan(setup, "other", 0.01)]
    population = Population(setup, 2, blocks=2, variants=plans)
    reason = rehearse(setup, mine)
    try:
        reports, _ = run(population, plans, 1)
        assert not reports[0][0].diverged
    finally:
        population.shutdown()
    assert reason == ""


@pytest.mark.parametrize("chosen", [ONE_PER_FAMILY, pytest.param(SPECS.keys(), marks=pytest.mark.long)], ids=len)
@pytest.mark.parametrize("task", TASKS)
def test_losses_of_the_zoo_train_in_lanes(task, chosen):
    """Each on the last of its tasks; and on one logit those that see two scores there."""
    names = [name for name in chosen if SPECS[name].tasks[-1] == task]
    names += ["cross_entropy", "crammer_singer", "ldam"] if task == "binary" else []
    setup = problem(task, {name: name for name in names})
    assert {name: rehearse(setup, plan(setup, name, 0.01)) for name in names} == dict.fromkeys(names, "")
