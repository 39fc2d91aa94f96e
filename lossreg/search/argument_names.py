"""Keys of a study file in messages, as the arguments of a caller from Python."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from lossreg.config.study import StudySpec
from lossreg.errors import InputError
from lossreg.search.result import Result
from lossreg.storage.observer import Observer

# a literal of TOML; a full stop after a number is not part of it
VALUE = r"""true|false|-?\d+(?:\.\d+)?(?:e-?\d+)?|"(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]"""
KEY = re.compile(rf"(?<![\w./\\\"'])([a-z_]+)\.([a-z_]+)(?![\w(/]|\.\w)(?: = (?P<value>{VALUE}))?")
SECTIONS = [name for name in StudySpec.model_fields if name != "name"]
SECTION = re.compile(rf"\[({'|'.join(SECTIONS)})\](?!\w)")
INLINE = re.compile(r"\{ (?:[a-z_]+ = [^{}=]+)+ \}")


class Arguments:
    """The arguments that a caller has given in place of a study file.

    names: the argument by the key that it stands for; settings: further sections, whose keys are named by their place
    there; rows: the arguments that the rows are; user_names: names of columns and files, which are left as they are.
    """

    def __init__(
        self, names: Mapping[str, str], settings: Any = None, rows: str = "", user_names: Iterable[str] = ()
    ) -> None:
        self._names = {key: name for key, name in names.items() if not has(settings, key)}
        self._sections, self._rows = {*StudySpec.model_fields, *(settings or {})}, rows
        self._user_names = tuple(name for name in user_names if self.key(name) != name or self._worded(name) != name)
        self._kept = re.compile(f"({'|'.join(map(re.escape, self._user_names))})") if self._user_names else None

    def key(self, key: str) -> str:
        """Return a dotted key as an argument, or as its place in `settings`; anything else stays as it is."""
        for name, argument in self._names.items():
            if key == name or key.startswith(f"{name}."):
                return place(argument, key[len(name) + 1 :])
        return place("settings", key) if key.partition(".")[0] in self._sections else key

    def text(self, text: str) -> str:
        """Return a message with its keys as arguments: `data.folds = 5` is `settings={"data": {"folds": 5}}`."""
        parts = self._kept.split(text) if self._kept else [text]
        return "".join(part if i % 2 else self._worded(part) for i, part in enumerate(parts))

    def _worded(self, text: str) -> str:
        text = SECTION.sub(lambda match: self.key(match[1]), KEY.sub(self._argument, text))
        text = INLINE.sub(lambda match: _literal(match[0]) or match[0], text)
        return text.replace("Set settings=", "Give settings=")

    def _argument(self, match: re.Match[str]) -> str:
        section, key, value = match[1], match[2], match["value"]
        fields = getattr(getattr(StudySpec.model_fields.get(section), "annotation", None), "model_fields", {})
        if key not in fields:
            return match[0]
        name, literal = self.key(f"{section}.{key}"), _literal(value)
        if literal is None:
            return f"{name} = {value}" if value else name
        argument, *path = name.replace('"]', "").split('["')
        for part in reversed(path):
            literal = f'{{"{part}": {literal}}}'
        return f"{argument}={literal}"

    def error(self, error: InputError) -> InputError:
        """Return an error with its keys as arguments."""
        if error.mistakes:
            return InputError("\n".join(str(self.error(mistake)) for mistake in error.mistakes))
        where = error.where
        if not where.startswith(self._user_names or "\n"):
            where = (where == "data" and self._rows) or self.key(where)
        return type(error)(self.text(error.what), where=where, hint=self.text(error.hint))

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name arguments in place of keys in errors."""
        try:
            yield
        except InputError as error:
            raise self.error(error) from error

    def result(self, result: Result) -> Result:
        """Return a result with arguments in place of keys in its notes."""
        result.notes = list(map(self.text, result.notes))
        if result.verdict:
            result.verdict = replace(result.verdict, notes=tuple(map(self.text, result.verdict.notes)))
        return result

    def observer(self, inner: Observer) -> Observer:
        """Return an observer that passes everything on, with arguments in place of keys in messages."""
        return cast(Observer, _Worded(inner, self))


def has(sections: Any, key: str) -> bool:
    """Return whether sections of a study have a dotted key."""
    section, _, name = key.partition(".")
    value = sections.get(section) if isinstance(sections, Mapping) else None
    return (isinstance(value, Mapping) and name in value) if name else value is not None


def place(argument: str, key: str) -> str:
    """Return where a dotted key is in an argument: `settings["train"]["epochs"]`."""
    return argument + "".join(f'["{part}"]' for part in key.split(".") if part)


def names_in(given: Any) -> Iterator[str]:
    """Yield all texts among the values of arguments."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, (Mapping, list, tuple)):
        for value in given.values() if isinstance(given, Mapping) else given:
            yield from names_in(value)


def columns_of(rows: Any) -> Iterator[str]:
    """Yield the names of columns or inputs of rows: of a table, of inputs by name, of a tuple that begins with them."""
    if isinstance(rows, (tuple, list)):
        rows = rows[0] if len(rows) else ()
    names = rows if isinstance(rows, Mapping) else getattr(rows, "column_names", getattr(rows, "columns", ()))
    yield from (name for name in names if isinstance(name, str))


def _literal(value: str | None) -> str | None:
    """Return a value of TOML as one of Python; None for what is none, such as `[height, width]`."""
    try:
        text = repr(tomllib.loads(f"x = {value}")["x"]) if value else None
    except tomllib.TOMLDecodeError:
        return None
    return text.replace("'", '"') if text and '"' not in text else text


class _Worded:
    def __init__(self, inner: Observer, arguments: Arguments) -> None:
        self._inner, self._arguments = inner, arguments

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def message(self, text: str) -> None:
        """Note something that the user should know."""
        self._inner.message(self._arguments.text(text))

    def warn(self, text: str) -> None:
        """Note a warning."""
        self._inner.warn(self._arguments.text(text))
