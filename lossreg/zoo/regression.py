"""Losses of a real target: e is prediction - y.

Of `real` targets labels and scores are both centred and scaled (e is in units of the target's
robust scale); of `raw` ones labels keep the user's units and the link makes the prediction.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lossreg import ops
from lossreg.params import Float
from lossreg.spec import LossSpec
from lossreg.zoo.parts import log_cosh as log_cosh_of
from lossreg.zoo.parts import sample_mean

residual_loss = partial(
    LossSpec,
    tasks=("regression", "positive", "count"),
    target="real",
    outputs="1",
    link="identity",
    symmetric=True,
    recommended=("regression", "positive", "count"),
)
raw_loss = partial(residual_loss, target="raw", symmetric=False, recommended=())


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
)


def huber(y_true: Any, y_pred: Any, *, delta: Any) -> Any:
    """e^2/2 within delta, delta abs(e) - delta^2/2 beyond.

    y_true and y_pred `(batch, *space, 1)`, standardised; delta > 0; returns `(batch,)`.
    Huber, 1964.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in huber(y_true, scores, delta=1.0)]
    ['0.1250', '2.5000']
    """
    size = ops.abs(y_pred - y_true)
    bounded = ops.minimum(size, delta)
    # both branches are b (abs(e) - b/2) with b = min(abs(e), delta)
    return sample_mean(bounded * (size - 0.5 * bounded))


HUBER = residual_loss(
    name="huber",
    function=huber,
    aliases=("huber_loss",),
    summary="Squared for small residuals, absolute for large: bears outliers.",
    reference="Huber, Robust estimation of a location parameter, 1964",
    formula="e^2/2 within delta, delta abs(e) - delta^2/2 beyond",
    params=(Float("delta", 1.345, 0.01, 10.0, log=True, domain="(0, inf)"),),
)


def log_cosh(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """c^2 log(cosh(e/c)): e^2/2 well within c, c abs(e) - c^2 log(2) well beyond.

    y_true and y_pred `(batch, *space, 1)`, standardised; c > 0; returns `(batch,)`.
    arXiv:2208.04564.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in log_cosh(y_true, scores, c=1.0)]
    ['0.1201', '2.3093']
    """
    return sample_mean(c * (c * log_cosh_of((y_pred - y_true) / c)))


LOG_COSH = residual_loss(
    name="log_cosh",
    function=log_cosh,
    aliases=("logcosh",),
    summary="A smooth Huber loss.",
    reference="Saleh and Saleh, Statistical properties of the log-cosh loss, 2022, arXiv:2208.04564",
    formula="c^2 log cosh(e/c)",
    params=(Float("c", 1.0, 0.01, 10.0, log=True, domain="(0, inf)"),),
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
    link="affine",
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
    link="softplus",
    needs=("target_scale",),
    elicits="exp(mean of log1p y) - 1",
)

LOSSES = (
    MEAN_SQUARED_ERROR,
    MEAN_ABSOLUTE_ERROR,
    HUBER,
    LOG_COSH,
    MEAN_ABSOLUTE_PERCENTAGE_ERROR,
    MEAN_SQUARED_LOGARITHMIC_ERROR,
)
