"""The encoding of a text file: the study's, or the one that its bytes fit."""

from __future__ import annotations

import codecs

from lossreg.data import files
from lossreg.data.delimited_file import CHUNK, Delimited

MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
WESTERN = "cp1252"


def encoding_of(file: Delimited) -> str:
    """Return the encoding: the study's, else UTF-16 by its mark, UTF-8, or western Windows, which is noted.

    Raises `DataError` for NUL characters, and for a file that is not in the study's encoding.
    """
    if file.options.encoding is not None:
        return _asked_encoding(file, file.options.encoding)
    with files.reading(file.path, file.where), file.bytes() as raw:
        start = raw.read(4)
    encoding = next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8")
    for name in (encoding, WESTERN, "latin-1"):
        if _decodes(file, name):
            if not name.startswith("utf-8"):
                file.notes.append(f"The file is {name}, not UTF-8: read as such.")
            return name
    raise file.error("is no text")


def _asked_encoding(file: Delimited, name: str) -> str:
    if codecs.lookup(name).name == "utf-8":
        name = "utf-8-sig"  # a mark at the start is no letter
    if _decodes(file, name):
        return name
    fits = next((other for other in ("utf-8", WESTERN) if _decodes(file, other)), "")
    hint = (
        f'It is text in {fits}: leave data.encoding out, or set "{fits}".'
        if fits
        else 'Name another one, such as "latin-1".'
    )
    raise file.error(f"is not text in {file.options.encoding}", hint)


def _decodes(file: Delimited, encoding: str) -> bool:
    """Return whether the whole file is text in an encoding; raises `DataError` for NUL characters, with their line."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with files.reading(file.path, file.where), file.bytes() as raw:
        while chunk := raw.read(CHUNK):
            try:
                text = decoder.decode(chunk)
            except UnicodeError:
                return False
            if "\0" in text:
                line += text[: text.index("\0")].count("\n")
                raise file.error(f"line {line} has a NUL character: this is no text", "Save it as UTF-8 text.")
            line += text.count("\n")
    return True
