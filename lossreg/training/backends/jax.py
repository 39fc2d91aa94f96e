"""The functions of `interface.Backend` on JAX."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import keras
import numpy as np
from jax import lax
from jax import numpy as jnp

from lossreg.runtime.system import cores

NAME = "JAX"

Tensor = Any
Tree = Any
each, leaves = jax.tree.map, jax.tree.leaves
# lanes of one branch that are computed together
CHUNK = 4
# Blocks of lanes have a thread each. Losses are many small functions: at the usual level 3 compiling takes
# a third longer, and the program is no faster.
ON_PROCESSORS = {"xla_cpu_multi_thread_eigen": False, "xla_backend_optimization_level": 1}
RANDOM = ("random_bits", "threefry2x32", "rng_bit_generator", "rng_uniform")


def start() -> None:
    """Do nothing: the threads of a program are set when it is compiled."""


def blocks() -> int:
    """Return 1 on a graphics processor, else the number of cores."""
    return cores() if jax.default_backend() == "cpu" else 1


def to_device(values: np.ndarray) -> Tensor:
    """Return a constant."""
    return jnp.asarray(values)


def take(tree: Tree, positions: Sequence[int]) -> Tree:
    """Return the lanes at these positions; with NumPy, since JAX would compile this for every number of lanes."""
    chosen = np.asarray(positions, np.int32)
    return each(lambda tensor: np.asarray(tensor)[chosen], tree)


def join(first: Tree, second: Tree) -> Tree:
    """Return the first lanes followed by the second; with NumPy likewise."""
    return each(lambda *pair: np.concatenate([np.asarray(part) for part in pair]), first, second)


def gather(tree: Tree, positions: Tensor) -> Tree:
    """Return the entries of every tensor at these positions."""
    return each(lambda tensor: tensor.at[positions].get(mode="promise_in_bounds"), tree)


def map_lanes(function: Callable[[Tree], Tree], lanes: Tree) -> Tree:
    """Return the function of every lane, all at once."""
    return jax.vmap(function)(lanes)


def value_and_gradient(function: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
    """Return a scalar function and its gradient."""
    return jax.value_and_grad(function)(point)


def pull_back(
    function: Callable[[Tree], tuple[Tree, Tree]], weights: list[Tensor]
) -> tuple[Tree, Tree, Callable[[Tree], list[Tensor]]]:
    """Return the outputs, the rest, and a function from gradients by outputs to those by weights."""
    outputs, back, rest = jax.vjp(function, weights, has_aux=True)
    return outputs, rest, lambda gradients: back(gradients)[0]


def loop(body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, steps: Tree, seen: Tree) -> tuple[Tree, Tree]:
    """Scan over steps; JAX needs no description of the outputs."""
    return lax.scan(body, carry, steps)


class Watch(keras.StatelessScope):
    """Records whether a variable was read or assigned."""

    touched = False

    def get_current_value(self, variable: Any) -> Any:
        """Return the value of a variable in this scope."""
        self.touched = True
        return super().get_current_value(variable)

    def add_update(self, update: Any) -> None:
        """Set the value of a variable in this scope."""
        self.touched = True
        super().add_update(update)


class Branch:
    """A function of lanes."""

    def __init__(self, function: Callable[[Tree, Tree], tuple[Tensor, Tensor]]) -> None:
        self.function = function
        self._compiled = jax.jit(function)

    def run(self, by_sample: Tree, by_lane: Tree) -> tuple[Tensor, Tensor]:
        """Return the function of lanes that all take it."""
        return self._compiled(by_sample, by_lane)

    def impurity(self, by_sample: Tree, by_lane: Tree) -> str:
        """Return why the function would not be the same in every step; empty when it would."""
        with Watch() as watch:
            traced = str(jax.make_jaxpr(self.function)(by_sample, by_lane))
        pure = not watch.touched and not any(name in traced for name in RANDOM)
        return "" if pure else "it holds a variable or a random operation"


branch = Branch


def arrange(groups: Sequence[int]) -> dict[str, np.ndarray]:
    """Return chunks of lanes of one branch: their branch, first lane, and end; and the number of chunks."""
    branches = np.asarray(groups)
    parts = []
    for which in np.unique(branches):
        first, end = np.searchsorted(branches, [which, which + 1])
        parts += [(which, at, min(at + CHUNK, end)) for at in range(first, end, CHUNK)]
    columns = np.array(parts, np.int32).T
    return {"which": columns[0], "first": columns[1], "end": columns[2], "number": np.asarray(len(parts), np.int32)}


def dispatch(
    branches: Sequence[Branch], arrangement: dict[str, Tensor], by_sample: Tree, by_lane: Tree, *, often: bool = False
) -> tuple[Tensor, Tensor]:
    """Run each chunk through its branch; results beyond its end, or before its first lane, are dropped."""
    like = leaves(by_sample)[0]
    lanes = like.shape[0]
    size = min(CHUNK, lanes)
    functions = [one.function for one in branches]

    def body(i: Tensor, kept: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        first = arrangement["first"][i]
        at = jnp.minimum(first, lanes - size)
        cut = partial(lax.dynamic_slice_in_dim, start_index=at, slice_size=size)
        results = lax.switch(arrangement["which"][i], functions, *each(cut, (by_sample, by_lane)))
        positions = at + jnp.arange(size)
        inside = (positions >= first) & (positions < arrangement["end"][i])

        def put(whole: Tensor, part: Tensor) -> Tensor:
            mask = inside.reshape(-1, *[1] * (part.ndim - 1))
            return lax.dynamic_update_slice_in_dim(whole, jnp.where(mask, part, cut(whole)), at, 0)

        return put(kept[0], results[0]), put(kept[1], results[1])

    return lax.fori_loop(0, arrangement["number"], body, (jnp.zeros(lanes), jnp.zeros_like(like)))


def _width(lanes: int) -> int:
    """Return a number of lanes to compile for: at most a quarter more, so that there are few programs.

    It is at least 2: an axis of length 1 is compiled away, and a lane by itself would differ in the last bits.
    """
    lanes = max(2, lanes)
    step = max(1, 1 << max(0, (lanes - 1).bit_length() - 3))
    return -(-lanes // step) * step


def _lengthened(tensor: Any, length: int) -> np.ndarray:
    values = np.asarray(tensor)
    return np.concatenate([values, np.repeat(values[-1:], length - len(values), 0)]) if len(values) < length else values


class Program:
    """A function of lanes, compiled for a few numbers of them, to which lanes are padded.

    A narrower program is compiled once the padding has cost as much time as compiling takes.
    """

    def __init__(self, function: Callable[[Tree, Tree, Tree], Tree]) -> None:
        on_processors = jax.default_backend() == "cpu"
        self._jit = jax.jit(function, compiler_options=ON_PROCESSORS if on_processors else None)
        self._programs: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._compiling = self._wasted = 0.0

    def __call__(self, data: Tree, arrangement: dict[str, Any], lanes: Tree) -> Tree:
        """Return the function of these lanes."""
        number = len(leaves(lanes)[0])
        program, width = self._program(number, data, arrangement, lanes)
        begin = time.perf_counter()
        results = program(data, *self._padded(width, arrangement, lanes))
        results = each(lambda tensor: np.asarray(tensor)[:number], results)
        self._wasted += (time.perf_counter() - begin) * (1 - _width(number) / width)
        return results

    def _program(self, number: int, data: Tree, arrangement: dict[str, Any], lanes: Tree) -> tuple[Any, int]:
        with self._lock:
            wide = [width for width in self._programs if width >= number]
            best = _width(number)
            if wide and (min(wide) <= best or self._wasted <= self._compiling):
                return self._programs[min(wide)], min(wide)
            begin = time.perf_counter()
            self._programs[best] = self._jit.lower(data, *self._padded(best, arrangement, lanes)).compile()
            self._compiling, self._wasted = time.perf_counter() - begin, 0.0
            return self._programs[best], best

    def _padded(self, width: int, arrangement: dict[str, Any], lanes: Tree) -> tuple[dict[str, Any], Tree]:
        chunks = {name: _lengthened(part, width) if part.ndim else part for name, part in arrangement.items()}
        return chunks, each(lambda tensor: _lengthened(tensor, width), lanes)


def signature(data: Tree) -> Tree:
    """Return shapes and types of the samples."""
    return each(lambda tensor: (tuple(tensor.shape), str(tensor.dtype)), data)


def compiled(function: Callable[[Tree, Tree, Tree], Tree], data: Tree, lanes: Tree) -> Callable[..., Tree]:
    """Return the function as programs for the numbers of lanes that are met."""
    return Program(function)


def in_graph(function: Callable[[Tree, Tree], Tree], batch: Tree, rest: Tree) -> Tree:
    """Return the function, compiled for this number of samples."""
    # outside a scope, a variable that is assigned while this is traced would keep the tracer
    with keras.StatelessScope():
        return jax.jit(function)(batch, rest)
