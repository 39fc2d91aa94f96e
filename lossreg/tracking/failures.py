"""Failures of an MLflow store in words: what is wrong with its file or disk, and what to do."""

from __future__ import annotations

import errno

from lossreg.errors import shortened
from lossreg.terminal import masking
from lossreg.tracking.uri import sqlite_path

# messages of SQLite, which SQLAlchemy and MLflow pass on inside longer texts, and what they mean
SQLITE = {
    "database or disk is full": "no room is left on the disk of {path}: make room there",
    "disk I/O error": "{path} cannot be read or written (disk I/O error): look whether its disk is full or gone",
    "attempt to write a readonly database": "{path} must not be written to: give yourself that right on it",
    "unable to open database file": "{path} cannot be opened: its folder must be there, and both be yours to write",
    "database disk image is malformed": "{path} is damaged: move it aside, and a new one is written",
    "file is not a database": "{path} is no SQLite database, or damaged: move it aside, and a new one is written",
    "Can't locate revision identified by": "{path} was written by another program, or by a newer MLflow: name "
    "another file in tracking.uri",
    "database is locked": "{path} is held by another process",
}
SYSTEM = {
    errno.ENOSPC: "no room is left on the disk of {path}: make room there",
    errno.EDQUOT: "your quota on the disk of {path} is used up: make room there",
    errno.EROFS: "the disk of {path} must not be written to: choose another place",
    errno.EACCES: "{path} must not be written to: give yourself that right on it",
}
LONGEST = 300


def reason(error: Exception, uri: str) -> str:
    """Return what is wrong with the store `uri` and what to do, or the first line of the error, without SQL."""
    text = masking.masked(str(error)).strip() or type(error).__name__
    if known := _known(text, error, uri):
        return known
    return shortened(text.splitlines()[0].strip().rstrip("."), LONGEST)


def _known(text: str, error: Exception, uri: str) -> str:
    """Return the trouble with a file or a disk that `error` tells of, empty where it tells of none."""
    path = sqlite_path(uri)
    meaning = SYSTEM.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    if path is not None:
        meaning = next((meaning for phrase, meaning in SQLITE.items() if phrase in text), meaning)
    file = getattr(error, "filename", None) or path
    return meaning.format(path=file) if file else ""
