"""Write a file all or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replaced(part: Path, whole: Path) -> Iterator[IO[bytes]]:
    """Have a file open that takes the place of another once it is on the disk; nothing is left of one that fails.

    A link in its place is removed, so that nothing is written where it leads.
    """
    try:
        part.unlink(missing_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(whole)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(part)) from error
