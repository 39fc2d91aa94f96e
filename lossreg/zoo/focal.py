"""Losses of k raw scores that fade, or stop, on samples already well classified."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.params import Float, PerClass
from lossreg.zoo.multiclass import softmax_loss
from lossreg.zoo.numerics import expected, log_other, weighted


def focal(y_true: Any, y_pred: Any, *, gamma: Any, alpha: Any) -> Any:
    """-alpha_t (1 - p_t)^gamma log p_t.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; gamma at least 0; alpha `(k,)`, one positive weight a class, or None; returns
    `(batch,)`, at least 0. arXiv:1708.02002.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(focal(y_true, scores, gamma=2.0, alpha=[1.0, 3.0])[0]):.4f}")
    0.5199
    """
    # (1 - p)^gamma = exp(gamma log(1 - p)): the power itself has no gradient at p = 1 for gamma < 1
    fade = ops.exp(gamma * log_other(y_pred))
    return expected(weighted(y_true, alpha), -fade * ops.log_softmax(y_pred, axis=-1))


FOCAL = softmax_loss(
    name="focal",
    function=focal,
    aliases=(
        "focal_loss",
        "categorical_focal",
        "categorical_focal_loss",
        "categorical_focal_crossentropy",
        "catergorical_focal_loss",
    ),
    summary="Cross-entropy that fades on well classified samples, with a weight a class.",
    reference="Lin et al., Focal loss for dense object detection, 2017, arXiv:1708.02002",
    formula="-alpha_t (1 - p_t)^gamma log p_t",
    params=(Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"), PerClass("alpha")),
    elicits="weighted mode",
    limits=(Limit({"gamma": 0.0}, "cross_entropy"),),
    recommended=("multiclass",),
)


def hard_truncated_ce(y_true: Any, y_pred: Any, *, m: Any) -> Any:
    """1[p_t <= m] (-log p_t): no gradient once a sample is right with probability m.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; m in (0, 1); returns `(batch,)`, at least 0. Su, 2017.

    >>> y_true, scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.1, 0.0], [0.1, 0.0]])
    >>> [f"{float(v):.4f}" for v in hard_truncated_ce(y_true, scores, m=0.5)]
    ['0.0000', '0.7444']
    """
    open_ = ops.softmax(y_pred, axis=-1) <= m
    return expected(y_true, ops.where(open_, -ops.log_softmax(y_pred, axis=-1), 0.0))


HARD_TRUNCATED_CE = softmax_loss(
    name="hard_truncated_ce",
    function=hard_truncated_ce,
    aliases=("hard_truncated_cross_entropy",),
    summary="Cross-entropy of the samples that are not yet right with probability m.",
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    formula="1[p_t <= m] (-log p_t)",
    params=(Float("m", 0.5, 0.5, 0.95, domain="(0, 1)"),),
    kinks=True,
    elicits="mode",
    limits=(Limit({"m": 1.0 - 1e-7}, "cross_entropy"),),
)


def softened_ce(y_true: Any, y_pred: Any, *, kappa: Any) -> Any:
    """-sigmoid(-kappa logit(p_t)) log p_t: the truncation made smooth.

    kappa = 1 is focal loss with gamma = 1 for every k, kappa -> inf truncation at 1/2. y_true
    `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw scores;
    kappa > 0; returns `(batch,)`, at least 0. Su, 2017, with logit(p_t) in place of its scores.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(softened_ce(y_true, scores, kappa=1.0)[0]):.4f}")
    0.3466
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(y_true, -ops.sigmoid(kappa * (log_other(y_pred) - log_p)) * log_p)


SOFTENED_CE = softmax_loss(
    name="softened_ce",
    function=softened_ce,
    aliases=("softened_cross_entropy",),
    summary="A smooth truncation of cross-entropy: focal loss with another knob.",
    reference="Su, From hard truncation and softening of the loss to focal loss, 2017",
    formula="-sigmoid(-kappa logit(p_t)) log p_t",
    params=(Float("kappa", 1.0, 0.25, 8.0, log=True, domain="(0, inf)"),),
    elicits="mode",
    limits=(
        Limit({"kappa": 1.0}, "focal", {"gamma": 1.0}),
        Limit({"kappa": 1e6}, "hard_truncated_ce", {"m": 0.5}),
    ),
)


def poly1_ce(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """-log p_t + eps (1 - p_t): the first term of the series of -log p_t in 1 - p_t made larger or smaller.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; eps at least -1; returns `(batch,)`, at least 0. arXiv:2204.12511.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(poly1_ce(y_true, scores, eps=1.0)[0]):.4f}")
    1.1931
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(y_true, -log_p - eps * ops.expm1(log_p))


POLY1_CE = softmax_loss(
    name="poly1_ce",
    function=poly1_ce,
    aliases=("poly1", "poly_loss", "poly1_cross_entropy"),
    summary="Cross-entropy plus a multiple of 1 - p_t: one knob that suits the loss to the data.",
    reference="Leng et al., PolyLoss, 2022, arXiv:2204.12511",
    formula="-log p_t + eps (1 - p_t)",
    params=(Float("eps", 1.0, -1.0, 5.0, domain="[-1, inf)"),),
    elicits="mode",
    limits=(Limit({"eps": 0.0}, "cross_entropy"),),
)


def poly1_focal(y_true: Any, y_pred: Any, *, gamma: Any, eps: Any) -> Any:
    """-(1 - p_t)^gamma log p_t + eps (1 - p_t)^(gamma + 1).

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; gamma at least 0; eps at least -1; returns `(batch,)`, at least 0. arXiv:2204.12511.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(poly1_focal(y_true, scores, gamma=2.0, eps=1.0)[0]):.4f}")
    0.2983
    """
    log_q = log_other(y_pred)
    return expected(y_true, ops.exp(gamma * log_q) * (eps * ops.exp(log_q) - ops.log_softmax(y_pred, axis=-1)))


POLY1_FOCAL = softmax_loss(
    name="poly1_focal",
    function=poly1_focal,
    aliases=("poly1_focal_loss",),
    summary="Focal loss plus a multiple of its first neglected power of 1 - p_t.",
    reference="Leng et al., PolyLoss, 2022, arXiv:2204.12511",
    formula="-(1 - p_t)^gamma log p_t + eps (1 - p_t)^(gamma + 1)",
    params=(
        Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"),
        Float("eps", 1.0, -1.0, 5.0, domain="[-1, inf)"),
    ),
    elicits="mode",
    limits=(Limit({"eps": 0.0}, "focal"), Limit({"gamma": 0.0}, "poly1_ce")),
)

LOSSES = (FOCAL, HARD_TRUNCATED_CE, SOFTENED_CE, POLY1_CE, POLY1_FOCAL)
