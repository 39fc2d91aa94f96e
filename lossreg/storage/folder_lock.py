"""The lock of a study's folder, which one process holds while it runs the study."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lossreg.errors import InputError, on_disk
from lossreg.storage import file_lock

LOCK = "lock"


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from running the study of that name; raises `InputError` when one does."""
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        opened = _open(folder, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with opened as file:
        if not file_lock.take(file):
            raise InputError(f"study {name!r} is being run by another process", where=str(folder))
        yield


def is_held(folder: Path) -> bool:
    """Return whether a process holds the lock; nothing is written, and the lock is held only for the check."""
    try:
        with _open(folder, os.O_RDONLY) as file:
            return not file_lock.is_free(file)
    except (OSError, InputError):
        return False


def _open(folder: Path, flags: int) -> IO[bytes]:
    """Open the lock of a study; a pipe in its place, which would be waited for, raises `InputError`.

    It is not emptied: a link may have been planted in its place.
    """
    path = folder / LOCK
    file = file_lock.opened(path, flags)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError("is no file, and the lock of the study belongs there", where=str(path), hint="Move it away.")
    return file
