"""Masking of passwords and tokens in every text that leaves the program.

`masked` recognises a secret by the text around it (the address of a server or a database, `password=`, an ODBC
connection string, a header), and by its letters, in every encoding that libraries use: the secrets of each address that
was given to `learn`, and of the variables in `ENVIRONMENT`.

A password may be an ordinary word: `postgres`, `adam`, `accuracy`. Such a password is masked only as a whole word, not
inside a longer one (`postgresql`). In a name that lossreg writes (of a loss, a parameter, a column) the word is a
coincidence: `***` in place of a name that everybody can look up would tell the password, and break what uses the name.
So names and lossreg's own sentences are masked with `words=False`, and text of others, such as the message of an
exception or a line of a server's log, is masked in full where it comes in. The text around a secret counts in both, and
so do the letters of every password that is no word.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
# secrets that MLflow, its artifact stores and database drivers read
ENVIRONMENT = (
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE", "DATABRICKS_TOKEN", "DATABRICKS_PASSWORD", "DATABRICKS_CLIENT_SECRET",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_CLIENT_SECRET", "PGPASSWORD", "MYSQL_PWD",
)  # fmt: skip
ADDRESSES = (
    "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "all_proxy",
)  # fmt: skip
VARIABLES = frozenset((*ENVIRONMENT, *ADDRESSES))
# a shorter secret is masked only in an address
SHORTEST = 4
# a secret of this length or longer is masked inside words too, unless it is a word itself
LONG = 8
# a word of this length or longer is nowhere by coincidence
LONGER_THAN_WORDS = 16
# a word begins after an escape or an encoded character too, although a letter or a digit is before it
BORDER = r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2})|(?<=\\[abfnrtv])|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
MOST_CUTS = 8
# what stands for a secret, and is none
A_VARIABLE = re.compile(r"\$\{\w+\}")
# passwords that mean "none" beside a token
FILLERS = ("", "x-oauth-basic")
# here a user without a password is a user, and no token
DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle", "sqlite")
SERVERS = "|".join(DATABASES[:-1])
NAME = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|(?:api|access|account|private)[_-]?key)"
# further names of parameters in an address, of whatever server; the value may be the path of a key, which is no secret,
# and that of PostgreSQL's require_auth is a method
PARAMETER = (
    r"(?!require_auth=)(?:(?:[\w.~-]*[_.~-])?(?:key|pass|pw|sig|sas|auth|jwt|bearer|session)"
    r"|[\w.~-]*(?:apikey|sslkey|accesskey|authkey|keyid|signature|sessionid))"
)
NO_PATH = r"(?!(?:/|\.{1,2}/|~|%2F))"
BRACED = r"\{(?:[^}]|\}\})*\}"
VALUE = rf"""(?:{BRACED}|"[^"]*"|'[^']*'|[^\s;&"',)\]]+)"""
# a word without a dot or a port may be a token
HOST = re.compile(r"|localhost|[^@:]*\.[^@:]*|[^@:]*:\d{1,5}")
WITHOUT_HOST = re.compile(r"[^:/?#@\[]*:(?!\d{1,5}(?:[/?#,]|$))([^/?#@]+)(?!.*@)")
USER = r"[^\s:/?#@\"'<>]*"
# a user's name before a password, as in Azure: user@server:password@host
LONG_USER = r"[^\s:/?#\"'<>]*"
Replacement = str | Callable[[re.Match[str]], str]


def _compiled(*forms: tuple[str, str]) -> list[tuple[re.Pattern[str], Replacement]]:
    return [(re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in forms]


# what may hold addresses: all between two blanks or quotes, matched once from its start
BETWEEN_BLANKS = re.compile(r"(?<![^\s\"'<>])[^\s\"'<>]*://[^\s\"'<>]*")
# for the part up to its last @
ACCOUNTS = _compiled(
    # postgresql://user:password@host, with any characters in the password, and where it begins like a port
    (rf"((?:{SERVERS})[\w+]{{0,30}}://{USER}):.*@", rf"\1:{MASK}@"),
    # https://token@host, https://token:@host; a database's user without a password is no secret
    (r"((?:https?|grpcs?)://)[^:/?#]+(?:@|:(?:x-oauth-basic)?@(?![^/?#]*@))", rf"\1{MASK}@"),
    # http://user:password@host, with any characters in the password; not http://host:5000/a@b
    (rf"(://{LONG_USER}):(?!\d{{1,5}}[/?#]).*@", rf"\1:{MASK}@"),
)
# for the part after it: postgresql://user:password, without a host
NO_HOST = _compiled((rf"(://(?!\[){USER}):(?!\d{{1,5}}\b)[^/?#]+", rf"\1:{MASK}"))


def _without_accounts(between_blanks: re.Match[str]) -> str:
    before, at, after = between_blanks[0].rpartition("@")
    return _replaced(ACCOUNTS, before + at) + _replaced(NO_HOST, after)


def _replaced(forms: Iterable[tuple[re.Pattern[str], Replacement]], text: str) -> str:
    for form, replacement in forms:
        text = form.sub(replacement, text)
    return text


FORMS = [
    *_compiled(
        # ?odbc_connect=DRIVER%3D...%3BPWD%3D...
        (r"(odbc_connect=)[^\s&\"'<>]+", rf"\1{MASK}"),
        (rf"({NAME}%3D)(?:(?!%3B)[^\s&;\"'<>])+", rf"\1{MASK}"),
        # password=..., PWD={...}; ?sig=...
        (rf"({NAME}\s?=\s?)(?!=){VALUE}", rf"\1{MASK}"),
        (rf"([?&]{PARAMETER}=){NO_PATH}[^\s&\"'<>]+", rf"\1{MASK}"),
    ),
    (BETWEEN_BLANKS, _without_accounts),
    *_compiled(
        # {'password': '...'}
        (rf"({NAME}[\"']\s*:\s*){VALUE}", rf"\1'{MASK}'"),
        (r"(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:basic|bearer|token)\s+)?[\w+/=.~*-]+", rf"\1{MASK}"),
    ),
]
# characters that a form takes for the end of a secret
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
# no form applies to text without any of these, which is quicker to test
MARKS = ("=", "@", "://", "%3", "':", '":', "uthorization", "UTHORIZATION")


class Secrets:
    """The secrets that were learned, as patterns of all their spellings: one of words, one of all others."""

    def __init__(self) -> None:
        self._spellings: set[str] = set()
        self._others: re.Pattern[str] | None = None
        self._words: re.Pattern[str] | None = None
        self._before_forms: re.Pattern[str] | None = None
        self._environment: dict[str, str] = {}

    def learn(self, address: str) -> None:
        """Note the secrets of `address`."""
        self._add(_secrets(address))

    def masked(self, text: str, *, words: bool = True) -> str:
        """Return `text` with `***` for every secret in it; with `words=False` secrets that are words stay."""
        self._learn_environment()
        # a form would leave the end of such a secret, which would no longer be recognised
        text = _without(self._before_forms, text)
        # all others after the forms: a secret that is a word, such as "secret", may be what a form is recognised by
        if any(mark in text for mark in MARKS):
            text = _replaced(FORMS, text)
        text = _without(self._others, text)
        return _without(self._words, text) if words else text

    def _add(self, secrets: Iterable[str]) -> None:
        secrets = (secret for secret in secrets if not A_VARIABLE.fullmatch(secret))
        spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
        if spellings <= self._spellings:
            return
        self._spellings |= spellings
        words = set(filter(_is_word, self._spellings))
        self._words, self._others = _any_of(words), _any_of(self._spellings - words)
        self._before_forms = _any_of(filter(ENDS.search, self._spellings))

    def _learn_environment(self) -> None:
        """Learn the secrets of the environment if it has changed."""
        environment = {name: os.environ.get(name, "") for name in VARIABLES.intersection(os.environ)}
        if environment == self._environment:
            return
        self._environment = environment
        self._add(value for name, value in environment.items() if name not in ADDRESSES)
        for name in environment.keys() & ADDRESSES:
            self.learn(environment[name])


_known = Secrets()


@contextmanager
def fresh() -> Iterator[Secrets]:
    """Forget all secrets during the block; afterwards those from before are known again, and no others."""
    global _known  # noqa: PLW0603
    before, _known = _known, Secrets()
    try:
        yield _known
    finally:
        _known = before


def learn(address: str) -> None:
    """Note the secrets of `address`, the URI of a server or a database, for every later `masked`."""
    _known.learn(address)


def learn_all(text: str) -> None:
    """Note the secrets of every address in `text`, such as a study file or an assignment.

    An address ends at a quote, at the quote that it began with, or, as the whole of a value, with the line.
    """
    for pattern in IN_TEXT:
        for match in pattern.finditer(text):
            learn(match[1])


def masked(text: str, *, words: bool = True) -> str:
    """Return `text` with `***` for every secret in it; a second call changes nothing.

    words: whether passwords that are ordinary words are masked; not in names and in lossreg's own sentences.
    """
    return _known.masked(text, words=words)


def scheme_and_host(address: str) -> str:
    """Return an unusable address without anything that could be a password: `postgresql://***@host/***`.

    Only scheme and host are kept, and the host only where something follows it: at the end it may be the end of a
    password with an `@`. An address without any sign of an account or a parameter is kept in full.
    """
    scheme, separator, rest = address.partition("://")
    if not re.fullmatch(r"[A-Za-z][\w+.-]*", scheme) or not separator:
        scheme, separator, rest = "", "", address
    if not re.search(r"[@?]" if rest.startswith("/") else r"[@?#=%;&]|:(?!/)", rest):
        return address
    before, at, after = rest.rpartition("@")
    host = None if "?" in before else re.match(r"[\w.-]+[:/]" if at else r"[\w.-]+.", after)
    account = f"{MASK}@" if at and host else ""
    return f"{scheme}{separator}{account}{host[0] if host else ''}{MASK}"


def masked_values(value: Any) -> Any:
    """Return a document of plain values with all its texts masked as names are, keys included."""
    if isinstance(value, str):
        return masked(value, words=False)
    if isinstance(value, Mapping):
        return {masked_values(key): masked_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked_values(item) for item in value]
    return value


def _without(secrets: re.Pattern[str] | None, text: str) -> str:
    return text if secrets is None else secrets.sub(MASK, text)


def _any_of(spellings: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern of all spellings, the longest first; None if there are none."""
    longest_first = sorted(spellings, key=len, reverse=True)
    # most characters begin none of them
    first = "".join({re.escape(spelling[0]) for spelling in longest_first})
    return re.compile(f"(?=[{first}])(?:{'|'.join(map(_pattern, longest_first))})") if longest_first else None


def _pattern(spelling: str) -> str:
    if len(spelling) >= LONG and not _is_word(spelling):
        return re.escape(spelling)
    return rf"{BORDER}{re.escape(spelling)}(?!\w)"


def _is_word(secret: str) -> bool:
    """Tell whether a secret may be in a text by coincidence: few letters and digits, or like words or a number.

    Examples are `x7f3`, `postgres`, `Password1` and `cross_entropy`.
    """
    if secret.isalnum() and len(secret) < LONG:
        return True
    return len(secret) < LONGER_THAN_WORDS and all(map(_is_plain, re.split("[_.-]", secret)))


def _is_plain(part: str) -> bool:
    """Tell whether it is letters, then digits: in lower case, upper case, or capitalised; either may be missing."""
    letters = part.rstrip("0123456789")
    is_written_plainly = letters in (letters.lower(), letters.upper(), letters.capitalize())
    return part.isalnum() and is_written_plainly and not re.search(r"\d", letters)


def _spellings(secret: str) -> set[str]:
    """Return the spellings of a secret: as it is, in URLs, in JSON, in Python source, in HTML."""
    plain = {secret, unquote(secret), unquote_plus(secret)}
    spellings = set(plain)
    for text in plain:
        encoded = text.encode(errors="replace").decode()
        spellings |= {quote(encoded, safe=""), quote(encoded), quote_plus(encoded)}
        spellings |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        spellings |= {repr(text)[1:-1], repr(encoded.encode())[2:-1], html.escape(text)}
    return {spelling for spelling in spellings if len(spelling) >= SHORTEST}


def _secrets(address: str) -> Iterator[str]:
    """Yield the secrets of an address: password, or token in place of the user; parameters; an ODBC connection string.

    Libraries cut a password at characters that should have been encoded, so its pieces count too. A password that is
    visible elsewhere in the address, as in postgresql://mlflow:mlflow@host/mlflow, is no secret.
    """
    scheme, _, rest = address.partition("://") if "://" in address else ("", "", address)
    account, host = _account(scheme, rest)
    user, _, password = account.partition(":")
    if scheme and (hostless := None if account else WITHOUT_HOST.match(rest)):
        yield hostless[1]
    elif password in FILLERS and user and not scheme.lower().startswith(DATABASES):
        yield from _pieces(user, ())
        yield base64.b64encode(f"{unquote(user)}:".encode(errors="replace")).decode()
    elif password:
        yield from _pieces(password, {user, *re.split(r"[/?&=:]", host)})
        behind_cuts = (password[cut.end() :] for cut in re.finditer("@", password))
        yield from (f"{piece}@{re.split('[:/?#]', host)[0]}" for piece in behind_cuts if piece)
        yield base64.b64encode(unquote(account).encode(errors="replace")).decode()
        # the last @ may be in a parameter, whose other half is in the place of the host
        yield from [f"{password}@{host}"] if "?" in password else []
    # `;` ends a parameter for some drivers, and is part of its value for others
    pairs = re.findall(r"[?&;]([^=&;?]+)=([^&;]*)", rest) + re.findall(r"[?&]([^=&;?]+)=([^&]*)", rest)
    for name, value in pairs:
        yield from _parameter(name, value)


def _account(scheme: str, rest: str) -> tuple[str, str]:
    """Return `user:password` and the rest of an address without its scheme.

    In the address of a database all before the last `@` is the account; elsewhere the `@` may be in a path, as in
    `host:5000/a@b`.
    """
    authority, path = re.split(r"[/?#]", rest, maxsplit=1)[0], re.split(r"[?#]", rest, maxsplit=1)[0]
    is_database = bool(authority) and scheme.lower().startswith(DATABASES)
    until = (path if "@" in path and not is_database else rest).rfind("@")
    if until < 0 or (not is_database and HOST.fullmatch(authority)):
        return "", rest
    return rest[:until], rest[until + 1 :]


def _pieces(secret: str, visible: Iterable[str]) -> Iterator[str]:
    """Yield a secret and all its pieces between characters at which a library may cut it."""
    cuts = [match.span() for match in re.finditer(r"[/?#@:]", secret)][:MOST_CUTS]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(secret)]
    pieces = {secret[start:end] for start in starts for end in ends if end > start}
    yield from pieces.difference(visible)


def _parameter(name: str, value: str) -> Iterator[str]:
    if name.lower() == "odbc_connect":
        yield value
        for match in re.finditer(rf"{NAME}\s*=\s*({BRACED}|[^;]*)", unquote_plus(value), re.IGNORECASE):
            secret = match[1].strip("{ ").removesuffix("}")
            yield from (secret, secret.replace("}}", "}"))
    elif re.search(rf"{NAME}=|^{PARAMETER}={NO_PATH}", f"{name}={value}", re.IGNORECASE):
        # a library may take an @ in the value for the end of the account
        yield from (value, *value.split("@"))
