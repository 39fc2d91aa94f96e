"""Text files of separated fields: their encoding, separator and header, and lines that have other fields than it."""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from lossreg.contract.data_options import Options
from lossreg.data import codes, compressed, files, numerals, readings
from lossreg.data.cells import example
from lossreg.data.origin import listed
from lossreg.errors import DataError

SEPARATORS = {
    **dict.fromkeys(compressed.endings(".csv"), ","),
    **dict.fromkeys(compressed.endings(".tsv"), "\t"),
}
OTHERS = ";\t|"
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
WESTERN = "cp1252"
CHUNK = 2**20
FIELDS_SAID = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
SEPARATOR_LINE = re.compile(r"sep=([,;\t|])", re.IGNORECASE)  # as Excel reads and writes it
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+|[+-]?\d{1,3}")
TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}  # of pandas
NO_HEADER = "The first line holds numbers: if it is a row, put a line of names before it."
QUOTED = re.compile(r"inside string starting at row (\d+)")


class Record(NamedTuple):
    """The fields of a line, and its number, from 1."""

    line: int
    fields: list[str]


@dataclass(slots=True)
class Delimited:
    """A text file of fields: its encoding, its separator, and notes on anything unusual about it.

    index_col: as for `pandas.read_csv`, False where lines end with a separator; skips_spaces: spaces after a
    separator are skipped; as_text: the columns that are read as text; left_out: lines that pandas skips, from 0;
    rows: the number of rows that are read, None for all; on_lines: notes on lines that are not read in full; options:
    what the study says about it.
    """

    path: Path
    where: str
    separator: str
    encoding: str = "utf-8"
    index_col: Literal[False] | None = None
    skips_spaces: bool = False
    as_text: list[str] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    rows: int | None = None
    notes: list[str] = field(default_factory=list)
    on_lines: list[str] = field(default_factory=list)
    options: Options = field(default_factory=Options)

    def open(self) -> IO[str]:
        """Return the file as text, unpacked."""
        return io.TextIOWrapper(self.bytes(), self.encoding, newline="")

    def bytes(self) -> IO[bytes]:
        """Return the file as bytes, unpacked."""
        return compressed.opened(self.path, self.where)

    def records(self) -> Iterator[Record]:
        """Return the lines that are not blank, as fields; a quoted field may span several lines."""
        csv.field_size_limit(sys.maxsize)
        with files.reading(self.path, self.where), self.open() as file:
            reader, line = csv.reader(file, delimiter=self.separator, skipinitialspace=self.skips_spaces), 1
            for fields in reader:
                if fields and line - 1 not in self.left_out:
                    yield Record(line, fields)
                line = reader.line_num + 1

    def error(self, what: str, hint: str = "") -> DataError:
        """Return a `DataError` about this file."""
        return DataError(what, where=self.where, hint=hint)


class Table(NamedTuple):
    """The table of a file, notes on it, and those of them that are about lines that are not read in full."""

    rows: pd.DataFrame
    notes: list[str]
    on_lines: list[str]


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
    file.encoding = _encoding(file)
    header, first = _start(file)
    _check_header(file, header)
    file.as_text = [name for name in header if name.strip() in as_text]
    table = _without_units(file, _without_blank_end(file, _table(file, header, first)), header, first)
    table = _with_codes(file, _with_thousands(file, table), coded)
    _check_repeated(file, header, table)
    table = _without_index(_tidied(table, file.notes), file.notes, known)
    file.notes.extend(_long(table))
    return Table(table, file.notes + file.on_lines, file.on_lines)


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


def _encoding(file: Delimited) -> str:
    """Return the encoding: the study's, else UTF-16 by its mark, UTF-8, or western Windows, which is noted.

    Raises `DataError` for NUL characters, and for a file that is not in the study's encoding.
    """
    if file.options.encoding is not None:
        return _asked_encoding(file, file.options.encoding)
    with files.reading(file.path, file.where), file.bytes() as raw:
        start = raw.read(4)
    encoding = next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8")
    for name in (encoding, WESTERN, "latin-1"):
        if _decodes(file, name):
            if not name.startswith("utf-8"):
                file.notes.append(f"The file is {name}, not UTF-8: read as such.")
            return name
    raise file.error("is no text")


def _asked_encoding(file: Delimited, name: str) -> str:
    if codecs.lookup(name).name == "utf-8":
        name = "utf-8-sig"  # a mark at the start is no letter
    if _decodes(file, name):
        return name
    fits = next((other for other in ("utf-8", WESTERN) if _decodes(file, other)), "")
    hint = (
        f'It is text in {fits}: leave data.encoding out, or set "{fits}".'
        if fits
        else 'Name another one, such as "latin-1".'
    )
    raise file.error(f"is not text in {file.options.encoding}", hint)


def _decodes(file: Delimited, encoding: str) -> bool:
    """Return whether the whole file is text in an encoding; raises `DataError` for NUL characters, with their line."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with files.reading(file.path, file.where), file.bytes() as raw:
        while chunk := raw.read(CHUNK):
            try:
                text = decoder.decode(chunk)
            except UnicodeError:
                return False
            if "\0" in text:
                line += text[: text.index("\0")].count("\n")
                raise file.error(f"line {line} has a NUL character: this is no text", "Save it as UTF-8 text.")
            line += text.count("\n")
    return True


def _start(file: Delimited) -> tuple[list[str], Record | None]:
    """Return the header and the first line after it; sets the separator that the header uses."""
    header = next(file.records(), None)
    if header is not None and (named := SEPARATOR_LINE.fullmatch(file.separator.join(header.fields))):
        file.separator, file.left_out = named[1], [header.line - 1]
        file.notes.append(f"Line {header.line} names the separator {file.separator!r}: left out.")
        header = next(file.records(), None)
    if header is None:
        raise file.error("no rows: the file is empty")
    other = next((sep for sep in OTHERS if sep in header.fields[0]), "") if len(header.fields) == 1 else ""
    if other:
        file.separator = other
        file.notes.append(f"The columns are separated by {other!r}.")
    _set_spaces(file)
    records = file.records()
    return next(records).fields, next(records, None)


def _set_spaces(file: Delimited) -> None:
    """Skip spaces before a quote, if there are any; otherwise that quote opens no field, and commas in it separate."""
    if not _holds(file, rf'{re.escape(file.separator)} +"'):
        return
    if any(
        text.startswith(" ") and text.lstrip().startswith('"') for record in file.records() for text in record.fields
    ):
        file.skips_spaces = True
        file.notes.append("Quotes follow a separator and a space: such spaces are skipped.")


def _holds(file: Delimited, pattern: str) -> bool:
    """Return whether the text of the file has a match of a few letters."""
    sought, rest = re.compile(pattern), ""
    with files.reading(file.path, file.where), file.open() as text:
        while chunk := text.read(CHUNK):
            if sought.search(rest + chunk):
                return True
            rest = chunk[-20:]
    return False


def _check_header(file: Delimited, header: list[str]) -> None:
    """Raise `DataError` for two columns of one name, which pandas would rename in silence."""
    header = [name.strip() for name in header]
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is None:
        return
    if are_numbers(header):
        raise file.error(f"two columns are called {twice!r}", NO_HEADER)
    positions = [str(position) for position, name in enumerate(header, 1) if name == twice]
    what = f"two columns are called {twice!r} (columns {' and '.join(positions[:2])} of the header)"
    raise file.error(what, "Rename one of them, or take it out.")


def _check_repeated(file: Delimited, header: list[str], table: pd.DataFrame) -> None:
    """Raise `DataError` for a line that is the header again, as where two files were joined."""
    if not len(table) or any(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes):
        return
    if any(table[name].str.strip().eq(str(name).strip()).any() for name in list(table.columns)[:1]):
        again = next((record.line for record in _rows(file) if record.fields == header), None)
        if again is not None:
            raise file.error(f"line {again} is the header again", "Two files were joined: remove that line.")


def are_numbers(header: Iterable[str]) -> bool:
    """Return whether all names of a header are numbers, so that it may be a row."""
    return bool(np.isfinite(numerals.values(pd.Series(list(header), dtype=object), numerals.Numerals())).all())


def _table(file: Delimited, header: list[str], first: Record | None) -> pd.DataFrame:
    """Return the rows under a header."""
    width = len(header)
    fields = 0 if first is None else len(first.fields)
    if first is not None and fields > width + 1:
        what = f"line {first.line} has {fields} fields, and the header has {width}"
        raise file.error(what, _fields_hint(file, width))
    if fields == width + 1:
        return _one_more(file, width)
    table = _without_trailing(file, header, _pandas(file))
    _note_short(file, table)
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


def _without_blank_end(file: Delimited, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the last lines where they hold separators alone, as spreadsheets write them."""
    if len(table.columns) < 2 or not len(table) or not table.iloc[-1].isna().all():
        return table
    blank = 0
    for record in _rows(file):
        blank = 0 if any(text.strip() for text in record.fields) else blank + 1
    if not blank:
        return table
    lines = "line holds" if blank == 1 else f"{blank} lines hold"
    file.on_lines.append(f"The last {lines} separators alone: left out.")
    file.rows = len(table) - blank
    return _pandas(file)[list(table.columns)]


def _fields_hint(file: Delimited, width: int) -> str:
    if width == 1:
        return "The first line is the header: remove a title above it."
    return f"Put a field that contains {file.separator!r} in quotes."


def _one_more(file: Delimited, width: int) -> pd.DataFrame:
    """Return rows with one field more than the header: a separator ends them, or row names begin them, as in R."""
    if all(len(record.fields) <= width or not record.fields[width].strip() for record in _rows(file)):
        file.notes.append("Lines end with a separator: the empty last column is left out.")
        file.index_col = False
        return _pandas(file)
    _check_row_names(file, width)
    file.notes.append("The first field of each line has no name in the header: names of rows, left out.")
    return _pandas(file)


def _check_row_names(file: Delimited, width: int) -> None:
    """Raise `DataError` where a first field repeats, so that it is a column and no name of a row."""
    lines: dict[str, int] = {}
    for line, fields in _rows(file):
        name = fields[0].strip()
        if len(fields) > width and name in lines:
            what = f"line {line} has {len(fields)} fields, and the header has {width}"
            again = f"The first field {example(name)} is that of line {lines[name]} again, so it names no row"
            raise file.error(what, f"{again}: give every column a name in the header.")
        lines[name] = line


def _rows(file: Delimited) -> Iterator[Record]:
    records = file.records()
    next(records)
    return records


def _pandas(file: Delimited, dtype: Mapping[Any, type] = MappingProxyType({})) -> pd.DataFrame:
    with files.reading(file.path, file.where), file.open() as text:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)
                table: pd.DataFrame = pd.read_csv(
                    text, sep=file.separator, low_memory=False, index_col=file.index_col,
                    skipinitialspace=file.skips_spaces, skiprows=file.left_out, nrows=file.rows,
                    dtype=str if file.options.marks else {**dict.fromkeys(file.as_text, str), **dtype},
                )  # fmt: skip
        except pd.errors.ParserError as error:
            raise _parser_error(file, str(error)) from None
    return _with_marks(file, table, {*file.as_text, *dtype})


def _with_marks(file: Delimited, table: pd.DataFrame, as_text: Collection[str]) -> pd.DataFrame:
    """Return the table with numbers where a column holds nothing but numbers with the marks that the study names.

    Truth values become such as without marks.
    """
    form = numerals.said(file.options.marks)
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
        return file.error(f"cannot be read: line {line} has {saw} fields, and the header has {expected}", hint)
    if match := QUOTED.search(text):
        return file.error(f"cannot be read: a quote that opens in line {int(match[1]) + 1} is never closed")
    return file.error(f"cannot be read: {' '.join(text.split())[:300]}")


def _note_short(file: Delimited, table: pd.DataFrame) -> None:
    """Count lines with fewer fields than the header; their last values are missing, and so the last column has gaps."""
    if not len(table) or not table.iloc[:, -1].isna().any():
        return
    short = [record.line for record in _rows(file) if len(record.fields) < len(table.columns)]
    if short:
        lines = f"{len(short)} of {len(table)} lines have" if len(short) > 1 else f"1 of {len(table)} lines has"
        file.on_lines.append(
            f"{lines} fewer fields than the header (line {short[0]}): the others are taken as missing."
        )


def _with_thousands(file: Delimited, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `1.234` as text where other columns have decimal commas: it may mean 1234."""
    reals = [name for name in table if table[name].dtype.kind == "f"]
    if not reals or file.options.marks or readings.decimal_mark(table) != ",":
        return table
    written = _pandas(file, dtype=dict.fromkeys(reals, str))
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
    written = _pandas(file, dtype=dict.fromkeys(whole, str))
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
    return _holds(file, rf'0(?<=[\s"{re.escape(file.separator)}]0)\d')


def _without_units(file: Delimited, table: pd.DataFrame, header: list[str], first: Record | None) -> pd.DataFrame:
    """Return the table without a line of units under the header: words above two or more columns of numbers."""
    if first is None or len(table) < 2 or any(map(numerals.is_number, first.fields)):
        return table
    units = {name: str(unit) for name in table if (unit := _unit(table[name])) is not None}
    if len(units) < 2 or any(_comes_again(table[name]) for name in table if name not in units):
        return table
    file.left_out.append(first.line - 1 - sum(name.count("\n") for name in header))
    file.rows = None if file.rows is None else file.rows - 1
    words = listed(units.values(), 5)
    file.on_lines.append(f"Line {first.line} has words above columns of numbers, such as units ({words}): left out.")
    return _pandas(file)[list(table.columns)]


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
