"""Preprocessing of one or several inputs, chosen by their form and by the study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Options
from lossreg.data import features
from lossreg.data.features import Features, Part
from lossreg.data.image_files import ImageReader
from lossreg.data.lost import Lost
from lossreg.data.new_forms import Forms
from lossreg.data.origin import listed
from lossreg.data.preprocess import AsGiven, Columns, Counted, Float32, ImagePreprocessor, TablePreprocessor, warned
from lossreg.data.readings import Readings
from lossreg.errors import DataError, InputError, did_you_mean

STANDARD, NONE = "standard", "none"
CHOICES = (STANDARD, NONE)
Single = TablePreprocessor | ImagePreprocessor | AsGiven
Decisions = Mapping[str, Columns]


class InputsPreprocessor:
    """Turns several raw inputs by name into float32 arrays by name, each with its own preprocessor.

    parts: the fitted preprocessors, by input; classes: as of each of them.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, parts: Mapping[str, Single]) -> None:
        self.parts = dict(parts)
        self.notes = [f"{name}: {note}" for name, part in self.parts.items() for note in part.notes]

    def transform(self, rows: Any) -> dict[str, Float32]:
        """Return float32 arrays `(n, *shape)` by input, every number finite, of a mapping of raw rows by input.

        Warns of values that are taken as missing, counted by input and column. Raises `DataError`.
        """
        arrays: dict[str, Float32] = warned(self.counted(rows))
        return arrays

    def counted(self, rows: Any, forms: Forms | None = None) -> Counted:
        """Return the same arrays, and the lost values in place of a warning.

        forms: those of numbers and dates in all inputs; without them the rows decide.
        """
        missing = [name for name in self.parts if name not in rows] if isinstance(rows, Mapping) else list(self.parts)
        if missing:
            hint = f"Rows are a table or an array for each of {listed(self.parts)}."
            raise DataError(f"inputs are missing: {listed(missing)}", hint=hint)
        arrays, lost = {}, Lost()
        for name, part in self.parts.items():
            with _within(name):
                arrays[name], lost_here = part.counted(rows[name], forms)
            lost = lost.plus(lost_here.within(name))
        if len(set(map(len, arrays.values()))) > 1:
            counts = ", ".join(f"{name} has {len(values):,}" for name, values in arrays.items())
            raise DataError(f"the inputs have different numbers of rows: {counts}")
        return Counted(arrays, lost)


Preprocessor = Single | InputsPreprocessor


@contextmanager
def _within(name: str) -> Iterator[None]:
    """Name the input in errors."""
    try:
        yield
    except DataError as error:
        if not name:
            raise
        raise DataError(f"input {name}: {error.what}", hint=error.hint) from None


def preprocessing_of(x: Features, asked: Any) -> dict[str, str]:
    """Return the preprocessing of each input ("standard" or "none"), by its name; "" names a single one.

    asked: "standard" or "none" for all, or a mapping by input, where those left out are standardised. Raises
    `InputError`.
    """
    names = list(x) if isinstance(x, dict) else [""]
    table = dict(asked) if isinstance(asked, Mapping) else dict.fromkeys(names, asked)
    if isinstance(asked, Mapping) and not isinstance(x, dict):
        raise InputError("is a table by input, and this data has one input", where="preprocess", hint='Use "none".')
    for name, choice in table.items():
        if name not in names:
            hint = did_you_mean(name, names) or f"Inputs: {listed(names)}."
            raise InputError(f"no input {name!r}", where="preprocess", hint=hint)
        if choice not in CHOICES:
            hint = did_you_mean(str(choice), CHOICES)
            raise InputError(f'must be "standard" or "none", not {choice!r}', where="preprocess", hint=hint)
    return dict.fromkeys(names, STANDARD) | table


def read(
    x: Features, preprocess: Mapping[str, str], development: NDArray[np.int64], options: Options | None = None
) -> dict[str, Readings]:
    """Return how the columns of each standardised table are read, by input; raises `DataError`.

    The development rows decide; where all rows are read as all of them suggest, notes count all of them.
    """
    readings = {}
    for name, part in features.parts(x).items():
        if isinstance(part, pd.DataFrame) and preprocess[name] == STANDARD:
            with _within(name):
                every, early = (Readings.of(rows, options) for rows in (part, part.iloc[development]))
                readings[name] = every.wherever_as(early, part)
    return readings


def marks(readings: Mapping[str, Readings]) -> Iterator[bytes]:
    """Yield bytes that tell readings from the usual ones of the same values."""
    for name, table in sorted(readings.items()):
        yield from (f"{name} ".encode() + mark for mark in table.marks())


def notes(readings: Mapping[str, Readings]) -> list[str]:
    """Return notes on columns whose reading is not obvious."""
    return [f"{name}: {note}" if name else note for name, table in readings.items() for note in table.notes()]


def gaps(x: Features, readings: Mapping[str, Readings]) -> dict[str, tuple[int, int]]:
    """Return the numbers of values that are not there and of all, by input and column, where there are such."""
    return {
        f"{name}.{column}" if name else column: (count, len(part))
        for name, part in features.parts(x).items()
        if isinstance(part, pd.DataFrame) and name in readings
        for column, count in readings[name].missing(part).items()
    }


def decide(x: Features, readings: Mapping[str, Readings]) -> Decisions:
    """Return the decisions about columns that all folds share, by input.

    Raises `DataError` for a table without a usable column.
    """
    decisions = {}
    for name, part in features.parts(x).items():
        if isinstance(part, pd.DataFrame) and name in readings:
            with _within(name):
                decisions[name] = Columns.of(part, readings[name])
    return decisions


def fit(
    x: Features,
    preprocess: Mapping[str, str],
    decisions: Decisions,
    options: Options | None = None,
    images: ImageReader | None = None,
) -> Preprocessor:
    """Return a preprocessor fitted on these training rows, with the columns that `decide` gave; raises `DataError`.

    options: what the study says about reading, which holds for new rows too; images: how the files are read that these
    rows come from, and new ones.
    """
    if not isinstance(x, dict):
        single = _fit(x, preprocess[""], decisions.get(""), options)
        single.images_ = images
        return single
    parts = {}
    for name, part in x.items():
        with _within(name):
            parts[name] = _fit(part, preprocess[name], decisions.get(name), options)
    return InputsPreprocessor(parts)


def _fit(x: Part, choice: str, decisions: Columns | None, options: Options | None) -> Single:
    if choice == NONE:
        return AsGiven(options).fit(x)
    if isinstance(x, pd.DataFrame):
        return TablePreprocessor(options).fit(x, columns=decisions)
    return ImagePreprocessor().fit(x)


def names(preprocessor: Preprocessor) -> Sequence[str]:
    """Return the raw columns that a preprocessor expects, none for arrays of more than two dimensions.

    Of several inputs they stand as `input.column`.
    """
    if isinstance(preprocessor, InputsPreprocessor):
        return tuple(f"{name}.{column}" for name, part in preprocessor.parts.items() for column in names(part))
    return () if isinstance(preprocessor, ImagePreprocessor) else tuple(preprocessor.features_)


def width(preprocessor: Preprocessor) -> int:
    """Return the number of raw values per sample: columns of a table, elements of an array."""
    if isinstance(preprocessor, InputsPreprocessor):
        return sum(width(part) for part in preprocessor.parts.values())
    return len(names(preprocessor)) or int(np.prod(getattr(preprocessor, "shape_", ())))
