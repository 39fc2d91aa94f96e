"""The best constant prediction for a mixture of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, Setting, brief, shown
from lossreg.conformance.minima import LINE
from lossreg.conformance.tensorflow import Array
from lossreg.contract.params import Interval

MODES = ("mode", "weighted mode")
WHOLE = "it is declared a loss of whole batches (level='batch')"


def optimum(case: Case) -> str:
    """The best constant prediction for a mixture of labels is the functional that `elicits` names."""
    estimates = case.spec.claims.elicits
    if case.spec.level == "batch":
        return does_not_apply(WHOLE)
    if estimates in ("probability", *MODES):
        if not case.classes:
            raise Failure(f"elicits is {estimates!r}, and labels are numbers", "Declare another functional.")
        return _class_optimum(case, estimates)
    if estimates in ("mean", "median", "quantile", "expectile"):
        return _value_optimum(case, estimates)
    return does_not_apply(f"it estimates: {estimates}" if estimates else "elicits is not declared")


def _class_optimum(case: Case, estimates: str) -> str:
    setting = case.plain()
    y, share = _mixture(case)
    expected = (share[:, None] * y.reshape(len(y), -1)).sum(axis=0)
    z = _best_constant(case, y, share, setting, polish=estimates == "probability")
    predicted = case.predictions(z[None], setting)[0]
    if case.spec.target == "ordinal":
        expected = share
    if estimates in MODES:
        return _mode(case, expected, predicted, z, setting)
    if case.spatial_shape:
        # one constant for all pixels
        expected, predicted = expected.mean(keepdims=True), predicted.ravel()[:1]
    if np.abs(predicted.ravel() - expected.ravel()).max() > 5e-3:
        what = (
            f"for classes in shares {shown(expected)} the best constant predicts {shown(predicted.ravel())} ({setting})"
        )
        raise Failure(what, "Correct the formula or the activation, or declare what it elicits ('mode').")
    return f"the best constant predicts the shares {shown(expected)}"


def _mixture(case: Case) -> tuple[Array, Array]:
    """Labels and how often each occurs."""
    k, target = case.k, case.spec.target
    if target in ("binary", "signed"):
        return case.every_label(), np.array([0.3, 0.7])
    if target in ("onehot", "ordinal"):
        return case.every_label(), np.array([0.2, 0.7, 0.1, 0.05])[:k] / np.array([0.2, 0.7, 0.1, 0.05])[:k].sum()
    uniform = np.random.default_rng(6).random((40, *case.spatial_shape, k if target == "multihot" else 1))
    rare = np.linspace(0.25, 0.75, uniform.shape[-1]) if target == "multihot" else 0.7
    return (uniform < rare).astype(float), np.full(40, 1 / 40)


def _best_constant(case: Case, y: Array, share: Array, setting: Setting, polish: bool) -> Array:
    """The raw scores `(*spatial_shape, outputs)` of least mean loss."""
    rng, shape = np.random.default_rng(7), (*case.spatial_shape, case.width())
    flat = int(np.prod(shape[-1:]))
    tried = np.concatenate([size * rng.normal(size=(150, flat)) for size in (0.5, 1.0, 2.0, 4.0)])
    tried = np.broadcast_to(tried.reshape(-1, *[1] * len(case.spatial_shape), flat), (len(tried), *shape))
    values = case.each(y, np.broadcast_to(tried[:, None], (len(tried), len(y), *shape)), setting) @ share
    best = tried[int(np.argmin(values))]
    return _descended(case, y, share, setting, best) if polish else np.asarray(best)


def _descended(case: Case, y: Array, share: Array, setting: Setting, start: Array) -> Array:
    from scipy.optimize import minimize

    shape = (start.shape[-1],)

    def mean(flat: Array) -> tuple[float, Array]:
        z = np.broadcast_to(flat, start.shape)
        values, gradients = case.traced_gradients(y, np.broadcast_to(z, (len(y), *z.shape)), setting, "float64")
        gradient = np.tensordot(share, gradients, axes=1).reshape(-1, *shape).sum(axis=0)
        return float(values @ share), gradient

    begin = start.reshape(-1, *shape)[0]
    best = minimize(mean, begin, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9}).x
    return np.array(np.broadcast_to(best, start.shape))


def _mode(case: Case, expected: Array, predicted: Array, z: Array, setting: Setting) -> str:
    if case.spec.target in ("onehot", "ordinal"):
        right = int(np.argmax(predicted)) == int(np.argmax(expected))
    elif case.spec.target == "multihot":
        clear = np.abs(expected - 0.5) > 0.1
        right = bool(((z > 0) == (expected > 0.5))[clear].all())
    else:
        right = bool(np.all(z > 0))
    if not right:
        best = brief(z)
        what = f"for classes in shares {shown(expected[:6])} the best constant raw scores are {best}"
        raise Failure(f"{what} ({setting})", "Correct the formula, or declare what it elicits.")
    return f"the best constant is for the most frequent class of shares {shown(expected[:6])}"


def _value_optimum(case: Case, estimates: str) -> str:
    if case.spec.target == "ordinal" and estimates == "median":
        return _median_class(case)
    if case.classes:
        raise Failure(f"elicits is {estimates!r}, and labels are classes", "Declare 'probability' or 'mode'.")
    y = np.sort(case.labels(41, seed=8), axis=0)
    levels: list[dict[str, Any]] = [{}]
    name = {"quantile": "q", "expectile": "tau"}.get(estimates, "")
    if any(p.name == name for p in case.spec.params):
        domain = Interval.parse(getattr(case.spec.param(name), "domain", "(-inf, inf)"))
        levels += [{name: level} for level in (0.23, 0.71) if level in domain]
    for level in levels:
        setting = case.setting(level)
        tau = float(setting.params[name]) if name in setting.params else 0.5
        expected = _functional(estimates, y[:, 0], tau)
        if not _estimated(case, y, expected, estimates, setting):
            return does_not_apply("it has no least value over all outputs together")
    return f"the best constant is the {estimates} of the labels"


def _median_class(case: Case) -> str:
    """The best constant raw scores are for the median class, or their prediction has its median there."""
    setting, share = case.plain(), np.array([0.4, 0.2, 0.2, 0.2])
    z = _best_constant(case, case.every_label(), share, setting, polish=True)
    predicted = case.predictions(z[None], setting)[0]
    if predicted.shape != share.shape:
        return does_not_apply("its predictions are not one per class")
    medians = int(np.argmax(predicted)), int(np.argmax(np.cumsum(predicted) >= 0.5 * predicted.sum()))
    if 1 not in medians:
        what = f"for classes in shares {shown(share)} the best constant predicts {shown(predicted)} ({setting})"
        raise Failure(what, "The median class is the second: correct the formula, or declare what it elicits.")
    return f"the best constant is for the median class of shares {shown(share)}"


def _functional(estimates: str, y: Array, tau: float) -> float:
    if estimates == "mean":
        return float(y.mean())
    if estimates in ("median", "quantile"):
        return float(np.quantile(y, tau, method="inverted_cdf"))
    from scipy.stats import expectile

    return float(expectile(y, tau))


def _estimated(case: Case, y: Array, expected: float, estimates: str, setting: Setting) -> bool:
    """Raise where the best constant is another; return False if there is none."""
    unit, center, span = np.eye(case.width())[case.activation.point], 0.0, 30.0
    for _ in range(5):
        t = center + span * np.linspace(-1.0, 1.0, LINE)
        values = case.each(y, np.broadcast_to(t[:, None, None] * unit, (LINE, len(y), len(unit))), setting).mean(axis=1)
        center, span = float(t[int(np.argmin(values))]), span * 4.0 / LINE
    tolerance = 5e-3 * (abs(expected) + float(y.std()))
    predicted = float(case.predictions(center * unit[None], setting)[0, case.activation.point])
    if abs(predicted - expected) > tolerance and len(unit) > 1:
        predicted = _jointly(case, y, center, setting)
    if abs(predicted - expected) > tolerance:
        what = f"the best constant for 41 labels is {shown(predicted)}, and their {estimates} is {shown(expected)}"
        raise Failure(f"{what} ({setting})", "Correct the formula (is it swapped?), or declare what it elicits.")
    return bool(np.isfinite(predicted))


def _jointly(case: Case, y: Array, center: float, setting: Setting) -> float:
    """The prediction where the mean loss is least over all outputs together; NaN where there is no minimum."""
    from scipy.optimize import minimize

    point, width = case.activation.point, case.width()

    def mean(z: Any) -> float:
        return float(case.traced_gradients(y, np.tile(z, (len(y), 1)), setting, "float64")[0].mean())

    starts = [first * np.eye(width)[point] for first in (center, -1.0, 0.0, 1.0)]
    ends = [
        minimize(mean, z, method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-6, "fatol": 1e-11}).x
        for z in starts
    ]
    best = np.asarray(min(ends, key=mean))
    if np.abs(best).max() > 1e3:
        return float("nan")
    return float(case.predictions(best[None], setting)[0, point])


def binary_side(case: Case) -> str:
    """On one logit, for class 1 with probability .3 and .7, the loss is least on the likelier side."""
    if "binary" not in case.spec.tasks:
        return does_not_apply("it does not serve binary tasks")
    if case.spec.level == "batch":
        return does_not_apply(WHOLE)
    setting, t = case.plain(2), np.linspace(-20.03, 20.01, 2001)[:, None]
    y = case.every_label(2)
    raw_scores = np.concatenate([-t / 2, t / 2], axis=1) if case.width(2) == 2 else t
    absent, present = case.each(y, np.repeat(raw_scores[:, None], 2, axis=1), setting).T
    for share in (0.3, 0.7):
        mean = (1 - share) * absent + share * present
        side = float(t[int(np.argmin(mean)), 0])
        if (side > 0) != (share > 0.5):
            what = f"for class 1 with probability {share} it is least at the logit {shown(side)} ({setting})"
            raise Failure(what, "A binary task gives the raw scores [-z/2, z/2]: neither class may be favoured.")
    return "least on the likelier side for probabilities .3 and .7"
