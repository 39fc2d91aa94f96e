"""Losses on one logit z for labels 0 and 1: p is sigmoid(z)."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import margin_loss, sigmoid_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import like, mean_one, sample_mean

MARGIN = Float("margin", 1.0, 0.25, 2.0, log=True, domain="(0, inf)")


@sigmoid_loss(
    aliases=("binary_cross_entropy", "bce", "logistic", "sigmoid_cross_entropy"),
    reference="Cox, The regression analysis of binary sequences, 1958",
    params=(Float("label_smoothing", 0.0, 0.0, 0.2, domain="[0, 1)"),),
    minimum=None,
    elicits="probability",
    recommended=("segmentation",),
    same_as="cross_entropy",
)
def binary_crossentropy(y_true: Any, y_pred: Any, *, label_smoothing: Any) -> Any:
    """Cross-entropy of sigmoid, with optional label smoothing.

        softplus(-s)

    The label y is moved by label_smoothing towards 1/2. y_true `(batch, *spatial_shape, 1)` in [0, 1]; y_pred of
    the same shape; label_smoothing in [0, 1). Returns `(batch,)`, in nats, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0]]), ops.array([[2.0]])
    >>> print(f"{float(binary_crossentropy(y_true, raw_scores, label_smoothing=0.0)[0]):.4f}")
    0.1269
    """
    y = y_true + label_smoothing * (0.5 - y_true)
    return sample_mean(y * ops.softplus(-y_pred) + (1.0 - y) * ops.softplus(y_pred))


@sigmoid_loss(
    aliases=("weighted_binary_crossentropy", "weighted_binary_cross_entropy"),
    reference="King and Zeng, Logistic regression in rare events data, 2001",
    params=(Float("tau", 1.0, 0.0, 1.5, domain="[0, inf)"),),
    needs=("class_counts", "class_priors"),
    elicits="weighted mode",
    limits=(Limit({"tau": 0.0}, "binary_crossentropy"),),
    recommended=("segmentation",),
    same_as="weighted_ce",
)
def weighted_bce(y_true: Any, y_pred: Any, *, tau: Any, class_counts: Any, class_priors: Any) -> Any:
    """Cross-entropy of sigmoid, the rarer label weighing more.

        w+ y softplus(-z) + (1 - y) softplus(z), w+ = (n-/n+)^tau, scaled to mean 1 over the samples

    n- and n+ are the samples of class 0 and 1. y_true `(batch, *spatial_shape, 1)` in [0, 1]; y_pred of the same
    shape; tau at least 0; class_counts `(2,)` and class_priors `(2,)` of the training samples. Returns `(batch,)`,
    at least 0.

    >>> y_true, raw_scores = ops.array([[0.0], [1.0]]), ops.array([[0.0], [0.0]])
    >>> counts = {"class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in weighted_bce(y_true, raw_scores, tau=1.0, **counts)]
    ['0.3851', '3.4657']
    """
    log_n = ops.log(ops.maximum(like(class_counts, y_pred), 1.0))
    w = mean_one(ops.exp(tau * (ops.min(log_n) - log_n)), class_priors)
    return sample_mean(w[1] * y_true * ops.softplus(-y_pred) + w[0] * (1.0 - y_true) * ops.softplus(y_pred))


@sigmoid_loss(
    aliases=("binary_focal_loss", "binary_focal_crossentropy"),
    reference="Lin et al., Focal loss for dense object detection, 2017, arXiv:1708.02002",
    params=(
        Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"),
        Float("alpha", 0.25, 0.05, 0.95, domain="(0, 1)", optional=True),
    ),
    elicits="weighted mode",
    limits=(Limit({"gamma": 0.0, "alpha": None}, "binary_crossentropy"),),
    recommended=("binary", "segmentation"),
)
def binary_focal(y_true: Any, y_pred: Any, *, gamma: Any, alpha: Any) -> Any:
    """Cross-entropy that fades on well classified samples; alpha is the weight of class 1, 1 - alpha of class 0.

        -alpha_t (1 - p_t)^gamma log p_t

    alpha_t is alpha for class 1 and 1 - alpha for class 0. y_true `(batch, *spatial_shape, 1)` in [0, 1]; y_pred of
    the same shape; gamma at least 0; alpha in (0, 1), or None for no weights. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0]]), ops.array([[0.0]])
    >>> print(f"{float(binary_focal(y_true, raw_scores, gamma=2.0, alpha=0.25)[0]):.4f}")
    0.0433
    """
    minus_log_1, minus_log_0 = ops.softplus(-y_pred), ops.softplus(y_pred)
    # (1 - p)^gamma = exp(gamma log(1 - p)): the power itself has no gradient at p = 1 for gamma < 1
    loss_1 = y_true * ops.exp(-gamma * minus_log_0) * minus_log_1
    loss_0 = (1.0 - y_true) * ops.exp(-gamma * minus_log_1) * minus_log_0
    return sample_mean(loss_1 + loss_0 if alpha is None else alpha * loss_1 + (1.0 - alpha) * loss_0)


@sigmoid_loss(
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    params=(Float("m", 0.5, 0.5, 0.95, domain="(0, 1)"),),
    non_differentiable_points=True,
    elicits="mode",
    limits=(Limit({"m": 1.0 - 1e-7}, "binary_crossentropy"),),
)
def hard_truncated_bce(y_true: Any, y_pred: Any, *, m: Any) -> Any:
    """Cross-entropy of the samples that are not yet right with probability m.

        1[p_t <= m] softplus(-s)

    A sample that is right with more than probability m has no gradient. y_true `(batch, *spatial_shape, 1)` in [0,
    1]; y_pred of the same shape; m in (0, 1). Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0], [0.0]]), ops.array([[0.1], [0.1]])
    >>> [f"{float(v):.4f}" for v in hard_truncated_bce(y_true, raw_scores, m=0.5)]
    ['0.0000', '0.7444']
    """
    p = ops.sigmoid(y_pred)
    loss_1 = ops.where(p <= m, ops.softplus(-y_pred), 0.0)
    loss_0 = ops.where(1.0 - p <= m, ops.softplus(y_pred), 0.0)
    return sample_mean(y_true * loss_1 + (1.0 - y_true) * loss_0)


@sigmoid_loss(
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    params=(Float("kappa", 1.0, 0.25, 8.0, log=True, domain="(0, inf)"),),
    elicits="mode",
    limits=(
        Limit({"kappa": 1.0}, "binary_focal", {"gamma": 1.0, "alpha": None}),
        Limit({"kappa": 1e6}, "hard_truncated_bce", {"m": 0.5}),
    ),
)
def softened_bce(y_true: Any, y_pred: Any, *, kappa: Any) -> Any:
    """A smooth truncation of cross-entropy: focal loss with another parameter.

        sigmoid(-kappa s) softplus(-s)

    kappa = 1 is focal loss with gamma = 1, kappa -> inf truncation at 1/2. y_true `(batch, *spatial_shape, 1)` in
    [0, 1]; y_pred of the same shape; kappa > 0. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0]]), ops.array([[0.0]])
    >>> print(f"{float(softened_bce(y_true, raw_scores, kappa=1.0)[0]):.4f}")
    0.3466
    """
    loss_1 = ops.sigmoid(-kappa * y_pred) * ops.softplus(-y_pred)
    loss_0 = ops.sigmoid(kappa * y_pred) * ops.softplus(y_pred)
    return sample_mean(y_true * loss_1 + (1.0 - y_true) * loss_0)


@margin_loss(
    params=(MARGIN,),
    aliases=("hinge_loss",),
    reference="Cortes and Vapnik, Support-vector networks, 1995",
    non_differentiable_points=True,
)
def hinge(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """The support vector machine's loss: zero beyond the margin.

        max(0, margin - y z)

    y_true `(batch, *spatial_shape, 1)`, -1 or 1; y_pred of the same shape; margin > 0. Returns `(batch,)`, at least
    0.

    >>> y_true, raw_scores = ops.array([[-1.0]]), ops.array([[0.5]])
    >>> print(f"{float(hinge(y_true, raw_scores, margin=1.0)[0]):.4f}")
    1.5000
    """
    return sample_mean(ops.relu(margin - y_true * y_pred))


@margin_loss(
    params=(MARGIN,),
    aliases=("l2_hinge",),
    reference="Tang, Deep learning using linear support vector machines, 2013, arXiv:1306.0239",
)
def squared_hinge(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """The hinge squared: smooth at the margin, harder on outliers.

        max(0, margin - y z)^2

    y_true `(batch, *spatial_shape, 1)`, -1 or 1; y_pred of the same shape; margin > 0. Returns `(batch,)`, at least
    0.

    >>> y_true, raw_scores = ops.array([[-1.0]]), ops.array([[0.5]])
    >>> print(f"{float(squared_hinge(y_true, raw_scores, margin=1.0)[0]):.4f}")
    2.2500
    """
    return sample_mean(ops.square(ops.relu(margin - y_true * y_pred)))
