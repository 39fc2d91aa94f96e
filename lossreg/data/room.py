"""Check that the preprocessed samples of all folds fit in memory, before they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossreg.errors import DataError
from lossreg.runtime import system

# once as arrays here, once as tensors of a trainer
COPIES = 2
HALF = 0.5  # of the memory that is free; the rest is left to models and optimizers
GIB = 2**30
LARGEST = 10**9


def check(row: Any, rows: int, folds: int, where: str) -> None:
    """Raise `DataError` when `rows` rows like the single preprocessed one in `row`, once per fold, do not fit."""
    per_fold, free = _size(row, rows), system.free_memory()
    if folds * per_fold <= free:
        return
    parts = row.values() if isinstance(row, Mapping) else [row]
    shapes = ", ".join(str(part.shape[1:]) for part in parts)
    copies = f"{folds} folds of " if folds > 1 else ""
    needed = f"{copies}{rows:,} rows of shape {shapes} need {in_gib(folds * per_fold)} of memory"
    what = f"{needed}, and {in_gib(free)} are free"
    raise DataError(what, where=where, hint=_hint(int(free // per_fold), folds, in_gib(per_fold)))


def fitting(row: Any, rows: int) -> int:
    """Return the number of folds of `rows` rows like the one in `row` for which half of the free memory is enough."""
    return max(1, int(HALF * system.free_memory() // _size(row, rows)))


def _size(row: Any, rows: int) -> int:
    """Return the bytes that a fold of so many rows takes."""
    parts = row.values() if isinstance(row, Mapping) else [row]
    return COPIES * rows * sum(int(part.nbytes) for part in parts)


def _hint(most: int, folds: int, per_fold: str) -> str:
    if folds > 1 and most:
        return (
            f"Use at most {most} folds." if most > 1 else f"Set validation in place of folds, which needs {per_fold}."
        )
    return "Use fewer or smaller rows."


def in_gib(size: int) -> str:
    """Return a number of bytes in GiB."""
    return f"{size / GIB:.3g} GiB" if size < LARGEST * GIB else f"over {LARGEST:,} GiB"
