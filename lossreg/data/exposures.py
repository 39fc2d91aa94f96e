"""Exposures: for how long, or of how much, each row counts, such as days insured; the mean is exposure times rate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import EXPOSURE, FEATURES, Options
from lossreg.data import columns, foreign, new_rows, readings
from lossreg.data.cells import example, shown
from lossreg.data.conversions import AsDurations, AsNumbers
from lossreg.data.inputs import InputsPreprocessor, Preprocessor
from lossreg.data.lost import Lost
from lossreg.data.new_forms import Forms
from lossreg.data.new_rows import Form
from lossreg.data.origin import Origin, listed
from lossreg.data.preprocess import Counted, Float32, ImagePreprocessor, warned
from lossreg.data.raw import Raw
from lossreg.data.reading import Reading
from lossreg.data.row_numbers import RowNumbers
from lossreg.data.thousands import Thousands
from lossreg.errors import DataError, InputError

TASKS = ("count", "positive")
# log(exposure) stays within 23, and the losses are exact within 30
LEAST, MOST = 1e-10, 1e10
HINT = "It is a number above 0, such as days insured or people at risk; leave rows without any out."
UNIT = f"It lies between {LEAST:g} and {MOST:g}: give it in another unit."
AS_DURATIONS = "The column holds durations, such as 36 days or 08:30:00."
MARKS = {".": "point", ",": "comma"}


class Terms(NamedTuple):
    """The reading of the column of exposures, of training rows and of new ones.

    thousands: the marks in its numbers, None where no other number may be meant.
    """

    column: str
    reading: Reading
    thousands: Thousands | None = None

    @classmethod
    def of(cls, column: pd.Series[Any], decimal: str, options: Options) -> Terms:
        """Return the terms of a column of numbers or durations; raises `DataError` for others.

        decimal: the decimal mark of the table's other texts.
        """
        name, reading = str(column.name), readings.one(column, decimal, options.marks)
        if reading.kind == "empty":
            return cls(name, Reading("number", AsNumbers()))
        if not isinstance(reading.read, (AsNumbers, AsDurations)):
            odd = example(column.dropna().iloc[0])
            raise DataError(f"exposure = {listed([name])!r} holds {odd}, and no numbers", hint=HINT)
        if isinstance(reading.read, AsDurations):
            return cls(name, reading)
        thousands = Thousands.of(columns.plain(column), reading.read.numerals.decimal)
        return cls(name, reading, thousands if thousands.used or not reading.read.numerals.group else None)

    def read(self, column: pd.Series[Any], rows: RowNumbers) -> NDArray[np.float64]:
        """Return the exposures of a column; raises `DataError` that names the first that is missing or not positive.

        rows: where each row was read from.
        """
        values = self._values(column)
        odd = np.flatnonzero(~((values >= LEAST) & (values <= MOST)))
        if not odd.size:
            return values
        first, what = int(odd[0]), f"exposure = {listed([self.column])!r}"
        gaps = np.flatnonzero(column.isna().to_numpy(bool))
        if gaps.size:
            raise DataError(f"{what}: {rows.lacking(gaps)}", hint=HINT)
        more = f" ({odd.size:,} such rows)" if odd.size > 1 else ""
        given = column.iloc[first]
        what = f"{what}: {rows.named([first])} has {example(given)}{more}"
        raise DataError(what, hint=self._hint(values[first], given))

    def _values(self, column: pd.Series[Any]) -> NDArray[np.float64]:
        """Return the numbers or durations of a column, NaN where there is none."""
        assert self.reading.read is not None
        column = columns.plain(column)
        is_truth = pd.api.types.is_bool_dtype(column.dtype)
        return np.asarray(self.reading.read(column.astype(object) if is_truth else column), np.float64)

    def _hint(self, value: float, given: Any) -> str:
        if value > 0:
            return UNIT
        if np.isnan(value) and isinstance(self.reading.read, AsDurations):
            return AS_DURATIONS
        if np.isnan(value) and isinstance(given, str) and isinstance(self.reading.read, AsNumbers):
            return f"{HINT} Its decimal mark is a {MARKS[self.reading.read.numerals.decimal]}."
        return HINT


class Exposures(NamedTuple):
    """The exposures of rows `(n,)`, and how they are read."""

    values: NDArray[np.float64]
    terms: Terms


def of(raw: Raw, task: str, where: str, options: Options) -> Exposures | None:
    """Return the exposures of raw rows, None where the study names none.

    Raises `InputError` for a task whose means do not grow with an exposure, and for what is no exposure.
    """
    if (column := raw.aside.get(EXPOSURE)) is None:
        return None
    if task not in TASKS:
        what = f"belongs to counts and other numbers of 0 and more, and this task is {task}"
        raise InputError(what, where=EXPOSURE, hint=f'Leave it out, or set data.task = "{TASKS[0]}" or "{TASKS[1]}".')
    if isinstance(raw.x, dict) and EXPOSURE in raw.x:
        what = f"an input is called {EXPOSURE}, as the model's input of the exposures is"
        raise DataError(what, where=where, hint="Give the input another name.")
    is_text = not columns.is_number(column.dtype)
    decimal = readings.decimal_mark(raw.x) if is_text and isinstance(raw.x, pd.DataFrame) else ""
    try:
        terms = Terms.of(column, decimal, options)
        return Exposures(terms.read(column, raw.numbers), terms)
    except DataError as error:
        raise error.at(where) from None


def task_of(task: str, raw: Raw) -> str:
    """Return the task, which an exposure decides where labels are numbers of 0 and more: counts, or others."""
    if task != "auto" or EXPOSURE not in raw.aside or not isinstance(raw.y, pd.Series):
        return task
    if not columns.is_number(raw.y.dtype) or raw.y.isna().any() or float(raw.y.min()) < 0:
        return task
    return TASKS[0] if bool((raw.y % 1 == 0).all()) else TASKS[1]


def note(exposed: Exposures, task: str) -> str:
    """Return a line on what is done with the exposures of a column."""
    name, values = listed([exposed.terms.column]), exposed.values
    return (
        f"{name}: exposures from {values.min():g} to {values.max():g} of task {task}; log({name}) is added to the raw "
        "score, so that predictions are exposure times rate. The column is no feature."
    )


def told_apart(raw: Raw) -> Raw:
    """Return the rows with their exposure among the features: rows that differ in it are no copies."""
    column = raw.aside.get(EXPOSURE)
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

    base: the preprocessor of the features; terms: how the column of exposures is read, which are 1 where new rows have
    no such column.
    """

    def __init__(self, base: Preprocessor, terms: Terms) -> None:
        self.base, self.terms, self.column = base, terms, terms.column
        self.notes, self.classes = base.notes, base.classes

    def form(self) -> Form:
        """Return the form of the rows of a table in training, with the column of exposures, which may be missing."""
        if isinstance(self.base, (InputsPreprocessor, ImagePreprocessor)):
            return Form([self.column])
        form, text = self.base.form(), [self.column] if self.terms.reading.mark else []
        return replace(
            form, columns=[*form.columns, self.column], optional=[*form.optional, self.column],
            as_text=[*form.as_text, *text],
        )  # fmt: skip

    def transform(self, rows: Any) -> dict[str, Float32]:
        """Return float32 arrays by input, every number finite.

        rows: a table or the path of one with the column of exposures, or a mapping with the features as `x` (or by
        the names of several inputs) and the exposures under their name. Without them predictions are those for an
        exposure of 1, which is warned of, as are values that are taken as missing. Raises `DataError`.
        """
        arrays: dict[str, Float32] = warned(self.counted(rows))
        return arrays

    def counted(self, rows: Any, forms: Forms | None = None) -> Counted:
        """Return the same arrays, and the lost values in place of a warning.

        forms: those of numbers and dates; without them the rows decide.
        """
        if not isinstance(rows, (str, os.PathLike)) or len(self.form().columns) == 1:
            return self._counted(rows, forms)
        before = Lost()
        try:
            array, lost = self._counted(new_rows.file(os.fspath(rows), self.form(), before), forms)
        except DataError as error:
            raise error.at(os.fspath(rows)) from None
        lost.notes[:0] = before.notes
        return Counted(array, lost)

    def _counted(self, rows: Any, forms: Forms | None) -> Counted:
        rows = rows if isinstance(rows, (Mapping, str, os.PathLike)) else foreign.plain(rows, Origin("", ""))
        array, lost = self.base.counted(self._features(rows), forms)
        given = self._exposures(rows)
        number = len(next(iter(array.values()))) if isinstance(array, dict) else len(array)
        if given is None:
            lost.notes.append(f"no column {self.column}: predictions are rates, for an exposure of 1.")
            return Counted(beside(array, np.ones(number)), lost)
        if len(given) != number:
            raise DataError(f"{number:,} rows have {len(given):,} exposures")
        values = self.terms.read(given, RowNumbers.of(number))
        if self.terms.thousands:
            lost.values[""] = lost.values.get("") or number  # several inputs have none
            self.terms.thousands.count(given, self.column, lost)
        return Counted(beside(array, values), lost)

    def _features(self, rows: Any) -> Any:
        """Return the rows without their exposures, where these are not one of the columns of a table."""
        if not isinstance(rows, Mapping):
            return rows
        rest = {name: part for name, part in rows.items() if name != self.column}
        return rest[FEATURES] if not isinstance(self.base, InputsPreprocessor) and FEATURES in rest else rest

    def _exposures(self, rows: Any) -> pd.Series[Any] | None:
        """Return the exposures of raw rows as they stand, None where they have none."""
        if isinstance(rows, pd.DataFrame):
            names = [shown(name) for name in rows.columns]
            if self.column not in (*names, *map(str.strip, names)):
                return None
            way, options = self.terms.reading.read, getattr(self.base, "options", None)
            written = {self.column: way.numerals} if isinstance(way, AsNumbers) else {}
            form = Form([self.column], options=options, numerals=written)
            return new_rows.table(rows, form, Lost())[self.column].reset_index(drop=True)
        if not isinstance(rows, Mapping) or self.column not in rows:
            return None
        values = rows[self.column]
        if isinstance(values, pd.Series):
            return values.reset_index(drop=True)
        return pd.Series(np.asarray(values).reshape(-1), name=self.column)


Fitted = Preprocessor | ExposedPreprocessor


def base_of(preprocessor: Fitted) -> Preprocessor:
    """Return the preprocessor of the features."""
    return preprocessor.base if isinstance(preprocessor, ExposedPreprocessor) else preprocessor
