"""`lossreg.get` and `lossreg.wrap`: Keras losses of registered and of users' own functions."""

import keras
import loss_cases as cases
import numpy as np
import pytest
import reference
import tensorflow as tf
from quick import long_but

import lossreg
from lossreg import LossSpec
from lossreg.contract import activations
from lossreg.errors import InputError, ParameterError, UnknownError
from lossreg.registry.keras_loss import RegistryLoss

SPECS = cases.SPECS
N = 12


def softmax(z):
    return np.array([reference.softmax(row) for row in np.asarray(z, float).tolist()])


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, float)))


def rng(seed=0):
    return np.random.default_rng(seed)


def float32(x):
    return np.asarray(x, "float32")


# What Keras computes right, on predictions in their own units

PROBABILITIES = float32(softmax(2 * rng(1).normal(size=(N, 4))))
INDICES = np.arange(N) % 4
ONE_HOT = float32(np.eye(4)[INDICES])
SOFT = float32(rng(2).dirichlet(np.ones(4), N))
CHANCES = float32(sigmoid(2 * rng(3).normal(size=(N, 1))))
BITS = float32(np.arange(N) % 2)[:, None]
VALUES, TRUTHS = float32(rng(4).normal(size=(2, N, 1)))
POSITIVE, RATES = float32(rng(5).lognormal(1.0, 1.0, size=(2, N, 1)))
COUNTS = float32(rng(6).poisson(3.0, size=(N, 1)))
KL = keras.losses
SAME_AS_KERAS = [
    ("mse", {}, KL.MeanSquaredError(), TRUTHS, VALUES),
    ("mse", {}, KL.MeanSquaredError(), TRUTHS.reshape(4, 3), VALUES.reshape(4, 3)),
    ("mae", {}, KL.MeanAbsoluteError(), TRUTHS, VALUES),
    ("mape", {}, KL.MeanAbsolutePercentageError(), POSITIVE, RATES),
    ("msle", {}, KL.MeanSquaredLogarithmicError(), POSITIVE, RATES),
    ("huber", {"delta": 0.7}, KL.Huber(delta=0.7), TRUTHS, VALUES),
    ("logcosh", {}, KL.LogCosh(), TRUTHS, VALUES),
    ("poisson", {}, KL.Poisson(), COUNTS, RATES),
    ("bce", {}, KL.BinaryCrossentropy(), BITS, CHANCES),
    ("bce", {"label_smoothing": 0.1}, KL.BinaryCrossentropy(label_smoothing=0.1), BITS, CHANCES),
    ("bce", {}, KL.BinaryCrossentropy(), BITS.reshape(4, 3), CHANCES.reshape(4, 3)),
    ("binary_focal", {"gamma": 1.5, "alpha": None}, KL.BinaryFocalCrossentropy(gamma=1.5), BITS, CHANCES),
    (
        "binary_focal",
        {"gamma": 1.5, "alpha": 0.3},
        KL.BinaryFocalCrossentropy(gamma=1.5, alpha=0.3, apply_class_balancing=True),
        BITS,
        CHANCES,
    ),
    ("CategoricalCrossentropy", {}, KL.CategoricalCrossentropy(), ONE_HOT, PROBABILITIES),
    ("CategoricalCrossentropy", {}, KL.CategoricalCrossentropy(), SOFT, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {}, KL.SparseCategoricalCrossentropy(), INDICES, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {}, KL.SparseCategoricalCrossentropy(), INDICES[:, None], PROBABILITIES),
    ("label_smoothing_ce", {"eps": 0.2}, KL.CategoricalCrossentropy(label_smoothing=0.2), ONE_HOT, PROBABILITIES),
    ("kld", {}, KL.KLDivergence(), SOFT, PROBABILITIES),
    ("cosine_similarity", {}, KL.CosineSimilarity(), ONE_HOT, PROBABILITIES),
    ("focal", {"gamma": 1.5}, KL.CategoricalFocalCrossentropy(alpha=1.0, gamma=1.5), ONE_HOT, PROBABILITIES),
    ("hinge", {}, KL.Hinge(), 2 * BITS - 1, VALUES),
    ("hinge", {}, KL.Hinge(), BITS, VALUES),
    ("squared_hinge", {}, KL.SquaredHinge(), BITS, VALUES),
    ("categorical_hinge", {}, KL.CategoricalHinge(), ONE_HOT, PROBABILITIES),
]


@pytest.mark.parametrize("case", SAME_AS_KERAS, ids=lambda case: case[0])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None])
def test_equal_to_keras_where_keras_is_right(case, weighted, reduction):
    name, params, theirs, y, prediction = case
    theirs.reduction = reduction
    weights = float32(rng(7).uniform(0, 3, len(y))) if weighted else None
    ours = lossreg.get(name, reduction=reduction, **params)
    wanted = theirs(y, prediction, sample_weight=weights)
    np.testing.assert_allclose(ours(y, prediction, sample_weight=weights), wanted, rtol=2e-5, atol=1e-6)


def test_the_default_reduction_is_that_of_keras():
    assert lossreg.get("mse").reduction == keras.losses.MeanSquaredError().reduction


def predictions(spec, z):
    """Return predictions from raw scores, by formulas of this test, and the constants used."""
    z = np.asarray(z, float)
    if spec.activation == "affine":
        return 3.0 + 2.0 * z, {"target_mean": 3.0, "target_scale": 2.0}
    forward = {"softmax": softmax, "sigmoid": sigmoid, "identity": lambda z: z}
    forward |= {"exp": lambda z: 3.0 * np.exp(z), "softplus": lambda z: 2.0 * np.log1p(np.exp(z))}
    forward["quantiles"] = lambda z: np.cumsum(np.hstack([z[:, :1], np.log1p(np.exp(z[:, 1:]))]), axis=1)
    constants = {"exp": {"target_mean": 3.0}, "softplus": {"target_scale": 2.0}}
    activation = activations.get(spec.activation).name
    return forward[activation](z), constants.get(activation, {})


ONE_PER_ACTIVATION = {spec.activation: spec for spec in SPECS.values()}


@pytest.mark.parametrize("spec", ONE_PER_ACTIVATION.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("from_logits", [True, False], ids=["logits", "predictions"])
def test_losses_take_raw_scores_and_predictions(spec, from_logits):
    random = rng(8)
    y, z = cases.labels(spec, N, random), cases.scores(spec, N, random)
    prediction, constants = predictions(spec, z)
    arguments = {**cases.draw(spec, random), **cases.constants(spec)}
    loss = lossreg.get(spec.name, from_logits=from_logits, reduction=None, **{**arguments, **constants})
    given = z if from_logits else prediction
    if not from_logits and activations.get(spec.activation).inverse is None:
        with pytest.raises(InputError, match="cannot be turned into raw scores"):
            loss(float32(y), float32(given))
        return
    wanted = reference.values(spec.name, y, z, arguments)
    np.testing.assert_allclose(loss(float32(y), float32(given)), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "categorical_hinge", "class_balanced_ce"])
@pytest.mark.parametrize("from_logits", [True, False], ids=["logits", "chances"])
def test_one_output_is_two_scores(name, from_logits):
    spec = SPECS[name]
    z = 3 * rng(9).normal(size=(N, 1))
    bits, constants = np.arange(N) % 2, cases.constants(spec, 2)
    loss = lossreg.get(spec.name, from_logits=from_logits, reduction=None, **constants)
    # the logit of one probability is all there is to know, even for a loss of raw scores
    given = float32(z if from_logits or spec.activation == "identity" else sigmoid(z))
    wide = np.hstack([-z / 2, z / 2])
    wanted = reference.values(spec.name, np.eye(2)[bits], wide, {**spec.bind({}), **constants})
    for labels in (bits, bits[:, None], float32(bits), bits.astype(bool), float32(np.eye(2)[bits])):
        np.testing.assert_allclose(loss(labels, given), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loss(bits, given[:, 0]), wanted, rtol=1e-4, atol=1e-5)


def test_soft_labels_of_one_output():
    loss = lossreg.get("cross_entropy", from_logits=True, reduction=None)
    got = loss(float32([0.25, 0.25]), float32([[0.0], [2.0]]))
    p = sigmoid(2.0)
    np.testing.assert_allclose(got, [np.log(2), -0.25 * np.log(p) - 0.75 * np.log(1 - p)], rtol=1e-5)


@pytest.mark.parametrize("name", ["poisson", "gamma_nll", "tweedie", "negative_binomial", "msle"])
def test_a_rate_below_zero_is_said(name):
    loss = lossreg.get(name)
    with pytest.raises(InputError, match="predictions from -5 to 2 are not all at least 0"):
        loss(float32([[1.0], [1.0]]), float32([[-5.0], [2.0]]))
    graph = tf.function(loss, autograph=False)
    assert np.isnan(graph(tf.constant([[1.0]]), tf.constant([[-5.0]])))
    assert np.isfinite(graph(tf.constant([[1.0]]), tf.constant([[0.0]])))


def test_quantiles_are_trained_on_raw_scores():
    with pytest.raises(InputError, match="predictions cannot be turned into raw scores"):
        lossreg.get("multi_quantile")(float32([[1.0]]), float32([[0.0, 1.0, 2.0]]))


@pytest.mark.parametrize(("name", "wanted"), [("gaussian_nll", 2), ("student_t_nll", 2), ("multi_quantile", 3)])
@pytest.mark.parametrize("actual", [1, 2, 3, 4])
def test_another_number_of_outputs_is_refused_by_number(name, wanted, actual):
    loss = lossreg.get(name, from_logits=True)
    if actual == wanted:
        assert np.isfinite(loss(float32([[1.0]]), np.ones((1, actual), np.float32)))
        return
    with pytest.raises(InputError, match=f"it takes {wanted} outputs, and the predictions have {actual}"):
        loss(float32([[1.0]]), np.ones((1, actual), np.float32))


def test_class_priors_sum_to_one():
    with pytest.raises(ParameterError, match=r"class_priors sum to 0\.6"):
        lossreg.get("weighted_ce", class_counts=[900, 100], class_priors=[0.5, 0.1])


# Labels and shapes


@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "float32", "float64"])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_index_labels_are_one_hot_labels(kind, shape):
    loss = lossreg.get("focal", reduction=None)
    np.testing.assert_array_equal(
        loss(INDICES.astype(kind).reshape(shape), PROBABILITIES), loss(ONE_HOT, PROBABILITIES)
    )


def test_index_labels_of_sequences():
    loss = lossreg.get("cross_entropy", reduction=None)
    wide = PROBABILITIES.reshape(3, 4, 4)
    wanted = loss(ONE_HOT, PROBABILITIES).numpy().reshape(3, 4)
    for y in (INDICES.reshape(3, 4), INDICES.reshape(3, 4, 1), ONE_HOT.reshape(3, 4, 4)):
        np.testing.assert_allclose(loss(y, wide), wanted, rtol=1e-6)


COLUMN_LOSSES = ["mean_squared_error", "huber", "poisson", "binary_crossentropy", "hinge", "msle"]


@pytest.mark.parametrize("name", COLUMN_LOSSES)
def test_a_column_and_a_vector_never_make_a_square(name):
    loss = lossreg.get(name, reduction=None)
    y, prediction = BITS[:, 0], np.clip(CHANCES[:, 0], 0.1, 0.9)
    wanted = loss(y[:, None], prediction[:, None])
    assert wanted.shape == (N,)
    for labels, given in ((y, prediction[:, None]), (y[:, None], prediction), (y, prediction)):
        np.testing.assert_array_equal(loss(labels, given), wanted)


@pytest.mark.parametrize("name", COLUMN_LOSSES)
def test_a_column_and_a_vector_never_make_a_square_in_a_graph(name):
    loss = lossreg.get(name, reduction=None)
    unknown = tf.TensorSpec((None,)), tf.TensorSpec((None, None))
    run = tf.function(loss.__call__, input_signature=unknown)
    y, prediction = BITS[:, 0], np.clip(CHANCES, 0.1, 0.9)
    np.testing.assert_allclose(run(y, prediction), loss(y, prediction), rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(y, np.tile(prediction, (1, 3)))


MISFITS = [
    ("mse", (N, 1), (N, 3)),
    ("mse", (N,), (N, 3)),
    ("mse", (3,), (N, 3)),
    ("mse", (N, 1), (N - 1, 1)),
    ("mse", (1, 1), (N, 1)),
    ("mse", (N, 3, 1), (N, 1)),
    ("bce", (N, 2), (N, 1)),
    ("cross_entropy", (N, 3), (N, 4)),
    ("cross_entropy", (N - 1,), (N, 4)),
    ("cross_entropy", (4,), (N, 4)),
    ("cross_entropy", (N, 4), (N, 1)),
    ("cross_entropy", (N, 5), (N, 5, 4, 2)),
    ("hinge", (N, 1), (N, 2)),
]


@pytest.mark.parametrize(("name", "labels", "given"), MISFITS)
def test_shapes_that_do_not_fit_are_refused(name, labels, given):
    loss = lossreg.get(name)
    with pytest.raises(InputError, match=rf"^{loss.name}: labels of shape \(.*\) do not fit predictions of shape"):
        loss(np.zeros(labels), np.full(given, 0.5))


def test_half_precision_is_only_the_result():
    y, z = float32([[1000.0]]), float32([[1001.0]])
    assert lossreg.get("mse", dtype="bfloat16")(y, z).dtype == tf.bfloat16
    assert float(lossreg.get("mse", dtype="bfloat16")(y, z)) == 1.0
    low = tf.cast(PROBABILITIES, "bfloat16")
    wanted = lossreg.get("focal", gamma=0.5)(INDICES, tf.cast(low, "float32"))
    assert float(lossreg.get("focal", gamma=0.5)(INDICES, low)) == float(wanted)
    assert lossreg.get("mse", dtype="float64")(y, z).dtype == tf.float64


def test_hinges_take_either_coding():
    for name in ("hinge", "squared_hinge"):
        loss = lossreg.get(name, reduction=None)
        np.testing.assert_array_equal(loss(BITS, VALUES), loss(2 * BITS - 1, VALUES))
        np.testing.assert_array_equal(loss(np.ones((2, 1)), VALUES[:2]), loss([[1.0], [1.0]], VALUES[:2]))


WRONG_VALUES = [
    ("cross_entropy", [4], PROBABILITIES[:1]),
    ("cross_entropy", [-1], PROBABILITIES[:1]),
    ("cross_entropy", [[1.5]], PROBABILITIES[:1]),
    ("bce", [[2.0]], CHANCES[:1]),
    ("cross_entropy", [[-1.0]], CHANCES[:1]),
    ("poisson", [[-1.0]], RATES[:1]),
    ("msle", [[-0.5]], RATES[:1]),
]


@pytest.mark.parametrize(("name", "y", "prediction"), WRONG_VALUES)
def test_impossible_labels_are_refused_eagerly_and_nan_in_a_graph(name, y, prediction):
    with pytest.raises(InputError, match=r"are not all in|neither class indices nor one-hot") as error:
        lossreg.get(name)(y, prediction)
    assert error.value.where == lossreg.get(name).name
    assert (f"{max(prediction.shape[-1], 2)} classes" in str(error.value)) == (name == "cross_entropy")
    assert np.isnan(tf.function(lossreg.get(name).__call__)(tf.constant(y), tf.constant(prediction)))


@pytest.mark.parametrize(("name", "y"), [("cross_entropy", INDICES), ("focal", ONE_HOT), ("bce", BITS)])
def test_scores_in_place_of_probabilities_are_noticed(name, y):
    scores = np.full((N, 1 if name == "bce" else 4), -2.0)
    with pytest.raises(InputError, match=r"are not probabilities\. Give from_logits=True"):
        lossreg.get(name)(y, scores)
    assert np.isnan(tf.function(lossreg.get(name).__call__)(tf.constant(y), tf.constant(scores)))


# Weights and masks


def test_weight_zero_is_removal_and_weight_two_is_repetition():
    loss = lossreg.get("focal", reduction="sum")
    weights = float32(np.arange(N) % 3)
    kept = np.repeat(np.arange(N), np.arange(N) % 3)
    for given in (weights, weights[:, None]):
        wanted = float(loss(INDICES[kept], PROBABILITIES[kept]))
        assert float(loss(INDICES, PROBABILITIES, sample_weight=given)) == pytest.approx(wanted, rel=1e-5)


def weighted_square(y, z, *, sample_weight):
    """Of a batch: the squared weighted mean error, in every sample."""
    mean = keras.ops.sum(sample_weight[:, None] * (z - y)) / keras.ops.sum(sample_weight)
    return keras.ops.ones_like(z[:, 0]) * keras.ops.square(mean)


@pytest.mark.parametrize("graph", [False, True])
def test_a_loss_that_asks_for_weights_is_handed_them_and_not_multiplied(graph):
    spec = LossSpec(
        name="weighted_square", function=weighted_square, tasks=("regression",), summary="s", reference="r",
        target="real", outputs="1", activation="identity", level="batch", needs=("sample_weight",),
    )  # fmt: skip
    y, z, weights = float32([[1], [2], [3]]), float32([[2], [2], [5]]), float32([1, 5, 2])
    loss = lossreg.get(spec)
    call = tf.function(loss) if graph else loss
    error = (z - y)[:, 0]
    assert float(call(y, z, sample_weight=weights)) == pytest.approx((weights @ error / 8) ** 2)
    assert float(call(y, z)) == pytest.approx(error.mean() ** 2)


def test_a_weight_a_sample_reaches_every_place_of_its_sequence():
    y, z = TRUTHS.reshape(4, 3, 1), VALUES.reshape(4, 3, 1)
    square = rng(10).normal(size=(2, 3, 3, 1)).astype("float32")
    for labels, given in ((y, z), square):
        weights = float32(np.arange(len(labels)))
        got = lossreg.get("mse", reduction="sum")(labels, given, sample_weight=weights)
        wanted = (weights[:, None, None] * (labels - given) ** 2).sum()
        assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_masked_places_do_not_count():
    inputs = keras.Input((5, 2))
    outputs = keras.layers.Dense(1)(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, outputs)
    x = rng(11).normal(size=(3, 5, 2)).astype("float32")
    x[1, 2:], x[2, 4:] = 0.0, 0.0
    y = rng(12).normal(size=(3, 5, 1)).astype("float32")
    ours, theirs = (loss(y, model(x)) for loss in (lossreg.get("mse"), keras.losses.MeanSquaredError()))
    kept = (x != 0).any(axis=-1)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)
    assert float(ours) == pytest.approx(float(((y - model(x)) ** 2)[..., 0].numpy()[kept].mean()), rel=1e-5)


# In a model

LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("name", "units", "activation", "y"),
    [
        pytest.param("focal", 4, "softmax", INDICES, marks=LONG),
        ("gce", 4, "softmax", ONE_HOT),
        pytest.param("focal", 1, "sigmoid", BITS[:, 0], marks=LONG),
        pytest.param("binary_focal", 1, "sigmoid", BITS[:, 0].astype(int), marks=LONG),
        pytest.param("hinge", 1, "tanh", BITS[:, 0], marks=LONG),
        pytest.param("huber", 1, None, TRUTHS[:, 0], marks=LONG),
        ("poisson", 1, "softplus", COUNTS[:, 0]),
        pytest.param("msle", 1, "softplus", POSITIVE[:, 0], marks=LONG),
    ],
)
@pytest.mark.parametrize("how", long_but({"graph"}, ["graph", "eager"]))
def test_training_in_a_model_lowers_the_loss(name, units, activation, y, how):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(units, activation=activation)])
    model.compile("adam", loss=lossreg.get(name), run_eagerly=how == "eager")
    model.optimizer.learning_rate = 0.05
    x = rng(13).normal(size=(N, 6)).astype("float32")
    history = model.fit(x, y, batch_size=5, epochs=3 if how == "eager" else 8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert float(model.compute_loss(x, y, model(x))) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-4)


@pytest.mark.parametrize(("name", "y", "given"), [("focal", INDICES, PROBABILITIES), ("poisson", COUNTS, RATES)])
def test_compiled_is_eager(name, y, given):
    loss = lossreg.get(name, reduction=None)
    compiled = tf.function(loss.__call__, jit_compile=True)
    np.testing.assert_allclose(compiled(tf.constant(y), tf.constant(given)), loss(y, given), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "units", "activation"), [("focal", 3, "softmax"), ("bce", 1, "sigmoid")])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_hopelessly_wrong_probabilities_still_learn_in_a_graph(name, units, activation, policy):
    layer = keras.layers.Dense(units, activation=activation, dtype=policy, bias_initializer=first_sure(units))
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(1.0), loss=lossreg.get(name))
    x, y = np.zeros((4, 2), "float32"), np.full(4, units - 1 if units > 1 else 0)
    before = layer.bias.numpy().copy()
    model.fit(x, y, verbose=0)
    assert abs(layer.bias.numpy() - before).max() > 0.5


def first_sure(units):
    return lambda shape, dtype=None: keras.ops.convert_to_tensor([200.0] + [0.0] * (units - 1), dtype=dtype)


# Arguments


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "message"),
    [
        ("hubber", {}, UnknownError, "Did you mean huber"),
        ("huber", {"detla": 1.0}, UnknownError, "unknown parameter .*huber has delta .* Did you mean delta"),
        ("mse", {"delta": 1.0}, UnknownError, "delta"),
        ("mse", {"class_counts": [1, 2]}, UnknownError, "class_counts"),
        ("huber", {"delta": 0.0}, ParameterError, r"delta = 0 is outside its domain \(0, inf\)"),
        ("huber", {"delta": float("nan")}, ParameterError, "delta"),
        ("huber", {"delta": "one"}, ParameterError, "delta must be a number"),
        ("focal", {"alpha": 0.5}, ParameterError, "alpha takes one number per class"),
        ("class_balanced_ce", {}, InputError, "needs class_counts. Give class_counts="),
        ("class_balanced_ce", {"class_counts": [0, 0]}, InputError, "needs class_counts"),
        ("class_balanced_ce", {"class_counts": [-1, 2]}, ParameterError, "class_counts"),
        ("poisson", {"target_mean": 0.0}, ParameterError, "target_mean"),
        ("mape", {"target_scale": 0.0}, ParameterError, "target_scale"),
    ],
)
def test_wrong_arguments_are_refused_when_the_loss_is_made(name, arguments, kind, message):
    with pytest.raises(kind, match=message):
        lossreg.get(name, **arguments)


def test_a_vector_of_the_wrong_length_is_refused_on_the_first_batch():
    with pytest.raises(ParameterError, match="alpha has 3 numbers for 4 classes"):
        lossreg.get("focal", alpha=[1, 2, 3])(INDICES, PROBABILITIES)
    with pytest.raises(ParameterError, match="class_counts has 2 numbers for 4 classes"):
        lossreg.get("weighted_ce", class_counts=[1, 2])(INDICES, PROBABILITIES)


def test_priors_follow_from_counts():
    assert lossreg.get("weighted_ce", class_counts=[30, 10]).needs["class_priors"] == (0.75, 0.25)


def test_instances_share_nothing():
    alpha, counts = [1.0, 2.0, 3.0], np.array([5, 4, 3])
    one = lossreg.get("focal", gamma=1.0, alpha=alpha)
    other = lossreg.get("focal", gamma=3.0, alpha=alpha)
    weighing = lossreg.get("weighted_ce", class_counts=counts)
    alpha[0], counts[0] = 99.0, 99
    one.params["gamma"] = 0.0
    assert other.params == {"gamma": 3.0, "alpha": (1.0, 2.0, 3.0)}
    assert weighing.needs["class_counts"] == (5.0, 4.0, 3.0)
    config = other.get_config()
    config["params"]["alpha"][0] = 99.0
    assert other.params["alpha"] == (1.0, 2.0, 3.0)


def test_name_and_printing():
    assert lossreg.get("MSE").name == "mean_squared_error"
    assert lossreg.get("MSE", name="mine").name == "mine"
    assert repr(lossreg.get("huber", delta=2)) == "<lossreg loss huber(delta=2.0)>"


# The user's own


def squares(y_true, y_pred, scale=1.0, *, power=2.0):
    """Powers of the residual."""
    return keras.ops.mean(scale * keras.ops.abs(y_true - y_pred) ** power, axis=-1)


def with_weight(weight):
    def own_loss(y_true, y_pred):
        return weight * keras.ops.abs(y_true - y_pred)

    return own_loss


class OwnLoss(keras.losses.Loss):
    def __init__(self, factor=2.0, offset=0, label="x", name="own", **more):
        super().__init__(name=name, **more)
        self.factor, self.offset = factor, offset

    def call(self, y_true, y_pred):
        return self.offset + self.factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


WRAPPED = [
    (squares, {"scale": 3.0, "power": 1.5}, lambda e: 3 * np.abs(e) ** 1.5),
    (squares, {}, lambda e: e**2),
    (with_weight(3.0), {}, lambda e: 3 * np.abs(e)),
    (lambda y_true, y_pred: 5 * (y_true - y_pred) ** 2, {}, lambda e: 5 * e**2),
    (OwnLoss, {}, lambda e: 2 * e**2),
    (OwnLoss, {"factor": 4.0, "offset": 1.0}, lambda e: 1 + 4 * e**2),
    (OwnLoss(factor=7.0), {}, lambda e: 7 * e**2),
    (keras.losses.MeanAbsoluteError, {}, np.abs),
    (keras.losses.Huber, {"delta": 1e5}, lambda e: e**2 / 2),
    (keras.losses.Huber(delta=1e5), {}, lambda e: e**2 / 2),
]


@pytest.mark.parametrize(("source", "params", "wanted"), WRAPPED)
def test_a_users_own_loss(source, params, wanted):
    spec = lossreg.wrap(source)
    assert isinstance(spec, LossSpec)
    assert spec.tasks == ("regression", "positive", "count")
    loss = lossreg.get(spec, reduction=None, **params)
    np.testing.assert_allclose(loss(TRUTHS, VALUES), wanted(VALUES - TRUTHS)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(lossreg.get(source, reduction=None, **params)(TRUTHS, VALUES), loss(TRUTHS, VALUES))


@pytest.mark.parametrize(
    ("activation", "given", "target", "outputs", "tasks"),
    [
        ("softmax", {}, "onehot", "k", ("binary", "multiclass")),
        ("sigmoid", {}, "binary", "1", ("binary", "segmentation")),
        ("exp", {}, "count", "1", ("regression", "positive", "count")),
        ("identity", {"tasks": ["multiclass"]}, "onehot", "k", ("multiclass",)),
        ("identity", {"target": "signed"}, "signed", "1", ("binary", "segmentation")),
        (None, {"target": "onehot"}, "onehot", "k", ("binary", "multiclass")),
        (None, {}, "real", "1", ("regression", "positive", "count")),
    ],
)
def test_what_is_given_decides_the_rest(activation, given, target, outputs, tasks):
    spec = lossreg.wrap(squares, activation=activation, **given)
    assert (spec.target, spec.outputs, spec.tasks) == (target, outputs, tasks)


def test_a_users_loss_sees_predictions_and_labels():
    spec = lossreg.wrap(lambda y, p: -keras.ops.sum(y * keras.ops.log(p), axis=-1), activation="softmax", name="own_ce")
    z = rng(14).normal(size=(N, 3))
    y = np.eye(3)[np.arange(N) % 3]
    wanted = reference.values("cross_entropy", y, z, {})
    np.testing.assert_allclose(spec.function(float32(y), tf.constant(z, "float32")), wanted, rtol=1e-5)
    loss = lossreg.get(spec, reduction=None)
    np.testing.assert_allclose(loss(np.arange(N) % 3, float32(softmax(z))), wanted, rtol=1e-5)
    chances = sigmoid(z[:, :1])
    wanted = reference.values("binary_crossentropy", BITS, z[:, :1], {"label_smoothing": 0})
    np.testing.assert_allclose(loss(BITS, float32(chances)), wanted, rtol=1e-4)


def test_an_exp_activation_gets_its_constant():
    spec = lossreg.wrap(lambda y, rate: rate - y * keras.ops.log(rate), activation="exp")
    got = spec.function(float32([[3.0]]), tf.constant([[0.5]]), target_mean=2.0)
    np.testing.assert_allclose(got, reference.values("poisson", [[3.0]], [[0.5]], {"target_mean": 2.0}), rtol=1e-6)


def test_parameters_of_a_users_loss_are_fixed_until_given():
    scale, power = lossreg.wrap(squares).params
    assert (power.name, power.default, power.low, power.high) == ("power", 2.0, 2.0, 2.0)
    assert (scale.name, scale.default) == ("scale", 1.0)
    assert [param.name for param in lossreg.wrap(OwnLoss).params] == ["factor", "offset"]


@pytest.mark.parametrize("source", [squares, OwnLoss, keras.losses.Huber])
def test_a_users_loss_maps_over_lanes(source):
    spec = lossreg.wrap(source)
    y, z = tf.constant(np.stack([TRUTHS] * 3)), tf.constant(np.stack([VALUES] * 3))
    lanes = {param.name: tf.constant([0.5, 1.0, 2.0]) for param in spec.params}
    mapped = tf.vectorized_map(lambda lane: spec.resolve()(lane[0], lane[1], **lane[2]), (y, z, lanes))
    for lane, value in enumerate((0.5, 1.0, 2.0)):
        alone = lossreg.get(spec, reduction=None, **dict.fromkeys(lanes, value))
        np.testing.assert_allclose(mapped[lane], alone(TRUTHS, VALUES), rtol=1e-5)


def test_values_over_space_are_averaged():
    spec = lossreg.wrap(with_weight(1.0))
    y, z = TRUTHS.reshape(4, 3, 1), VALUES.reshape(4, 3, 1)
    np.testing.assert_allclose(spec.function(y, tf.constant(z)), np.abs(y - z).mean(axis=(1, 2)), rtol=1e-6)


def test_a_users_loss_of_sequences_keeps_weights_and_masks_in_place():
    for source in (with_weight(1.0), lambda y, p: keras.ops.mean(keras.ops.abs(y - p), axis=-1)):
        loss = lossreg.get(lossreg.wrap(source, name="own"), reduction=None)
        y, z = rng(15).normal(size=(2, 3, 3, 1)).astype("float32")
        weights = float32([1.0, 0.0, 2.0])
        wanted = weights[:, None] * np.abs(y - z)[..., 0]
        np.testing.assert_allclose(loss(y, z, sample_weight=weights), wanted, rtol=1e-6)


BAD_SOURCES = [
    (lambda y, p: keras.ops.mean(keras.ops.square(y - p)), "returns a single number for the whole batch. Return one"),
    (lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=0), "returns 1 value for a batch of 12"),
]


@pytest.mark.parametrize(("source", "message"), BAD_SOURCES)
def test_a_loss_that_reduces_the_batch_is_refused(source, message):
    with pytest.raises(InputError, match=message):
        lossreg.get(lossreg.wrap(source, name="own"))(TRUTHS, VALUES)


class Needy(keras.losses.Loss):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (lambda y_pred: y_pred, {}, "does not take labels and predictions"),
        (lambda y, p, q: p, {}, "argument q has no default"),
        (Needy, {}, "argument factor has no default"),
        (int, {}, "the class int is no keras.losses.Loss"),
        (3, {}, "3 is no loss"),
        (keras.losses.SparseCategoricalCrossentropy(), {}, "it takes class indices"),
        (squares, {"activation": "sofmax"}, "Did you mean softmax"),
        (squares, {"target": "one_hot"}, "unknown target"),
        (squares, {"tasks": ["clustering"]}, "unknown task"),
    ],
)
def test_what_cannot_be_wrapped_is_said(source, options, message):
    with pytest.raises(InputError, match=message):
        lossreg.wrap(source, **options)


def test_names_of_users_losses():
    assert lossreg.wrap(OwnLoss).name == "own_loss"
    assert lossreg.wrap(OwnLoss()).name == "own_loss"
    assert lossreg.wrap(lambda y, p: p).name == "user_loss"
    with pytest.raises(InputError, match=r"^the function <lambda>: it does not take labels and predictions"):
        lossreg.get(lambda a: a)
    assert lossreg.wrap(squares, name="mine").name == "mine"
    assert lossreg.wrap(squares).summary == "Powers of the residual."


def test_objects_are_keras_losses():
    assert isinstance(lossreg.get("mse"), keras.losses.Loss)
    assert isinstance(lossreg.get("mse"), RegistryLoss)


def test_a_model_is_loaded_from_wherever_keras_reads_one(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", lossreg.get("huber", delta=0.7))
    model.save(tmp_path / "model.keras")
    tf.io.gfile.makedirs("ram://models")
    tf.io.gfile.copy(str(tmp_path / "model.keras"), "ram://models/model.keras")
    assert lossreg.load_model("ram://models/model.keras").loss.params == {"delta": 0.7}


@pytest.mark.parametrize(
    ("path", "message"),
    [("nowhere.keras", "there is no such file"), ("x" * 5000, "there is no such file"),
     ("ram://models/none.keras", "Keras cannot load it")],
)  # fmt: skip
def test_a_model_that_is_not_there_is_an_error(path, message):
    with pytest.raises(InputError, match=message):
        lossreg.load_model(path)
