"""Which models can be mapped over lanes."""

from __future__ import annotations

from typing import Any

import keras

# Layers whose lanes are proven equal to solo training (tests/test_population.py).
LAYERS = frozenset(
    (
        "InputLayer", "Dense", "Flatten", "Reshape", "Activation", "ReLU", "LeakyReLU", "Dropout",
        "BatchNormalization", "LayerNormalization", "Rescaling", "Add", "Concatenate",
    )
)  # fmt: skip
# Operations between layers that are proven likewise: `x + y` in a functional model and its like.
OPERATIONS = frozenset(("Add", "Subtract", "Multiply"))


def model_refusal(model: keras.Model) -> str:
    """Why a model's lanes cannot be mapped; empty when they can."""
    if not _of_keras(type(model)):
        return f"the model is a {type(model).__name__}, not a Sequential or functional one"
    for layer in model._flatten_layers():
        if reason := _layer_refusal(layer):
            return reason
    return "" if len(model.inputs) == 1 else f"the model has {len(model.inputs)} inputs"


def _layer_refusal(layer: keras.layers.Layer) -> str:
    kind, activation = type(layer).__name__, getattr(layer, "activation", None)
    if not _of_keras(type(layer)) or kind not in LAYERS | {"Sequential", "Functional"}:
        return f"layer {layer.name} ({kind}) is not among those proven equal to solo training"
    if activation is not None and not _of_keras(activation):
        name = getattr(activation, "__name__", type(activation).__name__)
        return f"layer {layer.name} has activation {name}, which is not one of Keras and may not map over lanes"
    if layer.compute_dtype != "float32":
        return f"layer {layer.name} computes in {layer.compute_dtype}, and lanes in float32"
    for operation in getattr(layer, "operations", ()):
        name = type(operation).__name__
        proven = _of_keras(type(operation)) and name in OPERATIONS
        if not isinstance(operation, keras.layers.Layer) and not proven:
            return f"operation {operation.name} ({name}) is not among those proven equal to solo training"
    return ""


def _of_keras(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("keras.")
