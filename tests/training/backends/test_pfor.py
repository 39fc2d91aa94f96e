"""Lanes on a TensorFlow whose private converter of loops is another one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from problems import Mlp, difference, plan, problem, run
from tensorflow.python.ops.parallel_for import pfor

from lossreg.training.backends import _pfor, interface
from lossreg.training.population import Population


@pytest.fixture
def changed(monkeypatch):
    """A TensorFlow without its private converter, as far as this package sees."""
    monkeypatch.delattr(pfor, "PFor")
    _pfor.converter.cache_clear()
    yield
    monkeypatch.undo()
    _pfor.converter.cache_clear()


def trained():
    """Reports and weights of a lane by itself and of three, whose model has a bias that Keras squeezes."""
    layers = keras.layers
    builder = Mlp(lambda: layers.Reshape((-1, 1)), lambda: layers.Conv1D(2, 2, activation="relu"), layers.Flatten)
    setup = problem("multiclass", {"focal": "focal"}, builder=builder, optimizer="sgd")
    plans = [plan(setup, "focal", 0.01 * (i + 1), epochs=1) for i in range(3)]
    population = Population(setup, 3, blocks=1, variants=plans)
    alone, alone_weights = run(population, plans[:1])
    population.close(0)
    together, weights = run(population, plans)
    return [*alone.values(), *together.values()], [*alone_weights, *weights]


@pytest.mark.long
def test_without_the_private_converter_lanes_end_where_they_end_with_it(request):
    reports, weights = trained()
    request.getfixturevalue("changed")
    assert _pfor.converter() is None
    slower_reports, slower_weights = trained()
    assert max(map(difference, weights, slower_weights)) < 1e-5
    losses, slower_losses = (
        [report.val_loss for each in of_trainer for report in each] for of_trainer in (reports, slower_reports)
    )
    assert losses == pytest.approx(slower_losses, rel=1e-5)


def test_the_gradient_of_a_table_is_whole_in_either_way(request):
    table, tokens = np.arange(8, dtype=np.float32).reshape(1, 4, 2), np.array([[0, 2, 2]], np.int32)

    @tf.function
    def gradient(table):
        return interface.pull_back(
            lambda weights: (
                interface.map_lanes(lambda lane: tf.gather(lane[0], lane[1]), (weights[0], tf.constant(tokens))),
                (),
            ),
            [table],
        )[2](tf.ones((1, 3, 2)))[0]

    wanted = [[[1, 1], [0, 0], [2, 2], [0, 0]]]
    np.testing.assert_array_equal(gradient(tf.constant(table)), wanted)
    request.getfixturevalue("changed")
    np.testing.assert_array_equal(tf.function(gradient.python_function)(tf.constant(table)), wanted)


def test_the_user_is_told_once_in_a_study_and_only_where_lanes_are_slower(request):
    assert interface.note() == ""
    request.getfixturevalue("changed")
    assert "training is slower" in interface.note()
    assert tf.__version__ in interface.note()


def squeezed(lanes):
    return interface.map_lanes(tf.squeeze, tf.constant(np.zeros((lanes, 1, 3), np.float32)))


@pytest.mark.parametrize("fails", [False, True])
def test_other_maps_of_the_process_are_converted_as_before(fails):
    before = dict(pfor._pfor_converter_registry)
    seen = []

    def lane(x):
        seen.append(dict(pfor._pfor_converter_registry) == before)
        if fails:
            raise ValueError("a loss of the user")
        return tf.squeeze(x)

    graph = tf.function(lambda x: interface.map_lanes(lane, x))
    try:
        assert graph(tf.zeros((1, 1, 3))).shape == (1, 3)
    except ValueError:
        assert fails
    assert seen == [True]
    assert pfor._pfor_converter_registry == before
