import math

import lossreg_ordinal as ordinal
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score, log_loss

import lossreg
import lossreg.testing

NAMES = ("coral", "corn", "squared_emd", "weighted_kappa")
# the scores of the tests of coral-pytorch
SCORES = np.array([[2.1, 1.8, -2.1, -1.8], [1.9, -1.0, -1.5, -1.3], [1.9, 1.8, 1.7, 1.6]], "float32")

test_conformance = lossreg.testing.conformance(*NAMES)


def indices(*y):
    return np.array(y, "float32")[:, None]


def values(loss, y, scores, **params):
    return np.asarray(loss(np.asarray(y, "float32"), np.asarray(scores, "float32"), **params), np.float64)


def drawn(rows, outputs, classes, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, (rows, 1)), rng.normal(size=(rows, outputs)) * 2


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ------------------------------------------------------------------ published values


def test_coral_has_the_values_of_its_authors():
    # coral-pytorch, tests/test_losses.py, test_coral_basic: four digits; levels 1100, 1000 and 1111
    np.testing.assert_allclose(values(ordinal.coral, indices(2, 1, 4), SCORES), [0.5370, 0.8951, 0.6441], atol=6e-5)


def test_corn_has_the_value_of_its_authors():
    # coral-pytorch, tests/test_losses.py, test_corn_basic: the sum over samples and questions, over 5 classes
    assert values(ordinal.corn, indices(0, 1, 2), SCORES).sum() / 5 == pytest.approx(0.9657, abs=6e-5)


def test_weighted_kappa_has_the_value_of_tensorflow_addons():
    # tfa.losses.WeightedKappaLoss, the example of its documentation
    p = np.array([[0.1, 0.2, 0.6, 0.1], [0.1, 0.5, 0.3, 0.1], [0.8, 0.05, 0.05, 0.1], [0.01, 0.09, 0.1, 0.8]])
    found = values(ordinal.weighted_kappa, indices(2, 1, 0, 3), np.log(p), power=2.0)
    np.testing.assert_allclose(found, np.full(4, -1.1611925), rtol=1e-5)


# ------------------------------------------------------------------ independent computations


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_coral_and_corn_are_sums_of_binary_cross_entropies(classes):
    y, z = drawn(7, classes - 1, classes)
    asked = [
        [(int(label > j), sigmoid(score)) for j, score in enumerate(row)] for (label,), row in zip(y, z, strict=True)
    ]
    costs = [[log_loss([yes], [[1 - p, p]], labels=[0, 1]) for yes, p in row] for row in asked]
    np.testing.assert_allclose(values(ordinal.coral, y, z), [sum(row) for row in costs], rtol=1e-5)
    arising = [sum(row[: label + 1]) for (label,), row in zip(y, costs, strict=True)]
    np.testing.assert_allclose(values(ordinal.corn, y, z), arising, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_squared_emd_is_half_the_squared_energy_distance(classes):
    y, z = drawn(7, classes, classes)
    places = np.arange(classes)
    wanted = [
        stats.energy_distance(places, label, u_weights=p) ** 2 / 2 for label, p in zip(y, softmax(z), strict=True)
    ]
    np.testing.assert_allclose(values(ordinal.squared_emd, y, z), wanted, rtol=1e-5)


def test_squared_emd_of_a_certain_prediction_is_the_earth_movers_distance():
    y, predicted = np.array([0, 0, 2, 4]), np.array([0, 3, 1, 0])
    wanted = [stats.wasserstein_distance([p], [t]) for p, t in zip(predicted, y, strict=True)]
    np.testing.assert_allclose(values(ordinal.squared_emd, y[:, None], 100 * np.eye(5)[predicted]), wanted, atol=1e-6)


@pytest.mark.parametrize(("power", "weights"), [(1.0, "linear"), (2.0, "quadratic")])
def test_weighted_kappa_of_certain_predictions_is_cohens(power, weights):
    rng = np.random.default_rng(1)
    y, predicted = rng.integers(0, 4, 40), rng.integers(0, 4, 40)
    found = values(ordinal.weighted_kappa, y[:, None], 100 * np.eye(4)[predicted], power=power)
    wanted = math.log(1 - cohen_kappa_score(y, predicted, weights=weights))
    np.testing.assert_allclose(found, np.full(40, wanted), rtol=1e-5)


# ------------------------------------------------------------------ corners


def test_weighted_kappa_of_no_rows_and_of_one_class_is_zero():
    assert values(ordinal.weighted_kappa, np.zeros((0, 1)), np.zeros((0, 3)), power=2.0).shape == (0,)
    for scores in (np.zeros((4, 3)), 1e4 * np.eye(3)[[0, 1, 2, 0]], 1e4 * np.eye(3)[[1, 1, 1, 1]]):
        np.testing.assert_allclose(values(ordinal.weighted_kappa, indices(1, 1, 1, 1), scores, power=2.0), 0, atol=1e-6)


def test_perfect_predictions_are_the_least_that_weighted_kappa_has():
    y = np.array([0, 1, 2])
    right = values(ordinal.weighted_kappa, y[:, None], 1e4 * np.eye(3)[y], power=2.0)
    assert np.isfinite(right).all()
    assert right[0] < -14


@pytest.mark.parametrize(("loss", "outputs"), [(ordinal.coral, 3), (ordinal.corn, 3), (ordinal.squared_emd, 4)])
def test_places_of_space_are_averaged(loss, outputs):
    y, z = drawn(2 * 5, outputs, 4)
    alone = values(loss, y, z).reshape(2, 5).mean(axis=1)
    np.testing.assert_allclose(values(loss, y.reshape(2, 5, 1), z.reshape(2, 5, outputs)), alone, rtol=1e-5)


@pytest.mark.parametrize(("loss", "outputs"), [(ordinal.coral, 3), (ordinal.corn, 3), (ordinal.squared_emd, 4)])
@pytest.mark.parametrize("space", [(), (5,)])
def test_no_rows_give_no_values(loss, outputs, space):
    assert values(loss, np.zeros((0, *space, 1)), np.zeros((0, *space, outputs))).shape == (0,)


def test_squared_emd_is_exact_in_both_tails():
    scores = np.array([[0.0, -30.0, -40.0], [-40.0, -30.0, 0.0]])
    np.testing.assert_allclose(values(ordinal.squared_emd, indices(0, 2), scores), math.exp(-60), rtol=1e-3)


# ------------------------------------------------------------------ activations


@pytest.mark.parametrize("activation", [ordinal.CORAL_ACTIVATION, ordinal.CORN_ACTIVATION])
def test_activations_give_probabilities_of_k_classes(activation):
    z = np.random.default_rng(2).normal(size=(5, 6, 3)) * 5
    p = np.asarray(activation.forward(z))
    assert p.shape == (5, 6, 4)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("activation", [ordinal.CORAL_ACTIVATION, ordinal.CORN_ACTIVATION])
def test_activations_of_one_score_are_the_sigmoid(activation):
    z = np.array([[-3.0], [0.0], [1.5]])
    np.testing.assert_allclose(
        np.asarray(activation.forward(z)), np.concatenate([sigmoid(-z), sigmoid(z)], axis=1), rtol=1e-6
    )


def test_the_coral_activation_floors_what_is_out_of_order():
    cumulated = np.array([[0.9, 0.6, 0.2], [0.5, 0.7, 0.2]])
    p = np.asarray(ordinal.CORAL_ACTIVATION.forward(np.log(cumulated / (1 - cumulated))))
    np.testing.assert_allclose(p[0], [0.1, 0.3, 0.4, 0.2], rtol=1e-6)
    np.testing.assert_allclose(p[1], np.array([0.5, 0.0, 0.5, 0.2]) / 1.2, rtol=1e-6)


def test_the_corn_activation_multiplies_conditional_probabilities():
    conditional = np.array([[0.9, 0.5, 0.2]])
    p = np.asarray(ordinal.CORN_ACTIVATION.forward(np.log(conditional / (1 - conditional))))
    np.testing.assert_allclose(p, [[0.1, 0.45, 0.36, 0.09]], rtol=1e-6)


@pytest.mark.parametrize("activation", [ordinal.CORAL_ACTIVATION, ordinal.CORN_ACTIVATION])
def test_inverses_bring_probabilities_back(activation):
    p = softmax(np.random.default_rng(3).normal(size=(6, 4)))
    np.testing.assert_allclose(np.asarray(activation.forward(np.asarray(activation.inverse(p)))), p, rtol=1e-5)
    assert np.isfinite(np.asarray(activation.inverse(np.eye(4)))).all()


# ------------------------------------------------------------------ as lossreg has them


def test_in_a_keras_model_labels_are_class_indices():
    loss = lossreg.get("coral", from_logits=True)
    np.testing.assert_allclose(float(loss(np.array([2, 1, 4]), SCORES)), 0.6920, atol=6e-5)
    given = np.asarray(ordinal.CORAL_ACTIVATION.forward(SCORES))
    np.testing.assert_allclose(float(lossreg.get("corn")(np.array([0]), given[:1])), -np.log(given[0, 0]), rtol=1e-5)


@pytest.mark.parametrize(("name", "width"), [("coral", 3), ("corn", 3), ("squared_emd", 4), ("weighted_kappa", 4)])
def test_classes_beyond_the_last_are_refused(name, width):
    loss = lossreg.get(name, from_logits=True)
    loss(np.array([0, 3]), np.zeros((2, width), "float32"))
    with pytest.raises(lossreg.InputError, match="labels from 0 to 4 are not all in"):
        loss(np.array([0, 4]), np.zeros((2, width), "float32"))


@pytest.mark.parametrize("name", ["coral", "corn"])
def test_with_two_classes_it_is_binary_cross_entropy(name):
    y, z = np.array([0, 1, 1, 0]), np.array([[-30.0], [0.5], [-2.0], [3.0]], "float32")
    ours = lossreg.get(name, from_logits=True, reduction="none")(y, z)
    theirs = lossreg.get("binary_crossentropy", from_logits=True, reduction="none")(y, z)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_power_that_is_not_positive_is_refused():
    with pytest.raises(lossreg.InputError, match="power"):
        lossreg.get("weighted_kappa", power=0)
