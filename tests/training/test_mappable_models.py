"""Models of every kind in lanes: equal to plain `model.fit` on the same batches from the same weights, or refused.

Random layers count too: a lane starts from the same state of its random generators as the model alone.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from problems import ACCURACY, difference, is_close, of_one_fold
from quick import long_but

import lossreg
from lossreg.config import optimization
from lossreg.contract.targets import Constants
from lossreg.data.dataset import Split
from lossreg.models.builder import resolve
from lossreg.registry import registry
from lossreg.training.interface import Plan, Problem, batch_order
from lossreg.training.mappable_models import model_refusal
from lossreg.training.population import Population
from lossreg.training.solo import Fit

L = keras.layers
ROWS, VALIDATION, BATCH, EPOCHS = 45, 21, 16, 3
# Weights after 9 steps, float32. Adam and RMSprop divide by the root of small squared gradients, whose rounding they so
# enlarge; a rate that is 1% higher moves weights by 1e-4 and more (test_the_tolerances_are_narrow).
TOLERANCE = {"sgd": 5e-6, "adam": 5e-5, "adamw": 5e-5, "rmsprop": 5e-5}
OPTIMIZERS = {
    "sgd": (keras.optimizers.SGD, 0.05, {"momentum": 0.9}),
    "adam": (keras.optimizers.Adam, 0.003, {}),
    "adamw": (keras.optimizers.AdamW, 0.003, {"weight_decay": 0.01}),
    "rmsprop": (keras.optimizers.RMSprop, 0.002, {"momentum": 0.5}),
}
LOSSES = {
    "multiclass": {"cross_entropy": {}, "focal": {"gamma": 1.5}, "generalized_cross_entropy": {"q": 0.5}},
    "segmentation": {"binary_crossentropy": {}, "binary_focal": {"gamma": 1.4, "alpha": 0.35}},
}
SHAPES = {
    "vector": (7,), "image": (8, 8, 2), "sequence": (6, 4), "tokens": (6,), "volume": (4, 4, 4, 2),
    "film": (3, 6, 6, 2),
    "masks": (8, 8, 2),
    "several": {"picture": (8, 8, 2), "words": (6,), "numbers": (7,)},
}  # fmt: skip


# ------------------------------------------------------------------ architectures


def dense(x):
    x = L.Dense(8, kernel_regularizer="l2", kernel_constraint="max_norm", activity_regularizer="l1")(x)
    x = L.Dropout(0.2)(L.Activation("gelu")(L.BatchNormalization(momentum=0.8)(x)))
    y = L.GaussianNoise(0.1)(L.LayerNormalization()(L.Dense(8, "silu")(x)))
    x = L.Concatenate()([L.Add()([x, y]), L.Multiply()([x, y]), x - y * 2.0])
    return L.PReLU()(L.Dense(8)(L.UnitNormalization()(x)))


def convolutions(x):
    x = L.Conv2D(6, 3, padding="same", activation="relu")(L.ZeroPadding2D(1)(x))
    x = L.MaxPooling2D()(L.BatchNormalization(momentum=0.8)(x))
    x = L.SpatialDropout2D(0.2)(L.SeparableConv2D(6, 3, activation="relu")(x))
    return L.GlobalAveragePooling2D()(L.DepthwiseConv2D(2)(x))


def u_net(x):
    one = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    two = L.Conv2D(6, 3, padding="same", activation="relu")(L.MaxPooling2D()(one))
    three = L.Conv2D(6, 3, padding="same", activation="relu")(L.MaxPooling2D()(two))
    up = L.Concatenate()([L.Conv2DTranspose(4, 2, strides=2)(three), two])
    return L.Concatenate()([L.UpSampling2D()(L.Conv2D(4, 3, padding="same")(up)), one])


def recurrent(x):
    """Token 0 stands for none: later layers do not look at it."""
    return L.LSTM(5, dropout=0.2)(L.Embedding(9, 4, mask_zero=True)(x))


def attention(x):
    x = L.Embedding(9, 6)(x)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 3, dropout=0.1)(x, x))
    return L.GlobalMaxPooling1D()(L.Conv1D(5, 3, padding="causal", activation="relu")(x))


def several(x):
    words = L.GlobalAveragePooling1D()(L.Embedding(9, 4)(x["words"]))
    return L.Dense(6, "tanh")(L.Concatenate()([L.Flatten()(x["picture"]), words, x["numbers"]]))


def mixed(x):
    picture = L.MaxPooling2D()(L.BatchNormalization(momentum=0.8)(L.Conv2D(4, 3, activation="relu")(x["picture"])))
    words = L.Embedding(9, 4, mask_zero=True)(x["words"])
    looked_at = L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(words, words))
    numbers = L.Dropout(0.3)(L.Dense(6, "tanh")(x["numbers"]))
    return L.Concatenate()([L.Flatten()(picture), L.SimpleRNN(4)(words), looked_at, numbers])


ARCHITECTURES = {
    "dense": ("vector", dense), "convolutions": ("image", convolutions), "u-net": ("masks", u_net),
    "recurrent": ("tokens", recurrent), "attention": ("tokens", attention), "several inputs": ("several", several),
    "mixed": ("several", mixed),
}  # fmt: skip


def over(*layers):
    """An architecture of these layers in a row, made anew in every model."""

    def body(x):
        for layer in layers:
            x = layer()(x)
        return L.Flatten()(x) if len(x.shape) > 2 else x

    return body


def by_rank(name, *args, **kwargs):
    """A layer for each of one, two and three dimensions."""
    kinds = {1: "sequence", 2: "image", 3: "volume"}
    actual = {f"{name}{rank}D": kinds[rank] for rank in kinds if hasattr(L, f"{name}{rank}D")}
    return {kind: (data, over(lambda kind=kind: getattr(L, kind)(*args, **kwargs))) for kind, data in actual.items()}


def join(name):
    return lambda x: getattr(L, name)()([L.Dense(5)(x), L.Dense(5, "tanh")(x)])


def two(name, **kwargs):
    return lambda x: L.Flatten()(getattr(L, name)(**kwargs)([L.Dense(4)(x), x]))


SINGLE = {
    **by_rank("Conv", 3, 2), **by_rank("MaxPooling"), **by_rank("AveragePooling", 2), **by_rank("GlobalMaxPooling"),
    **by_rank("GlobalAveragePooling"), **by_rank("UpSampling", 2), **by_rank("ZeroPadding"), **by_rank("Cropping"),
    **by_rank("SpatialDropout", 0.3), **by_rank("AdaptiveAveragePooling", 3), **by_rank("AdaptiveMaxPooling", 3),
    "Conv1DTranspose": ("sequence", over(lambda: L.Conv1DTranspose(3, 2, strides=2))),
    "Conv2DTranspose": ("image", over(lambda: L.Conv2DTranspose(3, 2, strides=2))),
    "Conv3DTranspose": ("volume", over(lambda: L.Conv3DTranspose(2, 2))),
    "DepthwiseConv1D": ("sequence", over(lambda: L.DepthwiseConv1D(2))),
    "DepthwiseConv2D": ("image", over(lambda: L.DepthwiseConv2D(2, depth_multiplier=2))),
    "SeparableConv1D": ("sequence", over(lambda: L.SeparableConv1D(3, 2))),
    "SeparableConv2D": ("image", over(lambda: L.SeparableConv2D(3, 2))),
    "Resizing": ("image", over(lambda: L.Resizing(5, 5))), "CenterCrop": ("image", over(lambda: L.CenterCrop(5, 5))),
    "EinsumDense": ("sequence", over(lambda: L.EinsumDense("abc,cd->abd", (6, 5)))),
    "Masking": ("sequence", over(lambda: L.Masking(0.0), lambda: L.SimpleRNN(4))),
    "Embedding": ("tokens", over(lambda: L.Embedding(9, 4, mask_zero=True), L.GlobalAveragePooling1D)),
    "Permute": ("sequence", over(lambda: L.Permute((2, 1)))),
    "RepeatVector": ("vector", over(lambda: L.RepeatVector(2))),
    "Reshape": ("sequence", over(lambda: L.Reshape((8, 3)))), "Identity": ("vector", over(L.Identity)),
    "activations": ("vector", over(*(lambda kind=kind: kind() for kind in (
        lambda: L.Dense(6), L.ReLU, lambda: L.Dense(6), L.LeakyReLU, lambda: L.Dense(6), L.ELU, lambda: L.Dense(6),
        L.Softmax, lambda: L.Dense(6, "mish"), lambda: L.Activation("hard_silu"))))),
    "AlphaDropout": ("vector", over(lambda: L.AlphaDropout(0.3))),
    "GaussianDropout": ("vector", over(lambda: L.GaussianDropout(0.3))),
    "GaussianNoise": ("vector", over(lambda: L.GaussianNoise(0.3))),
    "ActivityRegularization": ("vector", over(lambda: L.Dense(5), lambda: L.ActivityRegularization(0.01, 0.01))),
    "BatchNormalization": ("image", over(lambda: L.BatchNormalization(momentum=0.7))),
    "renormalisation": ("vector", over(lambda: L.BatchNormalization(momentum=0.7, renorm=True))),
    "GroupNormalization": ("image", over(lambda: L.GroupNormalization(2))),
    "RMSNormalization": ("vector", over(L.RMSNormalization)),
    "Rescaling": ("vector", over(lambda: L.Rescaling(0.7, 0.1))),
    "Normalization": ("vector", over(lambda: L.Normalization(mean=0.2, variance=2.0))),
    "LSTM": ("sequence", over(lambda: L.LSTM(4, return_sequences=True), lambda: L.LSTM(3))),
    "GRU": ("sequence", over(lambda: L.GRU(4, recurrent_dropout=0.2))),
    "GRU, other way": ("sequence", over(lambda: L.GRU(4, reset_after=False, go_backwards=True))),
    "RNN": ("sequence", over(lambda: L.RNN([L.GRUCell(4), L.SimpleRNNCell(3)]))),
    "Bidirectional": ("tokens", over(lambda: L.Embedding(9, 3, mask_zero=True), lambda: L.Bidirectional(L.LSTM(3)))),
    "TimeDistributed": ("sequence", over(lambda: L.TimeDistributed(L.Dense(3, "relu")))),
    "ConvLSTM2D": ("film", over(lambda: L.ConvLSTM2D(2, 3))),
    "ConvLSTM1D": ("film", over(lambda: L.Reshape((3, 12, 6)), lambda: L.ConvLSTM1D(2, 3))),
    "GroupQueryAttention": ("sequence", lambda x: L.Flatten()(L.GroupQueryAttention(3, 4, 2)(x, x))),
    "causal attention": ("sequence", lambda x: L.Flatten()(L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True))),
    "Attention": ("sequence", two("Attention", use_scale=True, dropout=0.2)),
    "AdditiveAttention": ("sequence", two("AdditiveAttention")), "Dot": ("sequence", two("Dot", axes=2)),
    **{name: ("vector", join(name)) for name in ("Subtract", "Average", "Maximum", "Minimum")},
    "operations": ("sequence", lambda x: ops.concatenate([
        ops.mean(x, 1), ops.sqrt(ops.square(ops.max(x, 1)) + 1.0), ops.where(x[:, 0] > 0, x[:, 1] / 2.0, -x[:, 2]),
    ], axis=-1)),
}  # fmt: skip


# ------------------------------------------------------------------ problems


def rows(kind, number, rng):
    shape = SHAPES[kind]
    if isinstance(shape, dict):
        return {
            name: rows({"picture": "image", "words": "tokens", "numbers": "vector"}[name], number, rng)
            for name in shape
        }
    if kind == "tokens":
        return (rng.integers(1, 9, (number, *shape)) * (np.arange(6) < rng.integers(2, 7, (number, 1)))).astype(
            np.float32
        )
    return rng.normal(size=(number, *shape)).astype(np.float32)


def cut(x, places):
    return {name: values[places] for name, values in x.items()} if isinstance(x, dict) else x[places]


def dataset(kind, seed=0, *, weighted=False):
    """Rows of a kind of input, with three classes or with masks of two; half of them weighted up."""
    rng = np.random.default_rng(seed)
    number, masks = ROWS + VALIDATION, kind == "masks"
    x, y = rows(kind, number, rng), rng.integers(0, 3, number)
    y = (x.sum(-1) > 0).astype(np.int8) if masks else y
    weights = rng.uniform(0.2, 2, number).astype(np.float32) if weighted else None
    parts = [
        Split(cut(x, of_part), y[of_part], None if weights is None else weights[of_part])
        for of_part in (slice(ROWS), slice(ROWS, None))
    ]
    k = 2 if masks else 3
    return of_one_fold(
        train=parts[0], validation=parts[1], task="segmentation" if masks else "multiclass", n_classes=k,
        constants=Constants.from_labels(parts[0].y, k), input_shape=SHAPES[kind],
    )  # fmt: skip


class Built:
    """A builder of an architecture with a linear layer on top."""

    def __init__(self, body, kind=keras.Model):
        self.body, self.kind = body, kind

    def build(self, input_shape, outputs, n_classes, seed):
        keras.utils.set_random_seed(seed)
        several = isinstance(input_shape, dict)
        x = {n: keras.Input(s, name=n) for n, s in input_shape.items()} if several else keras.Input(input_shape)
        with warnings.catch_warnings():
            # a mask may end where no later layer needs it
            warnings.simplefilter("ignore")
            return self.kind(x, L.Dense(outputs)(self.body(x)))


def problem(kind, body, *, optimizer="sgd", losses=None, model=keras.Model, **more):
    data = dataset(kind, **more)
    labels = losses or list(LOSSES[data.task])
    specs = {label: registry.default().get(label) for label in labels}
    return Problem(data, Built(body, model), ACCURACY, specs, optimizer, OPTIMIZERS[optimizer][2], BATCH)


def plans(setup, epochs=EPOCHS):
    """A plan for each loss at different rates and seeds."""
    rate, losses = OPTIMIZERS[setup.optimizer][1], LOSSES[setup.dataset.task]
    return [
        Plan(label, spec.bind(losses[label], setup.dataset.n_classes), rate * (1 + 0.3 * i), epochs, i)
        for i, (label, spec) in enumerate(setup.losses.items())
    ]


def summing(kind):
    """The optimizer with the gradient of an embedding summed over the places where a token stands.

    On TensorFlow `model.fit` squares the gradient of each place by itself (Adam, RMSprop and their like), which is
    not their formula, and not what it does on JAX.
    """
    if keras.backend.backend() == "jax":
        return kind

    class Summing(kind):
        def apply(self, grads, trainable_variables=None):
            super().apply([tf.convert_to_tensor(grad) for grad in grads], trainable_variables)

    return Summing


def alone(setup, each, name="loss"):
    """Losses by epoch and final weights of plain `model.fit`."""
    data, spec, (kind, _, own_settings) = setup.dataset, setup.losses[each.candidate], OPTIMIZERS[setup.optimizer]
    model = setup.builder.build(data.input_shape, setup.outputs(each.candidate), data.n_classes, each.seed)
    kind = kind if setup.optimizer == "sgd" else summing(kind)
    model.compile(kind(each.learning_rate, **own_settings), lossreg.get(spec, from_logits=True, **each.params))
    train, held_out, losses = data.train, data.validation, []
    for epoch in range(each.epochs):
        order = batch_order(each.seed, epoch, ROWS)
        history = model.fit(
            cut(train.x, order), train.y[order], batch_size=BATCH, shuffle=False, verbose=0,
            sample_weight=None if train.weights is None else train.weights[order],
        )  # fmt: skip
        # a GRU with recurrent dropout counts its seed on in validation too, where lanes do not
        before = [np.asarray(v.value) for v in model.non_trainable_variables]
        seen = model.evaluate(
            held_out.x, held_out.y, sample_weight=held_out.weights, batch_size=VALIDATION, verbose=0, return_dict=True
        )
        for variable, value in zip(model.non_trainable_variables, before, strict=True):
            variable.assign(value)
        losses.append((history.history[name][0], seen["loss"]))
    return losses, model.get_weights()


def train(trainer, each, slots=None):
    """Reports by slot and final weights of plans that are trained together."""
    for slot, one in enumerate(each):
        trainer.open(slot, one)
    reports = [trainer.advance() for _ in range(each[0].epochs)]
    return [[report[slot] for report in reports] for slot in range(len(each))], [
        *map(trainer.weights, range(len(each)))
    ]


def check(setup, only=None):
    """Every lane, or only some, against `model.fit`."""
    together = plans(setup)
    population = Population(setup, len(together), blocks=1, variants=together)
    assert not [population.refuses(each.candidate) for each in together if population.refuses(each.candidate)]
    reports, weights = train(population, together)
    population.shutdown()
    for slot, each in list(enumerate(together))[:only]:
        losses, solo = alone(setup, each)
        assert difference(weights[slot], solo) < TOLERANCE[setup.optimizer], each.candidate
        got = [(report.train_loss, report.val_loss) for report in reports[slot]]
        assert got == [pytest.approx(pair, rel=3e-4, abs=2e-6) for pair in losses]


QUICK = {"dense": "adam", "mixed": "rmsprop", "u-net": "sgd"}


@pytest.mark.parametrize("name", long_but({"dense"}, list(QUICK)))
def test_lanes_of_an_architecture_equal_model_fit(name):
    kind, body = ARCHITECTURES[name]
    losses = list(LOSSES["segmentation" if kind == "masks" else "multiclass"])[:2]
    check(problem(kind, body, optimizer=QUICK[name], losses=losses), only=1)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("adam", {"filters": [3, 4]}),
        # by SGD, since the bias of a dense layer before a normalisation has a gradient of rounding alone
        pytest.param(
            "sgd",
            {"filters": [3, 2, 2, 2], "kernel_size": 2, "dropout": 0.2, "batch_norm": True},
            marks=pytest.mark.long,
        ),
    ],
)
def test_lanes_of_the_built_in_cnn_equal_model_fit(optimizer, options):
    setup = problem("image", None, optimizer=optimizer, losses=["cross_entropy", "focal"])
    check(replace(setup, builder=resolve("cnn", hidden=[5], **options)), only=1)


@pytest.mark.long
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_lanes_equal_model_fit_over_architectures_optimizers_and_losses(name, optimizer):
    kind, body = ARCHITECTURES[name]
    check(problem(kind, body, optimizer=optimizer))


def test_every_layer_can_be_inspected(monkeypatch):
    monkeypatch.setattr("lossreg.training.mappable_models.rehearse", lambda model, x: "")
    setups = {name: problem(*SINGLE[name], losses=["cross_entropy"]) for name in SINGLE}
    assert not [name for name, setup in setups.items() if model_refusal(setup.build(3, 0))]


@pytest.mark.long
@pytest.mark.parametrize("name", SINGLE)
def test_lanes_of_every_layer_equal_model_fit(name):
    kind, body = SINGLE[name]
    check(problem(kind, body, losses=["cross_entropy"]))


# ------------------------------------------------------------------ layers of the user's


class Scaled(L.Layer):
    def call(self, x):
        return 2 * x


class Counting(L.Layer):
    """A layer with a weight, a penalty on it, a state that moves, and noise of its own seed."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, x, training=False):
        self.add_loss(0.1 * ops.sum(self.scale**2))
        if training:
            self.calls.assign(self.calls + 1)
            x = x + 0.1 * keras.random.normal(ops.shape(x), seed=self.seeds)
        return x * self.scale / (1 + 0.1 * self.calls)


@tf.custom_gradient
def doubled(x):
    return 2 * x, lambda slope: 2 * slope


def small(*layers):
    return keras.Sequential([keras.Input((7,)), L.Dense(5), *layers, L.Dense(3)])


def joined(join):
    x = keras.Input((7,))
    return keras.Model(x, L.Dense(3)(join(L.Dense(5)(x), L.Dense(5, "tanh")(x))))


class Third(keras.Operation):
    def call(self, x):
        return x / 3

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


class FourthPowers(keras.regularizers.Regularizer):
    """One that lossreg does not know."""

    def __call__(self, weights):
        return ops.sum(weights**4)


class Clipped(keras.constraints.Constraint):
    """One that lossreg does not know."""

    def __call__(self, weights):
        return ops.clip(weights, 0, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: small(Scaled(), L.Lambda(lambda x: x + 1), L.Activation(doubled)),
        lambda: small(L.Dense(5, kernel_regularizer=FourthPowers(), bias_constraint=Clipped())),
        lambda: joined(lambda a, b: L.Add()([ops.logaddexp(a, b), Third()(b)])),
    ],
    ids=["layers", "regularisers and constraints", "operations"],
)
def test_what_is_not_known_trains_in_lanes_after_a_rehearsal(make):
    assert model_refusal(make(), dataset("vector").train.x) == ""


def test_lanes_of_a_layer_of_the_users_equal_model_fit():
    check(problem("vector", over(lambda: L.Dense(5), Counting), losses=["cross_entropy", "focal"]), only=1)


class Remembering(L.Layer):
    """Counts its calls in Python, where each trace of a graph sees another number."""

    number = 0

    def call(self, x):
        self.number += 1
        return x * self.number


class Unseeded(L.Layer):
    def call(self, x):
        return x + keras.random.normal(ops.shape(x))


class Stateful(L.Layer):
    """Keeps a number in a variable that Keras does not know."""

    def __init__(self):
        super().__init__()
        self.number = tf.Variable(1.0)

    def call(self, x):
        return x * self.number.assign_add(1.0)


@tf.custom_gradient
def mixing(x):
    return 2 * x, lambda slope: slope * tf.reduce_sum(slope)


class Stepping(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = 3.0 * self.compute_loss(y=y, y_pred=self(x, training=True))
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"mine": loss / 3}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: small(Remembering()), r"\(Remembering\) is not proven .*: over lanes it gives something else"),
        (lambda: small(Unseeded()), r"\(Unseeded\) is not proven .*: it gives something else each time"),
        (lambda: small(Stateful()), r"\(Stateful\) is not proven .*: over lanes it fails with ValueError"),
        (lambda: small(L.SpectralNormalization(L.Dense(5))), "it sets weights that are trained, beside the optimizer"),
        (lambda: small(L.Dense(5, mixing)), "activation mixing, which is not one of Keras: over lanes it gives"),
        (lambda: small(L.Dense(5, dtype="mixed_float16")), "computes in float16, and lanes in float32"),
        (
            lambda: keras.Sequential([keras.Input(batch_shape=(16, 6, 4)), L.LSTM(3, stateful=True), L.Dense(3)]),
            "keeps its state from batch to batch",
        ),
        (
            lambda: Built(over(lambda: L.Dense(5)), Stepping).build((7,), 3, 3, 0),
            "own train_step, which model.fit runs",
        ),
    ],
    ids=[
        "Python state",
        "no seed",
        "unknown variable",
        "weights set",
        "batch-wide gradient",
        "half",
        "stateful",
        "own step",
    ],
)
def test_what_is_no_function_of_tensors_is_refused_in_one_line(make, says):
    reason = model_refusal(make())
    assert re.search(says, reason)
    assert "\n" not in reason


def tensorflow_s_fault_with_groups_and_dilation():
    """The error of TensorFlow's own gradient, which oneDNN computes and other kernels of a processor do not."""
    kernel = tf.Variable(tf.ones((2, 2, 1, 4)))
    with tf.GradientTape() as tape:
        raw_scores = tf.nn.conv2d(tf.ones((3, 6, 6, 2)), kernel, 1, "VALID", dilations=2)
    try:
        tape.gradient(raw_scores, kernel)
    except tf.errors.InvalidArgumentError as error:
        return type(error).__name__
    return ""


def test_groups_with_dilation_are_refused_where_tensorflow_has_no_gradient_of_them():
    fault = tensorflow_s_fault_with_groups_and_dilation()
    layers = keras.Input((6, 6, 2)), L.Conv2D(4, 2, dilation_rate=2, groups=2), L.Flatten()
    reason = model_refusal(keras.Sequential(layers))
    assert bool(reason) == bool(fault)
    assert not fault or re.search(f"has groups and dilation, .*: over lanes it fails with {fault}", reason)


# ------------------------------------------------------------------ fit, for those that are refused


def test_a_step_of_training_of_the_users_own_is_used():
    setup = problem("vector", over(lambda: L.Dense(5, "tanh")), losses=["cross_entropy"], model=Stepping)
    (each,) = plans(setup)
    assert "train_step" in Population(setup, 1).refuses("cross_entropy")
    (reports,), (weights,) = train(Fit(setup), [each])
    losses, solo = alone(setup, each, "mine")
    assert difference(weights, solo) < 1e-6
    assert [report.val_loss for report in reports] == pytest.approx([loss for _, loss in losses], rel=1e-5)
    assert all(np.isfinite([report.train_loss, report.train_score]).all() for report in reports)


def folded(kind):
    """Two folds, weighted, the second with other rows."""
    folds = [dataset(kind, seed, weighted=True) for seed in (0, 1)]
    return SimpleNamespace(**{**vars(folds[0]), "folds": tuple(folds)})


@pytest.mark.long
def test_members_of_a_trial_train_alike_in_fit_and_in_lanes():
    setup = problem("several", several, losses=["cross_entropy", "focal"])
    setup = replace(
        setup,
        dataset=folded("several"),
        schedule=optimization.schedule("cosine"),
        optimizer_settings={},
        searched={"momentum": ()},
    )
    members = [
        replace(one, fold=fold, seed=one.seed + seed, optimizer_settings={"momentum": 0.5 + 0.2 * one.seed})
        for one in plans(setup) for fold in (0, 1) for seed in (0, 1)
    ]  # fmt: skip
    reports, weights = train(Fit(setup, slots=len(members)), members)
    lanes, lane_weights = train(Population(setup, len(members), blocks=1, variants=members), members)
    for slot, each in enumerate(members):
        assert difference(weights[slot], lane_weights[slot]) < 5e-6, each
        for report, lane in zip(reports[slot], lanes[slot], strict=True):
            assert is_close(report, lane, 2e-6)
    assert len({report[-1].val_loss for report in reports}) == len(members)
