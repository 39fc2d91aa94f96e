"""Losses of a real target: e is prediction - y.

Of `real` targets labels and scores are both centred and scaled (e is in units of the target's
robust scale); of `raw` ones labels keep the user's units and the activation makes the prediction.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.params import Float
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import REGRESSION
from lossreg.zoo.numerics import sample_mean

residual_loss = partial(
    LossSpec,
    tasks=REGRESSION,
    target="real",
    outputs="1",
    activation="identity",
    symmetric=True,
)
raw_loss = partial(residual_loss, target="raw", symmetric=False)
EPS = Float("eps", 0.1, 0.001, 1.0, log=True, domain="[0, inf)")


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """e^2.

    y_true and y_pred `(batch, *space, 1)`, standardised; returns `(batch,)`. Gauss, 1821.

    >>> y_true, scores = ops.array([[1.0]]), ops.array([[3.0]])
    >>> print(f"{float(mean_squared_error(y_true, scores)[0]):.4f}")
    4.0000
    """
    return sample_mean(ops.square(y_pred - y_true))


MEAN_SQUARED_ERROR = residual_loss(
    name="mean_squared_error",
    function=mean_squared_error,
    aliases=("mse", "l2", "squared_error"),
    summary="The square of the residual: the baseline of regression.",
    reference="Gauss, Theoria combinationis observationum, 1821",
    formula="e^2",
    elicits="mean",
    recommended=REGRESSION,
)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """abs(e).

    y_true and y_pred `(batch, *space, 1)`, standardised; returns `(batch,)`. Boscovich, 1757.

    >>> y_true, scores = ops.array([[1.0]]), ops.array([[3.0]])
    >>> print(f"{float(mean_absolute_error(y_true, scores)[0]):.4f}")
    2.0000
    """
    return sample_mean(ops.abs(y_pred - y_true))


MEAN_ABSOLUTE_ERROR = residual_loss(
    name="mean_absolute_error",
    function=mean_absolute_error,
    aliases=("mae", "l1", "absolute_error"),
    summary="The size of the residual: bears outliers.",
    reference="Boscovich, 1757; Koenker and Bassett, Regression quantiles, 1978",
    formula="abs(e)",
    kinks=True,
    elicits="median",
    limits=(Limit({}, "quantile", factor=2.0),),
    recommended=REGRESSION,
)


def epsilon_insensitive(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """max(0, abs(e) - eps): a residual within eps costs nothing.

    y_true and y_pred `(batch, *space, 1)`, standardised; eps at least 0; returns `(batch,)`.
    Vapnik, 1995.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.3], [-2.0]])
    >>> [f"{float(v):.4f}" for v in epsilon_insensitive(y_true, scores, eps=0.5)]
    ['0.0000', '1.5000']
    """
    return sample_mean(ops.relu(ops.abs(y_pred - y_true) - eps))


EPSILON_INSENSITIVE = residual_loss(
    name="epsilon_insensitive",
    function=epsilon_insensitive,
    aliases=("svr", "eps_insensitive"),
    summary="Support vector regression's loss: nothing within eps, absolute beyond.",
    reference="Vapnik, The nature of statistical learning theory, 1995",
    formula="max(0, abs(e) - eps)",
    params=(EPS,),
    kinks=True,
    elicits="a centre: the median where errors are symmetric",
    limits=(Limit({"eps": 0.0}, "mean_absolute_error"),),
)


def squared_epsilon_insensitive(y_true: Any, y_pred: Any, *, eps: Any) -> Any:
    """max(0, abs(e) - eps)^2.

    y_true and y_pred `(batch, *space, 1)`, standardised; eps at least 0; returns `(batch,)`.
    Vapnik, 1995.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.3], [-2.0]])
    >>> [f"{float(v):.4f}" for v in squared_epsilon_insensitive(y_true, scores, eps=0.5)]
    ['0.0000', '2.2500']
    """
    return sample_mean(ops.square(ops.relu(ops.abs(y_pred - y_true) - eps)))


SQUARED_EPSILON_INSENSITIVE = residual_loss(
    name="squared_epsilon_insensitive",
    function=squared_epsilon_insensitive,
    aliases=("l2_svr", "squared_eps_insensitive"),
    summary="Nothing within eps, squared beyond: smooth at the edge of the tube.",
    reference="Vapnik, The nature of statistical learning theory, 1995",
    formula="max(0, abs(e) - eps)^2",
    params=(EPS,),
    elicits="a centre: the mean where errors are symmetric",
    limits=(Limit({"eps": 0.0}, "mean_squared_error"),),
)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any, *, target_mean: Any, target_scale: Any) -> Any:
    """100 abs(e)/max(abs(y), floor), floor a thousandth of target_scale.

    y_true `(batch, *space, 1)` in the user's units; y_pred of the same shape, scores of the
    prediction target_mean + target_scale z; target_scale > 0; returns `(batch,)`, in per cent.
    arXiv:1605.02541.

    >>> y_true, scores = ops.array([[200.0]]), ops.array([[1.5]])
    >>> print(f"{float(mean_absolute_percentage_error(y_true, scores, target_mean=0.0, target_scale=100.0)[0]):.4f}")
    25.0000
    """
    error = target_mean + target_scale * y_pred - y_true
    return sample_mean(100.0 * ops.abs(error) / ops.maximum(ops.abs(y_true), 1e-3 * target_scale))


MEAN_ABSOLUTE_PERCENTAGE_ERROR = raw_loss(
    name="mean_absolute_percentage_error",
    function=mean_absolute_percentage_error,
    aliases=("mape",),
    summary="The residual as a percentage of the target.",
    reference="de Myttenaere et al., Mean absolute percentage error, 2016, arXiv:1605.02541",
    formula="100 abs(e)/max(abs(y), target_scale/1000)",
    activation="affine",
    needs=("target_mean", "target_scale"),
    kinks=True,
    elicits="median weighted by 1/abs(y)",
)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any, *, target_scale: Any) -> Any:
    """(log(1 + prediction) - log(1 + y))^2, prediction being target_scale softplus(z).

    y_true `(batch, *space, 1)`, at least 0, in the user's units; y_pred of the same shape,
    scores; target_scale > 0; returns `(batch,)`. The metric of several Kaggle contests.

    >>> y_true, scores = ops.array([[3.0]]), ops.array([[0.5]])
    >>> print(f"{float(mean_squared_logarithmic_error(y_true, scores, target_scale=1.0)[0]):.4f}")
    0.4987
    """
    prediction = target_scale * ops.softplus(y_pred)
    return sample_mean(ops.square(ops.log1p(prediction) - ops.log1p(y_true)))


MEAN_SQUARED_LOGARITHMIC_ERROR = raw_loss(
    name="mean_squared_logarithmic_error",
    function=mean_squared_logarithmic_error,
    aliases=("msle", "mean_squared_log_error"),
    summary="The squared difference of log(1 + value): relative errors of a target that is never negative.",
    reference="Keras and scikit-learn; the metric of several Kaggle contests",
    formula="(log1p prediction - log1p y)^2",
    target_domain="[0, inf)",
    activation="softplus",
    needs=("target_scale",),
    elicits="exp(mean of log1p y) - 1",
)

LOSSES = (
    MEAN_SQUARED_ERROR,
    MEAN_ABSOLUTE_ERROR,
    EPSILON_INSENSITIVE,
    SQUARED_EPSILON_INSENSITIVE,
    MEAN_ABSOLUTE_PERCENTAGE_ERROR,
    MEAN_SQUARED_LOGARITHMIC_ERROR,
)
