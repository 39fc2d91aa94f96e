"""A study of rows in memory, asked for by arguments: `lossreg.tune(X, y, losses=[...])`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossreg.config.study import StudySpec
from lossreg.errors import InputError, represented
from lossreg.search import argument_names
from lossreg.search.argument_names import Arguments, place

BESIDE = "arguments of lossreg.tune(X, y) go with rows, and this is a study"
# the argument that stands for a key of the study file
ARGUMENTS = {
    "name": "name", "data.target": "target", "data.task": "task", "losses": "losses", "search.metric": "metric",
    "search.trials": "trials", "model": "model", "train.epochs": "epochs", "search.direction": "direction",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A study as `tune` takes it, its overrides and its rows; arguments: those that were given in place of a study."""

    study: Any
    overrides: Any
    data: Any
    arguments: Arguments | None = None


def asked(study: Any, second: Any, data: Any, arguments: Mapping[str, Any], settings: Any) -> Asked:
    """Return the study that the arguments of `tune` ask for; raises `InputError` where they do not belong together.

    second: the overrides of a study, or the labels of rows; arguments: those of `ARGUMENTS`, None where not given;
    settings: further sections of the study.
    """
    given = {key: arguments[name] for key, name in ARGUMENTS.items() if arguments.get(name) is not None}
    if not _are_rows(study, second):
        if _is_array(study):
            raise InputError(
                "rows without labels",
                hint="Give the labels too: lossreg.tune(X, y); a study is a file or a table of its sections.",
            )
        if given or settings is not None:
            key = next(iter(given), "it")
            raise InputError(BESIDE, where=ARGUMENTS.get(key, "settings"), hint=f"Set {key} in the study.")
        return Asked(study, second, data)
    if data is not None:
        raise InputError("the rows are the first argument", where="data", hint="Leave it out.")
    has_labels = _has_labels(second)
    if has_labels and "data.target" in given:
        raise InputError("the labels are given as y too", where="target", hint="Leave out one of them.")
    by_section = document(given, ARGUMENTS, settings)
    user_names = (*argument_names.columns_of(study), *argument_names.names_in([given, settings]))
    named = Arguments(ARGUMENTS, settings, "X, y" if has_labels else "X", user_names)
    return Asked(by_section, (), (study, second) if has_labels else study, named)


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


def document(given: Mapping[str, Any], names: Mapping[str, str], settings: Any) -> dict[str, Any]:
    """Return the study in which each value that is not None stands at its key; names: the argument that gives it.

    settings: further sections. Raises `InputError` for what is given twice.
    """
    by_section = sections(settings)
    for key, value in given.items():
        if value is None:
            continue
        if argument_names.has(by_section, key):
            raise twice(key, names[key])
        section, _, name = key.partition(".")
        by_section[section] = {**by_section.get(section, {}), name: value} if name else _section(key, value)
    return by_section


def twice(key: str, argument: str) -> InputError:
    """Return an error for a key of settings that an argument stands for."""
    return InputError(f"settings has {key} too", where=argument, hint="Leave out one of them.")


def sections(settings: Any) -> dict[str, Any]:
    """Return further sections of a study, which may be changed; raises `InputError` for anything else."""
    if settings is not None and not isinstance(settings, Mapping):
        what = f"must be sections of a study, not {represented(settings)}"
        raise InputError(what, where="settings", hint='Such as {"train": {"batch_size": 64}}.')
    for section, keys in (settings or {}).items():
        if section != "name" and not isinstance(keys, Mapping):
            raise InputError(f"must be a table, not {represented(keys)}", where=place("settings", str(section)))
    return {section: keys if section == "name" else dict(keys) for section, keys in (settings or {}).items()}


def untested(settings: Any) -> dict[str, Any]:
    """Return further sections of a study, without MLflow and test rows unless they set these."""
    by_section = sections(settings)
    if "split" not in by_section.setdefault("data", {}):
        by_section["data"].setdefault("test", 0)
    by_section.setdefault("tracking", {"enabled": False})
    return by_section


def _section(name: str, value: Any) -> Any:
    """Return a section; of names of losses a table for each."""
    if name == "name" or isinstance(value, Mapping):
        return value
    is_losses = name == "losses"
    listed = value if is_losses and isinstance(value, Sequence) and not isinstance(value, str) else ()
    if odd := [loss for loss in listed if not isinstance(loss, str)] or [value] * (not listed):
        what = "names of losses, or a table for each" if is_losses else "the section of a study"
        example = '["cross_entropy", "focal"]' if is_losses else '{"hidden": [64, 64]}'
        raise InputError(f"must be {what}, not {represented(odd[0])}", where=name, hint=f"Such as {example}.")
    return {loss: {} for loss in listed}
