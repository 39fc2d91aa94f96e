"""Losses of k raw scores that are robust to wrong labels."""

from __future__ import annotations

from math import log
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import softmax_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import expected, like, log_softmax, missed, sample_mean

# the value given to -log(0) in the authors' code: a label of 0 is read as 1e-4
REVERSE_SCALE = -log(1e-4)


@softmax_loss(
    aliases=("gce", "generalized_ce", "categorical_generalized_cross_entropy"),
    reference="Zhang and Sabuncu, Generalized cross entropy loss, 2018, arXiv:1805.07836",
    params=(Float("q", 0.7, 0.05, 0.95, domain="(0, 1]"),),
    elicits="mode",
    limits=(Limit({"q": 1e-3}, "cross_entropy", rtol=5e-3), Limit({"q": 1.0}, "mae_classification", factor=0.5)),
    recommended=("binary", "multiclass"),
)
def generalized_cross_entropy(y_true: Any, y_pred: Any, *, q: Any) -> Any:
    """Between cross-entropy and mean absolute error: robust to wrong labels.

        (1 - p_t^q)/q

    This is cross-entropy as q -> 0, and 1 - p_t at q = 1. y_true `(batch, *spatial_shape, k)`, one-hot or class
    probabilities; y_pred of the same shape; q in (0, 1]. Returns `(batch,)`, between 0 and 1/q.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(generalized_cross_entropy(y_true, raw_scores, q=1.0)[0]):.4f}")
    0.5000
    """
    return expected(y_true, -ops.expm1(q * ops.log_softmax(y_pred, axis=-1)) / q)


@softmax_loss(
    aliases=("truncated_generalized_cross_entropy", "truncated_loss"),
    reference="Zhang and Sabuncu, Generalized cross entropy loss, 2018, arXiv:1805.07836",
    params=(Float("q", 0.7, 0.05, 0.95, domain="(0, 1]"), Float("c", 0.5, 0.1, 0.9, domain="(0, 1)")),
    non_differentiable_points=True,
    truncated=True,
    elicits="mode",
    limits=(Limit({"c": 1e-12}, "generalized_cross_entropy"),),
)
def truncated_gce(y_true: Any, y_pred: Any, *, q: Any, c: Any) -> Any:
    """Generalized cross-entropy that gives up samples far less likely than chance.

        (1 - max(p_t, c/K)^q)/q

    There is no gradient where p_t is at most c/K. The threshold is relative to the uniform 1/K, so that an
    untrained model is above it; the paper's is absolute. y_true `(batch, *spatial_shape, k)`, one-hot or class
    probabilities; y_pred of the same shape; q in (0, 1]; c in (0, 1). Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [9.0, 0.0]])
    >>> [f"{float(v):.4f}" for v in truncated_gce(y_true, raw_scores, q=1.0, c=0.5)]
    ['0.5000', '0.7500']
    """
    least = ops.log(like(c, y_pred) / y_pred.shape[-1])
    return expected(y_true, -ops.expm1(q * ops.maximum(ops.log_softmax(y_pred, axis=-1), least)) / q)


@softmax_loss(
    aliases=("sce", "symmetric_cross_entropy"),
    reference="Wang et al., Symmetric cross entropy for robust learning with noisy labels, 2019, arXiv:1908.06112",
    params=(
        Float("alpha", 0.1, 0.01, 10.0, log=True, domain="[0, inf)"),
        Float("beta", 1.0, 0.1, 10.0, log=True, domain="[0, inf)"),
    ),
    elicits="mode",
    limits=(Limit({"alpha": 1.0, "beta": 0.0}, "cross_entropy"), Limit({"alpha": 0.0, "beta": 1.0}, "reverse_ce")),
)
def symmetric_ce(y_true: Any, y_pred: Any, *, alpha: Any, beta: Any) -> Any:
    """Cross-entropy plus reverse cross-entropy: the second is robust to wrong labels.

        -alpha log p_t + beta A (1 - p_t), A = -log 1e-4

    A = 9.21 is that of the authors' code; their text has 4. y_true `(batch, *spatial_shape, k)`, one-hot or class
    probabilities; y_pred of the same shape; alpha and beta at least 0. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(symmetric_ce(y_true, raw_scores, alpha=0.1, beta=1.0)[0]):.4f}")
    4.6745
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(y_true, -alpha * log_p - beta * REVERSE_SCALE * ops.expm1(log_p))


@softmax_loss(
    aliases=("rce", "reverse_cross_entropy"),
    reference="Wang et al., Symmetric cross entropy for robust learning with noisy labels, 2019, arXiv:1908.06112",
    elicits="mode",
    limits=(Limit({}, "mae_classification", factor=REVERSE_SCALE / 2.0),),
)
def reverse_ce(y_true: Any, y_pred: Any) -> Any:
    """The absolute error of probabilities, 4.6 times as large.

        A (1 - p_t), A = -log 1e-4

    Labels and prediction change places in cross-entropy; A = 9.21. y_true `(batch, *spatial_shape, k)`, one-hot or
    class probabilities; y_pred of the same shape. Returns `(batch,)`, between 0 and A.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(reverse_ce(y_true, raw_scores)[0]):.4f}")
    4.6052
    """
    return expected(y_true, REVERSE_SCALE * missed(y_pred))


@softmax_loss(
    aliases=("categorical_mae", "mean_absolute_error_of_probabilities"),
    reference="Ghosh et al., Robust loss functions under label noise, 2017, arXiv:1712.09482",
    elicits="mode",
)
def mae_classification(y_true: Any, y_pred: Any) -> Any:
    """The absolute error of probabilities: robust to wrong labels, learns many classes slowly.

        2 (1 - p_t)

    This is sum_k abs(p_k - y_k) on hard labels. y_true `(batch, *spatial_shape, k)`, one-hot or class
    probabilities; y_pred of the same shape. Returns `(batch,)`, between 0 and 2.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(mae_classification(y_true, raw_scores)[0]):.4f}")
    1.0000
    """
    return expected(y_true, 2.0 * missed(y_pred))


def _normalized(y_true: Any, z: Any) -> Any:
    """sum_k y_k log p_k over sum_k log p_k: `(..., k)` twice to `(...)`."""
    log_p = log_softmax(z)
    return ops.sum(y_true * log_p, axis=-1) / ops.sum(log_p, axis=-1)


@softmax_loss(
    aliases=("nce", "normalized_cross_entropy"),
    reference="Ma et al., Normalized loss functions for deep learning with noisy labels, 2020, arXiv:2006.13554",
    elicits="of two classes the likelier; of more, not the least likely",
)
def normalized_ce(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy as a share of that of all labels: robust to wrong labels, but underfits alone.

        log p_t / sum log p_k

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape. Returns
    `(batch,)`, between 0 and 1.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(normalized_ce(y_true, raw_scores)[0]):.4f}")
    0.5000
    """
    return sample_mean(_normalized(y_true, y_pred))


@softmax_loss(
    aliases=("active_passive", "active_passive_loss", "normalized_ce_and_reverse_ce"),
    reference="Ma et al., Normalized loss functions for deep learning with noisy labels, 2020, arXiv:2006.13554",
    params=(Float("rho", 1.0, 0.1, 10.0, log=True, domain="[0, inf)"),),
    elicits="mode",
    limits=(Limit({"rho": 0.0}, "normalized_ce"),),
    recommended=("binary", "multiclass"),
)
def nce_rce(y_true: Any, y_pred: Any, *, rho: Any) -> Any:
    """Normalized plus reverse cross-entropy: robust to wrong labels without underfitting.

        log p_t / sum log p_k + rho A (1 - p_t), A = -log 1e-4

    An active and a passive loss; A = 9.21. y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities;
    y_pred of the same shape; rho at least 0. Returns `(batch,)`, between 0 and 1 + rho A.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(nce_rce(y_true, raw_scores, rho=1.0)[0]):.4f}")
    5.1052
    """
    return normalized_ce(y_true, y_pred) + rho * reverse_ce(y_true, y_pred)


@softmax_loss(
    aliases=("normalized_ce_and_mae",),
    reference="Ma et al., Normalized loss functions for deep learning with noisy labels, 2020, arXiv:2006.13554",
    params=(Float("rho", 1.0, 0.1, 10.0, log=True, domain="[0, inf)"),),
    elicits="mode",
    limits=(Limit({"rho": 0.0}, "normalized_ce"), Limit({"rho": REVERSE_SCALE / 2.0}, "nce_rce")),
)
def nce_mae(y_true: Any, y_pred: Any, *, rho: Any) -> Any:
    """Normalized cross-entropy plus the absolute error of probabilities: nce_rce with a gentler second term.

        log p_t / sum log p_k + 2 rho (1 - p_t)

    An active and a passive loss. y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the
    same shape; rho at least 0. Returns `(batch,)`, between 0 and 1 + 2 rho.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(nce_mae(y_true, raw_scores, rho=1.0)[0]):.4f}")
    1.5000
    """
    return normalized_ce(y_true, y_pred) + rho * mae_classification(y_true, y_pred)


@softmax_loss(
    aliases=("soft_bootstrapping", "bootstrap"),
    reference="Reed et al., Training deep neural networks on noisy labels with bootstrapping, 2014, arXiv:1412.6596",
    params=(Float("beta", 0.95, 0.6, 1.0, domain="(0, 1]"),),
    elicits="mode",
    limits=(Limit({"beta": 1.0}, "cross_entropy"),),
)
def soft_bootstrap(y_true: Any, y_pred: Any, *, beta: Any) -> Any:
    """Cross-entropy to labels mixed with the model's own prediction (not detached): believes itself a little.

        -sum (beta y + (1 - beta) p) log p

    The gradient runs through the mixed-in p too, so that the second term is the entropy of the prediction. y_true
    `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; beta in (0, 1]. Returns
    `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[1.0, -1.0]])
    >>> print(f"{float(soft_bootstrap(y_true, raw_scores, beta=0.95)[0]):.4f}")
    2.0388
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return expected(beta * y_true + (1.0 - beta) * ops.exp(log_p), -log_p)
