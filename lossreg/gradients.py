"""Gradients of embeddings, which Keras on TensorFlow hands to an optimizer in slices: one for each token of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from lossreg.errors import InputError

# Their steps are linear in the gradient until it meets a whole tensor (tests/test_embeddings.py measures all).
LINEAR = ("sgd", "lion")
CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")
ACCUMULATION = "gradient_accumulation_steps"


def dense_gradients(optimizer: Any) -> Any:
    """Return the optimizer (its name, or itself) such that it is given the whole gradient of an embedding.

    On TensorFlow that gradient is in slices, of which there are several for a token that a batch has several
    times, and Adam and its like square each by itself. With this, `model.compile(lossreg.dense_gradients("adam"),
    ...)` and `model.fit` do what a lane of a study does, and what Keras does on JAX. A model that is loaded again
    has Keras's plain optimizer. Raises `InputError` for what is no optimizer.
    """
    try:
        optimizer = keras.optimizers.get(optimizer)
    except ValueError as error:
        raise InputError(f"{optimizer!r} is no optimizer of Keras") from error
    apply = optimizer.apply
    optimizer.apply = lambda slopes, variables=None: apply(
        [s if s is None else keras.ops.add(s, 0.0) for s in slopes], variables
    )
    return optimizer


def squares_slices(optimizer: str, settings: Mapping[str, Any]) -> bool:
    """Whether a step of this optimizer (its name, and the settings that it has) differs where a token is repeated."""
    if keras.backend.backend() != "tensorflow" or (settings.get(ACCUMULATION) or 1) != 1:
        return False
    clips = any(settings.get(name) not in (None, False) for name in CLIPS)
    return clips or optimizer.lower() not in LINEAR


def embeddings(model: keras.Model) -> dict[str, int]:
    """The names of a model's Embedding layers, and how many numbers the table of each has."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    return {layer.name: layer.input_dim * layer.output_dim for layer in layers}
