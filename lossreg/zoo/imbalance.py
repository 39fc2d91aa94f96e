"""Cross-entropies that weigh rare classes up.

Weights have mean 1 over the training rows (sum_k prior_k w_k = 1), so that a weight is a ratio
and not a hidden learning rate. A class without rows counts as one with a single row.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.params import Float
from lossreg.zoo.multiclass import softmax_loss
from lossreg.zoo.parts import expected, like

counting_loss = partial(softmax_loss, needs=("class_counts", "class_priors"))


def _per_row(weights: Any, priors: Any) -> Any:
    """Weights `(k,)` scaled to mean 1 over the rows."""
    return weights / ops.sum(like(priors, weights) * weights)


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
    n = ops.maximum(like(class_counts, y_pred), 1.0)
    # 1 - beta^n = -expm1(n log(beta)); the common factor 1 - beta goes in the scaling
    w = -1.0 / ops.expm1(n * ops.log1p(-like(one_minus_beta, y_pred)))
    return expected(y_true * _per_row(w, class_priors), -ops.log_softmax(y_pred, axis=-1))


CLASS_BALANCED_CE = counting_loss(
    name="class_balanced_ce",
    function=class_balanced_ce,
    aliases=("class_balanced", "class_balanced_cross_entropy", "cb_ce"),
    summary="Cross-entropy weighted by the effective number of samples of each class.",
    reference="Cui et al., Class-balanced loss based on effective number of samples, 2019, arXiv:1901.05555",
    formula="-w_t log p_t, w ~ (1 - beta)/(1 - beta^n), sum of prior x w = 1",
    params=(Float("one_minus_beta", 0.01, 1e-4, 0.1, log=True, domain="(0, 1)"),),
    elicits="mode",
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
    n = ops.maximum(like(class_counts, y_pred), 1.0)
    w = ops.exp(-tau * ops.log(n / ops.max(n)))
    return expected(y_true * _per_row(w, class_priors), -ops.log_softmax(y_pred, axis=-1))


WEIGHTED_CE = counting_loss(
    name="weighted_ce",
    function=weighted_ce,
    aliases=("weighted_cross_entropy",),
    summary="Cross-entropy weighted by a power of the class counts.",
    reference="King and Zeng, Logistic regression in rare events data, 2001",
    formula="-w_t log p_t, w ~ n^-tau, sum of prior x w = 1",
    params=(Float("tau", 1.0, 0.0, 1.5, domain="[0, inf)"),),
    elicits="mode",
)

LOSSES = (CLASS_BALANCED_CE, WEIGHTED_CE)
