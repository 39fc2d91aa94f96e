"""The keyword arguments of a loss, split into what its graph depends on and what flows through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.contract.params import PerClass, is_plain
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import Constants

if TYPE_CHECKING:
    from lossreg.training.interface import Plan, Problem

Key = tuple[str, tuple[tuple[str, Any], ...]]


def is_static(param: Any, value: Any) -> bool:
    """Whether the graph of a loss depends on this value of its parameter."""
    # without a range there is one value, and it may be used as Python uses numbers
    return is_plain(param, value) or (not isinstance(param, PerClass) and param.low == param.high)


def static_arguments(spec: LossSpec, params: Mapping[str, Any], n_classes: int) -> dict[str, Any]:
    """The arguments on which the graph itself depends: choices, static whole numbers, absent values."""
    static = {param.name: params[param.name] for param in spec.params if is_static(param, params[param.name])}
    return static | ({"n_classes": n_classes} if "n_classes" in spec.needs else {})


def loss_arguments(spec: LossSpec, params: Mapping[str, Any], constants: Constants) -> dict[str, np.ndarray]:
    """The other arguments, float32: `()` numbers, `(k,)` vectors (ones where absent) and constants."""
    values = {param.name: params[param.name] for param in spec.params if not is_static(param, params[param.name])}
    for param in spec.params:
        if isinstance(param, PerClass) and values[param.name] is None:
            values[param.name] = np.ones(constants.n_classes)
    values |= {name: value for name, value in constants.select(spec.needs).items() if name != "n_classes"}
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def static_key(problem: Problem, plan: Plan) -> Key:
    """Equal for plans that can share a graph."""
    static = static_arguments(problem.losses[plan.candidate], plan.params, problem.dataset.n_classes)
    return plan.candidate, tuple(sorted(static.items()))
