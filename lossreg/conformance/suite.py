"""The checks in order, and how they are run on a loss."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from lossreg import registry
from lossreg.conformance.base import Check, Failure, Result
from lossreg.conformance.subject import Subject
from lossreg.errors import UnknownError, did_you_mean, gist
from lossreg.spec import LossSpec

Golden = list[dict[str, Any]]


def _unwritten(subject: Subject) -> str:
    return "does not apply: not written yet"


_TABLE = tuple(
    Check(name, summary, _unwritten)
    for name, summary in (
        ("metadata", "what is declared is complete and consistent"),
        ("names", "name and aliases belong to this loss alone"),
        ("golden", "values that were computed independently"),
        ("shape", "one value a sample, and nothing is broadcast"),
        ("labels", "class indices and one-hot rows are the same"),
        ("finite", "value and gradient are finite on extreme scores"),
        ("confidently_wrong", "very wrong scores have a gradient, and it points the right way"),
        ("gradient", "the gradient is the derivative"),
        ("precision", "half, single and double precision agree"),
        ("shift", "a constant added to all scores"),
        ("permutation", "the order of samples and classes does not matter"),
        ("batch", "a batch is its samples one by one"),
        ("reduction", "none, sum and mean agree"),
        ("weights", "sample weights drop and repeat samples"),
        ("empty", "an empty batch and a masked one give 0"),
        ("minimum", "the minimum is what and where it is declared"),
        ("arguments", "labels and predictions are not swapped"),
        ("descent", "fifty Adam steps improve the metric"),
        ("optimum", "the best constant is the declared functional"),
        ("limits", "declared settings equal other losses"),
        ("alive", "every parameter changes more than the scale"),
        ("domain", "parameters outside their domain are refused"),
        ("soft_labels", "soft labels are right or refused"),
        ("saving", "config, pickle and file keep every parameter"),
        ("graph", "eager, graph and mixed precision agree"),
        ("purity", "no hidden state, inputs untouched"),
        ("constants", "constants of the training rows are used and may be extreme"),
        ("fuzz", "two hundred draws from the search space are finite"),
        ("units", "probabilities and raw scores are told apart"),
        ("lanes", "mapped over lanes as one at a time"),
        ("binary_side", "on a binary task the minimum is on the likelier side"),
    )
)
CHECKS: Mapping[str, Check] = MappingProxyType({check.name: check for check in _TABLE})


class Suite:
    """All checks of one loss, which share what they compute."""

    def __init__(self, loss: str | LossSpec, golden: Golden | None = None) -> None:
        spec = loss if isinstance(loss, LossSpec) else registry.default().get(loss)
        self.subject = Subject(spec, golden)

    def run(self, name: str) -> Result:
        """One check; whatever it raises is its result."""
        start = time.perf_counter()
        ok, message = _outcome(CHECKS[name], self.subject)
        return Result(name, ok, message, time.perf_counter() - start)


def check(loss: str | LossSpec, only: Iterable[str] = (), golden: Golden | None = None) -> list[Result]:
    """The results of all checks of a loss, or of those named in `only`, in order.

    loss: a registered name or a spec; golden: values to compare with, as in the files beside this module.
    Raises `UnknownError` for a loss or a check that there is not.
    """
    wanted = tuple(only)
    for name in wanted:
        if name not in CHECKS:
            raise UnknownError(f"unknown check {name!r}", hint=did_you_mean(name, CHECKS))
    suite = Suite(loss, golden)
    return [suite.run(name) for name in CHECKS if not wanted or name in wanted]


def _outcome(check: Check, subject: Subject) -> tuple[bool, str]:
    try:
        return True, check.function(subject)
    except Failure as failure:
        return False, str(failure)
    except Exception as error:
        return False, f"it fails: {gist(error)}"
