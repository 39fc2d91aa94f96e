"""The private attributes of Keras that are read, each with a public way for a version that lacks it.

Tested with Keras 3.14 and 3.15. Nothing else in this package reads a private attribute of a model, a layer or a tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

HISTORY = "_keras_history"
NODES = "_inbound_nodes"
FLATTEN = "_flatten_layers"


def producer(inputs: Any, tensor: Any) -> tuple[Any, Any]:
    """Return the layer or operation that made a symbolic tensor, and the first tensor that it was given.

    inputs: those of the graph, one or by name. The second is None for an input. The public way sees the first call
    of each operation only; both are None for a tensor of a later one.
    """
    try:
        history = getattr(tensor, HISTORY)
        given = getattr(history.operation, NODES)[history.node_index].input_tensors
    except AttributeError:
        return _public_producer(inputs, tensor)
    return history.operation, next(iter(given), None)


def sublayers(layer: Any) -> list[Any]:
    """Return a layer and all layers inside it."""
    flatten = getattr(layer, FLATTEN, None)
    if flatten is not None:
        return list(flatten())
    known = {id(layer): layer}
    queue = [layer]
    for outer in queue:
        new = {id(inner): inner for inner in _attributes(outer) if id(inner) not in known}
        known |= new
        queue.extend(new.values())
    return queue


def _public_producer(inputs: Any, tensor: Any) -> tuple[Any, Any]:
    import keras

    for operation in reversed(keras.Model(inputs, tensor).operations):
        if any(output is tensor for output in keras.tree.flatten(operation.output)):
            is_input = isinstance(operation, keras.layers.InputLayer)
            return operation, None if is_input else next(iter(keras.tree.flatten(operation.input)), None)
    return None, None


def _attributes(layer: Any) -> Iterator[Any]:
    """Yield the layers among a layer's attributes, and in their lists and dictionaries."""
    import keras

    for value in vars(layer).values():
        items = (
            value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else (value,)
        )
        yield from (item for item in items if isinstance(item, keras.Layer))
