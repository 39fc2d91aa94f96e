"""Pieces that several losses share."""

from __future__ import annotations

from math import log
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
    """Sum over classes of weight times value, then the sample mean: `(batch, *spatial_shape, k)` to `(batch,)`."""
    return sample_mean(ops.sum(weights * values, axis=-1))


def weighted(y_true: Any, alpha: Any) -> Any:
    """Labels times one weight per class; `None` weighs every class 1."""
    return y_true if alpha is None else y_true * like(alpha, y_true)


def mean_one(weights: Any, priors: Any) -> Any:
    """Weights of classes `(k,)` scaled to mean 1 over the training samples: the sum of prior times weight is 1."""
    return weights / ops.sum(like(priors, weights) * weights)


def missed(z: Any) -> Any:
    """1 - p, p being softmax(z): `(..., k)` to `(..., k)`."""
    return -ops.expm1(ops.log_softmax(z, axis=-1))


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


def highest(z: Any) -> Any:
    """The largest raw score: `(..., k)` to `(..., 1)`, of an empty batch too."""
    return ops.max(z, axis=-1, keepdims=True, initial=-float("inf"))


def log_softmax(z: Any) -> Any:
    """log(softmax(z)) with derivatives exact in both tails: `(..., k)` to `(..., k)`.

    Of a class with p near 1 it is log1p(-(1 - p)), whose derivative does not vanish before 1 - p does.
    """
    rest = log_other(z)
    top = rest < -0.7
    return ops.where(top, ops.log1p(-ops.exp(ops.where(top, rest, -1.0))), ops.log_softmax(z, axis=-1))


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


def log_range(z: Any) -> tuple[float, float]:
    """Log rates between which a likelihood is exact; float16 ends at e^11, the wider types at e^88."""
    half = str(getattr(z.dtype, "name", z.dtype)) == "float16"
    return (-10.0, 10.0) if half else (-30.0, 30.0)


def log_rate(z: Any, target_mean: Any) -> Any:
    """z + log(target_mean), the logarithm of the rate target_mean e^z."""
    return z + ops.log(ops.maximum(like(target_mean, z), 1e-30))


def log_floored(s: Any, floor: float) -> Any:
    """log(e^s + floor), whatever the size of s; floor > 0."""
    return ops.logaddexp(s, like(log(floor), s))


def log1p_gap(u: Any) -> Any:
    """u - log(1 + u) for u at least 0, without the cancellation of small u.

    With s = u/(2 + u), log(1 + u) = 2 (s + s^3/3 + s^5/5 + ...), and u - 2 s = u s.
    """
    s = u / (2.0 + u)
    t = s * s
    near = s * (u - 2.0 * t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t / 9.0))))
    return ops.where(u < 0.1, near, u - ops.log1p(u))
