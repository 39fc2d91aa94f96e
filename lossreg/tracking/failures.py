"""Failures of an MLflow store in words: what is wrong with its server, file or disk, and what to do."""

from __future__ import annotations

import errno
import re

from lossreg.errors import LossregError, shortened
from lossreg.terminal import masking
from lossreg.tracking.uri import is_server, sqlite_path

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
LOGIN = "look at MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
STATUS = {
    "401": f"the server asks for a login (HTTP 401): {LOGIN}",
    "403": f"the server refuses access (HTTP 403): look whether this account may write there, and {LOGIN}",
    "404": "the server has no MLflow at this address (HTTP 404): look at the address",
    "413": "the server, or a proxy before it, takes no file of this size (HTTP 413)",
    "429": "the server takes no more requests for now (HTTP 429)",
}
# as MLflow's client and its artifact stores tell the status of an answer that is not MLflow's own
STATUS_TOLD = re.compile(
    r"failed with error code (\d{3}) != |^(\d{3}) (?:Client|Server) Error: |too many (\d{3}) error"
)
# messages of the libraries below, inside longer texts
CONNECTION = {
    "was not in a valid JSON format": "the answer is a web page and not MLflow's: look whether a proxy before the "
    "server asks for a login, and whether MLflow is at this address",
    "timed out": "no answer (timed out)",
    "Connection refused": "no answer (connection refused)",
    "Connection aborted": "the connection was cut off",
    "Connection reset": "the connection was cut off",
    "Remote end closed connection": "the connection was cut off",
    "database or disk is full": "no room is left on the server's disk",
    "attempt to write a readonly database": "the server must not write to its database",
    "Network is unreachable": "no answer (the network is unreachable)",
}
LONGEST = 300


class NotDrawnError(LossregError):
    """A picture could not be drawn, which is not a failure of the store."""


def reason(error: Exception, uri: str) -> str:
    """Return what is wrong with the store `uri` and what to do, or the first line of the error, without SQL."""
    text = str(error)
    # before masking: a password may be a word of the messages that are looked for
    if known := _known(text, error, uri) or _status(text) or (is_server(uri) and _connection(text)):
        return known
    masked = masking.masked(text).strip() or type(error).__name__
    return shortened(masked.splitlines()[0].strip().rstrip("."), LONGEST)


def _status(text: str) -> str:
    """Return the meaning of the HTTP status that `text` tells, empty where it tells none."""
    match = STATUS_TOLD.search(text)
    status = next(filter(None, match.groups())) if match else ""
    return STATUS.get(status) or (f"the server failed (HTTP {status}): look into its log" if status else "")


def _connection(text: str) -> str:
    """Return the trouble with a server or the way there that `text` tells of, empty where it tells of none."""
    return next((meaning for phrase, meaning in CONNECTION.items() if phrase in text), "")


def _known(text: str, error: Exception, uri: str) -> str:
    """Return the trouble with a file or a disk that `error` tells of, empty where it tells of none."""
    path = sqlite_path(uri)
    meaning = SYSTEM.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    if path is not None:
        meaning = next((meaning for phrase, meaning in SQLITE.items() if phrase in text), meaning)
    file = getattr(error, "filename", None) or path
    return meaning.format(path=file) if file else ""
