"""The only place where the suite touches TensorFlow: a loss called, differentiated, traced, mapped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lossreg.terminal import streams

Array = np.ndarray[Any, Any]
Arguments = Mapping[str, Any]
Function = Callable[..., Any]


def load() -> Any:
    """Import TensorFlow without its start-up notes; it logs errors only."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    return tf


@contextmanager
def floats(dtype: str) -> Iterator[None]:
    """Make Keras's own numbers (`ops.ones`, `ops.where` of two Python numbers) of `dtype`, too."""
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def tensors(arguments: Arguments, dtype: str) -> dict[str, Any]:
    """Arrays as tensors of `dtype`; static values as they are."""
    tf = load()
    return {k: tf.constant(v, dtype) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}


def values(function: Function, y: Array, z: Array, arguments: Arguments, dtype: str) -> Any:
    """The function's values as it returns them."""
    tf = load()
    with floats(dtype):
        return function(tf.constant(y, dtype), tf.constant(z, dtype), **tensors(arguments, dtype))


def gradients(function: Function, y: Array, z: Array, arguments: Arguments, dtype: str) -> tuple[Any, Any]:
    """The function's values, and the gradient of their sum by the raw scores (0 where there is none)."""
    tf = load()
    with floats(dtype):
        return _gradients(tf, function, tf.constant(y, dtype), tf.constant(z, dtype), tensors(arguments, dtype))


def _gradients(tf: Any, function: Function, y: Any, z: Any, arguments: Arguments) -> tuple[Any, Any]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(z)
        losses = function(y, z, **arguments)
        total = tf.reduce_sum(losses)
    return losses, tape.gradient(total, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def traced(function: Function, y: Array, z: Array, arguments: Arguments, dtype: str) -> Function:
    """`gradients` as a graph for batches of any length: `(y, z, arguments)` of arrays to two tensors.

    Static values are those of `arguments`; arrays are inputs of the graph.
    """
    tf = load()
    static = {k: v for k, v in arguments.items() if not isinstance(v, np.ndarray)}
    flowing = {k: tf.TensorSpec(v.shape, dtype) for k, v in arguments.items() if isinstance(v, np.ndarray)}
    graph = tf.function(lambda y, z, inputs: _gradients(tf, function, y, z, {**static, **inputs}), autograph=False)
    batches = [tf.TensorSpec([None, *array.shape[1:]], dtype) for array in (y, z)]
    with floats(dtype):
        concrete = graph.get_concrete_function(*batches, flowing)

    def run(y: Array, z: Array, arguments: Arguments) -> Any:
        inputs = {k: tf.constant(v, dtype) for k, v in arguments.items() if k in flowing}
        return concrete(tf.constant(y, dtype), tf.constant(z, dtype), inputs)

    return run


def mapped(function: Function, lanes: tuple[Array, Array, Arguments], static: Arguments) -> Function:
    """Mean losses and gradients of an open number of lanes: labels, raw scores and arguments stacked, float32.

    The tape stands inside the map, as it does in training.
    """
    tf = load()

    def lane(one: tuple[Any, Any, dict[str, Any]]) -> Any:
        y, z, inputs = one
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            loss = tf.reduce_mean(function(y, z, **static, **inputs))
        return loss, tape.gradient(loss, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    signature = tf.nest.map_structure(lambda a: tf.TensorSpec([None, *a.shape[1:]], "float32"), lanes)
    graph = tf.function(lambda *stacked: tf.vectorized_map(lane, stacked), autograph=False)
    return graph.get_concrete_function(*signature)  # type: ignore[no-any-return]


def run(graph: Function, arrays: Any) -> Any:
    """A graph of float32 tensors called with nested arrays."""
    tf = load()
    return graph(*tf.nest.map_structure(lambda array: tf.constant(array, "float32"), arrays))


def in_graph(loss: Function, y: Array, z: Array, jit: bool = False) -> Array:
    """A Keras loss of labels and raw scores from a graph, of open batch size unless it is compiled."""
    tf = load()
    traced_loss = tf.function(loss, autograph=False, jit_compile=jit or None)
    shapes = [array.shape if jit else (None, *array.shape[1:]) for array in (y, z)]
    graph = traced_loss.get_concrete_function(*(tf.TensorSpec(s, a.dtype) for s, a in zip(shapes, (y, z), strict=True)))
    return np.asarray(graph(tf.constant(y), tf.constant(z)))


def applied(function: Function, z: Array, constants: Arguments, dtype: str = "float64") -> Array:
    """A function of raw scores (an activation) as an array."""
    tf = load()
    given = {name: tf.constant(value, dtype) for name, value in constants.items()}
    with floats(dtype):
        return np.asarray(function(tf.constant(z, dtype), **given))


@contextmanager
def stderr_silenced() -> Iterator[None]:
    """Drop what TensorFlow's C++ code writes to standard error: refusals to compile, above all."""
    with Path(os.devnull).open("wb") as nowhere, streams.pointed(2, nowhere.fileno()):
        yield
