"""Losses of k labels per sample, each present (1) or absent (0): z are k raw scores, p is sigmoid(z)."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import multilabel_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import like, sample_mean


@multilabel_loss(
    aliases=("multilabel_binary_crossentropy", "multilabel_soft_margin"),
    reference="Cox, The regression analysis of binary sequences, 1958",
    elicits="probability",
    recommended=("multilabel",),
)
def multilabel_bce(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy of each label by itself: the baseline of multilabel tasks.

        mean over labels of y softplus(-z) + (1 - y) softplus(z)

    y_true `(batch, *spatial_shape, k)` in [0, 1]; y_pred of the same shape. Returns `(batch,)`, in nats per label,
    at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0]]), ops.array([[2.0, 0.0]])
    >>> print(f"{float(multilabel_bce(y_true, raw_scores)[0]):.4f}")
    0.4100
    """
    return sample_mean(y_true * ops.softplus(-y_pred) + (1.0 - y_true) * ops.softplus(y_pred))


@multilabel_loss(
    aliases=("asl", "asymmetric_loss"),
    reference="Ridnik et al., Asymmetric loss for multi-label classification, 2021, arXiv:2009.14119",
    params=(
        Float("gamma_neg", 4.0, 0.0, 6.0, domain="[0, inf)"),
        Float("gamma_pos", 1.0, 0.0, 2.0, domain="[0, inf)"),
        Float("m", 0.05, 0.0, 0.2, domain="[0, 1)"),
    ),
    non_differentiable_points=True,
    elicits="which labels are present, the rarer present ones weighed up",
    limits=(Limit({"gamma_neg": 0.0, "gamma_pos": 0.0, "m": 0.0}, "multilabel_bce"),),
    recommended=("multilabel",),
)
def asymmetric(y_true: Any, y_pred: Any, *, gamma_neg: Any, gamma_pos: Any, m: Any) -> Any:
    """Focal loss with an exponent each for present and absent labels: for many labels, few of them present.

        -y (1 - p)^gamma_pos log p - (1 - y) w^gamma_neg log(1 - w), w = max(p - m, 0)

    The value is the mean over labels. Absent labels fade faster than present ones, and count nothing below p = m.
    The fading weights are differentiated, as in the paper; the authors' plain class stops them by default, their
    optimised one does not. y_true `(batch, *spatial_shape, k)` in [0, 1]; y_pred of the same shape; exponents at
    least 0; m in [0, 1). Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(asymmetric(y_true, raw_scores, gamma_neg=1.0, gamma_pos=1.0, m=0.0)[0]):.4f}")
    0.3466
    """
    # (1 - p)^gamma = exp(gamma log(1 - p)): the power itself has no gradient at p = 1 for gamma < 1
    present = ops.exp(-gamma_pos * ops.softplus(y_pred)) * ops.softplus(-y_pred)
    shifted = ops.sigmoid(y_pred) - m
    open_ = shifted > 0.0
    w = ops.where(open_, shifted, 0.5)
    absent = ops.exp(gamma_neg * ops.log(w)) * _minus_log_rest(y_pred, w, m)
    return sample_mean(y_true * present + (1.0 - y_true) * ops.where(open_, absent, 0.0))


def _minus_log_rest(z: Any, w: Any, m: Any) -> Any:
    """-log(1 - w), w = sigmoid(z) - m, exact for small w and for large z.

    1 - w = (1 - p) + m, whose first term is lost in 1 - w when p is near 1.
    """
    near = -ops.log1p(-ops.minimum(w, 0.5))
    return ops.where(w < 0.5, near, -ops.logaddexp(-ops.softplus(z), ops.log(like(m, z))))


@multilabel_loss(
    aliases=("zlpr", "multilabel_cross_entropy", "multilabel_categorical_crossentropy"),
    reference="Su et al., ZLPR: a novel loss for multi-label classification, 2022, arXiv:2208.02955",
    activation="identity",
    probabilistic=False,
    elicits="which labels are present, at a threshold of 0",
    recommended=("multilabel",),
)
def multilabel_ce(y_true: Any, y_pred: Any) -> Any:
    """Ranks present labels above 0 and absent ones below, all at once: no balance to set.

        log(1 + sum_absent e^z) + log(1 + sum_present e^-z)

    Softmax cross-entropy carried over to several labels; a label is predicted where z > 0. Soft labels weigh the
    terms, y those of present and 1 - y those of absent labels. y_true `(batch, *spatial_shape, k)` in [0, 1];
    y_pred of the same shape. Returns `(batch,)`, one value for all labels, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0, 0.0]]), ops.array([[0.0, 0.0, 0.0]])
    >>> print(f"{float(multilabel_ce(y_true, raw_scores)[0]):.4f}")
    1.7918
    """
    return sample_mean(_log1p_sum_exp(1.0 - y_true, y_pred) + _log1p_sum_exp(y_true, -y_pred))


def _log1p_sum_exp(weights: Any, z: Any) -> Any:
    """log(1 + sum_k weight_k e^(z_k)), weights at least 0: `(..., k)` to `(...,)`."""
    counts = weights > 0.0
    terms = ops.where(counts, z + ops.log(ops.where(counts, weights, 1.0)), -float("inf"))
    return ops.logsumexp(ops.concatenate([ops.zeros_like(z[..., :1]), terms], axis=-1), axis=-1)
