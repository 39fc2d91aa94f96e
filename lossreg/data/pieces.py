"""The rows of a file, some thousand at a time: what memory holds does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lossreg.contract.data_options import Options
from lossreg.data import delimited, files, image_files, new_forms, new_rows, option_checks, table_files
from lossreg.data.exposures import ExposedPreprocessor, Fitted, base_of
from lossreg.data.image_files import ImageReader
from lossreg.data.inputs import InputsPreprocessor
from lossreg.data.lost import Lost
from lossreg.data.new_forms import Forms
from lossreg.data.new_rows import Form
from lossreg.data.preprocess import AsGiven, TablePreprocessor
from lossreg.errors import DataError

SIZE = 50_000
WHOLE = (
    pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype(),
    pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype(),
)  # fmt: skip


class Piece(NamedTuple):
    """Some rows as a preprocessor takes them.

    beside: the columns of the file, as they are written in it, or the paths of images; None for arrays; notes: on
    lines that are not read in full; separator: that of fields in a text file; forms: those of numbers and dates in all
    pieces, None where each decides.
    """

    rows: Any
    beside: pd.DataFrame | None
    notes: list[str]
    separator: str = ""
    forms: Forms | None = None


def of(source: str | os.PathLike[str], preprocessor: Fitted, size: int = SIZE) -> Iterator[Piece]:
    """Yield the rows of a file or of a folder of images, `size` at a time; raises `DataError`.

    Text files and Parquet are read piece by piece; .npz, Feather, JSON lines and Excel as a whole.
    """
    where, base = os.fspath(source), base_of(preprocessor)
    try:
        if isinstance(base, InputsPreprocessor) or where.lower().endswith(".npz"):
            yield from _arrays(where, preprocessor, size)
        elif reader := getattr(base, "images_", None):
            yield from _images(where, reader)
        else:
            yield from _in_one_form(where, preprocessor, size)
    except DataError as error:
        raise error.at(where) from None


def _form(preprocessor: Fitted) -> Form:
    base = base_of(preprocessor)
    if isinstance(base, TablePreprocessor) or (isinstance(base, AsGiven) and base.features_):
        return preprocessor.form() if isinstance(preprocessor, ExposedPreprocessor) else base.form()
    raise DataError("is no file of arrays, and this model takes arrays", hint="Give an .npz file with an array x.")


def _in_one_form(where: str, preprocessor: Fitted, size: int) -> Iterator[Piece]:
    """Yield the rows of a table, all of which decide on the forms of numbers and dates."""
    form, base = _form(preprocessor), base_of(preprocessor)
    rows = _table(where, form, size)
    if not isinstance(base, TablePreprocessor) or not hasattr(base, "readings_"):
        yield from rows
        return
    first, counted = [*islice(rows, 2)], new_forms.Counted(base.readings_, getattr(base, "options", None))
    for piece in first if len(first) < 2 else _table(where, form, size):
        counted.add(new_rows.table(piece.rows, base.form(), Lost()))
    forms = counted.forms()
    for piece in chain(first, rows):
        yield piece._replace(forms=forms)


def _table(where: str, form: Form, size: int) -> Iterator[Piece]:
    files.check_name(where)
    path = files.existing(where)
    options, name = option_checks.fitting(form.options or Options(), where), path.name.lower()
    if name.endswith(files.PARQUET):
        yield from _parquet(path, where, size)
    elif name.endswith(table_files.ENDINGS):
        yield from _slices(table_files.read(path, where, options).rows, size)
    elif name.endswith(tuple(delimited.SEPARATORS)):
        pieces = delimited.in_pieces(path, where, form.as_text, size, known=form.columns, options=options)
        yield from (Piece(*piece) for piece in pieces)
    else:
        raise new_rows.unknown(where)


def _slices(table: pd.DataFrame, size: int) -> Iterator[Piece]:
    for start in range(0, max(len(table), 1), size):
        rows = table.iloc[start : start + size]
        yield Piece(rows, _with_index(rows), [])


def _parquet(path: Path, where: str, size: int) -> Iterator[Piece]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # whole numbers with gaps stay whole
    whole = {getattr(pa, dtype.name.lower())(): dtype for dtype in WHOLE}.get
    with files.reading(path, where), pq.ParquetFile(path) as file:
        empty = pa.RecordBatch.from_pylist([], file.schema_arrow)
        batches = file.iter_batches(batch_size=size) if file.metadata.num_rows else [empty]
        done = 0
        for batch in batches:
            beside = _numbered(batch.to_pandas(types_mapper=whole), file.schema_arrow, done)
            done += len(beside)
            yield Piece(batch.to_pandas(), _with_index(beside), [])


def _numbered(rows: pd.DataFrame, schema: Any, start: int) -> pd.DataFrame:
    """Return rows, the first of which is row `start` of a Parquet file, with an index that it has as a range alone."""
    for index in (schema.pandas_metadata or {}).get("index_columns", []):
        if isinstance(index, dict) and index["name"] is not None:
            first = index["start"] + start * index["step"]
            numbers = first + np.arange(len(rows)) * index["step"]
            return rows.set_axis(pd.Index(numbers, name=index["name"]))
    return rows


def _with_index(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with an index that has names, or other values than numbers, as columns."""
    index = rows.index
    levels = [
        level
        for level, name in enumerate(index.names)
        if name not in rows.columns and (name is not None or index.get_level_values(level).dtype.kind not in "iu")
    ]
    return rows.reset_index(levels) if levels else rows


def _arrays(where: str, preprocessor: Fitted, size: int) -> Iterator[Piece]:
    """Yield the arrays of an .npz file: `x`, or the only one, or one for each of several inputs; and the exposures."""
    path, base = files.existing(where), base_of(preprocessor)
    is_single = not isinstance(base, InputsPreprocessor)
    with files.reading(path, where), np.load(path, allow_pickle=False) as stored:
        names = ["x"] if is_single else list(base.parts)
        if is_single and len(stored.files) == 1:
            names = stored.files
        elif isinstance(preprocessor, ExposedPreprocessor) and preprocessor.column in stored.files:
            names, is_single = [*names, preprocessor.column], False
        if missing := [name for name in names if name not in stored.files]:
            raise DataError(f"arrays are missing: {', '.join(missing)}", hint=f"It has {', '.join(stored.files)}.")
        arrays = {name: stored[name] for name in names}
    if len(set(map(len, arrays.values()))) > 1:
        raise DataError("the arrays have different numbers of rows")
    for start in range(0, max(len(next(iter(arrays.values()))), 1), size):
        parts = {name: array[start : start + size] for name, array in arrays.items()}
        yield Piece(parts[names[0]] if is_single else parts, None, [])


def _images(where: str, reader: ImageReader) -> Iterator[Piece]:
    """Yield the images of a folder, or one image, with their paths."""
    paths = image_files.paths_of(Path(where).expanduser())
    size = max(1, min(SIZE, 2**26 // int(np.prod(reader.shape))))
    for start in range(0, len(paths), size):
        some = paths[start : start + size]
        yield Piece(some, pd.DataFrame({"file": [str(path) for path in some]}), [])
