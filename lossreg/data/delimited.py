"""Tables in text files of separated fields, such as CSV, without what pandas would lose or rename in silence."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lossreg.contract.data_options import Options
from lossreg.data import codes, compressed, gap_words, header, numerals, parsing, readings
from lossreg.data.delimited_file import Delimited, Record
from lossreg.data.encoding import encoding_of
from lossreg.data.lost import grouped
from lossreg.data.origin import listed
from lossreg.data.row_numbers import Place

SEPARATORS = {
    **dict.fromkeys(compressed.endings(".csv"), ","),
    **dict.fromkeys(compressed.endings(".tsv"), "\t"),
}

SINGLE = r"[+-]?[1-9]\d{0,2}\.\d{3}"
SMALL = r"[+-]?(?:0|[1-9]\d{0,2})"
MANY = 5  # that have a point before three digits
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+|[+-]?\d{1,3}")


class Piece(NamedTuple):
    """Some rows of a file, the same as they are written in it, and notes on lines that are not read in full.

    All pieces of a file have the same list of notes, which grows.
    """

    rows: pd.DataFrame
    written: pd.DataFrame
    on_lines: list[str]
    separator: str


class Table(NamedTuple):
    """The table of a file, notes on it, those of them that are about lines that are not read in full, and its place.

    words: those that were read as missing, with their counts, by column.
    """

    rows: pd.DataFrame
    notes: list[str]
    on_lines: list[str]
    place: Place
    words: Mapping[str, Mapping[str, int]]


def read(
    path: Path,
    where: str,
    as_text: Collection[str] = (),
    coded: Collection[str] | None = None,
    *,
    known: Collection[str] = (),
    targets: Collection[str] | None = None,
    options: Options | None = None,
) -> Table:
    """Return the table of a file; raises `DataError`, which names the line where it can.

    as_text: columns that are always text; coded: the columns whose whole numbers may be read as codes, such as
    postcodes, None for all; known: columns that are data even if they look like names or numbers of rows; targets:
    those of labels, None of new rows, which have no notes on values; options: what the study says about the file.
    """
    file, names, first = _opened(path, where, as_text, options)
    table = _rows(file, names, first, coded, known)
    file.notes.extend(_long(table))
    words: Mapping[str, Mapping[str, int]] = {}
    if targets is not None:
        file.notes.extend(_on_points(file, table, names))
        words = gap_words.of(file, table, targets)
        file.notes.extend(gap_words.notes({name: words[name] for name in words if name not in targets}, len(table)))
    place = Place(where, "line", "the file", file.lines)
    return Table(table, file.notes + file.on_lines, file.on_lines, place, words)


def in_pieces(
    path: Path, where: str, as_text: Collection[str], size: int, *, known: Collection[str], options: Options | None
) -> Iterator[Piece]:
    """Yield the rows of a file, `size` at a time, which memory needs to hold; raises `DataError`.

    The first of them decide how lines are read, which is noted with them. Parameters are those of `read`.
    """
    file, names, first = _opened(path, where, as_text, options)
    file.rows = size
    columns = list(_rows(file, names, first, (), known).columns)
    held, short = None, parsing.Short()
    for parsed, texts in parsing.in_pieces(file, size):
        empty = parsing.empty_end(file, names, columns, parsed)
        short.count(parsed.iloc[:, : len(names) - empty])
        table, written = _after(held, parsed, _as_written(texts, names, empty))
        rows = _with_thousands(file, _tidied(table, [])[columns], _tidied(written, []))
        header.check_repeated(file, names, rows)
        end = len(rows) - _blank_end(table)
        held = (table[end:], written[end:]) if end < len(rows) else None
        yield Piece(rows[:end], written[:end], file.on_lines, file.separator)
    short.note(file)
    if held is not None and file.rows == size:
        parsing.note_blank_end(file, len(held[0]))


def _after(
    held: tuple[pd.DataFrame, pd.DataFrame] | None, table: pd.DataFrame, written: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return these rows after those held back, which might have been the last lines of the file."""
    if held is None:
        return table, written
    return pd.concat([held[0], table], ignore_index=True), pd.concat([held[1], written], ignore_index=True)


def _as_written(table: pd.DataFrame, names: list[str], empty: int) -> pd.DataFrame:
    """Return the fields of lines under the names of the header, without the last `empty` ones.

    A column of row names, as in R, has an empty name.
    """
    table = table if isinstance(table.index, pd.RangeIndex) else table.reset_index(names="")
    table = table.set_axis(pd.Index(names), axis=1) if table.shape[1] == len(names) else table
    return table.iloc[:, : table.shape[1] - empty]


def _blank_end(table: pd.DataFrame) -> int:
    """Return the number of rows without any value at the end of a table of several columns."""
    if table.shape[1] < 2:
        return 0
    filled = np.flatnonzero(table.notna().any(axis=1))
    return len(table) - (int(filled[-1]) + 1 if len(filled) else 0)


def _opened(
    path: Path, where: str, as_text: Collection[str], options: Options | None
) -> tuple[Delimited, list[str], Record | None]:
    """Return a file, the names in its header, and the first line after it."""
    separator = next(sep for ending, sep in SEPARATORS.items() if path.name.lower().endswith(ending))
    file = Delimited(path, where, separator, options=options or Options())
    file.encoding = encoding_of(file)
    names, first = header.read(file)
    header.check_names(file, names)
    file.as_text = [name for name in names if name.strip() in as_text]
    return file, names, first


def _rows(
    file: Delimited, names: list[str], first: Record | None, coded: Collection[str] | None, known: Collection[str]
) -> pd.DataFrame:
    """Return the rows under the header, as far as `file.rows` goes, without lines and columns that hold no data."""
    table = parsing.table(file, names, first)
    if file.rows is None or len(table) < file.rows:
        table = parsing.without_blank_end(file, table)
    table = _without_units(file, table, names, first)
    table = _with_codes(file, _with_thousands(file, table), coded)
    header.check_repeated(file, names, table)
    return _without_index(_tidied(table, file.notes), file.notes, known)


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


def _with_thousands(file: Delimited, table: pd.DataFrame, written: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the table with `1.234` as text where other columns have decimal commas: it may mean 1234."""
    reals = [name for name in table if table[name].dtype.kind == "f"]
    if not reals or file.options.marks or readings.decimal_mark(table) != ",":
        return table
    written = parsing.parsed(file, dtype=dict.fromkeys(reals, str)) if written is None else written
    for name in reals:
        texts_of = written[name][table[name].notna()]
        if texts_of.str.contains(".", regex=False).any() and texts_of.str.fullmatch(THOUSANDS).all():
            table[name] = written[name].where(table[name].notna()).array
    return table


def _on_points(file: Delimited, table: pd.DataFrame, names: list[str]) -> list[str]:
    """Return notes on columns of numbers whose points are read as decimal points and may stand between thousands."""
    reals = [name for name in table if table[name].dtype.kind == "f" and _has_thousandths(table[name])]
    # beside decimal commas such texts are read as thousands, which is noted where they are
    texts = [] if readings.decimal_mark(table) == "," else [*_texts(file, table)]
    if file.options.marks or not (reals or texts):
        return []
    types = {name: str for name in names if name.strip() in reals}
    written = _tidied(parsing.parsed(file, dtype=types), []) if reals else table
    examples = {str(name): _first_single(written[name]) for name in reals}
    examples |= {str(name): _first_single(table[name]) for name in texts}
    means = 'is read as {0} and could mean {1}; data.thousands = "." says that points stand between thousands'
    return grouped(
        {name: f"{text!r} {means.format(text, text.replace('.', ''))}" for name, text in examples.items() if text}
    )


def _texts(file: Delimited, table: pd.DataFrame) -> Iterator[str]:
    """Yield the names of the columns of text that are not named as text."""
    for name, column in table.items():
        if isinstance(column.dtype, pd.StringDtype) and name not in file.as_text:
            yield str(name)


def _has_thousandths(numbers: pd.Series[Any]) -> bool:
    """Return whether numbers are below 1000 and have up to three decimals, if any from 1 on."""
    sizes = numbers.dropna().abs().to_numpy(np.float64)
    if not (sizes < 1000).all():
        return False
    thousandths = sizes * 1000
    fitting = (np.abs(thousandths - np.round(thousandths)) < 1e-6) & ((sizes >= 1) | (sizes == 0))
    return bool(fitting.all() and np.count_nonzero(sizes % 1) >= MANY)


def _first_single(texts: pd.Series[Any]) -> str:
    """Return a number with a point before three digits, where many have one and all others are whole and below 1000."""
    texts = texts.dropna()
    if not all(re.fullmatch(f"{SINGLE}|{SMALL}", text) or numerals.is_marker(text) for text in texts.head(100)):
        return ""
    texts = texts.str.strip()
    single = texts.str.fullmatch(SINGLE)
    rest = texts[~single].unique()
    fitting = all(re.fullmatch(SMALL, text) or numerals.is_marker(text) for text in rest)
    return str(texts[single].iloc[0]) if fitting and single.sum() >= MANY else ""


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
    """Return what an unnamed column holds, row numbers or names of rows; empty for anything else."""
    if not str(column.name).startswith("Unnamed:") or column.isna().any() or column.duplicated().any():
        return ""
    if column.dtype.kind in "iu":
        return "row numbers" if column.min() >= 0 else ""
    return "names of rows" if isinstance(column.dtype, pd.StringDtype) else ""
