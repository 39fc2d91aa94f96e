"""Files of rows with predictions beside them, written piece by piece."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.errors import InputError, brief, did_you_mean, on_disk

TEXT = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
ARRAYS = ".npz"
KNOWN = (*TEXT, ".parquet", ARRAYS)


class Writer(Protocol):
    """Writes tables of the same columns, or dictionaries of arrays, one below the other."""

    def write(self, table: Any) -> None:
        """Write some rows."""


class TextWriter:
    """Writes fields that are separated; the first rows come with a header."""

    def __init__(self, stream: IO[str], separator: str) -> None:
        self.stream, self.separator, self.decimal, self.is_first = stream, separator, ".", True

    def write_as(self, separator: str, decimal: str) -> None:
        """Take the separator and the decimal mark of another file, which is CSV too."""
        if self.separator == "," and separator:
            self.separator, self.decimal = separator, decimal

    def write(self, table: pd.DataFrame) -> None:
        """Write some rows."""
        table.to_csv(
            self.stream, sep=self.separator, decimal=self.decimal, index=False, header=self.is_first,
            lineterminator="\n",
        )  # fmt: skip
        self.is_first = False


class ParquetWriter:
    """Writes a Parquet file; the first rows decide the types of its columns."""

    def __init__(self, file: Path, where: str) -> None:
        self.file, self.where = file, where
        self.writer: Any = None

    def write(self, table: pd.DataFrame) -> None:
        """Write some rows; raises `InputError` where they are of other types than the first ones."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if twice := list(table.columns[table.columns.duplicated()]):
            raise InputError(f"two columns are called {twice[0]!r}", where=self.where, hint="Write a .csv file.")
        schema = self.writer.schema if self.writer else None
        try:
            rows = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            what = f"the rows do not fit the types of the first ones: {str(error).splitlines()[0]}"
            raise InputError(what, where=self.where, hint="Write a .csv file.") from error
        self.writer = self.writer or pq.ParquetWriter(self.file, rows.schema)
        self.writer.write_table(rows)

    def close(self) -> None:
        """End the file."""
        if self.writer:
            self.writer.close()


class ArraysWriter:
    """Writes an .npz file when all rows are there."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.parts: list[dict[str, NDArray[Any]]] = []

    def write(self, table: dict[str, NDArray[Any]]) -> None:
        """Take some rows of each array."""
        self.parts.append(table)

    def close(self) -> None:
        """Write the file."""
        arrays: dict[str, Any] = {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        with self.file.open("wb") as stream:
            np.savez_compressed(stream, **arrays)


def check(output: Path, source: Path) -> None:
    """Raise `InputError` unless predictions can be written into a file: by its name, and not over the rows."""
    where = f"--output {brief(output)}"
    if output.is_dir():
        raise InputError("is a folder", where=where, hint="Give a file, such as predictions.csv.")
    if not output.name.lower().endswith(KNOWN):
        hint = did_you_mean(output.suffix, KNOWN) or f"Known: {', '.join(KNOWN)}."
        raise InputError("is no known kind of table", where=where, hint=hint)
    require_other(output, [source], "is the file of the rows")


def require_other(output: Path, files: Iterable[Path], what: str) -> None:
    """Raise `InputError`, which says what it is, where the output is one of these files."""
    if output.exists() and any(file.exists() and output.samefile(file) for file in files):
        raise InputError(what, where=f"--output {brief(output)}", hint="Give another one.")


@contextlib.contextmanager
def writer(output: Path | None) -> Iterator[Writer]:
    """Yield a writer of a file, which appears once the block ends without an error, or of standard output."""
    if output is None:
        yield TextWriter(sys.stdout, ",")
        return
    where, output = f"--output {brief(output)}", Path(os.path.realpath(output))  # a link stays one
    new_folders = [folder for folder in (output.parent, *output.parent.parents) if not folder.exists()]
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with on_disk(where):
            output.parent.mkdir(parents=True, exist_ok=True)
            with _opened(part, output) as opened:
                yield opened
            part.replace(output)
    except BaseException:
        for remove in (part.unlink, *(folder.rmdir for folder in new_folders)):
            with contextlib.suppress(OSError):
                remove()
        raise


@contextlib.contextmanager
def _opened(part: Path, output: Path) -> Iterator[Writer]:
    name = output.name.lower()
    if name.endswith(".parquet"):
        with contextlib.closing(ParquetWriter(part, brief(output))) as parquet:
            yield parquet
        return
    if name.endswith(ARRAYS):
        arrays = ArraysWriter(part)
        yield arrays
        arrays.close()
        return
    import gzip

    opener: Callable[..., Any] = gzip.open if name.endswith(".gz") else open
    with opener(part, "wt", encoding="utf-8", newline="") as stream:
        yield TextWriter(stream, next(sep for ending, sep in TEXT.items() if name.endswith(ending)))


def beside(rows: pd.DataFrame | None, predictions: pd.DataFrame, target: str) -> pd.DataFrame:
    """Return rows with their predictions beside them, named after the target where both have a column.

    Raises `InputError` where the rows have that column too.
    """
    if rows is None:
        return predictions
    if not predictions.columns.isin(rows.columns).any():
        return pd.concat([rows, predictions.set_axis(rows.index)], axis=1)
    named = predictions.rename(columns=lambda name: f"{name} ({target})")
    if twice := [name for name in named if name in rows.columns]:
        raise InputError(f"the rows have a column {twice[0]!r} already", hint="Rename it, or leave it out.")
    return pd.concat([rows, named.set_axis(rows.index)], axis=1)
