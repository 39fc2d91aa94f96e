"""Every built-in loss once more, in float64 and plain Python: one sample, its formula as printed.

`LOSSES[name](y, z, **arguments)` takes a row of labels and a row of raw scores and returns a
float. Nothing here is shared with the package, and nothing is done about overflow.
"""

from math import cosh, exp, inf, log, sqrt

import numpy as np


def softmax(z):
    total = sum(exp(s - max(z)) for s in z)
    return [exp(s - max(z)) / total for s in z]


def sigmoid(z):
    return 1 / (1 + exp(-z))


def over_classes(term):
    """Sum over classes of y_k times `term(p_k, k)`."""

    def loss(y, z, **arguments):
        return sum(
            weight * term(p, k, **arguments) for k, (weight, p) in enumerate(zip(y, softmax(z), strict=True)) if weight
        )

    return loss


def of_two(term):
    """Expectation of `term(p, label)`, p the probability of the label, over a binary label."""

    def loss(y, z, **arguments):
        p = sigmoid(z[0])
        return y[0] * term(p, 1, **arguments) + (1 - y[0]) * term(1 - p, 0, **arguments)

    return loss


def of_residual(term):
    def loss(y, z, **arguments):
        return term(z[0] - y[0], **arguments)

    return loss


def label_smoothing_ce(y, z, eps):
    p = softmax(z)
    mixed = [(1 - eps) * label + eps / len(y) for label in y]
    return -sum(label * log(q) for label, q in zip(mixed, p, strict=True))


def kl_divergence(y, z):
    return sum(label * log(label / p) for label, p in zip(y, softmax(z), strict=True) if label)


def categorical_hinge(y, z, margin):
    others = [0.0 if label == 1 else score for label, score in zip(y, z, strict=True)]
    return max(0.0, margin + max(others) - z[list(y).index(1)])


def cosine_similarity(y, z):
    p = softmax(z)
    dot = sum(a * b for a, b in zip(y, p, strict=True))
    return -dot / sqrt(sum(a * a for a in y)) / sqrt(sum(b * b for b in p))


def class_balanced_ce(y, z, one_minus_beta, class_counts, class_priors):
    raw = [one_minus_beta / (1 - (1 - one_minus_beta) ** n) for n in class_counts]
    return _weighted_ce(y, z, raw, class_priors)


def weighted_ce(y, z, tau, class_counts, class_priors):
    return _weighted_ce(y, z, [n**-tau for n in class_counts], class_priors)


def _weighted_ce(y, z, raw, priors):
    scale = sum(prior * w for prior, w in zip(priors, raw, strict=True))
    return -sum(label * w / scale * log(p) for label, w, p in zip(y, raw, softmax(z), strict=True))


def binary_crossentropy(y, z, label_smoothing):
    p, soft = sigmoid(z[0]), y[0] * (1 - label_smoothing) + label_smoothing / 2
    return -soft * log(p) - (1 - soft) * log(1 - p)


def binary_focal(y, z, gamma, alpha):
    p = sigmoid(z[0])
    positive, negative = (1, 1) if alpha is None else (alpha, 1 - alpha)
    return -positive * y[0] * (1 - p) ** gamma * log(p) - negative * (1 - y[0]) * p**gamma * log(1 - p)


def focal_term(p, k, gamma, alpha):
    return -(1 if alpha is None else alpha[k]) * (1 - p) ** gamma * log(p)


def softened_term(p, k, kappa):
    return -log(p) / (1 + exp(kappa * log(p / (1 - p))))


def mean_absolute_percentage_error(y, z, target_mean, target_scale):
    error = abs(target_mean + target_scale * z[0] - y[0])
    return 100 * error / max(abs(y[0]), 0.001 * target_scale)


def mean_squared_logarithmic_error(y, z, target_scale):
    return (log(1 + target_scale * log(1 + exp(z[0]))) - log(1 + y[0])) ** 2


def huber_term(e, delta):
    return e * e / 2 if abs(e) <= delta else delta * abs(e) - delta * delta / 2


def poisson(y, z, target_mean):
    rate = target_mean * exp(z[0])
    return rate - y[0] * log(rate)


LOSSES = {
    "cross_entropy": over_classes(lambda p, k: -log(p)),
    "kl_divergence": kl_divergence,
    "label_smoothing_ce": label_smoothing_ce,
    "categorical_hinge": categorical_hinge,
    "cosine_similarity": cosine_similarity,
    "focal": over_classes(focal_term),
    "hard_truncated_ce": over_classes(lambda p, k, m: -log(p) if p <= m else 0.0),
    "softened_ce": over_classes(softened_term),
    "generalized_cross_entropy": over_classes(lambda p, k, q: (1 - p**q) / q),
    "class_balanced_ce": class_balanced_ce,
    "weighted_ce": weighted_ce,
    "binary_crossentropy": binary_crossentropy,
    "binary_focal": binary_focal,
    "hard_truncated_bce": of_two(lambda p, label, m: -log(p) if p <= m else 0.0),
    "softened_bce": of_two(softened_term),
    "hinge": lambda y, z, margin: max(0.0, margin - y[0] * z[0]),
    "squared_hinge": lambda y, z, margin: max(0.0, margin - y[0] * z[0]) ** 2,
    "mean_squared_error": of_residual(lambda e: e * e),
    "mean_absolute_error": of_residual(abs),
    "huber": of_residual(huber_term),
    "log_cosh": of_residual(lambda e, c: c * c * log(cosh(e / c))),
    "mean_absolute_percentage_error": mean_absolute_percentage_error,
    "mean_squared_logarithmic_error": mean_squared_logarithmic_error,
    "poisson": poisson,
}


def values(name, y, z, arguments):
    """The loss of every row: `(n, t)` labels and `(n, outputs)` scores to `(n,)` float64."""
    rows = zip(np.asarray(y, float).tolist(), np.asarray(z, float).tolist(), strict=True)
    return np.array([LOSSES[name](label, score, **arguments) for label, score in rows])


def gradients(name, y, z, arguments, step=1e-6):
    """Central differences of the sum of `values` by every score."""
    z = np.asarray(z, float)
    found = np.full_like(z, inf)
    for k in range(z.shape[1]):
        shift = np.zeros(z.shape[1])
        shift[k] = step
        up, down = values(name, y, z + shift, arguments), values(name, y, z - shift, arguments)
        found[:, k] = (up - down) / (2 * step)
    return found
