"""Which preprocessing features get: by their form and by what the study asks, each of several inputs its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data.features import Features, Part
from lossreg.data.origin import listed
from lossreg.data.preprocess import AsGiven, Columns, Float32, ImagePreprocessor, TablePreprocessor
from lossreg.errors import DataError, InputError, did_you_mean

STANDARD, NONE = "standard", "none"
WAYS = (STANDARD, NONE)
Single = TablePreprocessor | ImagePreprocessor | AsGiven
Settled = Columns | None | dict[str, Any]


class InputsPreprocessor:
    """Several raw inputs by name to float32 arrays by name, each by a preprocessor of its own.

    parts: the preprocessors, fitted, by input.
    """

    def __init__(self, parts: Mapping[str, Single]) -> None:
        self.parts = dict(parts)
        self.notes = [f"{name}: {note}" for name, part in self.parts.items() for note in part.notes]

    def transform(self, rows: Any) -> dict[str, Float32]:
        """Float32 arrays `(n, *shape)` by input of a mapping of raw rows; raises `DataError`."""
        missing = [name for name in self.parts if name not in rows] if isinstance(rows, Mapping) else list(self.parts)
        if missing:
            hint = f"Rows are a table or an array for each of {listed(self.parts)}."
            raise DataError(f"inputs are missing: {listed(missing)}", hint=hint)
        found = {}
        for name, part in self.parts.items():
            with _within(name):
                found[name] = part.transform(rows[name])
        if len(set(map(len, found.values()))) > 1:
            said = ", ".join(f"{name} has {len(values)}" for name, values in found.items())
            raise DataError(f"the inputs have different numbers of rows: {said}")
        return found


Preprocessor = Single | InputsPreprocessor


@contextmanager
def _within(name: str) -> Iterator[None]:
    """Say of a mistake which input it is in."""
    try:
        yield
    except DataError as error:
        raise DataError(f"input {name}: {error.what}", hint=error.hint) from None


def ways(x: Features, asked: Any) -> dict[str, str]:
    """Which way each input goes, by its name; "" names a single one.

    asked: "standard" or "none" for all, or a mapping by input, where those left out are standardised. Raises
    `InputError`.
    """
    names = list(x) if isinstance(x, dict) else [""]
    table = dict(asked) if isinstance(asked, Mapping) else dict.fromkeys(names, asked)
    if isinstance(asked, Mapping) and not isinstance(x, dict):
        raise InputError("is a table by input, and this data has one input", where="preprocess", hint='Use "none".')
    for name, way in table.items():
        if name not in names:
            hint = did_you_mean(name, names) or f"Inputs: {listed(names)}."
            raise InputError(f"no input {name!r}", where="preprocess", hint=hint)
        if way not in WAYS:
            hint = did_you_mean(str(way), WAYS)
            raise InputError(f'must be "standard" or "none", not {way!r}', where="preprocess", hint=hint)
    return dict.fromkeys(names, STANDARD) | table


def settle(x: Features, way: Mapping[str, str]) -> Settled:
    """What is decided about columns once, before folds take their statistics; None where there is nothing to decide.

    Raises `DataError` for a table without a usable column.
    """
    if not isinstance(x, dict):
        return Columns.of(x) if isinstance(x, pd.DataFrame) and way[""] == STANDARD else None
    found = {}
    for name, part in x.items():
        with _within(name):
            found[name] = settle(part, {"": way[name]})
    return found


def fit(x: Features, way: Mapping[str, str], settled: Settled = None) -> Preprocessor:
    """A preprocessor fitted on these training rows, with the columns as `settle` found them; raises `DataError`."""
    if not isinstance(x, dict):
        return _fit(x, way[""], settled)
    parts, columns = {}, settled if isinstance(settled, dict) else {}
    for name, part in x.items():
        with _within(name):
            parts[name] = _fit(part, way[name], columns.get(name))
    return InputsPreprocessor(parts)


def _fit(x: Part, way: str, settled: Settled) -> Single:
    if way == NONE:
        return AsGiven().fit(x)
    if isinstance(x, pd.DataFrame):
        return TablePreprocessor().fit(x, columns=settled if isinstance(settled, Columns) else None)
    return ImagePreprocessor().fit(x)


def names(preprocessor: Preprocessor) -> Sequence[str]:
    """The raw columns that a preprocessor expects, none for arrays of more than two dimensions.

    Of several inputs they stand as `input.column`.
    """
    if isinstance(preprocessor, InputsPreprocessor):
        return tuple(f"{name}.{column}" for name, part in preprocessor.parts.items() for column in names(part))
    return () if isinstance(preprocessor, ImagePreprocessor) else tuple(preprocessor.features_)


def width(preprocessor: Preprocessor) -> int:
    """How many raw values a row has: columns of a table, places of an array."""
    if isinstance(preprocessor, InputsPreprocessor):
        return sum(width(part) for part in preprocessor.parts.values())
    return len(names(preprocessor)) or int(np.prod(getattr(preprocessor, "shape_", ())))
