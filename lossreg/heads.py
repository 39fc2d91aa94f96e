"""The end of a user's model: whatever it is, made into raw scores of the width that is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossreg import links
from lossreg.errors import InputError

WIDTH_HINT = 'End the model with Dense(hp.get("outputs")).'
OPS = ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "HardSigmoid", "Softplus", "Relu", "Tanh")


@dataclass(frozen=True, slots=True)
class Need:
    """What a model is built for: `outputs` raw scores; `n_classes` is 0 for regression."""

    input_shape: tuple[int, ...]
    outputs: int
    n_classes: int
    notes: list[str] = field(default_factory=list, compare=False)

    def facts(self) -> dict[str, Any]:
        """What `hp.get` answers besides hyperparameters."""
        return {"outputs": self.outputs, "input_shape": self.input_shape, "n_classes": self.n_classes}


def raw_scores(model: Any, need: Need) -> Any:
    """An uncompiled functional Keras model with the layers of `model`, ending in `(batch, need.outputs)` raw scores.

    Activations at the end are taken off, and what was changed is added to `need.notes`. The
    layers themselves may be changed. Raises `InputError` when shapes cannot be made to fit.
    """
    import keras

    inputs, scores = _traced(model, need)
    inputs, scores = _stripped(inputs, scores, need)
    if need.n_classes and not _is_linear_dense(scores):
        scores = _from_probabilities(keras.Model(inputs, scores), need)
    if len(scores.shape) != 2:
        raise InputError(f"the model's output has shape {scores.shape}", hint=f"Flatten or pool it. {WIDTH_HINT}")
    return keras.Model(inputs, _fitted(scores, need))


# ------------------------------------------------------------------ inputs


def _traced(model: Any, need: Need) -> tuple[Any, Any]:
    """Symbolic input and output of a model, which is built first where that is still to be done."""
    import keras

    if isinstance(model, keras.Sequential) and not _is_open(model):
        model = keras.Sequential([keras.Input(_rows(model, need)), *model.layers])
    if hasattr(model, "inputs"):
        inputs, outputs = model.inputs, model.outputs
    else:
        inputs = [keras.Input(need.input_shape)]
        outputs = [model(inputs[0])]
    if len(inputs) != 1 or len(outputs) != 1 or not hasattr(outputs[0], "shape"):
        raise InputError(
            f"the model has {len(inputs)} inputs and {len(outputs)} outputs", hint="One of each is needed."
        )
    _check_input(tuple(inputs[0].shape[1:]), need.input_shape)
    return inputs[0], outputs[0]


def _is_open(model: Any) -> bool:
    """Whether a model has a symbolic input for any number of rows (one called on data is held to their number)."""
    return hasattr(model, "inputs") and model.inputs[0].shape[0] is None


def _rows(model: Any, need: Need) -> tuple[int | None, ...]:
    return tuple(model.inputs[0].shape[1:]) if hasattr(model, "inputs") else need.input_shape


def _check_input(takes: tuple[int | None, ...], rows: tuple[int, ...]) -> None:
    if len(takes) != len(rows) or any(t not in (None, r) for t, r in zip(takes, rows, strict=True)):
        hint = 'hp.get("input_shape") is the shape of a row; a Reshape layer may stand first.'
        raise InputError(f"the model takes rows of shape {takes}, and the data has rows of shape {rows}", hint=hint)


# ------------------------------------------------------------------ activations


def _last(tensor: Any) -> tuple[Any, Any]:
    """The layer or operation that made a tensor, and what it was given (None for an input)."""
    made = tensor._keras_history
    return made.operation, next(iter(made.operation._inbound_nodes[made.node_index].input_tensors), None)


def _stripped(inputs: Any, scores: Any, need: Need) -> tuple[Any, Any]:
    """Without activation layers at the end, and with the last Dense layer linear."""
    while scores is not inputs:
        layer, given = _last(scores)
        if not _is_activation(layer):
            _make_linear(layer, need)
            break
        need.notes.append(f"the last layer ({layer.name}) is cut off: losses take raw scores")
        scores = given
    return inputs, scores


def _is_activation(layer: Any) -> bool:
    from keras import layers

    kinds = (layers.Activation, layers.Softmax, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU)
    is_op = type(layer).__module__.startswith("keras.src.ops") and type(layer).__name__ in OPS
    return is_op or isinstance(layer, kinds)


def _make_linear(layer: Any, need: Need) -> None:
    from keras import activations, layers

    if isinstance(layer, layers.Dense) and layer.activation is not activations.linear:
        need.notes.append(
            f"{_name(layer.activation)} of the last layer ({layer.name}) is set aside: losses take raw scores"
        )
        layer.activation = activations.linear


def _name(activation: Any) -> str:
    return str(getattr(activation, "__name__", type(activation).__name__))


def _is_linear_dense(scores: Any) -> bool:
    from keras import activations, layers

    layer = _last(scores)[0]
    return isinstance(layer, layers.Dense) and layer.activation is activations.linear


# ------------------------------------------------------------------ probabilities


def _from_probabilities(model: Any, need: Need) -> Any:
    """Scores of a model whose end cannot be seen into: as they are, unless a sample of them are probabilities."""
    sample = np.random.default_rng(0).normal(size=(32, *need.input_shape)).astype(np.float32)
    probabilities = _outputs(model, sample)
    link = _link_of(probabilities)
    if link is None or _strip_inside(model, sample, probabilities, link, need):
        return model.outputs[0]
    assert link.inverse is not None
    said = "logarithms" if link.name == "softmax" else "logits"
    need.notes.append(f"the outputs are probabilities: their {said} are the scores")
    return link.inverse(model.outputs[0])


def _outputs(model: Any, sample: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(model(sample, training=False)), np.float64)


def _link_of(outputs: np.ndarray[Any, Any]) -> links.Link | None:
    """The link that seems to have made these outputs `(n, width)`; None when they are no probabilities."""
    if outputs.ndim != 2 or outputs.min() < 0 or outputs.max() > 1:
        return None
    if outputs.shape[1] == 1:
        return links.LINKS["sigmoid"] if np.ptp(outputs) > 0 and outputs.min() > 0 else None
    return links.LINKS["softmax"] if np.allclose(outputs.sum(axis=1), 1, atol=1e-4) else None


def _strip_inside(model: Any, sample: Any, before: np.ndarray[Any, Any], link: links.Link, need: Need) -> bool:
    """Make a Dense layer inside linear if the link of its output then is what the output was."""
    from keras import activations

    for layer in reversed(_dense_inside(model)):
        activation = layer.activation
        if activation in (activations.softmax, activations.sigmoid):
            layer.activation = activations.linear
            if np.allclose(np.asarray(link.forward(_outputs(model, sample))), before, atol=1e-5):
                need.notes.append(f"{_name(activation)} of {layer.name} is set aside: losses take raw scores")
                return True
            layer.activation = activation
    return False


def _dense_inside(model: Any) -> list[Any]:
    """Every Dense layer of a model and of the models in it."""
    from keras import layers

    found: list[Any] = []
    for layer in model.layers:
        found += _dense_inside(layer) if hasattr(layer, "layers") else [layer] * isinstance(layer, layers.Dense)
    return found


# ------------------------------------------------------------------ width


def _fitted(scores: Any, need: Need) -> Any:
    """Scores of the width that is needed."""
    from keras import layers

    width = scores.shape[-1]
    if width == need.outputs:
        return scores
    if (width, need.outputs, need.n_classes) == (2, 1, 2):
        need.notes.append("two outputs for a binary task: their difference is the score")
        return scores[:, 1:] - scores[:, :1]
    layer, given = _last(scores)
    if isinstance(layer, layers.Dense):
        need.notes.append(f"the last layer ({layer.name}) is rebuilt with {need.outputs} outputs in place of {width}")
        return layers.Dense.from_config({**layer.get_config(), "units": need.outputs})(given)
    raise InputError(f"the model has {width} outputs, and {need.outputs} are needed", hint=WIDTH_HINT)
