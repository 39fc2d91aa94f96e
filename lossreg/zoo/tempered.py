"""Cross-entropies whose logarithm is replaced by something milder, bounded or nearly so."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import softmax_loss
from lossreg.contract.params import Float, Int
from lossreg.zoo.numerics import expected, highest, like, missed, sample_mean

MOST_TERMS = 8
NEWTON_STEPS = 7


@softmax_loss(
    aliases=("phuber", "phuber_cross_entropy", "partially_huberised_ce"),
    reference="Menon et al., Can gradient clipping mitigate label noise?, ICLR 2020",
    params=(Float("tau", 10.0, 1.5, 50.0, log=True, domain="(1, inf)"),),
    elicits="mode",
    limits=(Limit({"tau": 1e12}, "cross_entropy"),),
)
def phuber_ce(y_true: Any, y_pred: Any, *, tau: Any) -> Any:
    """Cross-entropy that goes on along a tangent in p_t for unlikely labels: bounded, robust to wrong labels.

        -log p_t while p_t > 1/tau, else log tau + 1 - tau p_t

    Below 1/tau the loss goes on along its tangent in p_t. y_true `(batch, *spatial_shape, k)`, one-hot or class
    probabilities; y_pred of the same shape; tau > 1. Returns `(batch,)`, between 0 and 1 + log(tau).

    >>> y_true, raw_scores = ops.array([[0.0, 1.0], [0.0, 1.0]]), ops.array([[0.0, 0.0], [99.0, 0.0]])
    >>> [f"{float(v):.4f}" for v in phuber_ce(y_true, raw_scores, tau=10.0)]
    ['0.6931', '3.3026']
    """
    log_p, log_tau = ops.log_softmax(y_pred, axis=-1), ops.log(like(tau, y_pred))
    tangent = log_tau + 1.0 - ops.exp(ops.minimum(log_p + log_tau, 0.0))
    return expected(y_true, ops.where(log_p > -log_tau, -log_p, tangent))


def _log_t(log_x: Any, d: Any) -> Any:
    """(x^d - 1)/d of log(x): the tempered logarithm of temperature 1 - d, log(x) itself at d = 0."""
    safe = ops.where(d > 0.0, d, 1.0)
    return ops.where(d > 0.0, ops.expm1(d * log_x) / safe, log_x)


def _log_exp_t(depth: Any, d: Any) -> Any:
    """log of (1 + d u)^(-1/d), u the depth, at least 0: exp of temperature 1 + d of -u, -u itself at d = 0."""
    safe = ops.where(d > 0.0, d, 1.0)
    return ops.where(d > 0.0, -ops.log1p(d * depth) / safe, -depth)


def _sums(depth: Any, d: Any) -> tuple[Any, Any]:
    """Sums over classes of p, and of p^(1 + d) = p/(1 + d u), minus the first one's derivative by the level."""
    p = ops.exp(_log_exp_t(depth, d))
    return ops.sum(p, axis=-1, keepdims=True), ops.sum(p / (1.0 + d * depth), axis=-1, keepdims=True)


def _log_tempered_softmax(z: Any, d: Any) -> Any:
    """log p, p_k = (1 + d (L - z_k))^(-1/d), the level L such that the sum S of p is 1: `(..., k)` to `(..., k)`.

    S^-d is concave in L, and a straight line when all raw scores are equal: Newton's steps for
    S^-d = 1 climb from L = max z and never pass the root. One more step for S = 1, from a level
    held fixed, gives L its derivatives p_k^(1 + d) / sum_j p_j^(1 + d).
    """
    z = z - ops.stop_gradient(highest(z))
    held, level = ops.stop_gradient(z), ops.zeros_like(z[..., :1])
    for _ in range(NEWTON_STEPS):
        total, derivative = _sums(level - held, d)
        level = level + _log_t(ops.log(total), d) * total / derivative
    depth = ops.stop_gradient(level) - z
    total, derivative = _sums(depth, d)
    return _log_exp_t(depth + (total - 1.0) / ops.stop_gradient(derivative), d)


@softmax_loss(
    aliases=("bi_tempered_logistic", "bi_tempered_loss", "bitempered"),
    reference="Amid et al., Robust bi-tempered logistic loss based on Bregman divergences, 2019, arXiv:1906.03361",
    params=(Float("t1", 0.8, 0.5, 1.0, domain="[0, 1]"), Float("t2", 1.2, 1.0, 2.0, domain="[1, 2]")),
    probabilistic=False,
    elicits="mode",
    limits=(Limit({"t1": 1.0, "t2": 1.0}, "cross_entropy"),),
)
def bi_tempered(y_true: Any, y_pred: Any, *, t1: Any, t2: Any) -> Any:
    """Cross-entropy with bounded logarithm and heavy-tailed softmax: robust to wrong labels near the boundary and far.

        -log_t1 p_t - (1 - sum p^(2 - t1))/(2 - t1), p = exp_t2(z - L)

    log_t(x) = (x^(1 - t) - 1)/(1 - t), exp_t is its inverse, and L makes the sum of p 1. t1 < 1 bounds the loss, t2
    > 1 gives p heavy tails; t1 = t2 = 1 is cross-entropy. On soft labels it is sum_k y_k (log_t1 y_k - log_t1 p_k)
    - (y_k^(2 - t1) - p_k^(2 - t1))/(2 - t1). y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities;
    y_pred of the same shape; t1 in [0, 1]; t2 in [1, 2]. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(bi_tempered(y_true, raw_scores, t1=0.8, t2=1.2)[0]):.4f}")
    0.5394
    """
    log_p, d = _log_tempered_softmax(y_pred, like(t2 - 1.0, y_pred)), like(1.0 - t1, y_pred)
    positive = y_true > 0.0
    log_y = ops.log(ops.where(positive, y_true, 1.0))
    powers = ops.where(positive, ops.exp((1.0 + d) * log_y), 0.0) - ops.exp((1.0 + d) * log_p)
    divergence = y_true * (_log_t(log_y, d) - _log_t(log_p, d)) - powers / (1.0 + d)
    return sample_mean(ops.sum(divergence, axis=-1))


@softmax_loss(
    aliases=("taylor_cross_entropy",),
    reference="Feng et al., Can cross entropy loss be robust to label noise?, IJCAI 2020",
    params=(Int("N", 2, 1, MOST_TERMS, domain=f"[1, {MOST_TERMS}]"),),
    elicits="mode",
    limits=(Limit({"N": 1}, "mae_classification", factor=0.5),),
)
def taylor_ce(y_true: Any, y_pred: Any, *, N: Any) -> Any:
    """The first terms of cross-entropy's Taylor series: between absolute error and cross-entropy.

        sum_{j <= N} (1 - p_t)^j / j

    These are the first N terms of the series of -log p_t. y_true `(batch, *spatial_shape, k)`, one-hot or class
    probabilities; y_pred of the same shape; N a whole number from 1 to 8. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(taylor_ce(y_true, raw_scores, N=2)[0]):.4f}")
    0.6250
    """
    wrong = missed(y_pred)
    order, total = like(N, y_pred), ops.zeros_like(y_pred)
    for j in range(MOST_TERMS, 0, -1):
        total = wrong * (total + ops.where(order >= j, like(1.0 / j, y_pred), 0.0))
    return expected(y_true, total)
