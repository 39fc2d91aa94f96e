"""Tables in text files of separated fields, such as CSV, without what pandas would lose or rename in silence."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lossreg.contract.data_options import Options
from lossreg.data import codes, compressed, header, numerals, parsing, readings
from lossreg.data.delimited_file import Delimited, Record
from lossreg.data.encoding import encoding_of
from lossreg.data.origin import listed
from lossreg.data.row_numbers import Place

SEPARATORS = {
    **dict.fromkeys(compressed.endings(".csv"), ","),
    **dict.fromkeys(compressed.endings(".tsv"), "\t"),
}

THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+|[+-]?\d{1,3}")


class Table(NamedTuple):
    """The table of a file, notes on it, those of them that are about lines that are not read in full, and its place."""

    rows: pd.DataFrame
    notes: list[str]
    on_lines: list[str]
    place: Place


def read(
    path: Path,
    where: str,
    as_text: Collection[str] = (),
    coded: Collection[str] | None = None,
    *,
    known: Collection[str] = (),
    options: Options | None = None,
) -> Table:
    """Return the table of a file; raises `DataError`, which names the line where it can.

    as_text: columns that are always text; coded: the columns whose whole numbers may be read as codes, such as
    postcodes, None for all; known: columns that are data even if they look like names or numbers of rows; options:
    what the study says about the file.
    """
    separator = next(sep for ending, sep in SEPARATORS.items() if path.name.lower().endswith(ending))
    file = Delimited(path, where, separator, options=options or Options())
    file.encoding = encoding_of(file)
    names, first = header.read(file)
    header.check_names(file, names)
    file.as_text = [name for name in names if name.strip() in as_text]
    table = parsing.without_blank_end(file, parsing.table(file, names, first))
    table = _without_units(file, table, names, first)
    table = _with_codes(file, _with_thousands(file, table), coded)
    header.check_repeated(file, names, table)
    table = _without_index(_tidied(table, file.notes), file.notes, known)
    file.notes.extend(_long(table))
    return Table(table, file.notes + file.on_lines, file.on_lines, Place(where, "line", "the file", file.lines))


def _long(table: pd.DataFrame) -> list[str]:
    """Return a note on values that span several lines, as behind a quote that was not meant to open one."""
    counts = {
        name: table[name].str.count("\n").max() for name in table if isinstance(table[name].dtype, pd.StringDtype)
    }
    long = {str(name): int(count) + 1 for name, count in counts.items() if count > 0}
    if not long:
        return []
    return [f"{listed(long)}: values in quotes span several lines, up to {max(long.values())}."]


def _tidied(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return the table with names of columns that have no spaces around them."""
    padded = [name.strip() for name in map(str, table.columns) if name != name.strip()]
    if not padded:
        return table
    notes.append(f"{listed(padded)}: spaces around the name in the file are removed.")
    return table.rename(columns=lambda name: str(name).strip())


def _with_thousands(file: Delimited, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `1.234` as text where other columns have decimal commas: it may mean 1234."""
    reals = [name for name in table if table[name].dtype.kind == "f"]
    if not reals or file.options.marks or readings.decimal_mark(table) != ",":
        return table
    written = parsing.parsed(file, dtype=dict.fromkeys(reals, str))
    for name in reals:
        texts_of = written[name].dropna()
        if texts_of.str.contains(".", regex=False).any() and texts_of.str.fullmatch(THOUSANDS).all():
            table[name] = written[name].array
    return table


def _with_codes(file: Delimited, table: pd.DataFrame, columns: Collection[str] | None) -> pd.DataFrame:
    """Return the table with codes as text, since pandas drops leading zeros; those of other numbers are noted."""
    whole = [name for name in table if _is_whole(table[name])]
    if not whole or not _has_leading_zeros(file):
        return table
    written = parsing.parsed(file, dtype=dict.fromkeys(whole, str))
    for name in whole:
        texts, column = written[name].str.strip(), str(name).strip()
        counts = numerals.present(texts.value_counts())
        is_number = file.options.columns.get(column) == "number"
        if codes.are_codes(counts) and not is_number and (columns is None or column in columns):
            table[name] = texts.array
        elif zeros := codes.zeros(counts):
            file.notes.append(f"{listed([column])}: {zeros}, read as numbers.")
    return table


def _is_whole(column: pd.Series[Any]) -> bool:
    """Return whether a column holds whole numbers, also with gaps, for which pandas makes them floats."""
    if column.dtype.kind in "iu":
        return True
    return column.dtype.kind == "f" and bool((column.dropna() % 1 == 0).all()) and bool(column.notna().any())


def _has_leading_zeros(file: Delimited) -> bool:
    """Return whether a field of the file may begin with a zero and another digit."""
    return file.holds(rf'0(?<=[\s"{re.escape(file.separator)}]0)\d')


def _without_units(file: Delimited, table: pd.DataFrame, names: list[str], first: Record | None) -> pd.DataFrame:
    """Return the table without a line of units under the header: words above two or more columns of numbers."""
    if first is None or len(table) < 2 or any(map(numerals.is_number, first.fields)):
        return table
    units = {name: str(unit) for name in table if (unit := _unit(table[name])) is not None}
    if len(units) < 2 or any(_comes_again(table[name]) for name in table if name not in units):
        return table
    file.left_out.append(first.line - 1 - sum(name.count("\n") for name in names))
    file.rows = None if file.rows is None else file.rows - 1
    words = listed(units.values(), 5)
    file.on_lines.append(f"Line {first.line} has words above columns of numbers, such as units ({words}): left out.")
    return parsing.parsed(file)[list(table.columns)]


def _unit(column: pd.Series[Any]) -> Any:
    """Return the first value, where it is a word above numbers alone; else None."""
    first = column.iloc[0]
    if not isinstance(first, str) or numerals.is_marker(first):
        return None
    counts = column.iloc[1:].value_counts()
    written = numerals.infer(counts)
    return first if written is not None and numerals.reads_all(written, counts) else None


def _comes_again(column: pd.Series[Any]) -> bool:
    """Return whether the first value is a word that other rows have, as a category or a class."""
    first = column.iloc[0]
    return isinstance(first, str) and not numerals.is_marker(first) and bool(column.iloc[1:].eq(first).any())


def _without_index(table: pd.DataFrame, notes: list[str], known: Collection[str]) -> pd.DataFrame:
    """Return the table without unnamed first columns that number or name the rows, as R and pandas save them."""
    while len(table.columns) > 1 and table.columns[0] not in known and (what := _names_of_rows(table.iloc[:, 0])):
        notes.append(f"{table.columns[0]}: {what}, left out.")
        table = table.iloc[:, 1:]
    return table


def _names_of_rows(column: pd.Series[Any]) -> str:
    """Return the kind of names that an unnamed column gives to the rows; empty where it gives none."""
    if not str(column.name).startswith("Unnamed:") or column.isna().any() or column.duplicated().any():
        return ""
    if column.dtype.kind in "iu":
        return "row numbers" if column.min() >= 0 else ""
    return "names of rows" if isinstance(column.dtype, pd.StringDtype) else ""
