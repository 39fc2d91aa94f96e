"""A loss that is called on arrays says what is wrong with them; specs; standardised targets."""

from __future__ import annotations

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from example_plugins import offered

import lossreg
from lossreg import InputError, LossSpec
from lossreg.registry import registry

N = 12
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = 100 + 20 * X[:, 0] + X[:, 1] ** 2


ORDINAL = offered("ordinal")


# ------------------------------------------------------------------ NaN


def arguments(spec):
    """Constants that a loss cannot do without."""
    counts = [6, 6] if spec.target == "binary" else [4, 4, 4]
    return {"class_counts": counts} if "class_counts" in spec.needs else {}


def labels(spec):
    if spec.target in ("onehot", "ordinal"):
        return np.arange(N) % 3
    if spec.target == "multihot":
        return np.eye(3)[np.arange(N) % 3]
    return (np.arange(N) % 2)[:, None] + (0.0 if spec.target in ("binary", "signed", "dense") else 1.0)


def predictions(spec):
    width = {"k": 3, "k-1": 2}.get(spec.outputs) or int(spec.outputs)
    return np.full((N, width), 0.5, np.float32)


@pytest.mark.parametrize("spec", [*lossreg.losses(), *ORDINAL.values()], ids=lambda spec: spec.name)
def test_nan_predictions_are_an_error_of_every_loss(spec):
    given = predictions(spec)
    loss = lossreg.get(spec, from_logits=True, **arguments(spec))
    assert np.isfinite(loss(labels(spec), given))
    given[[0, 3], 0] = np.nan
    with pytest.raises(InputError, match=f"2 of {given.size} predictions are NaN"):
        loss(labels(spec), given)


@pytest.mark.parametrize("name", ["huber", "focal", "poisson", "binary_crossentropy"])
def test_nan_probabilities_and_values_are_an_error_too_and_nan_inside_fit(name):
    spec = registry.default().get(name)
    given = predictions(spec)
    given[0] = np.nan
    with pytest.raises(InputError, match=r"predictions (is|are) NaN"):
        lossreg.get(name)(labels(spec), given)
    assert np.isnan(tf.function(lossreg.get(name))(tf.constant(labels(spec)), tf.constant(given)))


@pytest.mark.parametrize("name", ["huber", "focal", "poisson", "binary_crossentropy", "hinge", "gaussian_nll"])
def test_nan_labels_are_an_error(name):
    spec = registry.default().get(name)
    y = labels(spec).astype(float)
    y[2] = np.nan
    with pytest.raises(InputError, match=r"1 of 12 labels is NaN\. Leave out the samples"):
        lossreg.get(name, from_logits=True)(y, predictions(spec))


# ------------------------------------------------------------------ classes in order


@pytest.mark.parametrize(("name", "columns"), [("coral", 3), ("corn", 3), ("squared_emd", 4), ("weighted_kappa", 4)])
def test_one_hot_labels_of_an_ordinal_loss_are_named_with_both_shapes(name, columns):
    loss = lossreg.get(ORDINAL[name], from_logits=True)
    message = (
        rf"labels of shape \(12, 4\) do not fit predictions of shape \(12, {columns}\)\. Labels are class indices, "
        "the lowest class 0 and the highest 3, one per row and not one-hot"
    )
    with pytest.raises(InputError, match=message):
        loss(np.eye(4)[np.arange(N) % 4], np.zeros((N, columns), np.float32))


@pytest.mark.parametrize(("name", "columns"), [("coral", 3), ("corn", 3), ("squared_emd", 4), ("weighted_kappa", 4)])
@pytest.mark.parametrize("label", [-1.0, 4.0, 1.5])
def test_labels_that_are_no_place_in_the_order_are_refused(name, columns, label):
    loss = lossreg.get(ORDINAL[name], from_logits=True)
    y = np.arange(N, dtype=float) % 4
    assert np.isfinite(loss(y, np.zeros((N, columns), np.float32)))
    y[0] = label
    with pytest.raises(InputError, match="the lowest class 0 and the highest 3"):
        loss(y, np.zeros((N, columns), np.float32))
    graph = tf.function(lossreg.get(ORDINAL[name], from_logits=True, reduction=None))
    assert np.isnan(graph(tf.constant(y), tf.zeros((N, columns)))[0])


def test_an_ordinal_loss_of_one_probability_is_that_of_two_classes():
    p = np.linspace(0.1, 0.9, N, dtype=np.float32)[:, None]
    y = np.arange(N) % 2
    for name in ("coral", "corn"):
        got = lossreg.get(ORDINAL[name], reduction=None)(y, p)
        np.testing.assert_allclose(got, -np.log(np.where(y, p[:, 0], 1 - p[:, 0])), rtol=1e-4)
    with pytest.raises(InputError, match="one output per class"):
        lossreg.get(ORDINAL["squared_emd"])(y, p)


@pytest.mark.parametrize(
    ("name", "labels_of", "columns", "message"),
    [
        ("cross_entropy", (N, 3), 4, "class indices from 0 to 3 or one-hot rows of 4"),
        ("binary_crossentropy", (N, 2), 1, "one value per prediction"),
        ("mean_squared_error", (N, 2), 1, "one value per prediction"),
    ],
)
def test_the_hint_says_which_labels_this_loss_takes(name, labels_of, columns, message):
    with pytest.raises(InputError, match=message):
        lossreg.get(name, from_logits=True)(np.zeros(labels_of), np.zeros((N, columns), np.float32))


# ------------------------------------------------------------------ standardised targets


def huber(e, delta):
    return np.where(np.abs(e) <= delta, e**2 / 2, delta * (np.abs(e) - delta / 2))


def test_a_standardised_loss_is_computed_in_units_of_its_scale():
    """The residual 20 with delta 1.345: 26 on raw values, and on standardised ones what the trial trained."""
    y, prediction = np.array([[100.0]]), np.array([[120.0]])
    assert float(lossreg.get("huber", delta=1.345)(y, prediction)) == pytest.approx(huber(20.0, 1.345), rel=1e-6)
    of = {"delta": 1.345, "target_center": 90.0, "target_scale": 25.0}
    assert float(lossreg.get("huber", **of)(y, prediction)) == pytest.approx(huber(20 / 25, 1.345), rel=1e-6)
    raw = (prediction - 90) / 25
    assert float(lossreg.get("huber", **of, from_logits=True)(y, raw)) == pytest.approx(huber(0.8, 1.345), rel=1e-6)


def test_of_two_outputs_the_first_is_in_the_targets_units():
    y, mean, log_scale = Y[:, None], Y[:, None] + 5.0, np.full((N, 1), 0.3)
    of = {"target_center": 90.0, "target_scale": 25.0, "reduction": None}
    raw = np.hstack([(mean - 90) / 25, log_scale]).astype(np.float32)
    for name in ("gaussian_nll", "laplace_nll", "student_t_nll"):
        wanted = lossreg.get(name, reduction=None)(((y - 90) / 25).astype(np.float32), raw)
        given = np.hstack([mean, log_scale]).astype(np.float32)
        np.testing.assert_allclose(lossreg.get(name, **of)(y, given), wanted, rtol=1e-4)
        np.testing.assert_allclose(lossreg.get(name, **of, from_logits=True)(y, raw), wanted, rtol=1e-4)


def test_center_and_scale_are_kept_by_value(tmp_path):
    loss = lossreg.get("huber", delta=0.7, target_center=98.765432101234, target_scale=23.456789012345)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    wanted = model.evaluate(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = lossreg.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(X, Y, verbose=0) == wanted
    for again in (
        loaded.loss,
        pickle.loads(pickle.dumps(loss)),
        keras.losses.deserialize(keras.losses.serialize(loss)),
    ):
        assert again.needs == loss.needs == {"target_center": 98.765432101234, "target_scale": 23.456789012345}
    assert repr(loss).endswith("(delta=0.7, target_center=98.765432101234, target_scale=23.456789012345)>")


def kept_by_batch(y, z, *, sample_weight):
    mean = keras.ops.sum(sample_weight[:, None] * (z - y)) / keras.ops.sum(sample_weight)
    return keras.ops.ones_like(z[:, 0]) * keras.ops.square(mean)


WEIGHING = LossSpec(
    name="kept_by_batch", function=kept_by_batch, tasks=("regression",), summary="s", reference="r", target="real",
    outputs="1", activation="identity", level="batch", needs=("sample_weight", "n_classes"),
)  # fmt: skip


def test_what_follows_from_the_batch_is_no_argument():
    assert WEIGHING.row_constants == ("target_center", "target_scale")
    for name, message in (("sample_weight", "or to model.fit"), ("n_classes", "follows from the predictions")):
        with pytest.raises(InputError, match=message):
            lossreg.get(WEIGHING, **{name: 3})


# ------------------------------------------------------------------ specs in model.compile


@keras.saving.register_keras_serializable("called_losses")
def absolute(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def compiled(loss, activation=None, units=1):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation)])
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


@pytest.mark.parametrize(
    ("spec", "other", "y", "activation", "units"),
    [
        pytest.param(lossreg.wrap(absolute), keras.losses.MeanAbsoluteError(), Y, None, 1, marks=pytest.mark.long),
        (lossreg.wrap(keras.losses.CategoricalCrossentropy, activation="softmax"),
         keras.losses.SparseCategoricalCrossentropy(), np.arange(N) % 3, "softmax", 3),
        pytest.param(registry.default().get("mean_squared_error"), "mse", Y, None, 1, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_the_loss_of_a_spec_trains_as_the_loss_itself(spec, other, y, activation, units):
    weights = np.linspace(0.5, 2.0, N)
    ours, keras_own = (
        compiled(loss, activation, units).fit(X, y, epochs=3, sample_weight=weights, verbose=0).history["loss"]
        for loss in (lossreg.get(spec), other)
    )
    assert ours == pytest.approx(keras_own, rel=1e-4)


def test_a_model_compiled_with_the_loss_of_a_spec_is_saved_and_loaded(tmp_path):
    model = compiled(lossreg.get(lossreg.wrap(absolute)))
    wanted = model.evaluate(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    assert lossreg.load_model(tmp_path / "model.keras").evaluate(X, Y, verbose=0) == pytest.approx(wanted)
    model = compiled(lossreg.get(lossreg.wrap(lambda y, p: keras.ops.abs(y - p), name="unknown_to_keras")))
    model.save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="register_keras_serializable"):
        lossreg.load_model(tmp_path / "other.keras")


@pytest.mark.parametrize("spec", [*lossreg.losses(), WEIGHING, lossreg.wrap(absolute)], ids=lambda spec: spec.name)
def test_a_spec_is_refused_where_keras_calls_it(spec):
    """Keras drops axes of what it gives to a bare function: labels `(b, h, w)` of predictions `(b, h, w, 1)`."""
    with pytest.raises(InputError, match=rf"loss '{spec.name}'.* Give lossreg\.get\(spec\) to model\.compile\."):
        keras.losses.get(spec)(np.zeros((N, 4, 5)), np.zeros((N, 4, 5, 1)))


@pytest.mark.parametrize("given", [lambda spec: spec, lambda spec: [spec], lambda spec: {"out": spec}])
def test_a_spec_in_compile_is_an_error_of_fit_and_evaluate(given):
    image, masks = np.zeros((8, 4, 5, 2), np.float32), np.zeros((8, 4, 5))
    inputs = keras.Input((4, 5, 2))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="out")(inputs))
    model.compile("sgd", given(registry.default().get("focal")))
    for run in (model.fit, model.evaluate):
        with pytest.raises(InputError, match=r"a LossSpec is not a Keras loss\. Give lossreg\.get\(spec\)"):
            run(image, masks, verbose=0)


def test_a_loss_that_cannot_do_without_more_says_so_in_compile():
    with pytest.raises(InputError, match="needs class_counts"):
        lossreg.get(registry.default().get("weighted_ce"))
