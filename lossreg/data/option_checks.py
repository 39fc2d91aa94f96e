"""Checks of what a study says about its data against the data that are there."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from lossreg.contract.data_options import Options
from lossreg.data import compressed, table_files
from lossreg.data.origin import Origin, near
from lossreg.data.raw import Raw
from lossreg.errors import InputError

SEPARATED = compressed.endings(".csv", ".tsv")
COLUMNS = "columns"


def check(raw: Raw, origin: Origin) -> None:
    """Raise `InputError` for a kind of a column that is not there, or is no feature."""
    wanted = origin.options.columns
    if not wanted:
        return
    if not isinstance(raw.x, pd.DataFrame):
        raise InputError("is for tables, and this data has arrays or several inputs", where=COLUMNS)
    for name in wanted:
        if name in origin.targets or name == origin.weight:
            what = "is the target" if name in origin.targets else "holds the weights"
            raise InputError(f"{name!r} {what}, and no feature", where=COLUMNS, hint="data.task says how it is read.")
        if use := next((use for use, column in origin.aside.items() if column == name), ""):
            raise InputError(f"{name!r} is the column of {use}, so it is no feature already", where=COLUMNS)
        if name not in raw.x.columns:
            raise InputError(f"no column {name!r}", where=COLUMNS, hint=near(name, raw.x.columns))
    if origin.as_given and (odd := [name for name, kind in wanted.items() if kind != "drop"]):
        what = f'{odd[0]!r} is to be a {wanted[odd[0]]}, and preprocess = "none" takes numbers as they are'
        raise InputError(what, where=COLUMNS, hint='Only "drop" goes with it.')


def check_file(ending: str, origin: Origin) -> None:
    """Raise `InputError` for what the study says about a file that is none of this kind; "" names no file."""
    options = origin.options
    if options.encoding is not None and ending not in (*SEPARATED, *table_files.LINES):
        raise InputError(f"belongs to text files, and {origin.where} is none", where="encoding", hint="Leave it out.")
    if options.sheet is not None and ending not in table_files.EXCEL:
        raise InputError(f"belongs to spreadsheets, and {origin.where} is none", where="sheet", hint="Leave it out.")


def fitting(options: Options, name: str) -> Options:
    """Return options for a further file, without those that belong to another kind of file than it is."""
    name = name.lower()
    return replace(
        options,
        encoding=options.encoding if name.endswith((*SEPARATED, *table_files.LINES)) else None,
        sheet=options.sheet if name.endswith(table_files.EXCEL) else None,
    )
