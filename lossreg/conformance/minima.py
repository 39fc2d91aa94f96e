"""The minimum of a loss: on one label and on a mixture of labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, Setting, shown
from lossreg.conformance.gradients import crossed
from lossreg.conformance.tensorflow import Array
from lossreg.contract.params import Interval

SIZES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0, 1e4)
FAR = (1e2, 1e3, 1e4)
LINE = 401
MODES = ("mode", "weighted mode")
WHOLE = "it is declared a loss of whole batches (level='batch')"
UNBOUNDED = "Bound it: a loss of one sample needs a least value, or training runs off to infinity."


def minimum(case: Case) -> str:
    """The least value is the declared one, it is on the right side, and nothing is below it."""
    for k in case.ks:
        setting = case.setting(k=k)
        _bounded(case, setting)
        _right_side(case, setting)
        for other in case.corners(k):
            _at_corner(case, other)
    _settled(case, case.setting())
    if case.spec.claims.minimum is None:
        return "bounded below, least on the right side (no minimum is declared)"
    return f"comes down to {case.spec.claims.minimum:g} and never below"


def _at_corner(case: Case, setting: Setting) -> None:
    y = case.every_label(setting.k)
    best, raw_scores = _least(case, y, setting)
    if case.spec.claims.minimum is not None:
        _reached(case, y, best, setting)
    # beyond its centre such a loss promises nothing
    if not case.spec.claims.elicits.endswith("at its centre"):
        _on_side(case, y, best, raw_scores, setting)


def _reached(case: Case, y: Array, best: Array, setting: Setting) -> None:
    declared, origin = float(case.spec.claims.minimum or 0.0), _at_zero(case, y, setting)
    scale = np.abs(origin - declared).max() + abs(declared) + 1e-9
    i = int(np.argmax(best))
    if best[i] > declared + 1e-3 * scale:
        what = f"on label {shown(y[i].ravel())} it comes down to {shown(best[i])}, not to the declared {declared:g}"
        remedy = (
            "Declare minimum (None where parameters or label decide); or does it take raw scores for probabilities?"
        )
        raise Failure(f"{what} ({setting})", remedy)
    tried = np.concatenate([best, *(_random(case, setting, size) for size in (1.0, 10.0, 100.0))])
    if tried.min() < declared - 1e-7 * scale:
        what = f"it goes down to {shown(tried.min())}, below the declared minimum {declared:g} ({setting})"
        raise Failure(what, "Correct the formula or the declared minimum; look for swapped arguments.")


def _settled(case: Case, setting: Setting) -> None:
    """Over different labels each of several outputs of a regression has a best value, the others at 0."""
    if case.classes or case.width() < 2:
        return
    y = case.labels(41, seed=8)
    for i, unit in enumerate(np.eye(case.width())):
        near, far = (
            case.each(y, np.broadcast_to(t[:, None, None] * unit, (len(t), len(y), len(unit))), setting)
            for t in (np.linspace(-15.0, 15.0, 61), np.array([-1e3, 1e3]))
        )
        least, beyond = near.mean(axis=1).min(), far.mean(axis=1).min()
        if beyond < least - 1e-5 * (np.abs(near.mean(axis=1)).max() + 1.0):
            what = (
                f"on 41 labels it is {shown(beyond)} with output {i} at 1000 or -1000, {shown(least)} at best within 15"
            )
            raise Failure(f"{what} ({setting})", "Is a term that bounds this output missing, or its sign wrong?")


def _at_zero(case: Case, y: Array, setting: Setting) -> Array:
    return case.values(y, np.zeros((len(y), *case.spatial_shape, case.width(setting.k))), setting)


def _random(case: Case, setting: Setting, size: float) -> Array:
    y, z = case.labels(48, setting.k), case.raw_scores(48, setting.k, scale=size)
    if not case.classes:
        z *= np.eye(z.shape[-1])[case.activation.point]
    return case.values(y, z, setting)


def _least(case: Case, y: Array, setting: Setting) -> tuple[Array, Array]:
    """The least value for each label, and the raw scores that have it."""
    right = case.towards(y, setting.k)
    if right is None:
        return _line_search(case, y, setting)
    rays = [size * way for size in SIZES for way in (right, np.maximum(right, 0.0), np.minimum(right, 0.0))]
    losses = case.each(y, np.stack(rays), setting)
    place = np.argmin(losses, axis=0)
    best = losses[place, np.arange(len(y))]
    raw_scores = np.stack(rays)[place, np.arange(len(y))]
    return _polished(case, y, setting, best, raw_scores)


def _polished(case: Case, y: Array, setting: Setting, best: Array, raw_scores: Array) -> tuple[Array, Array]:
    """Descend from there where the declared minimum is not reached yet."""
    declared = case.spec.claims.minimum
    if declared is None or best.max() <= declared + 1e-6:
        return best, raw_scores
    from scipy.optimize import minimize

    def total(flat: Array) -> tuple[float, Array]:
        values, gradients = case.traced_gradients(y, flat.reshape(raw_scores.shape), setting, "float64")
        return float(values.sum()), gradients.ravel()

    descended = minimize(total, raw_scores.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x.reshape(
        raw_scores.shape
    )
    values = case.values(y, descended, setting)
    return np.minimum(values, best), np.where(
        (values < best).reshape(-1, *[1] * (raw_scores.ndim - 1)), descended, raw_scores
    )


def _line_search(case: Case, y: Array, setting: Setting) -> tuple[Array, Array]:
    """The least value of each label as the scored output moves and the others stay 0."""
    unit = np.eye(case.width(setting.k))[case.activation.point]
    reach = 45.0 if case.spec.activation == "identity" else 30.0
    center, span = np.zeros(len(y)), np.full(len(y), reach)
    exact = _raw_scores_of(case, y, np.zeros((len(y), len(unit))), setting)
    if exact is not None:
        # a narrow well lies between the points of the grid
        center = np.clip(exact[:, case.activation.point], -reach, reach)
    for _ in range(5):
        t = center[:, None] + span[:, None] * np.linspace(-1.0, 1.0, LINE)
        values = case.each(y, t.T[..., None] * unit, setting).T
        place = np.argmin(values, axis=1)
        center, span = t[np.arange(len(y)), place], span * 4.0 / LINE
    return values[np.arange(len(y)), place], center[:, None] * unit


# ------------------------------------------------------------------ sides and bounds


def _right_side(case: Case, setting: Setting) -> None:
    y = case.every_label(setting.k)
    _on_side(case, y, *_least(case, y, setting), setting)


def _on_side(case: Case, y: Array, best: Array, raw_scores: Array, setting: Setting) -> None:
    right = case.towards(y, setting.k)
    if right is None:
        _right_value(case, y, best, raw_scores, setting)
        return
    origin = _at_zero(case, y, setting)
    wrong = case.each(y, np.stack([-size * right for size in SIZES]), setting).min(axis=0)
    margin = 1e-6 * (np.abs(origin) + np.abs(best))
    bad = np.flatnonzero(best >= np.minimum(wrong, origin) - margin)
    if len(bad):
        i = bad[0]
        what = (
            f"label {shown(y[i].ravel())}: {shown(best[i])} at best on the right side, {shown(wrong[i])} on the other"
        )
        raise Failure(
            f"{what}, {shown(origin[i])} at zero raw scores ({setting})", "Look for a sign or swapped arguments."
        )


def _right_value(case: Case, y: Array, best: Array, raw_scores: Array, setting: Setting) -> None:
    """The prediction at the least value is the label, or as good as it."""
    if case.width(setting.k) != 1 and case.spec.activation != "identity":
        return
    point = case.activation.point
    predicted = case.predictions(raw_scores, setting)[:, point]
    exact = _raw_scores_of(case, y, raw_scores, setting)
    as_good = best if exact is None else case.values(y, exact, setting)
    scale = np.abs(_at_zero(case, y, setting)) + np.abs(best) + 1e-9
    far = np.abs(predicted - y[:, 0]) > 1e-2 * (np.abs(y[:, 0]) + 0.1)
    off = far & np.isfinite(best) & ~(as_good <= best + 1e-6 * scale)
    if off.any():
        i = int(np.argmax(off))
        what = f"on label {shown(y[i, 0])} it is least where the prediction is {shown(predicted[i])} ({setting})"
        raise Failure(what, "Look for a sign, swapped arguments, or an activation that is not the function's own.")


def _raw_scores_of(case: Case, y: Array, like: Array, setting: Setting) -> Array | None:
    """The raw scores that predict the labels."""
    if case.activation.inverse is None:
        return None
    from lossreg.conformance import tensorflow

    exact = np.zeros_like(like)
    exact[:, case.activation.point] = tensorflow.applied(
        case.activation.inverse, y, case.activation_constants(setting)
    )[:, 0]
    return exact


def _bounded(case: Case, setting: Setting) -> None:
    y = case.every_label(setting.k)
    for way in _ways(case, y, setting):
        path = case.each(y, np.stack([size * way for size in FAR]), setting)
        if not np.isfinite(path).all():
            raise Failure(f"not finite on raw scores of 1e2 to 1e4, float64 ({setting})", UNBOUNDED)
        first, second = path[0] - path[1], path[1] - path[2]
        # a bounded value settles: of the way down little is left for the last decade
        falling = (second > 0.5 * first) & (second > 1e-6 * (np.abs(path[0]) + 1.0)) & (first > 0)
        if falling.any():
            i = int(np.argmax(falling))
            what = f"{shown(path[:, i])} at raw scores of 1e2, 1e3, 1e4 times {shown(way[i].ravel()[:6])}"
            raise Failure(f"unbounded below: {what}, label {shown(y[i].ravel())} ({setting})", UNBOUNDED)


def _ways(case: Case, y: Array, setting: Setting) -> Iterator[Array]:
    shape = (len(y), *case.spatial_shape, case.width(setting.k))
    units = list(np.eye(shape[-1]))
    if not case.classes:
        units = [units[case.activation.point]]
    elif shape[-1] > 1:
        units.append(np.ones(shape[-1]))
    for unit in units:
        yield np.broadcast_to(unit, shape)
        yield -np.broadcast_to(unit, shape)
    right = case.towards(y, setting.k)
    if right is not None:
        yield right
        yield -right


# ------------------------------------------------------------------ a mixture of labels


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
    rows = np.random.default_rng(6).random((40, *case.spatial_shape, k if target == "multihot" else 1))
    rare = np.linspace(0.25, 0.75, rows.shape[-1]) if target == "multihot" else 0.7
    return (rows < rare).astype(float), np.full(40, 1 / 40)


def _best_constant(case: Case, y: Array, share: Array, setting: Setting, polish: bool) -> Array:
    """The raw scores `(*spatial_shape, outputs)` of least mean loss."""
    rng, shape = np.random.default_rng(7), (*case.spatial_shape, case.width())
    flat = int(np.prod(shape[-1:]))
    tried = np.concatenate([size * rng.normal(size=(150, flat)) for size in (0.5, 1.0, 2.0, 4.0)])
    tried = np.broadcast_to(tried.reshape(-1, *[1] * len(case.spatial_shape), flat), (len(tried), *shape))
    rows, raw_scores = (a for a in crossed(tried, y))
    values = case.values(raw_scores, rows, setting).reshape(len(tried), len(y)) @ share
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
    options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9}
    best = minimize(mean, begin, jac=True, method="L-BFGS-B", options=options).x
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
        best = shown(z.ravel()[:6])
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
        return does_not_apply("its predictions are not one a class")
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
        labels, raw_scores = crossed(y, t[:, None] * unit)
        values = case.values(labels, raw_scores, setting).reshape(len(y), LINE).mean(axis=0)
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
    labels, z = crossed(y, raw_scores)
    absent, present = case.values(labels, z, setting).reshape(2, len(t))
    for share in (0.3, 0.7):
        mean = (1 - share) * absent + share * present
        side = float(t[int(np.argmin(mean)), 0])
        if (side > 0) != (share > 0.5):
            what = f"for class 1 with probability {share} it is least at the logit {shown(side)} ({setting})"
            raise Failure(what, "A binary task gives the raw scores [-z/2, z/2]: neither class may be favoured.")
    return "least on the likelier side for probabilities .3 and .7"
