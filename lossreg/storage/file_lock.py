"""Files that a process locks for as long as it has them open."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO

# how often a lock is asked for, since a look at it keeps it for a moment, and seconds in between
LOOKS, MOMENT = 3, 0.02


def opened(path: Path, flags: int) -> IO[bytes]:
    """Open a file; a pipe in its place is not waited for."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    return os.fdopen(descriptor, "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "ab", buffering=0)


def is_free(file: IO[bytes]) -> bool:
    """Return whether no process has a file locked; it is not written. Raises `OSError` where files have no locks."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; return whether that was possible."""
    import fcntl

    for left in reversed(range(LOOKS)):
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(MOMENT if left else 0)
    return False


def is_at(file: IO[bytes] | FileIO, path: Path) -> bool:
    """Return whether an open file is still the one of that path, and was not removed."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
