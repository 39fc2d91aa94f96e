"""The losses of values and of several labels once more, in float64 and plain Python: one sample, its formula.

`LOSSES[name](y, z, **arguments)` takes a row of labels and a row of raw scores and returns a
float. Nothing here is shared with the package, and nothing is done about overflow.
"""

from math import cosh, exp, log, sqrt


def of_residual(term):
    """`term(e)` of the residual e = prediction - label."""

    def loss(y, z, **arguments):
        return term(z[0] - y[0], **arguments)

    return loss


def of_log_rate(term):
    """`term(y, mu)` of the rate mu = target_mean e^z."""

    def loss(y, z, target_mean, **arguments):
        return term(y[0], target_mean * exp(z[0]), **arguments)

    return loss


def mean_absolute_percentage_error(y, z, target_mean, target_scale):
    error = abs(target_mean + target_scale * z[0] - y[0])
    return 100 * error / max(abs(y[0]), 0.001 * target_scale)


def mean_squared_logarithmic_error(y, z, target_scale):
    return (log(1 + target_scale * log(1 + exp(z[0]))) - log(1 + y[0])) ** 2


def huber(e, delta):
    return e * e / 2 if abs(e) <= delta else delta * abs(e) - delta * delta / 2


def log_cosh(e, c):
    size = abs(e / c)
    return c * c * (log(cosh(size)) if size < 300 else size - log(2))


def tukey_biweight(e, c):
    return c * c / 6 * (1 - (1 - (e / c) ** 2) ** 3 if abs(e) < c else 1)


def barron(e, a, c):
    square = (e / c) ** 2
    if a == 2:
        return square / 2
    if a == 0:
        return log(square / 2 + 1)
    return abs(a - 2) / a * ((square / abs(a - 2) + 1) ** (a / 2) - 1)


def pinball(e, q):
    return (1 - q) * e if e > 0 else -q * e


def expectile(e, tau):
    return ((1 - tau) if e > 0 else tau) * e * e


def multi_quantile(y, z, levels):
    prediction, total = z[0], 0.0
    for i, q in enumerate(levels):
        prediction += log(1 + exp(z[i])) if i else 0.0
        total += pinball(prediction - y[0], q)
    return total / len(levels)


def tweedie(y, mu, p):
    return -y * mu ** (1 - p) / (1 - p) + mu ** (2 - p) / (2 - p)


def negative_binomial(y, mu, r):
    return (y + r) * log(1 + mu / r) - y * log(mu)


def gaussian_nll(y, z, beta):
    variance = exp(z[1]) + 1e-6
    return variance**beta * (log(variance) + (z[0] - y[0]) ** 2 / variance) / 2


def laplace_nll(y, z):
    scale = exp(z[1]) + 1e-3
    return log(scale) + abs(z[0] - y[0]) / scale


def student_t_nll(y, z, nu):
    scale = exp(z[1]) + 1e-3
    return log(scale) + (nu + 1) / 2 * log(1 + ((z[0] - y[0]) / scale) ** 2 / nu)


def over_labels(term):
    """The mean over labels of y `term(p, 1)` + (1 - y) `term(1 - p, 0)`."""

    def loss(y, z, **arguments):
        total = 0.0
        for label, score in zip(y, z, strict=True):
            p, rest = 1 / (1 + exp(-score)), 1 / (1 + exp(score))
            total += label * term(p, 1, **arguments) + (1 - label) * term(rest, 0, **arguments)
        return total / len(y)

    return loss


def asymmetric_term(p, label, gamma_neg, gamma_pos, m):
    if label:
        return -((1 - p) ** gamma_pos) * log(p)
    shifted = max(1 - p - m, 0.0)
    return -(shifted**gamma_neg) * log(1 - shifted)


def multilabel_ce(y, z):
    absent = sum((1 - label) * exp(score) for label, score in zip(y, z, strict=True))
    present = sum(label * exp(-score) for label, score in zip(y, z, strict=True))
    return log(1 + absent) + log(1 + present)


LOSSES = {
    "mean_squared_error": of_residual(lambda e: e * e),
    "mean_absolute_error": of_residual(abs),
    "epsilon_insensitive": of_residual(lambda e, eps: max(0.0, abs(e) - eps)),
    "squared_epsilon_insensitive": of_residual(lambda e, eps: max(0.0, abs(e) - eps) ** 2),
    "mean_absolute_percentage_error": mean_absolute_percentage_error,
    "mean_squared_logarithmic_error": mean_squared_logarithmic_error,
    "huber": of_residual(huber),
    "smooth_l1": of_residual(lambda e, delta: huber(e, delta) / delta),
    "pseudo_huber": of_residual(lambda e, delta: delta * delta * (sqrt(1 + (e / delta) ** 2) - 1)),
    "log_cosh": of_residual(log_cosh),
    "fair": of_residual(lambda e, c: c * c * (abs(e) / c - log(1 + abs(e) / c))),
    "cauchy": of_residual(lambda e, c: c * c / 2 * log(1 + (e / c) ** 2)),
    "welsch": of_residual(lambda e, c: c * c / 2 * (1 - exp(-((e / c) ** 2)))),
    "geman_mcclure": of_residual(lambda e, c: e * e / 2 / (1 + (e / c) ** 2)),
    "tukey_biweight": of_residual(tukey_biweight),
    "barron": of_residual(barron),
    "quantile": of_residual(pinball),
    "expectile": of_residual(expectile),
    "multi_quantile": multi_quantile,
    "poisson": of_log_rate(lambda y, mu: mu - y * log(mu)),
    "gamma_nll": of_log_rate(lambda y, mu: log(mu) + y / mu),
    "tweedie": of_log_rate(tweedie),
    "negative_binomial": of_log_rate(negative_binomial),
    "gaussian_nll": gaussian_nll,
    "laplace_nll": laplace_nll,
    "student_t_nll": student_t_nll,
    "multilabel_bce": over_labels(lambda p, label: -log(p)),
    "asymmetric": over_labels(asymmetric_term),
    "multilabel_ce": multilabel_ce,
}
