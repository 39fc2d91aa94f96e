"""What KerasTuner's guides show, written anew: under a study unchanged, and with a loss of the registry inside."""

from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest
from fake_trainer import Fake
from keras import layers

import lossreg
import lossreg.keras_tuner
from lossreg.models import keras_tuner as own
from lossreg.models.hyperparameters import given
from lossreg.search import restore

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], 30)
X = RNG.normal(size=(90, 4, 4)).astype(np.float32) + Y[:, None, None]
INPUTS = {"image": X[..., None], "numbers": X[:, 0]}
OFF = {"verdict": {"enabled": False}, "tracking": {"enabled": False}, "data": {"preprocess": "none"}}
LOSSES = ["cross_entropy", "focal", "gce"]


def compiled(hp, model, optimizer=None, loss=None, **arguments):
    model.compile(optimizer or "adam", loss or "sparse_categorical_crossentropy", metrics=["accuracy"], **arguments)
    return model


def getting_started(hp, loss=None):
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 3)):
        model.add(
            layers.Dense(hp.Int(f"units_{i}", 32, 96, step=32), activation=hp.Choice("activation", ["relu", "tanh"]))
        )
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(3, activation="softmax"))
    rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    return compiled(hp, model, keras.optimizers.Adam(learning_rate=rate), loss)


def existing_code(hp, loss=None):
    def network(units, activation, dropout, rate):
        hidden = [layers.Flatten(), layers.Dense(units, activation), *[layers.Dropout(0.25)] * dropout]
        model = keras.Sequential([*hidden, layers.Dense(3, "softmax")])
        return compiled(hp, model, keras.optimizers.Adam(rate), loss)

    units, activation = hp.Int("units", 8, 32, step=8), hp.Choice("activation", ["relu", "tanh"])
    return network(units, activation, hp.Boolean("dropout"), hp.Choice("lr", [1e-2, 1e-3, 1e-4]))


def every_kind(hp, loss=None):
    model = keras.Sequential([keras.Input((4, 4)), layers.Flatten()])
    model.add(
        layers.Dense(
            hp.Int("doubled", 4, 32, step=2, sampling="log"), hp.Choice("kind", ["relu", "elu"], ordered=False)
        )
    )
    model.add(layers.Dropout(hp.Float("rate", 0.0, 0.5, step=0.25, default=0.25)))
    model.add(
        layers.Dense(
            hp.Fixed("fixed", 5),
            kernel_regularizer=keras.regularizers.L2(hp.Float("l2", 1e-4, 1e-2, step=10, sampling="log")),
        )
    )
    if hp.Boolean("normal", default=True):
        model.add(layers.BatchNormalization(momentum=hp.Choice("momentum", [0.9, 0.99], default=0.99)))
    hp.Int("extra", 2, 4, parent_name="normal", parent_values=[True])
    model.add(layers.Dense(3, "softmax"))
    return compiled(hp, model, hp.Choice("optimizer", ["adam", "sgd", "rmsprop"]), loss)


def conditional(hp, loss=None):
    kind = hp.Choice("model_type", ["mlp", "cnn"])
    inputs = keras.Input((4, 4))
    if kind == "mlp":
        with hp.conditional_scope("model_type", ["mlp"]):
            x = layers.Flatten()(inputs)
            for i in range(hp.Int("mlp_layers", 1, 2)):
                x = layers.Dense(hp.Int(f"mlp_units_{i}", 8, 16, step=8), "relu")(x)
    else:
        with hp.conditional_scope("model_type", ["cnn"]):
            x = layers.Reshape((4, 4, 1))(inputs)
            x = layers.Conv2D(hp.Int("filters", 4, 8, step=4), hp.Choice("kernel", [2, 3]))(x)
            x = layers.GlobalAveragePooling2D()(x)
    return compiled(hp, keras.Model(inputs, layers.Dense(3, "softmax")(x)), None, loss)


def name_scopes(hp, loss=None):
    def block(x):
        with hp.name_scope("block"):
            x = layers.Dense(hp.Int("units", 4, 12, step=4), "relu")(x)
            with hp.name_scope("end"):
                return layers.Dropout(hp.Choice("rate", [0.1, 0.5]))(x)

    inputs = keras.Input((4, 4))
    with hp.name_scope("encoder"):
        x = block(layers.Flatten()(inputs))
    with hp.name_scope("decoder"):
        x = block(x)
    return compiled(hp, keras.Model(inputs, layers.Dense(3, "softmax")(x)), None, loss)


class OwnFit(keras_tuner.HyperModel):
    """Tunes how it is trained too: in `fit`, which a study leaves out."""

    def __init__(self, loss=None):
        super().__init__()
        self.loss = loss

    def build(self, hp):
        units = hp.Int("units", 8, 32, step=8)
        model = keras.Sequential([layers.Flatten(), layers.Dense(units, "relu"), layers.Dense(3, "softmax")])
        return compiled(hp, model, None, self.loss)

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch", [16, 32]), shuffle=hp.Boolean("shuffle"), **kwargs)


class OwnLoop(OwnFit):
    """Trains in a loop of its own, and returns a number."""

    def fit(self, hp, model, x, y, *, validation_data, callbacks=None, **kwargs):
        rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
        optimizer, loss = keras.optimizers.SGD(rate), model.loss
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = keras.ops.mean(keras.losses.get(loss)(y, model(x, training=True)))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        right = np.argmax(model(validation_data[0]), axis=1) == validation_data[1]
        return {"val_accuracy": float(right.mean())}


def several_inputs(hp, loss=None):
    image = keras.Input((4, 4, 1), name="image")
    numbers = keras.Input((4,), name="numbers")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(hp.Int("filters", 4, 8, step=4), 2)(image))
    x = layers.Concatenate()([x, layers.Dense(hp.Int("units", 4, 8, step=4))(numbers)])
    return compiled(hp, keras.Model([image, numbers], layers.Dense(3, "softmax")(x)), None, loss)


def training_process(hp, loss=None):
    model = keras.Sequential(
        [layers.Flatten(), layers.Dense(hp.Int("units", 8, 16, step=8)), layers.Dense(3, "softmax")]
    )
    schedule = keras.optimizers.schedules.ExponentialDecay(hp.Float("initial", 1e-3, 1e-1, sampling="log"), 100, 0.9)
    clip = hp.Choice("clipnorm", [1.0, 5.0])
    return compiled(hp, model, keras.optimizers.Adam(schedule, clipnorm=clip), loss)


def functional_blocks(hp, loss=None):
    inputs = x = keras.Input((4, 4))
    if hp.Choice("block", ["vanilla", "residual"]) == "residual":
        x = layers.Add()([x, layers.Dense(4, "relu")(x)])
    x = layers.GlobalAveragePooling1D()(x) if hp.Boolean("pool") else layers.Flatten()(x)
    return compiled(
        hp,
        keras.Model(inputs, layers.Dense(3)(x)),
        None,
        loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )


class Net(keras.Model):
    """A model of a class of its own."""

    def __init__(self, units):
        super().__init__()
        self.flat, self.hidden, self.end = layers.Flatten(), layers.Dense(units, "relu"), layers.Dense(3, "softmax")

    def call(self, x):
        return self.end(self.hidden(self.flat(x)))


def a_class_of_models(hp, loss=None):
    return compiled(hp, Net(hp.Int("units", 8, 16, step=8)), None, loss)


EXAMPLES = [
    getting_started, existing_code, every_kind, conditional, name_scopes, OwnFit, OwnLoop, several_inputs,
    training_process, functional_blocks, a_class_of_models,
]  # fmt: skip
QUICK = (getting_started, conditional)
MARKED = [pytest.param(e, id=e.__name__, marks=[] if e in QUICK else [pytest.mark.long]) for e in EXAMPLES]
# what feeds the ignored compile() alone, and so is no part of an architecture
COMPILED = {
    "getting_started": {"lr"}, "existing_code": {"lr"}, "every_kind": {"optimizer"},
    "training_process": {"initial", "clipnorm"},
}  # fmt: skip


def rows(example):
    return INPUTS if example is several_inputs else X


def sampled(build, seed):
    """Return hyperparameters drawn as KerasTuner's random search draws them."""
    oracle = keras_tuner.oracles.RandomSearchOracle("val_accuracy", 9, seed=seed)
    tuner = keras_tuner.Tuner(oracle, build, overwrite=True)
    return tuner.oracle.create_trial("one").hyperparameters, tuner.oracle.get_space()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("example", MARKED)
def test_a_study_searches_what_keras_tuner_searches_and_builds_the_same(example):
    build = example() if isinstance(example, type) else example
    _, space = sampled(build, 0)
    result = lossreg.tune(
        rows(example), Y, losses=LOSSES, model={"build": build, "hp": "search"}, trials=12, epochs=1,
        settings={**OFF, "search": {"sampler": "random"}}, trainers=[Fake(lambda plan, epoch: 0.5)],
    )  # fmt: skip
    tried = {name.removeprefix("model.") for trial in result.trials for name in trial.params if name[:6] == "model."}
    of_compile = COMPILED.get(example.__name__, set())
    assert tried.isdisjoint(of_compile | {"fixed"})
    assert tried >= {p.name for p in space.space if not p.conditions} - of_compile - {"fixed"}
    notes = " ".join(result.notes)
    assert all(name in notes for name in of_compile)
    assert ("its own fit is ignored" in notes) == issubclass(build.__class__, OwnFit)
    build = own.build_function(build)
    for trial in result.trials[:4]:
        values = {name.removeprefix("model."): v for name, v in trial.params.items() if name[:6] == "model."}
        theirs = keras_tuner.HyperParameters()
        theirs.values = dict(values)
        ours = own.Hyperparameters({}, given(values))
        models = [build(hp) for hp in (theirs, ours)]
        for model in models:
            model({name: part[:2] for name, part in INPUTS.items()} if example is several_inputs else X[:2])
        assert len({str([w.shape for w in model.weights]) for model in models}) == 1
        assert theirs.values.items() >= values.items()


def with_loss(example):
    """Return the example, which is compiled with a loss of the registry."""
    if isinstance(example, type):

        class Own(example):
            def build(self, hp):
                self.loss = lossreg.keras_tuner.loss(hp, LOSSES, Y)
                return super().build(hp)

        return Own()

    def build(hp):
        raw = example is functional_blocks
        return example(hp, lossreg.keras_tuner.loss(hp, LOSSES, Y, from_logits=raw))

    return build


@pytest.mark.parametrize("example", MARKED)
def test_a_tuner_of_keras_tuner_draws_a_loss_with_them(example):
    build, seen = with_loss(example), set()
    for seed in range(3):
        hp, space = sampled(build, seed)
        model = own.build_function(build)(hp)
        assert model.loss.spec.name == lossreg.get(hp["loss"]).spec.name
        of_losses = {name for name in hp.values if name.startswith(tuple(f"{loss}." for loss in LOSSES))}
        assert {name.partition(".")[0] for name in of_losses} <= {hp["loss"]}
        seen.add(hp["loss"])
    assert len(seen) > 1
    names = {parameter.name for parameter in space.space}
    plain = {parameter.name for parameter in sampled(example() if isinstance(example, type) else example, 0)[1].space}
    assert names >= plain | {"loss", "focal.gamma", "gce.q"}


@pytest.mark.long
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_a_search_of_keras_tuner_trains_with_them(example, tmp_path):
    tuner = keras_tuner.RandomSearch(with_loss(example), "val_accuracy", 3, seed=1, directory=tmp_path)
    tuner.search(rows(example), Y, validation_data=(rows(example), Y), epochs=1, verbose=0)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 3


@pytest.mark.long
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_a_study_trains_them_in_lanes(example):
    build = example() if isinstance(example, type) else example
    arguments = {"losses": LOSSES[:2], "model": {"build": build, "hp": "search"}, "trials": 4, "epochs": 2}
    result = lossreg.tune(rows(example), Y, **arguments, settings=OFF)
    assert [trial.state for trial in result.trials] == ["complete"] * 4
    assert {trial.trainer for trial in result.trials} == {"population"}
    assert restore.find(result).score > 0
    if example is a_class_of_models:  # without get_config
        return
    assert set(result.predictor.predict(rows(example))) <= {0, 1, 2}
