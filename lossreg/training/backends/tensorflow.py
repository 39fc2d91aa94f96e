"""What is TensorFlow's own: map, loop, gradient, compile. `machine` says what each function does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from lossreg.runtime.system import cores
from lossreg.training.backends import _pfor

NAME = "TensorFlow"

Tensor = Any
Tree = Any
each = tf.nest.map_structure
map_lanes, note = _pfor.map_lanes, _pfor.note
# Leaves a function out of the graph optimiser, which gains nothing in these and takes .4 s for each
# (33 losses: first epoch 15 s with it, 3 s without).
AS_IT_IS = {"_tf_data_function": True}
TRACED = 16  # graphs of a branch that are kept for populations to come; those that live hold their own


def start() -> None:
    """Leave the cores to the blocks of lanes: small operations gain nothing from two threads each.

    Beside a graphics processor nothing is set.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)


def blocks() -> int:
    """One on a graphics processor, else one a core."""
    return 1 if tf.config.list_physical_devices("GPU") else cores()


def to_device(values: np.ndarray) -> Tensor:
    """A constant."""
    return tf.constant(values)


def to_host(tensor: Tensor) -> np.ndarray:
    """The values of a tensor."""
    return np.asarray(tensor)


def take(tree: Tree, positions: Sequence[int]) -> Tree:
    """The lanes at these positions."""
    places = tf.constant(positions, tf.int32)
    return each(lambda tensor: tf.gather(tensor, places), tree)


def join(first: Tree, second: Tree) -> Tree:
    """Those lanes, then these."""
    return each(lambda *pair: tf.concat(pair, 0), first, second)


def gather(tree: Tree, rows: Tensor) -> Tree:
    """Rows of every tensor."""
    return each(lambda tensor: tf.gather(tensor, rows), tree)


def value_and_slope(function: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
    """A scalar function and its gradient."""
    # the tape stands inside the map: outside it, a loss's custom gradient would come out wrong
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(point)
        value = function(point)
    return value, tape.gradient(value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def pull_back(
    function: Callable[[Tree], tuple[Tree, Tree]], weights: list[Tensor]
) -> tuple[Tree, Tree, Callable[[Tree], list[Tensor]]]:
    """Outputs, the rest, and slopes by outputs to slopes by weights; usable once."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        outputs, rest = function(weights)

    def back(slopes: Tree) -> list[Tensor]:
        found = tape.gradient(tf.nest.flatten(outputs), weights, tf.nest.flatten(slopes))
        return [tf.zeros_like(w) if s is None else tf.convert_to_tensor(s) for s, w in zip(found, weights, strict=True)]

    return outputs, rest, back


def loop(body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, steps: Tree, seen: Tree) -> tuple[Tree, Tree]:
    """A loop over steps that keeps what `seen` describes."""
    number = tf.nest.flatten(steps)[0].shape[0]
    kept = each(lambda leaf: tf.TensorArray(leaf.dtype, number, element_shape=[None, *leaf.shape]), seen)

    def step(i: Tensor, carry: Tree, kept: Tree) -> tuple[Tensor, Tree, Tree]:
        carry, outputs = body(carry, each(lambda tensor: tensor[i], steps))
        return i + 1, carry, each(lambda array, output: array.write(i, output), kept, outputs)

    shapes = (tf.TensorShape([]), each(lambda tensor: tensor.shape, carry), each(lambda _: tf.TensorShape(None), kept))
    _, carry, kept = tf.while_loop(
        lambda i, *_: i < number, step, (tf.constant(0), carry, kept), parallel_iterations=1, shape_invariants=shapes
    )
    return carry, each(lambda array: array.stack(), kept)


def _open(tree: Tree, axes: int) -> Tree:
    """The signature of tensors like these, whose first axes are of any length."""
    return each(lambda tensor: tf.TensorSpec([*[None] * axes, *tensor.shape[axes:]], tensor.dtype), tree)


class Branch:
    """A function of lanes as a graph of its own."""

    def __init__(self, function: Callable[[Tree, Tree], tuple[Tensor, Tensor]]) -> None:
        self.function = function
        self._traced: dict[Any, Any] = {}

    def traced(self, by_row: Tree, by_lane: Tree, *, often: bool = False) -> Any:
        """The graph for trees of these shapes, with any number of lanes; the latest `TRACED` are kept.

        Rows are of any number too, or often of this one: a graph that knows it has half as many operations.
        """
        signature = (_open(by_row, 1 if often else 2), _open(by_lane, 1))
        key = tuple(tf.nest.flatten(signature))
        found = self._traced.pop(key, None)
        if found is None:
            graph = tf.function(self.function, autograph=False, experimental_attributes=AS_IT_IS)
            found = graph.get_concrete_function(*signature)
        if len(self._traced) >= TRACED:
            del self._traced[next(iter(self._traced))]
        self._traced[key] = found
        return found

    def run(self, by_row: Tree, by_lane: Tree) -> tuple[Tensor, Tensor]:
        """The function on lanes that are all its own."""
        return self.traced(by_row, by_lane)(by_row, by_lane)

    def impurity(self, by_row: Tree, by_lane: Tree) -> str:
        """Why the graph cannot stand in `StatelessCase`."""
        graph = self.traced(by_row, by_lane)
        pure = not graph.captured_inputs and not any(op.op_def.is_stateful for op in graph.graph.get_operations())
        return "" if pure else "it holds a variable, a large constant or a random operation"


branch = Branch


def arrange(groups: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The branches that have lanes, and where those of each begin and end: `(branches,)` and `(branches + 1,)`."""
    active, first = np.unique(np.asarray(groups), return_index=True)
    return tf.constant(active, tf.int32), tf.constant([*first, len(groups)], tf.int32)


def dispatch(
    branches: Sequence[Branch], arrangement: tuple[Tensor, Tensor], by_row: Tree, by_lane: Tree, *, often: bool
) -> tuple[Tensor, Tensor]:
    """Each run of lanes through its branch."""
    active, ends = arrangement
    graphs, like = [one.traced(by_row, by_lane, often=often) for one in branches], tf.nest.flatten(by_row)[0]
    number, shapes = tf.size(active), ([None], [None, None, *like.shape[2:]])
    kept = [tf.TensorArray(tf.float32, number, infer_shape=False, element_shape=shape) for shape in shapes]

    def body(i: Tensor, kept: list[Any]) -> tuple[Tensor, list[Any]]:
        own = each(lambda tensor: tensor[ends[i] : ends[i + 1]], (by_row, by_lane))
        # not tf.switch_case: it is spread out over the graph around it, where branches not taken still cost time
        found = tf.raw_ops.StatelessCase(
            branch_index=active[i], input=tf.nest.flatten(own), Tout=[tf.float32, tf.float32], branches=graphs,
            output_shapes=shapes,
        )  # fmt: skip
        return i + 1, [array.write(i, part) for array, part in zip(kept, found, strict=True)]

    _, kept = tf.while_loop(lambda i, _: i < number, body, (tf.constant(0), kept), parallel_iterations=1)
    values, slopes = (array.concat() for array in kept)
    return tf.ensure_shape(values, [None]), tf.ensure_shape(slopes, like.shape)


def compiled(function: Callable[[Tree, Tree, Tree], Tree], data: Tree, lanes: Tree) -> Callable[..., Tree]:
    """The function as a graph of an open number of lanes."""
    specs = each(lambda leaf: tf.TensorSpec([None, *leaf.shape], leaf.dtype), lanes)
    whole = tf.TensorSpec([None], tf.int32)
    graph = tf.function(partial(function, data), input_signature=[(whole, whole), specs], autograph=False)
    # traced here, once: threads that call a tf.function for the first time would each trace it
    return graph.get_concrete_function()


def in_graph(function: Callable[[Tree, Tree], Tree], batch: Tree, rest: Tree) -> Tree:
    """The function in a graph of an open number of rows."""
    graph = tf.function(function, autograph=False).get_concrete_function(_open(batch, 1), _open(rest, 0))
    return graph(batch, rest)


def feed(rows: Tree, size: int) -> Callable[[np.ndarray], dict[str, Any]]:
    """One data set that reads the order from a variable, so that no epoch builds a new one."""
    with tf.device("CPU:0"):
        number = int(tf.nest.flatten(rows)[0].shape[0])
        order = tf.Variable(tf.range(number), trainable=False)
        batches = tf.data.Dataset.range(-(-number // size)).map(
            lambda i: each(lambda tensor: tf.gather(tensor, order[i * size : (i + 1) * size]), rows)
        )

    def arguments(new: np.ndarray) -> dict[str, Any]:
        order.assign(new)
        return {"x": batches, "shuffle": False}

    return arguments


def compilation(steps: int) -> dict[str, Any]:
    """All steps of an epoch in one call; without XLA, which takes longer to compile than small models to train."""
    return {"steps_per_execution": steps, "jit_compile": False}
