"""The errors, in a tree.

LossregError            the work failed                        exit code 1
├── InputError          the user's input is wrong              exit code 2
│   ├── ParameterError  a parameter value outside its domain
│   ├── UnknownError    an unknown name
│   └── DataError       the data cannot be used as asked
├── UnansweredError     a storage did not answer for too long
├── ReplacedError       other workers took over what this one was to write
└── RefusedError        a trainer cannot carry this plan out
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lossreg.terminal import signals
from lossreg.terminal.masking import masked

SURROGATES = re.compile("[\ud800-\udfff]")
# bold and colours of a terminal
STYLES = re.compile(r"\x1b\[[\d;]*m")
# reasons of the operating system that room on the disk takes away
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# lines in which TensorFlow says where in a graph it was
PLACES = ("[[{{", "stack traces")


class LossregError(Exception):
    """The work failed although the input was right."""

    exit_code = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*(masked(arg, words=False) if isinstance(arg, str) else arg for arg in args))


class InputError(LossregError, ValueError):
    """The user's input is wrong: the message says where, what, and what would work; mistakes: several in one error."""

    exit_code = 2
    mistakes: tuple[InputError, ...] = ()

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = (masked(text, words=False) for text in (what, where, hint))
        super().__init__(f"{where}: {what}" if where else what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text.rstrip('.')}. {self.hint}" if self.hint else text

    def at(self, where: str) -> InputError:
        """Return the same error with another place, such as a file and a dotted key."""
        return type(self)(self.what, where=where, hint=self.hint)


class ParameterError(InputError):
    """A parameter value outside its domain."""


class UnknownError(InputError):
    """An unknown name."""


class DataError(InputError):
    """The data cannot be used as asked."""


class UnansweredError(LossregError):
    """A storage did not answer for as long as it is asked again."""


class ReplacedError(LossregError):
    """Other workers, which counted this one as dead, have taken over what it was to write."""


class ForeignError(Exception):
    """Code from outside lossreg raised an exception that would have ended the program."""


def text_of(thing: object, otherwise: str = "its message cannot be read") -> str:
    """Return the text of an exception or a value without secrets, in characters that every file can hold.

    otherwise: the text where the class of `thing` raises.
    """
    return masked(as_text(thing, otherwise).encode("utf-8", "backslashreplace").decode())


def as_text(thing: object, otherwise: str) -> str:
    """Return `str(thing)`, or `otherwise` where its class raises."""
    try:
        return str(thing)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return otherwise


def shortened(text: str, most: int) -> str:
    """Return `text` with its end left out where it has more than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def count_of(number: int, noun: str, several: str = "") -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`; several: a plural that is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def one_line(error: BaseException, most: int = 300) -> str:
    """Return `Type: message` in one line, the message cut at `most` characters.

    Arguments and places in a graph, which Keras and TensorFlow add, are left out.
    """
    return _named(error, " ".join(_lines(error)), most)


def first_line(error: BaseException, most: int = 300) -> str:
    """Return `Type: message` of the first line that says something, which failures of one cause have in common."""
    lines = _lines(error)
    reasons = [line for line in lines if not line.rstrip().endswith(":") and "encountered when calling" not in line]
    return _named(error, next(iter(reasons or lines), ""), most)


def _lines(error: BaseException) -> list[str]:
    """Return the lines of a message, without arguments and places in a graph; of an error in a graph the last alone."""
    text = STYLES.sub("", text_of(error)).partition("Arguments received by")[0]
    lines = [line for line in text.splitlines() if line.strip() and not any(map(line.__contains__, PLACES))]
    return lines[-1:] if "Graph execution error" in text else lines


def _named(error: BaseException, text: str, most: int) -> str:
    message = shortened(" ".join(text.split()), most)
    return message if isinstance(error, ForeignError) else f"{type(error).__name__}: {message}".removesuffix(": ")


@contextmanager
def contained() -> Iterator[None]:
    """Let code from outside lossreg fail or be interrupted, but not end the program.

    Raises `ForeignError` for `SystemExit`, `GeneratorExit` and other subclasses of `BaseException`. A
    `KeyboardInterrupt` passes if a signal came, and is a `ForeignError` if the code raised it by itself.
    """
    with signals.noticed() as interrupted:
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if type(error) is KeyboardInterrupt and interrupted():
                raise
            raise ForeignError(one_line(error)) from error


def require_path(value: object, where: str) -> Path:
    """Return a path; raises `InputError` for what is none."""
    if not isinstance(value, (str, os.PathLike)):
        raise InputError(f"{represented(value)} is no path", where=where)
    return Path(value)


@contextmanager
def on_disk(where: object, *, hint: str = "") -> Iterator[None]:
    """Raise `InputError` with the place `where` for what the operating system refuses."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(refusal(error), where=brief(where), hint=hint) from error
    except RuntimeError as error:
        # raised by `Path.resolve`
        if "Symlink loop" not in text_of(error):
            raise
        raise InputError("its symlinks lead in a circle", where=brief(where)) from error
    except ValueError as error:
        if not isinstance(error, UnicodeEncodeError) and "embedded null" not in text_of(error):
            raise
        what = "no such file: no path has such characters (NUL, lone surrogates)"
        raise InputError(what, where=brief(where)) from error


def is_for_want_of_room(error: Exception) -> bool:
    """Return whether an error is due to a disk without room."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


def refusal(error: OSError) -> str:
    """Return the operating system's reason in a few words: `permission denied`."""
    reason = error.strerror or (os.strerror(error.errno) if error.errno else text_of(error))
    return f"{reason[:1].lower()}{reason[1:]}"


def brief(text: object, limit: int = 200) -> str:
    """Return a path or a name, its middle left out where it is longer than `limit`."""
    whole = text_of(text)
    return whole if len(whole) <= limit else f"{whole[: limit // 2]}...{whole[-limit // 2 :]}"


def represented(value: object, most: int = 80) -> str:
    """Return the `repr` of a value in one short line for a message; its type where it has none."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return shortened(text, most)


def is_text(value: object) -> bool:
    """Tell whether a value is text that can be written: no lone surrogates."""
    return isinstance(value, str) and not SURROGATES.search(value)


def is_hashable(value: object) -> bool:
    """Tell whether a value can be told from others by its hash; a list cannot, nor a tuple of lists."""
    try:
        hash(value)
    except Exception:
        return False
    return True


def paths_start(base: Path) -> str:
    """Return a hint on where relative paths start: at `base`, which has the study file or is the current folder."""
    return f"Relative paths start at the {'current folder' if base == Path() else 'study file'}."


def as_seen(text: str) -> str:
    """Return a text as it looks: accents in one character with their letters, no characters that are invisible."""
    return "".join(each for each in unicodedata.normalize("NFC", text) if unicodedata.category(each) != "Cf")


def did_you_mean(word: object, choices: Iterable[str], ending: str = "") -> str:
    """Return `Did you mean delta?` for the nearest of `choices`; nothing where none is near or `word` is no text.

    ending: of file names, which makes no two of them near.
    """
    if not isinstance(word, str):
        return ""
    choices = list(choices)
    if twin := next((choice for choice in choices if choice != word and as_seen(choice) == as_seen(word)), ""):
        return f"{twin!a} looks the same as {word!a}, in other characters."
    by_lower = {choice.removesuffix(ending).lower(): choice for choice in choices}
    near = get_close_matches(word.removesuffix(ending).lower(), by_lower, n=1, cutoff=0.6)
    return f"Did you mean {by_lower[near[0]]}?" if near else ""
