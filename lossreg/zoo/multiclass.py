"""Cross-entropy and related losses, the categorical hinge, cosine similarity: k raw scores.

All serve binary tasks too, on the raw scores `[-z/2, z/2]` of one logit z.
"""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import loss, softmax_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import expected, highest, log_softmax, sample_mean


@softmax_loss(
    aliases=("categorical_crossentropy", "sparse_categorical_crossentropy", "softmax_cross_entropy", "ce"),
    reference="Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990",
    elicits="probability",
    recommended=("binary", "multiclass"),
)
def cross_entropy(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy of softmax: the baseline of classification.

        LSE(z) - z_t

    This is -sum_k y_k log p_k on soft labels. y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities;
    y_pred of the same shape. Returns `(batch,)`, in nats, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(cross_entropy(y_true, raw_scores)[0]):.4f}")
    0.6931
    """
    return expected(y_true, -ops.log_softmax(y_pred, axis=-1))


@softmax_loss(
    aliases=("uniform_mix_ce", "uniform_mix_cross_entropy", "label_smoothing", "label_smoothing_cross_entropy"),
    reference="Szegedy et al., Rethinking the Inception architecture, 2015, arXiv:1512.00567; Müller et al., When does "
    "label smoothing help?, 2019, arXiv:1906.02629",
    params=(Float("eps", 0.1, 0.0, 0.3, domain="[0, 1)"),),
    minimum=None,
    elicits="mode",
    limits=(Limit({"eps": 0.0}, "cross_entropy"),),
    recommended=("binary", "multiclass"),
)
def label_smoothing_ce(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """Cross-entropy to labels mixed with the uniform distribution: less over-confident, probabilities biased to 1/k.

        -(1 - eps) log p_t - eps/K sum log p

    Its minimiser is (1 - eps) p + eps/k for true probabilities p: log_loss suffers from that, and so does calibration,
    unless the model would be over-confident otherwise. As a teacher such a model tells a student less about how
    classes resemble each other (Müller et al., 2019).

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; eps in [0, 1).
    Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[-2.0, 2.0]])
    >>> print(f"{float(label_smoothing_ce(y_true, raw_scores, eps=0.1)[0]):.4f}")
    0.2181
    """
    minus_log = -ops.log_softmax(y_pred, axis=-1)
    return (1.0 - eps) * expected(y_true, minus_log) + eps * sample_mean(minus_log)


@softmax_loss(
    aliases=("confidence_penalty_ce", "entropy_penalty"),
    reference="Pereyra et al., Regularizing neural networks by penalizing confident output distributions, 2017, "
    "arXiv:1701.06548",
    params=(Float("beta", 0.1, 0.01, 1.0, log=True, domain="[0, inf)"),),
    minimum=None,
    elicits="mode",
    limits=(Limit({"beta": 0.0}, "cross_entropy"),),
)
def confidence_penalty(y_true: Any, y_pred: Any, *, beta: Any) -> Any:
    """Cross-entropy less a share of the prediction's entropy: less over-confident.

        CE - beta H(p)

    H(p) = -sum_k p_k log p_k is the entropy of the prediction. y_true `(batch, *spatial_shape, k)`, one-hot or
    class probabilities; y_pred of the same shape; beta at least 0. Returns `(batch,)`, at least -beta log k.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(confidence_penalty(y_true, raw_scores, beta=0.1)[0]):.4f}")
    0.6238
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(y_true, -log_p) + beta * expected(ops.exp(log_p), log_p)


@softmax_loss(
    aliases=("kullback_leibler_divergence", "kld", "kl"),
    reference="Kullback and Leibler, On information and sufficiency, 1951",
    elicits="probability",
    same_as="cross_entropy",
)
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Kullback-Leibler divergence of softmax from soft labels; cross-entropy on hard ones.

        sum y (log y - log p)

    This is cross-entropy less the entropy of soft labels. y_true `(batch, *spatial_shape, k)`, class probabilities,
    0 allowed; y_pred of the same shape. Returns `(batch,)`, in nats, at least 0.

    >>> y_true, raw_scores = ops.array([[0.5, 0.5]]), ops.array([[3.0, 3.0]])
    >>> print(f"{float(kl_divergence(y_true, raw_scores)[0]):.4f}")
    0.0000
    """
    # y log y is exactly 0 at y = 0 and y = 1, so hard labels give cross_entropy to the last bit
    positive = ops.where(y_true > 0.0, y_true, 1.0)
    return expected(y_true, -ops.log_softmax(y_pred, axis=-1)) + expected(y_true, ops.log(positive))


@softmax_loss(
    aliases=("brier_score", "brier_loss", "squared_probability_error"),
    reference="Brier, Verification of forecasts expressed in terms of probability, 1950",
    elicits="probability",
)
def brier(y_true: Any, y_pred: Any) -> Any:
    """The squared error of probabilities: bounded, and least at the true ones.

        sum (p - y)^2

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape. Returns
    `(batch,)`, between 0 and 2.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(brier(y_true, raw_scores)[0]):.4f}")
    0.5000
    """
    return sample_mean(ops.sum(ops.square(ops.exp(log_softmax(y_pred)) - y_true), axis=-1))


@loss(
    tasks=("binary", "multiclass"),
    reference="Keras; compare Crammer and Singer, On the algorithmic implementation of "
    "multiclass kernel-based vector machines, 2001",
    params=(Float("margin", 1.0, 0.25, 2.0, log=True, domain="(0, inf)"),),
    activation="identity",
    non_differentiable_points=True,
    elicits="mode, where a class has more than half",
)
def categorical_hinge(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """Margin between the true class and the best other one, with 0 as a floor of the others.

        max(0, margin + max (1 - y) z - z_t)

    The true class itself counts as 0 in the inner maximum, as in Keras; so adding a constant to all raw scores
    changes the value. y_true `(batch, *spatial_shape, k)`, one-hot; y_pred of the same shape; margin > 0. Returns
    `(batch,)`.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0, 0.0]]), ops.array([[-0.5, -2.0, -3.0]])
    >>> print(f"{float(categorical_hinge(y_true, raw_scores, margin=1.0)[0]):.4f}")
    1.5000
    """
    true = ops.sum(y_true * y_pred, axis=-1)
    other = highest((1.0 - y_true) * y_pred)[..., 0]
    return sample_mean(ops.relu(margin + other - true))


@softmax_loss(
    aliases=("cosine", "cosine_proximity"),
    reference="Good, Comment on a paper by Buehler, 1971 (spherical score); Barz and Denzler, Deep learning on small "
    "datasets without pre-training using cosine loss, 2019, arXiv:1901.09054, take raw scores",
    minimum=-1.0,
    elicits="probability",
)
def cosine_similarity(y_true: Any, y_pred: Any) -> Any:
    """Minus the cosine between the labels and softmax: the spherical score, bounded.

        -cos(y, p)

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape. Returns
    `(batch,)`, between -1 and 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(cosine_similarity(y_true, raw_scores)[0]):.4f}")
    -0.7071
    """
    p = ops.softmax(y_pred, axis=-1)
    lengths = ops.sum(p * p, axis=-1) * ops.sum(y_true * y_true, axis=-1)
    # the floor is for padded samples, whose labels are all 0
    return sample_mean(-ops.sum(y_true * p, axis=-1) * ops.rsqrt(ops.maximum(lengths, 1e-12)))
