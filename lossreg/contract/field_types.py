"""Checks of the types of a declaration's fields, in words for its author."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from numbers import Real
from typing import Any

from lossreg.errors import is_text, represented

FieldTypes = Mapping[str, tuple[Callable[[Any], bool], str]]


def is_real(value: Any) -> bool:
    """Return whether a value is a finite number, as the author of a loss writes one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_whole(value: Any) -> bool:
    """Return whether a value is a finite number without a fraction."""
    return is_real(value) and float(value).is_integer()


def mismatches(declaration: Any, types: FieldTypes) -> list[str]:
    """Return a line for each field of a dataclass whose value does not have its type."""
    values = {field.name: getattr(declaration, field.name) for field in fields(declaration) if field.name in types}
    return [
        f"{name} must be {types[name][1]}, not {represented(value)}"
        for name, value in values.items()
        if not types[name][0](value)
    ]


def tuple_problem(name: str, value: Any, kind: Any, noun: str) -> str:
    """Return why a value is no tuple of `kind`, empty where it is one."""
    if not isinstance(value, tuple):
        return f"{name} must be a tuple"
    return next((f"{name}: {represented(item)} is no {noun}" for item in value if not isinstance(item, kind)), "")


TEXT = (is_text, "text")
FLAG = (lambda value: isinstance(value, bool), "True or False")
NUMBER = (is_real, "a finite number")
