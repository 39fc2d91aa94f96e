"""Write files and folders all or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO


def part_of(whole: Path) -> Path:
    """Return where this process writes what is to take the place of a file."""
    return whole.with_name(f".{whole.name}-{os.getpid()}.part")


@contextmanager
def replaced(part: Path, whole: Path) -> Iterator[IO[bytes]]:
    """Have a file open that takes the place of another once it is on the disk.

    Nothing is left of one that fails or is interrupted.
    A link in its place is removed, so that nothing is written where it leads.
    """
    try:
        part.unlink(missing_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(whole)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(part)) from error
        raise


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Have an empty folder on the disk of a target, in which what is to take its place is written.

    It is removed at the end, with what is left in it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
