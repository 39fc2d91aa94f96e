"""The private classes of Keras's optimizers that lanes need, and a check that they are as they were."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras

TESTED = "3.15"  # the version of Keras whose private classes these are
MIXIN, BASE = "TFOptimizer", "BaseOptimizer"


def functional(kind: Any) -> Any:
    """Return the same kind of optimizer able to `stateless_apply` on every backend.

    Keras's TensorFlow mixin talks to `tf.Variable`s for the sake of `tf.distribute`; the methods of the
    backend-neutral base class work inside a stateless scope. They take the place of the mixin's, behind
    those of the optimizer itself.
    """
    classes = {parent.__name__: parent for parent in reversed(kind.__mro__)}
    mixin, base = classes.get(MIXIN), classes.get(BASE)
    if mixin is None or base is None:
        return kind
    names = (name for name in vars(mixin) if hasattr(base, name) and not name.startswith("__"))
    neutral = type("Neutral", (mixin,), {name: getattr(base, name) for name in names})
    return type(f"Functional{kind.__name__}", (kind, neutral), {})


class OneReplica:
    """Mixed into an optimizer's class: gradients of one replica are not summed over replicas.

    TensorFlow's sum registers a gradient, which keeps the graph of a training step in memory until the process ends.
    """

    _distribution_strategy: Any

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        if self._distribution_strategy.num_replicas_in_sync == 1:
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)  # type: ignore[misc]


@cache
def refusal() -> str:
    """Return why lanes cannot use Keras's optimizers; empty where a step without state is that of the formula."""
    if _steps():
        return ""
    return f"the optimizers of Keras {keras.__version__} are made in another way than those of {TESTED}"


def _steps() -> bool:
    rate, weight, gradient = 0.5, keras.ops.ones(3), keras.ops.arange(3, dtype="float32")
    try:
        optimizer = functional(keras.optimizers.SGD)(learning_rate=rate)
        optimizer.build([keras.Variable(keras.ops.zeros(3))])
        slots = [variable.value for variable in optimizer.variables]
        (after,), _ = optimizer.stateless_apply(slots, [gradient], [weight])
        return bool(keras.ops.all(after == weight - rate * gradient))
    except Exception:
        return False
