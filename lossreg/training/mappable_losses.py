"""Rehearsal of a loss as training calls it: one lane at a time, over lanes, in a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from lossreg.errors import InputError, count_of, one_line
from lossreg.training.backends import interface
from lossreg.training.interface import Plan, Problem
from lossreg.training.lane_graph import WEIGHTS, Batch, Group, LaneArguments
from lossreg.training.loss_arguments import loss_arguments
from lossreg.training.population import encoded, group_of

SAMPLES, LANES, TOLERANCE = 32, 2, 1e-5
SIZES = (0.01, 10.0, 100.0)  # of raw scores, besides standard normal ones
HINT = "Use lossreg.ops (keras.ops) instead of NumPy or Python conditions on tensors."

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class LossCase:
    """Training samples and random raw scores for two lanes.

    columns: labels by target kind, `(n, *spatial_shape, t)` of both lanes, and weights; raw_scores: standard normal,
    `(2, n, *spatial_shape, outputs)`; arguments: a lane's traced keyword arguments; width: of packed arguments.
    """

    group: Group
    columns: Mapping[str, np.ndarray]
    raw_scores: np.ndarray
    arguments: Mapping[str, np.ndarray]
    width: int

    def alone(self, batch: tuple[Any, Any], arguments: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return a lane's `(n,)` losses of columns and raw scores, and the gradient of their mean by the raw scores."""
        columns, raw_scores = batch
        weights = {WEIGHTS: columns[WEIGHTS]} if WEIGHTS in self.group.spec.needs else {}

        def values(z: Any) -> Any:
            return self.group.values(columns[self.group.spec.target], z, {**arguments, **weights})

        _, gradient = interface.value_and_gradient(lambda z: ops.mean(values(z)), raw_scores)
        return values(raw_scores), gradient

    def trees(self) -> tuple[Batch, LaneArguments]:
        """Return the trees of both lanes that a branch takes."""
        packed = self.group.pack(self.arguments, self.width)
        columns = {name: _on_device(np.stack([column] * LANES)) for name, column in self.columns.items()}
        arguments = LaneArguments(_on_device(np.full(LANES, 0.5)), _on_device(np.tile(packed, (LANES, 1))))
        return Batch(_on_device(self.raw_scores), columns), arguments


def _on_device(values: np.ndarray) -> Any:
    return interface.to_device(np.asarray(values, np.float32))


class NoGradientError(InputError):
    """A loss whose value does not change with the raw scores."""


def rehearse(problem: Problem, plan: Plan) -> str:
    """Return why the plan's loss cannot train in lanes, in one line; empty when it can.

    Raises `InputError` when it returns other than one finite value per sample, when its gradient is
    not finite, or when it fails in a graph; `NoGradientError` when its gradient is zero on all batches, of raw scores
    small and large; what it raises itself on a batch is passed on.
    """
    case = _case(problem, plan)
    arguments = {name: _on_device(value) for name, value in case.arguments.items()}
    batches = [
        ({name: _on_device(column) for name, column in case.columns.items()}, _on_device(raw_scores))
        for raw_scores in case.raw_scores
    ]
    alone = [_host(case.alone(batch, arguments)) for batch in batches]
    for values, gradient in alone:
        _check(values, gradient, case.raw_scores.shape[1])
    if not any(gradient.any() for _, gradient in alone):
        _check_graph(case, batches[0], arguments)  # a loss in NumPy has no gradient either, and fails there
        _require_gradient(case, batches, arguments)
    if reason := _unmappable(case, alone):
        _check_graph(case, batches[0], arguments)
        return f"cannot be mapped over lanes: {reason}"
    return ""


def _require_gradient(case: LossCase, batches: Sequence[tuple[Any, Any]], arguments: Mapping[str, Any]) -> None:
    """Raise `NoGradientError` unless raw scores of another size have a gradient, as in a loss with a plateau."""
    for scale in SIZES:
        for columns, raw_scores in batches:
            if _host(case.alone((columns, raw_scores * scale), arguments))[1].any():
                return
    raise NoGradientError(
        "has no gradient: its value does not change with the raw scores, so no model can learn from it",
        hint="Rounding, argmax, sign and comparisons have none.",
    )


def _case(problem: Problem, plan: Plan) -> LossCase:
    spec, data = problem.losses[plan.candidate], problem.dataset
    columns = encoded(problem, data.train.y[:SAMPLES], data.constants)
    y = columns[spec.target]
    columns |= {WEIGHTS: np.linspace(0.5, 1.5, len(y), dtype=np.float32)} if WEIGHTS in spec.needs else {}
    shape = (LANES, len(y), *y.shape[1:-1], problem.outputs(plan.candidate))
    raw_scores = np.random.default_rng(0).normal(size=shape)
    traced = loss_arguments(spec, plan.params, data.constants)
    traced |= {"progress": np.array(0.5, np.float32)} if "progress" in spec.needs else {}
    group = group_of(problem, plan)
    width = max(one.width for one in problem.groups.values())
    return LossCase(group, columns, raw_scores.astype(np.float32), traced, width)


def _host(pair: tuple[Any, Any]) -> Pair:
    return np.asarray(interface.to_host(pair[0])), np.asarray(interface.to_host(pair[1]))


def _check(values: np.ndarray, gradient: np.ndarray, n: int) -> None:
    if values.shape != (n,):
        raise InputError(
            f"returns shape {values.shape} for {count_of(n, 'sample')}", hint="One value per sample is needed."
        )
    if not np.isfinite(values).all():
        raise InputError("is not finite on ordinary raw scores")
    if not np.isfinite(gradient).all():
        raise InputError("has a gradient that is not finite on ordinary raw scores")


def _check_graph(case: LossCase, batch: tuple[Any, Any], arguments: Mapping[str, Any]) -> None:
    """Check one lane in a graph whose batch has an open length, as in `model.fit`; raises `InputError`."""
    try:
        pair = _host(interface.in_graph(case.alone, batch, arguments))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"fails in a {interface.NAME} graph: {_sentence(error)}", hint=HINT) from error
    if not all(np.isfinite(part).all() for part in pair):
        raise InputError(f"is not finite in a {interface.NAME} graph, and is outside it", hint=HINT)


def _unmappable(case: LossCase, alone: list[Pair]) -> str:
    """Return why mapped lanes fail or give other numbers than one at a time; empty when they agree."""
    trees = case.trees()
    try:
        if reason := case.group.branch.impurity(*trees):
            return reason
        losses, gradients = _host(case.group.branch.run(*trees))
    except Exception as error:
        return _sentence(error)
    wanted = np.stack([np.mean(values) for values, _ in alone])
    if not _equal(losses, wanted, TOLERANCE):
        return "its values differ from those of one lane at a time"
    # the rounding error of a gradient that is 0 is that of a number of this size
    size = np.abs(wanted).max() / case.raw_scores.shape[1]
    if not _equal(gradients, np.stack([gradient for _, gradient in alone]), size):
        return "its gradients differ from those of one lane at a time"
    return ""


def _equal(values: np.ndarray, wanted: np.ndarray, least: float) -> bool:
    """Return whether numbers agree to `TOLERANCE` of the largest of them, or of `least`."""
    return bool(np.abs(values - wanted).max() <= TOLERANCE * max(np.abs(wanted).max(), least))


def _sentence(error: BaseException) -> str:
    # what TensorFlow adds is advice that does not apply here
    return one_line(error).split(". ")[0]
