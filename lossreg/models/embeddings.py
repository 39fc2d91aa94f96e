"""The variables whose rows a model looks up, such as the table of an Embedding layer."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from lossreg.errors import contained
from lossreg.models.keras_graph import sublayers

ROWS = 2


def tables(model: keras.Model, x: Any) -> dict[str, int]:
    """Return the variables whose gradient TensorFlow gives in slices, as `layer/variable`, and the size of each.

    x: samples `(n, ...)` of the model's input, or a dictionary of such; the model is called once on the first of them,
    and its state stays as it is. On other backends, and where the call fails, these are the tables of Embedding layers.
    """
    try:
        with contained():
            sliced = _sliced(model, x) if keras.backend.backend() == "tensorflow" else _embeddings(model)
    except Exception:  # training fails too, with a message that names the error
        sliced = _embeddings(model)
    return {"/".join(variable.path.split("/")[-2:]): math.prod(variable.shape) for variable in sliced}


def _embeddings(model: keras.Model) -> list[Any]:
    layers = [layer for layer in sublayers(model) if isinstance(layer, keras.layers.Embedding)]
    return [variable for layer in layers for variable in layer.trainable_variables]


def _sliced(model: keras.Model, x: Any) -> list[Any]:
    import tensorflow as tf

    samples = keras.tree.map_structure(lambda values: ops.convert_to_tensor(values[:ROWS]), x)
    variables, state = model.trainable_variables, [v.value for v in model.non_trainable_variables]
    weights = [tf.convert_to_tensor(v.value) for v in variables]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outputs, _, penalties = model.stateless_call(weights, state, samples, training=True, return_losses=True)
        total = sum((ops.sum(output) for output in keras.tree.flatten(outputs)), start=sum(penalties))
    gradients = tape.gradient(total, weights)
    return [v for v, gradient in zip(variables, gradients, strict=True) if isinstance(gradient, tf.IndexedSlices)]
