"""Keras optimizers by name, and a form of them whose state and searched settings are stacked over lanes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lossreg import ops
from lossreg.errors import InputError, UnknownError, did_you_mean, text_of
from lossreg.registry.dense_gradients import ACCUMULATION, dense
from lossreg.training import schedules
from lossreg.training.backends import _keras_optimizer, interface

if TYPE_CHECKING:
    from lossreg.config.optimization import Schedule
    from lossreg.training.interface import Plan, Problem

# Those proven equal to solo training, lane by lane (tests/training/test_optimizers.py), each with all its settings.
MAPPED = (
    "sgd", "rmsprop", "adam", "adamw", "adadelta", "adagrad", "adamax", "adafactor", "nadam", "ftrl", "lion", "lamb",
    "muon",
)  # fmt: skip
REFUSED = {
    "schedulefreeadamw": "on TensorFlow Keras's own step reads its momentum after changing it, and a lane's does not",
}
UNNAMED = {
    "lossscaleoptimizer": "is for half precision, and training here is in float32",
    "multioptimizer": "takes other optimizers, which a name cannot give it",
}
KNOWN = {
    name.lower(): getattr(keras.optimizers, name)
    for name in dir(keras.optimizers)
    if isinstance(getattr(keras.optimizers, name), type)
    and name not in ("Optimizer", "OptimizerMap", "LossScaleOptimizer", "MultiOptimizer")
}
MOST = 10**6  # steps of a training whose rates are checked


class SearchedSetting(keras.Variable):
    """A searched setting as a variable of its optimizer, so that plans have different values.

    Keras tests some settings in Python and leaves out a part of its step where they are 0. A searched one always
    counts as nonzero; at 0 that part then changes nothing.
    """

    def __init__(self, name: str) -> None:
        super().__init__(0.5, dtype="float32", trainable=False, name=name)

    def __ne__(self, other: object) -> bool:
        return True

    def __gt__(self, other: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True

    __hash__ = object.__hash__


def build(name: str, learning_rate: float, settings: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """Return a fresh optimizer; raises `UnknownError` for its name, `InputError` for its settings."""
    return _new(_known(name), learning_rate, settings)


def _known(name: str) -> Any:
    if name.lower() not in KNOWN:
        known = f"Known: {', '.join(sorted(KNOWN))}."
        what = f"{name} {UNNAMED[name.lower()]}" if name.lower() in UNNAMED else f"unknown optimizer {name!r}"
        raise UnknownError(what, hint=did_you_mean(name, KNOWN) or known)
    return KNOWN[name.lower()]


def _new(kind: Any, learning_rate: Any, settings: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    # Keras has None, not 1, where every batch is a step
    arguments = {key: value for key, value in settings.items() if key != ACCUMULATION or (value or 1) > 1}
    try:
        return kind(learning_rate=learning_rate, **arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer {kind.__name__} does not take {arguments}: {text_of(error)}") from error


def check(problem: Problem, tried: Sequence[Mapping[str, Any]], steps: int = 0) -> None:
    """Raise `InputError` unless Keras takes the settings, with each of the searched values in `tried`.

    steps: of a whole training, in which a schedule must not lead to a rate that the optimizer cannot have.
    """
    for values in tried:
        build(problem.optimizer, 1e-3, {**problem.optimizer_settings, **values})
    if problem.optimizer.lower() == "ftrl" and problem.schedule and _reaches_zero(problem.schedule, steps):
        what = "ftrl divides by the learning rate, which this schedule takes to 0"
        raise InputError(what, hint="Keep the rate above 0 throughout, or take another optimizer.")


def _reaches_zero(schedule: Schedule, steps: int) -> bool:
    """Return whether a schedule's factor is 0 at a step of a training of that many; at least a thousand are checked."""
    shares = np.linspace(0, 1, max(1000, min(steps, MOST)), endpoint=False, dtype=np.float32)
    factors = keras.ops.convert_to_numpy(schedules.factor(schedule, keras.ops.convert_to_tensor(shares)))
    return bool((factors <= 0).any())


def refusal(name: str, settings: Mapping[str, Any]) -> str:
    """Return why lanes cannot use this optimizer; empty when they can."""
    if name.lower() not in MAPPED:
        reason = REFUSED.get(name.lower(), f"not among those proven equal to solo training ({', '.join(MAPPED)})")
        return f"optimizer {name}: {reason}"
    if settings.get("use_ema"):
        return "use_ema: Keras puts the averages in place when fit ends, not in its graph"
    reason = _keras_optimizer.refusal()
    return f"optimizer {name}: {reason}" if reason else ""


def branches(problem: Problem) -> list[dict[str, Any]]:
    """Return every combination of the searched settings that change the graph; one empty one where there are none."""
    options = {name: choices for name, choices in problem.searched.items() if choices}
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


def branch(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return the plan's combination of them."""
    return {name: plan.optimizer_settings[name] for name, choices in problem.searched.items() if choices}


def _with_settings(optimizer: keras.optimizers.Optimizer, problem: Problem) -> keras.optimizers.Optimizer:
    """Return the optimizer with a variable for every searched number."""
    for name, choices in problem.searched.items():
        if not choices:
            setattr(optimizer, name, SearchedSetting(name))
    return optimizer


class Reused(_keras_optimizer.OneReplica):
    """Mixed into an optimizer's class: one that serves all plans of the same `branch`, an epoch of `fit` at a time."""

    ends = True  # whether the next epoch is a training's last
    rate: schedules.Rate | None = None
    learning_rate: Any

    def finalize_variable_values(self, var_list: Any) -> None:
        """Put averaged weights in place when training ends, which is not when `fit` returns."""
        if self.ends:
            super().finalize_variable_values(var_list)  # type: ignore[misc]

    def start(self, plan: Plan, steps: int) -> None:
        """Begin the plan's training, which has that many steps in all; the optimizer's variables are fresh."""
        if self.rate:
            self.rate.start(plan.learning_rate, steps)
        else:
            self.learning_rate = plan.learning_rate
        for name, value in plan.optimizer_settings.items():
            if isinstance(variable := getattr(self, name), SearchedSetting):
                variable.assign(value)


def solo(problem: Problem, plan: Plan) -> Any:
    """Return an optimizer for `model.fit`, with the methods of `Reused`."""
    rate = schedules.Rate(problem.schedule) if problem.schedule else None
    kind = _known(problem.optimizer)
    kind = type(f"Reused{kind.__name__}", (Reused, kind if problem.sliced else dense(kind)), {})
    settings = {**problem.optimizer_settings, **branch(problem, plan)}
    optimizer: Any = _new(kind, rate or plan.learning_rate, settings)
    if rate:
        # JAX's graph knows only those variables that are the optimizer's own
        optimizer.rate, optimizer.base_rate, optimizer.total_steps = rate, rate.base, rate.steps
    return _with_settings(optimizer, problem)


def keeps_weights(problem: Problem) -> bool:
    """Return whether the optimizer's variables begin as a copy of the model's weights."""
    return _known(problem.optimizer) is keras.optimizers.ScheduleFreeAdamW


class LaneStep:
    """An optimizer's step for one lane, from its variables (slots) and weights to new ones."""

    def __init__(self, problem: Problem, combination: Mapping[str, Any]) -> None:
        settings = {**problem.optimizer_settings, **combination}
        # batches are accumulated around the step, without a condition, which lanes could not share
        self.every = int(settings.pop(ACCUMULATION, None) or 1)
        # in float32 it changes nothing
        settings.pop("loss_scale_factor", None)
        kind = _keras_optimizer.functional(KNOWN[problem.optimizer.lower()])
        self.optimizer = _with_settings(_new(kind, 1e-3, settings), problem)
        self.settings = [name for name, choices in problem.searched.items() if not choices]
        self.fresh: list[np.ndarray] = []

    def build(self, variables: Sequence[Any]) -> None:
        """Make the slots for these variables of a model: the optimizer's, then sums of gradients and their number."""
        self.optimizer.build(variables)
        self.fresh = [np.asarray(keras.ops.convert_to_numpy(v)) for v in self.optimizer.variables]
        self.number, self.constraints = len(self.fresh), [v.constraint for v in variables]
        if self.every > 1:
            self.fresh += [np.zeros(v.shape, np.float32) for v in variables] + [np.zeros((), np.int32)]
        self.rate = self._position(self.optimizer.learning_rate)

    def initial(self, plan: Plan) -> list[np.ndarray]:
        """Return the slots of a lane that starts with this plan."""
        values = {self.rate: plan.learning_rate}
        values |= {
            self._position(getattr(self.optimizer, name)): plan.optimizer_settings[name] for name in self.settings
        }
        return [np.asarray(values.get(i, value), value.dtype) for i, value in enumerate(self.fresh)]

    def step(
        self, slots: list[Any], gradients: list[Any], weights: list[Any], factor: Any
    ) -> tuple[list[Any], list[Any]]:
        """Return new weights and slots; factor: of the learning rate, None for 1."""
        if self.every == 1:
            return self._apply(slots, gradients, weights, factor)
        slots, sums, count = slots[: self.number], slots[self.number : -1], slots[-1] + 1
        sums, due = [total + gradient for total, gradient in zip(sums, gradients, strict=True)], count == self.every
        after = self._apply(slots, [total / self.every for total in sums], weights, factor)
        # Keras holds weights to their constraints in every step, due or not
        held = [constraint(w) if constraint else w for constraint, w in zip(self.constraints, weights, strict=True)]
        weights, slots = choose(due, after[0], held), choose(due, after[1], slots)
        rest = choose(due, [ops.zeros_like(total) for total in [*sums, count]], [*sums, count])
        return weights, [*slots, *rest]

    def _apply(
        self, slots: list[Any], gradients: list[Any], weights: list[Any], factor: Any
    ) -> tuple[list[Any], list[Any]]:
        base, slots = slots[self.rate], list(slots)
        if factor is not None:
            slots[self.rate] = base * factor
        weights, slots = self.optimizer.stateless_apply(slots, gradients, weights)
        return list(weights), [base if i == self.rate else slot for i, slot in enumerate(slots)]

    def _position(self, variable: Any) -> int:
        return next(i for i, other in enumerate(self.optimizer.variables) if other is variable)


def choose(condition: Any, first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Return the first tensors where the scalar condition holds, else the second."""
    return [ops.where(condition, one, other) for one, other in zip(first, second, strict=True)]


class LaneOptimizer:
    """An optimizer whose variables (slots) are stacked over lanes.

    Where a study searches settings that change the graph, a lane has the slots of every combination
    of them, and last the number of its combination.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self._branches = problem, branches(problem)
        self._steps = [LaneStep(problem, combination) for combination in self._branches]

    def build(self, variables: Sequence[Any]) -> None:
        """Make the slots for these variables of a model."""
        for each in self._steps:
            each.build(variables)

    @property
    def signature(self) -> list[tuple[tuple[int, ...], str]]:
        """The shape and dtype of every slot of one lane."""
        slots = [(slot.shape, str(slot.dtype)) for each in self._steps for slot in each.fresh]
        return slots + [((), "int32")] * (len(self._steps) > 1)

    def initial(self, plan: Plan) -> list[np.ndarray]:
        """Return the slots of a lane that starts with this plan."""
        slots = [slot for each in self._steps for slot in each.initial(plan)]
        if len(self._steps) == 1:
            return slots
        return [*slots, np.asarray(self._branches.index(branch(self.problem, plan)), np.int32)]

    def update(self, slots: Sequence[Any], gradients: Sequence[Any], weights: Sequence[Any], progress: Any) -> Any:
        """Return new weights and slots of all lanes, all stacked; progress: `(lanes,)`, share of training done."""
        return interface.map_lanes(self._lane, (list(slots), list(gradients), list(weights), progress))

    def _lane(self, lane: tuple[list[Any], list[Any], list[Any], Any]) -> tuple[list[Any], list[Any]]:
        slots, gradients, weights, progress = lane
        schedule = self.problem.schedule
        factor = schedules.factor(schedule, progress) if schedule else None
        if len(self._steps) == 1:
            return self._steps[0].step(slots, gradients, weights, factor)
        chosen, rest = weights, iter(slots)
        after: list[Any] = []
        for i, each in enumerate(self._steps):
            stepped, new = each.step(list(itertools.islice(rest, len(each.fresh))), gradients, weights, factor)
            chosen, after = choose(slots[-1] == i, stepped, chosen), [*after, *new]
        return chosen, [*after, slots[-1]]
