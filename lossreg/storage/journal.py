"""The `Journal` of a study, Optuna's file read once and written by one process, and the `StudyStorage` upon it."""

from __future__ import annotations

import copy
import itertools
import json
import os
import time
import zlib
from collections import defaultdict, deque
from collections.abc import Container, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO, Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from lossreg.errors import LossregError, brief
from lossreg.storage import file_lock

SYNC_EVERY = 1.0
Version = tuple[int, int, int]


class Journal(BaseJournalBackend):  # type: ignore[misc]
    """Reads and writes the lines of Optuna's own `JournalFileBackend`; only the holder of the study's lock writes.

    What is appended is with the operating system at once, so that a killed process loses nothing. It is on the disk
    after `sync`, as with each batch of trials that end, or with the next line that comes `SYNC_EVERY` seconds after the
    last. What was written is read from memory.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._synced = path, time.monotonic()
        self._version: Version | None = None
        # of the lines that were read
        self._length = self._checksum = 0
        self._unread: deque[dict[str, Any]] = deque()
        self._file: FileIO | None = None

    @property
    def is_current(self) -> bool:
        """True if the file is as it was when it was read; False if it was not read yet, or is gone."""
        return self._version is not None and self._path.exists() and self._version == _version(self._path)

    def read_on(self) -> bool:
        """Have lines that others have appended read next; return False where the file has no longer those before."""
        if self._version is None or not self._path.exists():
            return False
        self._version = _version(self._path)
        with self._path.open("rb") as file:
            is_same = zlib.crc32(file.read(self._length)) == self._checksum
            self._unread.extend(self._logs(file) if is_same else ())
        return is_same

    def _logs(self, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        """Yield the logs of a file from where it stands; a line without an end is left out."""
        # what follows a line without an end, once that is written on, is the rest of it
        for line in itertools.takewhile(lambda line: line.endswith(b"\n"), file):
            self._length, self._checksum = self._length + len(line), zlib.crc32(line, self._checksum)
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write one line for each log.

        Raises `OSError`, with nothing written, where the disk has no room for all, and `LossregError` where the file is
        no longer in its place.
        """
        self._write(b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs))
        self._unread.extend(logs)
        if time.monotonic() - self._synced > SYNC_EVERY:
            self.sync()

    def _write(self, lines: bytes) -> None:
        """Write all of it or nothing: a line that was cut off would swallow the next one."""
        if self._file is None:
            self._file = FileIO(self._path, "ab")
        self._require_place(self._file)
        size, left = os.fstat(self._file.fileno()).st_size, memoryview(lines)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            os.ftruncate(self._file.fileno(), size)
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def _require_place(self, file: FileIO) -> None:
        """Raise `LossregError` for a file that is no longer where readers look for it."""
        if not file_lock.is_at(file, self._path):
            raise LossregError(
                f"{brief(self._path)}: this journal was removed or renamed while the study ran, so the run ends here. "
                "Move it back to go on; without it the study begins again."
            )

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the logs that were not read yet, at first those of the file."""
        if self._version is None and self._path.exists():
            self._version = _version(self._path)
            self._unread.clear()
            with self._path.open("rb") as file:
                yield from self._logs(file)
        while self._unread:
            yield self._unread.popleft()

    def sync(self) -> None:
        """Force everything onto the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Force everything onto the disk, and write no more."""
        if self._file is not None and not self._file.closed:
            self.sync()
            self._file.close()


class StudyStorage(JournalStorage):  # type: ignore[misc]
    """Optuna's storage of a journal, which looks up a trial that has ended, and so changes no more, only once.

    Optuna's own goes through all trials for each one that is asked for.
    """

    def __init__(self, journal: BaseJournalBackend) -> None:
        super().__init__(journal)
        self._ended: defaultdict[int, list[FrozenTrial]] = defaultdict(list)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials by number, those in one of the states where there are any given."""
        ended, later = self._ended[study_id], self._later(study_id)
        ended.extend(itertools.takewhile(lambda trial: trial.state.is_finished(), later))
        later = [trial for trial in later if not ended or trial.number > ended[-1].number]
        is_any = states is None or any(state in states for state in TrialState if state.is_finished())
        trials = [*ended, *later] if is_any else later
        chosen = trials if states is None else [trial for trial in trials if trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def _later(self, study_id: int) -> list[FrozenTrial]:
        """Return the trials behind those that are known to have ended."""
        if not self._ended[study_id]:
            return list(super().get_all_trials(study_id, deepcopy=False))
        later: list[FrozenTrial] = []
        with suppress(KeyError):
            for number in itertools.count(len(self._ended[study_id])):
                later.append(self.get_trial(self.get_trial_id_from_study_id_trial_number(study_id, number)))
        return later


def _version(path: Path) -> Version:
    """Return what differs between two states of a file that other processes replace, lengthen or shorten."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
