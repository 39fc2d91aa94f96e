"""Activations: from raw scores to predictions in the task's own terms, and back.

An activation's functions take a tensor `(batch, *spatial_shape, outputs)` and, as keywords, the constants
named in its `needs`; they return a tensor of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lossreg import ops
from lossreg.errors import UnknownError, did_you_mean, represented

TINY = 1e-37


@dataclass(frozen=True, slots=True)
class Activation:
    """A named pair of functions.

    `inverse` is None where raw scores cannot be recovered. `point` is the output whose
    prediction is scored in a regression task.
    """

    name: str
    forward: Callable[..., Any]
    inverse: Callable[..., Any] | None
    needs: tuple[str, ...] = ()
    point: int = 0


def _identity(z: Any) -> Any:
    return z


def _log(p: Any) -> Any:
    return ops.log(ops.maximum(p, TINY))


def _softmax(z: Any) -> Any:
    return ops.softmax(z, axis=-1)


def _sigmoid(z: Any) -> Any:
    return ops.sigmoid(z)


def _logit(p: Any) -> Any:
    # 1 - p underflows to 0 one float32 step below 1, hence the floor inside the logarithm
    return _log(p) - _log(1.0 - p)


def _exp(z: Any, *, target_mean: Any) -> Any:
    return target_mean * ops.exp(z)


def _exp_inverse(prediction: Any, *, target_mean: Any) -> Any:
    return _log(prediction / target_mean)


def _softplus(z: Any, *, target_scale: Any) -> Any:
    return target_scale * ops.softplus(z)


def _softplus_inverse(prediction: Any, *, target_scale: Any) -> Any:
    # log(e^x - 1) = x + log(1 - e^-x)
    x = ops.maximum(prediction / target_scale, 1e-7)
    return x + ops.log(-ops.expm1(-x))


def _affine(z: Any, *, target_mean: Any, target_scale: Any) -> Any:
    return target_mean + target_scale * z


def _affine_inverse(prediction: Any, *, target_mean: Any, target_scale: Any) -> Any:
    return (prediction - target_mean) / target_scale


def _rising(z: Any) -> Any:
    # the first quantile, then steps up from it, so that quantiles never cross
    first, steps = z[..., :1], ops.softplus(z[..., 1:])
    return ops.concatenate([first, first + ops.cumsum(steps, axis=-1)], axis=-1)


# the name of earlier versions, which plugins may import
Link = Activation
ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", _identity, _identity),
        Activation("softmax", _softmax, _log),
        Activation("sigmoid", _sigmoid, _logit),
        Activation("exp", _exp, _exp_inverse, needs=("target_mean",)),
        Activation("softplus", _softplus, _softplus_inverse, needs=("target_scale",)),
        Activation("affine", _affine, _affine_inverse, needs=("target_mean", "target_scale")),
        # no way back: of quantiles that tie or cross there are no raw scores
        Activation("quantiles", _rising, None, point=1),
    )
}


def is_usual(activation: Activation) -> bool:
    """Return whether a loss of classes with this activation has raw scores whose largest or whose sign is the class."""
    return activation.forward in (_softmax, _sigmoid, _identity)


def has_log_link(activation: Activation) -> bool:
    """Return whether raw scores are logarithms of a mean, up to a constant, so that an exposure can be an offset."""
    return activation.forward is _exp


def get(activation: str | Activation) -> Activation:
    """The activation of that name; an `Activation` is returned as it is. Raises `UnknownError`."""
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise UnknownError(f"an activation is a name or an Activation, not {represented(activation)}")
    if activation not in ACTIVATIONS:
        raise UnknownError(
            f"unknown activation {activation!r}; known: {', '.join(ACTIVATIONS)}",
            hint=did_you_mean(activation, ACTIVATIONS),
        )
    return ACTIVATIONS[activation]
