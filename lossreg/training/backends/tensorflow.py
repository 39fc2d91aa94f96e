"""The functions of `interface.Backend` on TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
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
# Keeps a function from the graph optimiser, which gains nothing in these and takes .4 s for each
# (33 losses: first epoch 15 s with it, 3 s without).
AS_IT_IS = {"_tf_data_function": True}
TRACED = 16  # graphs of a branch that are kept for later populations; live ones have references to theirs


def start() -> None:
    """Leave the cores to the blocks of lanes: small operations gain nothing from two threads each.

    Beside a graphics processor nothing is set.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)


def blocks() -> int:
    """Return 1 on a graphics processor, else the number of cores."""
    return 1 if tf.config.list_physical_devices("GPU") else cores()


def to_device(values: np.ndarray) -> Tensor:
    """Return a constant."""
    return tf.constant(values)


def take(tree: Tree, positions: Sequence[int]) -> Tree:
    """Return the lanes at these positions."""
    chosen = tf.constant(positions, tf.int32)
    return each(lambda tensor: tf.gather(tensor, chosen), tree)


def join(first: Tree, second: Tree) -> Tree:
    """Return the first lanes followed by the second."""
    return each(lambda *pair: tf.concat(pair, 0), first, second)


def gather(tree: Tree, positions: Tensor) -> Tree:
    """Return the entries of every tensor at these positions."""
    return each(lambda tensor: tf.gather(tensor, positions), tree)


def value_and_gradient(function: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
    """Return a scalar function and its gradient."""
    # the tape is inside the map: outside it, a custom gradient of a loss would be wrong
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(point)
        value = function(point)
    return value, tape.gradient(value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def pull_back(
    function: Callable[[Tree], tuple[Tree, Tree]], weights: list[Tensor]
) -> tuple[Tree, Tree, Callable[[Tree], list[Tensor]]]:
    """Return the outputs, the rest, and a function from gradients by outputs to those by weights; to be called once."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        outputs, rest = function(weights)

    def back(gradients: Tree) -> list[Tensor]:
        by_weights = tape.gradient(tf.nest.flatten(outputs), weights, tf.nest.flatten(gradients))
        # those of tables come in slices
        pairs = zip(by_weights, weights, strict=True)
        return [tf.zeros_like(weight) if part is None else tf.convert_to_tensor(part) for part, weight in pairs]

    return outputs, rest, back


def loop(body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, steps: Tree, seen: Tree) -> tuple[Tree, Tree]:
    """Loop over steps, and keep outputs as `seen` describes them."""
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
    """Return the signature of tensors like these, whose first axes have any length."""
    return each(lambda tensor: tf.TensorSpec([*[None] * axes, *tensor.shape[axes:]], tensor.dtype), tree)


class Branch:
    """A function of lanes as a graph of its own."""

    def __init__(self, function: Callable[[Tree, Tree], tuple[Tensor, Tensor]]) -> None:
        self.function = function
        self._traced: dict[Any, Any] = {}

    def traced(self, by_sample: Tree, by_lane: Tree, *, often: bool = False) -> Any:
        """Return the graph for trees of these shapes, with any number of lanes; the latest `TRACED` are kept.

        often: the graph is for this number of samples alone, and has half as many operations.
        """
        signature = (_open(by_sample, 1 if often else 2), _open(by_lane, 1))
        key = tuple(tf.nest.flatten(signature))
        traced = self._traced.pop(key, None)
        if traced is None:
            graph = tf.function(self.function, autograph=False, experimental_attributes=AS_IT_IS)
            traced = graph.get_concrete_function(*signature)
        if len(self._traced) >= TRACED:
            del self._traced[next(iter(self._traced))]
        self._traced[key] = traced
        return traced

    def run(self, by_sample: Tree, by_lane: Tree) -> tuple[Tensor, Tensor]:
        """Return the function of lanes that all take it."""
        return self.traced(by_sample, by_lane)(by_sample, by_lane)

    def impurity(self, by_sample: Tree, by_lane: Tree) -> str:
        """Return why the graph cannot be a branch of `StatelessCase`; empty when it can."""
        graph = self.traced(by_sample, by_lane)
        pure = not graph.captured_inputs and not any(op.op_def.is_stateful for op in graph.graph.get_operations())
        return "" if pure else "it holds a variable, a large constant or a random operation"


branch = Branch


def arrange(groups: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return `(branches,)` those that have lanes, and `(branches + 1,)` positions where their lanes begin and end."""
    active, first = np.unique(np.asarray(groups), return_index=True)
    return tf.constant(active, tf.int32), tf.constant([*first, len(groups)], tf.int32)


def dispatch(
    branches: Sequence[Branch], arrangement: tuple[Tensor, Tensor], by_sample: Tree, by_lane: Tree, *, often: bool
) -> tuple[Tensor, Tensor]:
    """Run the lanes of each branch through it."""
    active, ends = arrangement
    graphs, like = [one.traced(by_sample, by_lane, often=often) for one in branches], tf.nest.flatten(by_sample)[0]
    number, shapes = tf.size(active), ([None], [None, None, *like.shape[2:]])
    kept = [tf.TensorArray(tf.float32, number, infer_shape=False, element_shape=shape) for shape in shapes]

    def body(i: Tensor, kept: list[Any]) -> tuple[Tensor, list[Any]]:
        members = each(lambda tensor: tensor[ends[i] : ends[i + 1]], (by_sample, by_lane))
        # not tf.switch_case, which is inlined into the graph around it, where branches not taken still cost time
        results = tf.raw_ops.StatelessCase(
            branch_index=active[i], input=tf.nest.flatten(members), Tout=[tf.float32, tf.float32], branches=graphs,
            output_shapes=shapes,
        )  # fmt: skip
        return i + 1, [array.write(i, part) for array, part in zip(kept, results, strict=True)]

    _, kept = tf.while_loop(lambda i, _: i < number, body, (tf.constant(0), kept), parallel_iterations=1)
    values, gradients = (array.concat() for array in kept)
    return tf.ensure_shape(values, [None]), tf.ensure_shape(gradients, like.shape)


def signature(data: Tree) -> Tree:
    """Return specifications of the samples, of an open number."""
    return _open(data, 1)


def compiled(function: Callable[[Tree, Tree, Tree], Tree], data: Tree, lanes: Tree) -> Callable[..., Tree]:
    """Return the function as a graph of an open number of lanes."""
    specs = each(lambda leaf: tf.TensorSpec([None, *leaf.shape], leaf.dtype), lanes)
    whole = tf.TensorSpec([None], tf.int32)
    graph = tf.function(function, input_signature=[signature(data), (whole, whole), specs], autograph=False)
    # traced here, once: several threads that call a tf.function first would each trace it
    return graph.get_concrete_function()


def in_graph(function: Callable[[Tree, Tree], Tree], batch: Tree, rest: Tree) -> Tree:
    """Return the function, in a graph of an open number of samples."""
    graph = tf.function(function, autograph=False).get_concrete_function(_open(batch, 1), _open(rest, 0))
    return graph(batch, rest)


def feed(samples: Tree, size: int) -> Callable[[np.ndarray], dict[str, Any]]:
    """Return a function from an order to one data set, which reads the order from a variable."""
    with tf.device("CPU:0"):
        number = int(tf.nest.flatten(samples)[0].shape[0])
        order = tf.Variable(tf.range(number), trainable=False)
        batches = tf.data.Dataset.range(-(-number // size)).map(
            lambda i: each(lambda tensor: tf.gather(tensor, order[i * size : (i + 1) * size]), samples)
        )

    def arguments(new: np.ndarray) -> dict[str, Any]:
        order.assign(new)
        return {"x": batches, "shuffle": False}

    return arguments


def compilation(steps: int) -> dict[str, Any]:
    """Have all steps of an epoch in one call; without XLA, which compiles longer than small models train."""
    return {"steps_per_execution": steps, "jit_compile": False}
