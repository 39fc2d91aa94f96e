"""The address of a storage that several workers share: checked, and completed from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import unquote_plus, urlsplit

from lossreg.errors import InputError, did_you_mean
from lossreg.terminal import masking
from lossreg.terminal.masking import scheme_and_host

# none of a Unix socket
LOOPBACK = (None, "localhost", "127.0.0.1", "::1")
POSTGRESQL, GRPC = "postgresql", "grpc"
EXAMPLES = "postgresql+psycopg://user@host/database or grpc://host:13000"
MEANT = "Did you mean postgresql+psycopg://?"
ENCODED = "@ is written as %40, / as %2F"
VARIABLE = re.compile(r"\$\{(\w+)\}")
# a study file of somebody else could send any other variable to a server of theirs
PREFIX = "LOSSREG_"
# by these it could send what other files of this machine hold, or have keys written
FOREIGN = ("passfile", "service", "servicefile", "conninfo", "dsn", "gssdelegation", "sslkeylogfile")
REQUIRE_AUTH = "require_auth"
# ways to authenticate in which the server learns no password; libpq's `none` has trust and certificates as well
KEEPS_PASSWORD = ("scram-sha-256", "gss", "none")
METHODS = {*KEEPS_PASSWORD, "md5"}
PARAMETER = re.compile(r"[?&]([^?&=]+)=([^&]*)")
SQLITE = (
    "SQLite has one writer at a time and locks its whole file, over a network not even reliably, so several workers "
    "would wait for each other and fail"
)


def check(url: str) -> str:
    """Return an address as it is written; raises `InputError` for one that no worker could use.

    One that begins with a variable of the environment is checked when it is used.
    """
    masking.learn(url)
    if foreign := [name for name in VARIABLE.findall(url) if not name.startswith(PREFIX)]:
        what = f"${{{foreign[0]}}} cannot stand in an address, only variables whose names begin with {PREFIX}"
        raise InputError(what, hint=f"For example ${{{PREFIX}PASSWORD}}.")
    _check_parameters(url)
    if not VARIABLE.match(url):
        _check_kind(url)
    return url


def complete(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return an address with the values of its variables, `${NAME}`; raises `InputError`."""
    missing = [name for name in VARIABLE.findall(url) if not environ.get(name)]
    if missing:
        raise InputError(
            f"the environment has no variable {missing[0]}", where="storage.url", hint=f"For example {EXAMPLES}."
        )
    address = VARIABLE.sub(lambda match: environ[match[1]], url)
    masking.learn(address)
    _check_kind(address)
    return address


def is_variable(url: str) -> bool:
    """Return whether all of an address is a variable of the environment, and so the user's own."""
    return VARIABLE.fullmatch(url) is not None


def kind(url: str) -> str:
    """Return `postgresql`, `grpc` or what else an address begins with."""
    return url.partition("://")[0].partition("+")[0].lower()


def host_and_port(url: str) -> tuple[str, int]:
    """Return both of a gRPC address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def is_here(url: str) -> bool:
    """Return whether a complete address is one of this machine, where all workers may be."""
    return urlsplit(url).hostname in LOOPBACK


def _check_parameters(url: str) -> None:
    """Raise `InputError` for parameters with which a study file could send a password of this machine elsewhere."""
    instead = f'Take the whole address from the environment, url = "${{{PREFIX}STORAGE}}"'
    for name, value in ((unquote_plus(name), unquote_plus(value)) for name, value in PARAMETER.findall(url)):
        if name in FOREIGN:
            what = f"{name} cannot stand in a study file, which could name any server for what is secret"
            raise InputError(what, hint=f"{instead}.")
        if name == REQUIRE_AUTH and not METHODS.issuperset(method.strip() for method in value.split(",")):
            what = f"{REQUIRE_AUTH} can be {', '.join(sorted(METHODS))} in a study file, which could name any server"
            raise InputError(what, hint=f"{instead}; or set PGREQUIREAUTH, for example to password.")


def _check_kind(url: str) -> None:
    written = repr(scheme_and_host(url))
    if kind(url) == "sqlite":
        hint = f"Take a server, {EXAMPLES}; or leave url out, for one process with a file of its own."
        raise InputError(f"{written} cannot be shared: {SQLITE}", hint=hint)
    if url != url.strip():
        raise InputError(f"{written} has a space before or after it", hint="Remove it.")
    if kind(url) not in (POSTGRESQL, GRPC) or "://" not in url:
        is_postgresql = did_you_mean(re.split(r"[+:/]", url)[0].lower(), (POSTGRESQL,))
        hint = MEANT if is_postgresql or url.startswith(POSTGRESQL) else f"For example {EXAMPLES}."
        raise InputError(f"{written} is no storage that workers can share", hint=hint)
    if kind(url) == GRPC and not _is_server(url):
        raise InputError(f"{written} names no host and port", hint="For example grpc://host:13000.")
    if kind(url) == POSTGRESQL:
        _check_database(url, written)


def _check_database(url: str, written: str) -> None:
    """Raise `InputError` for an account or a port that no server has; variables that are not yet put in may be any."""
    account, _, rest = url.partition("://")[2].partition("?")[0].rpartition("@")
    if "@" in account:
        raise InputError(f"{written} has more than one @", hint=f"In a password {ENCODED}.")
    port = re.search(r":([^:\]]+)$", VARIABLE.sub("1", rest.partition("/")[0]))
    if port and not (port[1].isdecimal() and 0 < int(port[1]) < 2**16):
        raise InputError(f"{written} has no valid port", hint="Ports go from 1 to 65535.")


def _is_server(url: str) -> bool:
    try:
        return all(host_and_port(url))
    except ValueError:
        return False
