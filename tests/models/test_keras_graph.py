"""Private attributes of Keras and the public ways beside them: both see the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import special

from lossreg.models import keras_graph
from lossreg.models.keras_graph import producer, sublayers
from lossreg.models.need import Need
from lossreg.models.raw_scores import raw_scores

X = np.random.default_rng(0).normal(size=(20, 6, 4)).astype(np.float32)


class Block(layers.Layer):  # type: ignore[misc]
    """A layer with layers in a list and in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.listed, self.named = [layers.Dense(4), layers.Dropout(0.1)], {"last": layers.Dense(3)}

    def call(self, x: Any) -> Any:
        for layer in (*self.listed, self.named["last"]):
            x = layer(x)
        return x


def model() -> Any:
    entry = keras.Input((6, 4))
    x = layers.Bidirectional(layers.LSTM(3))(entry)
    x = keras.Sequential([layers.Dense(4), Block()])(x)
    y = layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(2)])(entry)
    return keras.Model(entry, ops.softmax(layers.Dense(3)(ops.concatenate([x, y], axis=-1))))


@pytest.fixture(params=["private", "public"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "public":
        for name in ("HISTORY", "NODES", "FLATTEN"):
            monkeypatch.setattr(keras_graph, name, "_not_of_this_version")
    return str(request.param)


def test_every_layer_inside_is_seen(way: str) -> None:
    names = {type(layer).__name__ for layer in sublayers(model())}
    assert names == {
        "Functional", "InputLayer", "Bidirectional", "LSTM", "LSTMCell", "Sequential", "Dense", "Block", "Dropout",
        "RNN", "StackedRNNCells", "GRUCell", "SimpleRNNCell",
    }  # fmt: skip


def test_both_ways_see_the_same_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    built = model()
    private = {id(layer): layer for layer in sublayers(built)}
    monkeypatch.setattr(keras_graph, "FLATTEN", "_not_of_this_version")
    public = {id(layer): layer for layer in sublayers(built)}
    assert private.keys() <= public.keys()
    # the functional model inside a Sequential, which has the layers of that
    assert [type(public[key]).__name__ for key in public.keys() - private.keys()] == ["Functional"]


def test_the_operations_are_found_from_the_end_to_the_input(way: str) -> None:
    entry = keras.Input((6,))
    hidden, last = layers.Dense(4), layers.Dense(2)
    tensor = ops.sigmoid(last(hidden(entry)))
    seen = []
    while tensor is not None:
        operation, tensor = producer(entry, tensor)
        seen.append(type(operation).__name__)
    assert seen == ["Sigmoid", "Dense", "Dense", "InputLayer"]


def test_the_softmax_at_the_end_is_cut_off(way: str) -> None:
    built = model()
    before = np.asarray(built(X))
    need = Need((6, 4), 3, 3)
    scores = raw_scores(built, need)
    np.testing.assert_allclose(special.softmax(np.asarray(scores(X)), axis=1), before, rtol=1e-5, atol=1e-6)
    assert scores.layers[-1].name == built.layers[-1].name
    assert len(need.notes) == 1


def test_a_layer_of_which_only_the_first_call_is_public_is_not_taken_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry, shared = keras.Input((6,)), layers.Dense(6)
    first = shared(entry)
    second = shared(first)
    assert producer(entry, second) == (shared, first)
    for name in ("HISTORY", "NODES"):
        monkeypatch.setattr(keras_graph, name, "_not_of_this_version")
    assert producer(entry, second) == (None, None)
    assert producer(entry, first) == (shared, entry)
