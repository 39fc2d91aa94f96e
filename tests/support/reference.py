"""Every built-in loss once more, in float64 and plain Python: one sample, its formula as printed.

`LOSSES[name](y, z, **arguments)` takes a row of labels and a row of raw scores and returns a
float. Nothing here is shared with the package, and nothing is done about overflow.
"""

from math import exp, inf, log, sqrt

import numpy as np
import reference_values


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


def weighted_bce(y, z, tau, class_counts, class_priors):
    ratio = (class_counts[0] / class_counts[1]) ** tau
    p, scale = sigmoid(z[0]), class_priors[1] * ratio + class_priors[0]
    return (-ratio * y[0] * log(p) - (1 - y[0]) * log(1 - p)) / scale


def class_balanced_focal(y, z, *, gamma, one_minus_beta, class_counts, class_priors):
    raw = [one_minus_beta / (1 - (1 - one_minus_beta) ** n) for n in class_counts]
    scale = sum(prior * w for prior, w in zip(class_priors, raw, strict=True))
    p = softmax(z)
    return -sum(label * w / scale * (1 - q) ** gamma * log(q) for label, w, q in zip(y, raw, p, strict=True))


def ldam(y, z, max_m, s, class_counts):
    """Cross-entropy of s (z - m_t 1_t), for every class t of a soft label."""
    margins = [max_m * n**-0.25 / max(count**-0.25 for count in class_counts) for n in class_counts]

    def of(t):
        moved = [s * (score - margins[t] * (k == t)) for k, score in enumerate(z)]
        return -log(softmax(moved)[t])

    return sum(label * of(t) for t, label in enumerate(y) if label)


def logit_adjusted_ce(y, z, tau, class_counts):
    total = sum(class_counts)
    p = softmax([score + tau * log(n / total) for score, n in zip(z, class_counts, strict=True)])
    return -sum(label * log(q) for label, q in zip(y, p, strict=True))


def entropy(p):
    return -sum(q * log(q) for q in p)


def confidence_penalty(y, z, beta):
    p = softmax(z)
    return -sum(label * log(q) for label, q in zip(y, p, strict=True)) - beta * entropy(p)


def soft_bootstrap(y, z, beta):
    p = softmax(z)
    return -sum((beta * label + (1 - beta) * q) * log(q) for label, q in zip(y, p, strict=True))


A = -log(1e-4)


def normalized_ce(y, z):
    logs = [log(q) for q in softmax(z)]
    return sum(label * log_q for label, log_q in zip(y, logs, strict=True)) / sum(logs)


def passive(scale):
    """Normalized cross-entropy plus rho times `scale` (1 - p_t)."""

    def loss(y, z, rho):
        missed = sum(label * (1 - q) for label, q in zip(y, softmax(z), strict=True))
        return normalized_ce(y, z) + rho * scale * missed

    return loss


def truncated_gce(y, z, q, c):
    p, least = softmax(z), c / len(z)
    return sum(label * (1 - max(r, least) ** q) / q for label, r in zip(y, p, strict=True))


def phuber_term(p, k, tau):
    return -log(p) if p > 1 / tau else log(tau) + 1 - tau * p


def log_t(x, t):
    return log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def exp_t(x, t):
    return exp(x) if t == 1 else max(0.0, 1 + (1 - t) * x) ** (1 / (1 - t))


def tempered_softmax(z, t):
    """exp_t(z - level), the level found by bisection: at it one class has p <= 1, and all at least 1/k."""
    low, high = max(z), max(z) - log_t(1 / len(z), t)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(exp_t(score - middle, t) for score in z) > 1 else (low, middle)
    return [exp_t(score - high, t) for score in z]


def bi_tempered(y, z, t1, t2):
    def of(label, q):
        of_label = label * log_t(label, t1) if label else 0.0
        return of_label - label * log_t(q, t1) - (label ** (2 - t1) - q ** (2 - t1)) / (2 - t1)

    return sum(of(label, q) for label, q in zip(y, tempered_softmax(z, t2), strict=True))


def square_loss(y, z, kappa, M):
    return sum(kappa * (s - M) ** 2 if label == 1 else s * s for label, s in zip(y, z, strict=True)) / len(z)


def squentropy(y, z):
    others = [s * s for label, s in zip(y, z, strict=True) if label == 0]
    return log(sum(exp(s) for s in z)) - z[list(y).index(1)] + sum(others) / len(others)


def crammer_singer(y, z, margin):
    def of(t):
        return max(0.0, margin + max(s for k, s in enumerate(z) if k != t) - z[t])

    return sum(label * of(t) for t, label in enumerate(y) if label)


def taylor_glo(y, z, **theta):
    t = [theta[f"theta_{i}"] for i in range(8)]

    def f(x, p):
        a, b = x - t[0], p - t[1]
        alone = t[2] * b + t[3] * b**2 / 2 + t[4] * b**3 / 6
        return alone + t[5] * a * b + t[6] * a * b**2 / 2 + t[7] * a**2 * b / 2

    return -sum(f(label, p) for label, p in zip(y, softmax(z), strict=True))


CLASSES = {
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
    "weighted_bce": weighted_bce,
    "confidence_penalty": confidence_penalty,
    "brier": lambda y, z: sum((p - label) ** 2 for label, p in zip(y, softmax(z), strict=True)),
    "poly1_ce": over_classes(lambda p, k, eps: -log(p) + eps * (1 - p)),
    "poly1_focal": over_classes(lambda p, k, gamma, eps: -((1 - p) ** gamma) * log(p) + eps * (1 - p) ** (gamma + 1)),
    "truncated_gce": truncated_gce,
    "symmetric_ce": over_classes(lambda p, k, alpha, beta: -alpha * log(p) + beta * A * (1 - p)),
    "reverse_ce": over_classes(lambda p, k: A * (1 - p)),
    "mae_classification": over_classes(lambda p, k: 2 * (1 - p)),
    "normalized_ce": normalized_ce,
    "nce_rce": passive(A),
    "nce_mae": passive(2),
    "soft_bootstrap": soft_bootstrap,
    "phuber_ce": over_classes(phuber_term),
    "bi_tempered": bi_tempered,
    "taylor_ce": over_classes(lambda p, k, N: sum((1 - p) ** j / j for j in range(1, N + 1))),
    "class_balanced_focal": class_balanced_focal,
    "ldam": ldam,
    "logit_adjusted_ce": logit_adjusted_ce,
    "crammer_singer": crammer_singer,
    "square_loss": square_loss,
    "squentropy": squentropy,
    "taylor_glo": taylor_glo,
}
LOSSES = CLASSES | reference_values.LOSSES


def values(name, y, z, arguments):
    """The loss of every row: `(n, t)` labels and `(n, outputs)` scores to `(n,)` float64."""
    rows = zip(np.asarray(y, float).tolist(), np.asarray(z, float).tolist(), strict=True)
    return np.array([LOSSES[name](label, score, **arguments) for label, score in rows])


def gradients(name, y, z, arguments, step=1e-6):
    """Central differences of the sum of `values` by every score."""
    z = np.asarray(z, float)
    actual = np.full_like(z, inf)
    for k in range(z.shape[1]):
        shift = np.zeros(z.shape[1])
        shift[k] = step
        up, down = values(name, y, z + shift, arguments), values(name, y, z - shift, arguments)
        actual[:, k] = (up - down) / (2 * step)
    return actual
