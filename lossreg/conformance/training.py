"""Fifty Adam steps of a linear model, on data that it can fit."""

from __future__ import annotations

import numpy as np

from lossreg.conformance.base import Failure
from lossreg.conformance.case import Case, Setting, shown
from lossreg.conformance.tensorflow import Array

ROWS, FEATURES, STEPS, RATE = 72, 4, 50, 0.1


def descent(case: Case) -> str:
    """The metric of the task improves clearly: accuracy of classes, or the mean absolute error."""
    changes = []
    for k in case.ks[:2]:
        setting = case.setting(k=k, rare=1.0)
        x, y, truth = _data(case, setting)
        begin = _error(case, np.zeros((len(x), *case.spatial_shape, case.width(k))), truth, setting)
        end = _error(case, _trained(case, x, y, setting), truth, setting)
        if not end < 0.5 * begin:
            what = f"{STEPS} Adam steps on {ROWS} easy samples bring the error from {shown(begin)} to {shown(end)}"
            raise Failure(
                f"{what} ({setting})",
                "Look at the sign, the activation, the labels, and where the gradient is 0.",
            )
        changes.append(f"{shown(round(begin, 3))} to {shown(round(end, 3))}")
    return f"the error falls from {' and '.join(changes)} in {STEPS} Adam steps"


def _data(case: Case, setting: Setting) -> tuple[Array, Array, Array]:
    """Features `(n, *spatial_shape, d)`, labels as the function receives them, and what should be predicted."""
    rng, k = np.random.default_rng(9), setting.k
    if not k:
        return _numbers(case, setting, rng)
    y = case.labels(ROWS, k, seed=9)
    columns = np.eye(k)[y[..., 0].astype(int)] if case.spec.target == "ordinal" else y
    centers = 2.0 * rng.normal(size=(columns.shape[-1], FEATURES - 1))
    if case.spec.target == "ordinal":
        # classes along a line, in their order
        centers = (np.arange(k)[:, None] - (k - 1) / 2) * np.ones((1, FEATURES - 1))
    else:
        centers = (
            3.0 * np.linalg.qr(np.c_[centers.T, rng.normal(size=(FEATURES - 1, FEATURES - 1))])[0].T[: len(centers)]
        )
        centers = np.resize(centers, (columns.shape[-1], FEATURES - 1))
    x = (columns - columns.mean()) @ centers + 0.1 * rng.normal(size=(*columns.shape[:-1], FEATURES - 1))
    return np.concatenate([x, np.ones((*x.shape[:-1], 1))], axis=-1), y, y


def _numbers(case: Case, setting: Setting, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Labels that a linear model predicts through the loss's own activation."""
    x = np.concatenate([rng.normal(size=(ROWS, FEATURES - 1)), np.ones((ROWS, 1))], axis=1)
    z = (x @ np.array([0.8, -0.6, 0.4, 0.3]))[:, None] * _moving(case, setting)
    truth = case.predictions(z, setting)[:, case.activation.point][:, None]
    truth = np.round(truth) if case.spec.target == "count" else truth
    return x, truth, truth


def _moving(case: Case, setting: Setting) -> Array:
    """The output that moves the scored prediction most, as a unit vector."""
    units = np.eye(case.width(setting.k))
    up, down = (case.predictions(2.0 * sign * units, setting)[:, case.activation.point] for sign in (1.0, -1.0))
    return np.asarray(units[int(np.argmax(np.abs(up - down)))])


def _trained(case: Case, x: Array, y: Array, setting: Setting) -> Array:
    """Scores after training from zero weights."""
    weights = np.zeros((FEATURES, case.width(setting.k)))
    if case.classes and case.spec.target not in ("multihot", "onehot", "ordinal"):
        weights = np.zeros((FEATURES, 1))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        gradients = case.traced_gradients(y, x @ weights, setting, "float64")[1] / len(x)
        gradient = x.reshape(-1, FEATURES).T @ gradients.reshape(-1, weights.shape[1])
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        weights = weights - RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return np.asarray(x @ weights)


def _error(case: Case, z: Array, truth: Array, setting: Setting) -> float:
    target = case.spec.target
    if not case.classes:
        return float(np.abs(case.predictions(z, setting)[:, case.activation.point] - truth[:, 0]).mean())
    if target == "onehot":
        return float((np.argmax(z, axis=1) != np.argmax(truth, axis=1)).mean())
    if target == "ordinal":
        return float(np.abs(np.argmax(case.predictions(z, setting), axis=1) - truth[:, 0]).mean())
    return float(((z > 0) != (truth > 0)).mean())
