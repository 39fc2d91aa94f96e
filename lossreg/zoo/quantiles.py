"""Losses whose minimum is a quantile or an expectile: e is prediction - y.

The level is part of the task (it says what is wanted, not how to train), so a study does not
search it: it stays at its default until the study gives a value or a range, and a range makes
sense only with a metric that judges every level alike.
"""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract import activations
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import regression_loss
from lossreg.contract.params import Choice, Float
from lossreg.zoo.numerics import like, sample_mean

LEVELS = ((0.1, 0.5, 0.9), (0.05, 0.5, 0.95), (0.025, 0.5, 0.975), (0.25, 0.5, 0.75))


@regression_loss(
    aliases=("pinball", "quantile_loss", "pinball_loss"),
    reference="Koenker and Bassett, Regression quantiles, 1978",
    params=(Float("q", 0.5, 0.5, 0.5, domain="(0, 1)"),),
    non_differentiable_points=True,
    elicits="quantile",
    limits=(Limit({"q": 0.5}, "mean_absolute_error", factor=0.5),),
    symmetric=False,
)
def quantile(y_true: Any, y_pred: Any, *, q: Any) -> Any:
    """The pinball loss: predicts the quantile q, which is part of the task and not searched.

        max(-q e, (1 - q) e)

    An underestimate costs q, an overestimate 1 - q. y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; q
    in (0, 1). Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[1.0], [-1.0]])
    >>> [f"{float(v):.4f}" for v in quantile(y_true, raw_scores, q=0.75)]
    ['0.2500', '0.7500']
    """
    error = y_pred - y_true
    return sample_mean(ops.maximum(-q * error, (1.0 - q) * error))


@regression_loss(
    aliases=("asymmetric_squared_error", "expectile_loss"),
    reference="Newey and Powell, Asymmetric least squares estimation and testing, 1987",
    params=(Float("tau", 0.5, 0.5, 0.5, domain="(0, 1)"),),
    elicits="expectile",
    limits=(Limit({"tau": 0.5}, "mean_squared_error", factor=0.5),),
    symmetric=False,
)
def expectile(y_true: Any, y_pred: Any, *, tau: Any) -> Any:
    """The squared error made lopsided: predicts the expectile tau, part of the task and not searched.

        abs(tau - 1[e > 0]) e^2

    An underestimate has the weight tau, an overestimate 1 - tau. y_true and y_pred `(batch, *spatial_shape, 1)`,
    standardised; tau in (0, 1). Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[2.0], [-2.0]])
    >>> [f"{float(v):.4f}" for v in expectile(y_true, raw_scores, tau=0.75)]
    ['1.0000', '3.0000']
    """
    error, tau = y_pred - y_true, like(tau, y_pred)
    return sample_mean(ops.where(error > 0.0, 1.0 - tau, tau) * ops.square(error))


@regression_loss(
    aliases=("multi_pinball", "quantiles"),
    reference="Park et al., Learning quantile functions without quantile crossing, 2022, arXiv:2111.06581",
    params=(Choice("levels", LEVELS[0], LEVELS, fixed=True),),
    outputs="3",
    activation="quantiles",
    symmetric=False,
    non_differentiable_points=True,
    minimum=None,
    elicits="the quantiles at levels",
)
def multi_quantile(y_true: Any, y_pred: Any, *, levels: tuple[float, ...]) -> Any:
    """Median and an interval at once, three quantiles that cannot cross; their levels are not searched.

        mean over levels q of max(-q e_q, (1 - q) e_q)

    The first raw score is the lowest quantile, each further one adds softplus(z) to the quantile below. y_true
    `(batch, *spatial_shape, 1)`, standardised; y_pred `(batch, *spatial_shape, 3)`; levels rising, in (0, 1), the
    middle one the median, which is scored. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[1.0]]), ops.array([[0.0, 0.5413, 0.5413]])
    >>> print(f"{float(multi_quantile(y_true, raw_scores, levels=(0.1, 0.5, 0.9))[0]):.4f}")
    0.0667
    """
    error = activations.get("quantiles").forward(y_pred) - y_true
    q = like(levels, y_pred)
    return sample_mean(ops.maximum(-q * error, (1.0 - q) * error))
