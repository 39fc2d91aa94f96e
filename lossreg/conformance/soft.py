"""Soft labels: class probabilities in place of 0 and 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, Setting, shown
from lossreg.conformance.compare import relative_distance
from lossreg.conformance.tensorflow import Array
from lossreg.errors import InputError

REMEDY = "Weigh the classes by their labels, sum(y * loss_of_class), or raise an InputError for soft labels."


class Outcome(NamedTuple):
    """Soft labels, raw scores, and the values and gradients that they gave."""

    y: Array
    z: Array
    values: Array
    gradients: Array

    @property
    def first(self) -> str:
        """The first label with its value."""
        return f"{shown(self.y[0])} gives {shown(self.values[0])}"


def soft_labels(case: Case) -> str:
    """Soft labels are an expectation of hard ones, or at least sane, or refused."""
    if case.spec.target not in ("onehot", "binary", "multihot"):
        return _unrounded(case)
    if case.spec.level == "batch":
        return does_not_apply("the value of a batch is no expectation of its labels")
    note = ""
    for k in case.ks[:2]:
        for setting in (case.setting(k=k), *case.draws(2, k, seed=18)):
            y = _soft(case, k)
            z = case.raw_scores(len(y), k, seed=19)
            try:
                values, gradients = case.gradients(y, z, setting)
            except Failure as failure:
                if isinstance(failure.__cause__, InputError):
                    return "soft labels are refused"
                raise
            note = _judged(case, Outcome(y, z, values, gradients), setting)
            _labels_count(case, Outcome(y, z, values, gradients), setting)
    return note


def _soft(case: Case, k: int) -> Array:
    rng = np.random.default_rng(20)
    if case.spec.target == "onehot":
        return rng.dirichlet(np.ones(k), size=40)
    return rng.uniform(0.02, 0.98, size=(40, k if case.spec.target == "multihot" else 1))


def _hard(case: Case, y: Array) -> tuple[list[Array], Array]:
    """Hard labels that `y` is a mixture of, each as an array like `y`, and the weights `(hard, samples)`."""
    if case.spec.target == "onehot":
        return [np.broadcast_to(label, y.shape) for label in np.eye(y.shape[1])], y.T
    choices = np.indices([2] * y.shape[1]).reshape(y.shape[1], -1).T.astype(float)
    weights = np.stack([np.prod(np.where(label > 0, y, 1 - y), axis=1) for label in choices])
    return [np.broadcast_to(label, y.shape) for label in choices], weights


def _judged(case: Case, outcome: Outcome, setting: Setting) -> str:
    y, values = outcome.y, outcome.values
    if not (np.isfinite(values).all() and np.isfinite(outcome.gradients).all()):
        raise Failure(f"soft labels give {shown(values[~np.isfinite(values)][:1])} ({setting})", REMEDY)
    hard_labels, weights = _hard(case, y)
    hard, gradients = map(
        np.stack, zip(*(case.gradients(label, outcome.z, setting) for label in hard_labels), strict=True)
    )
    expected = np.einsum("hn,hn...->n...", weights, gradients)
    if np.allclose(values, (weights * hard).sum(axis=0), rtol=1e-7, atol=1e-9):
        return _same_gradients(case, outcome, expected, setting)
    dead = (_steepest(outcome.gradients) == 0) & (_steepest(expected) > 0)
    if dead.any() and not (case.spec.claims.non_differentiable_points or case.spec.claims.truncated):
        i = int(np.argmax(dead))
        raise Failure(f"soft label {shown(y[i])} gives {shown(values[i])} and no gradient ({setting})", REMEDY)
    if (values == 0).all():
        raise Failure(f"soft labels give 0 ({setting})", REMEDY)
    # one raw score is a multiple of any other: there all samples are compared together
    alone = outcome.z.shape[-1] > 1
    pairs = zip(outcome.gradients, expected, strict=True) if alone else [(outcome.gradients, expected)]
    if max(relative_distance(*pair) for pair in pairs) < 1e-6:
        return "soft labels give the gradient of the expectation of hard ones"
    _not_squared(outcome, (weights**2 * hard).sum(axis=0), setting)
    _softness_counts(case, outcome, setting)
    return _within_bounds(case, outcome, hard, setting)


def _same_gradients(case: Case, outcome: Outcome, expected: Array, setting: Setting) -> str:
    if not case.spec.claims.stop_gradient and relative_distance(outcome.gradients, expected) > 1e-6:
        where = (
            f"label {shown(outcome.y[0])} gives {shown(outcome.gradients[0].ravel())} for {shown(expected[0].ravel())}"
        )
        what = f"soft labels give the value of an expectation of hard ones, and another gradient: {where} ({setting})"
        raise Failure(what, "Look for rounded labels (argmax) in a custom gradient.")
    return "soft labels give the expectation of hard ones"


def _unrounded(case: Case) -> str:
    """Of labels that are never soft: where they are numbers, a little less of them is another value."""
    target, setting = case.spec.target, case.setting()
    if target in ("dense", "real", "raw", "positive"):
        hard = case.labels(24)
        y = np.asarray(np.random.default_rng(23).uniform(0.1, 0.9, hard.shape)) if target == "dense" else hard
        z = case.raw_scores(len(y), scale=1.0)
        try:
            _labels_count(case, Outcome(y, z, *case.gradients(y, z, setting)), setting)
        except Failure as failure:
            if not isinstance(failure.__cause__, InputError):
                raise
    return does_not_apply(f"labels of kind {target!r} are never soft")


def _labels_count(case: Case, outcome: Outcome, setting: Setting) -> None:
    """Labels are not rounded: a hundred thousandth less of them gives other values or gradients."""
    values, gradients = case.gradients(outcome.y * (1 - 1e-5), outcome.z, setting)
    same = (values == outcome.values) & (_steepest(gradients - outcome.gradients) == 0)
    # where the loss is flat nothing moves it, its label neither
    moving = _steepest(outcome.gradients) > 0
    if (same & moving).sum() > 0.5 * moving.sum():
        what = f"labels are rounded: {outcome.first}, and so does a label that is 1e-5 of itself less ({setting})"
        raise Failure(what, "Look for a cast of the labels to whole numbers or to half precision.")


def _steepest(gradients: Array) -> Array:
    steepest: Array = np.abs(gradients).reshape(len(gradients), -1).max(axis=1)
    return steepest


def _not_squared(outcome: Outcome, squared: Array, setting: Setting) -> None:
    if np.allclose(outcome.values, squared, rtol=1e-6, atol=1e-9):
        what = f"soft labels are squared: {outcome.first}, the sum of y^2 times each class's loss ({setting})"
        raise Failure(what, f"Multiply by the labels once. {REMEDY}")


def _softness_counts(case: Case, outcome: Outcome, setting: Setting) -> None:
    """The value moves with the labels: they are not rounded, nor are all but 1 taken for 0."""
    nearer = 0.999 * outcome.y + 0.001 * np.roll(outcome.y, 1, axis=0)
    if (case.values(nearer, outcome.z, setting) == outcome.values).mean() > 0.5:
        raise Failure(f"soft labels are rounded: {outcome.first}, and so do labels near it ({setting})", REMEDY)


def _within_bounds(case: Case, outcome: Outcome, hard: Array, setting: Setting) -> str:
    """Not above the worst hard label, not below the declared minimum.

    A label of several may be partly present and partly absent: what both cost may add up.
    """
    values, tolerance = outcome.values, 1e-6 * (np.abs(hard).max() + 1.0)
    most = hard.max(axis=0) * (2 if case.spec.target == "multihot" else 1)
    least = case.spec.claims.minimum if case.spec.claims.minimum is not None else -np.inf
    bad = (values > most + tolerance) | (values < least - tolerance)
    if bad.any():
        i = int(np.argmax(bad))
        ends = f"hard ones between {shown(hard[:, i].min())} and {shown(hard[:, i].max())}"
        raise Failure(f"soft label {shown(outcome.y[i])} gives {shown(values[i])}, {ends} ({setting})", REMEDY)
    return "soft labels give values between those of hard ones and the minimum"
