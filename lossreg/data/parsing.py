"""The rows under a header, parsed by pandas, and lines that have other fields than it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from types import MappingProxyType
from typing import Any

import pandas as pd

from lossreg.data import files, numerals
from lossreg.data.cells import example
from lossreg.data.delimited_file import Delimited, Record
from lossreg.errors import DataError, count_of

FIELDS_SAID = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
QUOTED = re.compile(r"inside string starting at row (\d+)")
TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}  # of pandas


def table(file: Delimited, header: list[str], first: Record | None) -> pd.DataFrame:
    """Return the rows under a header."""
    width = len(header)
    fields = 0 if first is None else len(first.fields)
    if first is not None and fields > width + 1:
        what = f"line {first.line} has {count_of(fields, 'field')}, and the header has {width}"
        raise file.error(what, _fields_hint(file, width))
    if fields == width + 1:
        return _one_more(file, width)
    table = _without_trailing(file, header, parsed(file))
    if file.rows is None:
        short = Short()
        short.count(table)
        short.note(file)
    return table


def _without_trailing(file: Delimited, header: list[str], table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the empty columns that separators at the end of the header and of the lines make."""
    empty = 0
    for name, column in zip(reversed(header[1:]), reversed(list(table.columns)), strict=False):
        if name.strip() or not len(table) or not table[column].isna().all():
            break
        empty += 1
    if not empty:
        return table
    columns = "column is" if empty == 1 else f"{empty} columns are"
    file.notes.append(f"Lines end with a separator: the empty last {columns} left out.")
    return table.iloc[:, :-empty]


def empty_end(file: Delimited, header: list[str], columns: Collection[str], table: pd.DataFrame) -> int:
    """Return the number of last columns without a name that are not among `columns`, since the first rows are empty.

    Raises `DataError` where `table`, some rows of the file, has a value in them.
    """
    empty = 0
    for name, column in zip(reversed(header[1:]), reversed(list(table.columns)), strict=False):
        if name.strip() or str(column).strip() in columns:
            break
        empty += 1
    filled = table.index[table.iloc[:, len(header) - empty :].notna().any(axis=1)]
    if len(filled) and isinstance(table.index, pd.RangeIndex):
        line = next(islice(file.body(), int(filled[0]), None)).line
        raise file.error(f"line {line} has a value in a column without a name", "Name every column in the header.")
    return empty


def without_blank_end(file: Delimited, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the last lines where they hold separators alone, as spreadsheets write them."""
    if len(table.columns) < 2 or not len(table) or not table.iloc[-1].isna().all():
        return table
    blank = 0
    for record in file.body():
        blank = 0 if any(text.strip() for text in record.fields) else blank + 1
    if not blank:
        return table
    note_blank_end(file, blank)
    file.rows = len(table) - blank
    return parsed(file)[list(table.columns)]


def note_blank_end(file: Delimited, blank: int) -> None:
    """Note that the last lines hold separators alone."""
    lines = "line holds" if blank == 1 else f"{blank} lines hold"
    file.on_lines.append(f"The last {lines} separators alone: left out.")


def _fields_hint(file: Delimited, width: int) -> str:
    if width == 1:
        return "The first line is the header: remove a title above it."
    return f"Put a field that contains {file.separator!r} in quotes."


def _one_more(file: Delimited, width: int) -> pd.DataFrame:
    """Return rows with one field more than the header: a separator ends them, or row names begin them, as in R."""
    if all(len(record.fields) <= width or not record.fields[width].strip() for record in file.body()):
        file.notes.append("Lines end with a separator: the empty last column is left out.")
        file.index_col = False
        return parsed(file)
    _check_row_names(file, width)
    file.notes.append("The first field of each line has no name in the header: names of rows, left out.")
    return parsed(file)


def _check_row_names(file: Delimited, width: int) -> None:
    """Raise `DataError` where a first field repeats, so that it is a column and no name of a row."""
    lines: dict[str, int] = {}
    for line, fields in file.body():
        name = fields[0].strip()
        if len(fields) > width and name in lines:
            what = f"line {line} has {count_of(len(fields), 'field')}, and the header has {width}"
            again = f"The first field {example(name)} is that of line {lines[name]} again, so it names no row"
            raise file.error(what, f"{again}: give every column a name in the header.")
        lines[name] = line


def parsed(file: Delimited, dtype: Mapping[Any, type] = MappingProxyType({})) -> pd.DataFrame:
    """Return the rows as pandas parses them; dtype: the types of some columns. Raises `DataError`."""
    with _parser(file, dtype, nrows=file.rows) as table:
        return _with_marks(file, table, {*file.as_text, *dtype})


def in_pieces(file: Delimited, size: int) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield `size` rows at a time, as pandas parses them and as they are written in the file; raises `DataError`."""
    with _parser(file, chunksize=size) as tables, _parser(file, chunksize=size, dtype=str, na_filter=False) as texts:
        for table, written in zip(tables, texts, strict=True):
            yield _with_marks(file, table, file.as_text), written


def as_texts(file: Delimited, size: int, names: Collection[str] | None) -> Iterator[pd.DataFrame]:
    """Yield `size` rows of these columns at a time as they are written, as far as `file.rows` goes; None for all.

    Raises `DataError`.
    """
    chosen = {} if names is None else {"usecols": lambda name: name.strip() in names}
    with _parser(file, chunksize=size, nrows=file.rows, dtype=str, na_filter=False, **chosen) as tables:
        yield from tables


@contextmanager
def _parser(file: Delimited, dtype: Any = MappingProxyType({}), **options: Any) -> Iterator[Any]:
    """Have what `pandas.read_csv` returns; raises `DataError` for what it cannot parse."""
    types = dtype if dtype is str else {**dict.fromkeys(file.as_text, str), **dtype}
    with files.reading(file.path, file.where), file.open() as text:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)
                yield pd.read_csv(
                    text, sep=file.separator, quotechar=file.quote, low_memory=False, index_col=file.index_col,
                    skipinitialspace=file.skips_spaces, skiprows=file.left_out,
                    dtype=str if file.options.marks else types, **options,
                )  # fmt: skip
        except pd.errors.ParserError as error:
            raise _parser_error(file, str(error)) from None


def _with_marks(file: Delimited, table: pd.DataFrame, as_text: Collection[str]) -> pd.DataFrame:
    """Return the table with numbers where a column holds nothing but numbers with the marks that the study names.

    Truth values become such as without marks.
    """
    form = numerals.with_marks(file.options.marks)
    if form is None:
        return table
    for name in table:
        if name in as_text:
            continue
        if (numbers := numerals.plain_numbers(table[name], form)) is not None:
            table[name] = numbers
        elif table[name].notna().any() and table[name].dropna().isin(list(TRUTHS)).all():
            table[name] = table[name].astype(object).map(TRUTHS, na_action="ignore")
    return table


def _parser_error(file: Delimited, text: str) -> DataError:
    if match := FIELDS_SAID.search(text):
        expected, line, saw = match.groups()
        hint = _fields_hint(file, int(expected))
        return file.error(
            f"cannot be read: line {line} has {count_of(int(saw), 'field')}, and the header has {expected}", hint
        )
    if match := QUOTED.search(text):
        return file.error(f"cannot be read: a quote that opens in line {int(match[1]) + 1} is never closed")
    return file.error(f"cannot be read: {' '.join(text.split())[:300]}")


class Short:
    """Counts lines with fewer fields than the header; their last values are missing: the last column has gaps."""

    def __init__(self) -> None:
        self.rows, self.width, self.may_be = 0, 0, False

    def count(self, table: pd.DataFrame) -> None:
        """Take in some rows; names of rows, which no line can be without, are their index."""
        self.rows, self.width = self.rows + len(table), table.shape[1]
        self.may_be |= isinstance(table.index, pd.RangeIndex) and bool(table.iloc[:, -1].isna().any())

    def note(self, file: Delimited) -> None:
        """Note their number in the whole file."""
        short = [record.line for record in file.body() if len(record.fields) < self.width] if self.may_be else []
        if short:
            lines = f"{len(short):,} of {self.rows:,} lines have" if len(short) > 1 else f"1 of {self.rows:,} lines has"
            file.on_lines.append(
                f"{lines} fewer fields than the header (line {short[0]}): the others are taken as missing."
            )
