"""Weights of samples in the loss: sample weights of the data, and class weights of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.targets import CLASSIFICATION
from lossreg.data import numerals, readings
from lossreg.data.classes import Labels
from lossreg.data.columns import Marks
from lossreg.data.conversions import AsNumbers
from lossreg.data.numerals import Numerals
from lossreg.data.row_numbers import RowNumbers
from lossreg.errors import DataError, InputError, count_of, did_you_mean

Weights = NDArray[np.float64]
BALANCED = "balanced"
FAR = 2.0
LARGEST = float(np.finfo(np.float32).max)


def read(values: Any, rows: RowNumbers, where: str, decimal: str = "", asked: Marks | None = None) -> Weights:
    """Return sample weights `(n,)`; raises `DataError` for another shape, and names the row of an invalid weight.

    decimal: the decimal mark of the table's other texts, used where weights in text are ambiguous; asked: the marks in
    numbers that the study names.
    """
    if masked := int(np.ma.getmaskarray(values).sum()) if isinstance(values, np.ma.MaskedArray) else 0:
        what = f"{masked:,} of {len(rows):,} weights {'is' if masked == 1 else 'are'} masked"
        raise DataError(what, where=where, hint="Leave these rows out.")
    array = np.asarray(values)
    if array.size != len(rows) or array.ndim > 2 or len(array) != len(rows):
        raise DataError(f"weights have shape {array.shape}, and one per row is needed ({len(rows):,})", where=where)
    if array.dtype.kind == "c":
        raise DataError("weights are complex numbers", where=where, hint="A weight is a finite number of 0 or more.")
    column = pd.Series(array.reshape(-1))
    form = _in_text(column, decimal, asked)
    if form is None:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    else:
        numbers = AsNumbers(form)(column)
    odd = np.flatnonzero(~((numbers >= 0) & (numbers <= LARGEST)))
    if odd.size:
        more = f" ({odd.size:,} such rows)" if odd.size > 1 else ""
        what = f"the weight of {rows.named(odd[:1])} is {column.iloc[odd[0]]}{more}"
        raise DataError(what, where=where, hint=f"A weight is a number from 0 to {LARGEST:.1e}.")
    if not numbers.any():
        raise DataError("every weight is 0", where=where, hint="There is nothing to learn.")
    return numbers


def are_texts(values: Any) -> bool:
    """Return whether some weights are texts."""
    array = np.asarray(values)
    return array.dtype.kind in "OUST" and any(isinstance(value, (str, bytes)) for value in array.flat)


def written(values: Any, name: str, decimal: str = "", asked: Marks | None = None) -> list[str]:
    """Return a note on weights that are numbers written as text, under a name for them; none for others."""
    form = _in_text(pd.Series(np.asarray(values).reshape(-1)), decimal, asked)
    return [] if form is None else [f"{name}: {form.description()}."]


def _in_text(column: pd.Series[Any], decimal: str, asked: Marks | None) -> Numerals | None:
    """Return the way in which weights in text write numbers, None where no weight is text."""
    if not are_texts(column):
        return None
    way = readings.one(column, decimal, asked).read
    return way.numerals if isinstance(way, AsNumbers) else numerals.with_marks(asked)


def of_classes(asked: Any, labels: Labels, rows: NDArray[np.int64]) -> Weights | None:
    """Return the weight of each class `(k,)`, None if none is given.

    asked: "balanced" for n / (k * rows of the class), counted in the training rows `rows`, so that
    their mean over these rows is 1; a list in class order; or a mapping by class name, where the
    classes left out weigh 1. Raises `InputError`.
    """
    if asked is None:
        return None
    if labels.task not in CLASSIFICATION:
        what = f"classes are weighted in a task of one class per row, and this is {labels.task}"
        raise InputError(what, where="class_weight", hint="Rows are weighted by data.weight in every task.")
    if isinstance(asked, str):
        return _balanced(asked, labels.y[rows], len(labels.classes))
    weights = _by_name(asked, labels.classes) if isinstance(asked, Mapping) else _in_order(asked, labels.classes)
    if not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        hint = "Weights are finite numbers of 0 or more, and one is above 0."
        raise InputError(f"has the weights {weights.tolist()}", where="class_weight", hint=hint)
    return weights


def _balanced(asked: str, y: NDArray[np.int64], k: int) -> Weights:
    if asked != BALANCED:
        hint = did_you_mean(asked, (BALANCED,)) or 'It is "balanced", a list in class order, or a table by class.'
        raise InputError(f"unknown class weight {asked!r}", where="class_weight", hint=hint)
    return np.asarray(len(y) / (k * np.bincount(y, minlength=k)))


def _in_order(asked: Sequence[float], classes: Sequence[str]) -> Weights:
    if len(asked) != len(classes):
        what = f"has {count_of(len(asked), 'weight')}, and there are {len(classes):,} classes"
        raise InputError(what, where="class_weight", hint=f"In this order: {', '.join(classes[:30])}.")
    return np.asarray(asked, np.float64)


def _by_name(asked: Mapping[Any, float], classes: Sequence[str]) -> Weights:
    given = {str(name): weight for name, weight in asked.items()}
    for name in given:
        if name not in classes:
            hint = did_you_mean(name, classes) or f"Classes: {', '.join(classes[:30])}."
            raise InputError(f"no class {name!r}", where="class_weight", hint=hint)
    return np.asarray([given.get(name, 1.0) for name in classes], np.float64)


def of_rows(sample: Weights | None, classes: Weights | None, labels: Labels, rows: NDArray[np.int64]) -> Weights:
    """Return the weights of these rows: sample weight times class weight; 1 where there is neither."""
    weights = np.ones(len(rows)) if sample is None else sample[rows]
    return weights if classes is None else weights * classes[labels.y[rows]]


def given(sample: Weights | None, column: str | None, classes: Weights | None) -> dict[str, Any]:
    """Return the weights of the training rows as `TrialRecord.weights` holds them."""
    rows = {} if sample is None else {"rows": column or ""}
    return rows if classes is None else {**rows, "classes": classes.tolist()}


def check(training: Sequence[Weights], where: str) -> None:
    """Raise `DataError` when the training rows of a fold count nothing, or more than float32 reaches."""
    for number, weights in enumerate(training, 1):
        fold = f" in fold {number}" if len(training) > 1 else ""
        if not weights.any():
            raise DataError(f"every weight of the training rows{fold} is 0", where=where)
        if weights.max() > LARGEST:
            what = f"a weight of the training rows{fold} is {weights.max():g}, and float32 reaches {LARGEST:.1e}"
            raise DataError(what, where=where, hint="Divide all weights by a constant.")


def plain(folds: Sequence[Weights]) -> list[NDArray[np.float32] | None]:
    """Return the same weights as float32, None for all folds where every row of every fold counts 1."""
    if all((weights == 1).all() for weights in folds):
        return [None] * len(folds)
    return [weights.astype(np.float32) for weights in folds]


def notes(training: NDArray[np.float32]) -> list[str]:
    """Return a note when the weights of the training rows act as a factor of the learning rate."""
    mean = float(training.mean(dtype=np.float64))
    if 1 / FAR <= mean <= FAR:
        return []
    return [
        f"The mean weight of the training rows is {mean:.4g}, and the loss is that many times as large, as if by the "
        f"learning rate. Divide the weights by {mean:.4g} to leave it as it is."
    ]
