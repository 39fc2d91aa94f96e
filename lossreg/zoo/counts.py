"""Likelihoods of counts and positive targets: the prediction is target_mean e^z, so training starts at the mean.

r = z + log(target_mean) is the logarithm of the rate. Constants in y are left out, so values of
different families, or of one at different parameters, are not to be compared. Beyond
abs(z) = 30 (10 in float16) an exponential goes on along its tangent: finite, with a gradient.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import regression_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import exp_within, like, log_range, log_rate, sample_mean

log_rate_loss = partial(
    regression_loss,
    target="count",
    symmetric=False,
    activation="exp",
    needs=("target_mean",),
    score_range=(-30.0, 30.0),
    minimum=None,
    elicits="mean",
)


@log_rate_loss(
    aliases=("poisson_nll", "poisson_loss"),
    reference="McCullagh and Nelder, Generalized linear models, 1989",
    recommended=("count",),
)
def poisson(y_true: Any, y_pred: Any, *, target_mean: Any) -> Any:
    """The likelihood of counts whose variance is their mean.

        e^r - y r, r = z + log(target_mean)

    r is the logarithm of the rate; the constant log y! is left out. y_true `(batch, *spatial_shape, 1)`, at least
    0; y_pred of the same shape; target_mean > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(poisson(y_true, raw_scores, target_mean=2.0)[0]):.4f}")
    -0.0794
    """
    rate = target_mean * exp_within(y_pred, *log_range(y_pred))
    return sample_mean(rate - y_true * log_rate(y_pred, target_mean))


@log_rate_loss(
    aliases=("gamma", "gamma_loss"),
    reference="McCullagh and Nelder, Generalized linear models, 1989",
    target="positive",
    recommended=("positive",),
)
def gamma_nll(y_true: Any, y_pred: Any, *, target_mean: Any) -> Any:
    """The likelihood of positive values whose standard deviation grows with their mean: relative errors.

        r + y e^-r, r = z + log(target_mean)

    This is gamma's likelihood for each unit of its shape. y_true `(batch, *spatial_shape, 1)`, above 0; y_pred of
    the same shape; target_mean > 0. Returns `(batch,)`, at least 1 + log y.

    >>> y_true, raw_scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(gamma_nll(y_true, raw_scores, target_mean=2.0)[0]):.4f}")
    2.1931
    """
    ratio = y_true / target_mean * exp_within(-y_pred, *log_range(y_pred))
    return sample_mean(log_rate(y_pred, target_mean) + ratio)


@log_rate_loss(
    aliases=("tweedie_nll", "tweedie_loss"),
    reference="Jorgensen, Exponential dispersion models, 1987",
    params=(Float("p", 1.5, 1.05, 1.95, domain="(1, 2)"),),
    recommended=("positive",),
)
def tweedie(y_true: Any, y_pred: Any, *, p: Any, target_mean: Any) -> Any:
    """For positive values with many exact zeros (claims, rainfall): between Poisson and gamma.

        -y e^((1 - p) r)/(1 - p) + e^((2 - p) r)/(2 - p), r = z + log(target_mean)

    The variance is proportional to mean^p: Poisson as p -> 1, gamma as p -> 2. y_true `(batch, *spatial_shape, 1)`,
    at least 0; y_pred of the same shape; p in (1, 2); target_mean > 0. Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(tweedie(y_true, raw_scores, p=1.5, target_mean=4.0)[0]):.4f}")
    7.0000
    """
    return sample_mean(_power(y_pred, 2.0 - p, target_mean) - y_true * _power(y_pred, 1.0 - p, target_mean))


def _power(z: Any, exponent: Any, target_mean: Any) -> Any:
    """(target_mean e^z)^exponent / exponent, for exponents between -1 and 1."""
    scale = ops.exp(exponent * log_rate(ops.zeros_like(z), target_mean))
    return scale * exp_within(exponent * z, *log_range(z)) / exponent


@log_rate_loss(
    aliases=("negbin", "nb2", "negative_binomial_nll"),
    reference="Hilbe, Negative binomial regression, 2011",
    params=(Float("r", 1.0, 0.1, 100.0, log=True, domain="(0, inf)"),),
    limits=(Limit({"r": 1e6}, "poisson", rtol=1e-3),),
    recommended=("count",),
)
def negative_binomial(y_true: Any, y_pred: Any, *, r: Any, target_mean: Any) -> Any:
    """The likelihood of counts that scatter more than Poisson's.

        (y + r) softplus(w - log r) - y w, w = z + log(target_mean)

    w is the logarithm of the rate. The variance is mean + mean^2/r: Poisson as r -> inf. y_true `(batch,
    *spatial_shape, 1)`, at least 0; y_pred of the same shape; r > 0; target_mean > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(negative_binomial(y_true, raw_scores, r=2.0, target_mean=2.0)[0]):.4f}")
    1.3863
    """
    w = log_rate(y_pred, target_mean)
    return sample_mean((y_true + r) * ops.softplus(w - ops.log(like(r, w))) - y_true * w)
