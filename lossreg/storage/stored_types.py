"""The types of values that were read from JSON, checked against those that are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

# a number that is not finite is stored as None
NUMBERS = {float, int, NoneType}
Check = Callable[[Any], bool]


@cache
def of_fields(kind: Any) -> Mapping[str, Check]:
    """Return the checks of a class's fields, by name."""
    return {name: check_of(declared) for name, declared in get_type_hints(kind, include_extras=True).items()}


def mistyped(values: Mapping[str, Any], checks: Mapping[str, Check]) -> str:
    """Return the first name whose value fails its check; empty if none does."""
    return next((name for name, check in checks.items() if name in values and not check(values[name])), "")


def mistyped_field(record: Any) -> str:
    """Return the first field of a dataclass or a named tuple that is not of its declared type; empty if all are."""
    kind: Any = type(record)
    checks = of_fields(kind)
    return mistyped({name: getattr(record, name) for name in checks}, checks)


def check_of(kind: Any) -> Check:
    """Return the function that tells whether a value is of that type, at any depth; a boolean is no number."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if kind in (Any, object):
        return lambda value: True
    if kind is float:
        return lambda value: type(value) in NUMBERS
    if kind is int:
        return lambda value: type(value) is int
    if origin in (Union, UnionType, Annotated):
        checks = [check_of(part) for part in (kind.__metadata__ if origin is Annotated else parts)]
        return lambda value: any(check(value) for check in checks)
    return _check_whole(kind, origin, parts)


def _check_whole(kind: Any, origin: Any, parts: tuple[Any, ...]) -> Check:
    if is_typeddict(kind):
        return lambda value: isinstance(value, Mapping) and not mistyped(value, of_fields(kind))
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return lambda value: isinstance(value, kind) and not mistyped_field(value)
    if issubclass(origin, Mapping):
        each = _check_each(*parts[1:])
        return lambda value: isinstance(value, dict) and each(value.values())
    if issubclass(origin, (list, tuple)):
        each = _check_each(*parts[:1])
        return lambda value: isinstance(value, (list, tuple)) and each(value)
    return lambda value: isinstance(value, kind)


def _check_each(kind: Any = Any) -> Callable[[Iterable[Any]], bool]:
    """Return the function that tells whether all values are of a type."""
    if kind in (float, float | None):
        return lambda values: NUMBERS.issuperset(map(type, values))
    check = check_of(kind)
    return lambda values: all(map(check, values))
