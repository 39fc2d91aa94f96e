"""Columns of a table that are likely to be its target."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lossreg.data import identifiers, kinds
from lossreg.data.columns import is_number
from lossreg.inspection import columns

NAMES = frozenset((
    "class", "churn", "churned", "cost", "default", "defaulted", "diagnosis", "fraud", "label", "labels", "left",
    "outcome", "price", "quality", "response", "result", "salary", "score", "species", "status", "survived", "target",
    "target_class", "y", "ziel",
))  # fmt: skip
FEW, SHOWN = 20, 5


def targets(table: pd.DataFrame) -> list[str]:
    """Return likely target columns, the likeliest first: by name, by being last or first, or with few values."""
    names = list(map(str, table.columns))
    usable = {name: kind for name in names if (kind := describe(table[name], name))}
    points = {name: _points(name, table[name], place, len(names)) for place, name in enumerate(names)}
    return sorted(usable, key=lambda name: (-points[name], -names.index(name)))[:SHOWN]


def _points(name: str, column: pd.Series[Any], place: int, number: int) -> int:
    is_called = bool(columns.words(name) & NAMES) or name.lower() in NAMES
    return 4 * is_called + 2 * (place == number - 1) + (place == 0) + (column.nunique() <= FEW)


def describe(column: pd.Series[Any], name: str) -> str:
    """Return what a column would be as a target, such as `2 classes`; empty where it cannot be one."""
    there = column.dropna()
    distinct = there.nunique()
    if distinct < 2 or any(identifiers.of(column.to_frame(name), {})):
        return ""
    if not is_number(there.dtype):
        return _of_texts(there, distinct)
    is_classes = distinct <= FEW and bool((there == there.round()).all())
    return f"{distinct:,} classes" if is_classes else "numbers"


def _of_texts(there: pd.Series[Any], distinct: int) -> str:
    kind = kinds.infer(there).kind
    if kind == "number" and distinct > FEW:
        return "numbers"
    return f"{distinct:,} classes" if kind != "date" and distinct <= len(there) // 2 else ""
