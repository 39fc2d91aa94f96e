"""Where runs are kept: which MLflow store a study means, checked without asking any server."""

from __future__ import annotations

import errno
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from lossreg.errors import InputError, LossregError, did_you_mean, text_of
from lossreg.terminal import masking
from lossreg.terminal.masking import scheme_and_host

if TYPE_CHECKING:
    from lossreg.tracking.database import NewDatabase

DEFAULT = "sqlite:///mlflow.db"
VARIABLE = "MLFLOW_TRACKING_URI"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
PATIENCE = 5.0
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
WORDS = ("databricks", "databricks-uc", "uc")
SQLITE_MAGIC = b"SQLite format 3\x00"
# what SQLite says, and what it means; both it and MLflow pass the first on inside longer texts
SQLITE_TROUBLES = {
    "database or disk is full": "no room is left on the disk of {path}: make room there",
    "disk I/O error": "{path} cannot be read or written (disk I/O error): look whether its disk is full or gone",
    "attempt to write a readonly database": "{path} must not be written to: give yourself that right on it",
    "unable to open database file": "{path} cannot be opened: its folder must be there, and both be yours to write",
    "database disk image is malformed": "{path} is damaged: move it aside, and a new one is written",
    "file is not a database": "{path} is no SQLite database, or damaged: move it aside, and a new one is written",
    "database is locked": "{path} is held by another process",
}
SYSTEM_TROUBLES = {
    errno.ENOSPC: "no room is left on the disk of {path}: make room there",
    errno.EDQUOT: "your quota on the disk of {path} is used up: make room there",
    errno.EROFS: "the disk of {path} must not be written to: choose another place",
    errno.EACCES: "{path} must not be written to: give yourself that right on it",
}
MIGRATE = (
    f"Take a database (tracking.uri = {DEFAULT!r}, or {VARIABLE}), or move the old runs into one: "
    "`mlflow migrate-filestore --source {folder} --target " + DEFAULT + "`, then rename {folder}."
)


def check(uri: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """The absolute URI of the store that `uri` names; no server is asked.

    Without `uri`, `MLFLOW_TRACKING_URI` counts, and without that MLflow's own default, the
    file `mlflow.db` in the current folder, where relative SQLite paths start. Raises
    `InputError` for a malformed URI, for the folder of files that MLflow no longer writes
    (`./mlruns`), and for what cannot be a database.
    """
    where = "tracking.uri" if uri else VARIABLE if environ.get(VARIABLE) else "tracking"
    named = uri or environ.get(VARIABLE) or ""
    masking.learn(named)
    try:
        return _checked(named) if named else _default()
    except InputError as error:
        raise error.at(where) from None
    except ValueError:
        # what urllib cannot take apart: brackets, control characters
        raise InputError(
            f"{scheme_and_host(named)!r} is no address", hint=f"For example {DEFAULT}.", where=where
        ) from None


def _default() -> str:
    if holds_file_store(Path("mlruns")):
        raise InputError(
            "./mlruns holds runs in MLflow's old file format, which MLflow would choose and refuse",
            hint=MIGRATE.format(folder="mlruns"),
        )
    return _sqlite(DEFAULT)


def holds_file_store(folder: Path) -> bool:
    """Whether MLflow takes `folder` for its old store: an experiment's folder with a `meta.yaml`."""
    return folder.is_dir() and any(
        child.name.isdigit() and (child / "meta.yaml").exists() for child in folder.iterdir()
    )


def _checked(uri: str) -> str:
    if uri in WORDS or uri.startswith("databricks://"):
        return uri
    scheme, written = urlsplit(uri).scheme.lower(), scheme_and_host(uri)
    if scheme in ("", "file"):
        folder = urlsplit(uri).path if written == uri else "FOLDER"
        raise InputError(
            f"{written!r} names a folder of files, which MLflow no longer writes", hint=MIGRATE.format(folder=folder)
        )
    if scheme in ("http", "https"):
        return _server(uri)
    if scheme == "sqlite":
        return _sqlite(uri)
    return _database(uri) if scheme.split("+")[0] in DATABASES else _other(uri, scheme)


def _server(uri: str) -> str:
    parts = urlsplit(uri)
    try:
        named = bool(parts.hostname) and re.search(r"\s", uri) is None and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise InputError(
            f"{scheme_and_host(uri)!r} is no address of a server", hint="For example http://127.0.0.1:5000."
        )
    return uri.rstrip("/")


def _sqlite(uri: str) -> str:
    path = sqlite_path(uri)
    if path is None:
        raise InputError(
            f"{scheme_and_host(uri)!r} names no SQLite file", hint=f"Three slashes before the path: {DEFAULT}."
        )
    path = path.resolve()
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist", hint="Create it, or choose another path.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a database file")
    if path.exists() and path.stat().st_size and not _is_sqlite(path):
        raise InputError(f"{path} exists and is no SQLite database", hint="Choose another path.")
    query = f"?{uri.split('?', 1)[1]}" if "?" in uri else ""
    return f"sqlite:///{path}{query}"


def sqlite_path(uri: str) -> Path | None:
    """The file of a `sqlite:///` URI as it is written; None for a memory database or another kind."""
    path = unquote(uri.removeprefix("sqlite:///").split("?")[0]) if uri.startswith("sqlite:///") else ""
    return Path(path) if path and path != ":memory:" else None


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _database(uri: str) -> str:
    """A database URI that SQLAlchemy can read, with its driver installed."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(f"{scheme_and_host(uri)!r} is no database address: {text_of(error)}") from None
    except ValueError:
        raise InputError(f"{scheme_and_host(uri)!r} is no database address: the port is not a number") from None
    except ImportError as error:
        raise InputError(f"the driver of {url.drivername} is not installed ({text_of(error)})") from None
    if not url.database:
        raise InputError(
            f"{scheme_and_host(uri)!r} names no database", hint="For example postgresql://user@host/mlflow."
        )
    return uri


def _other(uri: str, scheme: str) -> str:
    known = {"http", "https", *DATABASES, *(point.name for point in entry_points(group="mlflow.tracking_store"))}
    if scheme in known:
        return uri
    hint = did_you_mean(scheme, known) or f"Known: {', '.join(sorted(known))}."
    if "://" not in uri:
        raise InputError(f"{scheme_and_host(uri)!r} has no scheme", hint=hint)
    raise InputError(f"{scheme_and_host(uri)!r} has the unknown scheme {scheme!r}", hint=hint)


def shown(uri: str) -> str:
    """The URI for people to read: no password, no token."""
    masking.learn(uri)
    return masking.masked(uri)


def is_server(uri: str) -> bool:
    """Whether the store is behind an HTTP server, which has its own UI."""
    return uri.startswith(("http://", "https://"))


def knock(uri: str) -> None:
    """Raise `LossregError` unless something answers at the store's address within `PATIENCE`, whatever it says.

    MLflow itself would try for minutes. Files and stores without an address pass.
    """
    parts = urlsplit(uri)
    try:
        if is_server(uri):
            address = parts._replace(netloc=parts.netloc.rsplit("@")[-1], path=f"{parts.path}/health")
            urllib.request.urlopen(address.geturl(), timeout=PATIENCE).close()
        elif parts.hostname and parts.scheme.split("+")[0] in PORTS:
            socket.create_connection((parts.hostname, _port(parts)), timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if "CERTIFICATE" not in str(reason):
            raise LossregError(f"no answer ({text_of(reason)})") from None


def is_missing(uri: str) -> bool:
    """Whether the store is an SQLite file that is yet to be made."""
    path = sqlite_path(uri)
    return path is not None and not (path.exists() and path.stat().st_size)


def make(uri: str, ready: NewDatabase | None = None) -> None:
    """Create a SQLite store that is not there yet, whole or not at all: a kill half-way leaves nothing behind its name.

    Tables that MLflow had begun to make are tables that it will not complete. `ready` is what was made ahead.
    """
    from lossreg.tracking.database import NewDatabase

    path = sqlite_path(uri)
    if path is not None and is_missing(uri):
        (ready or NewDatabase()).put(path)


def explained(text: str, error: Exception, uri: str) -> str:
    """Return the trouble with the file or disk of the store `uri` of which `error` tells in `text`, or nothing."""
    path = sqlite_path(uri)
    said = SYSTEM_TROUBLES.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    if path is not None:
        said = next((meaning for phrase, meaning in SQLITE_TROUBLES.items() if phrase in text), said)
    place = getattr(error, "filename", None) or path
    return said.format(path=place) if place else ""


def insist(uri: str) -> None:
    """Raise `LossregError` that names the store unless it answers."""
    try:
        knock(uri)
    except LossregError as error:
        raise LossregError(f"MLflow at {shown(uri)}: {error}") from None


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme.split("+")[0]]
