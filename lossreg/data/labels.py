"""Labels: which task they make, and their classes as numbers, names and slugs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.raw import Raw, listed
from lossreg.errors import DataError, InputError, did_you_mean
from lossreg.targets import CLASSIFICATION, REGRESSION

TASKS = (*CLASSIFICATION, *REGRESSION)
FEW = 20
NA_HINT = "Remove or mend these rows; in text files NA, None, null and empty fields count as missing."


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A task and its labels `(n,)`: class indices (int64) with names and slugs, or float64 values."""

    task: str
    y: NDArray[Any]
    classes: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def read(raw: Raw, task: str, where: str) -> Labels:
    """The labels of `raw` for `task`, or for the task that they suggest when it is "auto".

    Raises `DataError` for missing or infinite labels, one class or one value only, a class of
    a single row, and labels that do not fit the task.
    """
    _check_task(task)
    y = _numbers_if_possible(raw.y)
    _check_present(y, where)
    inferred, reason = _infer(y)
    chosen = inferred if task == "auto" else task
    labels = _classes(y, chosen, raw.names, where) if chosen in CLASSIFICATION else _values(y, chosen, where)
    if task == "auto":
        labels.notes.insert(0, _inference(labels, reason))
    return labels


def _check_task(task: str) -> None:
    if task not in ("auto", *TASKS):
        hint = did_you_mean(task, TASKS)
        raise InputError(f"unknown task {task!r}; known: auto, {', '.join(TASKS)}", where="task", hint=hint)


def _inference(labels: Labels, reason: str) -> str:
    other = "regression" if labels.classes else "multiclass"
    return f'Task {labels.task}, inferred from {reason}; set task (such as "{other}") to override.'


def _is_number(y: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y))


def _numbers_if_possible(y: pd.Series[Any]) -> pd.Series[Any]:
    """Labels held as objects (decimals, mixed numbers) as numbers; everything else as it is."""
    if y.dtype == object and pd.api.types.infer_dtype(y, skipna=True) in ("decimal", "mixed-integer-float", "integer"):
        return pd.to_numeric(y)
    return y


def _check_present(y: pd.Series[Any], where: str) -> None:
    if y.dtype.kind in "mM":
        raise DataError("the target holds dates", where=where, hint="Choose a column of classes or numbers.")
    missing = int(y.isna().sum())
    infinite = int(np.isinf(y.to_numpy(float, na_value=np.nan)).sum()) if _is_number(y) else 0
    for count, what in ((missing, "missing (NaN)"), (infinite, "infinite")):
        if count:
            raise DataError(f"{count} of {len(y)} labels are {what}", where=where, hint=NA_HINT)


def _infer(y: pd.Series[Any]) -> tuple[str, str]:
    """A task, and what about the labels suggests it."""
    distinct = int(y.nunique())
    by_classes = "binary" if distinct == 2 else "multiclass"
    if not _is_number(y):
        return by_classes, f"labels of type {_kind(y)}"
    whole = bool((y == np.floor(y)).all())
    if whole and distinct <= FEW:
        return by_classes, f"whole numbers with {distinct} distinct values"
    return "regression", f"{'whole' if whole else 'real'} numbers with {distinct} distinct values"


def _kind(y: pd.Series[Any]) -> str:
    if pd.api.types.is_bool_dtype(y):
        return "boolean"
    return "category" if isinstance(y.dtype, pd.CategoricalDtype) else "text"


def _classes(y: pd.Series[Any], task: str, names: Sequence[str], where: str) -> Labels:
    values = _in_order(y)
    classes = _unique_names([_name(value, names) for value in values])
    _check_classes(classes, task, where)
    index = y.map({value: i for i, value in enumerate(values)}).to_numpy().astype(np.int64)
    counts = np.bincount(index)
    if counts.min() < 2:
        single = [c for c, n in zip(classes, counts, strict=True) if n < 2]
        raise DataError(
            f"{len(single)} of {len(classes)} classes have a single row ({', '.join(single[:5])})",
            where=where,
            hint='Drop or merge them, or set task = "regression" if the target is a number.',
        )
    notes = [f"Positive class (index 1): {classes[1]}."] if task == "binary" else []
    return Labels(task, index, classes, slugs(classes), notes)


def _in_order(y: pd.Series[Any]) -> list[Any]:
    values = [value.item() if isinstance(value, np.generic) else value for value in y.unique()]
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def _name(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    return str(value)


def _unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names, or names with their index where two are the same (the text "1" beside the number 1)."""
    return tuple(names) if len(set(names)) == len(names) else tuple(f"{name}#{i}" for i, name in enumerate(names))


def _check_classes(classes: Sequence[str], task: str, where: str) -> None:
    if len(classes) == 1:
        raise DataError(f"one class only ({classes[0]})", where=where, hint="There is nothing to learn.")
    needed = "binary" if len(classes) == 2 else "multiclass"
    if task != needed:
        what = f"{len(classes)} classes ({listed(classes, 5)}) and task {task}"
        raise DataError(what, where=where, hint=f'Set task = "{needed}".')


def slugs(names: Sequence[str]) -> tuple[str, ...]:
    """Unique names of lower-case ASCII letters, digits and underscores, for Optuna and MLflow."""
    taken: list[str] = []
    for index, name in enumerate(names):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        slug = base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or f"class_{index}"
        number = 2
        while slug in taken:
            slug, number = f"{base}_{number}", number + 1
        taken.append(slug)
    return tuple(taken)


def _values(y: pd.Series[Any], task: str, where: str) -> Labels:
    try:
        values = pd.to_numeric(y.astype(str) if isinstance(y.dtype, pd.CategoricalDtype) else y).to_numpy(np.float64)
    except (ValueError, TypeError):
        numbers = pd.to_numeric(y, errors="coerce")
        odd = next((str(label) for label, n in zip(y, numbers, strict=True) if pd.isna(n)), str(y.iloc[0]))
        hint = 'Set task = "multiclass", or choose another target.'
        raise DataError(f"task {task} needs numbers, and the target has {odd!r}", where=where, hint=hint) from None
    if not np.isfinite(values).all():
        raise DataError(f"{int((~np.isfinite(values)).sum())} labels are not finite", where=where, hint=NA_HINT)
    _check_domain(values, task, where)
    return Labels(task, values)


def _check_domain(values: NDArray[np.float64], task: str, where: str) -> None:
    low = float(values.min())
    if low == values.max():
        raise DataError(f"every label is {low:g}", where=where, hint="There is nothing to learn.")
    if (task == "positive" and low <= 0) or (task == "count" and low < 0):
        need = "above 0" if task == "positive" else "of 0 and more"
        what = f"task {task} needs labels {need}, and the data has {low:g}"
        raise DataError(what, where=where, hint='Set task = "regression".')
