"""Files of the user: located, opened by a library, with the library's errors in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from lossreg.data import compressed, room
from lossreg.errors import DataError, did_you_mean, is_text, one_line, paths_start, refusal
from lossreg.runtime import system

PARQUET = (".parquet", ".pq")
LONGEST = 4096


def check_name(source: str) -> None:
    """Raise `DataError` for a source that can be no path: empty, too long, or with characters that no path has."""
    if not source.strip():
        raise DataError("names no source", where="source", hint='Name a file, such as "rows.csv".')
    if len(source) > LONGEST:
        what = f"{source[:60]}... has {len(source):,} letters, and a path has up to {LONGEST:,}"
        raise DataError(what, where="source")
    if "\0" in source or not is_text(source):
        raise DataError(f"{source[:60]!a} has characters that no path has", where="source")


def near(path: Path) -> str:
    """Return a hint on a file or folder beside a missing one that may be meant; empty where there is none."""
    others = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
    packed = path.suffix if path.suffix.lower() in compressed.OPENERS else ""
    return did_you_mean(path.name, others, Path(path.name.removesuffix(packed)).suffix + packed)


def existing(source: str, base: Path | None = None) -> Path:
    """Return the file of a source, relative to `base`; raises `DataError` where no readable file is.

    Without a base it is relative to the current folder, and errors are about the source itself, not a key of a study.
    """
    whole, base = base is not None, base or Path()
    try:
        path = base / Path(source).expanduser()
        if path.is_dir():
            raise DataError(f"is a folder{f': {path}' * whole}", where=source, hint="Name a file in it.")
        if not path.is_file():
            raise DataError(f"no such file{f': {path}' * whole}", where=source, hint=near(path) or paths_start(base))
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot be read: {reason(error)}", where=source, hint=paths_start(base)) from error
    return path


@contextmanager
def reading(path: Path, where: str, what: str = "", hint: str = "") -> Iterator[None]:
    """Turn any error of a library that reads a file into a `DataError`.

    what: the part that is read, such as `array x`; hint: what would work.
    """
    part = f"{what} cannot be read" if what else "cannot be read"
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        size, free = room.in_gib(path.stat().st_size), room.in_gib(system.free_memory())
        hint = "Use fewer rows or columns, or a machine with more memory."
        raise DataError(f"{part}: memory ran out (a file of {size}, {free} free)", where=where, hint=hint) from error
    except Exception as error:
        raise DataError(f"{part}: {reason(error)}", where=where, hint=hint) from error


def reason(error: BaseException) -> str:
    """Return the message of an error in one line, without its type; of the operating system's only the reason."""
    if isinstance(error, OSError) and error.strerror:
        return refusal(error)
    if isinstance(error, ValueError) and "allow_pickle" in str(error):  # NumPy's advice is to run what the file holds
        return "it is no file of arrays, or holds Python objects, which are not read"
    return one_line(error).removeprefix(f"{type(error).__name__}: ")


def parquet(path: Path, where: str) -> pd.DataFrame:
    """Return the table of a Parquet file; raises `DataError`."""
    with reading(path, where):
        return pd.read_parquet(path)
