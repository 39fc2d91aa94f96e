"""Losses of k raw scores that weigh rare classes up, or give them wider margins.

Weights have mean 1 over the training rows (sum_k prior_k w_k = 1), so that a weight is a ratio
and not a hidden learning rate. A class without rows counts as one with a single row.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.params import Float
from lossreg.zoo.multiclass import softmax_loss
from lossreg.zoo.numerics import expected, like, log_other, per_row

counting_loss = partial(softmax_loss, needs=("class_counts", "class_priors"))


def _rows(class_counts: Any, y_pred: Any) -> Any:
    """Rows of each class `(k,)`, at least 1."""
    return ops.maximum(like(class_counts, y_pred), 1.0)


def _class_balanced(one_minus_beta: Any, class_counts: Any, class_priors: Any, y_pred: Any) -> Any:
    """Weights `(k,)` proportional to 1/(1 - beta^n): the common factor 1 - beta goes in the scaling."""
    # beta^n - 1 = expm1(n log(beta))
    exponents = _rows(class_counts, y_pred) * ops.log1p(-like(one_minus_beta, y_pred))
    return per_row(-1.0 / ops.expm1(exponents), class_priors)


def class_balanced_ce(y_true: Any, y_pred: Any, *, one_minus_beta: Any, class_counts: Any, class_priors: Any) -> Any:
    """-w_t log p_t, w_k proportional to (1 - beta)/(1 - beta^n_k).

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; one_minus_beta in (0, 1); class_counts n `(k,)` and class_priors `(k,)` of the
    training rows; returns `(batch,)`, at least 0. arXiv:1901.05555.

    >>> y_true, scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> counts = {"class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in class_balanced_ce(y_true, scores, one_minus_beta=0.001, **counts)]
    ['0.4550', '2.8367']
    """
    w = _class_balanced(one_minus_beta, class_counts, class_priors, y_pred)
    return expected(y_true * w, -ops.log_softmax(y_pred, axis=-1))


CLASS_BALANCED_CE = counting_loss(
    name="class_balanced_ce",
    function=class_balanced_ce,
    aliases=("class_balanced", "class_balanced_cross_entropy", "cb_ce"),
    summary="Cross-entropy weighted by the effective number of samples of each class.",
    reference="Cui et al., Class-balanced loss based on effective number of samples, 2019, arXiv:1901.05555",
    formula="-w_t log p_t, w ~ (1 - beta)/(1 - beta^n), sum of prior x w = 1",
    params=(Float("one_minus_beta", 0.01, 1e-4, 0.1, log=True, domain="(0, 1)"),),
    elicits="weighted mode",
    limits=(Limit({"one_minus_beta": 1.0 - 1e-6}, "cross_entropy"),),
    recommended=("binary", "multiclass"),
)


def weighted_ce(y_true: Any, y_pred: Any, *, tau: Any, class_counts: Any, class_priors: Any) -> Any:
    """-w_t log p_t, w_k proportional to n_k^-tau: tau = 1 makes every class count the same.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; tau at least 0; class_counts n `(k,)` and class_priors `(k,)` of the training rows;
    returns `(batch,)`, at least 0. King and Zeng, 2001.

    >>> y_true, scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> counts = {"class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in weighted_ce(y_true, scores, tau=1.0, **counts)]
    ['0.3851', '3.4657']
    """
    log_n = ops.log(_rows(class_counts, y_pred))
    w = per_row(ops.exp(tau * (ops.min(log_n) - log_n)), class_priors)
    return expected(y_true * w, -ops.log_softmax(y_pred, axis=-1))


WEIGHTED_CE = counting_loss(
    name="weighted_ce",
    function=weighted_ce,
    aliases=("weighted_cross_entropy",),
    summary="Cross-entropy weighted by a power of the class counts.",
    reference="King and Zeng, Logistic regression in rare events data, 2001",
    formula="-w_t log p_t, w ~ n^-tau, sum of prior x w = 1",
    params=(Float("tau", 1.0, 0.0, 1.5, domain="[0, inf)"),),
    elicits="weighted mode",
    limits=(Limit({"tau": 0.0}, "cross_entropy"),),
)


def class_balanced_focal(
    y_true: Any, y_pred: Any, *, gamma: Any, one_minus_beta: Any, class_counts: Any, class_priors: Any
) -> Any:
    """-w_t (1 - p_t)^gamma log p_t, w_k proportional to (1 - beta)/(1 - beta^n_k).

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; gamma at least 0; one_minus_beta in (0, 1); class_counts n `(k,)` and class_priors
    `(k,)` of the training rows; returns `(batch,)`, at least 0. arXiv:1901.05555.

    >>> y_true, scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> given = {"one_minus_beta": 0.001, "class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in class_balanced_focal(y_true, scores, gamma=1.0, **given)]
    ['0.2275', '1.4184']
    """
    w = _class_balanced(one_minus_beta, class_counts, class_priors, y_pred)
    fade = ops.exp(gamma * log_other(y_pred))
    return expected(y_true * w, -fade * ops.log_softmax(y_pred, axis=-1))


CLASS_BALANCED_FOCAL = counting_loss(
    name="class_balanced_focal",
    function=class_balanced_focal,
    aliases=("class_balanced_focal_loss", "cb_focal"),
    summary="Focal loss weighted by the effective number of samples of each class.",
    reference="Cui et al., Class-balanced loss based on effective number of samples, 2019, arXiv:1901.05555",
    formula="-w_t (1 - p_t)^gamma log p_t, w ~ (1 - beta)/(1 - beta^n), sum of prior x w = 1",
    params=(
        Float("gamma", 1.0, 0.5, 2.0, domain="[0, inf)"),
        Float("one_minus_beta", 0.01, 1e-4, 0.1, log=True, domain="(0, 1)"),
    ),
    elicits="weighted mode",
    limits=(Limit({"gamma": 0.0}, "class_balanced_ce"),),
)


def ldam(y_true: Any, y_pred: Any, *, max_m: Any, s: Any, class_counts: Any) -> Any:
    """Cross-entropy of s z, the true class's score lowered by a margin m_t before it is scaled.

    m_k = max_m (n_min/n_k)^(1/4): the rarest class has the margin max_m. y_true
    `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw scores;
    max_m at least 0; s > 0 (30 is for scores that are cosines); class_counts n `(k,)` of the
    training rows; returns `(batch,)`, at least 0. arXiv:1906.07413.

    >>> y_true, scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> [f"{float(v):.4f}" for v in ldam(y_true, scores, max_m=0.5, s=1.0, class_counts=[1600, 100])]
    ['0.8259', '0.9741']
    """
    log_n = ops.log(_rows(class_counts, y_pred))
    margins = max_m * ops.exp(0.25 * (ops.min(log_n) - log_n))
    z = s * y_pred
    # log(1 + e^(s m) (1 - p)/p), p being softmax(s z)
    return expected(y_true, ops.softplus(log_other(z) - ops.log_softmax(z, axis=-1) + s * margins))


LDAM = softmax_loss(
    name="ldam",
    function=ldam,
    aliases=("ldam_loss", "label_distribution_aware_margin"),
    summary="Cross-entropy with a margin that is wider for rarer classes.",
    reference="Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss, 2019, "
    "arXiv:1906.07413",
    formula="CE(s (z - m_t 1_t)), m = max_m (n_min/n)^(1/4)",
    params=(
        Float("max_m", 0.5, 0.1, 1.0, domain="[0, inf)"),
        Float("s", 1.0, 1.0, 30.0, log=True, domain="(0, inf)"),
    ),
    needs=("class_counts",),
    elicits="weighted mode",
    limits=(Limit({"max_m": 0.0}, "cross_entropy"),),
)


def logit_adjusted_ce(y_true: Any, y_pred: Any, *, tau: Any, class_counts: Any) -> Any:
    """Cross-entropy of z + tau log(prior): the scores that are left favour no class for being common.

    Predictions use z alone. y_true `(batch, *space, k)` one-hot or class probabilities; y_pred
    `(batch, *space, k)` raw scores; tau at least 0; class_counts `(k,)` of the training rows;
    returns `(batch,)`, at least 0. arXiv:2007.07314.

    >>> y_true, scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> [f"{float(v):.4f}" for v in logit_adjusted_ce(y_true, scores, tau=1.0, class_counts=[900, 100])]
    ['0.1054', '2.3026']
    """
    # log(prior) is log(n) less a constant, which softmax does not see
    log_n = ops.log(_rows(class_counts, y_pred))
    return expected(y_true, -ops.log_softmax(y_pred + tau * (log_n - ops.max(log_n)), axis=-1))


LOGIT_ADJUSTED_CE = softmax_loss(
    name="logit_adjusted_ce",
    function=logit_adjusted_ce,
    aliases=("logit_adjustment", "logit_adjusted", "logit_adjusted_cross_entropy", "balanced_softmax"),
    summary="Cross-entropy of scores shifted by the log of the priors: balanced accuracy. tau = 1 is balanced softmax.",
    reference="Menon et al., Long-tail learning via logit adjustment, 2020, arXiv:2007.07314; Ren et al., "
    "Balanced meta-softmax, 2020, arXiv:2007.10740",
    formula="CE(z + tau log prior)",
    params=(Float("tau", 1.0, 0.0, 2.0, domain="[0, inf)"),),
    needs=("class_counts",),
    elicits="probability were the classes equally common (tau = 1)",
    limits=(Limit({"tau": 0.0}, "cross_entropy"),),
    recommended=("binary", "multiclass"),
)

LOSSES = (CLASS_BALANCED_CE, WEIGHTED_CE, CLASS_BALANCED_FOCAL, LDAM, LOGIT_ADJUSTED_CE)
