"""Text from outside (file names, column names, messages of other software) made harmless where it is shown.

`printable` is for terminals, logs and files, `printable_line` for a name inside a line, `markdown` and `code` for
names inside a Markdown page. All mask secrets, except for words that may be names (see `lossreg.terminal.masking`).
"""

from __future__ import annotations

import re

from lossreg.terminal.masking import masked

# C0, DEL and C1 controls without tab and line feed; line and paragraph separators; marks, embeddings, overrides and
# isolates that change the direction of writing; invisible characters that start a line (BOM) or hide in a word;
# lone surrogates, which no encoding takes
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
BREAKS = re.compile(r"[\t\n]+")
# what is markup in Markdown: CommonMark, GitHub's tables, strikethrough and bare links, the mentions and emoji of
# MLflow's Showdown; an underscore inside a word is none, and stays
SPECIAL = re.compile(
    r"[\\`*\[\]|~@&<>]|(?<![^\W_])_+|_+(?![^\W_])|:(?=//|[\w+-]+:)|(?<=www)\.|^\s*[-+#=:]|^\d+[.)](?=\s|$)",
    re.IGNORECASE,
)
# where a backslash is not enough for Showdown, or for HTML
ENTITIES = {":": "&#58;", "@": "&#64;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}


def printable(text: str) -> str:
    r"""Return `text` without secrets, every control, bidirectional or invisible character written as `\x1b`.

    Line feeds, tabs and letters of any script stay.
    """
    return spelled(masked(text, words=False))


def spelled(text: str) -> str:
    """Return `text` with such characters written out, for text whose secrets are masked already."""
    return UNPRINTABLE.sub(_spelling, text)


def _spelling(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable_line(text: str) -> str:
    """Return `text` printable and on one line: runs of line feeds and tabs become one blank."""
    return BREAKS.sub(" ", printable(text))


def markdown(text: str) -> str:
    """Return `text` on one line for a Markdown page, escaped: it is never a link, image, cell or markup."""
    return SPECIAL.sub(lambda match: "".join(map(_escaped, match[0])), printable_line(text).strip())


def _escaped(letter: str) -> str:
    return letter if letter.isalnum() or letter.isspace() else ENTITIES.get(letter, f"\\{letter}")


def code(text: str) -> str:
    """Return `text` on one line as a Markdown code span, whatever backticks it holds; not for the cell of a table."""
    line = printable_line(text)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"
