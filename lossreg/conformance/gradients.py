"""The gradient against central differences, and the points at which it may jump."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lossreg.conformance.base import Failure
from lossreg.conformance.case import Case, Setting, brief, shown
from lossreg.conformance.tensorflow import Array

# roots of rounding: an error of h^2 against one of 1e-16/h
STEP = 1e-5
Measure = Callable[[Array, Array, Array], Array]


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
    count = 3 if case.spec.level == "batch" else 12
    y, z = case.labels(count, setting.k), case.raw_scores(count, setting.k, scale=1.5)
    if not case.may_be_non_differentiable:
        y, z = np.concatenate([y, y]), np.concatenate([z, np.round(z)])
    gradients = case.traced_gradients(y, z, setting, "float64")[1]
    numeric, noise = _differences(case, y, z, setting, gradients)
    scale = np.abs(numeric) + 1e-3 * np.abs(numeric).max() + 1e-12
    relative = np.maximum(np.abs(gradients - numeric) - noise, 0.0) / scale
    i = np.unravel_index(int(np.argmax(relative)), relative.shape)
    where = f"{shown(gradients[i])} for {shown(numeric[i])} at raw scores {brief(z[i[0]])}, label {brief(y[i[0]])}"
    return float(relative[i]), where


def _differences(case: Case, y: Array, z: Array, setting: Setting, gradients: Array) -> tuple[Array, Array]:
    """Central differences by each raw score, and their errors; of masks by some pixels only, else `gradients`."""
    numeric, noise = gradients.copy(), np.zeros_like(z)
    indices = [index for index in np.ndindex(z.shape[1:]) if not (case.spatial_shape and sum(index) % 4)]
    steps = np.stack([STEP * _one_at(index, z.shape[1:]) for index in indices])
    coarse, fine = (_central(case, y, z, by * steps, setting) for by in (1.0, 0.25))
    for index, first, second, rounding in zip(indices, coarse[0], fine[0], fine[1], strict=True):
        numeric[(slice(None), *index)] = second
        # the coarse one has 16 times the error of the fine one; at non-differentiable points they differ by much
        noise[(slice(None), *index)] = 2.0 * np.abs(first - second) + rounding
    return numeric, noise


def _one_at(index: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    unit = np.zeros(shape)
    unit[index] = 1.0
    return unit


def _central(case: Case, y: Array, z: Array, steps: Array, setting: Setting) -> tuple[Array, Array]:
    """`(steps, n)` differences by each step of each sample's raw scores, and their rounding errors."""
    size = float(np.abs(steps).max())
    if case.spec.level == "batch":
        # a step of one sample's raw score moves every value: the sum of all is what the gradient is of
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
        at, label = brief(lines.at(t)[i]), brief(lines.y[i])
        raise Failure(f"the {what} jumps by {shown(jump[i])} at raw scores {at}, label {label}, {setting}", remedy)


def _dropped(case: Case, lines: Lines, setting: Setting, t: Array) -> Array:
    """Mark the jumps at which a sample stops counting (its value is 0), where non-differentiability is declared."""
    if not case.spec.claims.non_differentiable_points:
        return np.zeros(len(t), bool)
    sides = [case.values(lines.y, lines.at(t + step), setting) for step in (-1e-7, 1e-7)]
    return np.asarray((np.stack(sides) == 0).any(axis=0))


def _between(case: Case, setting: Setting) -> None:
    """Raise where the gradient at a non-differentiable point is not between those of both sides."""
    if not case.spec.claims.non_differentiable_points or case.spec.level == "batch":
        return
    y, z = case.labels(12, setting.k), np.round(case.raw_scores(12, setting.k, scale=1.5))
    z[:4] = 0.0
    values, gradients = case.gradients(y, z, setting)
    indices = list(np.ndindex(z.shape[1:]))
    steps = np.stack([1e-6 * _one_at(index, z.shape[1:]) for index in indices])
    up, down = (sign * (case.each(y, z + sign * steps[:, None], setting) - values) / 1e-6 for sign in (1, -1))
    actual = np.stack([gradients[(slice(None), *index)] for index in indices])
    tolerance = 1e-4 * (1.0 + np.abs(up) + np.abs(down))
    bad = (actual < np.minimum(up, down) - tolerance) | (actual > np.maximum(up, down) + tolerance)
    if bad.any():
        i, j = np.unravel_index(int(np.argmax(bad)), bad.shape)
        sides = f"left and right it is {shown(down[i, j])} and {shown(up[i, j])}"
        where = f"at raw scores {brief(z[j])}, label {brief(y[j])}"
        what = f"the gradient is {shown(actual[i, j])} {where}: {sides} ({setting})"
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
