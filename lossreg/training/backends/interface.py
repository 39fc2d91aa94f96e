"""What lanes need of a backend beyond `keras.ops`: map, loop, gradient, compile. TensorFlow's or JAX's own.

A lane's values are stacked along a leading axis, which is open: the number of lanes changes from
call to call. Trees are nested lists, tuples, named tuples and dictionaries of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

import keras
import numpy as np

from lossreg.runtime import backend

Tensor = Any
Tree = Any


@dataclass(frozen=True, slots=True)
class Leaf:
    """Shape and dtype of what one lane holds, a leaf of a tree."""

    shape: tuple[int, ...]
    dtype: str = "float32"


class Branch(Protocol):
    """One of several functions of lanes of which each lane takes one.

    The function is given two trees of its own lanes: by row, `(members, rows, ...)`, and by lane,
    `(members, ...)`. It answers `(members,)` values and their slopes, `(members, rows, ...)`.
    """

    def run(self, by_row: Tree, by_lane: Tree) -> tuple[Tensor, Tensor]:
        """The function compiled, on lanes that are all its own."""
        ...

    def impurity(self, by_row: Tree, by_lane: Tree) -> str:
        """Why the function, compiled for trees of these shapes, cannot be a branch; empty when it can."""
        ...


class Machine(Protocol):
    """The functions of a backend."""

    NAME: str

    def start(self) -> None:
        """Set the threads for lanes; without effect once something was computed."""
        ...

    def blocks(self) -> int:
        """How many sets of lanes had best advance side by side."""
        ...

    def to_device(self, values: np.ndarray) -> Tensor:
        """A constant where the computing is done."""
        ...

    def to_host(self, tensor: Tensor) -> np.ndarray:
        """The values of a tensor that is computed."""
        ...

    def take(self, tree: Tree, positions: Sequence[int]) -> Tree:
        """Lanes at these positions, in this order; outside of what is compiled."""
        ...

    def join(self, first: Tree, second: Tree) -> Tree:
        """Those lanes, then these; outside of what is compiled."""
        ...

    def gather(self, tree: Tree, rows: Tensor) -> Tree:
        """Of every tensor `(n, ...)` the rows `(*places)` of whole numbers: `(*places, ...)`."""
        ...

    def map_lanes(self, function: Callable[[Tree], Tree], lanes: Tree) -> Tree:
        """The function of one lane, of all lanes at once."""
        ...

    def value_and_slope(self, function: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
        """A scalar function and its gradient at a point; zeros where it does not depend on it. Serves inside a map."""
        ...

    def pull_back(
        self, function: Callable[[Tree], tuple[Tree, Tree]], weights: list[Tensor]
    ) -> tuple[Tree, Tree, Callable[[Tree], list[Tensor]]]:
        """The function's outputs, what else it answers, and how slopes by its outputs become slopes by the weights."""
        ...

    def loop(
        self, body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, steps: Tree, seen: Tree
    ) -> tuple[Tree, Tree]:
        """`body(carry, step) -> (carry, output)` over the leading axis of `steps`.

        The last carry, and outputs stacked, `(steps, lanes, ...)`; seen is a tree of `Leaf`, one lane's output.
        """
        ...

    def branch(self, function: Callable[[Tree, Tree], tuple[Tensor, Tensor]]) -> Branch:
        """The function as a branch; traced once for trees of one shape, whoever asks."""
        ...

    def arrange(self, groups: Sequence[int]) -> Tree:
        """Which branch every lane takes, as `dispatch` wants it; lanes of one branch stand together."""
        ...

    def dispatch(
        self, branches: Sequence[Branch], arrangement: Tree, by_row: Tree, by_lane: Tree, *, often: bool
    ) -> tuple[Tensor, Tensor]:
        """Every lane through its own branch: `(lanes,)` values and slopes shaped as the first tensor of `by_row`.

        often: whether so many rows come again and again, which is worth a program of their own.
        What branches without lanes cost is next to nothing.
        """
        ...

    def compiled(self, function: Callable[[Tree, Tree, Tree], Tree], data: Tree, lanes: Tree) -> Callable[..., Tree]:
        """`function(data, arrangement, lanes)` as one program of `(arrangement, lanes)`.

        lanes is a tree of `Leaf`; every tensor in and out, but for data and arrangement, has the axis of lanes first.
        """
        ...

    def in_graph(self, function: Callable[[Tree, Tree], Tree], batch: Tree, rest: Tree) -> Tree:
        """`function(batch, rest)` compiled, for batches of any number of rows where the backend can."""
        ...


def _feed(rows: Tree, size: int) -> Callable[[np.ndarray], dict[str, Any]]:
    def arguments(order: np.ndarray) -> dict[str, Any]:
        parts = keras.tree.map_structure(lambda values: np.asarray(values)[order], rows)
        return dict(zip(("x", "y", "sample_weight"), parts, strict=False)) | {"batch_size": size, "shuffle": False}

    return arguments


def _own() -> Machine:
    backend.check()
    return cast(Machine, import_module(f"lossreg.training.backends.{backend.name()}"))


_machine = _own()
NAME = _machine.NAME
start, blocks, to_device, to_host = _machine.start, _machine.blocks, _machine.to_device, _machine.to_host
take, join, gather, map_lanes = _machine.take, _machine.join, _machine.gather, _machine.map_lanes
value_and_slope, pull_back, loop = _machine.value_and_slope, _machine.pull_back, _machine.loop
branch, arrange, dispatch = _machine.branch, _machine.arrange, _machine.dispatch
compiled, in_graph = _machine.compiled, _machine.in_graph


def feed(rows: Tree, size: int) -> Callable[[np.ndarray], dict[str, Any]]:
    """From an order of rows to what `model.fit` takes: x, y and perhaps weights, in batches of that size.

    A backend's own way, where it has one, makes no copy of the rows.
    """
    return getattr(_machine, "feed", _feed)(rows, size)


def note() -> str:
    """Return what the user should know of the installed backend; empty where it is as fast as it can be."""
    return str(getattr(_machine, "note", str)())


def compilation(steps: int) -> dict[str, Any]:
    """What `model.compile` is told for epochs of that many steps."""
    return getattr(_machine, "compilation", lambda steps: {})(steps)
