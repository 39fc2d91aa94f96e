"""The losses of classes by Keras, scikit-learn and SciPy: the sources of golden values that are installed."""

import keras
import numpy as np
import tensorflow as tf
from scipy import integrate, optimize, spatial, special, stats
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight


def of_rows(compute, prediction=lambda z: z):
    """`compute(y, prediction(z), **given)` of each sample by itself."""
    return lambda y, z, **given: np.array(
        [compute(a, b, **given) for a, b in zip(y, prediction(z), strict=True)], float
    )


def of_truth(compute):
    """`compute(p_t, **given)`, p_t the probability of the true class."""
    return lambda y, z, **given: compute((y * special.softmax(z, axis=1)).sum(axis=1), **given)


def keras_loss(make, prediction=lambda z: z):
    """A Keras loss, unreduced and in float64, of what `prediction` makes of the raw scores."""

    def compute(y, z, **given):
        return np.array(make(**given)(tf.constant(y, "float64"), tf.constant(prediction(z), "float64")), float)

    return compute


def unreduced(kind, **options):
    return kind(reduction="none", dtype="float64", **options)


def softmax(z):
    return special.softmax(z, axis=1)


@of_rows
def log_loss(y, z):
    return metrics.log_loss([int(np.argmax(y))], [special.softmax(z)], labels=range(len(z)))


@of_rows
def log_loss_of_two(y, z, label_smoothing=0.0):
    return metrics.log_loss([int(y[0])], [special.expit(z[0])], labels=[0, 1])


def balanced(class_counts):
    y = np.repeat(np.arange(len(class_counts)), np.array(class_counts, int))
    return compute_class_weight("balanced", classes=np.arange(len(class_counts)), y=y)


def weighted(y, z, tau, class_counts, class_priors):
    return (y @ balanced(class_counts)) * log_loss(y, z)


def weighted_of_two(y, z, tau, class_counts, class_priors):
    return balanced(class_counts)[y[:, 0].astype(int)] * log_loss_of_two(y, z)


def entropy(z):
    return stats.entropy(softmax(z), axis=1)


@of_rows
def brier(y, z):
    p = special.softmax(z)
    return metrics.brier_score_loss([int(np.argmax(y))], [p], labels=range(len(z)), scale_by_half=False)


@of_rows
def squentropy(y, z):
    others = z[y == 0]
    return log_loss(y[None], z[None])[0] + metrics.mean_squared_error(0 * others, others)


@of_rows
def crammer_singer(y, z, margin):
    return metrics.hinge_loss([int(np.argmax(y))], [z], labels=range(len(z)))


@of_rows
def tempered(y, z, t1, t2):
    """Bregman divergence of boxcox(., 1 - t1) between y and p = inv_boxcox(z - level, 1 - t2)."""

    def excess(level):
        return special.inv_boxcox(z - level, 1 - t2).sum() - 1

    p = special.inv_boxcox(z - optimize.brentq(excess, z.max(), z.max() + 1e3, xtol=1e-13), 1 - t2)
    of_label = np.where(y > 0, y * special.boxcox(np.where(y > 0, y, 1), 1 - t1), 0)
    return (of_label - y * special.boxcox(p, 1 - t1) - (y ** (2 - t1) - p ** (2 - t1)) / (2 - t1)).sum()


@np.vectorize
def first_terms(p, N):
    """The sum of (1 - p)^j / j over j from 1 to N is the integral of (1 - t^N)/(1 - t) from 0 to 1 - p."""
    return integrate.quad(lambda t: (1 - t**N) / (1 - t), 0, 1 - p)[0]


def of_margin(compute):
    """`compute(s, **given)`, s the logit of the true label."""
    return lambda y, z, **given: compute(((2 * y - 1) * z)[:, 0], **given)


SOURCES = {
    "cross_entropy": {
        "losses.CategoricalCrossentropy": keras_loss(
            lambda: unreduced(keras.losses.CategoricalCrossentropy, from_logits=True)
        ),
        "metrics.log_loss": log_loss,
    },
    "label_smoothing_ce": {
        "losses.CategoricalCrossentropy": keras_loss(
            lambda eps: unreduced(keras.losses.CategoricalCrossentropy, from_logits=True, label_smoothing=eps)
        )
    },
    "confidence_penalty": {"stats.entropy": lambda y, z, beta: log_loss(y, z) - beta * entropy(z)},
    "kl_divergence": {
        "losses.KLDivergence": keras_loss(lambda: unreduced(keras.losses.KLDivergence), softmax),
        "stats.entropy": lambda y, z: stats.entropy(y, softmax(z), axis=1),
    },
    "brier": {"metrics.brier_score_loss": brier},
    "categorical_hinge": {
        "losses.CategoricalHinge": lambda y, z, margin: (
            margin * keras_loss(lambda: unreduced(keras.losses.CategoricalHinge))(y, z / margin)
        )
    },
    "cosine_similarity": {
        "losses.CosineSimilarity": keras_loss(lambda: unreduced(keras.losses.CosineSimilarity), softmax),
        "spatial.distance.cosine": of_rows(lambda y, z: spatial.distance.cosine(y, special.softmax(z)) - 1),
    },
    "crammer_singer": {"metrics.hinge_loss": crammer_singer},
    "square_loss": {
        "losses.MeanSquaredError": lambda y, z, kappa, M: keras_loss(lambda: unreduced(keras.losses.MeanSquaredError))(
            M * y, z
        )
    },
    "squentropy": {"metrics.log_loss": squentropy},
    "binary_crossentropy": {
        "losses.BinaryCrossentropy": keras_loss(
            lambda label_smoothing: unreduced(
                keras.losses.BinaryCrossentropy, from_logits=True, label_smoothing=label_smoothing
            )
        ),
        "metrics.log_loss": log_loss_of_two,
    },
    "weighted_bce": {"utils.class_weight.compute_class_weight": weighted_of_two},
    "binary_focal": {
        "losses.BinaryFocalCrossentropy": keras_loss(
            lambda gamma, alpha: unreduced(
                keras.losses.BinaryFocalCrossentropy,
                from_logits=True,
                apply_class_balancing=True,
                gamma=gamma,
                alpha=alpha,
            )
        )
    },
    "hard_truncated_bce": {
        "special.log_expit": of_margin(lambda s, m: np.where(special.expit(s) <= m, -special.log_expit(s), 0))
    },
    "softened_bce": {
        "special.log_expit": of_margin(lambda s, kappa: -special.expit(-kappa * s) * special.log_expit(s)),
        "losses.BinaryFocalCrossentropy": keras_loss(
            lambda kappa: unreduced(keras.losses.BinaryFocalCrossentropy, from_logits=True, gamma=kappa)
        ),
    },
    "hinge": {"losses.Hinge": keras_loss(lambda margin: unreduced(keras.losses.Hinge))},
    "squared_hinge": {"losses.SquaredHinge": keras_loss(lambda margin: unreduced(keras.losses.SquaredHinge))},
    "focal": {
        "losses.CategoricalFocalCrossentropy": keras_loss(
            lambda gamma, alpha: unreduced(
                keras.losses.CategoricalFocalCrossentropy, from_logits=True, gamma=gamma, alpha=alpha
            )
        )
    },
    "hard_truncated_ce": {"special.softmax": of_truth(lambda p, m: np.where(p <= m, -np.log(p), 0))},
    "softened_ce": {
        "special.logit": of_truth(lambda p, kappa: -special.expit(-kappa * special.logit(p)) * np.log(p)),
        "losses.CategoricalFocalCrossentropy": keras_loss(
            lambda kappa: unreduced(keras.losses.CategoricalFocalCrossentropy, from_logits=True, gamma=kappa, alpha=1.0)
        ),
    },
    "generalized_cross_entropy": {
        "special.boxcox": of_truth(lambda p, q: -special.boxcox(p, q)),
        "losses.CategoricalGeneralizedCrossEntropy": lambda y, z, q: keras_loss(
            lambda: unreduced(keras.losses.CategoricalGeneralizedCrossEntropy, q=q), softmax
        )(y.argmax(axis=1), z),
    },
    "truncated_gce": {
        "special.boxcox": lambda y, z, q, c: of_truth(lambda p: -special.boxcox(np.maximum(p, c / z.shape[1]), q))(y, z)
    },
    "mae_classification": {
        "metrics.mean_absolute_error": of_rows(lambda y, z: len(z) * metrics.mean_absolute_error(y, special.softmax(z)))
    },
    "soft_bootstrap": {"stats.entropy": lambda y, z, beta: beta * log_loss(y, z) + (1 - beta) * entropy(z)},
    "bi_tempered": {"special.inv_boxcox": tempered},
    "taylor_ce": {"integrate.quad": of_truth(first_terms)},
    "weighted_ce": {"utils.class_weight.compute_class_weight": weighted},
}
