"""The present work of a run of a study, in a file beside the study's folder, for those who watch it.

The file is there, and locked, as long as the run lasts, also before the study's folder is written.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Self

from lossreg.storage import file_lock
from lossreg.storage.file_lock import LOOKS, MOMENT
from lossreg.storage.observer import Running
from lossreg.storage.trial_record import finite

SUFFIX = ".running"
# seconds between two states of the same work
EVERY = 0.5
# more than any activity takes
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Activity:
    """The work of a run, as it was at a moment.

    text: in words, empty while trials are searched; done, total: of its trainings, 0 of 0 where it has none; since, at:
    when it began, and when this was noted, in POSIX seconds; speed: of the search, in words; left: seconds until the
    study ends, None where that is not known; running: trials that are trained, none where they are many.
    """

    text: str
    done: float = 0.0
    total: int = 0
    since: float = 0.0
    at: float = 0.0
    speed: str = ""
    left: float | None = None
    running: Sequence[Running] = ()


def file_of(folder: Path) -> Path:
    """Return the file of a study's folder; no study can have its name, which begins with a dot."""
    return folder.with_name(f".{folder.name}{SUFFIX}")


def read(folder: Path) -> Activity | None:
    """Return what the run of a study does, None where none runs; nothing is written."""
    try:
        with file_lock.opened(file_of(folder), os.O_RDONLY | os.O_NOFOLLOW) as file:
            return None if file_lock.is_free(file) else _stored(file)
    except OSError:
        return None


def _stored(file: IO[bytes]) -> Activity:
    """Return the activity in a file, read again while the file is only half written; one of no text if it stays so."""
    for left in reversed(range(LOOKS)):
        with suppress(ValueError, TypeError, KeyError):
            line, _, _ = os.pread(file.fileno(), MOST_BYTES, 0).partition(b"\n")
            values = json.loads(line)
            return Activity(**{**values, "running": [Running(*one) for one in values["running"]]})
        time.sleep(MOMENT if left else 0)
    return Activity("")


@contextmanager
def announced(folder: Path) -> Iterator[ActivityFile]:
    """Keep the activity file of the study in a folder while the block runs; a nested call returns the same file.

    It is removed at the end.
    """
    place = folder.absolute()
    if place in _announced:
        yield _announced[place]
        return
    with ActivityFile(place) as noted:
        _announced[place] = noted
        try:
            yield noted
        finally:
            del _announced[place]


class ActivityFile:
    """The file of a run; a context, at whose end it is removed, with folders that were made for it.

    Where it cannot be written, or another run has it, nothing is noted.
    """

    def __init__(self, folder: Path) -> None:
        self._path = file_of(folder)
        self._file: IO[bytes] | None = None
        self._new_folders: list[Path] = []
        self._last = Activity("")
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._new_folders = [above for above in self._path.parents if not above.exists()]
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._locked()
            self.note(Activity("starting", since=time.time()))
        return self

    def _locked(self) -> IO[bytes] | None:
        """Return the file, None where another run has it; one that another run removed meanwhile is created again."""
        for _ in range(LOOKS):
            file = file_lock.opened(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
            is_free = file_lock.take(file)
            if is_free and file_lock.is_at(file, self._path):
                return file
            file.close()
            if not is_free:
                break
        return None

    def __exit__(self, *error: object) -> None:
        with self._writing, suppress(OSError):
            if self._file is not None:
                self._path.unlink(missing_ok=True)
                self._file.close()
                self._file = None
            for folder in self._new_folders:
                folder.rmdir()

    def note(self, activity: Activity) -> None:
        """Write what is done now; of the same work not more often than every `EVERY` seconds."""
        with self._writing:
            now, last = time.time(), self._last
            is_same = activity.text == last.text and (activity.done < activity.total or not activity.total)
            if self._file is None or (is_same and now - last.at < EVERY):
                return
            self._last = replace(activity, at=now)
            # the end of the line ends it for those who read before a longer former text is cut off
            text = json.dumps(finite(vars(self._last))).encode() + b"\n"
            with suppress(OSError):
                os.pwrite(self._file.fileno(), text, 0)
                os.ftruncate(self._file.fileno(), len(text))


_announced: dict[Path, ActivityFile] = {}
