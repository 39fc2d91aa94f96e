"""The arguments of a user's `compile()`, and the architecture of the model that it is given to, as text to compare."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

ADDRESS = re.compile(r"0x[0-9a-f]+")


class Compiled(NamedTuple):
    """A compiled model: its architecture, its learning rate, and whatever else `compile()` was given.

    Models that are equal but for the names that Keras gives have equal texts; rate: None of a schedule without a rate
    that it begins with; optimizer: its name.
    """

    architecture: str
    settings: str
    rate: float | None
    optimizer: str


def of(model: Any) -> Compiled | None:
    """Return a compiled Keras model as text; None if not compiled, or without a configuration."""
    if not model.compiled:
        return None
    try:
        config, given = model.get_config(), model.get_compile_config() or {}
    except Exception:  # of the user's layers, losses and metrics
        return None
    shapes = [[list(weight.shape), weight.trainable] for weight in model.weights]
    name = type(model.optimizer).__name__.lower().removeprefix("dense")
    rate, optimizer = _without_rate(given.get("optimizer"))
    whole = {"class_name": type(model).__name__, "config": config}
    return Compiled(_text([whole, shapes]), _text({**given, "optimizer": optimizer}), rate, name)


def _without_rate(optimizer: Any) -> tuple[float | None, Any]:
    """Return the learning rate of a serialised optimizer, or that with which a schedule begins, and the rest of it."""
    config = optimizer.get("config") if isinstance(optimizer, Mapping) else None
    if not isinstance(config, Mapping):
        return None, optimizer
    rate, key = config.get("learning_rate"), "learning_rate"
    if isinstance(rate, Mapping):
        rest = dict(rate.get("config", {}))
        rate = rest.pop("initial_learning_rate", None)
        return rate, {**optimizer, "config": {**config, key: rest}}
    return rate, {**optimizer, "config": {name: value for name, value in config.items() if name != key}}


def _text(config: Any) -> str:
    """Return a configuration as JSON, in which names that Keras gave are numbered anew."""
    names = {name: f"#{number}" for number, name in enumerate(dict.fromkeys(_given_by_keras(config)))}
    return ADDRESS.sub("", json.dumps(_renamed(config, names), sort_keys=True, default=repr))


def _given_by_keras(config: Any) -> Iterator[str]:
    """Yield the names in a configuration that say no more than a class: `dense_3`, `forward_lstm`."""
    if isinstance(config, Mapping):
        kind, inner = config.get("class_name"), config.get("config")
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if isinstance(kind, str) and isinstance(name, str) and re.fullmatch(rf"(\w+_)?{_snake(kind)}(_\d+)?", name):
            yield name
    for value in _values(config):
        yield from _given_by_keras(value)


def _snake(kind: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _values(config: Any) -> Any:
    if isinstance(config, Mapping):
        return config.values()
    return config if isinstance(config, (list, tuple)) else ()


def _renamed(config: Any, names: Mapping[str, str]) -> Any:
    if isinstance(config, Mapping):
        return {str(key): _renamed(value, names) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config
