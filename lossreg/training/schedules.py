"""Keras's learning-rate schedules as a factor on a trial's own rate, from the share of the training that is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras.optimizers import schedules as keras_schedules
from keras.optimizers.schedules import LearningRateSchedule

from lossreg import ops

if TYPE_CHECKING:
    from lossreg.config.optimization import Schedule

# A share of the training is a float32: a step that falls on an edge may lie this far beside it.
EDGE = 1e-6
_KERAS: dict[str, Callable[..., LearningRateSchedule]] = {
    "cosine": lambda alpha, decay: keras_schedules.CosineDecay(1.0, decay, alpha),
    "cosine_restarts": lambda first_decay, **others: keras_schedules.CosineDecayRestarts(1.0, first_decay, **others),
    "exponential": lambda decay, **others: keras_schedules.ExponentialDecay(1.0, decay, **others),
    "inverse_time": lambda decay, **others: keras_schedules.InverseTimeDecay(1.0, decay, **others),
    "linear": lambda decay, end: keras_schedules.PolynomialDecay(1.0, decay, end),
    "polynomial": lambda decay, end, power, cycle: keras_schedules.PolynomialDecay(1.0, decay, end, power, cycle),
    "piecewise": keras_schedules.PiecewiseConstantDecay,
}


def factor(schedule: Schedule, progress: Any) -> Any:
    """Return what the base rate is multiplied by, `(...)`, at the share `(...)` of the training done before a step.

    During `warmup` it rises from 0 to 1 in a line; the schedule of Keras takes the rest of the training as its
    whole, with shares of it for steps.
    """
    settings = dict(schedule.settings)
    warmup = settings.pop("warmup")
    done = ops.maximum(progress - warmup, 0.0) / (1 - warmup)
    if schedule.name == "constant":
        after = ops.ones_like(done)
    else:
        after = _KERAS[schedule.name](**settings)(_across_edges(schedule, done))
    return ops.where(progress < warmup, progress / warmup, after) if warmup else after


def _across_edges(schedule: Schedule, done: Any) -> Any:
    """Return shares of which those about an edge are on the side on which Keras has a step that falls on it."""
    settings = schedule.settings
    if settings.get("staircase"):
        return done + EDGE * settings["decay"]
    if settings.get("cycle"):
        return ops.maximum(done - EDGE * settings["decay"], 0.0)
    if schedule.name == "cosine_restarts":
        return done + EDGE * (settings["first_decay"] + done)
    return done - EDGE if schedule.name == "piecewise" else done


class Rate(LearningRateSchedule):
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
        """Return the rate at a step, counted from 0."""
        return self.base * factor(self.schedule, ops.cast(step, "float32") / self.steps)

    def get_config(self) -> dict[str, Any]:
        """Return what the schedule was made from."""
        return {"schedule": self.schedule}
