"""Values that a study names as missing (`na_values`), taken out of tables and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Gap, Options
from lossreg.data import columns, numerals, readings
from lossreg.data.cells import example, in_ascii, text_of
from lossreg.data.lost import Lost, Reason, grouped
from lossreg.data.numerals import PLAIN, Numerals
from lossreg.data.origin import near
from lossreg.errors import DataError, is_hashable

Gaps = tuple[Gap, ...] | Mapping[str, tuple[Gap, ...]]
NAMED = Reason("is among na_values", "are among na_values")


def of_column(gaps: Gaps, name: str) -> tuple[Gap, ...]:
    """Return the values that are missing in a column."""
    return gaps.get(name, ()) if isinstance(gaps, Mapping) else gaps


def taken_out(table: pd.DataFrame, options: Options, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return a table with the values that the study names as missing, and notes on how many there are.

    Raises `DataError` for a column that is not there.
    """
    gaps, names = options.na_values, list(map(str, table.columns))
    if isinstance(gaps, Mapping) and (unknown := [name for name in gaps if name not in names]):
        what = f"na_values names the column {unknown[0]!r}, which is not there"
        raise DataError(what, where=where, hint=near(unknown[0], names))
    decimal = "" if options.marks else readings.decimal_mark(table)
    table, present, counts = table.copy(deep=False), set[Gap](), {}
    for name in names:
        here = of_column(gaps, name)
        held = marked(table[name], here, _form(table[name], here, decimal, options)) if here else {}
        present.update(held.values())
        if held:
            rows = np.isin(np.arange(len(table)), list(held))
            counts[name] = f"{_counted(rows)} in na_values ({_shown(held.values())}), taken as missing"
            table[name] = table[name].mask(rows)
    return table, [*grouped(counts), *_not_found(gaps, present)]


def _counted(rows: NDArray[np.bool_]) -> str:
    count = int(rows.sum())
    return f"{count:,} of {len(rows):,} values {'is' if count == 1 else 'are'}"


def _shown(values: Iterable[Gap]) -> str:
    return ", ".join(map(example, dict.fromkeys(values)))


def _not_found(gaps: Gaps, present: set[Gap]) -> list[str]:
    every = [gap for values in gaps.values() for gap in values] if isinstance(gaps, Mapping) else gaps
    values = {_number(gap, None) for gap in present} - {None}
    lacking = [gap for gap in dict.fromkeys(every) if gap not in present and _number(gap, None) not in values]
    verb = "do" if len(lacking) > 1 else "does"
    return [f"na_values: {_shown(lacking)} {verb} not occur in the data."] if lacking else []


def count(table: pd.DataFrame, options: Options, forms: Mapping[str, Numerals], lost: Lost) -> pd.DataFrame:
    """Return new rows with the values that the study names as missing, which are counted.

    forms: how columns of numbers write these.
    """
    columns, stated = {}, numerals.with_marks(options.marks)
    for name in map(str, table.columns):
        if held := marked(table[name], of_column(options.na_values, name), forms.get(name, stated)):
            rows = np.isin(np.arange(len(table)), list(held))
            lost.add(name, NAMED, table[name], rows)
            columns[name] = table[name].mask(rows)
    return table.assign(**columns) if columns else table


def _form(column: pd.Series[Any], gaps: tuple[Gap, ...], decimal: str, options: Options) -> Numerals | None:
    """Return how a column writes numbers beside the texts that are missing, None where it holds none as text."""
    if columns.is_number(column.dtype) or not all(map(is_hashable, column)):
        return numerals.with_marks(options.marks)
    named, there = [gap for gap in gaps if isinstance(gap, str)], column.dropna().astype(object)
    if form := numerals.of_column(there[~there.isin(named)], decimal, options.marks):
        return form
    texts = columns.in_texts(there, options.marks).map(text_of)
    counts = texts[~texts.isin(named)].value_counts()
    forced = options.columns.get(str(column.name)) == "number"
    return numerals.infer(counts, decimal, options.marks, forced=forced) or numerals.with_marks(options.marks)


def marked(column: pd.Series[Any], gaps: tuple[Gap, ...], form: Numerals | None = None) -> dict[int, Gap]:
    """Return the rows of a column whose value is one of these, each with it; a number stands for its value.

    form: how the column writes numbers as text, None for as in Python.
    """
    if not gaps:
        return {}
    if column.dtype == object:
        column = column.where(np.array([is_hashable(value) for value in column], bool))
    known = {gap: _number(gap, form) for gap in gaps}
    if columns.is_number(column.dtype):
        rows = np.flatnonzero(column.isin([number for number in known.values() if number is not None]))
    else:
        places, distinct = pd.factorize(column)
        held = np.append(_possible(distinct, known, form), False)
        held[held] = [_meant(value, known, form) is not None for value in distinct[held[:-1]]]
        rows = np.flatnonzero(held[places])
    return {int(row): gap for row in rows if (gap := _meant(column.iloc[row], known, form)) is not None}


def _possible(values: Any, gaps: Mapping[Gap, float | None], form: Numerals | None) -> NDArray[np.bool_]:
    """Return which of different values may be one of these: texts that are other numbers are not, and most are."""
    if not all(isinstance(value, str) for value in values):
        return np.ones(len(values), bool)
    numbers = numerals.values(pd.Series(values, dtype=object), form or Numerals(group="none"))
    return np.isnan(numbers) | np.isin(numbers, [number for number in gaps.values() if number is not None])


def _meant(value: Any, gaps: Mapping[Gap, float | None], form: Numerals | None) -> Gap | None:
    """Return which of these values a value equals, None for none."""
    if isinstance(value, (bool, np.bool_)):  # a file may write it as true, True or TRUE
        return next((gap for gap in gaps if isinstance(gap, str) and gap.lower() == text_of(value).lower()), None)
    text = text_of(value)
    number = _value(text, None if columns.is_real(value) else form)
    return next((gap for gap, of in gaps.items() if gap == text or (number is not None and of == number)), None)


def _number(gap: Gap, form: Numerals | None) -> float | None:
    return _value(gap, form) if isinstance(gap, str) else float(gap)


def _value(text: str, form: Numerals | None) -> float | None:
    """Return the number that a text is in a form, or else as in Python; None for none."""
    number = np.nan if form is None else form.number(text)
    if np.isnan(number):
        return float(in_ascii(text)) if PLAIN.fullmatch(text) else None
    return float(number)
