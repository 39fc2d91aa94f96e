"""Columns that are no ordinary features: copies of others, groups of rows that belong together, times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import features, identifiers, parts
from lossreg.data.columns import is_number, texts
from lossreg.data.features import Features
from lossreg.data.reading import Reading
from lossreg.data.times import in_steps

Array = NDArray[Any]

# words of a name, as in customer_id, customerId, CustomerID, "customer number"
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
OF_GROUPS = frozenset((
    "account", "acct", "animal", "client", "clinic", "company", "cust", "customer", "device", "donor", "driver",
    "employee", "family", "group", "hospital", "household", "individual", "kunde", "kunden", "kundennr",
    "kundennummer", "machine", "member", "owner", "participant", "patient", "patienten", "person", "player", "school",
    "sensor", "session", "shop", "speaker", "store", "student", "subject", "teacher", "user", "vehicle", "visitor",
    "worker",
))  # fmt: skip
OF_NUMBERS = frozenset((
    "code", "guid", "hash", "id", "identifier", "ident", "index", "key", "mail", "email", "name", "no", "nr",
    "num", "number", "nummer", "uuid",
))  # fmt: skip
OF_MEASURES = frozenset(("age", "average", "avg", "by", "count", "is", "mean", "of", "per", "total"))
OF_KINDS = frozenset((
    "category", "city", "class", "color", "colour", "country", "kind", "language", "region", "state", "status", "type",
    "zip",
))  # fmt: skip
OF_EXPOSURES = frozenset(("exposition", "exposure", "exposures", "expo", "insured", "population"))
OF_TIMES = frozenset((
    "date", "datetime", "day", "hour", "month", "period", "quarter", "season", "time", "timestamp", "week", "year",
))  # fmt: skip
FEWEST_GROUPS, FEWEST_TIMES = 10, 10
REPEATS = 1.5  # rows of a group, on average
LOOKED_AT, ROWS_OF_A_GROUP, CONSTANT, CONSTANT_COLUMNS, VARIED = 200, 10, 0.95, 2, 10


def words(name: str) -> frozenset[str]:
    """Return the words of a column's name in lower case."""
    return frozenset(word.lower() for word in WORDS.findall(name))


def tables(x: Features) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables among the inputs by name; "" names a single one."""
    for name, part in features.parts(x).items():
        if isinstance(part, pd.DataFrame):
            yield name, part


def copies(table: pd.DataFrame) -> dict[str, str]:
    """Return the columns that have the values of an earlier one in every row, with the name of that one."""
    some = table.iloc[np.unique(np.linspace(0, len(table) - 1, 64).astype(int))]
    alike: dict[bytes, list[str]] = {}
    for name in map(str, table.columns):
        alike.setdefault(_mark(some[name]), []).append(name)
    firsts: dict[bytes, str] = {}
    first_of = {}
    for name in (name for names in alike.values() if len(names) > 1 for name in names if table[name].nunique() > 1):
        first = firsts.setdefault(_mark(table[name]), name)
        if first != name:
            first_of[name] = first
    return {str(name): first_of[str(name)] for name in table.columns if str(name) in first_of}


def _mark(column: pd.Series[Any]) -> bytes:
    """Return the same bytes for columns that hold the same, whole numbers and floats alike."""
    values = column.astype(np.float64) if is_number(column.dtype) else pd.Series(texts(column))
    return pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes()


def groups(table: pd.DataFrame, readings: Mapping[str, Reading]) -> dict[str, int]:
    """Return the columns whose repeated values are likely to be persons, customers, ... by their numbers of groups.

    Either the name says so, or other columns that vary between groups are constant within nearly every group.
    """
    counts = {}
    for name in map(str, table.columns):
        reading = readings.get(name)
        if reading is None or reading.kind not in ("category", "number") or not _may_group(table[name]):
            continue
        codes, distinct = pd.factorize(table[name])
        repeats = (codes >= 0).sum() / max(len(distinct), 1)
        if len(distinct) < FEWEST_GROUPS or repeats < REPEATS:
            continue
        if is_group(name) or _share_values(table, name, codes):
            counts[name] = len(distinct)
    return counts


def exposures(table: pd.DataFrame) -> list[str]:
    """Return the columns of numbers above 0 with a name usual for exposures: `exposure`, `days_insured`."""
    called = [name for name in map(str, table.columns) if words(name) & OF_EXPOSURES]
    numbers = [name for name in called if is_number(table[name].dtype) and not table[name].isna().any()]
    return [name for name in numbers if table[name].min() > 0 and table[name].nunique() > 1]


def units(column: pd.Series[Any]) -> Array:
    """Return numbers `(n,)`, equal where a column has the same value; each missing value is one of its own."""
    codes, distinct = pd.factorize(column)
    return np.where(codes >= 0, codes, len(distinct) + np.arange(len(codes)))


def is_group(name: str) -> bool:
    """Return whether a column has a name usual for persons, customers, ... or for identifiers of anything.

    So are `customer`, `customer_id` and `patient no`, but not `customer_age`.
    """
    called = [word.lower() for word in WORDS.findall(name) if not word.isdigit()]
    if OF_KINDS & {*called}:
        return False
    while len(called) > 1 and called[-1] in OF_NUMBERS:
        called.pop()
    is_person = bool(called) and called[-1] in OF_GROUPS and not OF_MEASURES & {*called}
    return is_person or identifiers.is_name(name)


def _may_group(column: pd.Series[Any]) -> bool:
    """Return whether a column holds text or whole numbers, gaps aside."""
    if getattr(column.dtype, "kind", "") != "f":
        return True
    values = column.to_numpy()
    return bool((np.isnan(values) | (values == np.floor(values))).all())


def _share_values(table: pd.DataFrame, name: str, codes: Array) -> bool:
    """Return whether some other columns are the same in all rows of nearly every group and differ between groups.

    Looks at some rows of some groups.
    """
    sizes = np.bincount(codes[codes >= 0])
    several = np.flatnonzero(sizes > 1)[:LOOKED_AT]
    if len(several) < FEWEST_GROUPS or sizes.max() * FEWEST_GROUPS > len(codes):
        return False
    rows = np.flatnonzero(np.isin(codes, several))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    begin = np.searchsorted(codes[rows], codes[rows])  # where the group of each row begins
    rows = rows[np.arange(len(rows)) - begin < ROWS_OF_A_GROUP]
    same = 0
    for other in map(str, table.columns):
        values, distinct = pd.factorize(table[other].iloc[rows], use_na_sentinel=False)
        pairs = len(np.unique(codes[rows] * len(distinct) + values))
        same += other != name and len(distinct) >= VARIED and pairs <= len(several) / CONSTANT
    return same >= CONSTANT_COLUMNS


def splits(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the columns that name the part of each row, training and another, with the rows of each part."""
    rows_of_parts = {}
    for name in map(str, table.columns):
        column = table[name]
        if is_number(column.dtype) or texts(column.iloc[:1])[0].casefold() not in parts.WORDS:
            continue
        counts: dict[int, int] = {}
        for text, number in pd.Series(texts(column)).value_counts().items():
            part = parts.WORDS.get(str(text).casefold(), -1)
            counts[part] = counts.get(part, 0) + int(number)
        if -1 not in counts and parts.TRAIN in counts and len(counts) > 1:
            rows_of_parts[name] = {parts.NAMES[part]: counts[part] for part in sorted(counts)}
    return rows_of_parts


def times(table: pd.DataFrame, readings: Mapping[str, Reading]) -> list[str]:
    """Return the columns of dates, of texts such as 2024-W05, and of ordered numbers with a name usual for times."""
    return [str(name) for name in table.columns if _is_time(str(name), table[name], readings.get(str(name)))]


def _is_time(name: str, column: pd.Series[Any], reading: Reading | None) -> bool:
    if reading is not None and reading.kind == "category":
        return column.nunique() >= FEWEST_TIMES and in_steps(column.dropna()) is not None
    if reading is None or reading.kind not in ("date", "number"):
        return False
    if reading.kind == "date":
        return True
    return is_called_time(name) and _are_in_order(column)


def is_called_time(name: str) -> bool:
    """Return whether a column has a name usual for times."""
    return bool(words(name) & OF_TIMES)


def _are_in_order(column: pd.Series[Any]) -> bool:
    return is_number(column.dtype) and column.is_monotonic_increasing and column.nunique() >= FEWEST_TIMES
