"""The map over lanes on TensorFlow: by its private converter of loops, or by `tf.vectorized_map` where that changed.

For an open number of lanes `tf.vectorized_map` gathers every tensor by `range(lanes)`, of the weights in every step,
and makes sparse gradients of theirs. The converter is told instead that a lane of a tensor, converted, is the tensor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import tensorflow as tf

TESTED = "2.21"  # the version of TensorFlow whose private names these are

Tree = Any
_changing = threading.RLock()


class Converter(NamedTuple):
    """TensorFlow's converter of a graph into one over lanes, its mark of a converted tensor, and its operations."""

    PFor: Any
    wrap: Any
    operations: dict[str, Any]


@cache
def converter() -> Converter | None:
    """Return TensorFlow's private converter; None where its names or its results are not those of `TESTED`."""
    try:
        from tensorflow.python.ops.parallel_for import pfor

        private = Converter(pfor.PFor, pfor.wrap, pfor._pfor_converter_registry)
        return private if _works(private) else None
    except Exception:
        return None


def note() -> str:
    """Return what the user of another TensorFlow should know; empty where lanes are as fast as they can be."""
    if converter():
        return ""
    return (
        f"TensorFlow {tf.__version__} converts loops in another way than {TESTED}, so trials are trained together "
        "with tf.vectorized_map: the results are the same, and training is slower"
    )


def map_lanes(function: Callable[[Tree], Tree], lanes: Tree) -> Tree:
    """Return the function of every lane, all at once, within a graph."""
    private = converter()
    return _converted(private, function, lanes) if private else _vectorized(function, lanes)


def _vectorized(function: Callable[[Tree], Tree], lanes: Tree) -> Tree:
    """A lane by itself is mapped twice, since `tf.squeeze` over one lane takes the axis of lanes away."""
    number = tf.shape(tf.nest.flatten(lanes)[0])[0]
    several = tf.nest.map_structure(lambda tensor: tf.concat([tensor, tensor[:1]], 0)[: tf.maximum(number, 2)], lanes)
    outputs = tf.vectorized_map(function, several, warn=False)
    return tf.nest.map_structure(lambda tensor: tensor[:number], outputs)


def _converted(private: Converter, function: Callable[[Tree], Tree], lanes: Tree) -> Tree:
    tensors = [tf.convert_to_tensor(tensor) for tensor in tf.nest.flatten(lanes)]
    graph = tf.compat.v1.get_default_graph()
    before = set(graph.get_operations())
    with tf.name_scope("lane"):
        position = tf.compat.v1.placeholder_with_default(0, [])
        lane = [tf.gather(tensor, position) for tensor in tensors]
        outputs = tf.nest.map_structure(tf.convert_to_tensor, function(tf.nest.pack_sequence_as(lanes, lane)))
    inside = set(graph.get_operations()) - before
    loop = private.PFor(position, tf.shape(tensors[0])[0], inside, fallback_to_while_loop=True)
    for one, stacked in zip(lane, tensors, strict=True):
        loop._add_conversion(one, private.wrap(stacked, True))
    with _squeezing(private):
        return tf.nest.map_structure(loop.convert, outputs)


@contextmanager
def _squeezing(private: Converter) -> Iterator[None]:
    """Have `tf.squeeze` keep the axis of lanes while a graph is converted, also where there is one lane.

    Keras squeezes the bias of a convolution, and TensorFlow's own conversion takes that axis away too.
    """

    def squeezed(given: Any) -> Any:
        stacked, sizes = given.stacked_input(0), given.op.inputs[0].shape.as_list()
        axes = given.get_attr("squeeze_dims") or [axis for axis, size in enumerate(sizes) if size == 1]
        moved = [axis + 1 if axis >= 0 else axis for axis in axes]
        return private.wrap(tf.squeeze(stacked, moved) if moved else stacked, True)

    with _changing:
        usual = private.operations["Squeeze"]
        private.operations["Squeeze"] = squeezed
        try:
            yield
        finally:
            private.operations["Squeeze"] = usual


def _works(private: Converter) -> bool:
    """Return whether one lane and two are what they are alone, squeezed axes included."""
    with tf.init_scope():
        graph = tf.function(
            lambda lanes: _converted(private, lambda lane: tf.squeeze(lane) * lane, lanes),
            input_signature=[tf.TensorSpec([None, 1, 3])], autograph=False,
        )  # fmt: skip
        lanes = tf.reshape(tf.range(6.0), (2, 1, 3))
        return all(bool(tf.reduce_all(graph(part) == part**2)) for part in (lanes, lanes[:1]))
