"""A TOML document on its way to a checked model: read, overridden, and its mistakes explained.

An explained mistake is an `InputError` whose `where` is the dotted key inside the document;
`Origin` says where the document came from, and `gathered` makes one error of many.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lossreg.errors import InputError, did_you_mean
from lossreg.space import shown

Document = dict[str, Any]
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
    "less_than_equal": "must be at most {le:g}",
    "string_too_long": "must have at most {max_length} characters",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document came from: a file as the user gave it (or ""), and the keys that `--set` replaced."""

    file: str = ""
    overridden: tuple[str, ...] = ()

    def of(self, key: str) -> str:
        """`studies/x.toml: train.epochs`, or `--set train.epochs` where that is its source."""
        if any(key == own or key.startswith((f"{own}.", f"{own}[")) for own in self.overridden):
            return f"--set {key}"
        return f"{self.file}: {key}" if self.file and key else self.file or key


def gathered(mistakes: Sequence[InputError], origin: Origin) -> InputError:
    """One error for all of them, each located by `origin`, one a line."""
    located = [mistake.at(origin.of(mistake.where)) for mistake in mistakes]
    if len(located) == 1:
        return located[0]
    return InputError("\n".join(map(str, located)))


def read(path: str | Path) -> Document:
    """The document of a TOML file; raises `InputError` when it is missing, unreadable or not TOML."""
    file = Path(path)
    if file.is_dir():
        raise InputError("is a folder, not a study file", where=str(path), hint=_toml_files(file))
    if not file.is_file():
        raise InputError("no such file", where=str(path), hint=_near_file(file))
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text, so it is no study file", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not valid TOML: {error}", where=str(path), hint=_line(text, str(error))) from error


def _toml_files(folder: Path) -> str:
    names = sorted(file.name for file in folder.glob("*.toml"))
    return f"It has {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}." if names else "It has no .toml file."


def _near_file(file: Path) -> str:
    if not file.parent.is_dir():
        return f"There is no folder {file.parent}."
    wanted = file.name if file.suffix else f"{file.name}.toml"
    near = get_close_matches(wanted, [other.name for other in file.parent.glob("*.toml")], n=1)
    return f"Did you mean {file.parent / near[0]}?" if near else ""


def _line(text: str, message: str) -> str:
    found = re.search(r"line (\d+)", message)
    number = int(found[1]) if found else 0
    lines = text.splitlines()[number - 1 : number] if number else []
    quotes = ' Text needs quotes, as in metric = "accuracy".' if "value" in message else ""
    return "".join(f"The line reads `{line.strip()[:80]}`.{quotes}" for line in lines)


def override(document: Mapping[str, Any], overrides: Iterable[str]) -> tuple[Document, tuple[str, ...]]:
    """A copy of `document` with each `key=value` put in, and the dotted keys that are new by it.

    The value is TOML, or else text. Raises `InputError`.
    """
    changed = _copy(document)
    return changed, tuple([_assign(changed, assignment) for assignment in overrides])


def _assign(document: Document, assignment: str) -> str:
    key, equals, text = (part.strip() for part in assignment.partition("="))
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise InputError("is not key=value", where=f"--set {assignment}", hint="Write --set search.trials=16.")
    return dotted(_put(document, path, _value(text), assignment))


def _copy(table: Mapping[str, Any]) -> Document:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in table.items()}


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _put(document: Document, path: list[str], value: Any, assignment: str) -> list[str]:
    """Put a value in; the shortest part of its path that was not there before."""
    table: Any = document
    depth = len(path)
    for i, part in enumerate(path[:-1]):
        depth = min(depth, i + 1) if part not in table else depth
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            said = f"{'.'.join(path[: i + 1])} is {shown(table)}, not a table"
            raise InputError(said, where=f"--set {assignment}")
    table[path[-1]] = value
    return path[:depth]


def explain(error: ValidationError, model: type[BaseModel]) -> list[InputError]:
    """Every mistake that pydantic found in a document of `model`, in our own words."""
    return [_explained(details, model) for details in error.errors(include_url=False)]


def _explained(details: ErrorDetails, model: type[BaseModel]) -> InputError:
    loc, kind, value = [part for part in details["loc"] if part != "[key]"], details["type"], details["input"]
    own = details.get("ctx", {}).get("error")
    if isinstance(own, InputError):
        return own.at(dotted([*loc, own.where] if own.where else loc))
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
    """The model that stands at `loc`, if all of `loc` are its sections."""
    for part in loc:
        field = model.model_fields.get(str(part))
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return None
        model = inner
    return model


def _description(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    names = [part for part in loc if isinstance(part, str)]
    section = _section(names[:-1], model) if names else None
    field = section.model_fields.get(names[-1]) if section else None
    return (field.description or "") if field else ""


def _unknown_key(loc: Sequence[int | str], model: type[BaseModel]) -> InputError:
    section, key = _section(loc[:-1], model) or model, str(loc[-1])
    has = f"[{dotted(loc[:-1])}]" if len(loc) > 1 else "a study"
    return InputError(
        f"unknown key; {has} has {', '.join(section.model_fields)}",
        where=dotted(loc),
        hint=did_you_mean(key, section.model_fields) or _belongs(key, model),
    )


def _belongs(key: str, model: type[BaseModel]) -> str:
    """Where a key stands that was written into the wrong section."""
    for name in model.model_fields:
        section = _section([name], model)
        if section is not None and key in section.model_fields:
            return f"Did you mean {name}.{key}?"
    return ""
