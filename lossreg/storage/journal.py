"""The `Journal` of a study: Optuna's journal file, written by one process that need not read its own lines again."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

SYNC_EVERY = 1.0


class Journal(BaseJournalBackend):  # type: ignore[misc]
    """Writes the lines of Optuna's own `JournalFileBackend`; only for the holder of the study's lock.

    What is appended is with the operating system at once, so that a killed process loses nothing, and on
    the disk within `SYNC_EVERY` seconds. What was written is read from memory.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._synced = path, False, time.monotonic()
        self._unread: deque[dict[str, Any]] = deque()
        self._file = path.open("ab", buffering=0)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write one line for each log; raises `OSError`, with nothing written, where the disk has no room for all."""
        self._write(b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs))
        self._unread.extend(logs)
        if time.monotonic() - self._synced > SYNC_EVERY:
            self.sync()

    def _write(self, lines: bytes) -> None:
        """Write all of it or nothing: a line that was cut off would swallow the next one."""
        size, left = os.fstat(self._file.fileno()).st_size, memoryview(lines)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            os.ftruncate(self._file.fileno(), size)
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the logs that were not read yet, at first those of the file."""
        if not self._read:
            self._read = True
            self._unread.clear()
            with self._path.open("rb") as file:
                yield from map(json.loads, file)
        while self._unread:
            yield self._unread.popleft()

    def sync(self) -> None:
        """Force everything onto the disk."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Force everything onto the disk, and write no more."""
        if not self._file.closed:
            self.sync()
            self._file.close()
