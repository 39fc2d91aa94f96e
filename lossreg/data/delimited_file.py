"""A text file of separated fields: its bytes, its text and its lines."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Literal, NamedTuple

from lossreg.contract.data_options import Options
from lossreg.data import compressed, files
from lossreg.errors import DataError

CHUNK = 2**20


class Record(NamedTuple):
    """The fields of a line, and its number, from 1."""

    line: int
    fields: list[str]


@dataclass(slots=True)
class Delimited:
    """A text file of fields: its encoding, its separator, and notes on anything unusual about it.

    quote: what fields may stand in; index_col: as for `pandas.read_csv`, False where lines end with a separator;
    skips_spaces: spaces after a separator are skipped; as_text: the columns that are read as text; left_out: lines that
    pandas skips, from 0; rows: the number of rows that are read, None for all; on_lines: notes on lines that are not
    read in full; options: what the study says about it.
    """

    path: Path
    where: str
    separator: str
    encoding: str = "utf-8"
    quote: str = '"'
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
            spaces = self.skips_spaces
            reader = csv.reader(file, delimiter=self.separator, quotechar=self.quote, skipinitialspace=spaces)
            line = 1
            for fields in reader:
                if fields and line - 1 not in self.left_out:
                    yield Record(line, fields)
                line = reader.line_num + 1

    def error(self, what: str, hint: str = "") -> DataError:
        """Return a `DataError` about this file."""
        return DataError(what, where=self.where, hint=hint)

    def body(self) -> Iterator[Record]:
        """Return the lines behind the header."""
        records = self.records()
        next(records)
        return records

    def lines(self) -> list[int]:
        """Return the line of each row."""
        return [record.line for record in islice(self.body(), self.rows)]

    def holds(self, pattern: str) -> bool:
        """Return whether the text of the file has a match of a few letters."""
        sought, rest = re.compile(pattern), ""
        with files.reading(self.path, self.where), self.open() as text:
            while chunk := text.read(CHUNK):
                if sought.search(rest + chunk):
                    return True
                rest = chunk[-20:]
        return False
