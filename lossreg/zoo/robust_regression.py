"""Losses of a real target that bear outliers: squared near 0, slower or bounded far out.

e is prediction - y in units of the target's robust scale. All but `smooth_l1` and `barron` are
e^2/2 near 0, so that one learning rate suits them alike.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any

from lossreg import ops
from lossreg.contract.claims import Limit
from lossreg.contract.params import Float
from lossreg.contract.targets import REGRESSION
from lossreg.zoo.numerics import like, log1p_gap, sample_mean
from lossreg.zoo.numerics import log_cosh as log_cosh_of
from lossreg.zoo.regression import residual_loss

DELTA = Float("delta", 1.345, 0.01, 10.0, log=True, domain="(0, inf)")


def scale(default: float, low: float = 0.01) -> Float:
    """The parameter c, the size of a residual that is no longer small."""
    return Float("c", default, low, 10.0, log=True, domain="(0, inf)")


def half_square(**at: float) -> Limit:
    """With such a scale the loss is e^2/2."""
    return Limit(at, "mean_squared_error", factor=0.5)


centred_loss = partial(residual_loss, elicits="a centre: mean and median where errors are symmetric")


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


HUBER = centred_loss(
    name="huber",
    function=huber,
    aliases=("huber_loss",),
    summary="Squared for small residuals, absolute for large: bears outliers.",
    reference="Huber, Robust estimation of a location parameter, 1964",
    formula="e^2/2 within delta, delta abs(e) - delta^2/2 beyond",
    params=(DELTA,),
    limits=(half_square(delta=1e6),),
    recommended=REGRESSION,
)


def smooth_l1(y_true: Any, y_pred: Any, *, delta: Any) -> Any:
    """Huber's loss divided by delta: e^2/(2 delta) within delta, abs(e) - delta/2 beyond.

    y_true and y_pred `(batch, *space, 1)`, standardised; delta > 0; returns `(batch,)`.
    arXiv:1504.08083.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in smooth_l1(y_true, scores, delta=2.0)]
    ['0.0625', '2.0000']
    """
    return huber(y_true, y_pred, delta=delta) / delta


SMOOTH_L1 = centred_loss(
    name="smooth_l1",
    function=smooth_l1,
    aliases=("smooth_l1_loss",),
    summary="Huber's loss over delta: the absolute error with a rounded tip.",
    reference="Girshick, Fast R-CNN, 2015, arXiv:1504.08083",
    formula="huber/delta",
    params=(DELTA,),
    limits=(Limit({"delta": 1.0}, "huber", {"delta": 1.0}), Limit({"delta": 1e-6}, "mean_absolute_error", rtol=1e-3)),
)


def pseudo_huber(y_true: Any, y_pred: Any, *, delta: Any) -> Any:
    """delta^2 (sqrt(1 + (e/delta)^2) - 1): Huber's loss without the seam.

    y_true and y_pred `(batch, *space, 1)`, standardised; delta > 0; returns `(batch,)`.
    Charbonnier et al., 1997.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in pseudo_huber(y_true, scores, delta=1.0)]
    ['0.1180', '2.1623']
    """
    size = ops.abs(y_pred - y_true)
    # sqrt(1 + u^2) - 1 = u^2/(sqrt(1 + u^2) + 1)
    return sample_mean(delta * size * (size / (ops.hypot(size, like(delta, size)) + delta)))


PSEUDO_HUBER = centred_loss(
    name="pseudo_huber",
    function=pseudo_huber,
    aliases=("charbonnier", "soft_l1", "pseudo_huber_loss"),
    summary="A smooth Huber loss with a square root.",
    reference="Charbonnier et al., Deterministic edge-preserving regularization, 1997",
    formula="delta^2 (sqrt(1 + (e/delta)^2) - 1)",
    params=(DELTA,),
    limits=(half_square(delta=1e4),),
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


LOG_COSH = centred_loss(
    name="log_cosh",
    function=log_cosh,
    aliases=("logcosh",),
    summary="A smooth Huber loss.",
    reference="Saleh and Saleh, Statistical properties of the log-cosh loss, 2022, arXiv:2208.04564",
    formula="c^2 log cosh(e/c)",
    params=(scale(1.0),),
    limits=(half_square(c=1e4),),
    recommended=REGRESSION,
)


def fair(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """c^2 (abs(e)/c - log(1 + abs(e)/c)): convex, with a slope that never exceeds c.

    y_true and y_pred `(batch, *space, 1)`, standardised; c > 0; returns `(batch,)`. Fair, 1974.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in fair(y_true, scores, c=1.0)]
    ['0.0945', '1.6137']
    """
    return sample_mean(c * (c * log1p_gap(ops.abs(y_pred - y_true) / c)))


FAIR = centred_loss(
    name="fair",
    function=fair,
    aliases=("fair_loss",),
    summary="Between Huber's and Cauchy's: convex, it leaves the square early.",
    reference="Fair, On the robust estimation of econometric models, 1974",
    formula="c^2 (abs(e)/c - log(1 + abs(e)/c))",
    params=(scale(1.3998),),
    limits=(half_square(c=1e6),),
)


def cauchy(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """c^2/2 log(1 + (e/c)^2): the likelihood of Cauchy errors.

    y_true and y_pred `(batch, *space, 1)`, standardised; c > 0; returns `(batch,)`. Black and
    Anandan, 1996.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in cauchy(y_true, scores, c=1.0)]
    ['0.1116', '1.1513']
    """
    return sample_mean(0.5 * c * (c * ops.log1p(ops.square((y_pred - y_true) / c))))


CAUCHY = centred_loss(
    name="cauchy",
    function=cauchy,
    aliases=("lorentzian", "cauchy_loss"),
    summary="Grows as a logarithm: far outliers pull ever less.",
    reference="Black and Anandan, The robust estimation of multiple motions, 1996",
    formula="c^2/2 log(1 + (e/c)^2)",
    params=(scale(2.385),),
    limits=(half_square(c=1e4),),
)


def welsch(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """c^2/2 (1 - exp(-(e/c)^2)): bounded, all but flat beyond 3 c.

    y_true and y_pred `(batch, *space, 1)`, standardised; c > 0; returns `(batch,)`, below
    c^2/2. Dennis and Welsch, 1978.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in welsch(y_true, scores, c=1.0)]
    ['0.1106', '0.4999']
    """
    return sample_mean(-0.5 * c * (c * ops.expm1(-ops.square((y_pred - y_true) / c))))


WELSCH = centred_loss(
    name="welsch",
    function=welsch,
    aliases=("leclerc", "correntropy", "welsch_loss"),
    summary="Bounded by a Gaussian bump: gross outliers do not pull at all.",
    reference="Dennis and Welsch, Techniques for nonlinear least squares and robust regression, 1978",
    formula="c^2/2 (1 - exp(-(e/c)^2))",
    params=(scale(2.985),),
    truncated=True,
    limits=(half_square(c=1e4),),
)


def geman_mcclure(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """e^2/2 / (1 + (e/c)^2): bounded, its slope falls as 1/abs(e)^3.

    y_true and y_pred `(batch, *space, 1)`, standardised; c > 0; returns `(batch,)`, below
    c^2/2. Geman and McClure, 1987.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in geman_mcclure(y_true, scores, c=1.0)]
    ['0.1000', '0.4500']
    """
    # v/(1 + v) = 1 - e^(-log(1 + v)), whose gradient does not cancel for large v
    return sample_mean(-0.5 * c * (c * ops.expm1(-ops.log1p(ops.square((y_pred - y_true) / c)))))


GEMAN_MCCLURE = centred_loss(
    name="geman_mcclure",
    function=geman_mcclure,
    aliases=("geman_mcclure_loss",),
    summary="Bounded: outliers pull as the inverse cube of their distance.",
    reference="Geman and McClure, Statistical methods for tomographic image reconstruction, 1987",
    formula="e^2/2 / (1 + (e/c)^2)",
    params=(scale(1.0),),
    limits=(half_square(c=1e4),),
)


def tukey_biweight(y_true: Any, y_pred: Any, *, c: Any) -> Any:
    """c^2/6 (1 - (1 - (e/c)^2)^3) within c, c^2/6 beyond: no gradient beyond c.

    y_true and y_pred `(batch, *space, 1)`, standardised; c > 0; returns `(batch,)`, at most
    c^2/6. Beaton and Tukey, 1974.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in tukey_biweight(y_true, scores, c=1.0)]
    ['0.0964', '0.1667']
    """
    v = ops.minimum(ops.square((y_pred - y_true) / c), 1.0)
    # 1 - (1 - v)^3 = v (3 - 3 v + v^2)
    return sample_mean(c * (c * (v * (3.0 + v * (v - 3.0)) / 6.0)))


TUKEY_BIWEIGHT = centred_loss(
    name="tukey_biweight",
    function=tukey_biweight,
    aliases=("tukey", "biweight", "bisquare"),
    summary="Flat beyond c: what is further off than that is left out.",
    reference="Beaton and Tukey, The fitting of power series, 1974",
    formula="c^2/6 (1 - (1 - (e/c)^2)^3) within c, c^2/6 beyond",
    params=(scale(4.685, low=0.1),),
    truncated=True,
    limits=(half_square(c=1e4),),
)


def barron(y_true: Any, y_pred: Any, *, a: Any, c: Any) -> Any:
    """b/a ((u^2/b + 1)^(a/2) - 1), u = e/c, b = 2 - a: many robust losses in one.

    a = 2 is u^2/2, a = 1 pseudo-Huber, a = 0 log(1 + u^2/2), a = -2 Geman-McClure, a -> -inf
    Welsch. y_true and y_pred `(batch, *space, 1)`, standardised; a at most 2; c > 0; returns
    `(batch,)`. arXiv:1701.03077.

    >>> y_true, scores = ops.array([[0.0], [0.0]]), ops.array([[0.5], [3.0]])
    >>> [f"{float(v):.4f}" for v in barron(y_true, scores, a=0.0, c=1.0)]
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


BARRON = centred_loss(
    name="barron",
    function=barron,
    aliases=("general_robust", "adaptive_robust", "barron_loss"),
    summary="One family from squared error to Welsch: its shape a is how outliers are borne.",
    reference="Barron, A general and adaptive robust loss function, 2019, arXiv:1701.03077",
    formula="abs(a - 2)/a (((e/c)^2/abs(a - 2) + 1)^(a/2) - 1)",
    params=(Float("a", 1.0, -4.0, 2.0, domain="(-inf, 2]"), scale(1.0)),
    limits=(
        Limit({"a": 2.0, "c": 1.0}, "mean_squared_error", factor=0.5),
        Limit({"a": 1.0, "c": 1.0}, "pseudo_huber", {"delta": 1.0}),
        Limit({"a": 0.0, "c": 1.0}, "cauchy", {"c": sqrt(2.0)}),
        Limit({"a": -2.0, "c": 1.0}, "geman_mcclure", {"c": 2.0}),
        Limit({"a": -1e5, "c": 1.0}, "welsch", {"c": sqrt(2.0)}, rtol=1e-3),
    ),
)

LOSSES = (
    HUBER,
    SMOOTH_L1,
    PSEUDO_HUBER,
    LOG_COSH,
    FAIR,
    CAUCHY,
    WELSCH,
    GEMAN_MCCLURE,
    TUKEY_BIWEIGHT,
    BARRON,
)
