"""The address of an MLflow store: found and checked without asking any server, and asked whether it answers."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPException
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lossreg.errors import InputError, LossregError, did_you_mean, text_of
from lossreg.terminal import masking
from lossreg.terminal.masking import scheme_and_host

DEFAULT = "sqlite:///mlflow.db"
VARIABLE = "MLFLOW_TRACKING_URI"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
PATIENCE = 5.0
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
WORDS = ("databricks", "databricks-uc", "uc")
SQLITE_MAGIC = b"SQLite format 3\x00"
MIGRATE = (
    f"Take a database (tracking.uri = {DEFAULT!r}, or {VARIABLE}), or move the old runs into one: "
    "`mlflow migrate-filestore --source {folder} --target " + DEFAULT + "`, then rename {folder}."
)


def check(uri: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the absolute URI of the store that `uri` names; no server is asked.

    Without `uri`, `MLFLOW_TRACKING_URI` counts, and without that MLflow's own default, the
    file `mlflow.db` in the current folder, where relative SQLite paths start. Raises
    `InputError` for a malformed URI, for the folder of files that MLflow no longer writes
    (`./mlruns`), and for what cannot be a database.
    """
    where = "tracking.uri" if uri else VARIABLE if environ.get(VARIABLE) else "tracking"
    address = uri or environ.get(VARIABLE) or ""
    masking.learn(address)
    try:
        return _checked(address) if address else _default()
    except InputError as error:
        raise error.at(where) from None
    except ValueError:
        # what urllib cannot take apart: brackets, control characters
        raise InputError(
            f"{scheme_and_host(address)!r} is no address", hint=f"For example {DEFAULT}.", where=where
        ) from None


def _default() -> str:
    if holds_file_store(Path("mlruns")):
        raise InputError(
            "./mlruns holds runs in MLflow's old file format, which MLflow would choose and refuse",
            hint=MIGRATE.format(folder="mlruns"),
        )
    return _sqlite(DEFAULT)


def holds_file_store(folder: Path) -> bool:
    """Return whether MLflow takes `folder` for its old store: an experiment's folder with a `meta.yaml`."""
    return folder.is_dir() and any(
        child.name.isdigit() and (child / "meta.yaml").exists() for child in folder.iterdir()
    )


def _checked(uri: str) -> str:
    if not uri.strip():
        raise InputError("is blank", hint=f"Name a store, for example {DEFAULT}, or leave it out.")
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
        is_valid = bool(parts.hostname) and re.search(r"\s", uri) is None and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
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
        raise InputError(f"{path} exists and is no SQLite database", hint=_elsewhere(path))
    if foreign := _foreign_tables(path):
        what = f"{path} is the database of another program, with the table {foreign[0]}"
        raise InputError(what, hint=_elsewhere(path))
    query = f"?{uri.split('?', 1)[1]}" if "?" in uri else ""
    return f"sqlite:///{path}{query}"


def _elsewhere(path: Path) -> str:
    """Return the advice to leave a file of another program where it is."""
    other = path.with_name("lossreg-mlflow.db")
    return f"Name another file, which is created: tracking.uri = 'sqlite:///{other}', or {VARIABLE}=sqlite:///{other}."


def _foreign_tables(path: Path) -> list[str]:
    """Return the tables of a database that MLflow has not made; empty where there are none or it cannot be read."""
    tables: list[str] = []
    if path.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=0, uri=True)) as file:
            tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [] if "experiments" in tables else tables


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a `sqlite:///` URI as it is written; None for a memory database or another kind."""
    path = unquote(uri.removeprefix("sqlite:///").split("?")[0]) if uri.startswith("sqlite:///") else ""
    return Path(path) if path and path != ":memory:" else None


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _database(uri: str) -> str:
    """Return the URI of a database, which SQLAlchemy can read and has the driver for."""
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


def without_secrets(uri: str) -> str:
    """Return the URI for people to read: no password, no token."""
    masking.learn(uri)
    return masking.masked(uri)


def is_server(uri: str) -> bool:
    """Return whether the store is behind an HTTP server, which has its own UI."""
    return uri.startswith(("http://", "https://"))


def ping(uri: str) -> None:
    """Raise `LossregError` unless anything answers at the store's address within `PATIENCE` seconds.

    MLflow itself would try for minutes. Files and stores without an address pass.
    """
    parts = urlsplit(uri)
    kind = parts.scheme.split("+")[0]
    try:
        if is_server(uri):
            address = parts._replace(netloc=parts.netloc.rsplit("@")[-1], path=f"{parts.path}/health")
            urllib.request.urlopen(address.geturl(), timeout=PATIENCE).close()
        elif parts.hostname and kind in PORTS:
            socket.create_connection((parts.hostname, parts.port or PORTS[kind]), timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if "CERTIFICATE" not in str(reason):
            raise LossregError(f"no answer ({text_of(reason)})") from None


def require_answer(uri: str) -> None:
    """Raise `LossregError` that names the store unless it answers, as `ping`."""
    try:
        ping(uri)
    except LossregError as error:
        raise LossregError(f"MLflow at {without_secrets(uri)}: {error}") from None
