"""Losses of k raw scores that weigh rare classes up, or give them wider margins.

Weights have mean 1 over the training samples (sum_k prior_k w_k = 1), so that a weight is a ratio
and not a hidden learning rate. A class without samples counts as one with a single sample.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import softmax_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import expected, like, log_other, mean_one

counting_loss = partial(softmax_loss, needs=("class_counts", "class_priors"))


def _class_samples(class_counts: Any, y_pred: Any) -> Any:
    """Samples of each class `(k,)`, at least 1."""
    return ops.maximum(like(class_counts, y_pred), 1.0)


def _class_balanced(one_minus_beta: Any, class_counts: Any, class_priors: Any, y_pred: Any) -> Any:
    """Weights `(k,)` proportional to 1/(1 - beta^n): the common factor 1 - beta goes in the scaling."""
    # beta^n - 1 = expm1(n log(beta))
    exponents = _class_samples(class_counts, y_pred) * ops.log1p(-like(one_minus_beta, y_pred))
    return mean_one(-1.0 / ops.expm1(exponents), class_priors)


@counting_loss(
    aliases=("class_balanced", "class_balanced_cross_entropy", "cb_ce"),
    reference="Cui et al., Class-balanced loss based on effective number of samples, 2019, arXiv:1901.05555",
    params=(Float("one_minus_beta", 0.01, 1e-4, 0.1, log=True, domain="(0, 1)"),),
    elicits="weighted mode",
    limits=(Limit({"one_minus_beta": 1.0 - 1e-6}, "cross_entropy"),),
    recommended=("binary", "multiclass"),
)
def class_balanced_ce(y_true: Any, y_pred: Any, *, one_minus_beta: Any, class_counts: Any, class_priors: Any) -> Any:
    """Cross-entropy weighted by the effective number of samples of each class.

        -w_t log p_t, w ~ (1 - beta)/(1 - beta^n), sum of prior x w = 1

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; one_minus_beta in
    (0, 1); class_counts n `(k,)` and class_priors `(k,)` of the training samples. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> counts = {"class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in class_balanced_ce(y_true, raw_scores, one_minus_beta=0.001, **counts)]
    ['0.4550', '2.8367']
    """
    w = _class_balanced(one_minus_beta, class_counts, class_priors, y_pred)
    return expected(y_true * w, -ops.log_softmax(y_pred, axis=-1))


@counting_loss(
    aliases=("weighted_cross_entropy",),
    reference="King and Zeng, Logistic regression in rare events data, 2001",
    params=(Float("tau", 1.0, 0.0, 1.5, domain="[0, inf)"),),
    elicits="weighted mode",
    limits=(Limit({"tau": 0.0}, "cross_entropy"),),
)
def weighted_ce(y_true: Any, y_pred: Any, *, tau: Any, class_counts: Any, class_priors: Any) -> Any:
    """Cross-entropy weighted by a power of the class counts.

        -w_t log p_t, w ~ n^-tau, sum of prior x w = 1

    With tau = 1 every class counts the same. y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities;
    y_pred of the same shape; tau at least 0; class_counts n `(k,)` and class_priors `(k,)` of the training samples.
    Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> counts = {"class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in weighted_ce(y_true, raw_scores, tau=1.0, **counts)]
    ['0.3851', '3.4657']
    """
    log_n = ops.log(_class_samples(class_counts, y_pred))
    w = mean_one(ops.exp(tau * (ops.min(log_n) - log_n)), class_priors)
    return expected(y_true * w, -ops.log_softmax(y_pred, axis=-1))


@counting_loss(
    aliases=("class_balanced_focal_loss", "cb_focal"),
    reference="Cui et al., Class-balanced loss based on effective number of samples, 2019, arXiv:1901.05555",
    params=(
        Float("gamma", 1.0, 0.5, 2.0, domain="[0, inf)"),
        Float("one_minus_beta", 0.01, 1e-4, 0.1, log=True, domain="(0, 1)"),
    ),
    elicits="weighted mode",
    limits=(Limit({"gamma": 0.0}, "class_balanced_ce"),),
)
def class_balanced_focal(
    y_true: Any, y_pred: Any, *, gamma: Any, one_minus_beta: Any, class_counts: Any, class_priors: Any
) -> Any:
    """Focal loss weighted by the effective number of samples of each class.

        -w_t (1 - p_t)^gamma log p_t, w ~ (1 - beta)/(1 - beta^n), sum of prior x w = 1

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; gamma at least 0;
    one_minus_beta in (0, 1); class_counts n `(k,)` and class_priors `(k,)` of the training samples. Returns
    `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> given = {"one_minus_beta": 0.001, "class_counts": [900, 100], "class_priors": [0.9, 0.1]}
    >>> [f"{float(v):.4f}" for v in class_balanced_focal(y_true, raw_scores, gamma=1.0, **given)]
    ['0.2275', '1.4184']
    """
    w = _class_balanced(one_minus_beta, class_counts, class_priors, y_pred)
    fade = ops.exp(gamma * log_other(y_pred))
    return expected(y_true * w, -fade * ops.log_softmax(y_pred, axis=-1))


@softmax_loss(
    aliases=("ldam_loss", "label_distribution_aware_margin"),
    reference="Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss, 2019, "
    "arXiv:1906.07413",
    params=(Float("max_m", 0.5, 0.1, 1.0, domain="[0, inf)"), Float("s", 1.0, 1.0, 30.0, log=True, domain="(0, inf)")),
    needs=("class_counts",),
    elicits="weighted mode",
    limits=(Limit({"max_m": 0.0}, "cross_entropy"),),
)
def ldam(y_true: Any, y_pred: Any, *, max_m: Any, s: Any, class_counts: Any) -> Any:
    """Cross-entropy with a margin that is wider for rarer classes.

        CE(s (z - m_t 1_t)), m = max_m (n_min/n)^(1/4)

    The true class's raw score is lowered by its margin, then scaled by s; the rarest class has the margin max_m.
    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; max_m at least 0;
    s > 0 (30 is for raw scores that are cosines); class_counts n `(k,)` of the training samples. Returns
    `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> [f"{float(v):.4f}" for v in ldam(y_true, raw_scores, max_m=0.5, s=1.0, class_counts=[1600, 100])]
    ['0.8259', '0.9741']
    """
    log_n = ops.log(_class_samples(class_counts, y_pred))
    margins = max_m * ops.exp(0.25 * (ops.min(log_n) - log_n))
    z = s * y_pred
    # log(1 + e^(s m) (1 - p)/p), p being softmax(s z)
    return expected(y_true, ops.softplus(log_other(z) - ops.log_softmax(z, axis=-1) + s * margins))


@softmax_loss(
    aliases=("logit_adjustment", "logit_adjusted", "logit_adjusted_cross_entropy", "balanced_softmax"),
    reference="Menon et al., Long-tail learning via logit adjustment, 2020, arXiv:2007.07314; Ren et al., "
    "Balanced meta-softmax, 2020, arXiv:2007.10740",
    params=(Float("tau", 1.0, 0.0, 2.0, domain="[0, inf)"),),
    needs=("class_counts",),
    elicits="probability were the classes equally common (tau = 1)",
    limits=(Limit({"tau": 0.0}, "cross_entropy"),),
    recommended=("binary", "multiclass"),
)
def logit_adjusted_ce(y_true: Any, y_pred: Any, *, tau: Any, class_counts: Any) -> Any:
    """Cross-entropy of raw scores shifted by the log of the priors: balanced accuracy. tau = 1 is balanced softmax.

        CE(z + tau log prior)

    Predictions use z alone, which favours no class for being common. y_true `(batch, *spatial_shape, k)`, one-hot
    or class probabilities; y_pred of the same shape; tau at least 0; class_counts `(k,)` of the training samples.
    Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [0.0, 0.0]])
    >>> [f"{float(v):.4f}" for v in logit_adjusted_ce(y_true, raw_scores, tau=1.0, class_counts=[900, 100])]
    ['0.1054', '2.3026']
    """
    # log(prior) is log(n) less a constant, which softmax does not see
    log_n = ops.log(_class_samples(class_counts, y_pred))
    return expected(y_true, -ops.log_softmax(y_pred + tau * (log_n - ops.max(log_n)), axis=-1))
