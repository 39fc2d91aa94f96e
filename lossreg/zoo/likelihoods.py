"""Likelihoods of a real target whose spread is predicted too: two scores, the location and the log of the spread.

e is location - y in units of the target's robust scale. The spread has a floor, a thousandth of
that scale, added smoothly: without one a sample fitted exactly would be worth minus infinity.
Constants (log 2 pi and the like) are left out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.params import Float
from lossreg.zoo.numerics import log_floored, sample_mean
from lossreg.zoo.regression import residual_loss

SCALE_FLOOR = 1e-3
VARIANCE_FLOOR = SCALE_FLOOR**2
MOST = 30.0

density_loss = partial(residual_loss, outputs="2", symmetric=False, minimum=None)


def gaussian_nll(y_true: Any, y_pred: Any, *, beta: Any) -> Any:
    """v^beta (log v + e^2/v)/2, v = e^s + 1e-6 the variance; v^beta is stop-gradient.

    beta = 0 is the likelihood; towards 1 a large variance slows the location down less. y_true
    `(batch, *space, 1)`, standardised; y_pred `(batch, *space, 2)`, location and log variance s;
    beta in [0, 1]; returns `(batch,)`. The factor stops growing at s = 30. arXiv:2203.09168.

    >>> y_true, scores = ops.array([[0.0]]), ops.array([[2.0, 0.0]])
    >>> print(f"{float(gaussian_nll(y_true, scores, beta=0.5)[0]):.4f}")
    2.0000
    """
    log_v = log_floored(y_pred[..., 1:], VARIANCE_FLOOR)
    factor = ops.stop_gradient(ops.exp(beta * ops.minimum(log_v, MOST)))
    squares = ops.square(y_pred[..., :1] - y_true) * ops.exp(-log_v)
    return sample_mean(0.5 * factor * (log_v + squares))


GAUSSIAN_NLL = density_loss(
    name="gaussian_nll",
    function=gaussian_nll,
    aliases=("normal_nll", "beta_nll", "heteroscedastic", "gaussian_nll_loss"),
    summary="Mean and variance of Gaussian errors, the variance kept from drowning the mean.",
    reference="Seitzer et al., On the pitfalls of heteroscedastic uncertainty estimation, 2022, arXiv:2203.09168",
    formula="stop(v^beta) (log v + e^2/v)/2, v = e^s + 1e-6, s the second output",
    params=(Float("beta", 0.5, 0.0, 1.0, domain="[0, 1]"),),
    score_range=(-MOST, MOST),
    stop_gradient=True,
    elicits="mean",
)


def laplace_nll(y_true: Any, y_pred: Any) -> Any:
    """log b + abs(e)/b, b = e^s + 0.001 the scale.

    y_true `(batch, *space, 1)`, standardised; y_pred `(batch, *space, 2)`, location and log scale
    s; returns `(batch,)`. Laplace, 1774; arXiv:1703.04977.

    >>> y_true, scores = ops.array([[0.0]]), ops.array([[2.0, 0.0]])
    >>> print(f"{float(laplace_nll(y_true, scores)[0]):.4f}")
    1.9990
    """
    log_b = log_floored(y_pred[..., 1:], SCALE_FLOOR)
    return sample_mean(log_b + ops.abs(y_pred[..., :1] - y_true) * ops.exp(-log_b))


LAPLACE_NLL = density_loss(
    name="laplace_nll",
    function=laplace_nll,
    aliases=("laplacian_nll", "laplace"),
    summary="Median and spread of Laplace errors: the absolute error that learns its own scale.",
    reference="Kendall and Gal, What uncertainties do we need, 2017, arXiv:1703.04977",
    formula="log b + abs(e)/b, b = e^s + 0.001, s the second output",
    kinks=True,
    elicits="median",
)


def student_t_nll(y_true: Any, y_pred: Any, *, nu: Any) -> Any:
    """log sigma + (nu + 1)/2 log(1 + (e/sigma)^2/nu), sigma = e^s + 0.001 the scale.

    y_true `(batch, *space, 1)`, standardised; y_pred `(batch, *space, 2)`, location and log scale
    s; nu > 0; returns `(batch,)`. Lange et al., 1989.

    >>> y_true, scores = ops.array([[0.0]]), ops.array([[2.0, 0.0]])
    >>> print(f"{float(student_t_nll(y_true, scores, nu=4.0)[0]):.4f}")
    1.7314
    """
    log_sigma = log_floored(y_pred[..., 1:], SCALE_FLOOR)
    units = (y_pred[..., :1] - y_true) * ops.exp(-log_sigma)
    return sample_mean(log_sigma + 0.5 * (nu + 1.0) * ops.log1p(ops.square(units) / nu))


STUDENT_T_NLL = density_loss(
    name="student_t_nll",
    function=student_t_nll,
    aliases=("student_t", "t_nll"),
    summary="Location and scale of heavy-tailed errors: outliers widen the scale little.",
    reference="Lange et al., Robust statistical modeling using the t distribution, 1989",
    formula="log sigma + (nu + 1)/2 log(1 + (e/sigma)^2/nu), sigma = e^s + 0.001, s the second output",
    params=(Float("nu", 4.0, 2.0, 30.0, log=True, domain="(0, inf)"),),
    elicits="a centre: mean and median where errors are symmetric",
)

LOSSES = (GAUSSIAN_NLL, LAPLACE_NLL, STUDENT_T_NLL)
