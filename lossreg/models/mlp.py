"""The built-in `mlp`: dense layers on flattened inputs; its layers end the other built-in models too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lossreg.errors import UnknownError, did_you_mean
from lossreg.models.need import Need

OPTIONS: Mapping[str, Any] = {"hidden": (64, 64), "activation": "relu", "dropout": 0.0, "batch_norm": False}


def wrong(hidden: Any, activation: Any, dropout: Any, batch_norm: Any) -> dict[str, str]:
    """Return what is wrong with each option, empty where nothing is."""
    widths = isinstance(hidden, (list, tuple)) and all(type(width) is int and width > 0 for width in hidden)
    share = isinstance(dropout, (int, float)) and not isinstance(dropout, bool) and 0 <= dropout < 1
    return {
        "hidden": "" if widths else "must be a list of positive whole numbers",
        "activation": "" if isinstance(activation, str) else "must be the name of a Keras activation",
        "dropout": "" if share else "must be a share from 0 to below 1",
        "batch_norm": "" if isinstance(batch_norm, bool) else "must be true or false",
    }


def build(need: Need, hidden: Sequence[int], activation: str, dropout: float, batch_norm: bool) -> Any:
    """Build hidden layers, then a linear Dense layer `raw_scores`.

    For a segmentation, its outputs are reshaped to those of a mask.
    """
    import keras
    from keras import layers

    check_activation(activation, "mlp")
    inputs = need.inputs() if isinstance(need.input_shape, Mapping) else keras.Input(need.input_shape, name="features")
    x = dense(_flat(inputs), hidden, activation, dropout, batch_norm)
    raw_scores = layers.Dense(math.prod(need.spatial_shape) * need.outputs, name="raw_scores")(x)
    if need.spatial_shape:
        raw_scores = layers.Reshape((*need.spatial_shape, need.outputs), name="pixels")(raw_scores)
    return keras.Model(inputs, raw_scores)


def dense(x: Any, hidden: Sequence[int], activation: str, dropout: float, batch_norm: bool) -> Any:
    """Return the output of hidden layers `Dense [BatchNormalization] activation [Dropout]` on vectors."""
    from keras import layers

    for number, width in enumerate(hidden, 1):
        x = layers.Dense(width, None if batch_norm else activation, name=f"hidden_{number}")(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
            x = layers.Activation(activation, name=f"activation_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    return x


def _flat(inputs: Any) -> Any:
    """Return one vector per sample of one input, or of several by name."""
    from keras import layers

    if not isinstance(inputs, Mapping):
        return inputs if len(inputs.shape) == 2 else layers.Flatten(name="flatten")(inputs)
    parts = [x if len(x.shape) == 2 else layers.Flatten(name=f"flatten_{name}")(x) for name, x in inputs.items()]
    return layers.Concatenate(name="inputs")(parts) if len(parts) > 1 else parts[0]


def check_activation(name: str, model: str) -> None:
    """Raise `UnknownError` unless Keras has an activation of that name."""
    from keras import activations

    try:
        activations.get(name)
    except ValueError:
        known = [a for a in dir(activations) if a[0].isalpha() and a not in ("deserialize", "get", "serialize")]
        hint = did_you_mean(name, known) or f"Known: {', '.join(known)}."
        raise UnknownError(f"unknown activation {name!r}", where=model, hint=hint) from None
