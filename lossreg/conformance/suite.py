"""The checks in order, and how they are run on a loss."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from lossreg.conformance import (
    declared,
    extremes,
    gradients,
    keras_object,
    lanes,
    minima,
    numerics,
    optima,
    parameters,
    soft,
    training,
    values,
)
from lossreg.conformance.base import Check, Failure, Result
from lossreg.conformance.case import Case
from lossreg.contract.spec import LossSpec
from lossreg.errors import UnknownError, contained, did_you_mean, one_line
from lossreg.registry import registry
from lossreg.runtime import backend

Golden = list[dict[str, Any]]


_TABLE = (
    Check("metadata", "what is declared is complete and consistent", declared.metadata, standalone=True),
    Check("names", "name and aliases belong to this loss alone", declared.names, standalone=True),
    Check("golden", "values that were computed independently", values.golden),
    Check("shape", "one value per sample, and nothing is broadcast", values.shape),
    Check("labels", "class indices and one-hot labels are the same", keras_object.labels),
    Check("finite", "value and gradient are finite on extreme raw scores", extremes.finite),
    Check(
        "confidently_wrong",
        "very wrong raw scores have a gradient, and it points the right way",
        extremes.confidently_wrong,
    ),
    Check("gradient", "the gradient is the derivative", gradients.gradient),
    Check("precision", "half, single and double precision agree", numerics.precision),
    Check("shift", "a constant added to all raw scores", values.shift),
    Check("permutation", "the order of samples and classes does not matter", values.permutation),
    Check("batch", "a batch is its samples one by one", values.batch),
    Check("reduction", "none, sum and mean agree", keras_object.reduction),
    Check("weights", "sample weights drop and repeat samples", keras_object.weights),
    Check("empty", "an empty batch and a masked one give 0", keras_object.empty),
    Check("minimum", "the minimum is what and where it is declared", minima.minimum),
    Check("arguments", "labels and predictions are not swapped", values.arguments),
    Check("descent", "fifty Adam steps improve the metric", training.descent),
    Check("optimum", "the best constant is the declared functional", optima.optimum),
    Check("limits", "at declared parameter values it equals another loss", values.limits),
    Check("alive", "every parameter changes more than the scale", parameters.alive),
    Check("domain", "parameters outside their domain are refused", declared.domain),
    Check("soft_labels", "soft labels are right or refused", soft.soft_labels),
    Check("saving", "config, pickle and file keep every parameter", numerics.saving),
    Check("graph", "eager, graph and mixed precision agree", numerics.graph),
    Check("purity", "no hidden state, inputs untouched", parameters.purity),
    Check("constants", "constants of the training samples are used and may be extreme", parameters.constants),
    Check("fuzz", "two hundred draws from the search space are finite", extremes.fuzz),
    Check("units", "probabilities and raw scores are told apart", keras_object.units),
    Check("lanes", "mapped over lanes as one at a time", lanes.lanes),
    Check("binary_side", "on a binary task the minimum is on the likelier side", optima.binary_side),
)
CHECKS: Mapping[str, Check] = MappingProxyType({check.name: check for check in _TABLE})


class Suite:
    """All checks of one loss, which share what they compute."""

    def __init__(self, loss: str | LossSpec, golden: Golden | None = None) -> None:
        backend.need_tensorflow("the checks of losses")
        spec = loss if isinstance(loss, LossSpec) else registry.default().get(loss)
        self.case = Case(spec, golden)

    def run(self, name: str) -> Result:
        """Run one check; whatever it raises is its result."""
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ok, message = self._outcome(CHECKS[name])
        return Result(name, ok, message, time.perf_counter() - start)

    def _outcome(self, check: Check) -> tuple[bool, str]:
        try:
            with contained():
                failing, why = self._broken
                if failing and not check.standalone:
                    return False, why if check.name == failing else f"not run: {why}"
                return True, check.function(self.case)
        except Failure as failure:
            return False, str(failure)
        except Exception as error:
            return False, f"it fails: {one_line(error)}"

    @cached_property
    def _broken(self) -> tuple[str, str]:
        """The check failed by a loss that cannot be called at all, and the reason; else empty."""
        return self.case.probe()


def check(loss: str | LossSpec, only: Iterable[str] = (), golden: Golden | None = None) -> list[Result]:
    """The results of all checks of a loss, or of those named in `only`, in order.

    loss: a registered name or a spec; golden: values to compare with, as in the files beside this module.
    Raises `UnknownError` for an unknown loss or check.
    """
    chosen = known(only)
    suite = Suite(loss, golden)
    return [suite.run(name) for name in CHECKS if not chosen or name in chosen]


def known(only: Iterable[str]) -> tuple[str, ...]:
    """The names of checks; raises `UnknownError` for one that does not exist."""
    chosen = tuple(only)
    for name in chosen:
        if name not in CHECKS:
            raise UnknownError(f"unknown check {name!r}", hint=did_you_mean(name, CHECKS))
    return chosen
