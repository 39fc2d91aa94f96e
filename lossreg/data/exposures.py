"""Exposures: for how long, or of how much, each row counts, such as days insured; the mean is exposure times rate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import EXPOSURE, FEATURES, Options
from lossreg.data import columns, foreign, kinds, new_rows, readings
from lossreg.data.cells import example
from lossreg.data.columns import Marks
from lossreg.data.conversions import AsDurations, AsNumbers
from lossreg.data.inputs import InputsPreprocessor, Preprocessor
from lossreg.data.lost import Lost
from lossreg.data.origin import Origin, listed
from lossreg.data.preprocess import Counted, Float32, warned
from lossreg.data.raw import Raw
from lossreg.data.row_numbers import RowNumbers
from lossreg.errors import DataError, InputError

USE = "exposure"
TASKS = ("count", "positive")
# log(exposure) stays within 23, and the losses are exact within 30
LEAST, MOST = 1e-10, 1e10
HINT = "It is a number above 0, such as days insured or people at risk; leave rows without any out."
UNIT = f"It lies between {LEAST:g} and {MOST:g}: give it in another unit."


def of(raw: Raw, task: str, where: str, options: Options) -> NDArray[np.float64] | None:
    """Return the exposures of raw rows `(n,)`, None where the study names none.

    Raises `InputError` for a task whose means do not grow with an exposure, and for what is no exposure.
    """
    if (column := raw.aside.get(USE)) is None:
        return None
    if task not in TASKS:
        what = f"belongs to counts and other numbers of 0 and more, and this task is {task}"
        raise InputError(what, where="exposure", hint=f'Leave it out, or set data.task = "{TASKS[0]}" or "{TASKS[1]}".')
    if isinstance(raw.x, dict) and EXPOSURE in raw.x:
        what = f"an input is called {EXPOSURE}, as the model's input of the exposures is"
        raise DataError(what, where=where, hint="Give the input another name.")
    is_text = not columns.is_number(column.dtype)
    decimal = readings.decimal_mark(raw.x) if is_text and isinstance(raw.x, pd.DataFrame) else ""
    try:
        return read(column, raw.numbers, decimal, options.marks)
    except DataError as error:
        raise error.at(where) from None


def read(
    column: pd.Series[Any], rows: RowNumbers, decimal: str = "", asked: Marks | None = None
) -> NDArray[np.float64]:
    """Return the exposures of a column; raises `DataError` that names the first that is missing or not positive.

    rows: where each row was read from; decimal, asked: as in `kinds.infer`.
    """
    values = _numbers(column, decimal, asked)
    odd = np.flatnonzero(~((values >= LEAST) & (values <= MOST)))
    if not odd.size:
        return values
    first, what = int(odd[0]), f"exposure = {listed([str(column.name)])!r}"
    gaps = np.flatnonzero(column.isna().to_numpy(bool))
    if gaps.size:
        told = f"{gaps.size} of {len(column)} rows have none" if gaps.size > 1 else f"1 of {len(column)} rows has none"
        raise DataError(f"{what}: {told}, the first in {rows.named(gaps)}", hint=HINT)
    more = f" ({odd.size} such rows)" if odd.size > 1 else ""
    hint = UNIT if values[first] > 0 else HINT
    raise DataError(f"{what}: {rows.named([first])} has {example(column.iloc[first])}{more}", hint=hint)


def _numbers(column: pd.Series[Any], decimal: str, asked: Marks | None) -> NDArray[np.float64]:
    """Return the numbers or durations of a column, NaN where there is none; raises `DataError` for other columns."""
    if columns.is_number(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    found = kinds.infer(column, decimal, asked)
    if isinstance(found.read, (AsNumbers, AsDurations)):
        return np.asarray(found.read(columns.plain(column)), np.float64)
    if found.kind == "empty":
        return np.full(len(column), np.nan)
    odd = example(column.dropna().iloc[0])
    raise DataError(f"exposure = {listed([str(column.name)])!r} holds {odd}, and no numbers", hint=HINT)


def task_of(task: str, raw: Raw) -> str:
    """Return the task, which an exposure decides where labels are numbers of 0 and more: counts, or others."""
    if task != "auto" or USE not in raw.aside or not isinstance(raw.y, pd.Series):
        return task
    if not columns.is_number(raw.y.dtype) or raw.y.isna().any() or float(raw.y.min()) < 0:
        return task
    return TASKS[0] if bool((raw.y % 1 == 0).all()) else TASKS[1]


def note(name: str, values: NDArray[np.float64], task: str) -> str:
    """Return a line on what is done with the exposures of a column."""
    name = listed([name])
    return (
        f"{name}: exposures from {values.min():g} to {values.max():g} of task {task}; log({name}) is added to the raw "
        "score, so that predictions are exposure times rate. The column is no feature."
    )


def told_apart(raw: Raw) -> Raw:
    """Return the rows with their exposure among the features: rows that differ in it are no copies."""
    column = raw.aside.get(USE)
    if column is None or not isinstance(raw.x, pd.DataFrame):
        return raw
    return replace(raw, x=raw.x.assign(**{str(column.name): column.to_numpy()}))


def beside(x: Any, values: NDArray[np.float64]) -> dict[str, Float32]:
    """Return preprocessed features and exposures as the inputs of a model."""
    features = x if isinstance(x, dict) else {FEATURES: x}
    return {**features, EXPOSURE: values.astype(np.float32)[:, None]}


def features_of(x: Mapping[str, Any], preprocessor: Fitted) -> Any:
    """Return the inputs of a model, or what is given by their names, without that of the exposures."""
    if not isinstance(preprocessor, ExposedPreprocessor):
        return x
    if isinstance(preprocessor.base, InputsPreprocessor):
        return {name: part for name, part in x.items() if name != EXPOSURE}
    return x[FEATURES]


class ExposedPreprocessor:
    """Turns raw rows with an exposure into float32 arrays by name: the features, and `exposure` as it is.

    base: the preprocessor of the features; column: that of the exposures, which is 1 where new rows have none.
    """

    def __init__(self, base: Preprocessor, column: str) -> None:
        self.base, self.column, self.notes, self.classes = base, column, base.notes, base.classes

    def transform(self, rows: Any) -> dict[str, Float32]:
        """Return float32 arrays by input, every number finite.

        rows: a table or the path of one with the column of exposures, or a mapping with the features as `x` (or by
        the names of several inputs) and the exposures under their name. Without them predictions are those for an
        exposure of 1, which is warned of, as are values that are taken as missing. Raises `DataError`.
        """
        arrays: dict[str, Float32] = warned(self.counted(rows))
        return arrays

    def counted(self, rows: Any) -> Counted:
        """Return the same arrays, and the lost values in place of a warning."""
        rows = rows if isinstance(rows, (Mapping, str, os.PathLike)) else foreign.plain(rows, Origin("", ""))
        array, lost = self.base.counted(self._features(rows))
        given = self._exposures(rows)
        number = len(next(iter(array.values()))) if isinstance(array, dict) else len(array)
        if given is None:
            lost.notes.append(f"no column {self.column}: predictions are rates, for an exposure of 1.")
            return Counted(beside(array, np.ones(number)), lost)
        if len(given) != number:
            raise DataError(f"{number} rows have {len(given)} exposures")
        marks = options.marks if (options := getattr(self.base, "options", None)) else None
        return Counted(beside(array, read(given, RowNumbers.of(number), asked=marks)), lost)

    def _features(self, rows: Any) -> Any:
        """Return the rows without their exposures, where these are not one of the columns of a table."""
        if not isinstance(rows, Mapping):
            return rows
        rest = {name: part for name, part in rows.items() if name != self.column}
        return rest[FEATURES] if not isinstance(self.base, InputsPreprocessor) and FEATURES in rest else rest

    def _exposures(self, rows: Any) -> pd.Series[Any] | None:
        """Return the exposures of raw rows as they stand, None where they have none."""
        if isinstance(rows, (str, os.PathLike)) and hasattr(self.base, "form"):
            form = self.base.form()
            wanted = replace(form, columns=[*form.columns, self.column], optional=[*form.optional, self.column])
            rows = new_rows.table(rows, wanted, Lost())
            return None if rows[self.column].isna().all() and len(rows) else rows[self.column]
        is_there = self.column in rows if isinstance(rows, (pd.DataFrame, Mapping)) else False
        if not is_there:
            return None
        values = rows[self.column]
        if isinstance(values, pd.Series):
            return values.reset_index(drop=True)
        return pd.Series(np.asarray(values).reshape(-1), name=self.column)


Fitted = Preprocessor | ExposedPreprocessor


def base_of(preprocessor: Fitted) -> Preprocessor:
    """Return the preprocessor of the features."""
    return preprocessor.base if isinstance(preprocessor, ExposedPreprocessor) else preprocessor
