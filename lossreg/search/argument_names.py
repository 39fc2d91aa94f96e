"""Keys of a study file in messages, as the arguments of `lossreg.tune(X, y, ...)`."""

from __future__ import annotations

import re
import tomllib
from typing import Any, cast

from lossreg.config.study import StudySpec
from lossreg.errors import InputError
from lossreg.storage.observer import Observer

# the key of the study file that each argument stands for
KEYS = {
    "name": "name", "target": "data.target", "task": "data.task", "losses": "losses", "metric": "search.metric",
    "trials": "search.trials", "model": "model", "epochs": "train.epochs", "direction": "search.direction",
}  # fmt: skip
NAMES = {key: name for name, key in KEYS.items()}
# a literal of TOML: the end of a sentence after a number is none of it
VALUE = r"""true|false|-?\d+(?:\.\d+)?(?:e-?\d+)?|"[^"]*"|'[^']*'|\[[^\]]*\]"""
KEY = re.compile(rf"(?<![\w./\\\"'])([a-z_]+)\.([a-z_]+)(?![\w(/])(?: = (?P<value>{VALUE}))?")

SECTION = re.compile(rf"\[({'|'.join(StudySpec.model_fields)})\](?!\w)")
INLINE = re.compile(r"\{ (?:[a-z_]+ = [^{}=]+)+ \}")


def of_key(key: str) -> str:
    """Return a dotted key as an argument, or as its place in `settings`; what is none stays."""
    section, *rest = key.split(".")
    if key in NAMES:
        return NAMES[key]
    if section not in StudySpec.model_fields or section in NAMES or not rest:
        return key
    return "settings" + "".join(f'["{part}"]' for part in (section, *rest))


def of_text(text: str) -> str:
    """Return a message with its keys as arguments: `data.folds = 5` is `settings={"data": {"folds": 5}}`."""
    text = INLINE.sub(lambda match: _literal(match[0]) or match[0], SECTION.sub(_section, KEY.sub(_argument, text)))
    return text.replace("Set settings=", "Give settings=")


def _section(match: re.Match[str]) -> str:
    return match[1] if match[1] in NAMES else f'settings["{match[1]}"]'


def _argument(match: re.Match[str]) -> str:
    section, key, value = match[1], match[2], match["value"]
    fields = getattr(getattr(StudySpec.model_fields.get(section), "annotation", None), "model_fields", {})
    name = of_key(f"{section}.{key}")
    if key not in fields or name == f"{section}.{key}":
        return match[0]
    literal = _literal(value)
    if literal is None:
        return f"{name} = {value}" if value else name
    return f'settings={{"{section}": {{"{key}": {literal}}}}}' if name.startswith("settings") else f"{name}={literal}"


def _literal(value: str | None) -> str | None:
    """Return a value of TOML as one of Python; None for what is none, such as `[height, width]`."""
    try:
        text = repr(tomllib.loads(f"x = {value}")["x"]) if value else None
    except tomllib.TOMLDecodeError:
        return None
    return text.replace("'", '"') if text and '"' not in text else text


def of_error(error: InputError) -> InputError:
    """Return an error with its keys as arguments."""
    return type(error)(of_text(error.what), where=of_key(error.where), hint=of_text(error.hint))


def observer(told: Observer) -> Observer:
    """Return an observer that is told the same, in messages with arguments in place of keys."""
    return cast(Observer, _Worded(told))


class _Worded:
    def __init__(self, told: Observer) -> None:
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._told, name)

    def message(self, text: str) -> None:
        """Note something that the user should know."""
        self._told.message(of_text(text))

    def warn(self, text: str) -> None:
        """Note a warning."""
        self._told.warn(of_text(text))
