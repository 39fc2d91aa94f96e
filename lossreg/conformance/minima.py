"""The minimum of a loss on one label: its value, its side, and nothing below it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossreg.conformance import tensorflow
from lossreg.conformance.base import Failure
from lossreg.conformance.case import Case, Setting, brief, shown
from lossreg.conformance.tensorflow import Array

SIZES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0, 1e4)
FAR = (1e2, 1e3, 1e4)
LINE = 401
UNBOUNDED = "Bound it: a loss of one sample needs a least value, or training runs off to infinity."


def minimum(case: Case) -> str:
    """The least value is the declared one, it is on the right side, and nothing is below it."""
    for k in case.ks:
        setting = case.setting(k=k)
        _bounded(case, setting)
        _right_side(case, setting)
        for other in case.corners(k):
            _at_corner(case, other)
    _finite_best(case, case.setting())
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


def _finite_best(case: Case, setting: Setting) -> None:
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
    argmin = np.argmin(losses, axis=0)
    best = losses[argmin, np.arange(len(y))]
    raw_scores = np.stack(rays)[argmin, np.arange(len(y))]
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
        argmin = np.argmin(values, axis=1)
        center, span = t[np.arange(len(y)), argmin], span * 4.0 / LINE
    return values[np.arange(len(y)), argmin], center[:, None] * unit


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
        # a bounded value converges: little of its decrease is left for the last decade
        falling = (second > 0.5 * first) & (second > 1e-6 * (np.abs(path[0]) + 1.0)) & (first > 0)
        if falling.any():
            i = int(np.argmax(falling))
            what = f"{shown(path[:, i])} at raw scores of 1e2, 1e3, 1e4 times {brief(way[i])}"
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
