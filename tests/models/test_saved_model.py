"""A saved model that trainings begin from: equal to Keras's own load and `fit`, or refused in words."""

from __future__ import annotations

import re

import keras
import keras_tuner
import numpy as np
import pytest
from keras import layers
from problems import difference, plan, problem, run

from lossreg.errors import InputError
from lossreg.models.builder import resolve_saved
from lossreg.training.interface import batch_order
from lossreg.training.population import Population
from lossreg.training.solo import Fit


def saved(folder, *parts, outputs=None, shape=(7,), name="base.keras"):
    """Save a model of these layers, with statistics in its normalisations that no data has."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input(shape)
    x = inputs
    for part in parts:
        x = part(x)
    model = keras.Model(inputs, outputs(x) if outputs else x)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(-1, 1, layer.moving_mean.shape[0]))
    model.save(folder / name)
    return model


def frozen(layer):
    layer.trainable = False
    return layer


@pytest.fixture
def partly_frozen(tmp_path):
    saved(
        tmp_path, frozen(layers.Dense(12, "relu")), frozen(layers.BatchNormalization()), layers.Dense(6, "tanh"),
        layers.BatchNormalization(), layers.Dense(4, "softmax"),
    )  # fmt: skip
    return tmp_path / "base.keras"


def by_keras(path, setup, each):
    """Weights and losses of Keras's own load and fit, of the saved model as it is, which gives probabilities."""
    model, data = keras.saving.load_model(path), setup.dataset
    model.compile(keras.optimizers.Adam(each.learning_rate), keras.losses.SparseCategoricalCrossentropy())
    losses = []
    for epoch in range(each.epochs):
        order = batch_order(each.seed, epoch, len(data.train.y))
        history = model.fit(
            data.train.x[order], data.train.y[order], batch_size=setup.batch_size, shuffle=False, verbose=0,
            validation_data=(data.validation.x, data.validation.y),
        )  # fmt: skip
        losses.append((history.history["loss"][0], history.history["val_loss"][0]))
    return model.get_weights(), losses


@pytest.mark.parametrize("kind", ["lanes", pytest.param("fit", marks=pytest.mark.long)])
def test_the_first_epochs_are_those_of_keras_and_frozen_layers_stay(partly_frozen, kind):
    builder = resolve_saved("base.keras", base=partly_frozen.parent)
    setup = problem("multiclass", {"ce": "cross_entropy"}, builder=builder)
    plans = [plan(setup, "ce", 0.003, 3), plan(setup, "ce", 0.01, 3, seed=4)]
    trainer = Population(setup, 2, blocks=1, variants=plans) if kind == "lanes" else Fit(setup, 2)
    assert trainer.refuses("ce") == ""
    reports, weights = run(trainer, plans)
    start = keras.saving.load_model(partly_frozen).get_weights()
    for slot, each in enumerate(plans):
        final, losses = by_keras(partly_frozen, setup, each)
        assert difference(weights[slot], final) < 2e-5
        assert [(r.train_loss, r.val_loss) for r in reports[slot]] == [pytest.approx(pair, rel=2e-4) for pair in losses]
        # Dense, and the normalisation with its statistics, which are those of the file and not of these rows
        assert [np.array_equal(a, b) for a, b in zip(weights[slot], start, strict=True)] == [True] * 6 + [False] * 8
    assert builder.notes == [
        "base.keras: softmax of the last layer (dense_2) is removed: losses take raw scores.".replace(
            "dense_2", re.search(r"\((\w+)\)", builder.notes[0])[1]
        ),
        "base.keras: trials begin from its weights, and train 118 of 274; 2 layers stay frozen.",
    ]


# JAX takes float32 instead
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64:UserWarning")
@pytest.mark.parametrize("ends", ["float64", pytest.param("float32", marks=pytest.mark.long)])
def test_layers_of_other_precisions_train_as_under_keras(tmp_path, ends):
    saved(tmp_path, layers.Dense(8, "relu", dtype="float64"), layers.Dense(4, "softmax", dtype=ends))
    builder = resolve_saved("base.keras", base=tmp_path)
    setup = problem("multiclass", {"ce": "cross_entropy"}, builder=builder)
    each = plan(setup, "ce", 0.01, 2)
    _, (weights,) = run(Fit(setup), [each])
    assert difference(weights, by_keras(tmp_path / "base.keras", setup, each)[0]) < 2e-5


def test_trials_of_all_seeds_begin_from_the_weights_of_the_file(partly_frozen):
    builder = resolve_saved("base.keras", base=partly_frozen.parent)
    first, second = (builder.build((7,), 4, 4, seed).get_weights() for seed in (0, 1))
    assert difference(first, second) == 0
    assert difference(first, keras.saving.load_model(partly_frozen).get_weights()) == 0


def test_a_file_that_is_overwritten_during_a_study_is_the_one_that_was_read(partly_frozen):
    builder = resolve_saved("base.keras", base=partly_frozen.parent)
    before = builder.build((7,), 4, 4, 0).get_weights()
    partly_frozen.write_text("another one")
    assert difference(before, builder.build((7,), 4, 4, 0).get_weights()) == 0
    assert builder.digest != resolve_saved("base.keras", base=partly_frozen.parent).digest


def rebuilt(folder, outputs=3, head="new"):
    builder = resolve_saved("base.keras", base=folder, head=head)
    return builder.build((7,), outputs, 3, 0), builder


def test_a_new_head_takes_the_place_of_the_last_layer_and_the_rest_keeps_its_weights(tmp_path):
    base = saved(tmp_path, layers.Dense(5, "relu"), layers.Dense(10, "softmax"))
    model, builder = rebuilt(tmp_path)
    assert model.output_shape == (None, 3)
    assert difference(model.get_weights()[:2], base.get_weights()[:2]) == 0
    assert "is replaced by a new one with 3 outputs" in builder.notes[1]
    weights = [builder.build((7,), 3, 3, seed).get_weights() for seed in (0, 0, 1)]
    assert difference(weights[0], weights[1]) == 0 < difference(weights[0][2:], weights[2][2:])


def test_a_new_head_takes_the_place_of_the_last_use_of_a_layer(tmp_path):
    twice = layers.Dense(7)
    base = saved(tmp_path, twice, twice)
    model, _ = rebuilt(tmp_path)
    assert model.output_shape == (None, 3)
    assert difference(model.get_weights()[:2], base.get_weights()) == 0


def test_a_new_head_of_as_many_outputs_is_new_too(tmp_path):
    base = saved(tmp_path, layers.Dense(5, "relu"), layers.Dense(3, "softmax"))
    model, _ = rebuilt(tmp_path)
    assert difference(model.get_weights()[2:3], base.get_weights()[2:3]) > 0.1


def test_a_model_that_ends_in_features_gets_a_head_and_may_be_frozen_as_a_whole(tmp_path):
    base = saved(tmp_path, layers.Dense(9), layers.BatchNormalization(), layers.Dense(5, "relu"))
    base.trainable = False
    base.save(tmp_path / "base.keras")
    model, builder = rebuilt(tmp_path)
    assert [tuple(v.shape) for v in model.trainable_variables] == [(5, 3), (3,)]
    assert "a new last layer with 3 outputs stands after" in builder.notes[0]


def test_a_new_head_on_top_of_a_model_inside(tmp_path):
    inner = keras.Sequential([keras.Input((7,)), layers.Dense(5, "relu")], name="inner")
    saved(tmp_path, layers.Rescaling(0.5), frozen(inner))
    model, builder = rebuilt(tmp_path)
    assert [tuple(v.shape) for v in model.trainable_variables] == [(5, 3), (3,)]
    assert "stands after inner" in builder.notes[0]


def inside(folder):
    inner = keras.Sequential([keras.Input((7,)), layers.Dense(4), layers.Softmax()], name="inner")
    saved(folder, layers.Rescaling(0.5), inner)


def two_outputs(folder):
    saved(folder, outputs=lambda x: [layers.Dense(3)(x), layers.Dense(1)(x)])


def by_name(folder):
    saved(folder, outputs=lambda x: {"a": layers.Dense(3)(x), "b": layers.Dense(1)(x)})


def two_inputs(folder):
    inputs = [keras.Input((7,)), keras.Input((2,))]
    keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(inputs))).save(folder / "base.keras")


def with_lambda(folder):
    saved(folder, layers.Lambda(lambda x: x + 1), layers.Dense(3))


def of_own_class(folder):
    @keras.saving.register_keras_serializable("mine")
    class Doubled(layers.Layer):
        def call(self, x):
            return 2 * x

    saved(folder, Doubled(), layers.Dense(3))
    del keras.saving.get_custom_objects()["mine>Doubled"]


REFUSED = {
    "outputs": (lambda folder: saved(folder, layers.Dense(10)), "kept", r'10 outputs, and 3 are needed.*head = "new"'),
    "inside": (inside, "new", r"the last layer \(dense\w*\) stands inside of another model \(inner\)"),
    "shape": (
        lambda folder: saved(folder, layers.Dense(3), shape=(9,)), "kept",
        r"takes samples of shape \(9,\), and the data has samples of shape \(7,\).*preprocess = \"none\"",
    ),
    "map": (
        lambda folder: saved(folder, layers.Reshape((7, 1)), layers.Conv1D(3, 2)), "new",
        r"output has shape \(None, 6, 3\).*Flatten or pool it",
    ),
    "frozen": (lambda folder: saved(folder, frozen(layers.Dense(3))), "kept", r'every layer is frozen.*head = "new"'),
    "two outputs": (two_outputs, "kept", r"the model has 2 outputs, and a study compares losses of one output.*own"),
    "by name": (by_name, "new", r"the model has 2 outputs, and a study compares losses of one output.*own"),
    "two inputs": (two_inputs, "kept", r"the model has 2 inputs and 1 output"),
    "lambda": (with_lambda, "kept", r"has code in it \(a Lambda.*not run on loading.*build = "),
    "own class": (of_own_class, "kept", r"needs the class Doubled, which is not one of Keras.*build = "),
    "text": (
        lambda folder: (folder / "base.keras").write_text("no"), "kept",
        r"is not a model that Keras can load: .*a zip archive, and this one is cut off or none.*model\.save",
    ),
    "empty": (
        lambda folder: (folder / "base.keras").touch(), "kept", r"a zip archive, and this one is empty.*model\.save",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_words(tmp_path, case):
    save, head, words = REFUSED[case]
    save(tmp_path)
    with pytest.raises(InputError, match=words) as error:
        rebuilt(tmp_path, head=head)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "words"), [
    ("bese.keras", r"bese\.keras: no such file: .*bese\.keras.*Did you mean base\.keras"),
    ("elsewhere/base.keras", r"no such file: .*There is no folder"),
    ("folder.keras", r"folder\.keras: is a folder, not a \.keras file"),
])  # fmt: skip
def test_a_file_that_is_not_there_is_refused_with_those_that_are(tmp_path, name, words):
    (tmp_path / "base.keras").touch()
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(InputError, match=words):
        resolve_saved(name, base=tmp_path)


def test_a_function_with_several_outputs_is_refused_in_the_same_words():
    from lossreg.models.builder import resolve

    def several():
        inputs = keras.Input((7,))
        return keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(1)(inputs)])

    class Several(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(3), layers.Dense(1)

        def call(self, x):
            return self.first(x), self.second(x)

    class Tuned(keras_tuner.HyperModel):
        def build(self, hp):
            return several()

    for build in (several, Several, Tuned):
        with pytest.raises(InputError, match="the model has 2 outputs, and a study compares losses of one output"):
            resolve(build).build((7,), 3, 3, 0)
