"""The lock of a study's folder, which one process holds while it runs the study."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lossreg.errors import InputError, on_disk

LOCK = "lock"
# how often a lock is asked for, and seconds in between
LOOKS, MOMENT = 3, 0.02


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from running the study of that name; raises `InputError` when one does."""
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        opened = _open(folder, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with opened as file:
        if not _is_taken(file):
            raise InputError(f"study {name!r} is being run by another process", where=str(folder))
        yield


def is_held(folder: Path) -> bool:
    """Return whether a process holds the lock; nothing is written, and the lock is held only for the check."""
    import fcntl

    try:
        with _open(folder, os.O_RDONLY) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, InputError):
        return False
    return False


def _open(folder: Path, flags: int) -> IO[bytes]:
    """Open the lock of a study; a pipe in its place, which would be waited for, raises `InputError`.

    It is not emptied: a link may have been planted in its place.
    """
    path = folder / LOCK
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    file = os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "ab", buffering=0)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise InputError("is no file, and the lock of the study belongs there", where=str(path), hint="Move it away.")
    return file


def _is_taken(file: IO[bytes]) -> bool:
    """Lock a file; again where that fails, since a look at whether the study is run keeps it for a moment."""
    import fcntl

    for left in reversed(range(LOOKS)):
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(MOMENT if left else 0)
    return False
