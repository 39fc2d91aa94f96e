"""Readings of the columns of a table, inferred once and kept for new rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Options
from lossreg.data import numerals, plain_texts
from lossreg.data.cells import COMPLEX, of_column
from lossreg.data.columns import Marks, plain
from lossreg.data.conversions import AsNumbers
from lossreg.data.kinds import as_kind, infer
from lossreg.data.lost import A_GAP, INFINITE, Lost, grouped
from lossreg.data.reading import Reading
from lossreg.errors import DataError


class Readings(dict[str, Reading]):
    """The readings of the columns of a table, by name."""

    @classmethod
    def of(cls, rows: pd.DataFrame, options: Options | None = None) -> Readings:
        """Return the readings that the study or else these rows suggest; raises `DataError` for unreadable columns."""
        options = options or Options()
        decimal, readings = decimal_mark(rows), cls()
        for name in map(str, rows.columns):
            with of_column(name):
                readings[name] = one(rows[name], decimal, options.marks, options.columns.get(name, ""))
        return readings

    def wherever_as(self, others: Readings, rows: pd.DataFrame) -> Readings:
        """Return the other readings, or these where both give a column of these rows the same values."""
        same = {name for name, other in others.items() if _are_alike(self[name], other, rows[name])}
        return Readings({name: self[name] if name in same else other for name, other in others.items()})

    def notes(self) -> list[str]:
        """Return notes on columns whose reading is not obvious."""
        return grouped({name: reading.note for name, reading in self.items()})

    def missing(self, rows: pd.DataFrame) -> dict[str, int]:
        """Return the number of missing values per column, blank texts among numbers and dates included."""
        counts = {name: _gaps(rows[name], reading) for name, reading in self.items() if reading.kind != "empty"}
        return {name: count for name, count in counts.items() if count}

    def marks(self) -> Iterator[bytes]:
        """Yield bytes that tell these readings from the usual ones of the same values; none where they are usual."""
        for name, reading in self.items():
            if reading.mark:
                yield f"{name} read as {reading.kind}: {reading.mark}".encode()

    def apply(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, Lost]:
        """Return the rows with numbers and dates as float64, NaN where a value cannot be read, and the lost values.

        Raises `DataError`.
        """
        lost = Lost(len(rows))
        at_once = {name: True for name, reading in self.items() if _at_once(reading, rows[name].dtype)}
        columns: dict[str, Any] = {}
        for name in [name for name in self if name not in at_once]:
            with of_column(name):
                column, read = plain(rows[name]), self[name].read
                columns[name] = (
                    _words(column, self[name], lost) if read is None else _kept(column, name, self[name], lost)
                )
        table = pd.concat([pd.DataFrame(columns, index=rows.index), _block(rows[list(at_once)], lost)], axis=1)
        return table[list(self)], lost


def one(column: pd.Series[Any], decimal: str = "", asked: Marks | None = None, kind: str = "") -> Reading:
    """Return the reading of a column as the kind that the study names, or as its values suggest; raises `DataError`.

    decimal, asked: as in `kinds.infer`.
    """
    reading = as_kind(column, kind, decimal, asked) if kind else infer(column, decimal, asked)
    return _with_marks(reading, asked)


def _with_marks(reading: Reading, asked: Marks | None) -> Reading:
    """Return the reading of a column of numbers so that texts of further rows have the marks that the study names."""
    stated = numerals.with_marks(asked)
    if stated is None or reading.read != AsNumbers():
        return reading
    return reading._replace(read=AsNumbers(stated))


def _are_alike(one: Reading, other: Reading, column: pd.Series[Any]) -> bool:
    """Return whether two readings give a column the same values."""
    if one.kind != other.kind or one.read is None or other.read is None:
        return (one.kind, one.read, one.gaps) == (other.kind, other.read, other.gaps)
    column = plain(column)
    return one.read == other.read or np.array_equal(one.read(column), other.read(column), equal_nan=True)


def _gaps(column: pd.Series[Any], reading: Reading) -> int:
    gaps = int(column.isna().sum())
    if reading.read is None or not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return gaps
    return gaps + plain_texts.blanks(column)


def _at_once(reading: Reading, dtype: Any) -> bool:
    """Return whether a column has a numeric type, so that it can be read together with others."""
    return isinstance(reading.read, AsNumbers) and isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _block(numbers: pd.DataFrame, lost: Lost) -> pd.DataFrame:
    values = numbers.to_numpy(np.float64)
    infinite = np.isinf(values)
    for i in np.flatnonzero(infinite.any(axis=0)):
        lost.add(str(numbers.columns[int(i)]), INFINITE, values[:, i], infinite[:, i])
    if infinite.any():
        values = np.where(infinite, np.nan, values)
    return pd.DataFrame(values, numbers.index, numbers.columns, copy=False)


def decimal_mark(rows: pd.DataFrame) -> str:
    """Return the decimal mark that texts in a table use beyond doubt, empty where they leave it open or disagree."""
    columns = (column for column in _of_text(rows) if column.str.contains(",", regex=False).any())
    forms = [numerals.of_column(column) or numerals.infer(column.value_counts()) for column in columns]
    marks = {form.decimal for form in forms if form is not None and not form.doubt}
    return marks.pop() if len(marks) == 1 else ""


def _of_text(rows: pd.DataFrame) -> Iterator[pd.Series[Any]]:
    """Return the values of the columns of text."""
    for name in rows.columns:
        with of_column(str(name)):
            column = plain(rows[name])
            is_text = _is_text(column)
        if is_text:
            yield column.dropna()


def _is_text(column: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) in ("string", "bytes")


def _words(column: pd.Series[Any], reading: Reading, lost: Lost) -> pd.Series[Any]:
    """Return the column with the texts that mark gaps as missing, which are counted."""
    if not reading.gaps or not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return column
    gaps = _are_gaps(column, reading.gaps)
    lost.add(str(column.name), A_GAP, column, gaps)
    return column.mask(gaps) if gaps.any() else column


def _are_gaps(column: pd.Series[Any], gaps: frozenset[str]) -> NDArray[np.bool_]:
    """Return which values are texts that mark gaps."""
    if isinstance(column.dtype, pd.StringDtype):
        written = [text for text in column.dropna().unique() if text.strip().lower() in gaps]
        return column.isin(written).to_numpy(bool)
    known: dict[str, bool] = {}
    return np.array([isinstance(value, str) and _is_gap(value, gaps, known) for value in column], bool)


def _is_gap(text: str, gaps: frozenset[str], known: dict[str, bool]) -> bool:
    """Return whether a text is one of these; answers are kept, since texts repeat."""
    if text not in known:
        known[text] = text.strip().lower() in gaps
    return known[text]


def _kept(column: pd.Series[Any], name: str, reading: Reading, lost: Lost) -> pd.Series[Any]:
    assert reading.read is not None
    if column.dtype.kind == "c":
        raise DataError("holds complex numbers", hint=COMPLEX)
    values = reading.read(column)
    there = ~column.isna().to_numpy(bool)
    lost.add(name, INFINITE, column, there & np.isinf(values))
    lost.add(name, reading.reason, column, _unread(column, there & np.isnan(values)))
    return pd.Series(np.where(np.isinf(values), np.nan, values), column.index, name=name)


def _unread(column: pd.Series[Any], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`where` without blank texts, which are missing anyway."""
    for i in np.flatnonzero(where):
        value = column.iloc[i]
        if isinstance(value, str) and not value.strip():
            where[i] = False
    return where
