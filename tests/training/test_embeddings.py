"""Embeddings against Keras's own `model.fit`, whose optimizers see a repeated token's gradients one by one."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from problems import Mlp, alone, difference, plan, problem, run

import lossreg
from lossreg import InputError
from lossreg.models.embeddings import tables
from lossreg.registry.dense_gradients import squares_slices
from lossreg.search import outline
from lossreg.training.optimizers import KNOWN
from lossreg.training.population import Population
from lossreg.training.solo import Fit

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


class Table(keras.layers.Layer):
    """A layer of the user's own that looks up rows, as an Embedding does."""

    def build(self, shape):
        self.table = self.add_weight(shape=(6, 4), name="table")

    def call(self, ids):
        return keras.ops.take(self.table, keras.ops.cast(ids, "int32"), axis=0)


def words(optimizer, layer=lambda: keras.layers.Embedding(6, 4)):
    """A problem whose rows are seven tokens of a vocabulary of six."""
    builder = Mlp(layer, keras.layers.Flatten)
    instance = problem("multiclass", {"ce": "cross_entropy"}, optimizer=optimizer, builder=builder)
    for name in ("train", "validation"):
        part = getattr(instance.dataset, name)
        tokens = np.digitize(part.x, [-1, -0.5, 0, 0.5, 1]).astype("float32")
        setattr(instance.dataset, name, replace(part, x=tokens))
    return instance


LONG_LOOKUPS = [pytest.param(name, None, marks=pytest.mark.long) for name in ("sgd", "adam", "rmsprop")]


@pytest.mark.parametrize(("optimizer", "layer"), [("adam", Table), *LONG_LOOKUPS])
def test_a_lane_against_model_fit_as_it_is_and_with_the_one_line(optimizer, layer):
    instance = words(optimizer, layer) if layer else words(optimizer)
    each = plan(instance, "ce", 0.02, 3)
    _, (lane,) = run(Population(instance, 1, blocks=1), [each])
    _, (fit,) = run(Fit(instance), [each])
    _, plain, _ = alone(instance, each)
    _, summed, _ = alone(instance, each, lossreg.dense_gradients)
    assert difference(lane, summed) < 2e-5
    assert difference(lane, fit) < 2e-5
    # what docs/study/model.md says of it: the same with SGD, another model with Adam and its like
    assert (difference(lane, plain) > 1e-2) == (optimizer != "sgd")


def test_keras_s_own_gradients_are_had_from_fit_and_refused_by_lanes():
    instance = replace(words("adam"), sliced=True)
    each = plan(instance, "ce", 0.02, 3)
    _, (fit,) = run(Fit(instance), [each])
    assert difference(fit, alone(instance, each)[1]) < 2e-5
    assert "embedding_gradients is keras" in Population(instance, 1).refuses("ce")
    assert not Population(replace(words("sgd"), sliced=True), 1).refuses("ce")
    plain = problem("multiclass", {"ce": "cross_entropy"})
    assert not Population(replace(plain, sliced=True), 1).refuses("ce")
    gathered = replace(words("adam", lambda: Table(name="mine")), sliced=True)
    assert "only model.fit gives mine/table those" in Population(gathered, 1).refuses("ce")
    _, (fit,) = run(Fit(gathered), [each])
    assert difference(fit, alone(gathered, each)[1]) < 2e-5


def model_of(*layers):
    inputs = keras.Input((4,))
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


class Tied(keras.Layer):
    """A table that is looked up and multiplied with: its gradient is whole."""

    def build(self, shape):
        self.table = self.add_weight(shape=(6, 3), name="table")

    def call(self, ids):
        rows = keras.ops.take(self.table, keras.ops.cast(ids, "int32"), axis=0)
        return keras.ops.matmul(rows, keras.ops.transpose(self.table))


def tables_of(*layers):
    x = np.arange(12, dtype="float32").reshape(3, 4) % 6
    model = model_of(*layers)
    before = [np.asarray(variable) for variable in model.variables]
    names = tables(model, x)
    assert all((np.asarray(now) == then).all() for now, then in zip(model.variables, before, strict=True))
    return names


def test_the_tables_are_those_whose_gradients_keras_gives_in_slices():
    flat, dense = keras.layers.Flatten, keras.layers.Dense
    assert tables_of(Table(name="a"), flat(), keras.layers.BatchNormalization(), dense(1)) == {"a/table": 24}
    assert tables_of(keras.layers.Embedding(6, 2, name="b"), flat(), keras.layers.Dropout(0.5)) == {"b/embeddings": 12}
    inner = keras.Sequential([keras.Input((4,)), Table(name="deep"), flat()], name="inner")
    assert tables_of(inner, dense(1)) == {"deep/table": 24}
    assert tables_of(dense(3), dense(1)) == {}
    assert tables_of(Tied(), flat()) == {}
    penalised = keras.layers.Embedding(6, 2, embeddings_regularizer="l2")
    assert tables_of(penalised, flat()) == {}
    frozen = keras.layers.Embedding(6, 2, trainable=False)
    assert tables_of(frozen, flat(), dense(1)) == {}


NOT_OPTIMIZERS = [None, 3, [], {}, b"adam", "adm", keras.optimizers.Adam, {"class_name": "Adam", "config": {"x": 1}}]


@pytest.mark.parametrize("given", NOT_OPTIMIZERS, ids=str)
def test_what_is_not_an_optimizer_is_refused(given):
    with pytest.raises(InputError, match=r"is not an optimizer of Keras\. Give a name such as"):
        lossreg.dense_gradients(given)


@keras.saving.register_keras_serializable("embeddings")
class Doubled(keras.optimizers.SGD):
    """An optimizer of the user's own, with a setting that its config has."""

    def __init__(self, learning_rate=0.1, times=2.0, **more):
        super().__init__(learning_rate, **more)
        self.times = times

    def get_config(self):
        return {**super().get_config(), "times": self.times}


OPTIMIZERS = [
    keras.optimizers.Adam(0.02, beta_1=0.8), Doubled(0.02, times=3.0), keras.optimizers.RMSprop(0.02, clipnorm=0.1),
    keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 10)),
    keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)),
]  # fmt: skip
WAYS = {
    "itself": lambda optimizer: optimizer,
    "twice": lossreg.dense_gradients,
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
    "config": lambda optimizer: keras.optimizers.get(json.loads(json.dumps(keras.optimizers.serialize(optimizer)))),
}


def test_an_optimizer_that_0_2_0_pickled_is_read():
    pickled = (Path(__file__).parent / "saved" / "dense-0.2.0.pickle").read_bytes()
    expected = lossreg.dense_gradients(keras.optimizers.SGD(0.25, momentum=0.5, name="sgd"))
    read = pickle.loads(pickled)
    assert type(read) is type(expected)
    assert read.get_config() == expected.get_config()


def repeated(optimizer, *, whole=False):
    """A table after three steps on slices of which two are of one token, or on their sums."""
    table = keras.Variable(np.linspace(-1, 1, 12).reshape(4, 3).astype("float32"))
    for step in range(3):
        values = np.random.default_rng(step).normal(size=(len(TOKENS), 3)).astype("float32")
        slices = tf.IndexedSlices(tf.constant(values), tf.constant(TOKENS), tf.constant([4, 3]))
        optimizer.apply([tf.convert_to_tensor(slices) if whole else slices], [table])
    return np.asarray(table)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_a_copy_of_the_optimizer_is_given_whole_gradients_too(optimizer, way):
    config = optimizer.get_config()
    again = WAYS[way](lossreg.dense_gradients(optimizer))
    assert again.get_config() == config
    fresh = type(optimizer).from_config(config)
    np.testing.assert_allclose(repeated(again), repeated(fresh, whole=True), rtol=1e-5, atol=1e-6)
    assert "apply" not in vars(optimizer)


def test_the_users_optimizer_stays_as_it_is():
    mine = keras.optimizers.Adam(0.05)
    summed = lossreg.dense_gradients(mine)
    assert summed is not mine
    assert isinstance(lossreg.dense_gradients("adam"), keras.optimizers.Adam)
    apart = np.abs(repeated(mine) - repeated(summed)).max()
    assert apart > 1e-3
    np.testing.assert_array_equal(repeated(keras.optimizers.Adam(0.05)), repeated(keras.optimizers.Adam(0.05)))


LOADED = """
import json, sys
import numpy as np
import lossreg
x, y = np.arange(40).reshape(10, 4) % 6, np.arange(10) % 3
model = lossreg.load_model(sys.argv[1])
print(json.dumps(model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"]))
"""


@pytest.mark.long
def test_a_saved_model_keeps_it_in_another_process(tmp_path):
    x, y = np.arange(40).reshape(10, 4) % 6, np.arange(10) % 3
    layers = [keras.layers.Embedding(6, 2), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = model_of(*layers)
    model.compile(lossreg.dense_gradients("adam"), lossreg.get("focal", from_logits=True))
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path / "model.keras")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    here = model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert json.loads(ran.stdout.splitlines()[-1]) == pytest.approx(here, rel=1e-5)


MINE = """
import keras, numpy as np
from sklearn.datasets import load_iris

def rows():
    x, y = load_iris(return_X_y=True)
    return np.floor(x), y

class Table(keras.layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(9, 3), name="table")
    def call(self, ids):
        return keras.ops.take(self.table, keras.ops.cast(ids, "int32"), axis=0)

def build(hp):
    layers = [keras.layers.Embedding(9, 3, name="words"), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *layers])
"""


def test_a_study_says_that_lanes_gain_nothing_from_a_large_embedding(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("large.py").write_text(MINE.replace("Embedding(9, 3", "Embedding(25_000, 40"))
    asked = {
        "data": {"source": "large.py:rows", "preprocess": "none"}, "model": {"build": "large.py:build"},
        "losses": {"cross_entropy": {}}, "search": {"lanes": 1},
        "tracking": {"enabled": False}, "verdict": {"enabled": False},
    }  # fmt: skip
    notes = [note for note in outline.plan(asked).notes if "every model updates" in note]
    assert notes[0].startswith("words/embeddings has 1,000,000 numbers, which every model updates in every step")
    assert not [note for note in outline.plan(asked, ["search.trainer=fit"]).notes if "every model updates" in note]


def test_a_study_says_what_its_embedding_gets_and_goes_to_fit_where_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    study = {
        "data": {"source": "mine.py:rows", "preprocess": "none"}, "model": {"build": "mine.py:build"},
        "losses": {"cross_entropy": {}}, "tracking": {"enabled": False}, "verdict": {"enabled": False},
    }  # fmt: skip

    def planned(**train):
        return outline.plan({**study, "train": train})

    notes = [note for note in planned().notes if "sum of a token's gradients" in note]
    assert notes[0].startswith("words/embeddings: adam is given the sum")
    assert 'lossreg.dense_gradients("adam")' in notes[0]
    assert not [note for note in planned(optimizer="sgd").notes if "token" in note or "every model updates" in note]
    asked = planned(embedding_gradients="keras")
    assert not [note for note in asked.notes if "token" in note]
    assert asked.refused == {
        "cross_entropy": "train.embedding_gradients is keras, and only model.fit gives words/embeddings those"
    }


def test_a_study_says_it_of_a_layer_of_the_users_own_that_looks_up_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("gathers.py").write_text(MINE.replace('keras.layers.Embedding(9, 3, name="words")', 'Table(name="mine")'))
    study = {
        "data": {"source": "gathers.py:rows", "preprocess": "none"}, "model": {"build": "gathers.py:build"},
        "losses": {"cross_entropy": {}}, "tracking": {"enabled": False}, "verdict": {"enabled": False},
    }  # fmt: skip
    assert [note for note in outline.plan(study).notes if note.startswith("mine/table: adam is given the sum")]
    asked = outline.plan({**study, "train": {"embedding_gradients": "keras"}})
    assert asked.refused == {
        "cross_entropy": "train.embedding_gradients is keras, and only model.fit gives mine/table those"
    }
