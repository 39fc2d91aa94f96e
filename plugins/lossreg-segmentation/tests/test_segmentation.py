import lossreg_segmentation as masks
import numpy as np
import pytest
from sklearn import metrics

import lossreg
import lossreg.testing

NAMES = ("dice", "jaccard", "tversky", "focal_tversky", "bce_dice")
SETTINGS = {
    "dice": {"smooth": 1.0},
    "jaccard": {"smooth": 1.0},
    "tversky": {"fn_weight": 0.7, "smooth": 1.0},
    "focal_tversky": {"fn_weight": 0.7, "exponent": 0.75, "smooth": 1.0},
    "bce_dice": {"mix": 0.5, "smooth": 1.0},
}

test_conformance = lossreg.testing.conformance(*NAMES)


def values(name, y, scores, **params):
    loss = getattr(masks, name)
    found = loss(np.asarray(y, "float32"), np.asarray(scores, "float32"), **{**SETTINGS[name], **params})
    return np.asarray(found, np.float64)


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def logit(p):
    return np.log(p / (1 - p))


def drawn(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, shape).astype(float), rng.normal(size=shape) * 2


# ------------------------------------------------------------------ published values

# MONAI, tests/test_dice_loss.py, test_masked_dice_loss.py (six digits) and test_tversky_loss.py (which allows 1e-4);
# there `smooth` stands beside 2 TP in jaccard too, and weights are alpha of false positives and beta of false negatives
SCORES = [[[[1.0], [-1.0]], [[-1.0], [1.0]]]]
ONE = [[[[1.0], [0.0]], [[1.0], [1.0]]]]
FULL, HALF = [[[[1.0], [1.0]], [[1.0], [1.0]]]], [[[[1.0], [0.0]], [[1.0], [0.0]]]]
MONAI = [
    ("dice", ONE, {"smooth": 1e-6}, 0.307576, 1e-5),
    ("dice", FULL + HALF, {"smooth": 1e-4}, 0.416657, 1e-5),
    ("jaccard", ONE, {"smooth": 5e-6}, 0.470451, 1e-5),
    ("tversky", ONE, {"fn_weight": 0.5, "smooth": 1e-6}, 0.307576, 1e-5),
    ("tversky", FULL + HALF, {"fn_weight": 0.5, "smooth": 1e-4}, 0.416657, 1e-4),
    ("tversky", ONE, {"fn_weight": 0.7, "smooth": 1e-6}, 0.3589, 1e-4),
    ("tversky", ONE, {"fn_weight": 0.3, "smooth": 1e-6}, 0.247366, 1e-5),
    ("focal_tversky", ONE, {"fn_weight": 0.3, "exponent": 0.75, "smooth": 1e-6}, 0.247366**0.75, 1e-5),
]


@pytest.mark.parametrize(("name", "y", "params", "value", "rtol"), MONAI)
def test_values_are_those_of_monai(name, y, params, value, rtol):
    assert values(name, y, SCORES * len(y), **params).mean() == pytest.approx(value, rel=rtol)


def test_dice_has_the_values_of_keras():
    # the example of keras.losses.dice, with 1e-12 for its probabilities of 0
    y = [[[[1.0], [1.0]], [[0.0], [0.0]]]] * 2
    p = np.array([[[[0.0], [1.0]], [[0.0], [1.0]]], [[[0.4], [0.0]], [[0.0], [0.9]]]])
    scores = logit(np.clip(p, 1e-12, 1 - 1e-12))
    np.testing.assert_allclose(values("dice", y, scores, smooth=1e-9), [0.5, 0.75757575], rtol=1e-5)


# ------------------------------------------------------------------ independent computations


def overlap(name, y, z, *, fn_weight=None, exponent=1.0, mix=None, smooth=1.0):
    """The loss of one channel `(places,)` from its definition, in float64."""
    p = sigmoid(z)
    hit, false, missed = (y * p).sum(), ((1 - y) * p).sum(), (y * (1 - p)).sum()
    if name == "jaccard":
        return 1 - (hit + smooth) / (y.sum() + p.sum() - hit + smooth)
    if "tversky" in name:
        index = (hit + smooth) / (hit + (1 - fn_weight) * false + fn_weight * missed + smooth)
        return (1 - index) ** exponent
    dice = 1 - (2 * hit + smooth) / (y.sum() + p.sum() + smooth)
    return dice if mix is None else (1 - mix) * metrics.log_loss(y, p, labels=[0, 1]) + mix * dice


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (5, 1)])
def test_values_are_those_of_float64(name, shape):
    y, z = drawn(4, *shape, 2)
    flat_y, flat_z = y.reshape(4, -1, 2), z.reshape(4, -1, 2)
    wanted = [[overlap(name, flat_y[i, :, c], flat_z[i, :, c], **SETTINGS[name]) for c in range(2)] for i in range(4)]
    np.testing.assert_allclose(values(name, y, z), np.mean(wanted, axis=1), rtol=1e-5)


@pytest.mark.parametrize(("name", "score"), [("dice", metrics.f1_score), ("jaccard", metrics.jaccard_score)])
def test_of_certain_predictions_it_is_one_minus_the_metric(name, score):
    y, z = drawn(1, 40, 1, seed=3)
    found = values(name, y, 100 * np.sign(z), smooth=1e-6)
    assert found[0] == pytest.approx(1 - score(y.ravel(), z.ravel() > 0), rel=1e-5)


# ------------------------------------------------------------------ corners


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_mask_costs_nothing_if_predicted_empty_and_else_more_the_more_is_predicted(name):
    empty = np.zeros((3, 4, 4, 1))
    scores = np.full((3, 16), -40.0)
    scores[1, :1] = scores[2, :8] = 40.0
    none, one, half = values(name, empty, scores.reshape(empty.shape))
    assert none == pytest.approx(0, abs=1e-6)
    assert none < one < half
    assert np.isfinite(half)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_mask_is_as_well_defined(name):
    full = np.ones((2, 4, 4, 1))
    right, wrong = values(name, full, np.stack([40 * full[0], -40 * full[0]]))
    assert right == pytest.approx(0, abs=1e-6)
    assert wrong > 0.8


@pytest.mark.parametrize("exponent", [0.1, 0.5, 0.75, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 5.0, 20.0, 50.0, 80.0, 1e4])
def test_the_gradient_of_focal_tversky_is_finite_up_to_a_perfect_mask(exponent, scale):
    import tensorflow as tf

    y = np.array([[[1.0], [0.0], [1.0]], [[0.0], [0.0], [0.0]]], "float32")
    scores = tf.constant(scale * (2 * y - 1))
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = masks.focal_tversky(y, scores, fn_weight=0.7, exponent=exponent, smooth=1.0)
    slope = tape.gradient(loss, scores).numpy()
    assert np.isfinite(loss.numpy()).all()
    assert np.isfinite(slope).all()
    assert (slope * (2 * y - 1) <= 0).all()


def test_missing_costs_more_than_adding_where_fn_weight_is_high():
    y = np.array([[[1.0], [1.0], [0.0], [0.0]]])
    missed, added = [[[-9.0], [9.0], [-9.0], [-9.0]]], [[[9.0], [9.0], [9.0], [-9.0]]]
    for weight, sign in ((0.9, 1), (0.1, -1)):
        difference = values("tversky", y, missed, fn_weight=weight) - values("tversky", y, added, fn_weight=weight)
        assert sign * difference[0] > 0.1


# ------------------------------------------------------------------ as lossreg has them


def test_in_a_keras_model_masks_may_lack_the_last_axis():
    y, z = drawn(5, 6, 6, 1)
    loss = lossreg.get("dice", from_logits=True)
    wanted = values("dice", y, z).mean()
    for labels in (y, y[..., 0], y.astype(int), y.astype(bool)):
        assert float(loss(labels, z.astype("float32"))) == pytest.approx(wanted, rel=1e-5)
    assert float(lossreg.get("dice")(y, sigmoid(z).astype("float32"))) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("name", "params"), [("tversky", {"fn_weight": 1.0}), ("dice", {"smooth": 0})])
def test_parameters_outside_their_domain_are_refused(name, params):
    with pytest.raises(lossreg.InputError, match=next(iter(params))):
        lossreg.get(name, **params)
