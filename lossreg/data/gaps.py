"""Values that a study names as missing (`na_values`), taken out of tables and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Gap
from lossreg.data import reading
from lossreg.data.cells import example, text_of
from lossreg.data.lost import Lost, Reason, grouped
from lossreg.data.numerals import PLAIN
from lossreg.data.origin import near
from lossreg.errors import DataError, is_hashable

Gaps = tuple[Gap, ...] | Mapping[str, tuple[Gap, ...]]
NAMED = Reason("is among na_values", "are among na_values")


def of_column(gaps: Gaps, name: str) -> tuple[Gap, ...]:
    """Return the values that are missing in a column."""
    return gaps.get(name, ()) if isinstance(gaps, Mapping) else gaps


def taken_out(table: pd.DataFrame, gaps: Gaps, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return a table with these values as missing, and notes on how many there are.

    Raises `DataError` for a column that is not there.
    """
    names = list(map(str, table.columns))
    if isinstance(gaps, Mapping) and (unknown := [name for name in gaps if name not in names]):
        what = f"na_values names the column {unknown[0]!r}, which is not there"
        raise DataError(what, where=where, hint=near(unknown[0], names))
    table, found, counts = table.copy(deep=False), set[Gap](), {}
    for name in names:
        held = marked(table[name], of_column(gaps, name))
        found.update(held.values())
        if held:
            rows = np.isin(np.arange(len(table)), list(held))
            counts[name] = f"{_counted(rows)} in na_values ({_shown(held.values())}), taken as missing"
            table[name] = table[name].mask(rows)
    return table, [*grouped(counts), *_not_found(gaps, found)]


def _counted(rows: NDArray[np.bool_]) -> str:
    count = int(rows.sum())
    return f"{count} of {len(rows)} values {'is' if count == 1 else 'are'}"


def _shown(values: Iterable[Gap]) -> str:
    return ", ".join(map(example, dict.fromkeys(values)))


def _not_found(gaps: Gaps, found: set[Gap]) -> list[str]:
    every = [gap for values in gaps.values() for gap in values] if isinstance(gaps, Mapping) else gaps
    lacking = [gap for gap in dict.fromkeys(every) if gap not in found]
    return [f"na_values: {_shown(lacking)} {'stand' if len(lacking) > 1 else 'stands'} nowhere."] if lacking else []


def count(table: pd.DataFrame, gaps: Gaps, lost: Lost) -> pd.DataFrame:
    """Return new rows with these values as missing, which are counted."""
    columns = {}
    for name in map(str, table.columns):
        if held := marked(table[name], of_column(gaps, name)):
            rows = np.isin(np.arange(len(table)), list(held))
            lost.add(name, NAMED, table[name], rows)
            columns[name] = table[name].mask(rows)
    return table.assign(**columns) if columns else table


def marked(column: pd.Series[Any], gaps: tuple[Gap, ...]) -> dict[int, Gap]:
    """Return the rows of a column whose value is one of these, each with it; a number stands for its value."""
    if not gaps or (column.dtype == object and not all(map(is_hashable, column))):
        return {}
    if reading.is_number(column.dtype):
        rows = np.flatnonzero(column.isin([number for gap in gaps if (number := _number(gap)) is not None]))
    else:
        places, distinct = pd.factorize(column)
        rows = np.flatnonzero(np.array([*(_meant(value, gaps) is not None for value in distinct), False])[places])
    return {int(row): gap for row in rows if (gap := _meant(column.iloc[row], gaps)) is not None}


def _meant(value: Any, gaps: tuple[Gap, ...]) -> Gap | None:
    """Return the one of these values that a value is, None for none."""
    if isinstance(value, (bool, np.bool_)):
        return next((gap for gap in gaps if gap == text_of(value)), None)
    text = text_of(value)
    number = float(text) if PLAIN.fullmatch(text) else None
    return next((gap for gap in gaps if gap == text or (number is not None and _number(gap) == number)), None)


def _number(gap: Gap) -> float | None:
    if isinstance(gap, str):
        return float(gap) if PLAIN.fullmatch(gap) else None
    return float(gap)
