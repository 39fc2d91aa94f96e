"""The keyword arguments of a loss: static ones, on which its graph depends, and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.contract.params import PerClass, is_static
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import Constants

if TYPE_CHECKING:
    from lossreg.training.interface import Plan, Problem

Key = tuple[str, tuple[tuple[str, Any], ...]]


def static_arguments(spec: LossSpec, params: Mapping[str, Any], n_classes: int) -> dict[str, Any]:
    """Return the arguments on which the graph depends: choices, static whole numbers, absent values."""
    static = {param.name: params[param.name] for param in spec.params if is_static(param, params[param.name])}
    return static | ({"n_classes": n_classes} if "n_classes" in spec.needs else {})


def loss_arguments(spec: LossSpec, params: Mapping[str, Any], constants: Constants) -> dict[str, np.ndarray]:
    """Return the other arguments, float32: `()` numbers, `(k,)` vectors (ones where absent) and constants."""
    values = {param.name: params[param.name] for param in spec.params if not is_static(param, params[param.name])}
    for param in spec.params:
        if isinstance(param, PerClass) and values[param.name] is None:
            values[param.name] = np.ones(constants.n_classes)
    values |= {name: value for name, value in constants.select(spec.needs).items() if name != "n_classes"}
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def static_key(problem: Problem, plan: Plan) -> Key:
    """Return a key that is equal for plans that can share a graph."""
    static = static_arguments(problem.losses[plan.candidate], plan.params, problem.dataset.n_classes)
    return plan.candidate, tuple(sorted(static.items()))
