"""The inputs of a user's model, matched to those of the data by name and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossreg.errors import InputError, count_of, did_you_mean
from lossreg.models.need import Need, Shape

ONE_OUTPUT = "and a study compares losses of one output"
ONE_EACH = "Take one of them, keras.Model(model.inputs, model.outputs[0]): each needs a study of its own."
BY_FUNCTION = 'hp.get("input_shape") is the shape of a sample; a Reshape layer may stand first.'
AS_PREPROCESSED = (
    'Rows reach the model preprocessed; with preprocess = "none" under [data] they stay as they are, and image_size, '
    "image_channels and drop there say which images and columns these are."
)


def traced(model: Any, need: Need) -> tuple[Any, Any]:
    """Return the symbolic inputs, one or by name, and the output of a model, which is built first if it is not yet.

    Raises `InputError` if names or shapes do not fit, or there are several outputs.
    """
    import keras

    shapes = need.input_shape
    several = isinstance(shapes, Mapping)
    if isinstance(model, keras.Sequential) and not _is_open(model) and not several:
        model = keras.Sequential([keras.Input(_sample_shape(model, need)), *model.layers])
    if hasattr(model, "inputs"):
        inputs, outputs = list(model.inputs), model.outputs
    else:
        new = need.inputs()
        inputs, outputs = keras.tree.flatten(new), keras.tree.flatten(model(new))
    if len(outputs) != 1:
        raise InputError(f"the model has {len(outputs)} outputs, {ONE_OUTPUT}", hint=ONE_EACH)
    if (len(inputs) != 1 and not several) or not hasattr(outputs[0], "shape"):
        text = f"the model has {count_of(len(inputs), 'input')} and {count_of(len(outputs), 'output')}"
        raise InputError(text, hint="One output is needed." if several else "One of each is needed.")
    if isinstance(shapes, Mapping):
        matched = _matched(_by_name(model, inputs), shapes, need)
        return _renamed(model, matched) if any(e.name != n for n, e in matched.items()) else (matched, outputs[0])
    _check_input(tuple(inputs[0].shape[1:]), shapes, AS_PREPROCESSED if need.is_saved else BY_FUNCTION)
    return inputs[0], outputs[0]


def _by_name(model: Any, inputs: list[Any]) -> dict[str, Any]:
    """Return the inputs of a model by the names under which it takes them."""
    given = getattr(model, "input", None) if hasattr(model, "inputs") else None
    return dict(given) if isinstance(given, Mapping) else {entry.name: entry for entry in inputs}


def _matched(inputs: dict[str, Any], shapes: Mapping[str, Shape], need: Need) -> dict[str, Any]:
    """Return the inputs of the model by the names of the data; raises `InputError` if names or shapes do not fit."""
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
            hint = AS_PREPROCESSED if need.is_saved else f'hp.get("input_shape")["{name}"] is the shape of a sample.'
            raise InputError(f"input {name}: {error.what}", hint=hint) from error
    unused = {name: keras.Input(shape, name=name) for name, shape in shapes.items() if name not in inputs}
    need.notes.extend(f"input {name} of the data is not used" for name in unused)
    return {**inputs, **unused}


def _is_open(model: Any) -> bool:
    """Return whether a model has a symbolic input of any batch size; one called on data has theirs."""
    return hasattr(model, "inputs") and model.inputs[0].shape[0] is None


def _sample_shape(model: Any, need: Need) -> Any:
    return tuple(model.inputs[0].shape[1:]) if hasattr(model, "inputs") else need.input_shape


def _check_input(takes: tuple[int | None, ...], shape: tuple[int, ...], hint: str = "") -> None:
    if len(takes) != len(shape) or any(t not in (None, s) for t, s in zip(takes, shape, strict=True)):
        raise InputError(
            f"the model takes samples of shape {takes}, and the data has samples of shape {shape}", hint=hint
        )


def _renamed(model: Any, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return new inputs with these names, as Keras requires, and the output that the model's layers give for them."""
    import keras

    fresh = {name: keras.Input(e.shape[1:], dtype=e.dtype, name=name) for name, e in inputs.items()}
    renamed = {id(entry): fresh[name] for name, entry in inputs.items()}
    # calling the model itself would make it a single layer that hides its own
    return fresh, model.call(keras.tree.map_structure(lambda entry: renamed[id(entry)], model.input))
