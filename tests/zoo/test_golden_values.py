"""The losses of values and of several labels against figures from other software, each with its source.

Figures of SciPy, scikit-learn and Keras are computed again here; those of packages that the
tests do not need (PyTorch, GTSAM and others) are as they were printed.
"""

import json
from importlib.resources import files

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy import exp, log
from scipy import optimize, special, stats
from sklearn import metrics

from lossreg import zoo

SPECS = {spec.name: spec for spec in zoo.lossreg_losses()}
GOLDEN = json.loads((files("lossreg") / "conformance" / "golden_values.json").read_text())
ENTRIES = [(name, entry) for name, entries in GOLDEN.items() for entry in entries]
IDS = [f"{name}-{entry['source'].split()[0]}-{n}" for n, (name, entry) in enumerate(ENTRIES)]
VALUES = ("real", "raw", "positive", "count", "multihot")
RECOMPUTED = ("SciPy", "scikit-learn", "Keras")


def by_row(metric, prediction=lambda z: z):
    """`metric(y, prediction)` of each row by itself."""

    def compute(y, z, **given):
        return np.array([metric(a, b, **given) for a, b in zip(y, prediction(z), strict=True)])

    return compute


def of_residual(function):
    def compute(y, z, **given):
        return function((z - y)[:, 0], **given)

    return compute


def of_rate(function):
    def compute(y, z, target_mean, **given):
        return function(y[:, 0], target_mean * exp(z[:, 0]), **given)

    return compute


def least_squares_cost(loss):
    """The cost that `scipy.optimize.least_squares` reports at a single residual."""

    def cost(e, **given):
        (scale,) = given.values()
        return np.array([_cost_at(residual, loss, scale) for residual in e])

    return cost


def _cost_at(residual, loss, scale):
    # the residual does not depend on x, so the start is where it ends
    return optimize.least_squares(lambda x: 0 * x + residual, [0.0], loss=loss, f_scale=scale).cost


def keras_loss(make, prediction=lambda z: z):
    def compute(y, z, **given):
        loss = make(**given)
        return np.array(loss(tf.constant(y, "float64"), tf.constant(prediction(z), "float64")), float)

    return compute


def unreduced(kind, **fixed):
    return kind(reduction="none", dtype="float64", **fixed)


def msle(y, z, target_scale):
    return by_row(metrics.mean_squared_log_error, lambda z: target_scale * np.logaddexp(0, z))(y, z)


def mape(y, z, target_mean, target_scale):
    return 100 * by_row(metrics.mean_absolute_percentage_error, lambda z: target_mean + target_scale * z)(y, z)


def multi_quantile(y, z, levels):
    rising = np.cumsum(np.hstack([z[:, :1], np.logaddexp(0, z[:, 1:])]), axis=1)
    each = [by_row(metrics.mean_pinball_loss)(y, rising[:, i : i + 1], alpha=q) for i, q in enumerate(levels)]
    return np.mean(each, axis=0)


def gaussian(y, z, beta):
    variance = exp(z[:, 1]) + 1e-6
    return variance**beta * (-stats.norm.logpdf(y[:, 0], z[:, 0], np.sqrt(variance)) - log(2 * np.pi) / 2)


def laplace(y, z):
    return -stats.laplace.logpdf(y[:, 0], z[:, 0], exp(z[:, 1]) + 1e-3) - log(2)


def student(y, z, nu):
    scale = exp(z[:, 1]) + 1e-3
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - log(nu * np.pi) / 2
    return -stats.t.logpdf(y[:, 0], nu, z[:, 0], scale) + constant


def negative_binomial(y, mu, r):
    constant = special.gammaln(y + r) - special.gammaln(r) - special.gammaln(y + 1) - y * log(r)
    return -stats.nbinom.logpmf(y, r, r / (r + mu)) + constant


def tweedie(y, mu, p):
    deviance = np.array([metrics.mean_tweedie_deviance([a], [b], power=p) for a, b in zip(y, mu, strict=True)])
    return deviance / 2 - y ** (2 - p) / ((1 - p) * (2 - p))


def gamma_deviance(y, mu):
    deviance = np.array([metrics.mean_gamma_deviance([a], [b]) for a, b in zip(y, mu, strict=True)])
    return deviance / 2 + log(y) + 1


def multilabel_bce(y, z):
    each = by_row(lambda a, b: metrics.log_loss([a], [b], labels=[0, 1]), lambda z: 1 / (1 + exp(-z)))
    return np.mean([each(column, scores) for column, scores in zip(y.T, z.T, strict=True)], axis=0)


LIVE = {
    "mean_squared_error": {"metrics.mean_squared_error": by_row(metrics.mean_squared_error)},
    "mean_absolute_error": {"metrics.mean_absolute_error": by_row(metrics.mean_absolute_error)},
    "mean_absolute_percentage_error": {"metrics.mean_absolute_percentage_error": mape},
    "mean_squared_logarithmic_error": {"metrics.mean_squared_log_error": msle},
    "huber": {
        "special.huber": of_residual(lambda e, delta: special.huber(delta, e)),
        "optimize.least_squares": of_residual(least_squares_cost("huber")),
        "losses.Huber": keras_loss(lambda delta: unreduced(keras.losses.Huber, delta=delta)),
    },
    "smooth_l1": {"special.huber": of_residual(lambda e, delta: special.huber(delta, e) / delta)},
    "pseudo_huber": {
        "special.pseudo_huber": of_residual(lambda e, delta: special.pseudo_huber(delta, e)),
        "optimize.least_squares": of_residual(least_squares_cost("soft_l1")),
    },
    "log_cosh": {
        "losses.LogCosh": keras_loss(lambda c: unreduced(keras.losses.LogCosh)),
        "stats.hypsecant.logpdf": of_residual(lambda e, c: c * c * (-stats.hypsecant.logpdf(e / c) - log(np.pi))),
    },
    "cauchy": {"optimize.least_squares": of_residual(least_squares_cost("cauchy"))},
    "welsch": {
        "stats.norm.pdf": of_residual(
            lambda e, c: c * c / 2 * (1 - stats.norm.pdf(e, 0, c / 2**0.5) / stats.norm.pdf(0, 0, c / 2**0.5))
        )
    },
    "quantile": {"metrics.mean_pinball_loss": lambda y, z, q: by_row(metrics.mean_pinball_loss)(y, z, alpha=q)},
    "multi_quantile": {"metrics.mean_pinball_loss": multi_quantile},
    "poisson": {
        "stats.poisson.logpmf": of_rate(lambda y, mu: -stats.poisson.logpmf(y, mu) - special.gammaln(y + 1)),
        "losses.Poisson": lambda y, z, target_mean: keras_loss(
            lambda: unreduced(keras.losses.Poisson), lambda z: target_mean * exp(z)
        )(y, z),
    },
    "gamma_nll": {
        "stats.gamma.logpdf": of_rate(lambda y, mu: -stats.gamma.logpdf(y, 1.0, scale=mu)),
        "metrics.mean_gamma_deviance": of_rate(gamma_deviance),
    },
    "tweedie": {"metrics.mean_tweedie_deviance": of_rate(tweedie)},
    "negative_binomial": {"stats.nbinom.logpmf": of_rate(negative_binomial)},
    "gaussian_nll": {"stats.norm.logpdf": gaussian},
    "laplace_nll": {"stats.laplace.logpdf": laplace},
    "student_t_nll": {"stats.t.logpdf": student},
    "multilabel_bce": {"metrics.log_loss": multilabel_bce},
}


def arrays(entry):
    return np.array(entry["y"], float), np.array(entry["z"], float)


def given(entry):
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in entry["params"].items()}
    return {**lists, **entry["needs"]}


def tensors(arguments):
    return {
        key: value if isinstance(value, tuple) else tf.constant(value, "float32") for key, value in arguments.items()
    }


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=IDS)
def test_values_are_those_of_the_source(name, entry):
    y, z = (tf.constant(part, "float32") for part in arrays(entry))
    spec = SPECS[name]
    assert spec.bind(entry["params"]).keys() == entry["params"].keys()
    values = spec.resolve()(y, z, **tensors(given(entry)))
    np.testing.assert_allclose(values, entry["values"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=IDS)
def test_sources_that_are_here_say_the_same_again(name, entry):
    if not entry["source"].startswith(RECOMPUTED):
        return
    (recompute,) = [function for label, function in LIVE[name].items() if label in entry["source"]]
    np.testing.assert_allclose(recompute(*arrays(entry), **given(entry)), entry["values"], rtol=1e-6)


def test_every_loss_of_values_and_labels_has_figures_of_another_hand():
    wanted = {name for name, spec in SPECS.items() if spec.target in VALUES}
    assert set(GOLDEN) == wanted
    assert all(entry["source"] and entry["values"] for _, entry in ENTRIES)
