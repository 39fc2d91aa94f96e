"""Whether the preprocessed rows of all folds fit in memory, asked before they are made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lossreg.errors import DataError

# once as arrays here, once as tensors of a trainer
COPIES = 2
GIB = 2**30
UNLIMITED = 2**63
# limit and use of a control group of either version, and the part of its use that is freed at need
GROUPS = {
    Path("/sys/fs/cgroup"): ("memory.max", "memory.current", "inactive_file"),
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def available() -> int:
    """Bytes of memory that can be had without swapping, in this machine and within this container."""
    return min([_machine(), *(_left(folder, *names) for folder, names in GROUPS.items())])


def _left(folder: Path, limit: str, used: str, cached: str) -> int:
    most = _number(_text(folder / limit), UNLIMITED)
    freed = next(
        (line.split()[1] for line in _text(folder / "memory.stat").splitlines() if line.startswith(cached)), ""
    )
    return most - _number(_text(folder / used)) + _number(freed)


def _machine() -> int:
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def _number(text: str, otherwise: int = 0) -> int:
    return int(text) if text.strip().isdigit() else otherwise


def check(row: Any, rows: int, folds: int, where: str) -> None:
    """Raise `DataError` when `rows` rows like the single preprocessed one in `row`, once a fold, do not fit."""
    parts = row.values() if isinstance(row, Mapping) else [row]
    each, free = COPIES * rows * sum(int(part.nbytes) for part in parts), available()
    if folds * each <= free:
        return
    shapes = ", ".join(str(part.shape[1:]) for part in parts)
    copies = f"{folds} folds of " if folds > 1 else ""
    what = f"{copies}{rows} rows of shape {shapes} need {_said(folds * each)} of memory, and {_said(free)} are free"
    raise DataError(what, where=where, hint=_hint(int(free // each), folds, _said(each)))


def _hint(most: int, folds: int, each: str) -> str:
    if folds > 1 and most:
        return f"Use at most {most} folds." if most > 1 else f"Set validation in place of folds, which needs {each}."
    return "Use fewer or smaller rows."


def _said(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
