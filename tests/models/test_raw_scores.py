from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import special

from lossreg.errors import InputError
from lossreg.models.need import Need
from lossreg.models.raw_scores import raw_scores

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def run(model: Any, x: np.ndarray = X) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(model(x, training=False)), np.float64)


def functional(*ends: Any, shape: tuple[int, ...] = (6,)) -> Any:
    x = inputs = keras.Input(shape)
    for layer in (layers.Dense(8, "tanh"), *ends):
        x = layer(x)
    return keras.Model(inputs, x)


class Subclass(keras.Model):  # type: ignore[misc]
    """A model that nothing can be seen into, with a softmax or sigmoid in its last layer."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.first = layers.Dense(8, "tanh")
        self.last = layers.Dense(width, activation)

    def call(self, x: Any) -> Any:
        return self.last(self.first(x))


class Own(keras.Model):  # type: ignore[misc]
    """A model that makes probabilities by operations of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.last = layers.Dense(width)

    def call(self, x: Any) -> Any:
        z = self.last(x)
        return ops.sigmoid(z) if z.shape[-1] == 1 else ops.softmax(z)


SOFTMAX: dict[str, Callable[[int], Any]] = {
    "functional": lambda k: functional(layers.Dense(k, "softmax")),
    "sequential": lambda k: keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dense(k, "softmax")]),
    "unbuilt sequential": lambda k: keras.Sequential([layers.Dense(8), layers.Dense(k, "softmax")]),
    "activation layer": lambda k: functional(layers.Dense(k), layers.Activation("softmax")),
    "softmax layer": lambda k: functional(layers.Dense(k), layers.Softmax()),
    "softmax layer in sequential": lambda k: keras.Sequential([layers.Dense(k), layers.Softmax()]),
    "operation": lambda k: functional(layers.Dense(k), ops.softmax),
    "activation object": lambda k: functional(layers.Dense(k, activation=layers.Softmax())),
    "linear activation last": lambda k: functional(layers.Dense(k, "softmax"), layers.Activation("linear")),
    "nested": lambda k: keras.Sequential([layers.Dense(8), keras.Sequential([layers.Dense(k, "softmax")])]),
    "subclass": lambda k: Subclass(k, "softmax"),
    "operations of its own": Own,
    "dropout after": lambda k: functional(layers.Dense(k, "softmax"), layers.Dropout(0.5)),
}
SIGMOID: dict[str, Callable[[], Any]] = {
    "functional": lambda: functional(layers.Dense(1, "sigmoid")),
    "unbuilt sequential": lambda: keras.Sequential([layers.Dense(8), layers.Dense(1, "sigmoid")]),
    "activation layer": lambda: functional(layers.Dense(1), layers.Activation("sigmoid")),
    "operation": lambda: functional(layers.Dense(1), ops.sigmoid),
    "subclass": lambda: Subclass(1, "sigmoid"),
    "operations of its own": lambda: Own(1),
}


@pytest.mark.parametrize("ending", SOFTMAX)
def test_the_softmax_of_the_scores_is_what_the_model_gave(ending: str) -> None:
    model = SOFTMAX[ending](4)
    before = run(model)
    need = Need((6,), 4, 4)
    scores = raw_scores(model, need)
    np.testing.assert_allclose(special.softmax(run(scores), axis=1), before, rtol=1e-5, atol=1e-6)
    assert scores.output_shape == (None, 4)
    assert len(need.notes) == 1 + (ending == "linear activation last")


@pytest.mark.parametrize("ending", SIGMOID)
def test_the_sigmoid_of_the_score_is_what_the_model_gave(ending: str) -> None:
    model = SIGMOID[ending]()
    before = run(model)
    need = Need((6,), 1, 2)
    scores = raw_scores(model, need)
    np.testing.assert_allclose(special.expit(run(scores)), before, rtol=1e-5, atol=1e-6)
    assert len(need.notes) == 1


@pytest.mark.parametrize("ending", [name for name in SOFTMAX if name != "operations of its own"])
def test_scores_are_taken_before_the_softmax_and_not_through_a_logarithm(ending: str) -> None:
    model = SOFTMAX[ending](4)
    run(model)
    kernel = [weight for weight in model.weights if "kernel" in weight.path][-1]
    kernel.assign(kernel * 1e4)
    scores = run(raw_scores(model, Need((6,), 4, 4)))
    # the logarithm of a float32 probability ends at about -100
    assert np.ptp(scores, axis=1).max() > 1000


@pytest.mark.parametrize("ending", SOFTMAX)
def test_two_outputs_of_a_binary_task_become_their_difference(ending: str) -> None:
    model = SOFTMAX[ending](2)
    before = run(model)
    need = Need((6,), 1, 2)
    scores = raw_scores(model, need)
    assert scores.output_shape == (None, 1)
    np.testing.assert_allclose(special.expit(run(scores)[:, 0]), before[:, 1], rtol=1e-5, atol=1e-6)
    assert any("difference" in note for note in need.notes)


@pytest.mark.parametrize("ending", [None, "relu", "tanh", "softplus"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_linear_and_other_ends(ending: str | None, outputs: int) -> None:
    need = Need((6,), outputs, 0 if outputs == 1 else 3)
    dense = layers.Dense(outputs, ending)
    scores = raw_scores(functional(dense), need)
    hidden = run(keras.Model(scores.inputs[0], scores.layers[-2].output))
    kernel, bias = (np.asarray(w) for w in dense.get_weights())
    np.testing.assert_allclose(run(scores), hidden @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert len(need.notes) == (ending is not None)


def test_a_sound_linear_model_is_left_alone() -> None:
    model = functional(layers.Dense(3))
    need = Need((6,), 3, 3)
    np.testing.assert_array_equal(run(raw_scores(model, need)), run(model))
    assert need.notes == []


def test_a_subclass_with_raw_scores_is_left_alone() -> None:
    model = Subclass(3, "linear")
    before = run(model)
    need = Need((6,), 3, 3)
    np.testing.assert_allclose(run(raw_scores(model, need)), before)
    assert need.notes == []


def test_a_dense_layer_inside_keeps_a_sigmoid_that_is_not_the_end() -> None:
    gate = layers.Dense(6, "sigmoid")
    inner = keras.Sequential([gate, layers.Dense(3), layers.Softmax()])
    model = keras.Sequential([keras.Input((6,)), inner])
    before = run(model)
    scores = raw_scores(model, Need((6,), 3, 3))
    assert gate.activation is keras.activations.sigmoid
    np.testing.assert_allclose(special.softmax(run(scores), axis=1), before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("width", "outputs", "classes"), [(10, 3, 3), (1, 4, 4), (1, 2, 0), (3, 1, 2), (2, 1, 0)])
def test_a_last_dense_layer_is_rebuilt_at_the_width_that_is_needed(width: int, outputs: int, classes: int) -> None:
    need = Need((6,), outputs, classes)
    dense = layers.Dense(width, "softmax", name="head", kernel_regularizer="l2", use_bias=False)
    scores = raw_scores(functional(dense), need)
    assert scores.output_shape == (None, outputs)
    head = scores.layers[-1]
    assert (head.name, head.use_bias, head.activation) == ("head", False, keras.activations.linear)
    assert head.kernel_regularizer is not None
    assert f"rebuilt with {outputs} output{'s' * (outputs > 1)} in place of {width}" in need.notes[-1]


def test_the_result_is_not_compiled_and_shares_the_layers() -> None:
    model = functional(layers.Dense(1))
    model.compile("sgd", "mse")
    scores = raw_scores(model, Need((6,), 1, 0))
    assert not scores.compiled
    assert scores.layers[-1] is model.layers[-1]


def test_it_loads_without_lossreg(tmp_path: Any) -> None:
    scores = raw_scores(functional(layers.Dense(2, "softmax")), Need((6,), 1, 2))
    scores.save(tmp_path / "m.keras")
    assert "lossreg" not in str(scores.get_config())
    np.testing.assert_allclose(run(keras.models.load_model(tmp_path / "m.keras")), run(scores), rtol=1e-6)


def two_inputs() -> Any:
    a, b = keras.Input((6,)), keras.Input((6,))
    return keras.Model([a, b], layers.Dense(3)(layers.Concatenate()([a, b])))


def two_outputs() -> Any:
    a = keras.Input((6,))
    return keras.Model(a, [layers.Dense(3)(a), layers.Dense(3)(a)])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (two_inputs, "2 inputs and 1 output. One of each is needed"),
        (two_outputs, "the model has 2 outputs, and a study compares losses of one output"),
        (
            lambda: functional(layers.Dense(3), shape=(7,)),
            r"samples of shape \(7,\), and the data has samples of shape \(6,\)",
        ),
        (
            lambda: functional(layers.Dense(3), shape=(4, 6)),
            r"takes samples of shape \(4, 6\).*hp.get\(\"input_shape\"\)",
        ),
        (lambda: functional(layers.Reshape((4, 2))), r"output has shape \(None, 4, 2\).*hp.get\(\"outputs\"\)"),
        (lambda: functional(layers.Dense(5), layers.Dropout(0.5)), "has 5 outputs, and 3 are needed"),
        (lambda: Subclass(5, "linear"), r"has 5 outputs, and 3 are needed. End the model with Dense\(hp.get"),
    ],
)
def test_what_does_not_fit_is_said(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        raw_scores(make(), Need((6,), 3, 3))


def by_name(*names: str, end: Any = None, shape: tuple[int, ...] = (6,), structure: Callable[[Any], Any] = list) -> Any:
    entries = {name: keras.Input(shape, name=name) for name in names}
    parts = list(entries.values())
    x = layers.Concatenate()(parts) if len(parts) > 1 else layers.Dense(4)(parts[0])
    return keras.Model(structure(entries.values()), (end or layers.Dense(3, "softmax"))(x))


class OfDictionary(keras.Model):  # type: ignore[misc]
    """A model that takes its inputs by name and that nothing can be seen into."""

    def __init__(self) -> None:
        super().__init__()
        self.last = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return ops.softmax(self.last(x["a"] + x["b"]))


SEVERAL = {"a": (6,), "b": (6,)}
NAMED = {"a": X, "b": X[::-1].copy()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: by_name("a", "b"),
        lambda: by_name("b", "a"),
        lambda: by_name("a", "b", structure=lambda parts: {entry.name: entry for entry in parts}),
        OfDictionary,
    ],
    ids=["list", "other order", "dictionary", "subclass"],
)
def test_several_inputs_are_taken_by_name(make: Callable[[], Any]) -> None:
    keras.utils.set_random_seed(0)
    model = make()
    need = Need(SEVERAL, 3, 3)
    ordered = (
        [NAMED[entry.name] for entry in model.inputs] if isinstance(getattr(model, "input", None), list) else NAMED
    )
    given = run(model, ordered)
    scores = raw_scores(model, need)
    assert sorted(scores.input) == ["a", "b"]
    np.testing.assert_allclose(special.softmax(run(scores, NAMED), axis=-1), given, rtol=1e-5)


def test_an_input_that_the_model_does_not_take_is_said() -> None:
    need = Need(SEVERAL, 3, 3)
    scores = raw_scores(by_name("b"), need)
    assert "input a of the data is not used" in need.notes
    other = {**NAMED, "a": -X}
    np.testing.assert_array_equal(run(scores, NAMED), run(scores, other))


def test_one_input_fits_under_any_name() -> None:
    assert list(raw_scores(by_name("x"), Need({"a": (6,)}, 3, 3)).input) == ["a"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: by_name("a", "bb"), r"has an input bb, and the data has a, b. Did you mean b\?"),
        (lambda: by_name("price", "a"), r'input price, and the data has a, b. Name it as the data does: .*name="a"'),
        (
            lambda: by_name("a", "b", shape=(5,)),
            r"input a: .* shape \(5,\), .* shape \(6,\). hp.get\(\"input_shape\"\)\[\"a\"\]",
        ),
        (
            lambda: by_name("a", "b", end=lambda x: [layers.Dense(3)(x)] * 2),
            "the model has 2 outputs, and a study compares losses of one output",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_said(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        raw_scores(make(), Need(SEVERAL, 3, 3))


def test_probabilities_of_an_embedding_are_found_with_whole_numbers() -> None:
    tokens = keras.Input((4,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3)(tokens))
    need = Need((4,), 3, 3)
    scores = raw_scores(keras.Model(tokens, layers.Lambda(ops.softmax)(layers.Dense(3)(x))), need)
    rows = np.random.default_rng(0).integers(0, 9, (8, 4)).astype(np.float32)
    assert need.notes == ["the outputs are probabilities: their logarithms are the raw scores"]
    assert np.isfinite(run(scores, rows)).all()


class Stepping(keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


class Losing(keras.Model):  # type: ignore[misc]
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return 2 * super().compute_loss(*args, **kwargs)


class Demanding(Stepping):
    def __init__(self, width: int) -> None:
        x = keras.Input((6,))
        super().__init__(x, layers.Dense(width)(x))


def with_state() -> Any:
    x = keras.Input((6,))
    model = Stepping(x, layers.Dense(5)(x))
    model.temperature = 2.0
    return model


@pytest.mark.parametrize(
    ("make", "note"),
    [
        (
            lambda x: Stepping(x, layers.Dense(5, "softmax")(x)),
            "its own train_step is used, so it trains with model.fit",
        ),
        (lambda x: Losing(x, layers.Dense(5)(x)), "its own compute_loss is used, so it trains with model.fit"),
        (lambda x: Demanding(5), "its own train_step is ignored"),
        (lambda x: with_state(), "its own train_step is ignored"),
    ],
    ids=["step", "loss", "other arguments", "attributes"],
)
def test_a_step_of_training_of_its_own_is_kept_where_the_class_can_be_rebuilt(make: Any, note: str) -> None:
    need = Need((6,), 3, 3)
    model = make(keras.Input((6,)))
    scores = raw_scores(model, need)
    assert need.notes[-1] == note
    assert isinstance(scores, type(model)) == ("used" in note)
    assert scores.output_shape == (None, 3)


def test_open_dimensions_fit_any_size() -> None:
    x = inputs = keras.Input((None, 3))
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    assert raw_scores(model, Need((9, 3), 3, 3)).output_shape == (None, 3)


# ------------------------------------------------------------------ masks, several labels, features

IMAGES = np.random.default_rng(1).normal(size=(20, 4, 6, 2)).astype(np.float32)
MASK = Need((4, 6, 2), 1, 2, spatial_shape=(4, 6))


def convolutional(*ends: Any, shape: tuple[int | None, ...] = (4, 6, 2)) -> Any:
    x = inputs = keras.Input(shape)
    for layer in (layers.Conv2D(3, 3, padding="same", activation="relu"), *ends):
        x = layer(x)
    return keras.Model(inputs, x)


PLACES: dict[str, Callable[[], Any]] = {
    "convolution": lambda: convolutional(layers.Conv2D(1, 1, activation="sigmoid")),
    "activation layer": lambda: convolutional(layers.Conv2D(1, 1), layers.Activation("sigmoid")),
    "operation": lambda: convolutional(layers.Conv2D(1, 1), ops.sigmoid),
    "transposed": lambda: convolutional(layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")),
    "without a last axis": lambda: convolutional(layers.Conv2D(1, 1, activation="sigmoid"), layers.Reshape((4, 6))),
    "flat": lambda: convolutional(layers.Flatten(), layers.Dense(24, "sigmoid")),
    "reshaped": lambda: convolutional(layers.Flatten(), layers.Dense(24, "sigmoid"), layers.Reshape((4, 6, 1))),
    "open": lambda: convolutional(layers.Conv2D(1, 1, activation="sigmoid"), shape=(None, None, 2)),
    "sequential": lambda: keras.Sequential([layers.Conv2D(1, 3, padding="same", activation="sigmoid")]),
}


@pytest.mark.parametrize("ending", PLACES)
def test_the_sigmoid_of_every_place_is_what_the_model_gave(ending: str) -> None:
    model = PLACES[ending]()
    before = run(model, IMAGES).reshape(20, 4, 6, 1)
    need = Need((4, 6, 2), 1, 2, spatial_shape=(4, 6))
    scores = raw_scores(model, need)
    assert scores.output_shape == (None, 4, 6, 1)
    np.testing.assert_allclose(special.expit(run(scores, IMAGES)), before, rtol=1e-5, atol=1e-6)
    assert len(need.notes) == 1


def test_two_channels_of_a_mask_become_their_difference(tmp_path: Any) -> None:
    model = convolutional(layers.Conv2D(2, 1, activation="softmax"))
    before = run(model, IMAGES)
    scores = raw_scores(model, MASK)
    np.testing.assert_allclose(special.expit(run(scores, IMAGES)), before[..., 1:], rtol=1e-5, atol=1e-6)
    scores.save(tmp_path / "m.keras")
    np.testing.assert_allclose(run(keras.models.load_model(tmp_path / "m.keras"), IMAGES), run(scores, IMAGES))


def test_a_last_convolution_is_rebuilt_at_the_width_that_is_needed() -> None:
    need = Need((4, 6, 2), 1, 2, spatial_shape=(4, 6))
    scores = raw_scores(convolutional(layers.Conv2D(5, 1, padding="same", name="head")), need)
    assert scores.output_shape == (None, 4, 6, 1)
    assert scores.layers[-1].name == "head"
    assert "rebuilt with 1 output in place of 5" in need.notes[-1]


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (lambda: convolutional(layers.Flatten(), layers.Dense(1)), r"\(None, 1\)"),
        (lambda: convolutional(layers.MaxPool2D(2), layers.Conv2D(1, 1)), r"\(None, 2, 3, 1\)"),
        (
            lambda: convolutional(layers.MaxPool2D(2), layers.Conv2D(1, 1), shape=(None, None, 2)),
            r"\(None, 2, 3, 1\)",
        ),
    ],
)
def test_scores_that_are_not_those_of_the_mask_are_refused(model: Callable[[], Any], shape: str) -> None:
    with pytest.raises(
        InputError, match=rf"has shape {shape}, and \(None, 4, 6, 1\) is needed.*one raw score per pixel"
    ):
        raw_scores(model(), MASK)


class Gates(keras.Model):  # type: ignore[misc]
    """Sigmoids of several labels, by operations of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.last = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return 1 / (1 + ops.exp(-self.last(x)))


@pytest.mark.parametrize(
    "model", [lambda: functional(layers.Dense(3, "sigmoid")), lambda: Subclass(3, "sigmoid"), Gates]
)
def test_every_label_has_a_sigmoid_of_its_own(model: Callable[[], Any]) -> None:
    built = model()
    before = run(built)
    need = Need((6,), 3, 3, multilabel=True)
    np.testing.assert_allclose(special.expit(run(raw_scores(built, need))), before, rtol=1e-4, atol=1e-5)
    assert len(need.notes) == 1


def test_two_labels_are_no_binary_task() -> None:
    scores = raw_scores(functional(layers.Dense(2, "sigmoid")), Need((6,), 2, 2, multilabel=True))
    assert scores.output_shape == (None, 2)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "leaky_relu"])
@pytest.mark.parametrize("apart", [False, True])
def test_features_at_the_end_are_no_output_activation(name: str, apart: bool) -> None:
    end = [layers.Dense(16), layers.Activation(name)] if apart else [layers.Dense(16, name)]
    need = Need((6,), 3, 3)
    with pytest.raises(InputError, match=r"has 16 outputs, and 3 are needed. End the model with Dense"):
        raw_scores(functional(*end), need)
    assert need.notes == []


@pytest.mark.parametrize("name", ["relu", "tanh", "softplus", "exponential"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_an_activation_at_the_width_of_the_task_is_an_output_activation(name: str, outputs: int) -> None:
    need = Need((6,), outputs, 0)
    scores = raw_scores(functional(layers.Dense(1), layers.Activation(name)), need)
    assert scores.output_shape == (None, outputs)
    assert scores.layers[-1].activation is keras.activations.linear
    assert "cut off" in need.notes[0]


def test_pooled_features_are_not_taken_for_a_probability() -> None:
    pooled = [layers.Conv2D(1, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    model = convolutional(*pooled)
    model.layers[-2].set_weights([np.full((3, 3, 3, 1), 0.01), np.full(1, 0.01)])
    before = run(model, IMAGES)
    assert 0 < before.min() < before.max() < 1
    need = Need((4, 6, 2), 1, 2)
    np.testing.assert_array_equal(run(raw_scores(model, need), IMAGES), before)
    assert need.notes == []


def test_a_pooled_probability_is_one() -> None:
    model = convolutional(layers.Conv2D(1, 3, activation="sigmoid"), layers.GlobalAveragePooling2D())
    before = run(model, IMAGES)
    need = Need((4, 6, 2), 1, 2)
    np.testing.assert_allclose(special.expit(run(raw_scores(model, need), IMAGES)), before, rtol=1e-5)
    assert need.notes == ["the outputs are probabilities: their logits are the raw scores"]


def test_what_a_model_is_built_for_can_be_asked() -> None:
    assert MASK.facts() == {
        "outputs": 1,
        "input_shape": (4, 6, 2),
        "n_classes": 2,
        "spatial_shape": (4, 6),
        "space": (4, 6),
    }
    assert "spatial_shape" not in Need((6,), 1, 2).facts()
