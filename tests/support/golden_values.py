"""The losses of values and of several labels by Keras, scikit-learn and SciPy, as `golden_classes`."""

import keras
import numpy as np
from golden_classes import keras_loss, of_rows, unreduced
from numpy import exp, log
from scipy import optimize, special, stats
from sklearn import metrics


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


def msle(y, z, target_scale):
    return of_rows(metrics.mean_squared_log_error, lambda z: target_scale * np.logaddexp(0, z))(y, z)


def mape(y, z, target_mean, target_scale):
    return 100 * of_rows(metrics.mean_absolute_percentage_error, lambda z: target_mean + target_scale * z)(y, z)


def multi_quantile(y, z, levels):
    rising = np.cumsum(np.hstack([z[:, :1], np.logaddexp(0, z[:, 1:])]), axis=1)
    each = [of_rows(metrics.mean_pinball_loss)(y, rising[:, i : i + 1], alpha=q) for i, q in enumerate(levels)]
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
    each = of_rows(lambda a, b: metrics.log_loss([a], [b], labels=[0, 1]), lambda z: 1 / (1 + exp(-z)))
    return np.mean([each(column, scores) for column, scores in zip(y.T, z.T, strict=True)], axis=0)


SOURCES = {
    "mean_squared_error": {"metrics.mean_squared_error": of_rows(metrics.mean_squared_error)},
    "mean_absolute_error": {"metrics.mean_absolute_error": of_rows(metrics.mean_absolute_error)},
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
    "quantile": {"metrics.mean_pinball_loss": lambda y, z, q: of_rows(metrics.mean_pinball_loss)(y, z, alpha=q)},
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
