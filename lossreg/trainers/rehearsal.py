"""A loss tried as training will call it: at once, over lanes, in a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from lossreg.errors import InputError, gist
from lossreg.trainers.arguments import loss_arguments
from lossreg.trainers.base import Plan, Problem
from lossreg.trainers.lanes import Group, Task
from lossreg.trainers.population import encoded, group_of

ROWS, LANES, TOLERANCE = 32, 2, 1e-5
HINT = "Use lossreg.ops (keras.ops) instead of NumPy or Python conditions on tensors."

Pair = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Training rows and random scores for two lanes.

    labels: by target kind, `(n, *space, t)` of both lanes; scores: `(2, n, *space, outputs)`, standard
    normal; arguments: one lane's traced keyword arguments; width: of the study's packed arguments.
    """

    group: Group
    labels: dict[str, Any]
    scores: Any
    arguments: Mapping[str, Any]
    width: int

    @property
    def y(self) -> Any:
        """The labels that the loss takes."""
        return self.labels[self.group.spec.target]

    @property
    def signature(self) -> Task:
        """The shapes for which the study's lanes will be traced too."""
        return Task.signature(self.scores.shape[2:], self.labels, self.width)

    def task(self) -> Task:
        """The work of both lanes."""
        rows = tf.tile(tf.range(len(self.y))[None], [LANES, 1])
        packed = self.group.pack({name: value.numpy() for name, value in self.arguments.items()}, self.width)
        arguments = tf.constant(np.tile(packed, (LANES, 1)))
        return Task(self.scores, self.labels, rows, tf.fill([LANES], 0.5), tf.range(LANES), arguments)


def rehearse(problem: Problem, plan: Plan) -> str:
    """Why the plan's loss cannot train in lanes, in one line; empty when it can.

    Raises `InputError` when it returns other than one finite value a sample, when its gradient is
    not finite, or when it fails in a graph; what it raises itself on a batch is passed on.
    """
    batch = _batch(problem, plan)
    alone = [_alone(batch.group, batch.y, scores, batch.arguments) for scores in batch.scores]
    for values, slope in alone:
        _check(np.asarray(values), np.asarray(slope), len(batch.y))
    if reason := _unmappable(batch, alone):
        _check_graph(batch)
        return f"cannot be mapped over lanes: {reason}"
    return ""


def _batch(problem: Problem, plan: Plan) -> Batch:
    spec, data = problem.losses[plan.label], problem.dataset
    labels = encoded(problem, data.train.y[:ROWS])
    y = labels[spec.target]
    shape = (LANES, len(y), *y.shape[1:-1], problem.outputs(plan.label))
    scores = np.random.default_rng(0).normal(size=shape)
    traced = loss_arguments(spec, plan.params, data.constants)
    traced |= {"progress": np.array(0.5, np.float32)} if "progress" in spec.needs else {}
    arguments = {name: tf.constant(value) for name, value in traced.items()}
    group = group_of(problem, plan)
    width = max(one.width for one in problem.groups.values())
    return Batch(group, labels, tf.constant(scores, tf.float32), arguments, width)


def _check(values: np.ndarray, slope: np.ndarray, n: int) -> None:
    if values.shape != (n,):
        raise InputError(f"returns shape {values.shape} for {n} samples", hint="One value a sample is needed.")
    if not np.isfinite(values).all():
        raise InputError("is not finite on ordinary scores")
    if not np.isfinite(slope).all():
        raise InputError("has a gradient that is not finite on ordinary scores")


def _alone(group: Group, y: Any, scores: Any, arguments: Mapping[str, Any]) -> Pair:
    """One lane's `(n,)` losses, and the gradient of their mean by the scores."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(scores)
        values = group.values(y, scores, arguments)
        loss = tf.reduce_mean(values)
    return values, tape.gradient(loss, scores, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _check_graph(batch: Batch) -> None:
    """One lane in a graph whose batch is of open length, as `model.fit` has it."""
    graph = tf.function(partial(_alone, batch.group), autograph=False)
    y, scores = (tf.TensorSpec([None, *tensor.shape[1:]]) for tensor in (batch.y, batch.scores[0]))
    arguments = {name: tf.TensorSpec(value.shape) for name, value in batch.arguments.items()}
    try:
        traced = graph.get_concrete_function(y, scores, arguments)
        pair = traced(batch.y, batch.scores[0], batch.arguments)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"fails in a TensorFlow graph: {_sentence(error)}", hint=HINT) from error
    if not all(np.isfinite(part).all() for part in pair):
        raise InputError("is not finite in a TensorFlow graph, and is outside it", hint=HINT)


def _unmappable(batch: Batch, alone: list[Pair]) -> str:
    """Why lanes, mapped, fail or give other numbers than one at a time; empty when they agree."""
    try:
        mapped = batch.group.traced(batch.signature)
        if mapped.captured_inputs or any(op.op_def.is_stateful for op in mapped.graph.get_operations()):
            return "it holds a variable, a large constant or a random operation"
        losses, slopes = mapped(batch.task())
    except Exception as error:
        return _sentence(error)
    wanted = np.stack([np.mean(values) for values, _ in alone])
    if not _equal(losses, wanted, TOLERANCE):
        return "its values differ from those of one lane at a time"
    # a gradient by the scores of one of n rows that is 0 has the rounding of a number of this size
    if not _equal(slopes, np.stack([slope for _, slope in alone]), np.abs(wanted).max() / len(batch.y)):
        return "its gradients differ from those of one lane at a time"
    return ""


def _equal(found: Any, wanted: np.ndarray, least: float) -> bool:
    """Whether numbers agree to `TOLERANCE` of the largest of them, or of `least`."""
    return bool(np.abs(found - wanted).max() <= TOLERANCE * max(np.abs(wanted).max(), least))


def _sentence(error: BaseException) -> str:
    # TensorFlow goes on with advice that does not apply here
    return gist(error).split(". ")[0]
