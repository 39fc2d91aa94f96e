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
from lossreg.contract.params import Float
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import REGRESSION
from lossreg.zoo.numerics import exp_within, like, log_range, log_rate, sample_mean

log_rate_loss = partial(
    LossSpec,
    tasks=REGRESSION,
    target="count",
    outputs="1",
    activation="exp",
    needs=("target_mean",),
    score_range=(-30.0, 30.0),
    minimum=None,
    elicits="mean",
)


def poisson(y_true: Any, y_pred: Any, *, target_mean: Any) -> Any:
    """e^r - y r, r = z + log(target_mean) the log of the rate; less the constant log y!.

    y_true `(batch, *space, 1)`, at least 0; y_pred of the same shape, scores; target_mean > 0;
    returns `(batch,)`. McCullagh and Nelder, 1989.

    >>> y_true, scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(poisson(y_true, scores, target_mean=2.0)[0]):.4f}")
    -0.0794
    """
    rate = target_mean * exp_within(y_pred, *log_range(y_pred))
    return sample_mean(rate - y_true * log_rate(y_pred, target_mean))


POISSON = log_rate_loss(
    name="poisson",
    function=poisson,
    aliases=("poisson_nll", "poisson_loss"),
    summary="The likelihood of counts whose variance is their mean.",
    reference="McCullagh and Nelder, Generalized linear models, 1989",
    formula="e^r - y r, r = z + log(target_mean)",
    recommended=("count",),
)


def gamma_nll(y_true: Any, y_pred: Any, *, target_mean: Any) -> Any:
    """r + y e^-r, r = z + log(target_mean): gamma's likelihood for each unit of its shape.

    y_true `(batch, *space, 1)`, above 0; y_pred of the same shape, scores; target_mean > 0;
    returns `(batch,)`, at least 1 + log y. McCullagh and Nelder, 1989.

    >>> y_true, scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(gamma_nll(y_true, scores, target_mean=2.0)[0]):.4f}")
    2.1931
    """
    ratio = y_true / target_mean * exp_within(-y_pred, *log_range(y_pred))
    return sample_mean(log_rate(y_pred, target_mean) + ratio)


GAMMA_NLL = log_rate_loss(
    name="gamma_nll",
    function=gamma_nll,
    aliases=("gamma", "gamma_loss"),
    summary="The likelihood of positive values whose standard deviation grows with their mean: relative errors.",
    reference="McCullagh and Nelder, Generalized linear models, 1989",
    formula="r + y e^-r, r = z + log(target_mean)",
    target="positive",
    recommended=("positive",),
)


def tweedie(y_true: Any, y_pred: Any, *, p: Any, target_mean: Any) -> Any:
    """-y e^((1 - p) r)/(1 - p) + e^((2 - p) r)/(2 - p), r = z + log(target_mean).

    The variance is proportional to mean^p: Poisson as p -> 1, gamma as p -> 2. y_true `(batch,
    *space, 1)`, at least 0; y_pred of the same shape, scores; p in (1, 2); target_mean > 0;
    returns `(batch,)`, at least 0. Jorgensen, 1987.

    >>> y_true, scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(tweedie(y_true, scores, p=1.5, target_mean=4.0)[0]):.4f}")
    7.0000
    """
    return sample_mean(_power(y_pred, 2.0 - p, target_mean) - y_true * _power(y_pred, 1.0 - p, target_mean))


def _power(z: Any, exponent: Any, target_mean: Any) -> Any:
    """(target_mean e^z)^exponent / exponent, for exponents between -1 and 1."""
    scale = ops.exp(exponent * log_rate(ops.zeros_like(z), target_mean))
    return scale * exp_within(exponent * z, *log_range(z)) / exponent


TWEEDIE = log_rate_loss(
    name="tweedie",
    function=tweedie,
    aliases=("tweedie_nll", "tweedie_loss"),
    summary="For positive values with many exact zeros (claims, rainfall): between Poisson and gamma.",
    reference="Jorgensen, Exponential dispersion models, 1987",
    formula="-y e^((1 - p) r)/(1 - p) + e^((2 - p) r)/(2 - p), r = z + log(target_mean)",
    params=(Float("p", 1.5, 1.05, 1.95, domain="(1, 2)"),),
)


def negative_binomial(y_true: Any, y_pred: Any, *, r: Any, target_mean: Any) -> Any:
    """(y + r) softplus(w - log r) - y w, w = z + log(target_mean) the log of the rate.

    The variance is mean + mean^2/r: Poisson as r -> inf. y_true `(batch, *space, 1)`, at least
    0; y_pred of the same shape, scores; r > 0; target_mean > 0; returns `(batch,)`. Hilbe, 2011.

    >>> y_true, scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(negative_binomial(y_true, scores, r=2.0, target_mean=2.0)[0]):.4f}")
    1.3863
    """
    w = log_rate(y_pred, target_mean)
    return sample_mean((y_true + r) * ops.softplus(w - ops.log(like(r, w))) - y_true * w)


NEGATIVE_BINOMIAL = log_rate_loss(
    name="negative_binomial",
    function=negative_binomial,
    aliases=("negbin", "nb2", "negative_binomial_nll"),
    summary="The likelihood of counts that scatter more than Poisson's.",
    reference="Hilbe, Negative binomial regression, 2011",
    formula="(y + r) softplus(w - log r) - y w, w = z + log(target_mean)",
    params=(Float("r", 1.0, 0.1, 100.0, log=True, domain="(0, inf)"),),
    limits=(Limit({"r": 1e6}, "poisson", rtol=1e-3),),
    recommended=("count",),
)

LOSSES = (POISSON, GAMMA_NLL, TWEEDIE, NEGATIVE_BINOMIAL)
