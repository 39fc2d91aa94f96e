"""Metrics of the user's own: a function of labels and predictions that returns a number."""

from __future__ import annotations

import inspect
import math
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.contract.scored_labels import labels_of
from lossreg.contract.targets import REGRESSION
from lossreg.errors import InputError
from lossreg.metrics import catalogue
from lossreg.metrics.catalogue import Metric
from lossreg.runtime import digests, user_code

Array = NDArray[Any]
Function = Callable[[Array, Array], float]
LOCK = threading.Lock()  # of metrics that keep a state
PROBABILITIES = ("binary", "multiclass")
CALLED = (
    "It is called with labels and predictions, profit(y_true, y_pred), and with columns of the data that further "
    "parameters name, and returns one number."
)


def response(task: str, predictions: str | None) -> str:
    """Return the kind of predictions that a function is given, by default class indices or values.

    Raises `InputError` where the task has no such predictions.
    """
    usual = "value" if task in REGRESSION else "label"
    if predictions == "probability" and task not in PROBABILITIES:
        what = f"probabilities are those of classes, and this task is {task}"
        raise InputError(what, hint="Leave predictions out.")
    if predictions == "label" and usual == "value":
        raise InputError(f"labels are those of classes, and this task is {task}", hint="Leave predictions out.")
    return predictions or usual


def metric_of(function: Any, base: Path, *, task: str, direction: str, predictions: str) -> Metric:
    """Return the metric that a function computes, which may be named `file.py:function`.

    direction: maximize or minimize; predictions: `label`, `probability` or `value`.
    Raises `InputError` for what cannot be imported or called, and for the name of another metric.
    """
    reference = function if isinstance(function, str) else getattr(function, "__name__", "metric")
    name = reference.rpartition(":")[2]
    if name in (*catalogue.BY_NAME, *catalogue.ALIASES):
        raise InputError(f"{reference} has the name of another metric", hint="Give the function another name.")
    one = user_code.locate(function, base) if isinstance(function, str) else function
    if not callable(one):
        raise InputError(f"{reference} is no function", hint=CALLED)
    folder = user_code.folder(reference, base) if isinstance(function, str) else base
    return Metric(
        name=name, direction=direction, tasks=(task,), response=predictions, summary=f"{reference} of the study",
        worst=None, one=partial(_called, one, reference, folder),
    )  # fmt: skip


def columns(function: Any, base: Path) -> tuple[str, ...]:
    """Return the columns that a function takes: its parameters without a default after labels and predictions.

    Raises `InputError` for what cannot be imported, and for a scorer of scikit-learn.
    """
    one = user_code.locate(function, base) if isinstance(function, str) else function
    if next((each.name for each in _signature(one)), "") == "estimator":
        what = "is a scorer of scikit-learn, which is called with an estimator and features"
        raise InputError(what, hint=f"Give the function of labels and predictions that it is made of. {CALLED}")
    return tuple(dict.fromkeys(sum(_parameters(one), ())))


def _signature(function: Any) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a function, none where they are unknown."""
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ()


def _parameters(function: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that a function takes by position and those that it takes by name, none where unknown."""
    needed = [
        each
        for each in _signature(function)
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    by_name = tuple(each.name for each in needed if each.kind is each.KEYWORD_ONLY)
    return tuple(each.name for each in needed if each.name not in by_name)[2:], by_name


def code(function: Any, base: Path) -> str:
    """Return a mark of what a function computes with: its code, and all that it uses of its file; empty if unknown.

    Bytecode is that of a version of Python, which stands before the digest.
    """
    try:
        one = user_code.locate(function, base) if isinstance(function, str) else function
        return f"{sys.version_info[0]}.{sys.version_info[1]} {digests.digest(one)[:16]}"
    except InputError:
        return ""


def has_changed(before: str, now: str) -> bool:
    """Return whether two marks of a function's code, of the same version of Python, differ."""
    return before != now and before.split()[:1] == now.split()[:1]


def try_out(metric: Metric, y: Array, n_classes: int) -> None:
    """Call the function of a metric with labels as their own predictions.

    Raises `InputError` with its exception, if it returns no finite number, or another one after other predictions.
    """
    labels = labels_of(y)
    predicted = np.eye(n_classes)[labels] if metric.response == "probability" else labels
    first, _, second = (metric.one(y, np.roll(predicted, turn, axis=0)) for turn in (0, 1, 0))
    if not math.isfinite(first):
        what = f"returns {first:g} for labels as their own predictions"
        raise InputError(what, hint="A metric is a finite number, also where a class is not predicted.")
    if first != second:
        what = f"returns {first:g} and then {second:g} for the same labels and predictions"
        raise InputError(what, hint="A metric must not depend on chance or on former calls.")


def _called(function: Function, reference: str, folder: Path, y: Array, predicted: Array) -> float:
    """Return the number that a function gives for copies of labels, predictions and columns, which it may change.

    A metric of Keras adds up its calls: it is reset before each, in one thread at a time.
    """
    by_position, by_name = _parameters(function)
    further = [y[name].copy() for name in by_position if y.dtype.names]
    named = {name: y[name].copy() for name in by_name if y.dtype.names}
    reset = getattr(function, "reset_state", None)
    with LOCK if inspect.ismethod(reset) else nullcontext():
        if inspect.ismethod(reset):
            user_code.call(reset, reference, folder)
        value = user_code.call(function, reference, folder, labels_of(y).copy(), predicted.copy(), *further, **named)
    if np.ndim(value) or np.asarray(value).dtype.kind not in "iuf":
        kind = f"an array of shape {np.shape(value)}" if np.ndim(value) else f"a {type(value).__name__}"
        raise InputError(f"returns {kind}, and a metric is one number", where=reference, hint=CALLED)
    return float(value)
