"""The loss of a saved model: what is stored of it, and the loss that is found again from that.

A registered loss is stored by its name. Of a user's loss its definition is named, and Keras looks it up on loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any

import keras

from lossreg.contract.former_names import by_present_names
from lossreg.contract.spec import LossSpec
from lossreg.errors import InputError
from lossreg.registry import registry
from lossreg.registry.user_loss import UserLoss, wrap

REGISTER = (
    'Give it @keras.saving.register_keras_serializable("my_package") and, a class, its `get_config`, and import its '
    "module before the model is loaded; of a model that is saved already, `compile=False` or custom_objects loads it."
)


def is_registered(spec: LossSpec) -> bool:
    """Return whether the registry has this loss under its name."""
    entry = registry.default().look_up(spec.name)
    return entry is not None and entry.spec == spec


def identifier_of(spec: LossSpec) -> dict[str, Any] | str:
    """Return what a saved model stores of a loss: its registered name, or how to find the user's function again.

    It never raises, since Keras has emptied the file by then; a loss that cannot be restored is reported on loading.
    """
    if is_registered(spec):
        return spec.name
    where = {"name": spec.name}
    if not isinstance(spec.function, UserLoss):
        return {**where, "lost": "it is in no registry", "hint": "Offer it in a plugin to save it."}
    source = spec.function.source
    if not isinstance(spec.activation, str):
        return {**where, "lost": "its activation has no name", "hint": REGISTER}
    if reason := _lost_arguments(source):
        return {**where, "lost": reason, "hint": REGISTER}
    options = {"name": spec.name, "activation": spec.activation, "target": spec.target, "outputs": spec.outputs}
    stored = {"options": {**options, "tasks": list(spec.tasks)}, "source": _stored(source)}
    return stored if _is_known(source) else {**stored, "defined": _defined(source)}


def _definition(source: Any) -> Any:
    return type(source) if isinstance(source, keras.losses.Loss) else source


def _is_of_keras(source: Any) -> bool:
    return str(getattr(_definition(source), "__module__", "")).partition(".")[0] == "keras"


def _is_known(source: Any) -> bool:
    """Return whether Keras finds the definition of a user's loss by its name in this process."""
    definition = _definition(source)
    return _is_of_keras(source) or keras.saving.get_registered_object(_keras_name(definition)) is definition


def _keras_name(definition: Any) -> str:
    """Return the name by which Keras looks up a function or class; for another callable, that of its class."""
    has_name = hasattr(definition, "__name__")
    return str(keras.saving.get_registered_name(definition)) if has_name else type(definition).__name__


def _defined(source: Any) -> str:
    """Return where a user's loss is defined: `my_package.losses.my_loss`."""
    definition = _definition(source)
    name = getattr(definition, "__qualname__", type(definition).__name__)
    return f"{getattr(definition, '__module__', '')}.{name}"


def _lost_arguments(source: Any) -> str:
    """Return the reason if Keras does not save the arguments of its own loss; empty if it does."""
    if not _is_of_keras(source) or _definition(source) is source:
        return ""
    again = keras.losses.deserialize(keras.losses.serialize(source))
    is_same = vars(again) == vars(source)
    return "" if is_same else f"Keras {keras.__version__} does not save the arguments of {type(source).__name__}"


def _stored(source: Any) -> Any:
    if isinstance(source, keras.losses.Loss):
        return keras.saving.serialize_keras_object(source)
    return _keras_name(source)


def restored(identifier: Mapping[str, Any]) -> LossSpec:
    """Return the user's loss that `identifier_of` stored; raises `InputError` if its function is not found."""
    if "lost" in identifier:
        what = f"it cannot be saved: {identifier['lost']}"
        raise InputError(what, where=f"loss {identifier['name']!r}", hint=identifier["hint"])
    return wrap(_source(identifier), **by_present_names(identifier["options"]))


def _source(identifier: Mapping[str, Any]) -> Any:
    source, defined = identifier["source"], identifier.get("defined")
    if isinstance(source, str):
        # a user's function is never mistaken for a Keras loss of the same name
        known = {} if defined else vars(keras.losses)
        if (function := keras.saving.get_registered_object(source, module_objects=known)) is not None:
            return function
    else:
        with suppress(Exception) if defined else nullcontext():
            return keras.saving.deserialize_keras_object(source)
    where = f"loss {identifier['options']['name']!r}"
    what = f"it cannot be saved by value: Keras could not find the function again, {defined or source}"
    raise InputError(what, where=where, hint=REGISTER)
