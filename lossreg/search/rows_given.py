"""A study of rows that stand in Python, asked for by arguments: `lossreg.tune(X, y, losses=[...])`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lossreg.config.study import StudySpec
from lossreg.errors import InputError, represented
from lossreg.search import argument_names
from lossreg.search.argument_names import KEYS
from lossreg.search.result import Result

BESIDE = "arguments of lossreg.tune(X, y) go with rows, and this is a study"


@dataclass(frozen=True, slots=True)
class Asked:
    """A study as `tune` takes it, its overrides and its rows; are_rows: rows and arguments were given, no study."""

    study: Any
    overrides: Any
    data: Any
    are_rows: bool = False

    def worded(self, result: Result) -> Result:
        """Return a result with arguments in place of keys in its notes, where rows were given with arguments."""
        if self.are_rows:
            result.notes = list(map(argument_names.of_text, result.notes))
            if result.verdict:
                notes = tuple(map(argument_names.of_text, result.verdict.notes))
                result.verdict = replace(result.verdict, notes=notes)
        return result


def asked(study: Any, second: Any, data: Any, arguments: Mapping[str, Any], settings: Any) -> Asked:
    """Return the study that the arguments of `tune` ask for; raises `InputError` where they do not belong together.

    second: the overrides of a study, or the labels of rows; arguments: those of `KEYS`, None where they are not given;
    settings: further sections of the study.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    if not _are_rows(study, second):
        if _is_array(study):
            raise InputError(
                "rows without labels",
                hint="Give the labels too: lossreg.tune(X, y); a study is a file or a table of its sections.",
            )
        if given or settings is not None:
            name = next(iter(given), "settings")
            raise InputError(BESIDE, where=name, hint=f"Set {KEYS.get(name, 'it')} in the study.")
        return Asked(study, second, data)
    if data is not None:
        raise InputError("the rows are the first argument", where="data", hint="Leave it out.")
    has_labels = _has_labels(second)
    if has_labels and "target" in given:
        raise InputError("the labels are given as y too", where="target", hint="Leave out one of them.")
    return Asked(_document(given, settings), (), (study, second) if has_labels else study, are_rows=True)


def _are_rows(study: Any, second: Any) -> bool:
    """Return whether the first argument of `tune` is rows: a table, or arrays, lists or inputs with labels."""
    if isinstance(study, (StudySpec, str, Path)) or study is None:
        return False
    if isinstance(study, Mapping):
        return _has_labels(second) and any(hasattr(value, "__array__") for value in study.values())
    is_whole = any(hasattr(study, name) for name in ("columns", "to_pandas", "as_numpy_iterator"))
    return is_whole or (_is_array(study) and _has_labels(second))


def _is_array(study: Any) -> bool:
    return isinstance(study, (list, tuple)) or (hasattr(study, "__array__") and not hasattr(study, "columns"))


def _has_labels(second: Any) -> bool:
    return not (isinstance(second, (tuple, list)) and not len(second))


def _document(given: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """Return the study in which each argument stands at its key."""
    document = sections(settings)
    for name, value in given.items():
        section, _, key = KEYS[name].partition(".")
        if not key:
            document[section] = table(name, value)
            continue
        keys = document.setdefault(section, {})
        if not isinstance(keys, dict):
            raise InputError(f"must be a table, not {represented(keys)}", where=f"settings[{section!r}]")
        if key in keys:
            raise InputError(f"settings has {KEYS[name]} too", where=name, hint="Leave out one of them.")
        keys[key] = value
    return document


def sections(settings: Any) -> dict[str, Any]:
    """Return further sections of a study, which may be changed; raises `InputError` for anything else."""
    if settings is not None and not isinstance(settings, Mapping):
        what = f"must be sections of a study, not {represented(settings)}"
        raise InputError(what, where="settings", hint='Such as {"verdict": {"enabled": False}}.')
    return {section: dict(keys) if isinstance(keys, Mapping) else keys for section, keys in (settings or {}).items()}


def table(name: str, value: Any) -> Any:
    """Return a section: of losses that are listed a table for each."""
    if name == "losses" and isinstance(value, Sequence) and not isinstance(value, str):
        if odd := [loss for loss in value if not isinstance(loss, str)]:
            what = f"must be names of losses, or a table for each, not {represented(odd[0])}"
            raise InputError(what, where=name, hint='Such as ["cross_entropy", "focal"].')
        return {loss: {} for loss in value}
    return value


@contextmanager
def named(*, are_rows: bool) -> Iterator[None]:
    """Name arguments in place of the keys that they stand for in errors, where rows were given with arguments."""
    try:
        yield
    except InputError as error:
        if not are_rows:
            raise
        raise argument_names.of_error(error) from error
