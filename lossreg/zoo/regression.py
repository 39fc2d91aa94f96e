"""Losses of a real target: e is prediction - y.

Of `real` targets labels and raw scores are both centred and scaled (e is in units of the target's
robust scale); of `raw` ones labels keep the user's units and the activation makes the prediction.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import regression_loss
from lossreg.contract.params import Float
from lossreg.contract.targets import REGRESSION
from lossreg.zoo.numerics import sample_mean

raw_loss = partial(regression_loss, target="raw", symmetric=False)
EPS = Float("eps", 0.1, 0.001, 1.0, log=True, domain="[0, inf)")


@regression_loss(
    aliases=("mse", "l2", "squared_error"),
    reference="Gauss, Theoria combinationis observationum, 1821",
    elicits="mean",
    recommended=REGRESSION,
)
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The square of the residual: the baseline of regression.

        e^2

    y_true and y_pred `(batch, *spatial_shape, 1)`, standardised. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[1.0]]), ops.array([[3.0]])
    >>> print(f"{float(mean_squared_error(y_true, raw_scores)[0]):.4f}")
    4.0000
    """
    return sample_mean(ops.square(y_pred - y_true))


@regression_loss(
    aliases=("mae", "l1", "absolute_error"),
    reference="Boscovich, 1757; Koenker and Bassett, Regression quantiles, 1978",
    non_differentiable_points=True,
    elicits="median",
    limits=(Limit({}, "quantile", factor=2.0),),
    recommended=REGRESSION,
)
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The size of the residual: robust to outliers.

        abs(e)

    y_true and y_pred `(batch, *spatial_shape, 1)`, standardised. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[1.0]]), ops.array([[3.0]])
    >>> print(f"{float(mean_absolute_error(y_true, raw_scores)[0]):.4f}")
    2.0000
    """
    return sample_mean(ops.abs(y_pred - y_true))


@regression_loss(
    aliases=("svr", "eps_insensitive"),
    reference="Vapnik, The nature of statistical learning theory, 1995",
    params=(EPS,),
    non_differentiable_points=True,
    elicits="a centre: the median where errors are symmetric",
    limits=(Limit({"eps": 0.0}, "mean_absolute_error"),),
)
def epsilon_insensitive(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """Support vector regression's loss: nothing within eps, absolute beyond.

        max(0, abs(e) - eps)

    y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; eps at least 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.3], [-2.0]])
    >>> [f"{float(v):.4f}" for v in epsilon_insensitive(y_true, raw_scores, eps=0.5)]
    ['0.0000', '1.5000']
    """
    return sample_mean(ops.relu(ops.abs(y_pred - y_true) - eps))


@regression_loss(
    aliases=("l2_svr", "squared_eps_insensitive"),
    reference="Vapnik, The nature of statistical learning theory, 1995",
    params=(EPS,),
    elicits="a centre: the mean where errors are symmetric",
    limits=(Limit({"eps": 0.0}, "mean_squared_error"),),
)
def squared_epsilon_insensitive(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """Nothing within eps, squared beyond: smooth at the edge of the tube.

        max(0, abs(e) - eps)^2

    y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; eps at least 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.3], [-2.0]])
    >>> [f"{float(v):.4f}" for v in squared_epsilon_insensitive(y_true, raw_scores, eps=0.5)]
    ['0.0000', '2.2500']
    """
    return sample_mean(ops.square(ops.relu(ops.abs(y_pred - y_true) - eps)))


@raw_loss(
    aliases=("mape",),
    reference="de Myttenaere et al., Mean absolute percentage error, 2016, arXiv:1605.02541",
    activation="affine",
    needs=("target_mean", "target_scale"),
    non_differentiable_points=True,
    elicits="median weighted by 1/abs(y)",
)
def mean_absolute_percentage_error(y_true: Any, y_pred: Any, *, target_mean: Any, target_scale: Any) -> Any:
    """The residual as a percentage of the target.

        100 abs(e)/max(abs(y), target_scale/1000)

    The prediction is target_mean + target_scale z. y_true `(batch, *spatial_shape, 1)`, in the user's units; y_pred
    of the same shape; target_scale > 0. Returns `(batch,)`, in per cent.

    >>> y_true, raw_scores = ops.array([[200.0]]), ops.array([[1.5]])
    >>> loss = mean_absolute_percentage_error(y_true, raw_scores, target_mean=0.0, target_scale=100.0)
    >>> print(f"{float(loss[0]):.4f}")
    25.0000
    """
    error = target_mean + target_scale * y_pred - y_true
    return sample_mean(100.0 * ops.abs(error) / ops.maximum(ops.abs(y_true), 1e-3 * target_scale))


@raw_loss(
    aliases=("msle", "mean_squared_log_error"),
    reference="Keras and scikit-learn; the metric of several Kaggle contests",
    target_domain="[0, inf)",
    activation="softplus",
    needs=("target_scale",),
    elicits="exp(mean of log1p y) - 1",
)
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any, *, target_scale: Any) -> Any:
    """The squared difference of log(1 + value): relative errors of a target that is never negative.

        (log1p prediction - log1p y)^2

    The prediction is target_scale softplus(z). y_true `(batch, *spatial_shape, 1)`, at least 0, in the user's
    units; y_pred of the same shape; target_scale > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[3.0]]), ops.array([[0.5]])
    >>> print(f"{float(mean_squared_logarithmic_error(y_true, raw_scores, target_scale=1.0)[0]):.4f}")
    0.4987
    """
    prediction = target_scale * ops.softplus(y_pred)
    return sample_mean(ops.square(ops.log1p(prediction) - ops.log1p(y_true)))
