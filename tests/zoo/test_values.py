"""Particular properties of the losses of values and of several labels: optima, tails, floors, tangents."""

from itertools import pairwise, product

import loss_cases as cases
import numpy as np
import pytest
import reference_values as reference
import tensorflow as tf
from scipy import optimize, stats

from lossreg.config import search_space
from lossreg.contract import activations
from lossreg.contract.declaration import declared_in
from lossreg.contract.params import Choice
from lossreg.contract.targets import Constants
from lossreg.errors import InputError
from lossreg.zoo import likelihoods, numerics, quantiles, robust_regression

SPECS = {name: spec for name, spec in cases.SPECS.items() if name in reference.LOSSES}
SKEWED = np.random.default_rng(0).lognormal(0.5, 1.0, 401)
COUNTS = np.random.default_rng(1).negative_binomial(2, 0.3, 400).astype(float)
DEFAULTS = {name: spec.bind({}) for name, spec in SPECS.items()}


def tensors(arguments, dtype):
    return {name: value if cases.is_static(value) else tf.constant(value, dtype) for name, value in arguments.items()}


def compute(name, y, z, dtype="float64", **arguments):
    """Values `(n,)` and the gradient of their sum by every score `(n, outputs)`, as float64 arrays."""
    spec, y, z = SPECS[name], tf.constant(y, dtype), tf.constant(z, dtype)
    with tf.GradientTape() as tape:
        tape.watch(z)
        values = spec.resolve()(y, z, **tensors({**DEFAULTS[name], **arguments}, dtype))
    gradient = tape.gradient(values, z)
    assert values.dtype == tf.as_dtype(dtype)
    return values.numpy().astype(float), gradient.numpy().astype(float)


def at_residuals(name, e, dtype="float64", **arguments):
    """Values and slopes `(n,)` at the residuals e."""
    e = np.asarray(e, float)[:, None]
    values, slopes = compute(name, np.zeros_like(e), e, dtype, **arguments)
    return values, slopes[:, 0]


def best_constant(name, y, **arguments):
    """The one raw score that is best for all of `y`."""
    y = np.asarray(y, float)[:, None]

    def total(z):
        return compute(name, y, np.full_like(y, z), **arguments)[0].mean()

    return optimize.minimize_scalar(total, bracket=(-1.0, 1.0), tol=1e-10).x


def best_scores(name, y, start, **arguments):
    """The raw scores whose mean gradient over all of `y` is zero."""
    y = np.asarray(y, float)[:, None]

    def slope(z):
        return compute(name, y, np.tile(z, (len(y), 1)), **arguments)[1].mean(axis=0)

    actual = optimize.root(slope, start, tol=1e-12)
    assert actual.success
    return actual.x


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_python_numbers_keep_the_type_of_the_scores(name, dtype):
    rng, spec = np.random.default_rng(10), SPECS[name]
    y, z = (tf.constant(part(spec, 6, rng), dtype) for part in (cases.labels, cases.scores))
    arguments = {**DEFAULTS[name], **cases.constants(spec)}
    values = spec.resolve()(y, z, **arguments)
    assert values.dtype == tf.as_dtype(dtype)
    np.testing.assert_array_equal(values, spec.resolve()(y, z, **tensors(arguments, dtype)))


# ------------------------------------------------------------------ what the best constant is


def test_the_best_constant_of_the_percentage_error_is_a_weighted_median():
    z = best_constant("mean_absolute_percentage_error", SKEWED, target_mean=2.0, target_scale=1.5)
    order = np.sort(SKEWED)
    share = np.cumsum(1 / order) / np.sum(1 / order)
    assert 2.0 + 1.5 * z == pytest.approx(order[np.searchsorted(share, 0.5)], rel=1e-6)


def test_the_best_constant_of_the_logarithmic_error_is_a_mean_of_logarithms():
    z = best_constant("mean_squared_logarithmic_error", SKEWED, target_scale=1.5)
    assert 1.5 * np.logaddexp(0, z) == pytest.approx(np.expm1(np.log1p(SKEWED).mean()), rel=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_gaussian_scores_settle_at_mean_and_variance(beta):
    mean, log_variance = best_scores("gaussian_nll", SKEWED, [1.0, 1.0], beta=beta)
    assert mean == pytest.approx(SKEWED.mean(), rel=1e-6)
    assert np.exp(log_variance) + 1e-6 == pytest.approx(SKEWED.var(), rel=1e-6)


def test_laplace_scores_settle_at_median_and_mean_deviation():
    median = np.median(SKEWED)
    _, slopes = compute("laplace_nll", SKEWED[:, None], np.tile([median, 0.0], (401, 1)))
    assert slopes[:, 0].mean() == pytest.approx(0, abs=1e-12)
    spread = optimize.brentq(
        lambda s: compute("laplace_nll", SKEWED[:, None], np.tile([median, s], (401, 1)))[1][:, 1].mean(), -5, 5
    )
    assert np.exp(spread) + 1e-3 == pytest.approx(np.abs(SKEWED - median).mean(), rel=1e-6)


@pytest.mark.parametrize("nu", [2.0, 4.0, 30.0])
def test_student_scores_settle_where_scipy_fits(nu):
    location, log_scale = best_scores("student_t_nll", SKEWED, [1.0, 0.0], nu=nu)
    _, wanted, scale = stats.t.fit(SKEWED, fdf=nu)
    assert location == pytest.approx(wanted, rel=1e-3)
    assert np.exp(log_scale) + 1e-3 == pytest.approx(scale, rel=1e-3)


CENTRED = [
    *(spec.name for spec in declared_in(robust_regression)), "epsilon_insensitive", "squared_epsilon_insensitive",
]  # fmt: skip


@pytest.mark.parametrize("name", CENTRED)
def test_symmetric_errors_are_centred(name):
    half = np.random.default_rng(2).standard_t(3, 200)
    assert best_constant(name, 0.7 + np.concatenate([half, -half])) == pytest.approx(0.7, abs=0.02)


# ------------------------------------------------------------------ quantiles


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_quantiles_never_cross(dtype):
    rng = np.random.default_rng(3)
    z = np.concatenate([rng.normal(size=(50, 3)) * 10.0**k for k in range(-3, 5)])
    rising = activations.get("quantiles").forward(tf.constant(z, dtype)).numpy().astype(float)
    assert (np.diff(rising, axis=1) >= 0).all()


@pytest.mark.parametrize("levels", quantiles.LEVELS)
def test_several_quantiles_are_the_mean_of_single_ones(levels):
    rng = np.random.default_rng(4)
    y, z = rng.normal(size=(30, 1)), rng.normal(size=(30, 3))
    rising = activations.get("quantiles").forward(tf.constant(z)).numpy()
    each = [compute("quantile", y, rising[:, [i]], q=q)[0] for i, q in enumerate(levels)]
    np.testing.assert_allclose(compute("multi_quantile", y, z, levels=levels)[0], np.mean(each, axis=0), rtol=1e-12)


def test_several_quantiles_settle_at_theirs():
    y = SKEWED[:, None]
    actual = optimize.minimize(
        lambda z: compute("multi_quantile", y, np.tile(z, (401, 1)))[0].mean(),
        [1.0, 1.0, 1.0],
        method="Nelder-Mead",
        options={"xatol": 1e-5, "fatol": 1e-9, "maxiter": 2000},
    )
    rising = activations.get("quantiles").forward(tf.constant([actual.x])).numpy()[0]
    assert [np.mean(y <= value) for value in rising] == pytest.approx([0.1, 0.5, 0.9], abs=0.01)


def test_the_scored_quantile_is_the_median():
    point = activations.get(SPECS["multi_quantile"].activation).point
    assert {levels[point] for levels in quantiles.LEVELS} == {0.5}
    assert all(low < high for levels in quantiles.LEVELS for low, high in pairwise(levels))


@pytest.mark.parametrize(("name", "parameter"), [("quantile", "q"), ("expectile", "tau")])
def test_a_level_is_part_of_the_task_and_not_searched(name, parameter):
    param = SPECS[name].param(parameter)
    assert search_space.declared(param) == search_space.Fixed(0.5)
    assert search_space.parse(0.9, param) == search_space.Fixed(0.9)
    assert search_space.parse({"low": 0.1, "high": 0.9}, param) == search_space.Range(0.1, 0.9)


def test_levels_are_part_of_the_task_and_not_searched():
    param = SPECS["multi_quantile"].param("levels")
    assert search_space.declared(param) == search_space.parse("default", param) == search_space.Fixed((0.1, 0.5, 0.9))
    with pytest.raises(InputError, match="levels has no range of its own to search"):
        search_space.parse("search", param)
    assert search_space.parse([0.05, 0.5, 0.95], param) == search_space.Fixed((0.05, 0.5, 0.95))
    some = {"choices": [[0.1, 0.5, 0.9], [0.25, 0.5, 0.75]]}
    assert search_space.parse(some, param) == search_space.Options(((0.1, 0.5, 0.9), (0.25, 0.5, 0.75)))
    assert search_space.declared(Choice("kind", "a", ("b", "a"))) == search_space.Options(("b", "a"))


@pytest.mark.parametrize(("name", "parameter"), [("quantile", "q"), ("expectile", "tau")])
@pytest.mark.parametrize("level", [1e-6, 0.5, 1 - 1e-6])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_extreme_levels_are_finite(name, parameter, level, dtype):
    actual = at_residuals(name, [-1e4, -1.0, -1e-8, 0.0, 1e-8, 1.0, 1e4], dtype, **{parameter: level})
    assert np.isfinite(actual).all()


# ------------------------------------------------------------------ outliers

HALF_SQUARE = ["huber", "pseudo_huber", "log_cosh", "cauchy", "welsch", "geman_mcclure", "tukey_biweight"]
SMALL = np.array([1e-6, 1e-5, 1e-4, 1e-3])


@pytest.mark.parametrize("name", HALF_SQUARE)
def test_small_residuals_lose_no_digits(name):
    values, slopes = at_residuals(name, SMALL, "float32")
    np.testing.assert_allclose(values, SMALL**2 / 2, rtol=4e-6)
    np.testing.assert_allclose(slopes, SMALL, rtol=4e-6)


@pytest.mark.parametrize("u", [1e-6, 1e-4, 1e-2, 0.0999, 0.1001, 0.5])
def test_fair_loses_no_digits(u):
    # the series of u - log(1 + u), whose terms alternate
    wanted = sum((-1) ** n * u**n / n for n in range(2, 60))
    values, slopes = at_residuals("fair", [u], "float32", c=1.0)
    assert values[0] == pytest.approx(wanted, rel=3e-6)
    assert slopes[0] == pytest.approx(u / (1 + u), rel=3e-6)
    assert float(numerics.log1p_gap(tf.constant(u, "float64"))) == pytest.approx(wanted, rel=1e-11)


def stable_barron(e, a, c):
    square, b = (np.asarray(e) / c) ** 2, 2 - a
    if b == 0:
        return square / 2
    growth = np.log1p(square / b)
    return b * growth / 2 if a == 0 else b / a * np.expm1(a / 2 * growth)


NEAR = [0.0, 1e-30, -1e-30, 1e-7, -1e-7, 1e-3, -1e-3, 2.0, 2 - 1e-6, 2 - 1e-3, 1.0, -2.0, -4.0]


@pytest.mark.parametrize("a", NEAR)
@pytest.mark.parametrize("c", [0.01, 1.0, 10.0])
def test_barron_is_exact_where_its_formula_is_0_over_0(a, c):
    e = np.array([1e-6, 1e-3, 0.1, 1.0, 10.0, 1e4])
    exact = float(np.float32(a))
    np.testing.assert_allclose(at_residuals("barron", e, a=a, c=c)[0], stable_barron(e, a, c), rtol=1e-9)
    np.testing.assert_allclose(at_residuals("barron", e, "float32", a=a, c=c)[0], stable_barron(e, exact, c), rtol=2e-5)
    b = 2 - exact
    slope = e / c**2 * (((e / c) ** 2 / b + 1) ** (exact / 2 - 1) if b else 1)
    np.testing.assert_allclose(at_residuals("barron", e, "float32", a=a, c=c)[1], slope, rtol=2e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_barron_has_a_finite_gradient_by_its_shape(dtype):
    e = np.array([-1e4, -10.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 10.0, 1e4])[:, None]
    for a, c in product([*NEAR, 1.9, -3.3], [0.01, 1.0, 10.0]):
        shape = tf.constant(a, dtype)
        with tf.GradientTape() as tape:
            tape.watch(shape)
            total = tf.reduce_sum(
                robust_regression.barron(tf.zeros_like(e, dtype), tf.constant(e, dtype), a=shape, c=c)
            )
        slope = float(tape.gradient(total, shape))
        assert np.isfinite(slope)
        # the larger the shape, the more a residual costs
        assert slope > 0 or float(shape) >= 2


@pytest.mark.parametrize("c", [0.1, 4.685, 10.0])
def test_tukey_leaves_out_what_is_beyond_c(c):
    within, beyond = np.array([0.2, 0.9]) * c, np.array([1.0001, 1.5, 1e5]) * c
    assert (at_residuals("tukey_biweight", within, "float32", c=c)[1] > 0).all()
    values, slopes = at_residuals("tukey_biweight", beyond, "float32", c=c)
    assert (slopes == 0).all()
    np.testing.assert_allclose(values, c * c / 6, rtol=1e-6)


def test_only_losses_that_say_so_leave_an_outlier_out():
    silent = {name for name in CENTRED if (at_residuals(name, [-50.0, 50.0], "float32")[1] == 0).any()}
    assert silent == {name for name in CENTRED if SPECS[name].claims.truncated} == {"welsch", "tukey_biweight"}


STEEPEST = {"huber": "delta", "pseudo_huber": "delta", "log_cosh": "c", "fair": "c"}


@pytest.mark.parametrize("name", STEEPEST)
@pytest.mark.parametrize("bound", [0.01, 1.0, 10.0])
def test_no_residual_pulls_harder_than_the_parameter_says(name, bound):
    e = np.concatenate([-np.geomspace(1e4, 1e-4, 40), np.geomspace(1e-4, 1e4, 40)])
    _, slopes = at_residuals(name, e, "float32", **{STEEPEST[name]: bound})
    assert (np.abs(slopes) <= bound * (1 + 1e-5)).all()
    assert (slopes * e > 0).all()
    assert slopes[-1] == pytest.approx(bound, rel=2e-2)


def test_the_percentage_error_has_a_floor_of_the_data():
    rows = np.array([[0.0], [1e-9], [0.01], [-2.0], [3.0]])
    for unit in (1e-6, 1.0, 1e6):
        constants = Constants.from_labels(unit * SKEWED).select(("target_mean", "target_scale"))
        values, _ = compute("mean_absolute_percentage_error", unit * rows, np.full((5, 1), 0.5), **constants)
        floored = np.maximum(np.abs(unit * rows[:, 0]), constants["target_scale"] / 1000)
        error = constants["target_mean"] + constants["target_scale"] / 2 - unit * rows[:, 0]
        np.testing.assert_allclose(values, 100 * np.abs(error) / floored, rtol=1e-9)


# ------------------------------------------------------------------ log rates

LOG_RATES = [name for name, spec in SPECS.items() if spec.activation == "exp"]


def test_log_rates_share_activation_and_range():
    assert set(LOG_RATES) == {"poisson", "gamma_nll", "tweedie", "negative_binomial"}
    assert all(SPECS[name].claims.score_range == (-30.0, 30.0) for name in LOG_RATES)
    assert all(SPECS[name].needs == ("target_mean",) for name in LOG_RATES)


@pytest.mark.parametrize("name", ["poisson", "gamma_nll"])
@pytest.mark.parametrize("edge", [-30.0, 30.0])
def test_beyond_the_range_a_likelihood_goes_on_along_its_tangent(name, edge):
    y = np.full((3, 1), 2.0)
    z = np.array([[edge], [edge * 1.5], [edge * 300]])
    values, slopes = compute(name, y, z, target_mean=3.0)
    exact, slope = compute(name, y[:1], [[edge]], target_mean=3.0)
    np.testing.assert_allclose(slopes[:, 0], slope[0, 0], rtol=1e-9)
    np.testing.assert_allclose(values, exact[0] + slope[0, 0] * (z[:, 0] - edge), rtol=1e-9)


@pytest.mark.parametrize("name", LOG_RATES)
def test_within_the_range_a_likelihood_is_exact(name):
    z = np.array([-30.0, -29.0, -10.0, 0.0, 10.0, 29.0, 30.0])[:, None]
    wanted = [reference.LOSSES[name]([2.0], [s], **DEFAULTS[name], target_mean=3.0) for s in z[:, 0]]
    np.testing.assert_allclose(compute(name, np.full_like(z, 2.0), z, target_mean=3.0)[0], wanted, rtol=1e-9)


@pytest.mark.parametrize("name", LOG_RATES)
def test_a_rate_far_off_is_pulled_back(name):
    z = np.array([-1e4, -100.0, -31.0, 31.0, 100.0, 1e4])[:, None]
    for dtype in ("float32", "bfloat16"):
        values, slopes = compute(name, np.full_like(z, 2.0), z, dtype, target_mean=3.0)
        assert np.isfinite(values).all()
        assert (slopes * z > 0).all()
        assert np.isfinite(slopes).all()


@pytest.mark.parametrize(
    ("dtype", "edge"), [("float16", 10.0), ("bfloat16", 30.0), ("float32", 30.0), ("float64", 30.0)]
)
def test_half_precision_has_a_narrower_range(dtype, edge):
    assert numerics.log_range(tf.constant([0.0], dtype)) == (-edge, edge)


def test_rates_in_half_precision_are_finite():
    z = np.array([-10.8, -10.0, 0.0, 10.0, 10.8])[:, None]
    for name in LOG_RATES:
        assert np.isfinite(compute(name, np.ones_like(z), z, "float16", target_mean=0.9)[0]).all(), name


@pytest.mark.parametrize("r", [0.1, 1.0, 100.0])
def test_the_negative_binomial_needs_no_tangent(r):
    z = np.array([-500.0, -31.0, 31.0, 500.0])
    wanted = (2.0 + r) * np.logaddexp(0, z + np.log(3.0 / r)) - 2.0 * (z + np.log(3.0))
    actual = compute("negative_binomial", np.full((4, 1), 2.0), z[:, None], r=r, target_mean=3.0)[0]
    np.testing.assert_allclose(actual, wanted, rtol=1e-12)


# ------------------------------------------------------------------ densities

FLOORS = {
    "gaussian_nll": lambda e: 0.5 * (np.log(likelihoods.VARIANCE_FLOOR) + e**2 / likelihoods.VARIANCE_FLOOR),
    "laplace_nll": lambda e: np.log(likelihoods.SCALE_FLOOR) + abs(e) / likelihoods.SCALE_FLOOR,
    "student_t_nll": lambda e: np.log(likelihoods.SCALE_FLOOR) + 2.5 * np.log1p((e / likelihoods.SCALE_FLOOR) ** 2 / 4),
}


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("e", [0.0, 1e-4, 0.5, 100.0])
def test_a_spread_has_a_floor(name, e):
    arguments = {"beta": 0.0} if name == "gaussian_nll" else {}
    for s in (-60.0, -1e4):
        values, slopes = compute(name, [[0.0]], [[e, s]], **arguments)
        assert values[0] == pytest.approx(FLOORS[name](e), rel=1e-6)
        assert np.isfinite(slopes).all()


@pytest.mark.parametrize("name", FLOORS)
def test_a_fitted_sample_is_not_worth_minus_infinity(name):
    s = np.linspace(-200, 30, 500)
    values, slopes = compute(name, np.zeros((500, 1)), np.column_stack([np.zeros(500), s]), "float32")
    assert values.min() >= np.log(likelihoods.VARIANCE_FLOOR)
    assert (np.diff(values[slopes[:, 1] > 1e-3]) > 0).all() or name == "gaussian_nll"


@pytest.mark.parametrize("name", FLOORS)
def test_a_spread_far_off_is_pulled_back(name):
    # too wide a spread comes down, too narrow a one goes up while it is above its floor
    _, slopes = compute(name, np.zeros((3, 1)), [[1.0, 1e4], [1.0, 20.0], [1.0, -4.0]], "float32")
    assert (np.sign(slopes[:, 1]) == [1, 1, -1]).all()


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
def test_the_factor_of_the_variance_scales_gradients_and_is_not_differentiated(beta):
    rng = np.random.default_rng(5)
    y, z = rng.normal(size=(20, 1)), rng.normal(size=(20, 2))
    values, slopes = compute("gaussian_nll", y, z, beta=beta)
    plain, slope = compute("gaussian_nll", y, z, beta=0.0)
    factor = (np.exp(z[:, 1]) + 1e-6) ** beta
    np.testing.assert_allclose(values, factor * plain, rtol=1e-12)
    np.testing.assert_allclose(slopes, factor[:, None] * slope, rtol=1e-12)


def test_at_beta_1_the_mean_learns_as_by_squared_error():
    z = np.column_stack([np.full(5, 3.0), np.linspace(-6, 6, 5)])
    _, slopes = compute("gaussian_nll", np.ones((5, 1)), z, beta=1.0)
    np.testing.assert_allclose(slopes[:, 0], 2.0, rtol=1e-9)


# ------------------------------------------------------------------ several labels

LABELS = ["multilabel_bce", "asymmetric", "multilabel_ce"]


@pytest.mark.parametrize("name", ["multilabel_bce", "asymmetric"])
def test_the_value_does_not_grow_with_the_number_of_labels(name):
    rng = np.random.default_rng(6)
    y, z = (rng.random((10, 4)) < 0.5).astype(float), rng.normal(size=(10, 4))
    once, twice = compute(name, y, z)[0], compute(name, np.tile(y, 2), np.tile(z, 2))[0]
    np.testing.assert_allclose(once, twice, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("gamma_neg", [0.0, 0.01, 0.5, 1.0, 6.0])
@pytest.mark.parametrize("gamma_pos", [0.0, 0.01, 2.0])
@pytest.mark.parametrize("m", [0.0, 0.05, 0.2])
def test_asymmetric_gradients_are_finite_at_probability_0_and_1(dtype, gamma_neg, gamma_pos, m):
    z = np.array([-1e4, -200.0, -88.0, -50.0, -2.9444, -1e-8, 0.0, 50.0, 88.0, 200.0, 1e4])
    y = np.repeat([[0.0], [1.0]], len(z), axis=1)
    actual = compute("asymmetric", y, np.tile(z, (2, 1)), dtype, gamma_neg=gamma_neg, gamma_pos=gamma_pos, m=m)
    assert all(np.isfinite(part).all() for part in actual)
    # a label that is surely wrong is pulled back
    assert actual[1][0, -1] > 0 or m > 0
    assert actual[1][1, 0] < 0


def test_absent_labels_below_the_shift_cost_nothing():
    z = np.log(np.array([[0.01, 0.049, 0.051, 0.3]]) / (1 - np.array([[0.01, 0.049, 0.051, 0.3]])))
    values, slopes = compute("asymmetric", np.zeros((1, 4)), z, gamma_neg=1.0, m=0.05)
    assert (slopes[0, :2] == 0).all()
    assert (slopes[0, 2:] > 0).all()
    wanted = np.array([0.001, 0.25])
    assert values[0] == pytest.approx(-(wanted * np.log1p(-wanted)).sum() / 4, rel=1e-9)


def test_a_small_shifted_probability_loses_no_digits():
    z = np.full((1, 1), -12.0)
    p = 1 / (1 + np.exp(12.0))
    actual = compute("asymmetric", [[0.0]], z, "float32", gamma_neg=1.0, m=0.0)[0]
    assert actual[0] == pytest.approx(-p * np.log1p(-p), rel=1e-5)


def test_fading_weights_are_differentiated():
    """The gradient of the paper's formula; with the weights held fixed it would be another."""
    p = np.array([0.2, 0.7])
    z = np.log(p / (1 - p))[None]
    _, slopes = compute("asymmetric", [[0.0, 1.0]], z, gamma_neg=2.0, gamma_pos=1.0, m=0.05)
    w = p[0] - 0.05
    absent = (w**2 / (1 - w) - 2 * w * np.log1p(-w)) * p[0] * (1 - p[0])
    present = (np.log(p[1]) - (1 - p[1]) / p[1]) * p[1] * (1 - p[1])
    np.testing.assert_allclose(slopes[0], np.array([absent, present]) / 2, rtol=1e-9)


def test_presence_and_absence_mirror_each_other_in_multilabel_ce():
    rng = np.random.default_rng(7)
    y, z = (rng.random((20, 5)) < 0.4).astype(float), 3 * rng.normal(size=(20, 5))
    np.testing.assert_allclose(compute("multilabel_ce", y, z)[0], compute("multilabel_ce", 1 - y, -z)[0], rtol=1e-12)


def test_multilabel_ce_of_one_present_label_with_a_fixed_score_is_softmax_cross_entropy():
    """log(1 + sum e^z) is the cross-entropy of a further class whose score is 0."""
    z = np.random.default_rng(8).normal(size=(6, 4))
    rows = np.column_stack([np.zeros(6), z])
    wanted = np.log(np.exp(rows).sum(axis=1))
    np.testing.assert_allclose(compute("multilabel_ce", np.zeros((6, 4)), z)[0], wanted, rtol=1e-12)


@pytest.mark.parametrize("name", LABELS)
def test_soft_labels_are_the_formula(name):
    rng = np.random.default_rng(9)
    y, z = rng.random((15, 3)), rng.normal(size=(15, 3))
    if name == "asymmetric":
        hard = [compute(name, np.full((15, 3), side), z)[1] for side in (0.0, 1.0)]
        np.testing.assert_allclose(compute(name, y, z)[1], (1 - y) * hard[0] + y * hard[1], rtol=1e-9)
        return
    wanted = [reference.LOSSES[name](list(a), list(b)) for a, b in zip(y, z, strict=True)]
    np.testing.assert_allclose(compute(name, y, z)[0], wanted, rtol=1e-9)
