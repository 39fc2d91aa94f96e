"""Compressed files, unpacked while they are read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, cast

from lossreg.errors import DataError


def _zstd(path: Path, where: str) -> Any:
    import pyarrow as pa

    return pa.input_stream(str(path), compression="zstd")


def _zip(path: Path, where: str) -> IO[bytes]:
    """Open the only file of an archive; folders and what macOS adds do not count."""
    with zipfile.ZipFile(path) as archive:
        files = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
        if len(files) != 1:
            has = ", ".join(each.filename for each in files[:5]) or "none"
            what = f"is an archive of {len(files):,} files ({has}), and one is needed"
            raise DataError(what, where=where, hint="Unpack it, and name the file.")
        return archive.open(files[0])


OPENERS: dict[str, Callable[[Path, str], Any]] = {
    ".gz": lambda path, where: gzip.GzipFile(path),
    ".bz2": lambda path, where: bz2.BZ2File(path),
    ".xz": lambda path, where: lzma.LZMAFile(path),  # noqa: SIM115
    ".zst": _zstd,
    ".zip": _zip,
}


def endings(*plain: str) -> tuple[str, ...]:
    """Return these endings of files alone and with that of each compression: `.csv`, `.csv.gz`, ..."""
    return tuple(ending + packed for ending in plain for packed in ("", *OPENERS))


def opened(path: Path, where: str) -> IO[bytes]:
    """Return the bytes of a file, unpacked if its name says that it is packed."""
    opener = OPENERS.get(path.suffix.lower())
    return path.open("rb") if opener is None else cast("IO[bytes]", opener(path, where))


def shown(plain: Iterable[str]) -> str:
    """Return the endings in words: `.csv, .tsv (also with .gz, .bz2)`."""
    return f"{', '.join(plain)} (also with {', '.join(OPENERS)})"
