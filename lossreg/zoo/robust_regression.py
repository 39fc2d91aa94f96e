"""Losses of a real target that are robust to outliers: squared near 0, slower or bounded far out.

e is prediction - y in units of the target's robust scale. All but `smooth_l1` and `barron` are
e^2/2 near 0, so that one learning rate suits them alike.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.declaration import regression_loss
from lossreg.contract.params import Float
from lossreg.contract.targets import REGRESSION
from lossreg.zoo.numerics import like, log1p_gap, sample_mean
from lossreg.zoo.numerics import log_cosh as log_cosh_of

DELTA = Float("delta", 1.345, 0.01, 10.0, log=True, domain="(0, inf)")


def scale(default: float, low: float = 0.01) -> Float:
    """The parameter c, the size of a residual that is no longer small."""
    return Float("c", default, low, 10.0, log=True, domain="(0, inf)")


def half_square(**at: float) -> Limit:
    """With such a scale the loss is e^2/2."""
    return Limit(at, "mean_squared_error", factor=0.5)


centred_loss = partial(regression_loss, elicits="a centre: mean and median where errors are symmetric")


@centred_loss(
    aliases=("huber_loss",),
    reference="Huber, Robust estimation of a location parameter, 1964",
    params=(DELTA,),
    limits=(half_square(delta=1e6),),
    recommended=REGRESSION,
)
def huber(y_true: Any, y_pred: Any, *, delta: Any) -> Any:
    """Squared for small residuals, absolute for large: robust to outliers.

        e^2/2 within delta, delta abs(e) - delta^2/2 beyond

    y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; delta > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in huber(y_true, raw_scores, delta=1.0)]
    ['0.1250', '2.5000']
    """
    size = ops.abs(y_pred - y_true)
    bounded = ops.minimum(size, delta)
    # both branches are b (abs(e) - b/2) with b = min(abs(e), delta)
    return sample_mean(bounded * (size - 0.5 * bounded))


@centred_loss(
    aliases=("smooth_l1_loss",),
    reference="Girshick, Fast R-CNN, 2015, arXiv:1504.08083",
    params=(DELTA,),
    limits=(Limit({"delta": 1.0}, "huber", {"delta": 1.0}), Limit({"delta": 1e-6}, "mean_absolute_error", rtol=1e-3)),
)
def smooth_l1(y_true: Any, y_pred: Any, *, delta: Any) -> Any:
    """Huber's loss over delta: the absolute error with a rounded tip.

        huber/delta

    This is e^2/(2 delta) within delta, abs(e) - delta/2 beyond. y_true and y_pred `(batch, *spatial_shape, 1)`,
    standardised; delta > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in smooth_l1(y_true, raw_scores, delta=2.0)]
    ['0.0625', '2.0000']
    """
    return huber(y_true, y_pred, delta=delta) / delta


@centred_loss(
    aliases=("charbonnier", "soft_l1", "pseudo_huber_loss"),
    reference="Charbonnier et al., Deterministic edge-preserving regularization, 1997",
    params=(DELTA,),
    limits=(half_square(delta=1e4),),
)
def pseudo_huber(y_true: Any, y_pred: Any, *, delta: Any) -> Any:
    """A smooth Huber loss with a square root.

        delta^2 (sqrt(1 + (e/delta)^2) - 1)

    y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; delta > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in pseudo_huber(y_true, raw_scores, delta=1.0)]
    ['0.1180', '2.1623']
    """
    size = ops.abs(y_pred - y_true)
    # sqrt(1 + u^2) - 1 = u^2/(sqrt(1 + u^2) + 1)
    return sample_mean(delta * size * (size / (ops.hypot(size, like(delta, size)) + delta)))


@centred_loss(
    aliases=("logcosh",),
    reference="Saleh and Saleh, Statistical properties of the log-cosh loss, 2022, arXiv:2208.04564",
    params=(scale(1.0),),
    limits=(half_square(c=1e4),),
    recommended=REGRESSION,
)
def log_cosh(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """A smooth Huber loss.

        c^2 log cosh(e/c)

    This is e^2/2 well within c, c abs(e) - c^2 log(2) well beyond. y_true and y_pred `(batch, *spatial_shape, 1)`,
    standardised; c > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in log_cosh(y_true, raw_scores, c=1.0)]
    ['0.1201', '2.3093']
    """
    return sample_mean(c * (c * log_cosh_of((y_pred - y_true) / c)))


@centred_loss(
    aliases=("fair_loss",),
    reference="Fair, On the robust estimation of econometric models, 1974",
    params=(scale(1.3998),),
    limits=(half_square(c=1e6),),
)
def fair(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """Between Huber's and Cauchy's: convex, it leaves the square early.

        c^2 (abs(e)/c - log(1 + abs(e)/c))

    The gradient never exceeds c. y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; c > 0. Returns
    `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in fair(y_true, raw_scores, c=1.0)]
    ['0.0945', '1.6137']
    """
    return sample_mean(c * (c * log1p_gap(ops.abs(y_pred - y_true) / c)))


@centred_loss(
    aliases=("lorentzian", "cauchy_loss"),
    reference="Black and Anandan, The robust estimation of multiple motions, 1996",
    params=(scale(2.385),),
    limits=(half_square(c=1e4),),
)
def cauchy(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """Grows as a logarithm: far outliers pull ever less.

        c^2/2 log(1 + (e/c)^2)

    This is the likelihood of Cauchy errors. y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; c > 0.
    Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in cauchy(y_true, raw_scores, c=1.0)]
    ['0.1116', '1.1513']
    """
    return sample_mean(0.5 * c * (c * ops.log1p(ops.square((y_pred - y_true) / c))))


@centred_loss(
    aliases=("leclerc", "correntropy", "welsch_loss"),
    reference="Dennis and Welsch, Techniques for nonlinear least squares and robust regression, 1978",
    params=(scale(2.985),),
    truncated=True,
    limits=(half_square(c=1e4),),
)
def welsch(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """Bounded by a Gaussian bump: gross outliers do not pull at all.

        c^2/2 (1 - exp(-(e/c)^2))

    All but flat beyond 3 c. y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; c > 0. Returns
    `(batch,)`, below c^2/2.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in welsch(y_true, raw_scores, c=1.0)]
    ['0.1106', '0.4999']
    """
    return sample_mean(-0.5 * c * (c * ops.expm1(-ops.square((y_pred - y_true) / c))))


@centred_loss(
    aliases=("geman_mcclure_loss",),
    reference="Geman and McClure, Statistical methods for tomographic image reconstruction, 1987",
    params=(scale(1.0),),
    limits=(half_square(c=1e4),),
)
def geman_mcclure(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """Bounded: outliers pull as the inverse cube of their distance.

        e^2/2 / (1 + (e/c)^2)

    The gradient falls as 1/abs(e)^3. y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; c > 0. Returns
    `(batch,)`, below c^2/2.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in geman_mcclure(y_true, raw_scores, c=1.0)]
    ['0.1000', '0.4500']
    """
    # v/(1 + v) = 1 - e^(-log(1 + v)), whose gradient does not cancel for large v
    return sample_mean(-0.5 * c * (c * ops.expm1(-ops.log1p(ops.square((y_pred - y_true) / c)))))


@centred_loss(
    aliases=("tukey", "biweight", "bisquare"),
    reference="Beaton and Tukey, The fitting of power series, 1974",
    params=(scale(4.685, low=0.1),),
    truncated=True,
    limits=(half_square(c=1e4),),
)
def tukey_biweight(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """Flat beyond c: what is further off than that is left out.

        c^2/6 (1 - (1 - (e/c)^2)^3) within c, c^2/6 beyond

    There is no gradient beyond c. y_true and y_pred `(batch, *spatial_shape, 1)`, standardised; c > 0. Returns
    `(batch,)`, at most c^2/6.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in tukey_biweight(y_true, raw_scores, c=1.0)]
    ['0.0964', '0.1667']
    """
    v = ops.minimum(ops.square((y_pred - y_true) / c), 1.0)
    # 1 - (1 - v)^3 = v (3 - 3 v + v^2)
    return sample_mean(c * (c * (v * (3.0 + v * (v - 3.0)) / 6.0)))


@centred_loss(
    aliases=("general_robust", "adaptive_robust", "barron_loss"),
    reference="Barron, A general and adaptive robust loss function, 2019, arXiv:1701.03077",
    params=(Float("a", 1.0, -4.0, 2.0, domain="(-inf, 2]"), scale(1.0)),
    limits=(
        Limit({"a": 2.0, "c": 1.0}, "mean_squared_error", factor=0.5),
        Limit({"a": 1.0, "c": 1.0}, "pseudo_huber", {"delta": 1.0}),
        Limit({"a": 0.0, "c": 1.0}, "cauchy", {"c": sqrt(2.0)}),
        Limit({"a": -2.0, "c": 1.0}, "geman_mcclure", {"c": 2.0}),
        Limit({"a": -1e5, "c": 1.0}, "welsch", {"c": sqrt(2.0)}, rtol=1e-3),
    ),
)
def barron(y_true: Any, y_pred: Any, *, a: Any, c: Any) -> Any:
    """One family from squared error to Welsch: its shape a decides the weight of outliers.

        abs(a - 2)/a (((e/c)^2/abs(a - 2) + 1)^(a/2) - 1)

    a = 2 is (e/c)^2/2, a = 1 pseudo-Huber, a = 0 log(1 + (e/c)^2/2), a = -2 Geman-McClure, a -> -inf Welsch. y_true
    and y_pred `(batch, *spatial_shape, 1)`, standardised; a at most 2; c > 0. Returns `(batch,)`.

    >>> y_true, raw_scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in barron(y_true, raw_scores, a=0.0, c=1.0)]
    ['0.1178', '1.7047']
    """
    a, v = like(a, y_pred), ops.square((y_pred - y_true) / c)
    b = ops.where(a < 2.0, 2.0 - a, 1.0)
    growth = ops.log1p(v / b)
    return sample_mean(ops.where(a < 2.0, b * _expm1_over(a, 0.5 * growth), 0.5 * v))


def _expm1_over(a: Any, x: Any) -> Any:
    """(e^(a x) - 1)/a for x at least 0, which is x at a = 0."""
    power = a * x
    small = ops.abs(power) < 0.01
    near = x * (1.0 + power / 2.0 * (1.0 + power / 3.0 * (1.0 + power / 4.0)))
    return ops.where(small, near, ops.expm1(power) / ops.where(small, 1.0, a))
