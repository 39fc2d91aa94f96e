"""Tunable parameters of a loss: `Float`, `Int`, `Choice`, `PerClass`.

Each has a default, a domain (the values for which the formula holds) and a search range
`low` to `high` inside it (the values worth trying).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, ClassVar

from lossreg.contract.field_types import FLAG, NUMBER, TEXT, FieldTypes, is_real, is_whole, mismatches
from lossreg.errors import ParameterError, count_of, is_text, represented

_LEFT = {"[": True, "(": False}
_RIGHT = {"]": True, ")": False}


@dataclass(frozen=True, slots=True)
class Interval:
    """A set of reals between two ends, each in or out: `[0, inf)`, `(0, 1)`."""

    low: float
    high: float
    closed_low: bool
    closed_high: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read `"[0, inf)"`; raises `ValueError` when `text` is no interval."""
        body = text.strip()
        low, _, high = body[1:-1].partition(",")
        try:
            interval = cls(float(low), float(high), _LEFT[body[:1]], _RIGHT[body[-1:]])
        except (KeyError, ValueError):
            raise ValueError(f"{text!r} is not an interval") from None
        if not interval.low <= interval.high:
            raise ValueError(f"{text!r} is not an interval")
        return interval

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.closed_low else value > self.low
        below = value <= self.high if self.closed_high else value < self.high
        return above and below

    def __str__(self) -> str:
        left, right = "[" if self.closed_low else "(", "]" if self.closed_high else ")"
        return f"{left}{self.low:g}, {self.high:g}{right}"


def is_interval(text: str) -> bool:
    """Return whether `Interval.parse` can read a text."""
    try:
        Interval.parse(text)
    except ValueError:
        return False
    return True


def _number(name: str, value: Any, domain: str) -> float:
    if not _may_be_number(value):
        raise ParameterError(f"{name} must be a number, not {represented(value)}")
    try:
        number = float(value)
    except Exception:
        raise ParameterError(f"{name} must be a number, not {represented(value)}") from None
    if math.isnan(number) or number not in Interval.parse(domain):
        raise ParameterError(f"{name} = {number:g} is outside its domain {domain}")
    return number


def _may_be_number(value: Any) -> bool:
    """Return False for values that `float` would turn into a number though they are none: text, truth values, dates."""
    if isinstance(value, (bool, str, bytes, bytearray)):
        return False
    return getattr(getattr(value, "dtype", None), "kind", "f") not in "bcmMOSU" and not getattr(value, "shape", ())


class _Plain:
    """Holds the numbers of a declaration as Python's own, as files of a study need them."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Replace numbers of NumPy and other libraries."""
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))


def _plain(value: Any) -> Any:
    """Return a number as Python's own, and a tuple with its numbers so; any other value as it is."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    if isinstance(value, (bool, int, float)) or not is_real(value):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


@dataclass(frozen=True, slots=True)
class Float(_Plain):
    """A real parameter; the loss function receives a scalar tensor.

    `optional` parameters may be absent (`None`): the function then receives `None`.
    """

    kind: ClassVar[str] = "float"
    name: str
    default: float | None
    low: float
    high: float
    log: bool = False
    domain: str = "(-inf, inf)"
    optional: bool = False

    def check(self, value: Any) -> float | None:
        """The value as a float; raises `ParameterError` outside the domain."""
        if value is None and self.optional:
            return None
        return _number(self.name, value, self.domain)


@dataclass(frozen=True, slots=True)
class Int(_Plain):
    """A whole-number parameter; the function receives a Python int when `static`."""

    kind: ClassVar[str] = "int"
    name: str
    default: int
    low: int
    high: int
    log: bool = False
    domain: str = "(-inf, inf)"
    static: bool = False
    optional: ClassVar[bool] = False

    def check(self, value: Any) -> int:
        """The value as an int; raises `ParameterError` when it is not whole or outside the domain."""
        number = _number(self.name, value, self.domain)
        if not number.is_integer():
            raise ParameterError(f"{self.name} must be a whole number, not {represented(value)}")
        return int(number)


@dataclass(frozen=True, slots=True)
class Choice(_Plain):
    """One of a few named values; the function receives the Python value.

    A `fixed` one is not searched: it stays at its default until a study gives a value or choices.
    """

    kind: ClassVar[str] = "choice"
    name: str
    default: Any
    choices: tuple[Any, ...]
    fixed: bool = False
    optional: ClassVar[bool] = False
    low: ClassVar[None] = None
    high: ClassVar[None] = None
    log: ClassVar[bool] = False

    def check(self, value: Any) -> Any:
        """The value itself; raises `ParameterError` when it is none of the choices."""
        given = value.tolist() if hasattr(value, "tolist") else value  # NumPy's True is no bool
        given = _tupled(given)
        for choice in self.choices:
            if _is_same(choice, given):
                return choice
        raise ParameterError(
            f"{self.name} must be one of {', '.join(map(str, self.choices))}, not {represented(value)}"
        )


@dataclass(frozen=True, slots=True)
class PerClass(_Plain):
    """One number per class; the function receives a `(k,)` vector, all ones when absent.

    Searched as one float per class (one class fixed at 1), or as one exponent `tau` of
    `n_k ** -tau` (`low_tau` to `high_tau`), n_k being the class counts of the training samples.
    """

    kind: ClassVar[str] = "per_class"
    name: str
    low: float = 0.1
    high: float = 10.0
    log: bool = True
    domain: str = "(0, inf)"
    default: tuple[float, ...] | None = None
    default_tau: float = 1.0
    low_tau: float = 0.0
    high_tau: float = 1.5
    optional: ClassVar[bool] = True

    def check(self, value: Any, n_classes: int | None = None) -> tuple[float, ...] | None:
        """The values in class order; raises `ParameterError` for a wrong length or domain."""
        if value is None:
            return None
        values = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(values, (str, bytes, bytearray, memoryview)) or not isinstance(values, Sequence):
            raise ParameterError(f"{self.name} takes one number per class, not {represented(value)}")
        if not values:
            raise ParameterError(f"{self.name} is empty, and takes one number per class")
        if n_classes is not None and len(values) != n_classes:
            raise ParameterError(f"{self.name} has {count_of(len(values), 'number')} for {n_classes} classes")
        return tuple(_number(f"{self.name}[{i}]", v, self.domain) for i, v in enumerate(values))


Param = Float | Int | Choice | PerClass


def _tupled(value: Any) -> Any:
    """Return a list, and the lists in it, as a tuple: files hold tuples as lists."""
    return tuple(map(_tupled, value)) if isinstance(value, (list, tuple)) else value


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, and both or neither a truth value."""
    try:
        return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
    except Exception:
        return False


def problem(param: Param) -> str:
    """Return why a parameter cannot be searched or is not well typed, in words; empty when it is sound."""
    if not is_text(param.name):
        return f"the name of a parameter must be text, not {represented(param.name)}"
    wrong = mismatches(param, _FIELD_TYPES) or _default_problems(param) or _range_problems(param)
    return f"{param.name}: {wrong[0]}" if wrong else ""


def _default_problems(param: Param) -> list[str]:
    value = param.default
    if isinstance(param, Choice) or value is None:
        return []
    if isinstance(param, PerClass):
        fits, wanted = isinstance(value, tuple) and all(map(is_real, value)), "a tuple of numbers"
    elif isinstance(param, Int):
        fits, wanted = all(map(is_whole, (value, param.low, param.high))), "a whole number, as must be its range"
    else:
        fits, wanted = is_real(value), "a number"
    return [] if fits else [f"the default must be {wanted}, not {represented(value)}"]


def _range_problems(param: Param) -> list[str]:
    if isinstance(param, Choice):
        return _choice_problems(param)
    if not is_interval(param.domain):
        return [f"the domain {param.domain!r} is not an interval"]
    domain, span = Interval.parse(param.domain), f"{param.low:g} to {param.high:g}"
    checks = [
        (not param.low <= param.high, f"search range upside down ({span})"),
        (param.low not in domain or param.high not in domain, f"search range {span} leaves the domain {domain}"),
        (param.log and param.low <= 0, "a log range must be positive"),
        (param.default is None and not param.optional, "it has no default and is not optional"),
    ]
    defaults = param.default if isinstance(param, PerClass) else (param.default,)
    given = [value for value in defaults or () if value is not None]
    checks += [(value not in domain, f"the default {value:g} is outside the domain {domain}") for value in given]
    checks += [(not param.low <= value <= param.high, f"the default {value:g} is outside {span}") for value in given]
    if isinstance(param, PerClass):
        tau = f"default_tau {param.default_tau:g} is outside {param.low_tau:g} to {param.high_tau:g}"
        checks.append((not param.low_tau <= param.default_tau <= param.high_tau, tau))
    return [message for wrong, message in checks if wrong]


def _choice_problems(param: Choice) -> list[str]:
    if not all(map(_can_be_stored, param.choices)):
        return ["choices must be text, numbers, booleans, None or tuples of these"]
    has_default = _can_be_stored(param.default) and any(_is_same(choice, param.default) for choice in param.choices)
    return [] if has_default else ["the default is none of the choices"]


def _can_be_stored(value: Any) -> bool:
    """Return whether the files of a study and of a model keep a choice as it is."""
    if isinstance(value, tuple):
        return all(map(_can_be_stored, value))
    # infinity is a number of a choice, such as the order of a norm
    return value is None or is_text(value) or isinstance(value, bool) or is_real(value) or _is_infinite(value)


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


_FIELD_TYPES: FieldTypes = {
    **dict.fromkeys(("low", "high", "default_tau", "low_tau", "high_tau"), NUMBER),
    **dict.fromkeys(("log", "optional", "static", "fixed"), FLAG),
    "domain": TEXT,
    "choices": (lambda value: isinstance(value, tuple) and bool(value), "a tuple that is not empty"),
}


def is_plain(param: Param, value: Any) -> bool:
    """Return whether a loss is given this value as it is, not as a tensor: None, choices, static whole numbers."""
    if isinstance(param, PerClass):
        return False
    return value is None or isinstance(param, Choice) or (isinstance(param, Int) and param.static)


def is_static(param: Param, value: Any) -> bool:
    """Return whether the graph of a loss depends on this value of its parameter."""
    # without a range there is one value, and it may be used as Python uses numbers
    return is_plain(param, value) or (not isinstance(param, PerClass) and param.low == param.high)
