"""The functions of a backend that lanes need beyond `keras.ops`: map, loop, gradient, compile.

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
    """Shape and dtype of a leaf of one lane's tree."""

    shape: tuple[int, ...]
    dtype: str = "float32"


class Branch(Protocol):
    """One of several functions, of which each lane takes one.

    The function takes two trees of the lanes that take it: by sample, `(members, samples, ...)`, and by lane,
    `(members, ...)`. It returns `(members,)` values and their gradients, `(members, samples, ...)`.
    """

    def run(self, by_sample: Tree, by_lane: Tree) -> tuple[Tensor, Tensor]:
        """Return the compiled function of lanes that all take it."""
        ...

    def impurity(self, by_sample: Tree, by_lane: Tree) -> str:
        """Return why the function, compiled for trees of these shapes, cannot be a branch; empty when it can."""
        ...


class Backend(Protocol):
    """The functions of a backend."""

    NAME: str

    def start(self) -> None:
        """Set the threads for lanes; without effect once something was computed."""
        ...

    def blocks(self) -> int:
        """Return the number of blocks of lanes that are best trained side by side."""
        ...

    def to_device(self, values: np.ndarray) -> Tensor:
        """Return the values as a constant on the device that computes."""
        ...

    def take(self, tree: Tree, positions: Sequence[int]) -> Tree:
        """Return the lanes at these positions, in this order; outside of what is compiled."""
        ...

    def join(self, first: Tree, second: Tree) -> Tree:
        """Return the first lanes followed by the second; outside of what is compiled."""
        ...

    def gather(self, tree: Tree, positions: Tensor) -> Tree:
        """Return the entries `(*k, ...)` of every tensor `(n, ...)` at positions `(*k)`."""
        ...

    def map_lanes(self, function: Callable[[Tree], Tree], lanes: Tree) -> Tree:
        """Return the function of every lane, all at once."""
        ...

    def value_and_gradient(self, function: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
        """Return a scalar function at a point and its gradient, zeros if it has none. For use in a map."""
        ...

    def pull_back(
        self, function: Callable[[Tree], tuple[Tree, Tree]], weights: list[Tensor]
    ) -> tuple[Tree, Tree, Callable[[Tree], list[Tensor]]]:
        """Return the function's two results, and a function from gradients by the first to those by the weights."""
        ...

    def loop(
        self, body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, steps: Tree, seen: Tree
    ) -> tuple[Tree, Tree]:
        """Loop `body(carry, step) -> (carry, output)` over the leading axis of `steps`.

        Return the last carry and the outputs, `(steps, lanes, ...)`; seen: a tree of `Leaf`, the output of a lane.
        """
        ...

    def branch(self, function: Callable[[Tree, Tree], tuple[Tensor, Tensor]]) -> Branch:
        """Return the function as a branch, which is traced once for trees of one shape."""
        ...

    def arrange(self, groups: Sequence[int]) -> Tree:
        """Return the branches that lanes take, as `dispatch` needs it; lanes of one branch stand together."""
        ...

    def dispatch(
        self, branches: Sequence[Branch], arrangement: Tree, by_sample: Tree, by_lane: Tree, *, often: bool
    ) -> tuple[Tensor, Tensor]:
        """Return `(lanes,)` values and gradients of every lane's branch, shaped as the first tensor of `by_sample`.

        often: whether this number of samples is met again and again, which is worth a program for it.
        Branches without lanes cost next to nothing.
        """
        ...

    def signature(self, data: Tree) -> Tree:
        """Return what is equal for samples that one compiled function takes."""
        ...

    def compiled(self, function: Callable[[Tree, Tree, Tree], Tree], data: Tree, lanes: Tree) -> Callable[..., Tree]:
        """Return `function(data, arrangement, lanes)` as one program.

        data: tensors of the shapes that it will be given; lanes: a tree of `Leaf`; every tensor in and out, but for
        data and arrangement, has the axis of lanes first.
        """
        ...

    def in_graph(self, function: Callable[[Tree, Tree], Tree], batch: Tree, rest: Tree) -> Tree:
        """Return `function(batch, rest)`, compiled for batches of any number of samples where the backend can."""
        ...


def _feed(samples: Tree, size: int) -> Callable[[np.ndarray], dict[str, Any]]:
    def arguments(order: np.ndarray) -> dict[str, Any]:
        parts = keras.tree.map_structure(lambda values: np.asarray(values)[order], samples)
        return dict(zip(("x", "y", "sample_weight"), parts, strict=False)) | {"batch_size": size, "shuffle": False}

    return arguments


def _load() -> Backend:
    backend.check()
    return cast(Backend, import_module(f"lossreg.training.backends.{backend.name()}"))


_backend = _load()
NAME = _backend.NAME
start, blocks, to_device = _backend.start, _backend.blocks, _backend.to_device
take, join, gather, map_lanes = _backend.take, _backend.join, _backend.gather, _backend.map_lanes
value_and_gradient, pull_back, loop = _backend.value_and_gradient, _backend.pull_back, _backend.loop
branch, arrange, dispatch = _backend.branch, _backend.arrange, _backend.dispatch
signature, compiled, in_graph = _backend.signature, _backend.compiled, _backend.in_graph


def feed(samples: Tree, size: int) -> Callable[[np.ndarray], dict[str, Any]]:
    """Return a function from an order of samples to arguments of `model.fit`: x, y, perhaps weights, and batches.

    Where a backend has its own, that makes no copy of the samples.
    """
    return getattr(_backend, "feed", _feed)(samples, size)


def to_host(tensor: Tensor) -> np.ndarray:
    """Return the values of a tensor."""
    return np.asarray(tensor)


def note() -> str:
    """Return what the user should know of the installed backend; empty where it is as fast as it can be."""
    return str(getattr(_backend, "note", str)())


def compilation(steps: int) -> dict[str, Any]:
    """Return arguments of `model.compile` for epochs of that many steps."""
    return getattr(_backend, "compilation", lambda steps: {})(steps)
