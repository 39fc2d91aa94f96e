"""Embeddings against Keras's own `model.fit`, whose optimizers see a repeated token's gradients one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from problems import Mlp, alone, difference, plan, problem, run

import lossreg
from lossreg import InputError, search
from lossreg.gradients import squares_slices
from lossreg.trainers.fit import Fit
from lossreg.trainers.optimizers import KNOWN
from lossreg.trainers.population import Population

CASES = [(name, {}) for name in KNOWN] + [
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("sgd", {"weight_decay": 0.01}),
    ("sgd", {"clipnorm": 0.01}),
    ("sgd", {"global_clipnorm": 0.01}),
    ("sgd", {"clipvalue": 0.1}),
    ("lion", {"clipvalue": 0.1}),
    ("adam", {"gradient_accumulation_steps": 2}),
]
TOKENS = [0, 2, 0, 3]


def stepped(name, settings, *, whole):
    """A table of embeddings after four steps on the same slices, of which two are of one token."""
    table = keras.Variable(np.linspace(-1, 1, 12).reshape(4, 3).astype("float32"), name="embeddings")
    optimizer = KNOWN[name](learning_rate=0.05, **settings)
    for step in range(4):
        values = np.random.default_rng(step).normal(size=(len(TOKENS), 3)).astype("float32")
        slices = tf.IndexedSlices(tf.constant(values), tf.constant(TOKENS), tf.constant([4, 3]))
        optimizer.apply([tf.convert_to_tensor(slices) if whole else slices], [table])
    return np.asarray(table)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_the_optimizers_that_are_named_are_those_that_differ(name, settings):
    apart = np.abs(stepped(name, settings, whole=False) - stepped(name, settings, whole=True)).max()
    assert (apart > 1e-5) == squares_slices(name, settings)


def words(optimizer):
    """A problem whose rows are seven tokens of a vocabulary of six."""
    builder = Mlp(lambda: keras.layers.Embedding(6, 4), keras.layers.Flatten)
    own = problem("multiclass", {"ce": "cross_entropy"}, optimizer=optimizer, builder=builder)
    for part in (own.dataset.train, own.dataset.validation):
        part.x = np.digitize(part.x, [-1, -0.5, 0, 0.5, 1]).astype("float32")
    return own


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_lane_against_model_fit_as_it_is_and_with_the_one_line(optimizer):
    own = words(optimizer)
    each = plan(own, "ce", 0.02, 3)
    _, (lane,) = run(Population(own, 1, blocks=1), [each])
    _, (fit,) = run(Fit(own), [each])
    _, plain, _ = alone(own, each)
    _, summed, _ = alone(own, each, lossreg.dense_gradients)
    assert difference(lane, summed) < 2e-5
    assert difference(lane, fit) < 2e-5
    # what README says of it: the same with SGD, another model with Adam and its like
    assert (difference(lane, plain) > 1e-2) == (optimizer != "sgd")


def test_keras_s_own_gradients_are_had_from_fit_and_refused_by_lanes():
    own = replace(words("adam"), sliced=True)
    each = plan(own, "ce", 0.02, 3)
    _, (fit,) = run(Fit(own), [each])
    assert difference(fit, alone(own, each)[1]) < 2e-5
    assert "embedding_gradients is keras" in Population(own, 1).refuses("ce")
    assert not Population(replace(words("sgd"), sliced=True), 1).refuses("ce")
    plain = problem("multiclass", {"ce": "cross_entropy"})
    assert not Population(replace(plain, sliced=True), 1).refuses("ce")


def test_the_optimizer_may_be_a_name_and_nothing_else_is_taken():
    assert isinstance(lossreg.dense_gradients("adam"), keras.optimizers.Adam)
    with pytest.raises(InputError, match="'adm' is no optimizer"):
        lossreg.dense_gradients("adm")


MINE = """
import keras, numpy as np
from sklearn.datasets import load_iris

def rows():
    x, y = load_iris(return_X_y=True)
    return np.floor(x), y

def build(hp):
    layers = [keras.layers.Embedding(9, 3, name="words"), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *layers])
"""


def test_a_study_says_that_lanes_gain_nothing_from_a_large_embedding(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("large.py").write_text(MINE.replace("Embedding(9, 3", "Embedding(25_000, 40"))
    asked = {
        "data": {"source": "large.py:rows", "preprocess": "none"}, "model": {"build": "large.py:build"},
        "losses": {"cross_entropy": {}}, "tracking": {"enabled": False}, "search": {"lanes": 1},
    }  # fmt: skip
    said = [note for note in search.plan(asked).notes if "every lane updates" in note]
    assert said[0].startswith("words has 1,000,000 numbers, which every lane updates in every step")
    assert not [note for note in search.plan(asked, ["search.trainer=fit"]).notes if "every lane updates" in note]


def test_a_study_says_what_its_embedding_gets_and_goes_to_fit_where_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    study = {
        "data": {"source": "mine.py:rows", "preprocess": "none"}, "model": {"build": "mine.py:build"},
        "losses": {"cross_entropy": {}}, "tracking": {"enabled": False},
    }  # fmt: skip

    def outline(**train):
        return search.plan({**study, "train": train})

    said = [note for note in outline().notes if "sum of a token's gradients" in note]
    assert said[0].startswith("words: adam is given the sum")
    assert 'lossreg.dense_gradients("adam")' in said[0]
    assert not [note for note in outline(optimizer="sgd").notes if "token" in note or "every lane updates" in note]
    asked = outline(embedding_gradients="keras")
    assert not [note for note in asked.notes if "token" in note]
    assert asked.refused == {
        "cross_entropy": "train.embedding_gradients is keras, and only model.fit gives words those"
    }
