"""Gradients of tables whose rows a model looks up: Keras on TensorFlow hands them to an optimizer in slices.

There is one slice for each row that a batch looks up, several where a batch has the same token several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from lossreg.errors import InputError, one_line, represented

# Their steps are linear in the gradient until it meets a whole tensor (tests/training/test_embeddings.py measures all).
LINEAR = ("sgd", "lion")
CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")
ACCUMULATION = "gradient_accumulation_steps"
_DENSE: dict[type, type] = {}


class Dense:
    """Mixed into an optimizer's class: its step is given whole gradients."""

    kind: type

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """The step of the optimizer, with the slices of each row summed."""
        whole = [grad if grad is None else ops.add(grad, 0.0) for grad in grads]
        return super().apply(whole, trainable_variables)  # type: ignore[misc]

    def __reduce__(self) -> Any:
        reduced: Any = super().__reduce__()
        constructor, arguments, *_ = reduced
        return _restored, (self.kind, constructor.__name__, *arguments)


def dense(kind: type) -> type:
    """The subclass of an optimizer's class that sums slices, made once and registered with Keras for saved models."""
    if issubclass(kind, Dense):
        return kind
    if kind not in _DENSE:
        name = f"Dense{keras.saving.get_registered_name(kind)}"
        subclass = type(f"Dense{kind.__name__}", (Dense, kind), {"kind": kind, "__module__": __name__})
        _DENSE[kind] = keras.saving.register_keras_serializable("lossreg", name)(subclass)
    return _DENSE[kind]


def _restored(kind: type, maker: Any, *arguments: Any) -> Any:
    if not arguments:  # pickled by 0.2.0: what follows the class is what Keras unpickles
        maker, arguments = "_unpickle_model", (maker,)
    return getattr(dense(kind), maker)(*arguments)


def register() -> None:
    """Register the subclasses of Keras's own optimizers, so that any process loads models that have them."""
    for kind in vars(keras.optimizers).values():
        if isinstance(kind, type) and issubclass(kind, keras.optimizers.Optimizer):
            dense(kind)


def dense_gradients(optimizer: Any) -> Any:
    """Return a new optimizer that is given the whole gradient of an embedding, where Keras gives it slices.

    optimizer: a name or an optimizer of Keras, which stays as it is; the new one is made of its config, without
    the state of a training. On TensorFlow the gradient of an embedding is in slices, of which there are several
    for a token that a batch has several times, and Adam and its like square each by itself. With this,
    `model.compile(lossreg.dense_gradients("adam"), ...)` and `model.fit` do what a lane of a study does, and what
    Keras does on JAX. Copies and saved models keep it; where the optimizer's class is your own, a new process knows
    it after `lossreg.dense_gradients` was called with one. Raises `InputError` for what is not an optimizer.
    """
    try:
        given = keras.optimizers.get(optimizer)
    except Exception:
        given = None
    if not isinstance(given, keras.optimizers.Optimizer):
        hint = 'Give a name such as "adam" or an optimizer such as keras.optimizers.Adam(1e-3).'
        raise InputError(f"{represented(optimizer)} is not an optimizer of Keras", hint=hint)
    try:
        return dense(type(given)).from_config(given.get_config())  # type: ignore[attr-defined]
    except Exception as error:
        what = f"{type(given).__name__} cannot be made again from its config: {one_line(error)}"
        raise InputError(what, hint="Correct its get_config.") from error


def squares_slices(optimizer: str, optimizer_settings: Mapping[str, Any]) -> bool:
    """Return whether a step of this optimizer (its name, and its settings) differs where a token is repeated."""
    if keras.backend.backend() != "tensorflow" or (optimizer_settings.get(ACCUMULATION) or 1) != 1:
        return False
    clips = any(optimizer_settings.get(name) not in (None, False) for name in CLIPS)
    return clips or optimizer.lower() not in LINEAR


# at the end: keras, imported above, imports the losses, which import this module
register()
