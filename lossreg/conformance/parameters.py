"""The effect of parameters and constants on a loss, and its freedom from hidden state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from lossreg.conformance import tensorflow
from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, Setting, shown
from lossreg.conformance.compare import first_difference, gap_note, relative_distance
from lossreg.conformance.extremes import extremes
from lossreg.conformance.tensorflow import Array
from lossreg.contract.params import Choice, Float, Int, Param, PerClass
from lossreg.contract.targets import WEIGHTS

SAME = 1e-7
FREQUENT = "equal and 1:10"
RANGES = {
    WEIGHTS: "from 1",
    "n_classes": "by 2",
    "class_counts": FREQUENT,
    "class_priors": FREQUENT,
    "progress": "0, 1/2 and 1",
}


def alive(case: Case) -> str:
    """Every parameter changes the gradients of samples relative to each other, not only their scale."""
    searched = [p for p in case.spec.params if _pairs(p, 2)]
    if not searched:
        return does_not_apply("it has no searched parameters")
    y, z = _mixed(case)
    for param in searched:
        for pair in _pairs(param, case.k):
            if not any(_differ(case, y, z, _both(case, s, param.name, pair)) for s in _backgrounds(case)):
                what = f"{param.name} = {shown(pair[0])} and {shown(pair[1])} differ only by a common factor, if at all"
                remedy = "Use it so that samples change relative to each other: a common factor is the learning rate's."
                raise Failure(what, remedy)
    return f"{', '.join(p.name for p in searched)} {'has' if len(searched) == 1 else 'have'} an effect"


def _mixed(case: Case) -> tuple[Array, Array]:
    """Samples with small and large raw scores."""
    y = case.labels(96, seed=11)
    sizes = np.resize([0.05, 0.5, 1.5, 4.0], 96).reshape(-1, *[1] * (y.ndim - 1))
    return y, sizes * case.raw_scores(96, seed=12, scale=1.0)


def _pairs(param: Param, k: int) -> list[tuple[Any, Any]]:
    """Pairs of values between which the parameter must make a difference."""
    if isinstance(param, Choice):
        return list(combinations(param.choices, 2))
    if isinstance(param, PerClass):
        return [(None, [param.high, *[param.low] * (k - 1)])]
    if param.low == param.high:
        return []
    low, high, steps = param.low, param.high, _steps(param)
    absent = [(low, None), (high, None)] if param.optional and param.default is not None else []
    # neighbours find what is clipped or rounded on the way
    return list(dict.fromkeys([(low, high), *pairwise(steps), *absent]))


def _steps(param: Float | Int) -> list[Any]:
    """Five values from end to end; the first whole numbers and both ends."""
    if isinstance(param, Int):
        return sorted({*range(param.low, min(param.low + 8, param.high) + 1), param.high})
    return [float(v) for v in (np.geomspace if param.log else np.linspace)(param.low, param.high, 5)]


def _backgrounds(case: Case) -> Iterator[Setting]:
    """Settings of the other parameters, the defaults first."""
    yield case.setting()
    yield from case.draws(3, seed=13)


def _differ(case: Case, y: Array, z: Array, both: list[Setting]) -> bool:
    (values, gradients), (others, other_gradients) = (
        case.traced_gradients(y, z, setting, "float64") for setting in both
    )
    if (
        relative_distance(gradients, other_gradients) > SAME
        or not np.isfinite([gradients.sum(), other_gradients.sum()]).all()
    ):
        return True
    # a non-differentiable point that moves by little may pass none of these samples; their values tell
    return case.spec.claims.non_differentiable_points and relative_distance(values, others) > SAME


def _both(case: Case, base: Setting, name: str, pair: tuple[Any, Any]) -> list[Setting]:
    """The setting with either value of one parameter."""
    return [replace(base, params=case.spec.bind({**base.params, name: v}, base.k or None)) for v in pair]


# ------------------------------------------------------------------ constants


def constants(case: Case) -> str:
    """Every constant asked for is used, and may be extreme; predictions are the activation's."""
    asked = case.spec.constants
    if not asked:
        return does_not_apply("it needs no constants of the data")
    for need in case.spec.needs:
        if not _used(case, need):
            what = f"{need} is in needs, and changing it ({RANGES.get(need, 'doubled')}) changes nothing"
            raise Failure(what, f"Use {need}, or drop it from needs.")
    if "class_counts" in asked or "class_priors" in asked:
        _absent_class(case)
    if "progress" in asked:
        _at_either_end(case)
    if case.spec.target == "real" and case.activation.name == "identity" and "target_scale" in case.spec.needs:
        what = "changing target_scale changes a loss of targets that are standardised already"
        raise Failure(
            what, "Drop target_scale, or choose target='raw' and an activation that makes predictions of raw scores."
        )
    if {"target_mean", "target_scale"} & set(case.spec.needs):
        _rescaled(case)
    return f"used, and right where they are extreme: {', '.join(asked)}"


def _at_either_end(case: Case) -> None:
    """At the start and at the end of training there is something to learn."""
    y, z = case.labels(12), case.raw_scores(12)
    for progress in (0.0, 1.0):
        values, gradients = case.gradients(y, z, replace(case.setting(), progress=progress))
        if not (np.isfinite(values).all() and np.isfinite(gradients).all() and gradients.any()):
            what = f"at progress {progress:g} there is no gradient, or something is not finite"
            raise Failure(what, "progress runs from 0 to 1, both included.")


def _counted(case: Case) -> bool:
    """Return True if another number of classes gives other values for the same raw scores, or is refused."""
    y, z = _mixed(case)
    for base in _backgrounds(case):
        given = case.arguments(base)
        try:
            actual = tensorflow.values(case.function, y, z, {**given, "n_classes": given["n_classes"] + 2}, "float64")
        except Exception:
            return True
        if first_difference(np.asarray(actual), case.values(y, z, base)) is not None:
            return True
    return False


def _used(case: Case, need: str) -> bool:
    if need == "n_classes":
        return _counted(case)
    if need == WEIGHTS:
        return _weighed(case)
    y, z = _mixed(case)
    earlier = [replace(s, progress=0.0) for s in _backgrounds(case) if need == "progress"]
    for base in (*_backgrounds(case), *earlier):
        pair = [case.gradients(y, z, setting)[1] for setting in (base, _changed(case, base, need))]
        if first_difference(pair[0], pair[1]) is not None:
            return True
    return False


def _weighed(case: Case) -> bool:
    """Return True if other weights of the same samples give other values."""
    y, z = _mixed(case)
    weights, base = np.where(np.arange(len(z)) % 2, 3.0, 1.0), case.setting()
    actual = tensorflow.values(case.function, y, z, {**case.arguments(base), WEIGHTS: weights}, "float64")
    return first_difference(np.asarray(actual), case.values(y, z, base)) is not None


def _changed(case: Case, base: Setting, need: str) -> Setting:
    if need == "progress":
        return replace(base, progress=1.0)
    if need in ("class_counts", "class_priors"):
        equal = getattr(case.setting(k=base.k, rare=1.0).constants, need)
        return base.having(**{need: equal})
    return base.having(**{need: 2.0 * getattr(base.constants, need)})


def _absent_class(case: Case) -> None:
    """A class without samples leaves every value and gradient finite, its own too."""
    k = case.k
    counts = (90.0, 10.0, *[0.0] * (k - 2)) if k > 2 else (100.0, 0.0)
    priors = tuple(count / 100.0 for count in counts)
    y, z = extremes(case, k)
    for corner in case.corners(k):
        setting = corner.having(class_counts=counts, class_priors=priors)
        values, gradients = case.traced_gradients(y, z, setting)
        if not (np.isfinite(values).all() and np.isfinite(gradients).all()):
            what = f"with class counts {shown(counts)} it is not finite ({setting})"
            raise Failure(what, "Treat a class without samples as one of a single sample: maximum(class_counts, 1).")


def _rescaled(case: Case) -> None:
    """The loss is one of the activation's predictions, or goes with the unit of the target."""
    if case.activation.inverse is None or not case.activation.needs or case.width() != 1:
        return
    base = case.setting()
    y, z = case.labels(32, seed=14), 0.7 * case.raw_scores(32, seed=15, scale=1.0)
    moved = _doubled(base, case.activation.needs)
    if all(_follows_predictions(case, y, z, base, _doubled(base, (need,))) for need in case.activation.needs):
        return
    if relative_distance(case.gradients(2.0 * y, z, moved)[1], case.gradients(y, z, base)[1]) < 1e-6:
        return
    what = f"with {' and '.join(case.activation.needs)} doubled, equal predictions have other gradients"
    raise Failure(what, "Compute the prediction as the activation does, from the raw scores and all of its constants.")


def _doubled(base: Setting, needs: tuple[str, ...]) -> Setting:
    return base.having(**{n: 2.0 * getattr(base.constants, n) for n in needs})


def _follows_predictions(case: Case, y: Array, z: Array, base: Setting, moved: Setting) -> bool:
    """Return True if equal predictions, made with other constants, have gradients in the same proportion."""
    assert case.activation.inverse is not None
    predictions = case.predictions(z, base)
    reachable = np.isfinite(predictions).all(axis=1)
    again = tensorflow.applied(case.activation.inverse, predictions, case.activation_constants(moved))
    actual, plain = _by_prediction(case, y, again, moved), _by_prediction(case, y, z, base)
    return relative_distance(actual[reachable], plain[reachable]) < 1e-5


def _by_prediction(case: Case, y: Array, z: Array, setting: Setting) -> Array:
    """The gradient by the scored prediction."""
    h, point = 1e-6, case.activation.point
    unit = np.eye(z.shape[-1])[point]
    rise = (case.predictions(z + h * unit, setting) - case.predictions(z - h * unit, setting))[:, point] / (2 * h)
    return np.asarray(case.gradients(y, z, setting)[1][:, point] / rise)


# ------------------------------------------------------------------ purity


def purity(case: Case) -> str:
    """The same call gives the same, whatever was called between; what is handed in stays as it was."""
    y, z = case.labels(8), case.raw_scores(8)
    first, *others = [case.setting(), *case.draws(2, seed=16)]
    plain, gradients = case.gradients(y, z, first)
    again = case.values(y, z, first)
    for actual, expected in ((again, plain), (case.values(*case.samples, first), case.first)):
        if first_difference(actual, expected) is not None:
            what = f"two equal calls give {shown(expected[:3])} and {shown(actual[:3])}"
            raise Failure(what + gap_note(actual[:3], expected[:3]), "No random numbers, no state.")
    for other in others:
        case.gradients(case.labels(5, seed=17), case.raw_scores(5, seed=17), other)
    later, later_gradients = case.gradients(y, z, first)
    if first_difference(later, plain) is not None or first_difference(later_gradients, gradients) is not None:
        change = f"{shown(later[:3])}, not {shown(plain[:3])}{gap_note(later[:3], plain[:3])}"
        what = f"after other calls the same call gives {change}"
        raise Failure(what, "Keep nothing between calls: no globals, no caches, no attributes.")
    _untouched(case, y, z, first)
    return "equal calls give equal values; labels and raw scores are left alone"


def _untouched(case: Case, y: Array, z: Array, setting: Setting) -> None:
    tf = tensorflow.load()
    for kind in (np.array, partial(tf.Variable, dtype="float64")):
        given = [kind(y), kind(z)]
        arguments = tensorflow.tensors(case.arguments(setting), "float64")
        try:
            with tensorflow.floats("float64"):
                case.function(*given, **arguments)
        except Exception:
            continue
        for name, before, after in zip(("labels", "raw scores"), (y, z), given, strict=True):
            if not np.array_equal(before, np.asarray(after)):
                raise Failure(f"it changes the {name} that it is given", "Compute new arrays; change none in place.")
