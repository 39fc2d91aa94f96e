"""The constants of the training data that the caller gives to a Keras loss, such as class counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossreg.contract import activations
from lossreg.contract.params import Float, PerClass
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import WEIGHTS
from lossreg.errors import InputError, ParameterError, UnknownError, did_you_mean

CONSTANTS: dict[str, Any] = {
    "target_mean": Float("target_mean", 0.0, 0.0, 1.0),
    "target_center": Float("target_center", 0.0, 0.0, 1.0),
    "target_scale": Float("target_scale", 1.0, 1.0, 1.0, domain="(0, inf)"),
    "class_counts": PerClass("class_counts", domain="[0, inf)"),
    "class_priors": PerClass("class_priors", domain="[0, 1]", high=1.0),
    "progress": Float("progress", 1.0, 0.0, 1.0, domain="[0, 1]"),
}
BY_BATCH = {
    "n_classes": "It follows from the predictions.",
    WEIGHTS: "Give it where the loss is called, or to model.fit.",
}
PRIOR_SLACK = 1e-3


def checked(spec: LossSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every constant that a loss needs except `n_classes`, with defaults; raises `InputError`."""
    wanted = spec.row_constants
    for name in given:
        if name not in wanted:
            hint = BY_BATCH.get(name) or did_you_mean(name, wanted)
            raise UnknownError(f"{spec.name} does not take {name!r} here", hint=hint)
    return {name: _constant(spec, name, given) for name in wanted}


def _constant(spec: LossSpec, name: str, given: Mapping[str, Any]) -> Any:
    if name == "class_priors" and given.get(name) is None:
        counts = _constant(spec, "class_counts", given)
        return tuple(count / sum(counts) for count in counts)
    if name not in CONSTANTS:
        raise InputError(f"it needs {name}, which a Keras loss does not have")
    param = CONSTANTS[name]
    default = 1.0 if name == "target_mean" and activations.get(spec.activation).name == "exp" else param.default
    value = param.check(given.get(name, default))
    if value is None or (name == "class_counts" and not sum(value) > 0):
        example = "class_counts=[900, 100], the number of training samples per class"
        raise InputError(f"{spec.name} needs {name}", hint=f"Give {example}.")
    if name == "class_priors" and abs(sum(value) - 1) > PRIOR_SLACK and spec.target != "multihot":
        raise ParameterError(f"class_priors sum to {sum(value):g}, not to 1")
    if name == "target_mean" and activations.get(spec.activation).name == "exp" and value <= 0:
        raise ParameterError(f"target_mean = {value:g} is outside its domain (0, inf)")
    return value
