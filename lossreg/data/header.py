"""The header of a text file: where it is, its separator, and names that it must not have."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from lossreg.data import numerals
from lossreg.data.delimited_file import Delimited, Record

OTHERS = ";\t|"
SEPARATOR_LINE = re.compile(r"sep=([,;\t|])", re.IGNORECASE)  # as Excel reads and writes it
PAGE = re.compile(r"\s*<(!doctype|html|\?xml|table|body|head)\b", re.IGNORECASE)
DOCUMENT = re.compile(r'\s*(\[\s*)?\{\s*("|$)|\s*\[\s*$')
TITLE = "The first line leaves columns without a name: if it is a title, remove the lines above the names."
NO_HEADER = "The first line holds numbers: if it is a row, put a line of names before it."


def read(file: Delimited) -> tuple[list[str], Record | None]:
    """Return the header and the first line after it; sets the separator that the header uses."""
    header = next(file.records(), None)
    if header is not None and (named := SEPARATOR_LINE.fullmatch(file.separator.join(header.fields))):
        file.separator, file.left_out = named[1], [header.line - 1]
        file.notes.append(f"Line {header.line} names the separator {file.separator!r}: left out.")
        header = next(file.records(), None)
    if header is None:
        raise file.error("no rows: the file is empty")
    _check_format(file, header.fields)
    other = next((sep for sep in OTHERS if sep in header.fields[0]), "") if len(header.fields) == 1 else ""
    if other:
        file.separator = other
        file.notes.append(f"The columns are separated by {other!r}.")
    _set_quote(file)
    _set_spaces(file)
    records = file.records()
    return next(records).fields, next(records, None)


def _check_format(file: Delimited, fields: list[str]) -> None:
    """Raise `DataError` for a page or JSON in place of separated fields."""
    if PAGE.match(fields[0]):
        raise file.error("is an HTML or XML page, and no table", "Save its table as .csv.")
    if DOCUMENT.match(fields[0]):
        raise file.error("holds JSON, not separated fields", "With one object per line, call it .jsonl.")


def advice(table: pd.DataFrame) -> str:
    """Return a hint on a table without its target, where its names may be a title or a row; empty for others."""
    names = [str(name) for name in table.columns]
    if any(not name or name.startswith("Unnamed:") for name in names[1:]):
        return TITLE
    return NO_HEADER if 2 * sum(are_numbers([name]) for name in names) > len(names) else ""


def _set_quote(file: Delimited) -> None:
    """Use single quotes as the quote character where all names are in single quotes."""
    names = [name.strip() for name in next(file.records()).fields]
    if all(len(name) > 2 and name[0] == name[-1] == "'" for name in names):
        file.quote = "'"
        file.notes.append("The column names are in single quotes, which are removed there and around values.")


def _set_spaces(file: Delimited) -> None:
    """Skip spaces before a quote, if there are any; otherwise that quote opens no field, and commas in it separate."""
    if not file.holds(rf"{re.escape(file.separator)} +{file.quote}"):
        return
    if any(
        text.startswith(" ") and text.lstrip().startswith(file.quote)
        for record in file.records()
        for text in record.fields
    ):
        file.skips_spaces = True
        file.notes.append("Quotes follow a separator and a space: such spaces are skipped.")


def check_names(file: Delimited, header: list[str]) -> None:
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


def check_repeated(file: Delimited, header: list[str], table: pd.DataFrame) -> None:
    """Raise `DataError` for a line that is the header again, as where two files were joined."""
    table = table[[name for name in table if not str(name).startswith("Unnamed:")]]
    if not len(table) or any(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes):
        return
    if any(table[name].str.strip().eq(str(name).strip()).any() for name in list(table.columns)[:1]):
        again = next((record.line for record in file.body() if record.fields == header), None)
        if again is not None:
            raise file.error(f"line {again} is the header again", "Two files were joined: remove that line.")


def are_numbers(header: Iterable[str]) -> bool:
    """Return whether all names of a header are numbers, so that it may be a row."""
    return bool(np.isfinite(numerals.values(pd.Series(list(header), dtype=object), numerals.Numerals())).all())
