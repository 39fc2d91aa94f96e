"""The built-in `cnn`: convolutions and poolings on images, then the dense layers of the `mlp`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lossreg.errors import InputError
from lossreg.models import mlp
from lossreg.models.need import Need

OPTIONS: Mapping[str, Any] = {"filters": (16, 32), "kernel_size": 3, **mlp.OPTIONS}
OTHERS = 'Use build = "mlp", or a function of yours.'


def wrong(filters: Any, kernel_size: Any, **dense: Any) -> dict[str, str]:
    """Return what is wrong with each option, empty where nothing is."""
    numbers = isinstance(filters, (list, tuple)) and all(type(width) is int and width > 0 for width in filters)
    size = type(kernel_size) is int and kernel_size > 0
    return {
        "filters": "" if numbers and filters else "must be a list of positive whole numbers, at least one",
        "kernel_size": "" if size else "must be a positive whole number",
        **mlp.wrong(**dense),
    }


def build(need: Need, filters: Sequence[int], kernel_size: int, **dense: Any) -> Any:
    """Build blocks of `Conv2D [BatchNormalization] activation MaxPooling2D`, then the mlp's layers on the flat rest.

    A side of one pixel is not pooled; where both are so, a block has no pooling.
    """
    import keras
    from keras import layers

    shape = _image_shape(need)
    of_both = {name: dense[name] for name in ("activation", "batch_norm")}
    mlp.check_activation(dense["activation"], "cnn")
    inputs = keras.Input(need.input_shape, name="features")
    x = layers.Reshape(shape, name="channel")(inputs) if len(inputs.shape) == 3 else inputs
    for number, width in enumerate(filters, 1):
        x = _convolved(x, f"convolution_{number}", filters=width, kernel_size=kernel_size, **of_both)
        window = tuple(min(2, size) for size in x.shape[1:3])
        if max(window) > 1:
            x = layers.MaxPooling2D(window, name=f"pooling_{number}")(x)
        else:
            _note_small(need, shape)
    x = mlp.dense(layers.Flatten(name="flatten")(x), **dense)
    return keras.Model(inputs, layers.Dense(need.outputs, name="raw_scores")(x))


def _convolved(x: Any, name: str, *, filters: int, kernel_size: int, activation: str, batch_norm: bool) -> Any:
    """Return `activation(convolution(x))`, with batch normalisation before the activation."""
    from keras import layers

    if not batch_norm:
        return layers.Conv2D(filters, kernel_size, padding="same", activation=activation, name=name)(x)
    # a bias before the normalisation would change nothing, and Adam would move it by the rounding of its gradient
    x = layers.Conv2D(filters, kernel_size, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.Activation(activation, name=f"{name}_activation")(x)


def _image_shape(need: Need) -> tuple[int, int, int]:
    """Return height, width and channels; raises `InputError` for what is no image, and for masks."""
    if isinstance(need.input_shape, Mapping):
        what = f"cnn takes one input of images, and the data has {', '.join(need.input_shape)}"
        raise InputError(what, hint=OTHERS)
    if need.spatial_shape:
        raise InputError("cnn gives one answer per image, and masks need one per pixel", hint=OTHERS)
    if len(need.input_shape) not in (2, 3):
        what = f"cnn takes images (height, width, channels), and a row has shape {need.input_shape}"
        raise InputError(what, hint=OTHERS)
    height, width, *channels = need.input_shape
    return height, width, channels[0] if channels else 1


def _note_small(need: Need, shape: tuple[int, int, int]) -> None:
    line = f"of {shape[0]} x {shape[1]} pixels one is left before the last convolutions, which are not pooled"
    if line not in need.notes:
        need.notes.append(line)
