"""Pieces that several losses share."""

from __future__ import annotations

from typing import Any

from lossreg import ops


def sample_mean(values: Any) -> Any:
    """Mean over every axis but the first: `(batch, ...)` to `(batch,)`."""
    axes = tuple(range(1, len(values.shape)))
    return ops.mean(values, axis=axes) if axes else values


def like(constant: Any, reference: Any) -> Any:
    """A number, sequence or tensor as a tensor of the dtype of `reference`."""
    return ops.convert_to_tensor(constant, dtype=reference.dtype)


def expected(weights: Any, values: Any) -> Any:
    """Sum over classes of weight times value, then the sample mean: `(batch, *space, k)` to `(batch,)`."""
    return sample_mean(ops.sum(weights * values, axis=-1))


def weighted(y_true: Any, alpha: Any) -> Any:
    """Labels times one weight a class; `None` weighs every class 1."""
    return y_true if alpha is None else y_true * like(alpha, y_true)


def log_other(z: Any) -> Any:
    """log(1 - softmax(z)), exact in both tails: `(..., k)` to `(..., k)`.

    Only one class can have p > 1/2. Its 1 - p is the sum of the other classes' probabilities;
    for the rest log1p(-p) loses nothing.
    """
    p = ops.softmax(z, axis=-1)
    top = p > 0.5
    rest = ops.logsumexp(ops.where(top, -float("inf"), z), axis=-1, keepdims=True)
    of_top = rest - ops.logsumexp(z, axis=-1, keepdims=True)
    return ops.where(top, of_top, ops.log1p(-ops.where(top, 0.0, p)))


def log_cosh(x: Any) -> Any:
    """log(cosh(x)), without the cancellation of small x or the overflow of large.

    cosh(x) = 1 + 2 sinh(x/2)^2 below 1, abs(x) + log(1 + e^(-2 abs(x))) - log(2) above.
    """
    a = ops.abs(x)
    near = ops.log1p(2.0 * ops.square(ops.sinh(ops.minimum(a, 1.0) / 2.0)))
    return ops.where(a < 1.0, near, a + ops.softplus(-2.0 * a) - 0.6931471805599453)


def exp_within(z: Any, low: float, high: float) -> Any:
    """exp(z) between `low` and `high`, its tangents beyond."""
    inside = ops.clip(z, low, high)
    return ops.exp(inside) * (1.0 + z - inside)
