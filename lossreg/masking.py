"""Passwords and tokens are kept out of every text that leaves the program.

`masked` is the one function that does it. It knows a secret by the text around it (the address of a server or a
database, `password=`, an ODBC connection string, a header), and by its letters, however another library spells them:
those of each address that was given to `learn`, and those of the variables in `ENVIRONMENT`.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
# what MLflow, its stores for artifacts, and drivers of databases read
ENVIRONMENT = (
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE", "DATABRICKS_TOKEN", "DATABRICKS_PASSWORD", "DATABRICKS_CLIENT_SECRET",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_CLIENT_SECRET", "PGPASSWORD", "MYSQL_PWD",
)  # fmt: skip
ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI", "HTTP_PROXY", "HTTPS_PROXY")
# a shorter secret is masked where it stands in an address, and nowhere else
SHORTEST = 4
# from this length on a secret is masked inside words as well
LONG = 8
MOST_CUTS = 8
# what stands for "no password" beside a token
FILLERS = ("", "x-oauth-basic")
# where a user without a password is a user, and no token
DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle", "sqlite")
NAME = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|(?:api|access|account|private)[_-]?key)"
VALUE = r"""(?:\{[^}]*\}|"[^"]*"|'[^']*'|[^\s;&"',)\]]+)"""
USER = r"[^\s:/?#@\"'<>]*"
FORMS = [
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # https://token@host, https://token:@host; a database's user without a password is no secret
        (r"(https?://)[^\s:/?#\"'<>]+(?::|:x-oauth-basic)?@", rf"\1{MASK}@"),
        # postgresql://user:password@host, whatever the password holds; not http://host:5000/a@b
        (rf"(://{USER}):(?!\d{{1,5}}[/?#])[^\s\"'<>]*@", rf"\1:{MASK}@"),
        # postgresql://user:password, the host forgotten
        (rf"(://(?!\[){USER}):(?!\d{{1,5}}\b)[^\s\"'<>@/?#]+(?![^\s\"'<>]*@)", rf"\1:{MASK}"),
        # ?odbc_connect=DRIVER%3D...%3BPWD%3D...
        (r"(odbc_connect=)[^\s&\"'<>]+", rf"\1{MASK}"),
        (rf"({NAME}%3D)(?:(?!%3B)[^\s&;\"'<>])+", rf"\1{MASK}"),
        # password=..., PWD={...}; ?sig=...
        (rf"({NAME}\s?=\s?)(?!=){VALUE}", rf"\1{MASK}"),
        (r"([?&]sig=)[^\s&\"'<>]+", rf"\1{MASK}"),
        # {'password': '...'}
        (rf"({NAME}[\"']\s*:\s*){VALUE}", rf"\1'{MASK}'"),
        (r"(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:basic|bearer|token)\s+)?[\w+/=.~*-]+", rf"\1{MASK}"),
    )
]
# a form takes one of these for the end of a secret
ENDS = re.compile(r"[\s\"'<>{}()\[\],;&]|%3B", re.IGNORECASE)
ADDRESS = r"[\w+.-]+://"
IN_TEXT = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rf"({ADDRESS}[^\"'\n]*[@?][^\"'\n]*)",
        rf"\"({ADDRESS}[^\"\n]*[@?][^\"\n]*)\"",
        rf"'({ADDRESS}[^'\n]*[@?][^'\n]*)'",
        rf"=\s*({ADDRESS}.*[@?].*)$",
    )
]
# without any of these no form applies, which is quicker to see
MARKS = ("=", "@", "://", "%3", "':", '":', "uthorization", "UTHORIZATION")


class _Known:
    """The secrets that were learned, as one pattern of all their spellings."""

    def __init__(self) -> None:
        self.spellings: set[str] = set()
        self.pattern: re.Pattern[str] | None = None
        self.before_forms: re.Pattern[str] | None = None
        self.environment: tuple[str | None, ...] = ()

    def add(self, secrets: Iterable[str]) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
        if spellings <= self.spellings:
            return
        self.spellings |= spellings
        self.pattern = _any_of(self.spellings)
        self.before_forms = _any_of(filter(ENDS.search, self.spellings))

    def look_around(self) -> None:
        """Learn the secrets of the environment, where it has changed."""
        environment = tuple(map(os.environ.get, (*ENVIRONMENT, *ADDRESSES, *map(str.lower, ADDRESSES))))
        if environment == self.environment:
            return
        self.environment = environment
        self.add(value for value in environment[: len(ENVIRONMENT)] if value)
        for address in filter(None, environment[len(ENVIRONMENT) :]):
            self.add(_secrets(address))


_known = _Known()


def learn(address: str) -> None:
    """Note the secrets of `address`, the URI of a server or a database, for every later `masked`."""
    _known.add(_secrets(address))


def learn_all(text: str) -> None:
    """Note the secrets of every address in `text`, such as a study file or an assignment.

    An address ends at a quote, at the quote that it began with, or, as the whole of a value, with the line.
    """
    for pattern in IN_TEXT:
        for found in pattern.finditer(text):
            learn(found[1])


def masked(text: str) -> str:
    """Return `text` with `***` for every secret in it; applied again it changes nothing."""
    _known.look_around()
    # a form would leave the end of such a secret, and what is left would no longer be known
    if _known.before_forms is not None:
        text = _known.before_forms.sub(MASK, text)
    # all others after the forms: a secret that is a word, such as "secret", may stand in what a form is known by
    if any(mark in text for mark in MARKS):
        for form, replacement in FORMS:
            text = form.sub(replacement, text)
    return text if _known.pattern is None else _known.pattern.sub(MASK, text)


def masked_values(value: Any) -> Any:
    """Return a document of plain values with every text in it masked, keys included."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {masked_values(key): masked_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked_values(item) for item in value]
    return value


def _any_of(spellings: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of all spellings, the longest first; None where there are none."""
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(map(_pattern, longest_first))) if longest_first else None


def _pattern(spelling: str) -> str:
    if len(spelling) >= LONG:
        return re.escape(spelling)
    return rf"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{{2}})){re.escape(spelling)}(?!\w)"


def _spellings(secret: str) -> set[str]:
    """The letters of a secret as they are, in URLs, in JSON, in Python source, in HTML."""
    plain = {secret, unquote(secret), unquote_plus(secret)}
    spellings = set(plain)
    for text in plain:
        encoded = text.encode(errors="replace").decode()
        spellings |= {quote(encoded, safe=""), quote(encoded), quote_plus(encoded)}
        spellings |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        spellings |= {repr(text)[1:-1], html.escape(text)}
    return {spelling for spelling in spellings if len(spelling) >= SHORTEST}


def _secrets(address: str) -> Iterator[str]:
    """The secrets of one address: password, or token in place of the user; parameters; an ODBC connection string.

    Where a password holds characters that should have been encoded, libraries cut it there: its pieces count too.
    A secret that stands in the open beside it, as in postgresql://mlflow:mlflow@host/mlflow, is none.
    """
    scheme, _, rest = address.partition("://") if "://" in address else ("", "", address)
    account, host = _account(rest)
    user, _, password = account.partition(":")
    if password in FILLERS and not scheme.lower().startswith(DATABASES):
        yield from _pieces(user, ())
    elif password:
        yield from _pieces(password, {user, *re.split(r"[/?&=:]", host)})
        yield from (f"{password[cut.end() :]}@{re.split('[:/?#]', host)[0]}" for cut in re.finditer("@", password))
        yield base64.b64encode(unquote(account).encode(errors="replace")).decode()
    # `;` ends a parameter for some drivers, and is part of its value for others
    pairs = re.findall(r"[?&;]([^=&;]+)=([^&;]*)", rest) + re.findall(r"[?&]([^=&;]+)=([^&]*)", rest)
    for name, value in pairs:
        yield from _parameter(name, value)


def _account(rest: str) -> tuple[str, str]:
    """`user:password` and what follows it, of an address without its scheme."""
    authority, path = re.split(r"[/?#]", rest, maxsplit=1)[0], re.split(r"[?#]", rest, maxsplit=1)[0]
    if "@" not in rest or re.fullmatch(r"[^@:]*(:\d{1,5})?", authority):
        return "", rest
    until = next(part for part in (path, rest) if "@" in part).rindex("@")
    return rest[:until], rest[until + 1 :]


def _pieces(secret: str, visible: Iterable[str]) -> Iterator[str]:
    """A secret and all that lies between two places of it where a library may cut it."""
    cuts = [found.span() for found in re.finditer(r"[/?#@:]", secret)][:MOST_CUTS]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(secret)]
    pieces = {secret[start:end] for start in starts for end in ends if end > start}
    yield from pieces.difference(visible)


def _parameter(name: str, value: str) -> Iterator[str]:
    if name.lower() == "odbc_connect":
        yield value
        for found in re.finditer(rf"{NAME}\s*=\s*({{[^}}]*}}|[^;]*)", unquote_plus(value), re.IGNORECASE):
            yield found[1].strip("{} ")
    elif re.search(rf"{NAME}$|^sig$", name, re.IGNORECASE):
        yield value
