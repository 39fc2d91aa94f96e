"""Cross-entropy and its kin, the categorical hinge, cosine similarity: k raw scores.

All serve binary tasks too, on the scores `[-z/2, z/2]` of one logit z.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.params import Float
from lossreg.contract.spec import LossSpec
from lossreg.zoo.numerics import expected, highest, log_softmax, sample_mean

softmax_loss = partial(LossSpec, tasks=("binary", "multiclass"), probabilistic=True, shift_invariant=True)


def cross_entropy(y_true: Any, y_pred: Any) -> Any:
    """-sum_k y_k log p_k, which is LSE(z) - z_t on hard labels.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; returns `(batch,)`, in nats, at least 0. Bridle, 1990.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(cross_entropy(y_true, scores)[0]):.4f}")
    0.6931
    """
    return expected(y_true, -ops.log_softmax(y_pred, axis=-1))


CROSS_ENTROPY = softmax_loss(
    name="cross_entropy",
    function=cross_entropy,
    aliases=(
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "softmax_cross_entropy",
        "ce",
    ),
    summary="Cross-entropy of softmax: the baseline of classification.",
    reference="Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990",
    formula="LSE(z) - z_t",
    elicits="probability",
    recommended=("binary", "multiclass"),
)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum_k y_k (log y_k - log p_k): cross-entropy less the entropy of soft labels.

    y_true `(batch, *space, k)` class probabilities, 0 allowed; y_pred `(batch, *space, k)` raw
    scores; returns `(batch,)`, in nats, at least 0. Kullback and Leibler, 1951.

    >>> y_true, scores = ops.array([[0.5, 0.5]]), ops.array([[3.0, 3.0]])
    >>> print(f"{float(kl_divergence(y_true, scores)[0]):.4f}")
    0.0000
    """
    # y log y is exactly 0 at y = 0 and y = 1, so hard labels give cross_entropy to the last bit
    positive = ops.where(y_true > 0.0, y_true, 1.0)
    return expected(y_true, -ops.log_softmax(y_pred, axis=-1)) + expected(y_true, ops.log(positive))


KL_DIVERGENCE = softmax_loss(
    name="kl_divergence",
    function=kl_divergence,
    aliases=("kullback_leibler_divergence", "kld", "kl"),
    summary="Kullback-Leibler divergence of softmax from soft labels; cross-entropy on hard ones.",
    reference="Kullback and Leibler, On information and sufficiency, 1951",
    formula="sum y (log y - log p)",
    elicits="probability",
    twin_of="cross_entropy",
)


def label_smoothing_ce(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """-(1 - eps) log p_t - eps/K sum_k log p_k: cross-entropy to labels mixed with the uniform.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; eps in [0, 1); returns `(batch,)`. arXiv:1512.00567.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[-2.0, 2.0]])
    >>> print(f"{float(label_smoothing_ce(y_true, scores, eps=0.1)[0]):.4f}")
    0.2181
    """
    minus_log = -ops.log_softmax(y_pred, axis=-1)
    return (1.0 - eps) * expected(y_true, minus_log) + eps * sample_mean(minus_log)


LABEL_SMOOTHING_CE = softmax_loss(
    name="label_smoothing_ce",
    function=label_smoothing_ce,
    aliases=("uniform_mix_ce", "uniform_mix_cross_entropy", "label_smoothing", "label_smoothing_cross_entropy"),
    summary="Cross-entropy to labels mixed with the uniform distribution: less over-confident.",
    reference="Szegedy et al., Rethinking the Inception architecture, 2015, arXiv:1512.00567",
    formula="-(1 - eps) log p_t - eps/K sum log p",
    params=(Float("eps", 0.1, 0.0, 0.3, domain="[0, 1)"),),
    minimum=None,
    elicits="mode",
    limits=(Limit({"eps": 0.0}, "cross_entropy"),),
    recommended=("binary", "multiclass"),
)


def confidence_penalty(y_true: Any, y_pred: Any, *, beta: Any) -> Any:
    """-log p_t - beta H(p), H(p) = -sum_k p_k log p_k being the entropy of the prediction.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; beta at least 0; returns `(batch,)`, at least -beta log k. arXiv:1701.06548.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(confidence_penalty(y_true, scores, beta=0.1)[0]):.4f}")
    0.6238
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(y_true, -log_p) + beta * expected(ops.exp(log_p), log_p)


CONFIDENCE_PENALTY = softmax_loss(
    name="confidence_penalty",
    function=confidence_penalty,
    aliases=("confidence_penalty_ce", "entropy_penalty"),
    summary="Cross-entropy less a share of the prediction's entropy: less over-confident.",
    reference="Pereyra et al., Regularizing neural networks by penalizing confident output distributions, 2017, "
    "arXiv:1701.06548",
    formula="CE - beta H(p)",
    params=(Float("beta", 0.1, 0.01, 1.0, log=True, domain="[0, inf)"),),
    minimum=None,
    elicits="mode",
    limits=(Limit({"beta": 0.0}, "cross_entropy"),),
)


def brier(y_true: Any, y_pred: Any) -> Any:
    """sum_k (p_k - y_k)^2.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; returns `(batch,)`, between 0 and 2. Brier, 1950.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(brier(y_true, scores)[0]):.4f}")
    0.5000
    """
    return sample_mean(ops.sum(ops.square(ops.exp(log_softmax(y_pred)) - y_true), axis=-1))


BRIER = softmax_loss(
    name="brier",
    function=brier,
    aliases=("brier_score", "brier_loss", "squared_probability_error"),
    summary="The squared error of probabilities: bounded, and least at the true ones.",
    reference="Brier, Verification of forecasts expressed in terms of probability, 1950",
    formula="sum (p - y)^2",
    elicits="probability",
)


def categorical_hinge(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """max(0, margin + max_k (1 - y_k) z_k - sum_k y_k z_k).

    The true class's own slot counts as 0 in the inner maximum, as in Keras; so adding a
    constant to all scores changes the value. y_true `(batch, *space, k)` one-hot; y_pred
    `(batch, *space, k)` raw scores; margin > 0; returns `(batch,)`.

    >>> y_true, scores = ops.array([[1.0, 0.0, 0.0]]), ops.array([[-0.5, -2.0, -3.0]])
    >>> print(f"{float(categorical_hinge(y_true, scores, margin=1.0)[0]):.4f}")
    1.5000
    """
    true = ops.sum(y_true * y_pred, axis=-1)
    other = highest((1.0 - y_true) * y_pred)[..., 0]
    return sample_mean(ops.relu(margin + other - true))


CATEGORICAL_HINGE = LossSpec(
    name="categorical_hinge",
    function=categorical_hinge,
    tasks=("binary", "multiclass"),
    summary="Margin between the true class and the best other one, with 0 as a floor of the others.",
    reference="Keras; compare Crammer and Singer, On the algorithmic implementation of "
    "multiclass kernel-based vector machines, 2001",
    formula="max(0, margin + max (1 - y) z - z_t)",
    params=(Float("margin", 1.0, 0.25, 2.0, log=True, domain="(0, inf)"),),
    activation="identity",
    kinks=True,
    elicits="mode, where a class has more than half",
)


def cosine_similarity(y_true: Any, y_pred: Any) -> Any:
    """-cos(y, p), p being softmax(z).

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; returns `(batch,)`, between -1 and 0. arXiv:1901.09054.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(cosine_similarity(y_true, scores)[0]):.4f}")
    -0.7071
    """
    p = ops.softmax(y_pred, axis=-1)
    lengths = ops.sum(p * p, axis=-1) * ops.sum(y_true * y_true, axis=-1)
    # the floor is for padded rows, whose labels are all 0
    return sample_mean(-ops.sum(y_true * p, axis=-1) * ops.rsqrt(ops.maximum(lengths, 1e-12)))


COSINE_SIMILARITY = softmax_loss(
    name="cosine_similarity",
    function=cosine_similarity,
    aliases=("cosine", "cosine_proximity"),
    summary="Minus the cosine between the labels and softmax: the spherical score, bounded.",
    reference="Good, Comment on a paper by Buehler, 1971 (spherical score); Barz and Denzler, Deep learning on small "
    "datasets without pre-training using cosine loss, 2019, arXiv:1901.09054, take raw scores",
    formula="-cos(y, p)",
    minimum=-1.0,
    elicits="probability",
)

LOSSES = (
    CROSS_ENTROPY,
    LABEL_SMOOTHING_CE,
    CONFIDENCE_PENALTY,
    KL_DIVERGENCE,
    BRIER,
    CATEGORICAL_HINGE,
    COSINE_SIMILARITY,
)
