"""Rows that are given after training: a table, an array or the path of a file, with the columns of training."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Options
from lossreg.data import compressed, delimited, features, files, foreign, gaps, option_checks, table_files
from lossreg.data.cells import of_rows, shown
from lossreg.data.image_files import ImageReader
from lossreg.data.lost import Lost
from lossreg.data.numerals import Numerals
from lossreg.data.origin import Origin, listed
from lossreg.errors import DataError, did_you_mean

PLAIN = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the rows of training.

    columns: their names; optional: those that training left out; as_text: those that are read as text from a file of
    separated fields; options: what the study says about reading; numerals: how columns of numbers write these.
    """

    columns: Sequence[str]
    optional: Collection[str] = ()
    as_text: Collection[str] = ()
    options: Options | None = None
    numerals: Mapping[str, Numerals] = field(default_factory=dict)

    @property
    def used(self) -> list[str]:
        """The columns that training used."""
        return [name for name in self.columns if name not in self.optional]


def table(rows: Any, form: Form, lost: Lost) -> pd.DataFrame:
    """Return the columns of a table or a file (by name) or an array (by position); raises `DataError`.

    lost: gets notes on lines of a file that are not read in full, and the values that the study names as missing.
    """
    columns = _table(rows, form, lost)
    if not (form.options and form.options.na_values):
        return columns
    return gaps.count(columns, form.options, form.numerals, lost)


def _table(rows: Any, form: Form, lost: Lost) -> pd.DataFrame:
    if isinstance(rows, (str, os.PathLike)):
        source = os.fspath(rows)
        try:
            return _by_name(file(source, form, lost), form)
        except DataError as error:
            raise error.at(source) from None
    if isinstance(rows, np.ndarray) and rows.dtype.names:
        rows = pd.DataFrame(rows)
    else:
        rows = foreign.plain(rows, Origin("", ""))
    return _by_name(rows, form) if isinstance(rows, pd.DataFrame) else _by_position(rows, form)


def array(rows: Any, images: ImageReader | None = None) -> NDArray[Any]:
    """Return the rows as an array, NaN where it is masked; raises `DataError`.

    images: how image files are read, where rows may be paths of these.
    """
    if images and (read := images.rows(rows)) is not None:
        return read
    if isinstance(rows, (str, os.PathLike)):
        raise DataError("rows of this data are arrays, not files", hint="Give an array (n, *shape).")
    return features.array(rows, "x", Origin("", ""))


def file(source: str, form: Form, lost: Lost) -> pd.DataFrame:
    """Return the table of a file, read as training reads it, with all its columns; lost: as of `table`."""
    files.check_name(source)
    path, options = files.existing(source), option_checks.fitting(form.options or Options(), source)
    if path.name.lower().endswith(table_files.ENDINGS):
        return table_files.read(path, source, options).rows
    if not path.name.lower().endswith(tuple(delimited.SEPARATORS)):
        raise unknown(source)
    table = delimited.read(path, source, form.as_text, coded=(), known=form.columns, options=options)
    lost.notes.extend(table.on_lines)
    return table.rows


def unknown(source: str) -> DataError:
    """Return the error of a file whose name has no known ending."""
    known = f"{compressed.shown(PLAIN)}, .parquet, .feather, .xlsx"
    return DataError("is no known kind of table", where=source, hint=f"Known: {known}.")


def _by_name(rows: pd.DataFrame, form: Form) -> pd.DataFrame:
    columns = form.columns
    frame = rows.set_axis(_names(rows, columns), axis=1)
    if missing := [name for name in form.used if name not in frame.columns]:
        raise DataError(f"columns are missing: {listed(missing)}", hint=_hint(missing, rows, form))
    frame = frame.assign(**dict.fromkeys((name for name in form.optional if name not in frame.columns), None))
    frame = frame[list(columns)]
    if frame.shape[1] != len(columns):
        raise DataError(f"two columns are called {frame.columns[frame.columns.duplicated()][0]!r}")
    return frame


def _names(rows: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the names of columns, without spaces around them where only so they are those of the training rows."""
    names = [shown(column) for column in rows.columns]
    lacking = {name for name in columns if name not in names}
    return [name.strip() if name.strip() in lacking else name for name in names]


def _hint(missing: Sequence[str], rows: pd.DataFrame, form: Form) -> str:
    """Return which column of the rows may be meant, of those that the study does not know; else what to do."""
    names = list(map(shown, rows.columns))
    unknown = [name for name in names if name not in form.columns]
    if missing[0] in map(shown, rows.index.names):
        return f"{missing[0]} is the index: give rows.reset_index()."
    if near := next(filter(None, (did_you_mean(name, unknown) for name in missing)), ""):
        return near
    if len(missing) == len(form.used):
        return f"The rows have {listed(names, 10) or 'none'}."
    it_is = "it, empty where it is" if len(missing) == 1 else "them, empty where they are"
    return f"Add {it_is} not known."


def _by_position(rows: Any, form: Form) -> pd.DataFrame:
    columns, width = form.columns, len(form.columns)
    hint = f"Give a DataFrame with the columns {listed(columns, 10)}, an array, or the path of a file."
    if not hasattr(rows, "__array__") and (isinstance(rows, bytes) or not isinstance(rows, Sequence)):
        hint = "Give rows.toarray()." if hasattr(rows, "toarray") else hint
        raise DataError(f"rows are a table, not {type(rows).__name__}", hint=hint)
    values = array(rows)
    if values.ndim == 1 and width == 1:
        values = values.reshape(-1, 1)
    if values.ndim == 2 and values.shape[1] == len(form.used) < width:
        return _by_name(pd.DataFrame(values, columns=pd.Index(form.used)).infer_objects(), form)
    if values.ndim != 2 or values.shape[1] != width:
        raise DataError(f"rows have shape {values.shape}, and (n, {width}) is needed", hint=hint)
    with of_rows():
        return pd.DataFrame(values, columns=pd.Index(columns)).infer_objects()
