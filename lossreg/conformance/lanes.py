"""Many trainings in one graph: the loss mapped over lanes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from lossreg.conformance import tensorflow
from lossreg.conformance.base import Failure
from lossreg.conformance.case import Case, Setting, shown
from lossreg.conformance.compare import first_difference
from lossreg.conformance.tensorflow import Array
from lossreg.errors import count_of, one_line
from lossreg.registry.user_loss import UserLoss

ROWS, LANES = 16, 3
SLOWER = "Without it the loss trains one at a time, slower. Use lossreg.ops, no Python conditions on tensors, no NumPy."


def lanes(case: Case) -> str:
    """Lanes of different parameters, mapped, are each lane alone; no lanes at all work too."""
    tried = []
    for n_classes in _tasks(case):
        tried.append(_agree(case, n_classes))
    return f"{LANES} lanes of different parameters agree with one at a time, {' and '.join(tried)}"


def _tasks(case: Case) -> tuple[int, ...]:
    """The main number of classes, and one logit where a loss of k classes serves binary tasks."""
    return (case.k, 2) if case.spec.serves_binary_as_two(2) and "binary" in case.spec.tasks else (case.k,)


def _agree(case: Case, n_classes: int) -> str:
    settings = _alike(case, n_classes)
    y = case.labels(ROWS, n_classes)
    width = case.spec.width(n_classes)
    rng = np.random.default_rng(21)
    z = rng.normal(size=(LANES, ROWS, *case.spatial_shape, width))
    function = partial(_of_task, case, n_classes)
    arguments = [case.arguments(setting) for setting in settings]
    static = {name: value for name, value in arguments[0].items() if not isinstance(value, np.ndarray)}
    stacked = {name: np.stack([a[name] for a in arguments]) for name in arguments[0] if name not in static}
    labels = np.stack([y] * LANES)
    # what is not of this library may fail without samples, and is never called so
    wrapped = isinstance(case.function, UserLoss)
    losses, gradients = _mapped(function, (labels, z, stacked), static, none=not wrapped)
    for i, setting in enumerate(settings):
        values, alone = tensorflow.gradients(function, y, z[i], arguments[i], "float32")
        _same(np.asarray(losses)[i : i + 1], np.mean(values, keepdims=True), "value", setting)
        _same(np.asarray(gradients)[i].ravel(), np.asarray(alone).ravel() / ROWS, "gradient", setting)
    return count_of(width, "score")


def _of_task(case: Case, k: int, /, y: object, z: object, **arguments: object) -> object:
    return case.spec.values(y, z, k, arguments)


def _alike(case: Case, k: int) -> list[Setting]:
    """Settings that may share a graph: static values as in the first."""
    base = case.setting(k=k)
    fixed = {n: v for n, v in base.params.items() if not isinstance(case.arguments(base)[n], np.ndarray)}
    settings = [base]
    for setting in case.draws(40, k, seed=22):
        params = {n: base.params[n] if v is None else v for n, v in setting.params.items()}
        settings.append(case.setting({**params, **fixed}, k, rare=0.3))
        if len(settings) == LANES:
            break
    return settings


def _mapped(
    function: tensorflow.Function, every: tuple[Array, Array, dict[str, Any]], static: tensorflow.Arguments, none: bool
) -> tuple[Array, Array]:
    """Losses and gradients of all lanes; with `none` no lanes are tried, too."""
    y, z, arguments = every
    nothing = (y[:0], z[:0], {name: value[:0] for name, value in arguments.items()})
    try:
        graph = tensorflow.mapped(function, every, static)
        losses, gradients = tensorflow.run(graph, every)
        empty = np.asarray(tensorflow.run(graph, nothing)[0]) if none else np.zeros(0)
    except Exception as error:
        raise Failure(f"it cannot be mapped over lanes: {one_line(error, 200)}", SLOWER) from error
    if empty.shape != (0,):
        raise Failure("no lanes give a value", SLOWER)
    return losses, gradients


def _same(actual: Array, expected: Array, what: str, setting: Setting) -> None:
    i = first_difference(actual, expected, 1e-4)
    if i is not None:
        message = f"a lane's {what} is {shown(actual[i])} mapped, {shown(expected[i])} alone ({setting})"
        raise Failure(message, SLOWER)
