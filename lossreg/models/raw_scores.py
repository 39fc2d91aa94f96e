"""Any Keras model, changed at its end to give raw scores of the width that is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from lossreg.contract.activations import ACTIVATIONS, Activation
from lossreg.contract.data_options import EXPOSURE, FEATURES
from lossreg.errors import InputError, count_of
from lossreg.models.inputs import traced
from lossreg.models.keras_graph import producer, sublayers
from lossreg.models.need import Need

WIDTH_HINT = 'End the model with Dense(hp.get("outputs")).'
OPS = ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "HardSigmoid", "Softplus", "Exp", "Relu", "Tanh")
# they turn raw scores into predictions, and hardly ever make features
OUTPUT_ACTIVATIONS = (
    "linear", "softmax", "logsoftmax", "sigmoid", "logsigmoid", "hardsigmoid", "softplus", "exponential", "exp",
)  # fmt: skip
SCALES = (1.0, 30.0, 1000.0)
# the methods of training that a model's class may replace
STEPS = ("train_step", "compute_loss")


def raw_scores(model: Any, need: Need) -> Any:
    """Return an uncompiled functional Keras model with the layers of `model` that ends in raw scores.

    They are `(batch, *need.spatial_shape, need.outputs)`; several inputs are a dictionary by name. A model with its own
    training step is rebuilt with its class if possible. Activations at the end are removed, and every
    change is added to `need.notes`. The layers themselves may be changed. Raises `InputError` if
    the shapes do not fit.
    """
    import keras

    inputs, output = traced(model, need)
    inputs, output = _stripped(inputs, output, need)
    if need.n_classes and need.head != "new" and not _is_linear(producer(inputs, output)[0]):
        output = _from_probabilities(keras.Model(inputs, output), need)
    fitted = _closed(keras.Model(inputs, _fitted(inputs, _shaped(output, need), need)), need)
    fitted = _exposed(fitted) if need.exposed else fitted
    return _with_own_steps(model, fitted, need)


def overridden_steps(kind: type) -> list[str]:
    """Return the methods of training that a model's class replaces."""
    import keras

    return [step for step in STEPS if getattr(kind, step) is not getattr(keras.Model, step)]


def _with_own_steps(model: Any, fitted: Any, need: Need) -> Any:
    """Return `fitted` as a model of the class of `model` if this replaces parts of training and nothing else."""
    kind, steps = type(model), " and ".join(overridden_steps(type(model)))
    if not steps:
        return fitted
    import keras

    try:
        rebuilt = kind(fitted.input, fitted.outputs[0])
        is_whole = rebuilt.outputs[0] is fitted.outputs[0] and vars(rebuilt).keys() >= vars(model).keys()
    except Exception:
        is_whole = False
    if is_whole and kind.compile is keras.Model.compile:
        need.notes.append(f"its own {steps} is used, so it trains with model.fit")
        return rebuilt
    need.notes.append(f"its own {steps} is ignored")
    return fitted


def _closed(model: Any, need: Need) -> Any:
    """Return a model with open dimensions inside one whose raw scores have the shape that follows from the data."""
    import keras

    if None not in model.output_shape[1:]:
        return model
    inputs = need.inputs()
    closed = keras.Model(inputs, model(inputs))
    _check_shape(tuple(closed.output_shape[1:]), need)
    return closed


def _exposed(model: Any) -> Any:
    """Return a model of the same layers with a further input, the logarithm of which is added to the raw scores."""
    import keras

    inputs, raw_scores = model.input, model.outputs[0]
    if not isinstance(inputs, Mapping):
        features = keras.Input(inputs.shape[1:], dtype=inputs.dtype, name=FEATURES)
        # calling the model itself would make it a single layer that hides its own
        inputs, raw_scores = {FEATURES: features}, model.call(features)
    exposure = keras.Input((1,), name=EXPOSURE)
    return keras.Model({**inputs, EXPOSURE: exposure}, raw_scores + keras.ops.log(exposure))


# ------------------------------------------------------------------ activations


def _stripped(inputs: Any, output: Any, need: Need) -> tuple[Any, Any]:
    """Return inputs and output without activation layers at the end; the last Dense or convolution is made linear.

    An activation that makes features, such as a ReLU of another width than the task's, stays.
    """
    while output is not inputs:
        layer, given = producer(inputs, output)
        name = _activation(layer)
        if not name:
            _make_linear(layer, output, need)
            break
        if not _ends_in(name, output, need):
            break
        need.notes.append(f"the last layer ({layer.name}) is cut off: losses take raw scores")
        output = given
    return inputs, output


def _ends_in(activation: str, output: Any, need: Need) -> bool:
    """Return whether an activation at the end makes predictions, not the features of a model without a head."""
    return activation.lower().replace("_", "") in OUTPUT_ACTIVATIONS or output.shape[-1] in need.widths


def _activation(layer: Any) -> str:
    """Return the activation that a layer or operation applies, if it does nothing else; else the empty string."""
    from keras import layers

    if isinstance(layer, layers.Activation):
        return _name(layer.activation)
    kinds = (layers.Softmax, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU)
    is_op = type(layer).__module__.startswith("keras.") and type(layer).__name__ in OPS
    return type(layer).__name__ if is_op or isinstance(layer, kinds) else ""


def _make_linear(layer: Any, output: Any, need: Need) -> None:
    from keras import activations

    if not _size(layer) or layer.activation is activations.linear:
        return
    if _ends_in(_name(layer.activation), output, need):
        need.notes.append(
            f"{_name(layer.activation)} of the last layer ({layer.name}) is removed: losses take raw scores"
        )
        layer.activation = activations.linear


def _size(layer: Any) -> str:
    """Return the argument that sets the outputs of a Dense or convolutional layer; empty for other layers."""
    from keras import layers

    if isinstance(layer, layers.Dense):
        return "units"
    convolutions = (
        layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Conv1DTranspose, layers.Conv2DTranspose,
        layers.Conv3DTranspose, layers.SeparableConv1D, layers.SeparableConv2D,
    )  # fmt: skip
    return "filters" if isinstance(layer, convolutions) else ""


def _name(activation: Any) -> str:
    return str(getattr(activation, "__name__", type(activation).__name__))


def _is_linear(layer: Any) -> bool:
    from keras import activations

    return bool(_size(layer)) and layer.activation is activations.linear


# ------------------------------------------------------------------ probabilities


def _from_probabilities(model: Any, need: Need) -> Any:
    """Return the outputs of a model of unknown end, or the raw scores behind them if they are probabilities."""
    sample, *larger = _samples(model)
    probabilities = _outputs(model, sample, need)
    activation = _activation_of(probabilities, need)
    # features may happen to lie between 0 and 1, but not however large the inputs are
    if activation is None or any(
        _activation_of(_outputs(model, other, need), need) is not activation for other in larger
    ):
        return model.outputs[0]
    if _strip_inside(model, sample, probabilities, activation, need):
        return model.outputs[0]
    assert activation.inverse is not None
    inverse = "logarithms" if activation.name == "softmax" else "logits"
    need.notes.append(f"the outputs are probabilities: their {inverse} are the raw scores")
    return activation.inverse(model.outputs[0])


def _samples(model: Any) -> list[Any]:
    """Return normal samples on several scales; for a model with embeddings, whole numbers that all of them take."""
    import keras

    rng = np.random.default_rng(0)
    ends = [layer.input_dim for layer in sublayers(model) if isinstance(layer, keras.layers.Embedding)]

    def drawn(scale: float, entry: Any) -> Any:
        shape = (16, *(size or 4 for size in entry.shape[1:]))
        sample = rng.integers(0, min(ends), shape) if ends else scale * np.random.default_rng(0).normal(size=shape)
        return sample.astype(np.float32)

    return [keras.tree.map_structure(partial(drawn, scale), model.input) for scale in SCALES]


def _outputs(model: Any, sample: Any, need: Need) -> np.ndarray[Any, Any]:
    """Return outputs `(n, width)`, with one line per pixel of a mask."""
    from keras import ops

    outputs = np.asarray(ops.convert_to_numpy(model(sample, training=False)), np.float64)
    without_channel = bool(need.spatial_shape) and outputs.ndim < len(need.spatial_shape) + 2
    return outputs.reshape(-1, 1 if without_channel else outputs.shape[-1])


def _activation_of(outputs: np.ndarray[Any, Any], need: Need) -> Activation | None:
    """Return the activation that may have made these outputs `(n, width)`; None if they are not probabilities."""
    if not (outputs.min() >= 0 and outputs.max() <= 1 and np.ptp(outputs) > 0):
        return None
    if outputs.shape[1] > 1 and np.allclose(outputs.sum(axis=1), 1, atol=1e-4):
        return ACTIVATIONS["softmax"]
    return ACTIVATIONS["sigmoid"] if outputs.shape[1] == 1 or need.multilabel else None


def _strip_inside(model: Any, sample: Any, before: np.ndarray[Any, Any], expected: Activation, need: Need) -> bool:
    """Make an inner layer linear if `expected` of the new outputs equals the outputs before; return whether one was."""
    from keras import activations

    for layer in reversed(_heads_inside(model)):
        activation = layer.activation
        if activation in (activations.softmax, activations.sigmoid):
            layer.activation = activations.linear
            if np.allclose(np.asarray(expected.forward(_outputs(model, sample, need))), before, atol=1e-5):
                need.notes.append(f"{_name(activation)} of {layer.name} is removed: losses take raw scores")
                return True
            layer.activation = activation
    return False


def _heads_inside(model: Any) -> list[Any]:
    """Return every Dense and convolutional layer of a model and of the models inside it."""
    inside = ((_heads_inside(layer) if hasattr(layer, "layers") else [layer]) for layer in model.layers)
    return [layer for layers in inside for layer in layers if _size(layer)]


# ------------------------------------------------------------------ shape


def _shaped(output: Any, need: Need) -> Any:
    """Return raw scores `(batch, *spatial_shape, width)`; those of a mask may be flat, or lack the last axis."""
    from keras import layers

    shape, pixels = tuple(output.shape[1:]), math.prod(need.spatial_shape)
    if need.spatial_shape and shape in (need.spatial_shape, (pixels,), (pixels * need.outputs,)):
        width = need.outputs if shape == (pixels * need.outputs,) else 1
        return layers.Reshape((*need.spatial_shape, width))(output)
    _check_shape(shape, need)
    return output


def _check_shape(shape: tuple[int | None, ...], need: Need) -> None:
    """Raise `InputError` unless a shape `(*spatial_shape, width)`, perhaps with open dimensions, is of the task."""
    wanted = need.spatial_shape
    if len(shape) == len(wanted) + 1 and all(a in (None, b) for a, b in zip(shape, wanted, strict=False)):
        return
    if not need.spatial_shape:
        raise InputError(f"the model's output has shape {(None, *shape)}", hint=f"Flatten or pool it. {WIDTH_HINT}")
    hint = f"End it with one raw score per pixel: a convolution of {need.outputs} filter, or Dense and Reshape."
    full = (None, *wanted, need.outputs)
    raise InputError(f"the model's output has shape {(None, *shape)}, and {full} is needed", hint=hint)


def _fitted(inputs: Any, output: Any, need: Need) -> Any:
    """Return raw scores of the width that is needed; raises `InputError` if the last layer cannot be rebuilt."""
    width = output.shape[-1]
    if need.head == "new":
        return _with_new_head(inputs, output, need)
    if width == need.outputs:
        return output
    if (width, need.outputs, need.n_classes) == (2, 1, 2):
        need.notes.append("two outputs for a binary task: their difference is the raw score")
        every = (slice(None),) * (len(output.shape) - 1)
        return output[(*every, slice(1, None))] - output[(*every, slice(None, 1))]
    if need.head == "kept":
        raise InputError(
            f"the model has {count_of(width, 'output')}, and {count_of(need.outputs, 'is', 'are')} needed",
            hint='head = "new" under [model] gives it a new last layer, which begins untrained.',
        )
    layer, given = producer(inputs, output)
    if _is_linear(layer):
        need.notes.append(
            f"the last layer ({layer.name}) is rebuilt with {count_of(need.outputs, 'output')} in place of {width}"
        )
        return _like(layer, inputs, given, {_size(layer): need.outputs})
    raise InputError(
        f"the model has {count_of(width, 'output')}, and {count_of(need.outputs, 'is', 'are')} needed",
        hint=WIDTH_HINT,
    )


def _with_new_head(inputs: Any, output: Any, need: Need) -> Any:
    """Return raw scores of a new last layer: in place of the one that makes outputs, or after features."""
    from keras import layers

    layer, given = producer(inputs, output)
    ends = count_of(need.outputs, "output")
    if _is_linear(layer):
        need.notes.append(f"the last layer ({layer.name}) is replaced by a new one with {ends}")
        return _like(layer, inputs, given, {_size(layer): need.outputs, "trainable": True})
    if inside := _head_of(layer, need):
        what = f"the last layer ({inside}) stands inside of another model ({layer.name}), and cannot be replaced there"
        raise InputError(what, hint="Save the model without it.")
    if need.spatial_shape:
        what = f"the model ends in {layer.name}, and a new last layer takes the place of a convolution or Dense"
        raise InputError(what, hint="Save a model that ends in one.")
    need.notes.append(f"a new last layer with {ends} stands after {layer.name}")
    return layers.Dense(need.outputs)(output)


def _like(layer: Any, inputs: Any, given: Any, changed: Mapping[str, Any]) -> Any:
    """Return the output, for `given`, of a new layer in place of one which may have a further use before."""
    import keras

    name = f"{layer.name}_new" if layer in keras.Model(inputs, given).layers else layer.name
    return type(layer).from_config({**layer.get_config(), **changed, "name": name})(given)


def _head_of(layer: Any, need: Need) -> str:
    """Return the name of the layer inside a model that makes its outputs; empty where it ends in features."""
    output = None
    while hasattr(layer, "layers") and hasattr(layer, "outputs"):
        inputs, output = layer.inputs, layer.outputs[0]
        layer, given = producer(inputs, output)
        while _activation(layer) and _ends_in(_activation(layer), output, need):
            output = given
            layer, given = producer(inputs, output)
    is_head = output is not None and bool(_size(layer)) and _ends_in(_name(layer.activation), output, need)
    return str(layer.name) if is_head else ""
