"""A loss tried as training will call it: at once, over lanes, in a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from lossreg.errors import InputError, one_line
from lossreg.training.backends import interface
from lossreg.training.interface import Plan, Problem
from lossreg.training.lane_graph import WEIGHTS, Batch, Group, Own
from lossreg.training.loss_arguments import loss_arguments
from lossreg.training.population import encoded, group_of

ROWS, LANES, TOLERANCE = 32, 2, 1e-5
SIZES = (0.01, 10.0, 100.0)  # of scores, besides standard normal ones
HINT = "Use lossreg.ops (keras.ops) instead of NumPy or Python conditions on tensors."

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Sample:
    """Training rows and random scores for two lanes.

    columns: labels by target kind, `(n, *space, t)` of both lanes, and weights; scores: `(2, n, *space, outputs)`,
    standard normal; arguments: one lane's traced keyword arguments; width: of the study's packed arguments.
    """

    group: Group
    columns: Mapping[str, np.ndarray]
    scores: np.ndarray
    arguments: Mapping[str, np.ndarray]
    width: int

    def alone(self, batch: tuple[Any, Any], arguments: Mapping[str, Any]) -> tuple[Any, Any]:
        """One lane's `(n,)` losses of columns and scores, and the gradient of their mean by the scores."""
        columns, scores = batch
        weights = {WEIGHTS: columns[WEIGHTS]} if WEIGHTS in self.group.spec.needs else {}

        def values(z: Any) -> Any:
            return self.group.values(columns[self.group.spec.target], z, {**arguments, **weights})

        _, slope = interface.value_and_slope(lambda z: ops.mean(values(z)), scores)
        return values(scores), slope

    def trees(self) -> tuple[Batch, Own]:
        """The work of both lanes, as a branch is given it."""
        packed = self.group.pack(self.arguments, self.width)
        columns = {name: _on_device(np.stack([column] * LANES)) for name, column in self.columns.items()}
        own = Own(_on_device(np.full(LANES, 0.5)), _on_device(np.tile(packed, (LANES, 1))))
        return Batch(_on_device(self.scores), columns), own


def _on_device(values: np.ndarray) -> Any:
    return interface.to_device(np.asarray(values, np.float32))


class NoGradientError(InputError):
    """A loss whose value does not change with the scores."""


def rehearse(problem: Problem, plan: Plan) -> str:
    """Why the plan's loss cannot train in lanes, in one line; empty when it can.

    Raises `InputError` when it returns other than one finite value a sample, when its gradient is
    not finite, or when it fails in a graph; `NoGradientError` when its gradient is zero on all batches, of scores
    small and large; what it raises itself on a batch is passed on.
    """
    sample = _sample(problem, plan)
    arguments = {name: _on_device(value) for name, value in sample.arguments.items()}
    batches = [
        ({name: _on_device(column) for name, column in sample.columns.items()}, _on_device(scores))
        for scores in sample.scores
    ]
    alone = [_host(sample.alone(batch, arguments)) for batch in batches]
    for values, slope in alone:
        _check(values, slope, sample.scores.shape[1])
    if not any(slope.any() for _, slope in alone):
        _check_graph(sample, batches[0], arguments)  # a loss in NumPy has no gradient either, and fails there
        _insist_sloped(sample, batches, arguments)
    if reason := _unmappable(sample, alone):
        _check_graph(sample, batches[0], arguments)
        return f"cannot be mapped over lanes: {reason}"
    return ""


def _insist_sloped(sample: Sample, batches: Sequence[tuple[Any, Any]], arguments: Mapping[str, Any]) -> None:
    """Raise `NoGradientError` unless scores of another size have a gradient, as those of a loss with a plateau may."""
    for scale in SIZES:
        for columns, scores in batches:
            if _host(sample.alone((columns, scores * scale), arguments))[1].any():
                return
    raise NoGradientError(
        "has no gradient: its value does not change with the scores, so no model can learn from it",
        hint="Rounding, argmax, sign and comparisons have none.",
    )


def _sample(problem: Problem, plan: Plan) -> Sample:
    spec, data = problem.losses[plan.candidate], problem.dataset
    columns = encoded(problem, data.train.y[:ROWS], data.constants)
    y = columns[spec.target]
    columns |= {WEIGHTS: np.linspace(0.5, 1.5, len(y), dtype=np.float32)} if WEIGHTS in spec.needs else {}
    shape = (LANES, len(y), *y.shape[1:-1], problem.outputs(plan.candidate))
    scores = np.random.default_rng(0).normal(size=shape)
    traced = loss_arguments(spec, plan.params, data.constants)
    traced |= {"progress": np.array(0.5, np.float32)} if "progress" in spec.needs else {}
    group = group_of(problem, plan)
    width = max(one.width for one in problem.groups.values())
    return Sample(group, columns, scores.astype(np.float32), traced, width)


def _host(pair: tuple[Any, Any]) -> Pair:
    return np.asarray(interface.to_host(pair[0])), np.asarray(interface.to_host(pair[1]))


def _check(values: np.ndarray, slope: np.ndarray, n: int) -> None:
    if values.shape != (n,):
        raise InputError(f"returns shape {values.shape} for {n} samples", hint="One value a sample is needed.")
    if not np.isfinite(values).all():
        raise InputError("is not finite on ordinary scores")
    if not np.isfinite(slope).all():
        raise InputError("has a gradient that is not finite on ordinary scores")


def _check_graph(sample: Sample, batch: tuple[Any, Any], arguments: Mapping[str, Any]) -> None:
    """One lane in a graph whose batch is of open length, as `model.fit` has it."""
    try:
        pair = _host(interface.in_graph(sample.alone, batch, arguments))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"fails in a {interface.NAME} graph: {_sentence(error)}", hint=HINT) from error
    if not all(np.isfinite(part).all() for part in pair):
        raise InputError(f"is not finite in a {interface.NAME} graph, and is outside it", hint=HINT)


def _unmappable(sample: Sample, alone: list[Pair]) -> str:
    """Why lanes, mapped, fail or give other numbers than one at a time; empty when they agree."""
    trees = sample.trees()
    try:
        if reason := sample.group.branch.impurity(*trees):
            return reason
        losses, slopes = _host(sample.group.branch.run(*trees))
    except Exception as error:
        return _sentence(error)
    wanted = np.stack([np.mean(values) for values, _ in alone])
    if not _equal(losses, wanted, TOLERANCE):
        return "its values differ from those of one lane at a time"
    # a gradient by the scores of one of n rows that is 0 has the rounding of a number of this size
    if not _equal(slopes, np.stack([slope for _, slope in alone]), np.abs(wanted).max() / sample.scores.shape[1]):
        return "its gradients differ from those of one lane at a time"
    return ""


def _equal(found: np.ndarray, wanted: np.ndarray, least: float) -> bool:
    """Whether numbers agree to `TOLERANCE` of the largest of them, or of `least`."""
    return bool(np.abs(found - wanted).max() <= TOLERANCE * max(np.abs(wanted).max(), least))


def _sentence(error: BaseException) -> str:
    # TensorFlow goes on with advice that does not apply here
    return one_line(error).split(". ")[0]
