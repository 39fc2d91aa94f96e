"""The end of a user's model: whatever it is, made into raw scores of the width that is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from lossreg.contract.activations import ACTIVATIONS, Activation
from lossreg.errors import InputError, did_you_mean
from lossreg.models.keras_graph import producer, sublayers
from lossreg.models.need import Need, Shape

WIDTH_HINT = 'End the model with Dense(hp.get("outputs")).'
OPS = ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "HardSigmoid", "Softplus", "Exp", "Relu", "Tanh")
# what makes predictions of scores, and so hardly ever features
OUTPUT_ACTIVATIONS = (
    "linear", "softmax", "logsoftmax", "sigmoid", "logsigmoid", "hardsigmoid", "softplus", "exponential", "exp",
)  # fmt: skip
SCALES = (1.0, 30.0, 1000.0)
# What a model's class may replace of training.
STEPS = ("train_step", "compute_loss")


def raw_scores(model: Any, need: Need) -> Any:
    """An uncompiled functional Keras model with the layers of `model`, ending in raw scores.

    They are `(batch, *need.spatial_shape, need.outputs)`; several inputs are a dictionary by name. A model with its own
    step of training is made anew by its class, where that can be. Activations at the end are taken off, and what was
    changed is added to `need.notes`. The layers themselves may be changed. Raises `InputError` when
    shapes cannot be made to fit.
    """
    import keras

    inputs, scores = _traced(model, need)
    inputs, scores = _stripped(inputs, scores, need)
    if need.n_classes and not _is_linear(producer(inputs, scores)[0]):
        scores = _from_probabilities(keras.Model(inputs, scores), need)
    fitted = _closed(keras.Model(inputs, _fitted(inputs, _placed(scores, need), need)), need)
    return _with_own_steps(model, fitted, need)


def own_steps(kind: type) -> list[str]:
    """What a model's class replaces of training."""
    import keras

    return [step for step in STEPS if getattr(kind, step) is not getattr(keras.Model, step)]


def _with_own_steps(model: Any, fitted: Any, need: Need) -> Any:
    """A model of the class that replaces parts of training, around raw scores, if it is only that."""
    kind, steps = type(model), " and ".join(own_steps(type(model)))
    if not steps:
        return fitted
    import keras

    try:
        made = kind(fitted.input, fitted.outputs[0])
        whole = made.outputs[0] is fitted.outputs[0] and vars(made).keys() >= vars(model).keys()
    except Exception:
        whole = False
    if whole and kind.compile is keras.Model.compile:
        need.notes.append(f"its own {steps} is used, so it trains with model.fit")
        return made
    need.notes.append(f"its own {steps} is ignored")
    return fitted


def _closed(model: Any, need: Need) -> Any:
    """A model with open dimensions inside one whose scores have the shape that the data gives them."""
    import keras

    if None not in model.output_shape[1:]:
        return model
    inputs = need.inputs()
    closed = keras.Model(inputs, model(inputs))
    _check_space(tuple(closed.output_shape[1:]), need)
    return closed


# ------------------------------------------------------------------ inputs


def _traced(model: Any, need: Need) -> tuple[Any, Any]:
    """Symbolic inputs, one or by name, and output of a model, which is built first where that is still to be done."""
    import keras

    shapes = need.input_shape
    several = isinstance(shapes, Mapping)
    if isinstance(model, keras.Sequential) and not _is_open(model) and not several:
        model = keras.Sequential([keras.Input(_rows(model, need)), *model.layers])
    if hasattr(model, "inputs"):
        inputs, outputs = list(model.inputs), model.outputs
    else:
        made = need.inputs()
        inputs, outputs = keras.tree.flatten(made), [model(made)]
    if (len(inputs) != 1 and not several) or len(outputs) != 1 or not hasattr(outputs[0], "shape"):
        text = f"the model has {len(inputs)} inputs and {len(outputs)} outputs"
        raise InputError(text, hint="One output is needed." if several else "One of each is needed.")
    if isinstance(shapes, Mapping):
        matched = _matched(_by_name(model, inputs), shapes, need)
        return _renamed(model, matched) if any(e.name != n for n, e in matched.items()) else (matched, outputs[0])
    _check_input(tuple(inputs[0].shape[1:]), shapes)
    return inputs[0], outputs[0]


def _by_name(model: Any, inputs: list[Any]) -> dict[str, Any]:
    """A model's inputs under the names that it takes them by."""
    given = getattr(model, "input", None) if hasattr(model, "inputs") else None
    return dict(given) if isinstance(given, Mapping) else {entry.name: entry for entry in inputs}


def _matched(inputs: dict[str, Any], shapes: Mapping[str, Shape], need: Need) -> dict[str, Any]:
    """The model's inputs under the names of the data's; raises `InputError` where names or shapes do not fit."""
    import keras

    if len(inputs) == len(shapes) == 1:
        inputs = dict(zip(shapes, inputs.values(), strict=True))
    for name, entry in inputs.items():
        if name not in shapes:
            hint = (
                did_you_mean(name, shapes)
                or f'Name it as the data does: keras.Input(..., name="{next(iter(shapes))}").'
            )
            raise InputError(f"the model has an input {name}, and the data has {', '.join(shapes)}", hint=hint)
        try:
            _check_input(tuple(entry.shape[1:]), shapes[name])
        except InputError as error:
            hint = f'hp.get("input_shape")["{name}"] is the shape of a row.'
            raise InputError(f"input {name}: {error.what}", hint=hint) from error
    unused = {name: keras.Input(shape, name=name) for name, shape in shapes.items() if name not in inputs}
    need.notes.extend(f"input {name} of the data is not used" for name in unused)
    return {**inputs, **unused}


def _is_open(model: Any) -> bool:
    """Whether a model has a symbolic input for any number of rows (one called on data is held to their number)."""
    return hasattr(model, "inputs") and model.inputs[0].shape[0] is None


def _rows(model: Any, need: Need) -> Any:
    return tuple(model.inputs[0].shape[1:]) if hasattr(model, "inputs") else need.input_shape


def _check_input(takes: tuple[int | None, ...], rows: tuple[int, ...]) -> None:
    if len(takes) != len(rows) or any(t not in (None, r) for t, r in zip(takes, rows, strict=True)):
        hint = 'hp.get("input_shape") is the shape of a row; a Reshape layer may stand first.'
        raise InputError(f"the model takes rows of shape {takes}, and the data has rows of shape {rows}", hint=hint)


def _renamed(model: Any, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """New inputs that bear these names themselves, as Keras wants it, and the output of the model's layers for them."""
    import keras

    fresh = {name: keras.Input(e.shape[1:], dtype=e.dtype, name=name) for name, e in inputs.items()}
    places = {id(entry): fresh[name] for name, entry in inputs.items()}
    # not the model itself, which would then be one layer that cannot be seen into
    return fresh, model.call(keras.tree.map_structure(lambda entry: places[id(entry)], model.input))


# ------------------------------------------------------------------ activations


def _stripped(inputs: Any, scores: Any, need: Need) -> tuple[Any, Any]:
    """Without activation layers at the end, and with the last Dense or convolutional layer linear.

    What makes features, such as a ReLU at another width than the task's, stays.
    """
    while scores is not inputs:
        layer, given = producer(inputs, scores)
        name = _activation(layer)
        if not name:
            _make_linear(layer, scores, need)
            break
        if not _ends_in(name, scores, need):
            break
        need.notes.append(f"the last layer ({layer.name}) is cut off: losses take raw scores")
        scores = given
    return inputs, scores


def _ends_in(activation: str, scores: Any, need: Need) -> bool:
    """Whether an activation at the end makes predictions, and no features for a head that is missing."""
    return activation.lower().replace("_", "") in OUTPUT_ACTIVATIONS or scores.shape[-1] in need.widths


def _activation(layer: Any) -> str:
    """The activation that a layer or operation applies, where it does nothing else."""
    from keras import layers

    if isinstance(layer, layers.Activation):
        return _name(layer.activation)
    kinds = (layers.Softmax, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU)
    is_op = type(layer).__module__.startswith("keras.") and type(layer).__name__ in OPS
    return type(layer).__name__ if is_op or isinstance(layer, kinds) else ""


def _make_linear(layer: Any, scores: Any, need: Need) -> None:
    from keras import activations

    if not _size(layer) or layer.activation is activations.linear:
        return
    if _ends_in(_name(layer.activation), scores, need):
        need.notes.append(
            f"{_name(layer.activation)} of the last layer ({layer.name}) is set aside: losses take raw scores"
        )
        layer.activation = activations.linear


def _size(layer: Any) -> str:
    """The argument that settles how many scores a Dense or convolutional layer gives; empty for others."""
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
    """Scores of a model whose end cannot be seen into: as they are, unless a sample of them are probabilities."""
    sample, *larger = _samples(model)
    probabilities = _outputs(model, sample, need)
    activation = _activation_of(probabilities, need)
    # features may happen to lie between 0 and 1, but not however large the inputs are
    if activation is None or any(
        _activation_of(_outputs(model, rows, need), need) is not activation for rows in larger
    ):
        return model.outputs[0]
    if _strip_inside(model, sample, probabilities, activation, need):
        return model.outputs[0]
    assert activation.inverse is not None
    said = "logarithms" if activation.name == "softmax" else "logits"
    need.notes.append(f"the outputs are probabilities: their {said} are the scores")
    return activation.inverse(model.outputs[0])


def _samples(model: Any) -> list[Any]:
    """Normal rows on several scales; whole numbers that every embedding has a row for, where there are any."""
    import keras

    rng = np.random.default_rng(0)
    ends = [layer.input_dim for layer in sublayers(model) if isinstance(layer, keras.layers.Embedding)]

    def drawn(scale: float, entry: Any) -> Any:
        shape = (16, *(size or 4 for size in entry.shape[1:]))
        rows = rng.integers(0, min(ends), shape) if ends else scale * np.random.default_rng(0).normal(size=shape)
        return rows.astype(np.float32)

    return [keras.tree.map_structure(partial(drawn, scale), model.input) for scale in SCALES]


def _outputs(model: Any, sample: Any, need: Need) -> np.ndarray[Any, Any]:
    """`(n, width)` outputs, those of a mask's places one below the other."""
    from keras import ops

    outputs = np.asarray(ops.convert_to_numpy(model(sample, training=False)), np.float64)
    places = bool(need.spatial_shape) and outputs.ndim < len(need.spatial_shape) + 2
    return outputs.reshape(-1, 1 if places else outputs.shape[-1])


def _activation_of(outputs: np.ndarray[Any, Any], need: Need) -> Activation | None:
    """The activation that seems to have made these outputs `(n, width)`; None when they are no probabilities."""
    if not (outputs.min() >= 0 and outputs.max() <= 1 and np.ptp(outputs) > 0):
        return None
    if outputs.shape[1] > 1 and np.allclose(outputs.sum(axis=1), 1, atol=1e-4):
        return ACTIVATIONS["softmax"]
    return ACTIVATIONS["sigmoid"] if outputs.shape[1] == 1 or need.multilabel else None


def _strip_inside(model: Any, sample: Any, before: np.ndarray[Any, Any], expected: Activation, need: Need) -> bool:
    """Make a layer inside linear if the activation of its output then is what the output was."""
    from keras import activations

    for layer in reversed(_heads_inside(model)):
        activation = layer.activation
        if activation in (activations.softmax, activations.sigmoid):
            layer.activation = activations.linear
            if np.allclose(np.asarray(expected.forward(_outputs(model, sample, need))), before, atol=1e-5):
                need.notes.append(f"{_name(activation)} of {layer.name} is set aside: losses take raw scores")
                return True
            layer.activation = activation
    return False


def _heads_inside(model: Any) -> list[Any]:
    """Every Dense and convolutional layer of a model and of the models in it."""
    found: list[Any] = []
    for layer in model.layers:
        found += _heads_inside(layer) if hasattr(layer, "layers") else [layer] * bool(_size(layer))
    return found


# ------------------------------------------------------------------ shape


def _placed(scores: Any, need: Need) -> Any:
    """Scores of shape `(batch, *space, width)`; those of a mask may come flat, or without a last axis."""
    from keras import layers

    shape, places = tuple(scores.shape[1:]), math.prod(need.spatial_shape)
    if need.spatial_shape and shape in (need.spatial_shape, (places,), (places * need.outputs,)):
        width = need.outputs if shape == (places * need.outputs,) else 1
        return layers.Reshape((*need.spatial_shape, width))(scores)
    _check_space(shape, need)
    return scores


def _check_space(shape: tuple[int | None, ...], need: Need) -> None:
    space = shape[:-1]
    if len(space) == len(need.spatial_shape) and all(
        a in (None, b) for a, b in zip(space, need.spatial_shape, strict=True)
    ):
        return
    if not need.spatial_shape:
        raise InputError(f"the model's output has shape {(None, *shape)}", hint=f"Flatten or pool it. {WIDTH_HINT}")
    wanted = (None, *need.spatial_shape, need.outputs)
    hint = f"End it with one score a place: a convolution of {need.outputs} filter, or Dense and Reshape."
    raise InputError(f"the model's output has shape {(None, *shape)}, and {wanted} is needed", hint=hint)


def _fitted(inputs: Any, scores: Any, need: Need) -> Any:
    """Scores of the width that is needed."""
    width = scores.shape[-1]
    if width == need.outputs:
        return scores
    if (width, need.outputs, need.n_classes) == (2, 1, 2):
        need.notes.append("two outputs for a binary task: their difference is the score")
        every = (slice(None),) * (len(scores.shape) - 1)
        return scores[(*every, slice(1, None))] - scores[(*every, slice(None, 1))]
    layer, given = producer(inputs, scores)
    if _is_linear(layer):
        need.notes.append(f"the last layer ({layer.name}) is rebuilt with {need.outputs} outputs in place of {width}")
        return type(layer).from_config({**layer.get_config(), _size(layer): need.outputs})(given)
    raise InputError(f"the model has {width} outputs, and {need.outputs} are needed", hint=WIDTH_HINT)
