"""Values and gradients on extreme raw scores, and the gradient against central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, Setting, shown
from lossreg.conformance.tensorflow import Array
from lossreg.contract.params import Float

EXTREMES = (0.0, 1e-8, 1.0, 20.0, 100.0, 1e4)
LOG_SPACE = "Compute in log space: log_softmax, softplus, logsumexp, expm1, log1p; never the log or a power of 0."
# roots of rounding: an error of h^2 against one of 1e-16/h
STEP = 1e-5
Measure = Callable[[Array, Array, Array], Array]


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
    """Settings within the search ranges at which formulas divide 0 by 0."""
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
    return f"200 settings, {200 * len(y)} cases, all finite"


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
            where = f"scores {_row(z[i])}, label {_row(y[i])}, {setting}"
            raise Failure(f"the {what} is {array[i]} at {where} ({len(bad)} of {len(z)} cases, float32)", LOG_SPACE)


def _row(row: Array) -> str:
    return shown(row.ravel()[:6])


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
        what = f"at raw scores {_row(z[i])}, within score_range, {both}"
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
        yield y, _alone(right) if case.spec.target == "onehot" else right
        return
    unit = np.eye(case.width(k))[case.activation.point]
    for sign in (1.0, -1.0):
        wrong = case.predictions(-50.0 * sign * unit[None], setting)[0, case.activation.point]
        base = case.predictions(0.0 * unit[None], setting)[0, case.activation.point]
        # only labels beyond what zero raw scores predict: of the others -50 may be the right side
        beyond = sign * (y[:, 0] - max(base, wrong) if sign > 0 else y[:, 0] - min(base, wrong)) > 1e-3
        if beyond.any():
            yield y[beyond], np.tile(sign * unit, (beyond.sum(), 1))


def _alone(right: Array) -> Array:
    """The wrong class that comes next after the true one, as the only score."""
    return -np.roll(right > 0, 1, axis=-1).astype(float)


def _pulled(case: Case, y: Array, right: Array, setting: Setting) -> None:
    """Raise where at raw scores `-50 right` the gradient along `right` is 0 or leads away."""
    steep = _along(case, y, right, 50.0, setting)
    # what is left of terms that cancel counts as 0
    steep = np.where(np.abs(steep) <= 1e-15 * np.abs(_along(case, y, right, 1.0, setting)), 0.0, steep)
    for i in np.flatnonzero(~(steep < 0)):
        seen = slice(None) if case.spec.level == "batch" else slice(i, i + 1)
        if steep[i] == 0 and _faded(case, y[seen], right[seen], setting):
            continue
        where = f"label {_row(y[i])}, raw scores {_row(-50 * right[i])}, {setting}"
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
        what = f"the gradient dies on raw scores that are more and more wrong ({path}), label {_row(y[i])}, {setting}"
        raise Failure(what, "An epsilon or a clip in the logarithm? Use log_softmax or softplus.")


def _along(case: Case, y: Array, right: Array, size: float, setting: Setting) -> Array:
    gradients = case.gradients(y, -size * right, setting)[1]
    steep: Array = (gradients * right).reshape(len(y), -1).sum(axis=1)
    # of a value that all samples share only the step of all together must lead back
    return np.full(len(y), steep.sum()) if case.spec.level == "batch" else steep


def _faded(case: Case, y: Array, right: Array, setting: Setting) -> bool:
    """Return True if the gradient of a bounded loss dies out smoothly: right and tiny well before it rounds to 0."""
    path = np.array([_along(case, y, right, size, setting)[0] for size in (1.0, 10.0, 20.0, 30.0)])
    return bool((path < 0).all() and (np.diff(path) > 0).all() and abs(path[-1]) < 1e-6 * abs(path[0]))


# ------------------------------------------------------------------ central differences


def gradient(case: Case) -> str:
    """Central differences in float64; non-differentiable points and stopped gradients only where declared."""
    settings = [case.setting(), case.plain(), *case.draws(6)]
    gaps = [_gap(case, setting) for setting in settings]
    if case.spec.claims.stop_gradient:
        if max(gap for gap, _ in gaps) < 1e-6:
            raise Failure("its gradient is its derivative, and stop_gradient is declared", "Drop stop_gradient.")
        return "differs from the derivative, as declared (stop_gradient)"
    for (gap, where), setting in zip(gaps, settings, strict=True):
        if gap > 1e-5:
            remedy = "If a factor is held constant on purpose, declare stop_gradient=True; look for rounding and casts."
            raise Failure(f"the gradient differs from central differences by {shown(gap)}, {where}, {setting}", remedy)
    _between(case, settings[0])
    smooth = _smooth(case, settings[0])
    worst = max(gap for gap, _ in gaps)
    return f"agrees with central differences{f' to {shown(worst)}' if worst else ''}; {smooth}"


def _gap(case: Case, setting: Setting) -> tuple[float, str]:
    """The largest relative difference of the gradient from central differences, and its position."""
    rows = 3 if case.spec.level == "batch" else 12
    y, z = case.labels(rows, setting.k), case.raw_scores(rows, setting.k, scale=1.5)
    if not case.may_be_non_differentiable:
        y, z = np.concatenate([y, y]), np.concatenate([z, np.round(z)])
    gradients = case.gradients(y, z, setting)[1]
    numeric, noise = _differences(case, y, z, setting)
    scale = np.abs(numeric) + 1e-3 * np.abs(numeric).max() + 1e-12
    relative = np.maximum(np.abs(gradients - numeric) - noise, 0.0) / scale
    i = np.unravel_index(int(np.argmax(relative)), relative.shape)
    where = f"{shown(gradients[i])} for {shown(numeric[i])} at raw scores {_row(z[i[0]])}, label {_row(y[i[0]])}"
    return float(relative[i]), where


def _differences(case: Case, y: Array, z: Array, setting: Setting) -> tuple[Array, Array]:
    """Central differences by each raw score, and their errors; of masks by some pixels only."""
    numeric, noise = np.array(case.gradients(y, z, setting)[1]), np.zeros_like(z)
    places = [place for place in np.ndindex(z.shape[1:]) if not (case.spatial_shape and sum(place) % 4)]
    steps = np.stack([STEP * _one_at(place, z.shape[1:]) for place in places])
    coarse, fine = (_central(case, y, z, by * steps, setting) for by in (1.0, 0.25))
    for place, first, second, rounding in zip(places, coarse[0], fine[0], fine[1], strict=True):
        numeric[(slice(None), *place)] = second
        # the coarse one has 16 times the error of the fine one; at non-differentiable points they differ by much
        noise[(slice(None), *place)] = 2.0 * np.abs(first - second) + rounding
    return numeric, noise


def _one_at(place: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    unit = np.zeros(shape)
    unit[place] = 1.0
    return unit


def _central(case: Case, y: Array, z: Array, steps: Array, setting: Setting) -> tuple[Array, Array]:
    """`(steps, n)` differences by each step of each sample's raw scores, and their rounding errors."""
    size = float(np.abs(steps).max())
    if case.spec.level == "batch":
        # a step of one sample's score moves every value: the sum of all is what the gradient is of
        alone = np.eye(len(z)).reshape(len(z), len(z), *[1] * (z.ndim - 1))
        up, down = (
            np.array([[case.values(y, z + sign * step * one, setting).sum() for one in alone] for step in steps])
            for sign in (1, -1)
        )
    else:
        up, down = (case.each(y, z + sign * steps[:, None], setting) for sign in (1, -1))
    # some roundings of sums whose terms may be larger than their total
    return (up - down) / (2 * size), 1e-14 * (np.abs(up) + np.median(np.abs(up)) + 1.0) / size


# ------------------------------------------------------------------ non-differentiable points


def _smooth(case: Case, setting: Setting) -> str:
    """Raise where the gradient jumps and no non-differentiable points are declared."""
    if case.spec.claims.truncated:
        return "truncation is declared"
    if not case.may_be_non_differentiable:
        _unbroken(case, setting, "gradient", _turn, "Declare non_differentiable_points=True, or smooth the loss there.")
        _unbroken(case, setting, "value", _step, "Correct the formula: its branches do not meet.")
        return "differentiable on lines through the raw scores"
    if not case.spec.claims.non_differentiable_points:
        return "a wrapped loss may have non-differentiable points"
    if case.spec.level != "batch":
        _unbroken(case, setting, "value", _step, "Keep the value continuous: the formula's branches do not meet.")
    return "non-differentiable points are declared"


def _unbroken(case: Case, setting: Setting, what: str, measure: Measure, remedy: str) -> None:
    lines = _lines(case, setting)
    t, jump, size = _narrowed(case, lines, setting, measure)
    relative = np.where(_dropped(case, lines, setting, t), 0.0, jump / (size + 1e-6))
    if (relative > 1e-3).any():
        i = int(np.argmax(relative))
        at, label = _row(lines.at(t)[i]), _row(lines.y[i])
        raise Failure(f"the {what} jumps by {shown(jump[i])} at raw scores {at}, label {label}, {setting}", remedy)


def _dropped(case: Case, lines: Lines, setting: Setting, t: Array) -> Array:
    """Mark the jumps at which a sample stops to count (its value is 0), where non-differentiability is declared."""
    if not case.spec.claims.non_differentiable_points:
        return np.zeros(len(t), bool)
    sides = [case.values(lines.y, lines.at(t + step), setting) for step in (-1e-7, 1e-7)]
    return np.asarray((np.stack(sides) == 0).any(axis=0))


def _between(case: Case, setting: Setting) -> None:
    """At a declared non-differentiable point the gradient lies between those of both sides; most have round scores."""
    if not case.spec.claims.non_differentiable_points or case.spec.level == "batch":
        return
    y, z = case.labels(12, setting.k), np.round(case.raw_scores(12, setting.k, scale=1.5))
    z[:4] = 0.0
    values, gradients = case.gradients(y, z, setting)
    places = list(np.ndindex(z.shape[1:]))
    steps = np.stack([1e-6 * _one_at(place, z.shape[1:]) for place in places])
    up, down = (sign * (case.each(y, z + sign * steps[:, None], setting) - values) / 1e-6 for sign in (1, -1))
    actual = np.stack([gradients[(slice(None), *place)] for place in places])
    tolerance = 1e-4 * (1.0 + np.abs(up) + np.abs(down))
    bad = (actual < np.minimum(up, down) - tolerance) | (actual > np.maximum(up, down) + tolerance)
    if bad.any():
        i, j = np.unravel_index(int(np.argmax(bad)), bad.shape)
        sides = f"left and right it is {shown(down[i, j])} and {shown(up[i, j])}"
        what = (
            f"the gradient is {shown(actual[i, j])} at raw scores {_row(z[j])}, label {_row(y[j])}: {sides} ({setting})"
        )
        raise Failure(
            what, "There any gradient between both is right; do the non-differentiable points of its parts cancel?"
        )


def _turn(t: Array, values: Array, gradients: Array) -> Array:
    """The change of the gradient over each interval."""
    return np.abs(np.diff(gradients, axis=1))


def _step(t: Array, values: Array, gradients: Array) -> Array:
    """The change of the value over each interval beyond what its gradients predict."""
    expected = 0.5 * (gradients[:, 1:] + gradients[:, :-1]) * np.diff(t, axis=1)
    return np.abs(np.diff(values, axis=1) - expected)


class Lines(NamedTuple):
    """Labels, and lines of raw scores `start + t way`, one per label."""

    y: Array
    start: Array
    way: Array

    def at(self, t: Array) -> Array:
        """The raw scores at positions `t` `(lines,)`."""
        return np.asarray(self.start + t.reshape(-1, *[1] * (self.start.ndim - 1)) * self.way)

    def times(self, number: int) -> Lines:
        """Each line `number` times."""
        return Lines(*(np.repeat(array, number, axis=0) for array in self))


def _lines(case: Case, setting: Setting) -> Lines:
    """Lines through zero and through small raw scores, along one raw score each."""
    y = case.every_label(setting.k)
    number, width = len(y), case.width(setting.k)
    unit = np.eye(width)[np.arange(number) % width].reshape(number, *[1] * len(case.spatial_shape), width)
    way = np.broadcast_to(unit, (number, *case.spatial_shape, width)).copy()
    mixed = case.raw_scores(number, setting.k, scale=0.5)
    start = np.concatenate([np.zeros_like(mixed), mixed])
    return Lines(np.concatenate([y, y]), start, np.concatenate([way, way[::-1]]))


def _narrowed(case: Case, lines: Lines, setting: Setting, measure: Measure) -> tuple[Array, Array, Array]:
    """Per line the position at which `measure` over a tiny interval is largest, its size, and the steepest gradient."""
    every = np.arange(len(lines.y))
    # the grid avoids round numbers, at which losses are often not differentiable
    low, high, number = np.full(len(every), -6.0137), np.full(len(every), 6.0291), 121
    steep = np.zeros(len(every))
    for _ in range(9):
        t = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, number)
        values, gradients = _on_lines(case, lines, setting, t)
        change, steep = measure(t, values, gradients), np.maximum(steep, np.abs(gradients).max(axis=1))
        at = np.argmax(change, axis=1)
        low, high, number = t[every, at], t[every, at + 1], 9
    return low, change[every, at], steep


def _on_lines(case: Case, lines: Lines, setting: Setting, t: Array) -> tuple[Array, Array]:
    """`(lines, m)` values, and gradients along each line, at its positions `t`."""
    if case.spec.level == "batch":
        pairs = [_along_lines(case, lines, setting, column) for column in t.T]
        return np.stack([f[0] for f in pairs], axis=1), np.stack([f[1] for f in pairs], axis=1)
    values, gradients = _along_lines(case, lines.times(t.shape[1]), setting, t.ravel())
    return values.reshape(t.shape), gradients.reshape(t.shape)


def _along_lines(case: Case, lines: Lines, setting: Setting, t: Array) -> tuple[Array, Array]:
    values, gradients = case.traced_gradients(lines.y, lines.at(t), setting, "float64")
    return values, (gradients * lines.way).reshape(len(t), -1).sum(axis=1)
