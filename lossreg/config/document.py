"""TOML documents: read, overridden, and their mistakes explained.

An explained mistake is an `InputError` whose `where` is the dotted key inside the document; `Origin` is the file or
override that the document came from, and `gathered` makes one error of many.
"""

from __future__ import annotations

import math
import re
import stat
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from lossreg.config.search_space import shown
from lossreg.errors import InputError, brief, did_you_mean, is_text, on_disk
from lossreg.storage.journal_keys import is_study_folder
from lossreg.terminal import masking
from lossreg.terminal.caller import words

Document = dict[str, Any]
DATA = (".csv", ".tsv", ".jsonl", ".gz", ".parquet", ".pq", ".feather", ".xlsx", ".npz")
MOST_BYTES = 16 << 20
MOST_DEEP = 32
MOST_BITS = 1000  # of a whole number: as many as a float has room for
TOO_DEEP = f"is nested too deeply: {MOST_DEEP} tables or lists in one another are enough"
PHRASES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:,}",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a document: a file as the user gave it (or ""), and the keys that `--set` replaced.

    overrides: what `--set` was given, in order.
    """

    file: str = ""
    overridden: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    def of(self, key: str) -> str:
        """`studies/x.toml: train.epochs`, or `--set train.epochs` where that is its source."""
        if any(key == changed or key.startswith((f"{changed}.", f"{changed}[")) for changed in self.overridden):
            return f"{words('--set', 'overrides')} {key}"
        return f"{self.file}: {key}" if self.file and key else self.file or key


def gathered(mistakes: Sequence[InputError], origin: Origin) -> InputError:
    """Return one error for all mistakes, each located by `origin`, one per line."""
    located = [mistake.at(origin.of(mistake.where)) for mistake in mistakes]
    if len(located) == 1:
        return located[0]
    error = InputError("\n".join(map(str, located)))
    error.mistakes = tuple(located)
    return error


def read(path: str | Path) -> Document:
    """Return the document of a TOML file; raises `InputError` when it is missing, unreadable or not TOML."""
    file, where = Path(path), brief(path)
    if str(path).startswith("sklearn:"):
        raise _is_data(where, where)
    with on_disk(where):
        _check_file(file, where)
        if file.name.lower().endswith(DATA):
            raise _is_data(where, f"{where} --target COLUMN")
        content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        masking.learn_all(text)
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text, so it is no study file", where=where) from error
    try:
        return _parsed(text)
    except InputError as error:
        raise error.at(where) from error


def _is_data(where: str, source: str) -> InputError:
    how = words(f"`lossreg init {source}` writes a study of it", "`lossreg.tune(rows, labels)` takes data")
    return InputError("is data, and no study file", where=where, hint=f"{how}.")


def _check_file(file: Path, where: str) -> None:
    """Raise `InputError` unless this is a regular file of a reasonable size; reading a pipe would block."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", where=where, hint=_near_file(file)) from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError("is a folder, not a study file", where=where, hint=_toml_files(file))
    if not stat.S_ISREG(status.st_mode):
        raise InputError("is not a file but a device or a pipe", where=where)
    if status.st_size > MOST_BYTES:
        size, most = status.st_size / 2**20, MOST_BYTES >> 20
        raise InputError(f"is too large for a study file: {size:.0f} MiB, and {most} are enough", where=where)


def _parsed(text: str) -> Document:
    """Return the table of a TOML text; raises `InputError` that quotes the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not valid TOML: {error}", hint=_line(text, str(error))) from error
    except ValueError as error:
        raise InputError("has a number with too many digits", hint=_quoted(_richest(text, r"\d"))) from error
    except RecursionError as error:
        raise InputError(TOO_DEEP, hint=_quoted(_richest(text, r"[\[{]"))) from error


def _richest(text: str, pattern: str) -> str:
    """Return the line that has most of a kind of characters."""
    return max(text.splitlines(), key=lambda line: len(re.findall(pattern, line)), default="")


def _quoted(line: str) -> str:
    return f"The line reads `{line.strip()[:80]}`."


def _toml_files(folder: Path) -> str:
    if is_study_folder(folder):
        takes = words("`lossreg results`, `predict` and `export`", "`lossreg.results` and `lossreg.load_predictor`")
        return f"It has the trials of a study: {takes} take it."
    names = sorted(file.name for file in folder.glob("*.toml"))
    return f"It has {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}." if names else "It has no .toml file."


def _near_file(file: Path) -> str:
    if not file.parent.is_dir():
        return f"There is no folder {brief(file.parent)}."
    near = get_close_matches(file.stem, [other.stem for other in file.parent.glob("*.toml")], n=1)
    return f"Did you mean {file.parent / near[0]}.toml?" if near else ""


def _line(text: str, message: str) -> str:
    match = re.search(r"line (\d+)", message)
    number = int(match[1]) if match else 0
    lines = text.splitlines()[number - 1 : number] if number else []
    quotes = ' Text needs quotes, as in metric = "accuracy".' if "value" in message else ""
    return "".join(f"{_quoted(line)}{quotes}" for line in lines)


def checked(document: Mapping[str, Any], origin: Origin) -> Document:
    """Return a copy of a document; raises `InputError` for values that no number, path or database can hold."""
    if not isinstance(document, Mapping):
        raise InputError(
            f"a study is a file or a table of its sections, not {shown(document)}",
            hint="Rows are given beside it, as data=rows.",
        )
    try:
        copied: Document = _copy(document)
    except InputError as mistake:
        raise mistake.at(origin.of(mistake.where)) from mistake
    return copied


def override(document: Mapping[str, Any], overrides: Iterable[str]) -> tuple[Document, tuple[str, ...]]:
    """Return a copy of `document` with each `key=value` applied, and the dotted keys that this added.

    The value is TOML, or else text. Raises `InputError`.
    """
    changed: Document = _copy(document)
    return changed, tuple([_assign(changed, assignment) for assignment in listed(overrides)])


def listed(overrides: Any) -> list[str]:
    """Return overrides as a list of texts; raises `InputError` for what a Python caller mistook for one."""
    if isinstance(overrides, (str, bytes, Mapping)) or not isinstance(overrides, Iterable):
        what = f"must be a list of texts, not {shown(overrides)}"
        raise InputError(what, where="overrides", hint='Write ["search.trials=16"].')
    texts = list(overrides)
    for text in texts:
        if not isinstance(text, str):
            what = f"must be key=value as text, not {shown(text)}"
            raise InputError(what, where="overrides", hint='Write ["search.trials=16"].')
    return texts


def _assign(document: Document, assignment: str) -> str:
    masking.learn_all(assignment)
    key, equals, text = (part.strip() for part in assignment.partition("="))
    path, where = [part.strip() for part in key.split(".")], f"{words('--set', 'overrides')} {brief(assignment)}"
    if not equals or not all(path):
        hint = f"Write {words('--set search.trials=16', repr('search.trials=16'))}."
        raise InputError("is not key=value", where=where, hint=hint)
    try:
        value = _copy(_value(text), tuple(path))
        return dotted(_put(document, path, value))
    except InputError as error:
        raise error.at(where) from error


def _copy(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Return a copy of tables and lists; raises `InputError` where `checked` does."""
    if len(path) > MOST_DEEP:
        raise InputError(TOO_DEEP, where=brief(dotted(path[:4])))
    if isinstance(value, Mapping):
        return {_text(key, path): _copy(item, (*path, key)) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copy(item, (*path, i)) for i, item in enumerate(value))
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        digits = int(value.bit_length() * math.log10(2)) + 1
        raise InputError(f"has {digits} digits, more than any number that can be used", where=dotted(path))
    return _text(_plain_number(value), path)


def _plain_number(value: Any) -> Any:
    """Return a number or truth value of NumPy as Python's own, anything else as it is."""
    numpy = sys.modules.get("numpy")
    return value.item() if numpy and isinstance(value, (numpy.bool_, numpy.integer, numpy.floating)) else value


def _text(value: Any, path: tuple[Any, ...]) -> Any:
    """Return a key or a value as it is; raises `InputError` for a text that cannot be written anywhere."""
    if isinstance(value, str) and "\0" in value:
        raise InputError("has a NUL character", where=dotted(path))
    if isinstance(value, str) and not is_text(value):
        raise InputError("has half a character (a lone surrogate)", where=dotted(path))
    return value


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError):
        parsed = _parsed(f"value = {text}")
    return parsed["value"] if len(parsed) == 1 else text


def _put(document: Document, path: list[str], value: Any) -> list[str]:
    """Put a value in; the shortest part of its path that was not there before."""
    table: Any = document
    depth = len(path)
    for i, part in enumerate(path[:-1]):
        depth = min(depth, i + 1) if part not in table else depth
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            what = f"{'.'.join(path[: i + 1])} is {shown(table)}, not a table"
            raise InputError(what)
    table[path[-1]] = value
    return path[:depth]


def explain(error: ValidationError, model: type[BaseModel]) -> list[InputError]:
    """Return every mistake that pydantic found in a document of `model`, in our own words."""
    return [_explained(details, model) for details in error.errors(include_url=False)]


def _explained(details: ErrorDetails, model: type[BaseModel]) -> InputError:
    loc, kind, value = [part for part in details["loc"] if part != "[key]"], details["type"], details["input"]
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause.at(dotted([*loc, cause.where] if cause.where else loc) if loc else cause.where)
    if kind == "extra_forbidden":
        return _unknown_key(loc, model)
    about = _description(loc, model)
    if kind == "missing":
        return InputError("is missing", where=dotted(loc), hint=about)
    if kind == "literal_error":
        return _not_among(details, loc)
    if kind == "string_too_short":
        return InputError("must not be empty", where=dotted(loc), hint=about)
    phrase = PHRASES.get(kind, details["msg"]).format_map(details.get("ctx", {}))
    return InputError(f"{phrase}, not {shown(value)}", where=dotted(loc), hint=about)


def dotted(loc: Iterable[int | str]) -> str:
    """`train.hidden[1]`; a part that needs quotes in TOML has them."""
    key = ""
    for part in loc:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += ("." if key else "") + (part if re.fullmatch(r"[\w-]+", part) else f'"{part}"')
    return key


def _not_among(details: ErrorDetails, loc: Sequence[int | str]) -> InputError:
    value, choices = details["input"], re.findall(r"'([^']*)'", details["ctx"]["expected"])
    wanted = ", ".join(f'"{choice}"' for choice in choices)
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    return InputError(f"must be one of {wanted}, not {shown(value)}", where=dotted(loc), hint=hint)


def _section(loc: Sequence[int | str], model: type[BaseModel]) -> type[BaseModel] | None:
    """Return the section at `loc`, if all of `loc` are sections."""
    for part in loc:
        field = model.model_fields.get(str(part))
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return None
        model = inner
    return model


def fields(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their keys."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _description(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    names = [part for part in loc if isinstance(part, str)]
    section = _section(names[:-1], model) if names else None
    field = fields(section).get(names[-1]) if section else None
    return (field.description or "") if field else ""


def _unknown_key(loc: Sequence[int | str], model: type[BaseModel]) -> InputError:
    section, key = _section(loc[:-1], model) or model, str(loc[-1])
    has = f"[{dotted(loc[:-1])}]" if len(loc) > 1 else "a study"
    return InputError(
        f"unknown key; {has} has {', '.join(fields(section))}",
        where=dotted(loc),
        hint=did_you_mean(key, fields(section)) or _belongs(key, model),
    )


def _belongs(key: str, model: type[BaseModel]) -> str:
    """Return a hint on the section that has this key; empty where none has."""
    for name in model.model_fields:
        section = _section([name], model)
        if section is not None and key in fields(section):
            return f"Did you mean {name}.{key}?"
    return ""
