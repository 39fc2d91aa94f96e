"""Keras optimizers by name, and a form of them whose state can be mapped over lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lossreg.errors import InputError, UnknownError, did_you_mean
from lossreg.trainers import machine

if TYPE_CHECKING:
    from lossreg.trainers.base import Plan

# Those proven equal to solo training, lane by lane (tests/test_population.py).
MAPPED = ("sgd", "adam", "adamw", "rmsprop")
KNOWN = {
    name.lower(): getattr(keras.optimizers, name)
    for name in dir(keras.optimizers)
    if isinstance(getattr(keras.optimizers, name), type) and name not in ("Optimizer", "LossScaleOptimizer")
}
_BASE_METHODS = (
    "assign", "assign_add", "assign_sub", "stateless_apply",
    "_backend_update_step", "_apply_weight_decay", "_var_key",
)  # fmt: skip


def build(name: str, learning_rate: float, settings: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """A fresh optimizer; raises `UnknownError` for its name, `InputError` for its settings."""
    if name.lower() not in KNOWN:
        hint = did_you_mean(name, KNOWN) or f"Known: {', '.join(sorted(KNOWN))}."
        raise UnknownError(f"unknown optimizer {name!r}", hint=hint)
    try:
        return KNOWN[name.lower()](learning_rate=learning_rate, **settings)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer {name} does not take {dict(settings)}: {error}") from error


def refusal(name: str, settings: Mapping[str, Any]) -> str:
    """Why lanes cannot use this optimizer; empty when they can."""
    if name.lower() not in MAPPED:
        return f"optimizer {name} is not among those proven equal to solo training ({', '.join(MAPPED)})"
    odd = [key for key in ("use_ema", "loss_scale_factor", "gradient_accumulation_steps") if settings.get(key)]
    return f"optimizer setting {odd[0]} is not supported in lanes" if odd else ""


def functional(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The same optimizer able to `stateless_apply` on TensorFlow.

    Keras's TensorFlow mix-in talks to `tf.Variable`s for the sake of `tf.distribute`; the
    methods of the backend-neutral base class work inside a stateless scope.
    """
    kind = type(optimizer)
    base = next(c for c in kind.__mro__ if c.__name__ == "BaseOptimizer")
    plain: Any = type(f"Functional{kind.__name__}", (kind,), {name: getattr(base, name) for name in _BASE_METHODS})
    return plain.from_config(optimizer.get_config())


class LaneOptimizer:
    """An optimizer whose variables (slots) are stacked over lanes."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self._optimizer = functional(build(name, 1e-3, settings))

    def build(self, variables: Sequence[Any]) -> None:
        """Make the slots for these variables of a model."""
        self._optimizer.build(variables)

    @property
    def signature(self) -> list[tuple[tuple[int, ...], str]]:
        """Shape and dtype of every slot of one lane."""
        return [(tuple(v.shape), str(v.dtype)) for v in self._optimizer.variables]

    def initial(self, plan: Plan) -> list[np.ndarray]:
        """The slots of a lane that starts with this plan."""
        rate = self._optimizer._learning_rate
        fresh = ((v, np.asarray(keras.ops.convert_to_numpy(v))) for v in self._optimizer.variables)
        return [np.asarray(plan.learning_rate, np.float32) if v is rate else value for v, value in fresh]

    def update(self, slots: Sequence[Any], slopes: Sequence[Any], weights: Sequence[Any], progress: Any) -> Any:
        """New weights and slots of all lanes, all stacked; progress: `(lanes,)`, share of training done."""
        return machine.map_lanes(lambda lane: self._optimizer.stateless_apply(*lane), (slots, slopes, weights))
