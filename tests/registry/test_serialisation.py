"""Losses are saved by value: config, pickle, copies and `.keras` files keep every parameter."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import loss_cases as cases
import numpy as np
import pytest

import lossreg
from lossreg import LossSpec
from lossreg.errors import InputError, UnknownError
from lossreg.registry.keras_loss import RegistryLoss

SPECS = cases.SPECS
ROOT = Path(__file__).parents[2]


def built(spec, seed=0):
    """The loss with parameters that are not its defaults."""
    arguments = {**cases.draw(spec, np.random.default_rng(seed)), **cases.constants(spec)}
    # a level that is not searched would stay at its default
    fixed = [param for param in spec.params if param.low is not None and param.low == param.high]
    arguments |= {param.name: 0.7 * param.low for param in fixed}
    return lossreg.get(spec.name, from_logits=True, reduction="sum", name="mine", dtype="float32", **arguments)


def value(loss, spec, seed=1):
    rng = np.random.default_rng(seed)
    y, z = cases.labels(spec, 8, rng), cases.scores(spec, 8, rng)
    return loss(y.astype("float32"), z.astype("float32")).numpy().tobytes()


WAYS = {
    "config": lambda loss: type(loss).from_config(loss.get_config()),
    "json": lambda loss: RegistryLoss.from_config(json.loads(json.dumps(loss.get_config()))),
    "losses": lambda loss: keras.losses.deserialize(json.loads(json.dumps(keras.losses.serialize(loss)))),
    "saving": lambda loss: keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss)),
    "get": lambda loss: keras.losses.get(keras.losses.serialize(loss)),
    "pickle": lambda loss: pickle.loads(pickle.dumps(loss)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["focal", "class_balanced_focal", "multi_quantile"])
def test_every_parameter_survives(name, way):
    spec = SPECS[name]
    loss = built(spec)
    again = WAYS[way](loss)
    assert again is not loss
    assert again.get_config() == loss.get_config()
    assert again.params == loss.params
    assert again.needs == loss.needs
    assert again.params != spec.bind({}) or not spec.params
    assert value(again, spec) == value(loss, spec)
    assert again.params is not loss.params


def test_a_config_is_not_changed_by_reading_it():
    config = built(SPECS["focal"]).get_config()
    before = copy.deepcopy(config)
    RegistryLoss.from_config(config)
    assert config == before


def test_absent_parameters_stay_absent():
    loss = lossreg.get("binary_focal", alpha=None)
    assert keras.losses.deserialize(keras.losses.serialize(loss)).params == {"gamma": 2.0, "alpha": None}


@pytest.mark.parametrize("dtype", [None, "float64", "bfloat16", "mixed_float16"])
def test_dtype_and_reduction_survive(dtype):
    loss = lossreg.get("huber", dtype=dtype, reduction=None)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    y = np.zeros((2, 1))
    assert again(y, y).dtype == loss(y, y).dtype
    assert again.reduction is None


def test_the_registered_name_is_of_the_package():
    assert keras.saving.get_registered_name(RegistryLoss) == "lossreg>RegistryLoss"


def test_a_loss_whose_plugin_is_gone_is_named():
    config = {**built(SPECS["huber"]).get_config(), "loss": "hubber"}
    with pytest.raises(UnknownError, match=r"unknown loss 'hubber'\. Did you mean huber"):
        RegistryLoss.from_config(config)


# The user's own


@keras.saving.register_keras_serializable("own")
def registered(y_true, y_pred, *, power=2.0):
    return keras.ops.abs(y_true - y_pred) ** power


@keras.saving.register_keras_serializable("own")
class RegisteredLoss(keras.losses.Loss):
    def __init__(self, factor=2.0, **more):
        super().__init__(**more)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def unregistered(y_true, y_pred):
    return keras.ops.square(y_true - y_pred)


OWN = [
    (registered, {"power": 1.5}),
    (RegisteredLoss, {"factor": 5.0}),
    (RegisteredLoss(factor=7.0), {}),
    (keras.losses.MeanAbsoluteError(), {}),
    (keras.losses.LogCosh, {}),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("source", "params"), OWN)
def test_a_users_loss_that_keras_knows_survives(source, params, way):
    if way == "pickle" and isinstance(source, keras.losses.Loss):
        way = "json"  # Keras does not promise to pickle its own losses by value
    loss = lossreg.get(lossreg.wrap(source, name="own"), reduction=None, **params)
    again = WAYS[way](loss)
    y, z = np.zeros((3, 1), "float32"), np.array([[1.0], [2.0], [-3.0]], "float32")
    np.testing.assert_array_equal(again(y, z), loss(y, z))
    assert again.params == loss.params


@pytest.mark.parametrize("source", [unregistered, lambda y, p: (y - p) ** 2])
def test_a_users_loss_that_keras_does_not_know_is_saved_and_asked_for_on_loading(source, tmp_path):
    file, name = tmp_path / "model.keras", source.__name__
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=lossreg.get(source))
    model.save(file)
    with pytest.raises(InputError, match=r"could not find the function again.*register_keras_serializable") as told:
        lossreg.load_model(file)
    assert f"{__name__}.{name}" in str(told.value)
    np.testing.assert_array_equal(
        lossreg.load_model(file, compile=False).predict(X, verbose=0), model.predict(X, verbose=0)
    )
    again = lossreg.load_model(file, custom_objects={name: source})
    assert again.evaluate(X, X[:, 0], verbose=0) == model.evaluate(X, X[:, 0], verbose=0)


def mean_squared_error(y_true, y_pred):
    return 3.0 * keras.ops.square(y_true - y_pred)


def test_a_users_loss_is_not_mistaken_for_that_of_keras_with_its_name():
    config = lossreg.get(mean_squared_error).get_config()
    with pytest.raises(InputError, match="could not find the function again"):
        RegistryLoss.from_config(json.loads(json.dumps(config)))


LOOSE = {
    "tasks": ("regression",),
    "target": "real",
    "outputs": "1",
    "activation": "identity",
    "summary": "s",
    "reference": "r",
}


@pytest.mark.parametrize(
    "spec",
    [
        lossreg.wrap(unregistered),
        lossreg.wrap(keras.losses.Huber(delta=3.0)),
        LossSpec(name="loose", function=unregistered, **LOOSE),
    ],
)
def test_saving_a_model_never_leaves_an_empty_file(spec, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=lossreg.get(spec))
    model.save(tmp_path / "model.keras")
    again = lossreg.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_arguments_that_keras_does_not_save_are_not_lost_in_silence():
    loss = lossreg.get(lossreg.wrap(keras.losses.Huber(delta=3.0)))
    with pytest.raises(InputError, match="does not save the arguments of Huber"):
        RegistryLoss.from_config(loss.get_config())


def test_a_spec_in_no_registry_says_so():
    spec = LossSpec(name="loose", function=unregistered, **LOOSE)
    with pytest.raises(InputError, match=r"it is in no registry\. Offer it in a plugin"):
        RegistryLoss.from_config(lossreg.get(spec).get_config())
    again = pickle.loads(pickle.dumps(lossreg.get(spec)))
    assert again.spec == spec


# Saved models, in a new process

SAVED = {
    "huber": ("huber", {"delta": 3.0}, 1, None),
    "focal": ("focal", {"gamma": 1.3, "alpha": [0.2, 0.5, 3.0]}, 3, "softmax"),
    "balanced": ("class_balanced_ce", {"one_minus_beta": 0.03, "class_counts": [50, 5, 0]}, 3, "softmax"),
    "poisson": ("poisson", {"target_mean": 4.0}, 1, "softplus"),
    "smooth": ("bce", {"label_smoothing": 0.15}, 1, "sigmoid"),
}
X = np.linspace(-1, 1, 24, dtype="float32").reshape(12, 2)
LOAD = """
import json, sys
{imports}
import numpy as np
x, losses = np.linspace(-1, 1, 24, dtype="float32").reshape(12, 2), {{}}
for name in {names}:
    model = {load}(f"{folder}/{{name}}.keras")
    y = np.arange(12) % model.output_shape[-1]
    losses[name] = float(model.evaluate(x, y.astype("float32"), verbose=0))
print(json.dumps(losses))
"""
ORDERS = {
    "lossreg first": ("from lossreg import dense_gradients; import lossreg, keras", "keras.saving.load_model"),
    "keras first": ("import keras, lossreg", "lossreg.load_model"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of saved models, and the loss of each as this process has it."""
    folder, losses = tmp_path_factory.mktemp("models"), {}
    for name, (loss, params, units, activation) in SAVED.items():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units, activation=activation)])
        model.compile("sgd", loss=lossreg.get(loss, **params))
        losses[name] = model.evaluate(X, (np.arange(12) % units).astype("float32"), verbose=0)
        model.save(folder / f"{name}.keras")
    return folder, losses


@pytest.mark.long
@pytest.mark.parametrize("order", ORDERS)
def test_a_saved_model_has_the_same_loss_in_a_new_process(saved, order):
    folder, losses = saved
    imports, load = ORDERS[order]
    code = LOAD.format(imports=imports, load=load, names=list(SAVED), folder=folder)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(losses, rel=1e-6)


def test_training_goes_on_after_loading(saved):
    model = lossreg.load_model(saved[0] / "focal.keras")
    assert model.loss.params == {"gamma": 1.3, "alpha": (0.2, 0.5, 3.0)}
    model.fit(X, np.arange(12) % 3, verbose=0)
