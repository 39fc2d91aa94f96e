"""Labels of several numbers per row: one-hot rows, several labels per row, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import label_gaps
from lossreg.data.classes import Labels, slugs, unique_names
from lossreg.data.origin import listed
from lossreg.data.row_numbers import RowNumbers
from lossreg.errors import DataError

Array = NDArray[Any]
WIDE_TASKS = ("multilabel", "segmentation")
MASK = ("background", "foreground")


def check_one_target(y: Array, names: Sequence[str], where: str) -> None:
    """Raise `DataError` for several numbers per row `(n, k)`, with their names if they have any."""
    if y.ndim != 2 or y.dtype.kind not in "iuf" or not y.size or _is_zero_one(y[np.isfinite(y)]):
        return
    k = y.shape[1]
    named = len(names) == k
    name_list = f" ({listed(names, 5)})" if named else ""
    columns = f"target = {names[0]!r}, with the others under drop, or of arrays " if named else ""
    what = (
        f"y has {k} numbers per row{name_list} to predict, and a study predicts one, which its losses and metrics take"
    )
    hint = f"Make a study for each: {columns}y[:, 0]. Only labels of 0 and 1 may be several."
    raise DataError(what, where=where, hint=hint)


def infer(y: Array, where: str, rows: RowNumbers) -> tuple[str, str]:
    """Return the task that labels `(n, k)` or `(n, *spatial_shape)` suggest, and why.

    The task is "" for one-hot rows, which are classes. Raises `DataError` for masks of numbers other than 0 and 1.
    """
    _check_numbers(y, where, rows)
    if y.ndim > 2:
        _check_zero_one(y, f"masks of shape {y.shape[1:]}", where)
        return "segmentation", f"masks of shape {_squeezed(y).shape[1:]}"
    if is_onehot(y):
        return "", ""
    return "multilabel", f"{y.shape[1]} labels per row, each 0 or 1"


def is_onehot(y: Array) -> bool:
    """Return whether every row of `(n, k)` labels has exactly one 1."""
    return y.ndim == 2 and _is_zero_one(y) and bool((y.sum(axis=1) == 1).all())


def as_classes(y: Array, task: str, where: str, rows: RowNumbers) -> pd.Series[Any]:
    """Return the class numbers of one-hot rows; raises `DataError` for other labels of several numbers per row."""
    _check_numbers(y, where, rows)
    if is_onehot(y):
        return pd.Series(y.argmax(axis=1))
    named = WIDE_TASKS[y.ndim > 2]
    hint = f'Set task = "{named}".' if _is_zero_one(y) else "Pick one of them."
    raise DataError(f"task {task} needs one label per row, and y has shape {y.shape}", where=where, hint=hint)


def read(y: Array, task: str, names: Sequence[str], where: str, rows: RowNumbers) -> Labels:
    """Return the labels `(n, k)` of a multilabel task, or the masks `(n, *spatial_shape)` of a segmentation.

    Raises `DataError` for other shapes and for numbers other than 0 and 1.
    """
    _check_numbers(y, where, rows)
    return _multilabel(y, names, where) if task == "multilabel" else _masks(y, names, where)


def _multilabel(y: Array, names: Sequence[str], where: str) -> Labels:
    if y.ndim != 2:
        hint = 'Masks are for task = "segmentation".'
        raise DataError(f"task multilabel needs labels (n, k), and y has shape {y.shape}", where=where, hint=hint)
    _check_zero_one(y, "several labels per row", where)
    k = y.shape[1]
    classes = unique_names(names if len(names) == k else [f"label_{i}" for i in range(k)])
    everywhere = [name for name, rows in zip(classes, y.sum(axis=0), strict=True) if rows == len(y)]
    notes = [f"Every row has the label {name}." for name in everywhere]
    return Labels("multilabel", y.astype(np.int64), classes, slugs(classes), notes)


def _masks(y: Array, names: Sequence[str], where: str) -> Labels:
    _check_zero_one(y, f"masks of shape {y.shape[1:]}", where)
    masks = _squeezed(y)
    if masks.ndim > 3 and bool((masks.sum(axis=-1) == 1).all()):
        what = f"masks of shape {y.shape[1:]} are one-hot over {y.shape[-1]} classes, and one class is needed"
        raise DataError(what, where=where, hint="Give the mask of one of them, such as y[..., 1].")
    classes = unique_names(names if len(names) == 2 else MASK)
    return Labels("segmentation", masks.astype(np.int8), classes, slugs(classes))


def _squeezed(y: Array) -> Array:
    """Return masks without a last axis of length 1."""
    return y[..., 0] if y.ndim > 2 and y.shape[-1] == 1 else y


def _is_zero_one(y: Array) -> bool:
    return y.dtype.kind == "b" or bool(((y == 0) | (y == 1)).all())


def _check_numbers(y: Array, where: str, rows: RowNumbers) -> None:
    if y.dtype.kind not in "buif":
        hint = "Several labels per row are 0 or 1 each."
        raise DataError(f"y of shape {y.shape} holds {y.dtype}, not numbers", where=where, hint=hint)
    if not y.size:
        raise DataError(f"y has shape {y.shape}: no labels", where=where)
    if y.dtype.kind == "f":
        of_rows = y.reshape(len(y), -1).T
        missing, infinite = (np.logical_or.reduce(flags(of_rows)) for flags in (np.isnan, np.isinf))
        label_gaps.check(missing, infinite, where, rows, several=True)


def _check_zero_one(y: Array, what: str, where: str) -> None:
    if not _is_zero_one(y):
        odd = y[(y != 0) & (y != 1)][0]
        values = np.unique(y)
        hint = f"Divide by {values[1]:g}." if len(values) == 2 and values[0] == 0 else "Recode them as 0 and 1."
        raise DataError(f"{what} are 0 and 1, and the data has {odd:g}", where=where, hint=hint)
