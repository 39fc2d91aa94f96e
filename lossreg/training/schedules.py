"""Learning-rate schedules as a factor on a trial's own rate, from the share of the training that is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

from lossreg import ops

if TYPE_CHECKING:
    from lossreg.config.optimization import Schedule

# A share of the training is a float32: a step that falls on an edge may lie this far beside it.
EDGE = 1e-6


def factor(schedule: Schedule, progress: Any) -> Any:
    """What the base rate is multiplied by, `(...)`, at the share `(...)` of the training done before a step.

    During `warmup` it rises from 0 to 1 in a line; the schedule itself takes the rest of the training as its
    whole. The formulas are those of `keras.optimizers.schedules`, which count steps.
    """
    own = dict(schedule.settings)
    warmup = own.pop("warmup")
    done = ops.maximum(progress - warmup, 0.0) / (1 - warmup)
    found = _FACTORS[schedule.name](done, **own)
    return ops.where(progress < warmup, progress / warmup, found) if warmup else found


def _constant(done: Any) -> Any:
    return ops.ones_like(done)


def _cosine(done: Any, alpha: float, decay: float) -> Any:
    return alpha + (1 - alpha) * _wave(ops.minimum(done / decay, 1.0))


def _wave(share: Any) -> Any:
    """From 1 at 0 to 0 at 1."""
    return (1 + ops.cos(math.pi * share)) / 2


def _cosine_restarts(done: Any, first_decay: float, t_mul: float, m_mul: float, alpha: float) -> Any:
    periods = done / first_decay
    if t_mul == 1:
        restart = ops.floor(periods + EDGE)
        share = periods - restart
    else:
        # sum of t^i for i < n is (t^n - 1) / (t - 1)
        restart = ops.floor(ops.log(1 + periods * (t_mul - 1)) / math.log(t_mul) + EDGE)
        length = ops.power(t_mul, restart)
        share = (periods - (length - 1) / (t_mul - 1)) / length
    return alpha + (1 - alpha) * ops.power(m_mul, restart) * _wave(share)


def _exponential(done: Any, decay_rate: float, decay: float, staircase: bool) -> Any:
    return ops.power(decay_rate, _stairs(done / decay) if staircase else done / decay)


def _inverse_time(done: Any, decay_rate: float, decay: float, staircase: bool) -> Any:
    return 1 / (1 + decay_rate * (_stairs(done / decay) if staircase else done / decay))


def _stairs(share: Any) -> Any:
    return ops.floor(share + EDGE)


def _linear(done: Any, end: float, decay: float) -> Any:
    return _polynomial(done, end, 1.0, decay, cycle=False)


def _polynomial(done: Any, end: float, power: float, decay: float, cycle: bool) -> Any:
    share = done / decay
    share = share / ops.maximum(ops.ceil(share - EDGE), 1.0) if cycle else share
    return end + (1 - end) * ops.power(1 - ops.minimum(share, 1.0), power)


def _piecewise(done: Any, boundaries: tuple[float, ...], values: tuple[float, ...]) -> Any:
    found = ops.full_like(done, values[-1])
    for end, value in reversed(list(zip(boundaries, values[:-1], strict=True))):
        found = ops.where(done <= end + EDGE, value, found)
    return found


_FACTORS: dict[str, Callable[..., Any]] = {
    "constant": _constant, "cosine": _cosine, "cosine_restarts": _cosine_restarts, "exponential": _exponential,
    "inverse_time": _inverse_time, "linear": _linear, "polynomial": _polynomial, "piecewise": _piecewise,
}  # fmt: skip


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule for `model.fit` whose base rate and number of steps are variables, so that plans share a graph."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.base = keras.Variable(1e-3, dtype="float32", trainable=False, name="base_rate")
        self.steps = keras.Variable(1.0, dtype="float32", trainable=False, name="total_steps")

    def start(self, base: float, steps: int) -> None:
        """Begin a training of that many steps at this rate."""
        self.base.assign(base)
        self.steps.assign(steps)

    def __call__(self, step: Any) -> Any:
        """The rate at a step, counted from 0."""
        return self.base * factor(self.schedule, ops.cast(step, "float32") / self.steps)

    def get_config(self) -> dict[str, Any]:
        """What it was made from."""
        return {"schedule": self.schedule}
