from __future__ import annotations

import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from keras import layers, ops
from scipy import special

from lossreg.config.search_space import Options
from lossreg.contract.activations import Activation
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import Constants
from lossreg.errors import InputError, UnknownError
from lossreg.models import inference
from lossreg.models.builder import resolve
from lossreg.models.hyperparameters import given

X = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
CODE = """
import keras
import keras_tuner
from keras import layers
from widths_of_mine import WIDTH

def build_model(hp):
    model = keras.Sequential()
    for i in range(hp.Int("depth", 1, 3, default=2)):
        model.add(layers.Dense(hp.Int(f"units_{i}", WIDTH, 64), hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(0.5))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer=keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-2)), loss="categorical_crossentropy")
    return model

def plain():
    return keras.Sequential([keras.Input((6,)), layers.Dense(3)])

def with_facts(hp):
    assert "outputs" in hp
    inputs = keras.Input(hp.get("input_shape"))
    return keras.Model(inputs, layers.Dense(hp.get("outputs"))(layers.Dense(hp.get("n_classes") + 2)(inputs)))

def raises(hp):
    width = None
    return layers.Dense(width + 1)

def wrong_layer(hp):
    return keras.Sequential([layers.Dense(-3)])

def wrong_shape(hp):
    return keras.Sequential([layers.Conv2D(3, 3), layers.Dense(3)])

def wrong_input(hp):
    return keras.Sequential([keras.Input((7,)), layers.Dense(3)])

def nothing(hp):
    return None

def unknown(hp):
    return keras.Sequential([layers.Dense(hp.get("output"))])

class Stepping(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(3)

    def call(self, x):
        return self.last(x)

    def train_step(self, data):
        return {}

def stepping():
    return Stepping()

SHARED = keras.Sequential([keras.Input((6,)), layers.Dense(3)])

def shared(hp):
    return SHARED

number = 3

class Mine(keras_tuner.HyperModel):
    def __init__(self, width=12, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, hp):
        units, depth = hp.Int("units", self.width, 64), hp.Int("depth", 1, 3, default=2)
        hidden = [layers.Dense(units, "relu") for _ in range(depth)]
        return keras.Sequential([*hidden, layers.Dense(3)])

class Fitting(Mine):
    def fit(self, hp, model, *args, **kwargs):
        return 0.0

class Wide(Mine):
    def __init__(self, width):
        super().__init__(width)

mine = Mine(20)
constant = Mine(tunable=False)
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "my_models.py").write_text(CODE)
    (folder / "widths_of_mine.py").write_text("WIDTH = 12\n")
    return folder


def run(model: Any, x: np.ndarray = X) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(model(x, training=False)), np.float64)


def test_importing_the_module_imports_no_backend() -> None:
    script = "import sys; from lossreg.models import builder, inference, raw_scores; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"keras", "tensorflow"} & set(done.stdout.split())


# ------------------------------------------------------------------ the built-in model


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["features", "hidden_1", "hidden_2", "raw_scores"]),
        ({"hidden": []}, ["features", "raw_scores"]),
        ({"hidden": [5], "dropout": 0.3}, ["features", "hidden_1", "dropout_1", "raw_scores"]),
        ({"hidden": [5], "batch_norm": True}, ["features", "hidden_1", "norm_1", "activation_1", "raw_scores"]),
        ({"hidden": None, "activation": "gelu"}, ["features", "hidden_1", "hidden_2", "raw_scores"]),
    ],
)
def test_the_mlp(options: dict[str, Any], names: list[str]) -> None:
    builder = resolve("mlp", **options)
    model = builder.build((6,), 3, 3, seed=0)
    assert [layer.name for layer in model.layers] == names
    assert model.output_shape == (None, 3)
    assert model.layers[-1].activation is keras.activations.linear
    assert builder.notes == []
    assert not model.compiled


def test_the_mlp_computes_what_it_says() -> None:
    model = resolve("mlp", hidden=[7]).build((6,), 2, 0, seed=0)
    first, bias, last, offset = (np.asarray(w, np.float64) for w in model.get_weights())
    np.testing.assert_allclose(run(model), np.maximum(X @ first + bias, 0) @ last + offset, rtol=1e-4, atol=1e-5)


def test_the_mlp_flattens_images() -> None:
    model = resolve("mlp").build((4, 4, 3), 1, 0, seed=0)
    assert (model.input_shape, model.output_shape) == ((None, 4, 4, 3), (None, 1))
    assert model.get_layer("hidden_1").kernel.shape == (48, 64)


# ------------------------------------------------------------------ the cnn

IMAGES = np.random.default_rng(1).normal(size=(5, 9, 6, 2)).astype(np.float32)


def by_hand(images: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """The outputs of a cnn with one convolution of 3 x 3 and one hidden layer, in NumPy's float64."""
    kernel, bias, first, offset, last, end = (np.asarray(w, np.float64) for w in weights)
    padded = np.pad(np.asarray(images, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    x = np.maximum(np.einsum("nhwcij,ijcf->nhwf", windows, kernel) + bias, 0)
    pooled = x[:, : 2 * (x.shape[1] // 2), : 2 * (x.shape[2] // 2)]
    pooled = pooled.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max(axis=(2, 4))
    return np.maximum(pooled.reshape(len(x), -1) @ first + offset, 0) @ last + end


@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., 0]], ids=["channels", "grey"])
def test_the_cnn_computes_what_it_says(images: np.ndarray) -> None:
    model = resolve("cnn", filters=[4], hidden=[7]).build(images.shape[1:], 3, 3, seed=0)
    shown = images if images.ndim == 4 else images[..., None]
    np.testing.assert_allclose(np.asarray(model(images)), by_hand(shown, model.get_weights()), rtol=1e-4, atol=1e-5)


def test_the_layers_of_the_cnn() -> None:
    model = resolve("cnn", filters=[4, 8], kernel_size=5, hidden=[7], dropout=0.2, batch_norm=True).build(
        (20, 12, 3), 2, 2, seed=0
    )
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["Conv2D", "BatchNormalization", "Activation", "MaxPooling2D"]
    hidden = ["Flatten", "Dense", "BatchNormalization", "Activation", "Dropout", "Dense"]
    assert kinds == ["InputLayer", *block, *block, *hidden]
    assert model.get_layer("hidden_1").kernel.shape == (5 * 3 * 8, 7)
    assert model.get_layer("convolution_2").kernel.shape == (5, 5, 4, 8)
    assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize(
    ("shape", "pooled"), [((1, 1, 3), 0), ((1, 9, 3), 3), ((2, 2), 1), ((3, 5, 1), 2), ((8, 8), 3), ((16, 16, 1), 4)]
)
def test_small_images_are_pooled_as_far_as_they_go(shape: tuple[int, ...], pooled: int) -> None:
    builder = resolve("cnn", filters=[2, 2, 2, 2], hidden=[])
    model = builder.build(shape, 1, 2, seed=0)
    assert sum(isinstance(layer, layers.MaxPooling2D) for layer in model.layers) == pooled
    assert model.output_shape == (None, 1)
    assert bool(builder.notes) == (pooled < 4)


def test_the_options_of_the_cnn_are_searched() -> None:
    builder = resolve("cnn", filters=Options(((4,), (4, 8))), kernel_size=Options((3, 5)), hidden=[7])
    keys = []
    model = builder.build(
        (8, 8, 1), 1, 2, seed=0, answer=lambda one: keys.append(one.key) or one.search_space.choices[-1]
    )
    assert keys == ["filters", "kernel_size"]
    assert model.get_layer("convolution_2").kernel.shape == (5, 5, 4, 8)


def test_the_cnn_takes_one_input_of_images() -> None:
    with pytest.raises(InputError, match="takes one input of images, and the data has a, b"):
        resolve("cnn").build({"a": (8, 8, 1), "b": (3,)}, 1, 2, seed=0)


@pytest.mark.parametrize(
    ("build", "options"),
    [("mlp", {"dropout": 0.5, "batch_norm": True}), ("my_models.py:build_model", {}), ("my_models.py:with_facts", {})],
)
def test_equal_seeds_give_equal_weights(code: Path, build: str, options: dict[str, Any]) -> None:
    builder = resolve(build, base=code, **options)
    one, two, other = (builder.build((6,), 3, 3, seed=seed).get_weights() for seed in (5, 5, 6))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_hidden_layers_do_not_depend_on_the_width_of_the_head() -> None:
    builder = resolve("mlp")
    narrow, wide = (builder.build((6,), width, 0, seed=1).get_weights() for width in (1, 2))
    for a, b in zip(narrow[:4], wide[:4], strict=True):
        np.testing.assert_array_equal(a, b)


def test_building_leaves_the_random_state_of_python_and_numpy() -> None:
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    resolve("mlp").build((6,), 1, 2, seed=0)
    assert (random.random(), np.random.random()) == expected


# ------------------------------------------------------------------ the user's model


def test_a_users_model_is_built_with_its_defaults(code: Path) -> None:
    builder = resolve("my_models.py:build_model", base=code)
    model = builder.build((6,), 4, 4, seed=0)
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [12, 12, 4]
    assert model.layers[-1].activation is keras.activations.linear
    assert not model.compiled
    message = "\n".join(builder.notes)
    assert "my_models.py:build_model: compile() is ignored" in message
    assert "softmax of the last layer" in message
    assert "rebuilt with 4 outputs in place of 10" in message


def test_notes_are_said_once_however_often_a_model_is_built(code: Path) -> None:
    builder = resolve("my_models.py:with_facts", base=code)
    builder.build((6,), 4, 4, seed=0)
    assert builder.notes == []
    stepping = resolve("my_models.py:stepping", base=code)
    for seed in (0, 1):
        stepping.build((6,), 3, 3, seed=seed)
    assert stepping.notes == ["my_models.py:stepping: its own train_step is ignored."]


def test_a_function_without_arguments_and_a_function_object_do(code: Path) -> None:
    assert resolve("my_models.py:plain", base=code).build((6,), 3, 3, 0).output_shape == (None, 3)
    builder = resolve(lambda hp: keras.Sequential([layers.Dense(hp.get("outputs"))]))
    assert builder.build((6,), 5, 5, 0).output_shape == (None, 5)


@pytest.mark.parametrize(
    ("name", "widths", "declared"),
    [
        ("Mine", [40, 40, 40, 3], ["depth", "units"]),
        ("mine", [40, 40, 40, 3], ["depth", "units"]),
        ("constant", [12, 12, 3], []),
    ],
)
def test_a_hyper_model_is_taken_where_a_function_is(
    code: Path, name: str, widths: list[int], declared: list[str]
) -> None:
    builder = resolve(f"my_models.py:{name}", base=code, hp={"units": 40, "depth": "search"})
    model = builder.build((6,), 3, 3, seed=0, answer=given({"depth": 3}))
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == widths
    assert sorted(builder.declared) == declared
    assert builder.notes == []


class Tower(keras_tuner.HyperModel):
    def build(self, hp: Any) -> Any:
        kind = hp.Choice("kind", ["plain", "pooled"])
        entry = keras.Input((6, 4))
        with hp.conditional_scope("kind", ["pooled"]):
            size = hp.Int("size", 2, 4, step=2, sampling="log", default=4)
        x = layers.AveragePooling1D(size)(entry) if kind == "pooled" else entry
        with hp.name_scope("head"):
            units = hp.Choice("units", [8, 16, 32], default=16, ordered=True)
        x = layers.Dropout(hp.Float("rate", 0.1, 0.5, step=0.1))(layers.Dense(units)(layers.Flatten()(x)))
        return keras.Model(entry, layers.Dense(hp.Fixed("classes", 3), use_bias=hp.Boolean("bias", True))(x))


@pytest.mark.parametrize("model", [Tower, Tower()])
@pytest.mark.parametrize("values", [{}, {"kind": "pooled"}, {"kind": "pooled", "size": 2, "head/units": 8}])
def test_a_hyper_model_of_python_builds_what_keras_tuner_builds(model: Any, values: dict[str, Any]) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    theirs = Tower().build(hp)
    builder = resolve(model, hp="search")
    ours = builder.build((6, 4), 3, 3, seed=0, answer=given(values))
    assert sorted(builder.declared) == sorted(hp.values)
    assert [type(layer) for layer in ours.layers] == [type(layer) for layer in theirs.layers]
    assert [weight.shape for weight in ours.weights] == [weight.shape for weight in theirs.weights]


def test_a_fit_of_a_hyper_model_s_own_is_ignored_and_said(code: Path) -> None:
    builder = resolve("my_models.py:Fitting", base=code)
    builder.build((6,), 3, 3, seed=0)
    assert builder.notes == ["my_models.py:Fitting: its own fit is ignored: the study trains the model."]


@pytest.mark.parametrize(
    ("build", "options", "kind", "says"),
    [
        ("mlpp", {}, UnknownError, "neither mlp, cnn nor a function of yours. Did you mean mlp"),
        ("my_modles.py:build_model", {}, InputError, "no such file"),
        ("my_models.py:build_modle", {}, UnknownError, "has no build_modle. Did you mean build_model"),
        ("my_models.py:build_model", {"hidden": [3]}, InputError, "hidden: of built-in models only"),
        ("my_models.py:number", {}, InputError, "is not a function but int"),
        ("my_models.py:Wide", {}, InputError, "TypeError: .*missing 1 required positional argument: 'width'"),
        ("my_models.py:nothing", {}, InputError, "returned NoneType, not a keras.Model"),
        ("my_models.py:raises", {}, InputError, r"raises: TypeError: unsupported .* \(my_models.py, line \d+\)"),
        ("my_models.py:wrong_layer", {}, InputError, r"ValueError: .*units.* \(my_models.py, line \d+\)"),
        ("my_models.py:wrong_shape", {}, InputError, r"does not take samples of shape \(6,\): ValueError"),
        (
            "my_models.py:wrong_input",
            {},
            InputError,
            r"takes samples of shape \(7,\), and the data has samples of shape \(6,\)",
        ),
        ("my_models.py:unknown", {}, InputError, "output does not exist; there are outputs, input_shape, n_classes"),
        ("mlp", {"hiden": [3]}, UnknownError, "unknown option hiden.*Did you mean hidden"),
        ("mlp", {"hidden": [0]}, InputError, r"hidden = \[0\]: must be a list of positive whole numbers"),
        ("mlp", {"hidden": 64}, InputError, "must be a list"),
        ("mlp", {"dropout": 1.0}, InputError, "dropout = 1.0: must be a share"),
        ("mlp", {"batch_norm": 1}, InputError, "must be true or false"),
        ("mlp", {"activation": "rellu"}, UnknownError, "unknown activation 'rellu'. Did you mean relu"),
        ("mlp", {"filters": [3]}, UnknownError, "unknown option filters; mlp has hidden"),
        ("cnn", {}, InputError, r"cnn takes images \(height, width, channels\), and a row has shape \(6,\)"),
        ("cnn", {"filters": []}, InputError, r"filters = \[\]: must be a list of positive whole numbers, at least one"),
        ("cnn", {"filters": [0]}, InputError, "must be a list of positive whole numbers"),
        ("cnn", {"kernel_size": 0}, InputError, "kernel_size = 0: must be a positive whole number"),
        ("cnn", {"dropout": 1.0}, InputError, "dropout = 1.0: must be a share"),
        ("cnn", {"spatial_shape": (6,)}, InputError, "cnn gives one answer per image, and masks need one per pixel"),
    ],
)
def test_bad_input_is_one_message(
    code: Path, build: str, options: dict[str, Any], kind: type[InputError], says: str
) -> None:
    with pytest.raises(kind, match=says) as error:
        resolve(build, base=code, **options).build((6,), 3, 3, seed=0)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(build)


def test_a_model_that_is_not_built_anew_is_refused(code: Path) -> None:
    builder = resolve("my_models.py:shared", base=code)
    builder.build((6,), 3, 3, seed=0)
    with pytest.raises(InputError, match=r"^my_models\.py:shared: returned the same model twice"):
        builder.build((6,), 3, 3, seed=0)


# ------------------------------------------------------------------ prediction


def spec(**facts: Any) -> LossSpec:
    usual = {"name": "some", "function": len, "tasks": ("multiclass",), "summary": "", "reference": "x"}
    return LossSpec(**{**usual, **facts})


def temperature(z: Any) -> Any:
    return ops.softmax(3 * z, axis=-1)


HOT = Activation("hot", temperature, None)
SECOND = Activation("second", lambda z, *, target_mean: target_mean * ops.exp(z), None, needs=("target_mean",), point=1)
REAL = {"tasks": ("regression",), "outputs": "1", "activation": "identity", "target": "real"}
C = Constants(target_mean=7.0, target_center=5.0, target_scale=2.5)
PREDICTIONS: list[tuple[dict[str, Any], int, str, Callable[[np.ndarray], np.ndarray]]] = [
    ({"probabilistic": True}, 3, "probability", lambda z: special.softmax(z, axis=1)),
    ({"probabilistic": False}, 3, "score", lambda z: z),
    ({"probabilistic": True, "activation": HOT}, 3, "probability", lambda z: special.softmax(3 * z, axis=1)),
    ({"probabilistic": True}, 2, "probability", special.expit),
    ({"probabilistic": True, "activation": HOT}, 2, "probability", lambda z: special.expit(3 * z)),
    ({"probabilistic": False}, 2, "score", lambda z: z),
    (
        {"tasks": ("binary",), "outputs": "1", "activation": "sigmoid", "target": "binary", "probabilistic": True},
        2, "probability", special.expit,
    ),
    ({"tasks": ("binary",), "outputs": "1", "activation": "identity", "target": "signed"}, 2, "score", lambda z: z),
    (REAL, 0, "prediction", lambda z: 5 + 2.5 * z),
    ({**REAL, "target": "raw"}, 0, "prediction", lambda z: z),
    ({**REAL, "target": "raw", "activation": "affine"}, 0, "prediction", lambda z: 7 + 2.5 * z),
    ({**REAL, "target": "raw", "activation": "softplus"}, 0, "prediction", lambda z: 2.5 * np.log1p(np.exp(z))),
    ({**REAL, "target": "count", "activation": "exp"}, 0, "prediction", lambda z: 7 * np.exp(z)),
    ({**REAL, "outputs": "2"}, 0, "prediction", lambda z: 5 + 2.5 * z[:, :1]),
    ({**REAL, "target": "positive", "outputs": "2", "activation": SECOND}, 0, "prediction",
     lambda z: 7 * np.exp(z[:, 1:])),
]  # fmt: skip


MULTIHOT = {"tasks": ("multilabel",), "target": "multihot", "activation": "sigmoid", "probabilistic": True}
ABOVE = Activation("above", lambda z: shares(ops.sigmoid(z), ops), None)
ORDERED = {"target": "ordinal", "outputs": "k-1", "activation": ABOVE, "probabilistic": True}


def shares(above: Any, library: Any) -> Any:
    """P(y > j) as the probabilities of the classes."""
    first, last = library.ones_like(above[..., :1]), library.zeros_like(above[..., :1])
    return library.concatenate([first, above], -1) - library.concatenate([above, last], -1)


PREDICTIONS += [
    (MULTIHOT, 3, "probability", special.expit),
    ({**MULTIHOT, "activation": "identity", "probabilistic": False}, 3, "score", lambda z: z),
    (ORDERED, 4, "probability", lambda z: shares(special.expit(z), np)),
    ({**ORDERED, "tasks": ("binary",)}, 2, "probability", special.expit),
]


@pytest.mark.parametrize(("facts", "classes", "name", "expected"), PREDICTIONS)
def test_inference_predicts_in_the_terms_of_the_task(
    tmp_path: Path, facts: dict[str, Any], classes: int, name: str, expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    loss = spec(**facts)
    model = resolve("mlp", hidden=[4]).build((6,), loss.width(classes), classes, seed=1)
    predictor = inference.predictor(model, loss, C, classes)
    predictions = run(predictor)
    np.testing.assert_allclose(predictions, expected(run(model)), rtol=1e-5, atol=1e-6)
    assert predictions.shape == (len(X), max(1, classes) if classes != 2 else 1)
    assert predictor.layers[-1].name == name
    assert not predictor.compiled
    assert "lossreg" not in str(predictor.get_config())
    predictor.save(tmp_path / "model.keras")
    np.testing.assert_allclose(run(keras.models.load_model(tmp_path / "model.keras")), predictions, rtol=1e-6)


# ------------------------------------------------------------------ masks and several labels


def test_the_mlp_gives_one_score_a_place() -> None:
    model = resolve("mlp", spatial_shape=(4, 3), hidden=[5]).build((4, 3, 2), 1, 2, seed=0)
    assert model.output_shape == (None, 4, 3, 1)
    assert [layer.name for layer in model.layers] == ["features", "flatten", "hidden_1", "raw_scores", "pixels"]
    assert model.get_layer("raw_scores").kernel.shape == (5, 12)


def test_masks_are_predicted_place_by_place_by_a_model_that_loads_without_lossreg(tmp_path: Path) -> None:
    loss = spec(tasks=("segmentation",), outputs="1", activation="sigmoid", target="dense", probabilistic=True)
    model = resolve("mlp", spatial_shape=(4, 3), hidden=[5]).build((4, 3, 2), 1, 2, seed=0)
    predictor = inference.predictor(model, loss, C, 2)
    predictor.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert b"lossreg" not in file.read("config.json"), "where each class of the model comes from"
    x = np.random.default_rng(0).normal(size=(9, 4, 3, 2)).astype(np.float32)
    p = keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0)
    np.testing.assert_allclose(p, special.expit(run(model, x)), rtol=1e-5, atol=1e-6)


def test_two_labels_have_two_probabilities() -> None:
    loss = spec(**MULTIHOT)
    model = resolve("mlp", hidden=[4], multilabel=True).build((6,), loss.width(2), 2, seed=1)
    np.testing.assert_allclose(run(inference.predictor(model, loss, C, 2)), special.expit(run(model)), rtol=1e-5)


SEVERAL = {"picture": (4, 4, 1), "numbers": (6,)}


def test_the_mlp_looks_at_all_inputs_together() -> None:
    model = resolve("mlp", hidden=[5]).build(SEVERAL, 3, 3, seed=0)
    rows = {"picture": np.ones((30, 4, 4, 1), np.float32), "numbers": X}
    before = np.asarray(model(rows))
    assert before.shape == (30, 3)
    for name, values in rows.items():
        assert not np.allclose(before, np.asarray(model({**rows, name: 0 * values})))


def test_a_function_of_the_users_is_told_the_shapes_of_all_inputs_and_predicts_from_them() -> None:
    def build(hp: Any) -> Any:
        entries = {name: keras.Input(shape, name=name) for name, shape in hp.get("input_shape").items()}
        parts = [layers.Flatten()(entry) for entry in entries.values()]
        return keras.Model(entries, layers.Dense(hp.get("outputs"))(layers.Concatenate()(parts)))

    model = resolve(build).build({"picture": [4, 4, 1], "numbers": [6]}, 3, 3, seed=0)
    rows = {"picture": np.ones((30, 4, 4, 1), np.float32), "numbers": X}
    predicting = inference.predictor(model, spec(probabilistic=True), C, 3)
    np.testing.assert_allclose(
        np.asarray(predicting(rows)), special.softmax(np.asarray(model(rows), np.float64), axis=1), rtol=1e-5
    )


def test_a_function_without_a_name_is_called_build_model() -> None:
    assert resolve(partial(lambda layers: None, 2)).name == "build_model"


def test_a_note_on_a_layer_is_kept_once_whatever_number_the_layer_has() -> None:
    def build() -> Any:
        return keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.Dense(3, "softmax")])

    builder = resolve(build)
    for _ in range(3):
        builder.build((4,), 3, 3, 0)
    (note,) = builder.notes
    assert "softmax of the last layer" in note


# ------------------------------------------------------------------------- tuned decisions


def of_classes(p: np.ndarray) -> np.ndarray:
    """Return the probabilities of both classes, of what has that of class 1 alone."""
    return np.concatenate([1 - p, p], axis=-1) if p.shape[-1] == 1 else p


DECISIONS = [
    ({"threshold": 0.25}, {"tasks": ("binary",), "activation": "sigmoid", "outputs": "1", "target": "binary"}, 2),
    ({"threshold": -0.5}, {"tasks": ("binary",)}, 2),
    ({"threshold": 0.25}, {"tasks": ("binary",), "outputs": "2", "activation": "softmax", "target": "binary"}, 2),
    ({"threshold": 0.25}, {**ORDERED, "tasks": ("binary",)}, 2),
    ({"shift": [0.5, -0.25, -0.25]}, {}, 3),
    ({"shift": [0.5, -0.25, 0.5, -0.75]}, ORDERED, 4),
    ({"temperature": 2.5}, {}, 3),
    ({"temperature": 0.4}, {"tasks": ("binary",)}, 2),
    ({"temperature": 2.5}, ORDERED, 4),
]


@pytest.mark.parametrize(("decision", "facts", "classes"), DECISIONS)
def test_the_kept_model_decides_as_was_tuned(
    tmp_path: Path, decision: dict[str, Any], facts: dict[str, Any], classes: int
) -> None:
    loss = spec(**{"probabilistic": True, **facts})
    model = resolve("mlp", hidden=[4]).build((6,), loss.width(classes), classes, seed=1)
    plain = of_classes(run(inference.predictor(model, loss, C, classes)).astype(np.float64))
    what, numbers = next(iter(decision.items()))
    shift = {"threshold": [0.0, -np.max(numbers)], "shift": numbers}.get(what, 0.0)
    temperature = decision.get("temperature", 1.0)
    predictor = inference.predictor(model, loss, C, classes, decision)
    tuned = of_classes(run(predictor))
    np.testing.assert_allclose(
        tuned, special.softmax(np.log(np.maximum(plain, 1e-37)) / temperature + shift, -1), rtol=1e-4, atol=1e-6
    )
    assert (tuned.argmax(-1) != plain.argmax(-1)).any() or what == "temperature"
    assert "lossreg" not in str(predictor.get_config())
    predictor.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(of_classes(run(keras.models.load_model(tmp_path / "model.keras"))), tuned)


@pytest.mark.parametrize("outputs", ["1", "2"])
def test_raw_scores_without_probabilities_decide_as_was_tuned(outputs: str) -> None:
    loss = spec(tasks=("binary",), outputs=outputs, activation="identity", target="binary")
    model = resolve("mlp", hidden=[4]).build((6,), int(outputs), 2, seed=1)
    plain, tuned = run(model), run(inference.predictor(model, loss, C, 2, {"threshold": 0.25}))
    odds, moved = (values[:, -1] - (values[:, 0] if outputs == "2" else 0.0) for values in (plain, tuned))
    np.testing.assert_array_equal(moved > 0, odds > 0.25)
