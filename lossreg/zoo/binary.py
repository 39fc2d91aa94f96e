"""Losses on one logit z for labels 0 and 1: p is sigmoid(z)."""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.params import Float
from lossreg.contract.spec import LossSpec
from lossreg.zoo.numerics import like, per_row, sample_mean

sigmoid_loss = partial(
    LossSpec,
    tasks=("binary", "segmentation"),
    target="binary",
    outputs="1",
    activation="sigmoid",
    probabilistic=True,
)
margin_loss = partial(
    LossSpec,
    tasks=("binary",),
    target="signed",
    outputs="1",
    activation="identity",
    params=(Float("margin", 1.0, 0.25, 2.0, log=True, domain="(0, inf)"),),
    symmetric=True,
    elicits="mode",
)


def binary_crossentropy(y_true: Any, y_pred: Any, *, label_smoothing: Any) -> Any:
    """-y log p - (1 - y) log(1 - p), y moved by label_smoothing towards 1/2.

    y_true `(batch, *space, 1)` in [0, 1]; y_pred of the same shape, logits; label_smoothing in
    [0, 1); returns `(batch,)`, in nats, at least 0. Cox, 1958.

    >>> y_true, logits = ops.array([[1.0]]), ops.array([[2.0]])
    >>> print(f"{float(binary_crossentropy(y_true, logits, label_smoothing=0.0)[0]):.4f}")
    0.1269
    """
    y = y_true + label_smoothing * (0.5 - y_true)
    return sample_mean(y * ops.softplus(-y_pred) + (1.0 - y) * ops.softplus(y_pred))


BINARY_CROSSENTROPY = sigmoid_loss(
    name="binary_crossentropy",
    function=binary_crossentropy,
    aliases=("binary_cross_entropy", "bce", "logistic", "sigmoid_cross_entropy"),
    summary="Cross-entropy of sigmoid, with optional label smoothing.",
    reference="Cox, The regression analysis of binary sequences, 1958",
    formula="softplus(-s)",
    params=(Float("label_smoothing", 0.0, 0.0, 0.2, domain="[0, 1)"),),
    minimum=None,
    elicits="probability",
    recommended=("segmentation",),
    twin_of="cross_entropy",
)


def weighted_bce(y_true: Any, y_pred: Any, *, tau: Any, class_counts: Any, class_priors: Any) -> Any:
    """w_1 y softplus(-z) + w_0 (1 - y) softplus(z), w_1/w_0 = (n_0/n_1)^tau, mean 1 over the rows.

    y_true `(batch, *space, 1)` in [0, 1]; y_pred of the same shape, logits; tau at least 0;
    class_counts `(2,)`, n_0 and n_1, and class_priors `(2,)` of the training rows; returns
    `(batch,)`, at least 0. King and Zeng, 2001.

    >>> y_true, logits = ops.array([[0.0], [1.0]]), ops.array([[0.0], [0.0]])
    >>> counts = {"class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in weighted_bce(y_true, logits, tau=1.0, **counts)]
    ['0.3851', '3.4657']
    """
    log_n = ops.log(ops.maximum(like(class_counts, y_pred), 1.0))
    w = per_row(ops.exp(tau * (ops.min(log_n) - log_n)), class_priors)
    return sample_mean(w[1] * y_true * ops.softplus(-y_pred) + w[0] * (1.0 - y_true) * ops.softplus(y_pred))


WEIGHTED_BCE = sigmoid_loss(
    name="weighted_bce",
    function=weighted_bce,
    aliases=("weighted_binary_crossentropy", "weighted_binary_cross_entropy"),
    summary="Cross-entropy of sigmoid, the rarer label weighing more.",
    reference="King and Zeng, Logistic regression in rare events data, 2001",
    formula="w+ y softplus(-z) + (1 - y) softplus(z), w+ = (n-/n+)^tau, scaled to mean 1 over the rows",
    params=(Float("tau", 1.0, 0.0, 1.5, domain="[0, inf)"),),
    needs=("class_counts", "class_priors"),
    elicits="weighted mode",
    limits=(Limit({"tau": 0.0}, "binary_crossentropy"),),
    recommended=("segmentation",),
    twin_of="weighted_ce",
)


def binary_focal(y_true: Any, y_pred: Any, *, gamma: Any, alpha: Any) -> Any:
    """-alpha_t (1 - p_t)^gamma log p_t, with alpha on class 1 and 1 - alpha on class 0.

    y_true `(batch, *space, 1)` in [0, 1]; y_pred of the same shape, logits; gamma at least 0;
    alpha in (0, 1), or None for no weights; returns `(batch,)`, at least 0. arXiv:1708.02002.

    >>> y_true, logits = ops.array([[1.0]]), ops.array([[0.0]])
    >>> print(f"{float(binary_focal(y_true, logits, gamma=2.0, alpha=0.25)[0]):.4f}")
    0.0433
    """
    minus_log_1, minus_log_0 = ops.softplus(-y_pred), ops.softplus(y_pred)
    # (1 - p)^gamma = exp(gamma log(1 - p)): the power itself has no gradient at p = 1 for gamma < 1
    loss_1 = y_true * ops.exp(-gamma * minus_log_0) * minus_log_1
    loss_0 = (1.0 - y_true) * ops.exp(-gamma * minus_log_1) * minus_log_0
    return sample_mean(loss_1 + loss_0 if alpha is None else alpha * loss_1 + (1.0 - alpha) * loss_0)


BINARY_FOCAL = sigmoid_loss(
    name="binary_focal",
    function=binary_focal,
    aliases=("binary_focal_loss", "binary_focal_crossentropy"),
    summary="Cross-entropy that fades on well classified samples; class 1 weighs alpha, class 0 the rest of 1.",
    reference="Lin et al., Focal loss for dense object detection, 2017, arXiv:1708.02002",
    formula="-alpha_t (1 - p_t)^gamma log p_t",
    params=(
        Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"),
        Float("alpha", 0.25, 0.05, 0.95, domain="(0, 1)", optional=True),
    ),
    elicits="weighted mode",
    limits=(Limit({"gamma": 0.0, "alpha": None}, "binary_crossentropy"),),
    recommended=("binary", "segmentation"),
)


def hard_truncated_bce(y_true: Any, y_pred: Any, *, m: Any) -> Any:
    """1[p_t <= m] (-log p_t): no gradient once a sample is right with probability m.

    y_true `(batch, *space, 1)` in [0, 1]; y_pred of the same shape, logits; m in (0, 1);
    returns `(batch,)`, at least 0. Su, 2017.

    >>> y_true, logits = ops.array([[1.0], [0.0]]), ops.array([[0.1], [0.1]])
    >>> [f"{float(v):.4f}" for v in hard_truncated_bce(y_true, logits, m=0.5)]
    ['0.0000', '0.7444']
    """
    p = ops.sigmoid(y_pred)
    loss_1 = ops.where(p <= m, ops.softplus(-y_pred), 0.0)
    loss_0 = ops.where(1.0 - p <= m, ops.softplus(y_pred), 0.0)
    return sample_mean(y_true * loss_1 + (1.0 - y_true) * loss_0)


HARD_TRUNCATED_BCE = sigmoid_loss(
    name="hard_truncated_bce",
    function=hard_truncated_bce,
    summary="Cross-entropy of the samples that are not yet right with probability m.",
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    formula="1[p_t <= m] softplus(-s)",
    params=(Float("m", 0.5, 0.5, 0.95, domain="(0, 1)"),),
    kinks=True,
    elicits="mode",
    limits=(Limit({"m": 1.0 - 1e-7}, "binary_crossentropy"),),
)


def softened_bce(y_true: Any, y_pred: Any, *, kappa: Any) -> Any:
    """sigmoid(-kappa s) softplus(-s): the truncation made smooth.

    kappa = 1 is focal loss with gamma = 1, kappa -> inf truncation at 1/2. y_true
    `(batch, *space, 1)` in [0, 1]; y_pred of the same shape, logits; kappa > 0; returns
    `(batch,)`, at least 0. Su, 2017.

    >>> y_true, logits = ops.array([[1.0]]), ops.array([[0.0]])
    >>> print(f"{float(softened_bce(y_true, logits, kappa=1.0)[0]):.4f}")
    0.3466
    """
    loss_1 = ops.sigmoid(-kappa * y_pred) * ops.softplus(-y_pred)
    loss_0 = ops.sigmoid(kappa * y_pred) * ops.softplus(y_pred)
    return sample_mean(y_true * loss_1 + (1.0 - y_true) * loss_0)


SOFTENED_BCE = sigmoid_loss(
    name="softened_bce",
    function=softened_bce,
    summary="A smooth truncation of cross-entropy: focal loss with another knob.",
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    formula="sigmoid(-kappa s) softplus(-s)",
    params=(Float("kappa", 1.0, 0.25, 8.0, log=True, domain="(0, inf)"),),
    elicits="mode",
    limits=(
        Limit({"kappa": 1.0}, "binary_focal", {"gamma": 1.0, "alpha": None}),
        Limit({"kappa": 1e6}, "hard_truncated_bce", {"m": 0.5}),
    ),
)


def hinge(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """max(0, margin - y z).

    y_true `(batch, *space, 1)`, -1 or 1; y_pred of the same shape, decision values; margin > 0;
    returns `(batch,)`, at least 0. Cortes and Vapnik, 1995.

    >>> y_true, scores = ops.array([[-1.0]]), ops.array([[0.5]])
    >>> print(f"{float(hinge(y_true, scores, margin=1.0)[0]):.4f}")
    1.5000
    """
    return sample_mean(ops.relu(margin - y_true * y_pred))


HINGE = margin_loss(
    name="hinge",
    function=hinge,
    aliases=("hinge_loss",),
    summary="The support vector machine's loss: zero beyond the margin.",
    reference="Cortes and Vapnik, Support-vector networks, 1995",
    formula="max(0, margin - y z)",
    kinks=True,
)


def squared_hinge(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """max(0, margin - y z)^2.

    y_true `(batch, *space, 1)`, -1 or 1; y_pred of the same shape, decision values; margin > 0;
    returns `(batch,)`, at least 0. arXiv:1306.0239.

    >>> y_true, scores = ops.array([[-1.0]]), ops.array([[0.5]])
    >>> print(f"{float(squared_hinge(y_true, scores, margin=1.0)[0]):.4f}")
    2.2500
    """
    return sample_mean(ops.square(ops.relu(margin - y_true * y_pred)))


SQUARED_HINGE = margin_loss(
    name="squared_hinge",
    function=squared_hinge,
    aliases=("l2_hinge",),
    summary="The hinge squared: smooth at the margin, harder on outliers.",
    reference="Tang, Deep learning using linear support vector machines, 2013, arXiv:1306.0239",
    formula="max(0, margin - y z)^2",
)

LOSSES = (
    BINARY_CROSSENTROPY,
    WEIGHTED_BCE,
    BINARY_FOCAL,
    HARD_TRUNCATED_BCE,
    SOFTENED_BCE,
    HINGE,
    SQUARED_HINGE,
)
