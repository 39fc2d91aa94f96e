"""Labels: which task they make, and their classes as numbers, names and slugs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import wide
from lossreg.data.classes import Labels, slugs, unique_names
from lossreg.data.origin import listed
from lossreg.data.raw import Raw
from lossreg.errors import DataError, InputError, did_you_mean
from lossreg.targets import CLASSIFICATION, TASKS

FEW = 20
SKEWED = 0.5
NA_HINT = "Remove or mend these rows; in text files NA, None, null and empty fields count as missing."


def read(raw: Raw, task: str, where: str) -> Labels:
    """The labels of `raw` for `task`, or for the task that they suggest when it is "auto".

    Raises `DataError` for missing or infinite labels, one class or one value only, a class of
    a single row, and labels that do not fit the task.
    """
    _check_task(task)
    if not isinstance(raw.y, np.ndarray):
        return _one_each(raw.y, task, raw.names, where)
    chosen, reason = wide.infer(raw.y, where) if task == "auto" else (task, "")
    if chosen in wide.WIDE_TASKS:
        labels = wide.read(raw.y, chosen, raw.names, where)
        return _noted(labels, f"Task {chosen}, inferred from {reason}.") if reason else labels
    found = _one_each(wide.as_classes(raw.y, task, where), task, raw.names, where)
    return _noted(found, f"y: one-hot rows of {raw.y.shape[1]} columns, read as class numbers.")


def _noted(labels: Labels, note: str) -> Labels:
    labels.notes.insert(0, note)
    return labels


def _one_each(y: pd.Series[Any], task: str, names: Sequence[str], where: str) -> Labels:
    """Labels of one class or number a row."""
    _check_plain(y, task, where)
    y = _numbers_if_possible(y)
    _check_present(y, where)
    inferred, reason = _infer(y)
    chosen = inferred if task == "auto" else task
    labels = _classes(y, chosen, names, where) if chosen in CLASSIFICATION else _values(y, chosen, where)
    return _noted(labels, _inference(labels, y, reason)) if task == "auto" else labels


def _check_task(task: str) -> None:
    if task not in ("auto", *TASKS):
        hint = did_you_mean(task, TASKS)
        raise InputError(f"unknown task {task!r}; known: auto, {', '.join(TASKS)}", where="task", hint=hint)


def _check_plain(y: pd.Series[Any], task: str, where: str) -> None:
    """Raise `DataError` where a single column cannot hold the labels of the task, or holds lists."""
    columns = 'Give a column of 0 and 1 for each label: target = ["a", "b"], or y of shape (n, k).'
    if y.dtype == object and not all(isinstance(value, Hashable) for value in y):
        raise DataError("the target holds lists", where=where, hint=columns)
    if task == "multilabel":
        raise DataError("task multilabel needs several labels a row, and there is one", where=where, hint=columns)
    if task == "segmentation":
        hint = "Give masks as arrays (n, height, width) of 0 and 1, in an .npz file or by a function."
        raise DataError("task segmentation needs a mask a row, and there is one label", where=where, hint=hint)


def _inference(labels: Labels, y: pd.Series[Any], reason: str) -> str:
    return f'Task {labels.task}, inferred from {reason}; set task (such as "{_other(labels, y)}") to override.'


def _other(labels: Labels, y: pd.Series[Any]) -> str:
    """Another task that numbers may be meant for: many small counts and few large ones, or the same of sizes."""
    usual = "regression" if labels.classes else "multiclass"
    if not _is_number(y) or len(labels.classes) == 2:
        return usual
    values = y.to_numpy(float)
    low, deviation = float(values.min()), values - values.mean()
    # the third moment in units of the standard deviation
    if low < 0 or float((deviation**3).mean()) <= SKEWED * float((deviation**2).mean()) ** 1.5:
        return usual
    if bool((values == np.floor(values)).all()):
        return "count"
    return "positive" if low > 0 else usual


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
    classes = unique_names([_name(value, names) for value in values])
    _check_classes(classes, task, where)
    index = y.map({value: i for i, value in enumerate(values)}).to_numpy().astype(np.int64)
    counts = np.bincount(index)
    if counts.min() < 2:
        single = [c for c, n in zip(classes, counts, strict=True) if n < 2]
        raise DataError(
            f"{len(single)} of {len(classes)} classes have a single row ({', '.join(single[:5])})",
            where=where,
            hint='Drop or merge them, or set task = "regression" or "count" if the target is a number.',
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


def _check_classes(classes: Sequence[str], task: str, where: str) -> None:
    if len(classes) == 1:
        raise DataError(f"one class only ({classes[0]})", where=where, hint="There is nothing to learn.")
    needed = "binary" if len(classes) == 2 else "multiclass"
    if task != needed:
        what = f"{len(classes)} classes ({listed(classes, 5)}) and task {task}"
        raise DataError(what, where=where, hint=f'Set task = "{needed}".')


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
