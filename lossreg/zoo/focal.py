"""Losses of k raw scores that fade, or stop, on samples already well classified."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import softmax_loss
from lossreg.contract.params import Float, PerClass
from lossreg.zoo.numerics import expected, log_other, weighted


@softmax_loss(
    aliases=(
        "focal_loss",
        "categorical_focal",
        "categorical_focal_loss",
        "categorical_focal_crossentropy",
        "catergorical_focal_loss",
    ),
    reference=(
        "Lin et al., Focal loss for dense object detection, 2017, arXiv:1708.02002; the alias catergorical_focal_loss "
        "is the misspelt name of a known implementation"
    ),
    params=(Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"), PerClass("alpha")),
    elicits="weighted mode",
    limits=(Limit({"gamma": 0.0}, "cross_entropy"),),
    recommended=("multiclass",),
)
def focal(y_true: Any, y_pred: Any, *, gamma: Any, alpha: Any) -> Any:
    """Cross-entropy that fades on well classified samples, with a weight per class.

        -alpha_t (1 - p_t)^gamma log p_t

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; gamma at least 0;
    alpha `(k,)`, one positive weight per class, or None. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(focal(y_true, raw_scores, gamma=2.0, alpha=[1.0, 3.0])[0]):.4f}")
    0.5199
    """
    # (1 - p)^gamma = exp(gamma log(1 - p)): the power itself has no gradient at p = 1 for gamma < 1
    fade = ops.exp(gamma * log_other(y_pred))
    return expected(weighted(y_true, alpha), -fade * ops.log_softmax(y_pred, axis=-1))


@softmax_loss(
    aliases=("hard_truncated_cross_entropy",),
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    params=(Float("m", 0.5, 0.5, 0.95, domain="(0, 1)"),),
    non_differentiable_points=True,
    elicits="mode",
    limits=(Limit({"m": 1.0 - 1e-7}, "cross_entropy"),),
)
def hard_truncated_ce(y_true: Any, y_pred: Any, *, m: Any) -> Any:
    """Cross-entropy of the samples that are not yet right with probability m.

        1[p_t <= m] (-log p_t)

    A sample that is right with more than probability m has no gradient. y_true `(batch, *spatial_shape, k)`,
    one-hot or class probabilities; y_pred of the same shape; m in (0, 1). Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.1, 0.0], [0.1, 0.0]])
    >>> [f"{float(v):.4f}" for v in hard_truncated_ce(y_true, raw_scores, m=0.5)]
    ['0.0000', '0.7444']
    """
    open_ = ops.softmax(y_pred, axis=-1) <= m
    return expected(y_true, ops.where(open_, -ops.log_softmax(y_pred, axis=-1), 0.0))


@softmax_loss(
    aliases=("softened_cross_entropy",),
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    params=(Float("kappa", 1.0, 0.25, 8.0, log=True, domain="(0, inf)"),),
    elicits="mode",
    limits=(Limit({"kappa": 1.0}, "focal", {"gamma": 1.0}), Limit({"kappa": 1e6}, "hard_truncated_ce", {"m": 0.5})),
)
def softened_ce(y_true: Any, y_pred: Any, *, kappa: Any) -> Any:
    """A smooth truncation of cross-entropy: focal loss with another parameter.

        -sigmoid(-kappa logit(p_t)) log p_t

    kappa = 1 is focal loss with gamma = 1 for every k, kappa -> inf truncation at 1/2. logit(p_t) stands in place
    of the source's raw score. y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the
    same shape; kappa > 0. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(softened_ce(y_true, raw_scores, kappa=1.0)[0]):.4f}")
    0.3466
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(y_true, -ops.sigmoid(kappa * (log_other(y_pred) - log_p)) * log_p)


@softmax_loss(
    aliases=("poly1", "poly_loss", "poly1_cross_entropy"),
    reference="Leng et al., PolyLoss, 2022, arXiv:2204.12511",
    params=(Float("eps", 1.0, -1.0, 5.0, domain="[-1, inf)"),),
    elicits="mode",
    limits=(Limit({"eps": 0.0}, "cross_entropy"),),
)
def poly1_ce(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """Cross-entropy plus a multiple of 1 - p_t: one parameter that fits the loss to the data.

        -log p_t + eps (1 - p_t)

    The first term of the series of -log p_t in 1 - p_t is made larger or smaller. y_true `(batch, *spatial_shape,
    k)`, one-hot or class probabilities; y_pred of the same shape; eps at least -1. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(poly1_ce(y_true, raw_scores, eps=1.0)[0]):.4f}")
    1.1931
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(y_true, -log_p - eps * ops.expm1(log_p))


@softmax_loss(
    aliases=("poly1_focal_loss",),
    reference="Leng et al., PolyLoss, 2022, arXiv:2204.12511",
    params=(Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"), Float("eps", 1.0, -1.0, 5.0, domain="[-1, inf)")),
    elicits="mode",
    limits=(Limit({"eps": 0.0}, "focal"), Limit({"gamma": 0.0}, "poly1_ce")),
)
def poly1_focal(y_true: Any, y_pred: Any, *, gamma: Any, eps: Any) -> Any:
    """Focal loss plus a multiple of its first neglected power of 1 - p_t.

        -(1 - p_t)^gamma log p_t + eps (1 - p_t)^(gamma + 1)

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; gamma at least 0;
    eps at least -1. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(poly1_focal(y_true, raw_scores, gamma=2.0, eps=1.0)[0]):.4f}")
    0.2983
    """
    log_q = log_other(y_pred)
    return expected(y_true, ops.exp(gamma * log_q) * (eps * ops.exp(log_q) - ops.log_softmax(y_pred, axis=-1)))
