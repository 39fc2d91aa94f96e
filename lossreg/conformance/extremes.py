"""Values and gradients on extreme raw scores: finite, and never dead on very wrong ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, Setting, brief, shown
from lossreg.conformance.tensorflow import Array
from lossreg.contract.params import Float

EXTREMES = (0.0, 1e-8, 1.0, 20.0, 100.0, 1e4)
LOG_SPACE = "Compute in log space: log_softmax, softplus, logsumexp, expm1, log1p; never the log or a power of 0."


def finite(case: Case) -> str:
    """Float32 values and gradients on extreme raw scores, at the corners of the search box, for all labels."""
    number = 0
    for k in case.ks:
        y, z = extremes(case, k)
        for setting in (*case.corners(k), *_special(case, k)):
            _finite(case, y, z, setting)
            number += len(y)
    exact = _exact_within(case)
    return f"finite on {number} cases, raw scores up to 1e4{exact}"


def _special(case: Case, k: int) -> Iterable[Setting]:
    """Parameters within the search ranges at which formulas divide 0 by 0."""
    for param in case.spec.params:
        for value in (0.0, 1.0, 2.0):
            if isinstance(param, Float) and param.low < value < param.high:
                yield case.setting({param.name: value}, k)


def fuzz(case: Case) -> str:
    """Two hundred draws from the search space."""
    if not case.spec.params:
        return does_not_apply("it has no parameters")
    y, z = extremes(case, case.k)
    for setting in case.draws(200):
        _finite(case, y, z, setting)
    return f"200 draws of parameters, {200 * len(y)} cases, all finite"


def extremes(case: Case, k: int) -> tuple[Array, Array]:
    """Every label with every pattern of extreme raw scores."""
    return crossed(case.every_label(k), _patterns(case, k))


def crossed(y: Array, z: Array) -> tuple[Array, Array]:
    """Each sample of `y` with each of `z`."""
    return np.repeat(y, len(z), axis=0), np.tile(z, (len(y), *[1] * (z.ndim - 1)))


def _patterns(case: Case, k: int) -> Array:
    width = case.width(k)
    if case.spatial_shape:
        shapes = [np.ones(case.spatial_shape), np.indices(case.spatial_shape).sum(axis=0) % 2 * 2.0 - 1]
    else:
        shapes = [*np.eye(width), np.ones(width), np.where(np.arange(width) % 2, -1.0, 1.0)]
    units = np.stack(shapes).reshape(-1, *case.spatial_shape, width)
    return np.concatenate([sign * size * units for size in EXTREMES for sign in (1.0, -1.0)])


def _finite(case: Case, y: Array, z: Array, setting: Setting) -> None:
    values, gradients = case.traced_gradients(y, z, setting)
    for what, array in (("value", values), ("gradient", gradients.reshape(len(z), -1).sum(axis=1))):
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            i = bad[0]
            where = f"raw scores {brief(z[i])}, label {brief(y[i])}, {setting}"
            raise Failure(f"the {what} is {array[i]} at {where} ({len(bad)} of {len(z)} cases, float32)", LOG_SPACE)


def _exact_within(case: Case) -> str:
    """Within the declared score_range float32 and float64 agree."""
    if case.spec.claims.score_range is None:
        return ""
    low, high = case.spec.claims.score_range
    y, z = crossed(
        case.every_label(), np.linspace(low, high, 61)[:, None] * np.eye(case.width())[case.activation.point]
    )
    setting = case.setting()
    single, double = case.values(y, z, setting, "float32"), case.values(y, z, setting)
    bad = np.abs(single - double) > 1e-3 * (np.abs(double) + 1.0)
    if bad.any():
        i = int(np.argmax(bad))
        both = f"float32 gives {shown(single[i])}, float64 {shown(double[i])}"
        what = f"at raw scores {brief(z[i])}, within score_range, {both}"
        raise Failure(what, "Narrow score_range, or compute in log space.")
    return f"; exact between {low:g} and {high:g}"


# ------------------------------------------------------------------ very wrong raw scores


def confidently_wrong(case: Case) -> str:
    """At raw scores of 50 on the wrong side the float64 gradient is not 0, and its step leads back."""
    if case.spec.claims.truncated:
        return does_not_apply("it is declared truncated")
    number = 0
    for k in case.ks:
        setting = case.setting(k=k)
        for y, right in _directions(case, k, setting):
            _pulled(case, y, right, setting)
            _dying(case, y, right, setting)
            number += len(y)
    return f"{number} wrong answers with raw scores of 50: each gradient points back"


def _directions(case: Case, k: int, setting: Setting) -> Iterable[tuple[Array, Array]]:
    """Labels, and the direction in which the raw scores of each become right."""
    y = case.every_label(k)
    right = case.towards(y, k)
    if right is not None:
        if case.spec.target == "ordinal" and case.spec.outputs == "k":
            # of classes in order the next one may be better than those beyond it: only the true one's score is wrong
            right = (right > 0).astype(float)
        if case.spec.target == "onehot":
            # the wrong class that comes next after the true one, as the only score
            right = -np.roll(right > 0, 1, axis=-1).astype(float)
        yield y, right
        return
    unit = np.eye(case.width(k))[case.activation.point]
    for sign in (1.0, -1.0):
        wrong = case.predictions(-50.0 * sign * unit[None], setting)[0, case.activation.point]
        base = case.predictions(0.0 * unit[None], setting)[0, case.activation.point]
        # only labels beyond what zero raw scores predict: of the others -50 may be the right side
        beyond = sign * (y[:, 0] - max(base, wrong) if sign > 0 else y[:, 0] - min(base, wrong)) > 1e-3
        if beyond.any():
            yield y[beyond], np.tile(sign * unit, (beyond.sum(), 1))


def _pulled(case: Case, y: Array, right: Array, setting: Setting) -> None:
    """Raise where at raw scores `-50 right` the gradient along `right` is 0 or leads away."""
    steep = _along(case, y, right, 50.0, setting)
    # what is left of terms that cancel counts as 0
    steep = np.where(np.abs(steep) <= 1e-15 * np.abs(_along(case, y, right, 1.0, setting)), 0.0, steep)
    for i in np.flatnonzero(~(steep < 0)):
        seen = slice(None) if case.spec.level == "batch" else slice(i, i + 1)
        if steep[i] == 0 and _faded(case, y[seen], right[seen], setting):
            continue
        where = f"label {brief(y[i])}, raw scores {brief(-50 * right[i])}, {setting}"
        if steep[i] == 0:
            remedy = "Do not clip probabilities or cut residuals; or declare truncated=True if that is meant."
            raise Failure(f"no gradient on a confidently wrong sample: {where}", remedy)
        what = f"the gradient points the wrong way ({shown(steep[i])} towards the right answer) at {where}"
        raise Failure(what, "Look for a sign, swapped arguments or labels of another form.")


def _dying(case: Case, y: Array, right: Array, setting: Setting) -> None:
    """Raise where the loss of classes is still a straight line at one size of raw scores, and flat soon after."""
    if not case.classes or case.spec.level == "batch":
        return
    pull = {size: -_along(case, y, right, size, setting) for size in (5.0, 10.0, 20.0, 50.0)}
    straight = (pull[10.0] > 0.5 * pull[5.0]) & (pull[50.0] < 1e-3 * pull[5.0]) & (pull[5.0] > 0)
    later = (pull[20.0] > 0.5 * pull[10.0]) & (pull[50.0] < 1e-3 * pull[10.0]) & (pull[10.0] > 0)
    if (straight | later).any():
        i = int(np.argmax(straight | later))
        path = ", ".join(f"{shown(pull[size][i])} at {size:g}" for size in pull)
        what = f"the gradient dies on raw scores that are more and more wrong ({path}), label {brief(y[i])}, {setting}"
        raise Failure(what, "An epsilon or a clip in the logarithm? Use log_softmax or softplus.")


def _along(case: Case, y: Array, right: Array, size: float, setting: Setting) -> Array:
    gradients = case.traced_gradients(y, -size * right, setting, "float64")[1]
    steep: Array = (gradients * right).reshape(len(y), -1).sum(axis=1)
    # of a value that all samples share only the step of all together must lead back
    return np.full(len(y), steep.sum()) if case.spec.level == "batch" else steep


def _faded(case: Case, y: Array, right: Array, setting: Setting) -> bool:
    """Return True if the gradient of a bounded loss dies out smoothly: right and tiny well before it rounds to 0."""
    path = np.array([_along(case, y, right, size, setting)[0] for size in (1.0, 10.0, 20.0, 30.0)])
    return bool((path < 0).all() and (np.diff(path) > 0).all() and abs(path[-1]) < 1e-6 * abs(path[0]))
