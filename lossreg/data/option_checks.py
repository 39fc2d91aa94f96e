"""Checks of what a study says about its data against the data that are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from lossreg.contract.data_options import OF_CUTS, Options
from lossreg.data import compressed, table_files
from lossreg.data.features import Features
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
    of_cuts = {name: use for use, name in origin.aside.items() if name in wanted}
    for name, use in of_cuts.items():
        _check_of_cut(name, use, wanted[name])
    wanted = {name: kind for name, kind in wanted.items() if name not in of_cuts}
    if wanted:
        _check_features(raw.x, wanted, origin)


def _check_of_cut(name: str, use: str, kind: str) -> None:
    """Raise `InputError` for a kind that a column of group, time or split cannot have."""
    known = OF_CUTS.get(use, ())
    if kind not in known:
        hint = f"It may be {', '.join(map(repr, known))}.".replace("'", '"') if known else "Leave it out."
        raise InputError(f"{name!r} is the column of {use}, and cannot be {kind!r}", where=COLUMNS, hint=hint)


def _check_features(x: Features, wanted: Mapping[str, str], origin: Origin) -> None:
    if not isinstance(x, pd.DataFrame):
        raise InputError("is for tables, and this data has arrays or several inputs", where=COLUMNS)
    for name in wanted:
        if name in origin.targets or name == origin.weight:
            what = "is the target" if name in origin.targets else "holds the weights"
            raise InputError(f"{name!r} {what}, and no feature", where=COLUMNS, hint="data.task says how it is read.")
        if name not in x.columns:
            raise InputError(f"no column {name!r}", where=COLUMNS, hint=near(name, x.columns))
    if origin.as_given and (odd := [name for name, kind in wanted.items() if kind != "drop"]):
        what = f'{odd[0]!r} is to be a {wanted[odd[0]]}, and preprocess = "none" takes numbers as they are'
        raise InputError(what, where=COLUMNS, hint='Only "drop" goes with it.')


def check_file(ending: str, origin: Origin) -> None:
    """Raise `InputError` for options that do not belong to this kind of file; ending: "" where there is no file."""
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
