"""Files of one table each that say what their columns are: Parquet, Feather, JSON lines, Excel."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lossreg.contract.data_options import Options
from lossreg.data import compressed, files
from lossreg.data.cells import shown
from lossreg.data.origin import listed, near
from lossreg.data.row_numbers import Place
from lossreg.errors import DataError

LINES = compressed.endings(".jsonl", ".ndjson")
EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
ENGINES = {"python_calamine": "calamine", "openpyxl": "openpyxl"}
EXTRA = "Install lossreg[excel], or save it as .csv."


class Table(NamedTuple):
    """The table of a file, notes on it, and where its rows stand."""

    rows: pd.DataFrame
    notes: list[str]
    place: Place


def read(path: Path, where: str, options: Options) -> Table:
    """Return the table of a file whose ending is in `ENDINGS`; raises `DataError`."""
    name = path.name.lower()
    if options.sheet is not None and not name.endswith(EXCEL):
        raise DataError("has no sheets", where=where, hint="Leave out data.sheet.")
    reader = next(reader for ending, reader in READERS.items() if name.endswith(ending))
    return reader(path, where, options)


def _parquet(path: Path, where: str, options: Options) -> Table:
    return Table(files.parquet(path, where), [], _in_file(where))


def _feather(path: Path, where: str, options: Options) -> Table:
    with files.reading(path, where):
        return Table(pd.read_feather(path), [], _in_file(where))


def _json_lines(path: Path, where: str, options: Options) -> Table:
    with files.reading(path, where):
        records = dict(_records(path, where, options.encoding or "utf-8-sig"))
        if not records:
            raise DataError("no rows: the file is empty", where=where)
        lines = Place(where, "line", "the file", partial(list, records))
        return Table(pd.DataFrame.from_records(list(records.values())), [], lines)


def _records(path: Path, where: str, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with io.TextIOWrapper(compressed.opened(path, where), encoding) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, _record(line, number, where)


def _record(line: str, number: int, where: str) -> dict[str, Any]:
    """Return the object in a line; raises `DataError` for anything else, and for a key that stands twice."""
    try:
        value = json.loads(line, object_pairs_hook=lambda pairs: _object(pairs, number, where))
    except json.JSONDecodeError as error:
        hint = "Write one JSON object per line." + (" This is one document." if number == 1 else "")
        raise DataError(f"line {number} is not JSON: {error.msg}", where=where, hint=hint) from None
    except RecursionError:
        raise DataError(f"line {number} is nested too deeply", where=where) from None
    if not isinstance(value, dict):
        hint = 'Write one object per line, such as {"a": 1, "y": 0}.'
        raise DataError(f"line {number} is no JSON object but {type(value).__name__}", where=where, hint=hint)
    return value


def _object(pairs: list[tuple[str, Any]], number: int, where: str) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"line {number} has the key {twice!r} twice", where=where)
    return table


def _excel(path: Path, where: str, options: Options) -> Table:
    engine = next((engine for module, engine in ENGINES.items() if find_spec(module)), None)
    if engine is None or (engine == "openpyxl" and not path.name.lower().endswith((".xlsx", ".xlsm"))):
        raise DataError("is a spreadsheet, and no reader of these is installed", where=where, hint=EXTRA)
    with files.reading(path, where), pd.ExcelFile(path, engine=engine) as book:  # type: ignore[arg-type]
        names = [str(name) for name in book.sheet_names]
        hidden = _hidden(book, engine)
        sheet = next((name for name in names if name not in hidden), names[0])
        sheet = sheet if options.sheet is None else options.sheet
        if sheet not in names:
            raise DataError(f"no sheet {sheet!r}", where=where, hint=near(sheet, names).replace("Columns", "Sheets"))
        cells = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object)
    others = [f"{name} (hidden)" if name in hidden else name for name in names if name != sheet]
    chosen = [f"Sheet {sheet!r} is read, and not {listed(others, 5)}."] if others and options.sheet is None else []
    try:
        rows = _under_header(cells, where)
    except DataError as error:
        raise DataError(error.what, where=where, hint=" ".join([*chosen, error.hint]).strip()) from None
    numbers = [int(row) + 1 for row in rows.index]
    return Table(rows.reset_index(drop=True), chosen, Place(where, "row", "the sheet", partial(list, numbers)))


def _hidden(book: pd.ExcelFile, engine: str) -> set[str]:
    """Return the names of the sheets that a spreadsheet program does not show."""
    if engine == "calamine":
        from python_calamine import SheetVisibleEnum

        return {sheet.name for sheet in book.book.sheets_metadata if sheet.visible != SheetVisibleEnum.Visible}
    return {sheet.title for sheet in book.book.worksheets if sheet.sheet_state != "visible"}


def _under_header(cells: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the rows under the first row that has anything, without rows and columns that have nothing.

    Their index are the numbers of the rows of the sheet, from 0.
    """
    cells = cells.dropna(how="all").dropna(axis=1, how="all")
    if len(cells) < 2:
        raise DataError("no rows: the sheet has no line under its header", where=where)
    names = ["" if pd.isna(name) else shown(name).strip() for name in cells.iloc[0]]
    if "" in names:
        hint = "The first line that is not empty is the header: remove a title above it."
        raise DataError(f"column {names.index('') + 1} of the sheet has no name", where=where, hint=hint)
    return cells.iloc[1:].set_axis(pd.Index(names), axis=1).infer_objects()


def _in_file(where: str) -> Place:
    return Place(where, "row", "the file")


READERS: dict[str, Callable[[Path, str, Options], Table]] = {
    **dict.fromkeys(files.PARQUET, _parquet),
    ".feather": _feather,
    **dict.fromkeys(LINES, _json_lines),
    **dict.fromkeys(EXCEL, _excel),
}
ENDINGS = tuple(READERS)
