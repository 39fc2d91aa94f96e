"""The built-in losses: what the conformance suite does not know of them, such as their formulas."""

import doctest
from importlib import import_module

import loss_cases as cases
import numpy as np
import pytest
import reference
import tensorflow as tf
from quick import ONE_PER_TARGET, long_but

from lossreg import zoo
from lossreg.contract.declaration import declared_in
from lossreg.registry import registry
from lossreg.zoo import evolved

SPECS = cases.SPECS
CLASSES = [name for name, spec in SPECS.items() if spec.target == "onehot"]
every_loss = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
few_losses = pytest.mark.parametrize("spec", long_but(ONE_PER_TARGET, list(SPECS.values())))
every_class_loss = pytest.mark.parametrize("spec", [SPECS[name] for name in CLASSES], ids=CLASSES)


def tensors(arguments, dtype="float32"):
    return {name: value if cases.is_static(value) else tf.constant(value, dtype) for name, value in arguments.items()}


def compute(spec, y, z, arguments, dtype="float32"):
    """Values `(n,)` and the gradient of their sum `(n, outputs)`, as float64 arrays."""
    y, z = tf.constant(y, dtype), tf.constant(z, dtype)
    with tf.GradientTape() as tape:
        tape.watch(z)
        values = spec.resolve()(y, z, **tensors(arguments, dtype))
    gradient = tape.gradient(values, z)
    assert values.dtype == gradient.dtype == tf.as_dtype(dtype)
    return values.numpy().astype(float), gradient.numpy().astype(float)


def arguments_of(spec, rng, k=3):
    return {**cases.draw(spec, rng, k), **cases.constants(spec, k)}


def defaults(spec, k=3):
    return {**spec.bind({}), **cases.constants(spec, k)}


def test_every_loss_has_a_reference():
    assert set(reference.LOSSES) == set(SPECS)


@pytest.mark.parametrize("family", zoo.FAMILIES, ids=lambda family: family.__name__)
def test_doctests_run_and_every_loss_has_one(family):
    assert doctest.testmod(family).failed == 0
    assert [spec.name for spec in declared_in(family) if ">>>" not in (spec.function.__doc__ or "")] == []


@every_loss
@pytest.mark.parametrize("k", [2, 3, 7])
def test_values_are_the_formula(spec, k):
    rng = np.random.default_rng(k)
    for _ in range(3):
        y, z, arguments = cases.labels(spec, 12, rng, k), cases.scores(spec, 12, rng, k), arguments_of(spec, rng, k)
        wanted = reference.values(spec.name, y, z, arguments)
        size = 1 + np.abs(wanted).max()
        np.testing.assert_allclose(compute(spec, y, z, arguments)[0], wanted, rtol=1e-5, atol=1e-6 * size)
        np.testing.assert_allclose(compute(spec, y, z, arguments, "float64")[0], wanted, rtol=1e-9, atol=1e-12 * size)


SIDES = {"binary": [[0], [1]], "signed": [[-1], [1]]}
KEPT = {name: spec for name, spec in SPECS.items() if not spec.claims.truncated}


@pytest.mark.parametrize("spec", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("size", [20.0, 50.0])
def test_confidently_wrong_samples_keep_a_gradient(spec, size):
    sides = SIDES.get(spec.target, [[1.0], [1.0]] if spec.target in cases.ONE_COLUMN else [[0, 1], [1, 0]])
    z = np.zeros((2, cases.width(spec, 2)))
    z[:, 0] = [size, -size]
    if spec.outputs == "k":
        z = np.hstack([z[:, :1], -z[:, :1]]) / 2
    _, gradient = compute(spec, sides, z, defaults(spec, 2))
    assert (gradient[:, 0] != 0).all()


@few_losses
def test_extreme_scores_give_finite_values_and_gradients_in_bfloat16(spec):
    for corner in cases.corners(spec):
        values, gradient = compute(spec, *cases.extremes(spec), {**corner, **cases.constants(spec)}, "bfloat16")
        assert np.isfinite([*values, *gradient.ravel()]).all(), corner


def test_focal_gradients_are_those_of_the_formula_for_every_gamma():
    z = np.array([[30.0, 0.0], [-30.0, 0.0], [0.0, 0.0], [3.0, 1.0]])
    y = np.tile([1.0, 0.0], (4, 1))
    for gamma in (0.0, 0.3, 1.0, 2.5):
        arguments = {"gamma": gamma, "alpha": None}
        wanted = reference.gradients("focal", y, z, arguments, step=1e-4)
        np.testing.assert_allclose(compute(SPECS["focal"], y, z, arguments)[1], wanted, rtol=1e-4, atol=1e-6)
        wanted = reference.gradients("binary_focal", y[:, :1], z[:, :1], arguments, step=1e-4)
        got = compute(SPECS["binary_focal"], y[:, :1], z[:, :1], arguments)[1]
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_the_tail_of_focal_is_exact():
    # 1 - p = e^-40: far below the spacing of float32 numbers at 1
    value, _ = compute(SPECS["focal"], [[1.0, 0.0]], [[40.0, 0.0]], {"gamma": 0.5, "alpha": None}, "float64")
    assert value[0] == pytest.approx(np.exp(-60.0), rel=1e-6)
    _, gradient = compute(SPECS["focal"], [[0.0, 1.0, 0.0]], [[40.0, 0.0, 0.0]], {"gamma": 2.0, "alpha": None})
    np.testing.assert_allclose(gradient, [[1.0, -1.0, 0.0]], atol=1e-6)


def bits(y, z, spec):
    with tf.GradientTape() as tape:
        tape.watch(z)
        values = spec.resolve()(y, z)
    return values, tape.gradient(values, z)


@pytest.mark.parametrize("k", [2, 3, 10])
def test_kl_of_hard_labels_is_cross_entropy_to_the_last_bit(k):
    rng = np.random.default_rng(k)
    y = tf.constant(np.eye(k)[rng.integers(0, k, (5, 64))], "float32")
    z = tf.constant(30 * rng.normal(size=(5, 64, k)), "float32")
    for run in (
        lambda spec: bits(y[0], z[0], spec),
        tf.function(lambda spec: bits(y[0], z[0], spec)),
        tf.function(lambda spec: tf.vectorized_map(lambda lane: bits(*lane, spec), (y, z))),
    ):
        kl, ce = run(SPECS["kl_divergence"]), run(SPECS["cross_entropy"])
        assert [part.numpy().tobytes() for part in kl] == [part.numpy().tobytes() for part in ce]


TIED = [
    ("focal", {"gamma": 0.0, "alpha": [1.0, 1.0, 1.0]}, "cross_entropy", {}, 1.0),
    ("balanced_softmax", {}, "logit_adjusted_ce", {"tau": 1.0}, 1.0),
    ("active_passive", {"rho": 2.0}, "nce_rce", {"rho": 2.0}, 1.0),
    ("bi_tempered", {"t1": 1 - 1e-9, "t2": 1 + 1e-9}, "cross_entropy", {}, 1.0),
    ("phuber_ce", {"tau": 1 + 1e-9}, "mae_classification", {}, 0.5),
]


def same(name, params, other, others, *, factor, rtol):
    rng, spec = np.random.default_rng(2), registry.default().get(name)
    equal = registry.default().get(other)
    y, z = cases.labels(spec, 30, rng), cases.scores(spec, 30, rng)
    value, slope = compute(spec, y, z, {**spec.bind(params), **cases.constants(spec)}, "float64")
    wanted, of = compute(equal, y, z, {**equal.bind(others), **cases.constants(equal)}, "float64")
    np.testing.assert_allclose(value, factor * wanted, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(slope, factor * of, rtol=10 * rtol, atol=1e-6)


@pytest.mark.parametrize(("name", "params", "other", "others", "factor"), TIED)
def test_other_limits_hold(name, params, other, others, factor):
    same(name, params, other, others, factor=factor, rtol=1e-5)


LIMITS_THAT_USERS_RELY_ON = {
    ("focal", "cross_entropy"),
    ("generalized_cross_entropy", "cross_entropy"),
    ("generalized_cross_entropy", "mae_classification"),
    ("label_smoothing_ce", "cross_entropy"),
    ("weighted_ce", "cross_entropy"),
    ("logit_adjusted_ce", "cross_entropy"),
    ("bi_tempered", "cross_entropy"),
    ("softened_bce", "binary_focal"),
    ("softened_ce", "focal"),
    ("huber", "mean_squared_error"),
}


def test_the_limits_that_users_rely_on_are_declared():
    declared = {(name, limit.equals) for name, spec in SPECS.items() for limit in spec.claims.limits}
    assert declared >= LIMITS_THAT_USERS_RELY_ON


def test_generalized_cross_entropy_at_q_1_is_half_the_absolute_error_of_probabilities():
    rng = np.random.default_rng(4)
    y, z = np.eye(4)[rng.integers(0, 4, 20)], rng.normal(size=(20, 4))
    p = np.array([reference.softmax(row) for row in z.tolist()])
    value, _ = compute(SPECS["generalized_cross_entropy"], y, z, {"q": 1.0}, "float64")
    np.testing.assert_allclose(value, np.abs(p - y).sum(axis=1) / 2, rtol=1e-12)


COUNTS = {"class_counts": [30.0, 6.0], "class_priors": [5 / 6, 1 / 6]}
TWO = [
    ("cross_entropy", {}, "binary_crossentropy", {"label_smoothing": 0.0}),
    ("label_smoothing_ce", {"eps": 0.15}, "binary_crossentropy", {"label_smoothing": 0.15}),
    ("focal", {"gamma": 1.7, "alpha": None}, "binary_focal", {"gamma": 1.7, "alpha": None}),
    ("focal", {"gamma": 1.7, "alpha": [0.7, 0.3]}, "binary_focal", {"gamma": 1.7, "alpha": 0.3}),
    ("hard_truncated_ce", {"m": 0.6}, "hard_truncated_bce", {"m": 0.6}),
    ("softened_ce", {"kappa": 3.0}, "softened_bce", {"kappa": 3.0}),
    ("weighted_ce", {"tau": 0.7, **COUNTS}, "weighted_bce", {"tau": 0.7, **COUNTS}),
]


@pytest.mark.parametrize(("name", "params", "binary", "binary_params"), TWO)
def test_two_scores_of_one_logit_give_the_binary_formula(name, params, binary, binary_params):
    z = np.linspace(-60, 60, 41)[:, None]
    y = (np.arange(41) % 2)[:, None].astype(float)
    wide, slope = compute(SPECS[name], np.hstack([1 - y, y]), np.hstack([-z / 2, z / 2]), params)
    narrow, narrow_slope = compute(SPECS[binary], y, z, binary_params)
    np.testing.assert_allclose(wide, narrow, rtol=1e-5, atol=5e-7)
    np.testing.assert_allclose((slope[:, 1] - slope[:, 0]) / 2, narrow_slope[:, 0], rtol=1e-5, atol=5e-7)


def test_cosine_similarity_has_a_gradient_in_a_binary_task():
    _, gradient = compute(SPECS["cosine_similarity"], [[0, 1]] * 3, [[-3, 3], [0, 0], [3, -3]], {})
    assert (gradient[:, 1] < 0).all()


@every_loss
def test_places_of_space_are_averaged(spec):
    rng = np.random.default_rng(7)
    y, z, arguments = cases.labels(spec, 12, rng), cases.scores(spec, 12, rng), defaults(spec)
    flat, _ = compute(spec, y, z, arguments)
    spaced, _ = compute(spec, y.reshape(2, 3, 2, -1), z.reshape(2, 3, 2, -1), arguments)
    np.testing.assert_allclose(spaced, flat.reshape(2, 6).mean(axis=1), rtol=1e-5, atol=1e-6)


CURVED = {"kl_divergence", "categorical_hinge", "cosine_similarity", "brier", "bi_tempered", "taylor_glo"}
LINEAR = [name for name in CLASSES if name not in CURVED]


@pytest.mark.parametrize("name", LINEAR)
def test_soft_labels_weigh_the_losses_of_their_classes(name):
    rng, spec = np.random.default_rng(8), SPECS[name]
    soft, z, arguments = rng.dirichlet(np.ones(3), size=10), cases.scores(spec, 10, rng), arguments_of(spec, rng)
    hard = [compute(spec, np.tile(np.eye(3)[c], (10, 1)), z, arguments)[0] for c in range(3)]
    wanted = sum(soft[:, c] * hard[c] for c in range(3))
    np.testing.assert_allclose(compute(spec, soft, z, arguments)[0], wanted, rtol=1e-5, atol=1e-6)


def test_kl_of_soft_labels_is_zero_at_the_labels():
    soft = np.array([[0.2, 0.3, 0.5], [0.0, 0.5, 0.5]])
    value, gradient = compute(SPECS["kl_divergence"], soft, np.log(soft + 1e-12), {}, "float64")
    np.testing.assert_allclose(value, 0, atol=1e-10)
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


PROPER = ["kl_divergence", "brier", "taylor_glo"]


@pytest.mark.parametrize("name", PROPER)
def test_soft_labels_are_where_a_proper_loss_is_least(name):
    rng, spec = np.random.default_rng(14), SPECS[name]
    soft = rng.dirichlet(np.ones(4), size=10)
    at, gradient = compute(spec, soft, np.log(soft), defaults(spec, 4), "float64")
    np.testing.assert_allclose(gradient, 0, atol=1e-12)
    for _ in range(20):
        away, _ = compute(spec, soft, np.log(soft) + rng.normal(size=soft.shape), defaults(spec, 4), "float64")
        assert (away >= at - 1e-12).all()


@every_class_loss
def test_shift_invariance_is_as_declared(spec):
    rng = np.random.default_rng(9)
    y, z, arguments = cases.labels(spec, 12, rng), cases.scores(spec, 12, rng), arguments_of(spec, rng)
    at, moved = (compute(spec, y, z - shift, arguments, "float64")[0] for shift in (0.0, 5.0))
    assert np.allclose(at, moved, rtol=1e-9) == spec.claims.shift_invariant


WEIGHING = ["class_balanced_ce", "weighted_ce", "class_balanced_focal"]


@pytest.mark.parametrize("name", WEIGHING)
@pytest.mark.parametrize("counts", [[990, 10], [50, 50], [1, 1], [300000, 5], [7, 20, 300]])
def test_derived_weights_have_mean_one_over_the_rows(name, counts):
    spec, k, priors = SPECS[name], len(counts), np.array(counts) / sum(counts)
    for corner in cases.corners(spec):
        arguments = {**corner, "class_counts": counts, "class_priors": priors.tolist()}
        by_class, _ = compute(spec, np.eye(k), np.zeros((k, k)), arguments)
        unweighted = np.log(k) * (1 - 1 / k) ** corner.get("gamma", 0)
        assert (priors * by_class).sum() == pytest.approx(unweighted, rel=1e-4)
        assert (np.diff(by_class[np.argsort(counts)]) <= 1e-5 * by_class.max()).all(), "rare classes weigh more"


def test_the_binary_weight_is_the_ratio_of_counts_to_the_power_tau():
    arguments = {"class_counts": [90, 10], "class_priors": [0.9, 0.1]}
    for tau in (0.0, 0.5, 1.5):
        values, _ = compute(SPECS["weighted_bce"], [[0], [1]], [[0.0], [0.0]], {"tau": tau, **arguments})
        assert values[1] / values[0] == pytest.approx(9**tau, rel=1e-5)
        assert 0.9 * values[0] + 0.1 * values[1] == pytest.approx(np.log(2), rel=1e-5)


@pytest.mark.parametrize("name", WEIGHING)
def test_a_class_without_samples_leaves_the_weights_of_the_others(name):
    spec = SPECS[name]
    for corner in cases.corners(spec):
        given = {"class_counts": [90, 10, 0], "class_priors": [0.9, 0.1, 0.0]}
        arguments = {**corner, **{need: given[need] for need in spec.needs}}
        values, _ = compute(spec, np.eye(3), np.zeros((3, 3)), arguments)
        alone = {**corner, **{need: given[need][:2] for need in spec.needs}}
        two, _ = compute(spec, np.eye(2), np.zeros((2, 2)), alone)
        assert values[1] / values[0] == pytest.approx(two[1] / two[0], rel=1e-4)


def test_the_scores_that_logit_adjustment_learns_are_those_of_equally_common_classes():
    posterior, counts = np.array([[0.6, 0.3, 0.1]]), [70, 20, 10]
    balanced = posterior / counts
    for tau, best in ((1.0, balanced), (0.0, posterior)):
        arguments = {"tau": tau, "class_counts": counts}
        _, gradient = compute(SPECS["logit_adjusted_ce"], posterior, np.log(best), arguments, "float64")
        np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_the_rarest_class_has_the_widest_margin():
    arguments = {"max_m": 0.5, "s": 30.0, "class_counts": [1600, 100]}
    level = np.array([[0.25, 0.0], [0.0, 0.5]])  # the margins of both classes
    values, _ = compute(SPECS["ldam"], np.eye(2), level, arguments)
    np.testing.assert_allclose(values, np.log(2), rtol=1e-5)


@pytest.mark.parametrize("k", [2, 10, 100])
def test_an_untrained_model_is_above_the_truncation(k):
    spec, y = SPECS["truncated_gce"], np.eye(k)[:1]
    for c in (0.1, 0.5, 0.9):
        arguments = {"q": 0.7, "c": c}
        assert (compute(spec, y, np.zeros((1, k)), arguments)[1] != 0).all()
        # p_t a little above c/k, and a little below
        for share, alive in ((1.01, True), (0.99, False)):
            p = np.full(k, (1 - share * c / k) / (k - 1))
            p[0] = share * c / k
            assert compute(spec, y, np.log(p)[None], arguments)[1].any() == alive


@pytest.mark.parametrize("k", [2, 10, 100, 1000])
@pytest.mark.parametrize("t2", [1.0, 1.0 + 1e-6, 1.2, 1.5, 2.0])
def test_tempered_probabilities_add_up_to_one(k, t2):
    rng = np.random.default_rng(15)
    z = np.vstack([scale * rng.normal(size=(4, k)) for scale in (0, 1e-3, 1, 10, 1e4)])
    for dtype, tolerance in (("float32", 2e-5), ("float64", 1e-12)):
        # without a label and with t1 = 1 the loss is the sum of the probabilities
        total, _ = compute(SPECS["bi_tempered"], np.zeros_like(z), z, {"t1": 1.0, "t2": t2}, dtype)
        np.testing.assert_allclose(total, 1, atol=tolerance)


@pytest.mark.parametrize("t1", [0.5, 1 - 1e-7, 1.0])
@pytest.mark.parametrize("t2", [1.0, 1 + 1e-7, 2.0])
def test_bi_tempered_gradients_at_the_ends(t1, t2):
    rng, spec = np.random.default_rng(16), SPECS["bi_tempered"]
    y, z = cases.labels(spec, 12, rng, 5), cases.scores(spec, 12, rng, 5)
    arguments = {"t1": t1, "t2": t2}
    rounded = {name: round(value, 6) for name, value in arguments.items()}
    wanted = reference.gradients("bi_tempered", y, z, rounded)
    np.testing.assert_allclose(compute(spec, y, z, arguments, "float64")[1], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(compute(spec, y, z, arguments)[1], wanted, rtol=1e-4, atol=1e-5)


def test_the_centre_of_taylor_glo_is_the_expansion_of_cross_entropy():
    theta = evolved.CENTRE

    def f(y, p):
        a, b = y - theta[0], p - theta[1]
        alone = theta[2] * b + theta[3] * b**2 / 2 + theta[4] * b**3 / 6
        return alone + theta[5] * a * b + theta[6] * a * b**2 / 2 + theta[7] * a**2 * b / 2

    def error(step):
        """Of f against y log p, less its terms in y alone, which no gradient sees."""
        y, p = 0.5 + step * np.array([1, 1, -1, -1, 0.5]), 0.5 + step * np.array([1, -1, 1, -1, 0.7])
        return np.abs(f(y, p) - (y * np.log(p) - y * np.log(0.5))).max()

    # of fourth order: a tenth of the step is a ten-thousandth of the error
    assert error(1e-2) / error(1e-3) == pytest.approx(1e4, rel=0.1)


def test_soft_bootstrapping_differentiates_its_own_prediction():
    z = np.array([[1.0, -1.0, 0.5]])
    p = np.exp(z) / np.exp(z).sum()
    _, gradient = compute(SPECS["soft_bootstrap"], [[0, 1, 0]], z, {"beta": 0.6}, "float64")
    entropy = -(p * np.log(p)).sum()
    wanted = 0.6 * (p - [[0, 1, 0]]) - 0.4 * p * (np.log(p) + entropy)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-12)


@every_loss
def test_a_spec_says_all_that_a_listing_shows(spec):
    assert spec.summary.endswith(".")
    assert spec.claims.elicits
    assert all(alias == alias.lower() for alias in spec.aliases)
    assert "Returns `(batch,)`" in " ".join(spec.function.__doc__.split())


EVERY_TASK = {"cross_entropy", "label_smoothing_ce", "generalized_cross_entropy", "nce_rce"}
COUNTED = {"class_balanced_ce", "logit_adjusted_ce"}
RESIDUAL = {"mean_squared_error", "mean_absolute_error", "huber", "log_cosh"}
RECOMMENDED = {
    "binary": EVERY_TASK | COUNTED | {"binary_focal"},
    "multiclass": EVERY_TASK | COUNTED | {"focal"},
    "segmentation": {"binary_crossentropy", "binary_focal", "weighted_bce"},
    "multilabel": {"multilabel_bce", "asymmetric", "multilabel_ce"},
    "regression": RESIDUAL,
    "positive": RESIDUAL | {"gamma_nll", "tweedie"},
    "count": RESIDUAL | {"poisson", "negative_binomial"},
}


@pytest.mark.parametrize("task", RECOMMENDED)
def test_recommended_losses(task):
    assert {name for name, spec in SPECS.items() if task in spec.recommended} == RECOMMENDED[task]


@every_class_loss
def test_losses_of_classes_serve_binary_tasks(spec):
    assert spec.tasks == ("binary", "multiclass")
    assert spec.serves_binary_as_two(2)


def test_the_registry_offers_the_zoo():
    actual = {entry.spec.name for entry in registry.default().specs() if entry.plugin == "builtin"}
    assert actual == set(SPECS)


def test_no_module_of_the_zoo_is_forgotten():
    for spec in SPECS.values():
        assert import_module(spec.function.__module__) in zoo.FAMILIES
