"""Values that were read from JSON, checked against the types and the least values that are declared."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

# a number that is not finite is stored as None
NUMBERS = {float, int, NoneType}
MOST = 2**63
Check = Callable[[Any], bool]


def not_negative(value: float | None) -> bool:
    """Return whether a number is 0 or more, or unknown."""
    return value is None or value >= 0


def is_known(value: float | None) -> bool:
    """Return whether a number is known."""
    return value is not None


def is_size(value: float | None) -> bool:
    """Return whether a number is 0 or more."""
    return value is not None and value >= 0


def is_count(value: int) -> bool:
    """Return whether a whole number can be one of trials, rows or repeats."""
    return 0 <= value < MOST


def is_share(value: float | None) -> bool:
    """Return whether a number is from 0 to 1."""
    return value is not None and 0 <= value <= 1


def all_known(values: Collection[float | None]) -> bool:
    """Return whether there are values, and all are known."""
    return bool(values) and None not in values


def as_tuple(stored: Any) -> Any:
    """Return a list as a tuple; anything else as it is, of a wrong type."""
    return tuple(stored) if isinstance(stored, list) else stored


Count = Annotated[int, is_count]
Share = Annotated[float, is_share]
Size = Annotated[float, is_size]
MaybeInfinite = Annotated[float, not_negative]
Scores = Annotated[tuple[float, ...], all_known]
Known = Annotated[float, is_known]
Seconds = Mapping[str, Known]


@cache
def of_fields(kind: Any) -> Mapping[str, Check]:
    """Return the checks of a class's fields, by name."""
    return {name: check_of(declared) for name, declared in get_type_hints(kind, include_extras=True).items()}


def wrong_name(values: Mapping[str, Any], checks: Mapping[str, Check]) -> str:
    """Return the first name whose value fails its check; empty if none does."""
    return next((name for name, check in checks.items() if name in values and not check(values[name])), "")


def wrong_field(record: Any) -> str:
    """Return the first field of a dataclass or a named tuple that is not as it is declared; empty if all are."""
    kind: Any = type(record)
    checks = of_fields(kind)
    return wrong_name({name: getattr(record, name) for name in checks}, checks)


def check_of(kind: Any) -> Check:
    """Return the function that tells whether a value is of that type, at any depth; a boolean is no number."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if kind in (Any, object):
        return lambda value: True
    if kind is float:
        return lambda value: type(value) is float or _are_numbers((value,))
    if kind is int:
        return lambda value: type(value) is int
    if isinstance(kind, FunctionType):
        return kind
    if origin in (Union, UnionType, Annotated):
        checks, of = list(map(check_of, parts)), all if origin is Annotated else any
        return lambda value: of(check(value) for check in checks)
    return _check_whole(kind, origin, parts)


def _check_whole(kind: Any, origin: Any, parts: tuple[Any, ...]) -> Check:
    if is_typeddict(kind):
        return lambda value: isinstance(value, Mapping) and not wrong_name(value, of_fields(kind))
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return lambda value: isinstance(value, kind) and not wrong_field(value)
    if issubclass(origin, Mapping):
        each = _check_each(*parts[1:])
        return lambda value: isinstance(value, dict) and each(value.values())
    if issubclass(origin, (list, tuple)):
        each = _check_each(*parts[:1])
        return lambda value: isinstance(value, (list, tuple)) and each(value)
    return lambda value: isinstance(value, kind)


def _check_each(kind: Any = Any) -> Callable[[Collection[Any]], bool]:
    """Return the function that tells whether all values are of a type."""
    if kind in (float, float | None):
        return _are_numbers
    check = check_of(kind)
    return lambda values: all(map(check, values))


def _are_numbers(values: Collection[Any]) -> bool:
    """Return whether all are numbers that a float can hold."""
    kinds = set(map(type, values))
    return kinds <= NUMBERS and (int not in kinds or all(abs(value or 0) <= sys.float_info.max for value in values))
