"""The built-in `mlp`: dense layers on flattened inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lossreg.config.search_space import Space, nearest
from lossreg.contract.params import Choice
from lossreg.errors import InputError, UnknownError, did_you_mean
from lossreg.models.hyperparameters import Answer, Declared
from lossreg.models.need import Need

OPTIONS: Mapping[str, Any] = {"hidden": (64, 64), "activation": "relu", "dropout": 0.0, "batch_norm": False}


def maker(given: Mapping[str, Any]) -> Callable[[Need, Answer], Any]:
    """Return what builds the mlp with these options, each a value or a search space; raises `InputError`."""
    for name in given:
        if name not in OPTIONS:
            raise UnknownError(
                f"unknown option {name}; mlp has {', '.join(OPTIONS)}",
                where="mlp",
                hint=did_you_mean(name, OPTIONS),
            )
    options = {**OPTIONS, **given}
    searched = {name: option for name, option in options.items() if isinstance(option, Space)}
    fixed = {name: OPTIONS[name] if name in searched else option for name, option in options.items()}
    for name, wrong in _wrong_options(**fixed).items():
        if wrong:
            raise InputError(f"{name} = {fixed[name]!r}: {wrong}", where="mlp")
    declared = [_option(name, search_space) for name, search_space in searched.items()]
    return lambda need, answer: _mlp(need, **fixed | {option.key: answer(option) for option in declared})


def _option(name: str, search_space: Space) -> Declared:
    usual = nearest(search_space, OPTIONS[name])
    return Declared(name, name, search_space, usual, Choice(name, usual, (usual,)))


def _wrong_options(hidden: Any, activation: Any, dropout: Any, batch_norm: Any) -> dict[str, str]:
    widths = isinstance(hidden, (list, tuple)) and all(type(width) is int and width > 0 for width in hidden)
    share = isinstance(dropout, (int, float)) and not isinstance(dropout, bool) and 0 <= dropout < 1
    return {
        "hidden": "" if widths else "must be a list of positive whole numbers",
        "activation": "" if isinstance(activation, str) else "must be the name of a Keras activation",
        "dropout": "" if share else "must be a share from 0 to below 1",
        "batch_norm": "" if isinstance(batch_norm, bool) else "must be true or false",
    }


def _mlp(need: Need, hidden: Sequence[int], activation: str, dropout: float, batch_norm: bool) -> Any:
    """Build hidden layers of `Dense [BatchNormalization] activation [Dropout]`, then a linear Dense layer `raw_scores`.

    For a segmentation, its outputs are reshaped to those of a mask.
    """
    import keras
    from keras import layers

    _check_activation(activation)
    inputs = need.inputs() if isinstance(need.input_shape, Mapping) else keras.Input(need.input_shape, name="features")
    x = _flat(inputs)
    for number, width in enumerate(hidden, 1):
        x = layers.Dense(width, None if batch_norm else activation, name=f"hidden_{number}")(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
            x = layers.Activation(activation, name=f"activation_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    raw_scores = layers.Dense(math.prod(need.spatial_shape) * need.outputs, name="raw_scores")(x)
    if need.spatial_shape:
        raw_scores = layers.Reshape((*need.spatial_shape, need.outputs), name="pixels")(raw_scores)
    return keras.Model(inputs, raw_scores)


def _flat(inputs: Any) -> Any:
    """Return one vector per sample of one input, or of several by name."""
    from keras import layers

    if not isinstance(inputs, Mapping):
        return inputs if len(inputs.shape) == 2 else layers.Flatten(name="flatten")(inputs)
    parts = [x if len(x.shape) == 2 else layers.Flatten(name=f"flatten_{name}")(x) for name, x in inputs.items()]
    return layers.Concatenate(name="inputs")(parts) if len(parts) > 1 else parts[0]


def _check_activation(name: str) -> None:
    from keras import activations

    try:
        activations.get(name)
    except ValueError:
        known = [a for a in dir(activations) if a[0].isalpha() and a not in ("deserialize", "get", "serialize")]
        hint = did_you_mean(name, known) or f"Known: {', '.join(known)}."
        raise UnknownError(f"unknown activation {name!r}", where="mlp", hint=hint) from None
