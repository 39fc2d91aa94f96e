"""Likelihoods of a real target whose spread is predicted too: two raw scores, the location and the log of the spread.

e is location - y in units of the target's robust scale. The spread has a floor, a thousandth of
that scale, added smoothly: without one a sample fitted exactly would be worth minus infinity.
Constants (log 2 pi and the like) are left out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.declaration import regression_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import log_floored, sample_mean

SCALE_FLOOR = 1e-3
VARIANCE_FLOOR = SCALE_FLOOR**2
MOST = 30.0

density_loss = partial(regression_loss, outputs="2", symmetric=False, minimum=None)


@density_loss(
    aliases=("normal_nll", "beta_nll", "heteroscedastic", "gaussian_nll_loss"),
    reference="Seitzer et al., On the pitfalls of heteroscedastic uncertainty estimation, 2022, arXiv:2203.09168",
    params=(Float("beta", 0.5, 0.0, 1.0, domain="[0, 1]"),),
    score_range=(-MOST, MOST),
    stop_gradient=True,
    elicits="mean",
)
def gaussian_nll(y_true: Any, y_pred: Any, *, beta: Any) -> Any:
    """Mean and variance of Gaussian errors, the variance kept from drowning the mean.

        stop(v^beta) (log v + e^2/v)/2, v = e^s + 1e-6, s the second output

    v is the variance; stop() has no gradient, and stops growing at s = 30. beta = 0 is the likelihood; towards 1 a
    large variance slows the location down less. y_true `(batch, *spatial_shape, 1)`, standardised; y_pred `(batch,
    *spatial_shape, 2)`, location and s; beta in [0, 1]. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0]]), ops.array([[2.0, 0.0]])
    >>> print(f"{float(gaussian_nll(y_true, raw_scores, beta=0.5)[0]):.4f}")
    2.0000
    """
    log_v = log_floored(y_pred[..., 1:], VARIANCE_FLOOR)
    factor = ops.stop_gradient(ops.exp(beta * ops.minimum(log_v, MOST)))
    squares = ops.square(y_pred[..., :1] - y_true) * ops.exp(-log_v)
    return sample_mean(0.5 * factor * (log_v + squares))


@density_loss(
    aliases=("laplacian_nll", "laplace"),
    reference="Kendall and Gal, What uncertainties do we need, 2017, arXiv:1703.04977",
    non_differentiable_points=True,
    elicits="median",
)
def laplace_nll(y_true: Any, y_pred: Any) -> Any:
    """Median and spread of Laplace errors: the absolute error that learns its own scale.

        log b + abs(e)/b, b = e^s + 0.001, s the second output

    b is the scale. y_true `(batch, *spatial_shape, 1)`, standardised; y_pred `(batch, *spatial_shape, 2)`, location
    and s. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0]]), ops.array([[2.0, 0.0]])
    >>> print(f"{float(laplace_nll(y_true, raw_scores)[0]):.4f}")
    1.9990
    """
    log_b = log_floored(y_pred[..., 1:], SCALE_FLOOR)
    return sample_mean(log_b + ops.abs(y_pred[..., :1] - y_true) * ops.exp(-log_b))


@density_loss(
    aliases=("student_t", "t_nll"),
    reference="Lange et al., Robust statistical modeling using the t distribution, 1989",
    params=(Float("nu", 4.0, 2.0, 30.0, log=True, domain="(0, inf)"),),
    elicits="a centre: mean and median where errors are symmetric",
)
def student_t_nll(y_true: Any, y_pred: Any, *, nu: Any) -> Any:
    """Location and scale of heavy-tailed errors: outliers widen the scale little.

        log sigma + (nu + 1)/2 log(1 + (e/sigma)^2/nu), sigma = e^s + 0.001, s the second output

    sigma is the scale. y_true `(batch, *spatial_shape, 1)`, standardised; y_pred `(batch, *spatial_shape, 2)`,
    location and s; nu > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0]]), ops.array([[2.0, 0.0]])
    >>> print(f"{float(student_t_nll(y_true, raw_scores, nu=4.0)[0]):.4f}")
    1.7314
    """
    log_sigma = log_floored(y_pred[..., 1:], SCALE_FLOOR)
    units = (y_pred[..., :1] - y_true) * ops.exp(-log_sigma)
    return sample_mean(log_sigma + 0.5 * (nu + 1.0) * ops.log1p(ops.square(units) / nu))
