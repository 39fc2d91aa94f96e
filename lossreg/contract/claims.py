"""`Claims`: properties that a loss claims to have, which the conformance suite checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lossreg.contract import former_names
from lossreg.contract.field_types import FLAG, TEXT, FieldTypes, is_real, mismatches, tuple_problem
from lossreg.errors import InputError, did_you_mean, is_text, represented

SMALL = 2e-3


@dataclass(frozen=True, slots=True)
class Limit:
    """With the parameters `at` a loss is `factor` times the loss `equals` with its parameters `of`.

    Parameters not named are at their defaults. rtol is the relative tolerance, larger where the limit is
    only approached.
    """

    at: Mapping[str, Any]
    equals: str
    of: Mapping[str, Any] = field(default_factory=dict)
    factor: float = 1.0
    rtol: float = 1e-5

    def __str__(self) -> str:
        given = ", ".join(f"{name} {reached(value)}" for name, value in self.at.items())
        return f"{given or 'always'}: {'' if self.factor == 1 else f'{self.factor:g} x '}{self.equals}"

    @property
    def problem(self) -> str:
        """The first field that has a wrong type, in words; empty when there is none."""
        checks = [
            (isinstance(self.at, Mapping) and isinstance(self.of, Mapping), "at and of must map names to values"),
            (is_text(self.equals), f"equals must name a loss, not {represented(self.equals)}"),
            (is_real(self.factor) and is_real(self.rtol), "factor and rtol must be numbers"),
        ]
        return next((f"limits: {message}" for sound, message in checks if not sound), "")


def reached(value: Any) -> str:
    """Describe a value in a limit: `= 1`; `-> 0`, `-> inf` or `-> 1` for a value that is only near it."""
    if not isinstance(value, (int, float)):
        return f"= {str(value).lower()}"
    if 0 < abs(value) <= SMALL or abs(value) >= 1 / SMALL:
        return "-> 0" if abs(value) < 1 else f"-> {'-' * (value < 0)}inf"
    near = 0 < abs(value - round(value)) < SMALL
    return f"-> {round(value)}" if near else f"= {value:g}"


@dataclass(frozen=True, slots=True, init=False)
class Claims:
    """Properties that a loss claims to have.

    score_range: raw scores between which the formula is exact; shift_invariant: the value stays when a
    constant is added to all raw scores; symmetric: labels and raw scores may be swapped;
    non_differentiable_points: there are some, as at a hinge's margin; stop_gradient: the gradient is not
    the value's derivative, on purpose; truncated: some wrong samples have no gradient;
    minimum: the value that it comes down to on a hard label, whatever its parameters (None: it depends on
    them or on the label); elicits: the functional that it estimates ("probability", "mode", "weighted
    mode", which is the mode where classes are equally frequent and no weight is given, "mean", "median",
    "quantile", "expectile", or a phrase); limits: parameters at which it equals another loss.

    Every claim is given by its name. `stated` are the names of those that were given.
    """

    score_range: tuple[float, float] | None = None
    shift_invariant: bool = False
    symmetric: bool = False
    non_differentiable_points: bool = False
    stop_gradient: bool = False
    truncated: bool = False
    minimum: float | None = 0.0
    elicits: str = ""
    limits: tuple[Limit, ...] = ()
    stated: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    def __init__(self, **claims: Any) -> None:
        """Take the claims by their names; raises `InputError` for an unknown name."""
        given = former_names.by_present_names(claims, where="Claims", renamed=former_names.CLAIMS)
        given.pop("stated", None)  # passed by `dataclasses.replace`
        for name in given:
            if name not in CLAIMS:
                raise InputError(f"unknown keyword {name!r}", where="Claims", hint=did_you_mean(name, CLAIMS))
        for claim in fields(self):
            object.__setattr__(self, claim.name, given.get(claim.name, claim.default))
        object.__setattr__(self, "stated", frozenset(given))

    def problems(self) -> list[str]:
        """Fields of the wrong type, in words."""
        wrong_tuple = tuple_problem("limits", self.limits, Limit, "Limit")
        wrong_fields = [*([wrong_tuple] if wrong_tuple else []), *mismatches(self, FIELD_TYPES)]
        return wrong_fields or [limit.problem for limit in self.limits if limit.problem]


CLAIMS = tuple(claim.name for claim in fields(Claims) if claim.name != "stated")


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(is_real, value)) and value[0] < value[1]


FIELD_TYPES: FieldTypes = {
    **dict.fromkeys(("shift_invariant", "symmetric", "non_differentiable_points", "stop_gradient", "truncated"), FLAG),
    "elicits": TEXT,
    "minimum": (lambda value: value is None or is_real(value), "a number or None"),
    "score_range": (lambda value: value is None or _is_range(value), "two numbers, low and high"),
}
