"""Single values of a table or of labels, which may be objects of any type: their texts, and errors that they raise."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lossreg.errors import DataError, as_text, one_line, shortened

LETTERS = 30
COMPLEX = "Give the real and the imaginary part as two columns."
DASHES = "\u2010\u2011\u2012\u2013\u2014\N{MINUS SIGN}"
ARABIC = {"\N{ARABIC DECIMAL SEPARATOR}": ".", "\N{ARABIC THOUSANDS SEPARATOR}": ","}
PLAIN_MARKS = dict.fromkeys(DASHES, "-") | ARABIC


def text_of(value: Any) -> str:
    """Return a value as text, bytes decoded and outer spaces removed; raises `DataError` where it has none."""
    if isinstance(value, bytes):
        try:
            return value.decode().strip()
        except UnicodeDecodeError:
            return value.decode("latin-1").strip()
    try:
        return str(value).strip()
    except Exception as error:
        what = f"an object of type {type(value).__name__} cannot be written as text"
        raise DataError(f"{what}: {type(error).__name__}") from error


def in_ascii(text: str) -> str:
    """Return a text with digits, spaces, dashes and wide signs in ASCII, without invisible marks and outer spaces."""
    stripped = text.strip()
    if stripped.isascii():
        return stripped
    return "".join(map(_ascii, stripped)).strip()


def _ascii(letter: str) -> str:
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if letter.isspace():
        return " "
    if unicodedata.category(letter) == "Cf":  # such as a mark of the direction of writing
        return ""
    wide = "\N{FULLWIDTH EXCLAMATION MARK}" <= letter <= "\N{FULLWIDTH WON SIGN}"
    return PLAIN_MARKS.get(letter) or (unicodedata.normalize("NFKC", letter) if wide else letter)


def example(value: Any) -> str:
    """Return a value as a message shows it, at most 30 letters."""
    if isinstance(value, (str, bytes)):
        text = repr(value)
    else:
        text = f"{value:g}" if isinstance(value, (float, np.floating)) else shown(value)
    return shortened(text, LETTERS)


def shown(value: Any) -> str:
    """Return `str(value)`, or the type of a value that cannot be shown."""
    return as_text(value, f"an object of type {type(value).__name__}")


@contextmanager
def of_column(name: str) -> Iterator[None]:
    """Name the column in errors, including those that its objects raise."""
    try:
        with of_rows(f"column {name}"):
            yield
    except DataError as error:
        if error.what.startswith(f"column {name} "):
            raise
        raise DataError(f"column {name}: {error.what}", hint=error.hint) from None


@contextmanager
def of_rows(what: str = "the rows") -> Iterator[None]:
    """Turn errors that objects in rows raise, for example when compared, into a `DataError`."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{what} cannot be read: {one_line(error, 200)}") from error
