"""Raw rows, as a source yields them, made from arrays and tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import features, foreign, gaps, label_gaps, metric_columns, numerals, readings
from lossreg.data import weights as row_weights
from lossreg.data.cells import example
from lossreg.data.columns import MISSING, texts
from lossreg.data.conversions import AsNumbers
from lossreg.data.features import Array, Features
from lossreg.data.image_files import ImageReader
from lossreg.data.numerals import Numerals
from lossreg.data.origin import Origin, listed, near
from lossreg.data.parts import VALIDATION
from lossreg.data.row_numbers import Place, RowNumbers
from lossreg.errors import DataError, did_you_mean

FEATURE_KEYS = ("x", "X", "data", "features")
LABEL_KEYS = ("y", "Y", "target", "labels")
LABELS = "the labels"
WEIGHT_KEYS = ("sample_weight", "sample_weights", "weights")
OF_VALUES = "biufmMUSO"  # kinds of arrays whose elements are single values
NO_COLUMNS = (*FEATURE_KEYS, *LABEL_KEYS, *WEIGHT_KEYS, "feature_names", "target_names", "frame")


class TargetError(DataError):
    """A table without a target, or without the column that is named; `table` is what was read, where it is known.

    index: the names of levels of the index that it had; advice: what may be wrong with the file.
    """

    table: pd.DataFrame | None = None
    index: Sequence[str] = ()
    advice: str = ""

    def of(self, table: pd.DataFrame, index: Sequence[str] = ()) -> TargetError:
        """Return the same error with its table."""
        self.table, self.index = table, index
        return self

    def with_advice(self, advice: str) -> TargetError:
        """Return the same error with a hint on what the file is like, which comes first."""
        if not advice or self.table is None:
            return self
        error = TargetError(self.what, where=self.where, hint=f"{advice} {self.hint}".strip())
        error.advice = advice
        return error.of(self.table, self.index)


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Raw rows: `x` a table `(n, columns)`, an array of more than two dimensions or several by name, `y` their labels.

    y: a column `(n,)` of any type, or an array of several numbers per row, `(n, k)` or `(n, *spatial_shape)`;
    names: names of the classes 0, 1, ... or of the k labels if the source has them; hashes_names: other names are other
    data, as of rows given in Python: of others they were not up to 0.2.0; given: the part of each row
    `(n,)`, 0 of training, 1 of validation and 2 of test rows, None if the source gives none; weights: sample weights
    `(n,)`, None if the source has none; aside: columns that are no features, by what they are for (`group`, `time`,
    `split`, `exposure`), and copies of those that the metric takes; beside: arrays of one value per row that came with
    arrays and are used for nothing; images: how the image files were read that `x` comes from, None for other sources;
    from_files: the parts are files of their own; read_as: where the rows were read from, for messages, None for rows of
    one place that are counted from 1; gap_words: words of a text file that were read as missing labels, with their
    counts; notes: lines for the user.
    """

    name: str
    x: Features
    y: pd.Series[Any] | Array
    names: tuple[str, ...] = ()
    hashes_names: bool = False
    given: NDArray[np.int8] | None = None
    weights: NDArray[np.float64] | None = None
    aside: Mapping[str, pd.Series[Any]] = field(default_factory=dict)
    beside: Mapping[str, pd.Series[Any]] = field(default_factory=dict)
    images: ImageReader | None = None
    from_files: bool = False
    read_as: RowNumbers | None = None
    gap_words: Mapping[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def digest(self, marks: Iterable[bytes] = ()) -> str:
        """Return a hash of features, labels and weights, the same for the same values on every machine.

        marks: bytes that are hashed too, such as for an unusual reading of the data.
        """
        sha = hashlib.sha256()
        for part in features.marks(self.x):
            sha.update(part)
        sha.update(features.mark(self.y))
        sha.update(repr(self.names).encode() if self.hashes_names and self.names else b"")
        sha.update(b"" if self.weights is None else b"weights" + features.mark(self.weights))
        for use, column in sorted(self._hashed_aside().items()):
            sha.update(use.encode() + features.mark(column))
        # up to 0.2.0 x_train, y_train, x_test, y_test were hashed without their parts
        if self.given is not None and (self.from_files or (self.given == VALIDATION).any()):
            sha.update(b"parts" + features.mark(self.given))
        for mark in marks:
            sha.update(mark)
        return sha.hexdigest()[:16]

    def _hashed_aside(self) -> dict[str, pd.Series[Any]]:
        """Return the columns that are no features, without the metric's copies of what is hashed anyway."""
        names = {str(column.name) for use, column in self.aside.items() if use != metric_columns.key(str(column.name))}
        names.update(map(str, self.x.columns) if isinstance(self.x, pd.DataFrame) else ())
        copies = set(map(metric_columns.key, names))
        return {use: column for use, column in self.aside.items() if use not in copies}

    @property
    def numbers(self) -> RowNumbers:
        """The places that the rows were read from."""
        return self.read_as or RowNumbers.of(len(self.y))

    def without(self, drop: Sequence[str], where: str) -> Raw:
        """Return the same rows without the columns in `drop`; raises `DataError` for one that is not there."""
        if not drop:
            return self
        if not isinstance(self.x, pd.DataFrame):
            has = f"the inputs {listed(self.x)}" if isinstance(self.x, dict) else "none"
            raise DataError(f"drop names columns of a table, and this data has {has}", where=where)
        columns = list(self.x.columns)
        for name in drop:
            if name not in columns:
                raise DataError(f"no column {name!r} to drop", where=where, hint=near(name, columns))
        if len(set(drop)) == len(columns):
            raise DataError("drop leaves no column", where=where, hint="Keep at least one to learn from.")
        return replace(self, x=self.x.drop(columns=list(drop)))


def from_table(table: pd.DataFrame, origin: Origin, place: Place | None = None) -> Raw:
    """Split a table into features, target columns and weights; raises `DataError` when a column is missing.

    place: what it was read from, None where it was given.
    """
    index = [str(name) for name in table.index.names if name is not None]
    table, gap_notes = _without_gaps(features.table(table, origin), origin)
    columns, target = list(table.columns), origin.target
    if not columns:
        raise origin.error("the table has no columns")
    if target is None:
        hint = f"Set target to one of: {listed(columns)}."
        raise TargetError("a table needs a target column", where=origin.where, hint=hint).of(table)
    targets = [target] if isinstance(target, str) else list(target)
    for name in targets:
        if name not in columns:
            hint = near(name, columns, index) if name in index else did_you_mean(name, columns)
            what = f"no column {name!r}; it has {listed(columns)}"
            raise TargetError(what, where=origin.where, hint=hint).of(table, index)
    rows = RowNumbers.of(len(table), place)
    copies = metric_columns.copied(table, {}, origin)
    table, weights, weight_notes = _weighed(table, index, rows, origin)
    table, aside = _set_aside(table, {}, index, origin)
    aside |= copies
    if len(table.columns) == len(targets):
        beside = [*targets, *([origin.weight] if origin.weight else []), *origin.aside.values()]
        raise origin.error(f"no columns besides the target {', '.join(map(repr, beside))}")
    y, names = _several(table[targets], origin) if len(targets) > 1 else (table[targets[0]], ())
    notes = [f"{listed(index)}: the index of the rows, left out."] if index else []
    notes += [*gap_notes, *weight_notes]
    x = table.drop(columns=targets)
    return Raw(origin.name, x, y, names, weights=weights, aside=aside, read_as=rows, notes=notes)


def _without_gaps(table: pd.DataFrame, origin: Origin) -> tuple[pd.DataFrame, list[str]]:
    """Return the table without the values that the study names as missing, and notes on them."""
    return gaps.taken_out(table, origin.options, origin.where) if origin.options.na_values else (table, [])


def _arrays_without_gaps(
    x: Features, y: Any, aside: Mapping[str, pd.Series[Any]], origin: Origin
) -> tuple[Features, Any, dict[str, pd.Series[Any]], list[str]]:
    """Return features, labels and columns set aside without the values that the study names as missing, and notes."""
    if not isinstance(x, pd.DataFrame):
        raise origin.error("na_values are for tables, and this data has arrays", "Give NaN where a value is missing.")
    beside = {**({LABELS: y} if isinstance(y, pd.Series) else {}), **{str(c.name): c for c in aside.values()}}
    table, notes = _without_gaps(x.assign(**beside), origin)
    labels = table[LABELS] if LABELS in beside else y
    return table[list(x.columns)], labels, {use: table[str(c.name)] for use, c in aside.items()}, notes


def _weighed(
    table: pd.DataFrame, index: Sequence[str], rows: RowNumbers, origin: Origin
) -> tuple[pd.DataFrame, NDArray[np.float64] | None, list[str]]:
    """Return the table without the column of weights, the weights, and notes on how they are read."""
    if origin.weight is None:
        return table, None, []
    if origin.weight not in table.columns:
        columns = list(table.columns)
        raise origin.error(f"no column {origin.weight!r} for the weights", near(origin.weight, columns, index))
    if not len(table):
        return table, None, []
    column = table[origin.weight]
    decimal = readings.decimal_mark(table) if row_weights.are_texts(column) else ""
    there = np.all([label_gaps.are_there(table[name]) for name in origin.targets], axis=0)
    weights = _weights(column, rows, there, origin, decimal)
    notes = row_weights.written(column, listed([origin.weight]), decimal, origin.options.marks)
    return table.drop(columns=origin.weight), weights, notes


def _weights(
    values: Any, rows: RowNumbers, there: NDArray[np.bool_], origin: Origin, decimal: str = ""
) -> NDArray[np.float64]:
    """Return the weights; there: a mask of the rows with a label; rows that are left out may have any weight."""
    further = origin.where, decimal, origin.options.marks
    if not origin.options.drop_unlabelled or there.all() or np.shape(values)[:1] != there.shape:
        return row_weights.read(values, rows, *further)
    kept, weights = np.flatnonzero(there), np.zeros(len(there))
    array = values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    if len(kept):
        weights[kept] = row_weights.read(array[kept], rows.take(kept), *further)
    return weights


def _set_aside(
    x: Any, arrays: Mapping[str, Any], index: Sequence[str], origin: Origin
) -> tuple[Any, dict[str, pd.Series[Any]]]:
    """Return features without the columns that are none, and these by what they are for.

    arrays: those beside the features; index: the names of its levels, if the features are a table.
    """
    aside: dict[str, pd.Series[Any]] = {}
    for use, name in origin.aside.items():
        if name in arrays:
            values = features.array(arrays[name], name, origin)
            aside[use] = pd.Series(values.reshape(-1), name=name)
        elif isinstance(x, pd.DataFrame) and name in x.columns:
            aside[use] = x[name].reset_index(drop=True)
        elif isinstance(x, pd.DataFrame) and (not arrays or name in index):
            raise origin.error(f"no column {name!r} for {use}", near(name, list(x.columns), index))
        else:
            raise _no_array(use, name, [*arrays, *(x.columns if isinstance(x, pd.DataFrame) else ())], origin)
    drop = [name for name in dict.fromkeys(origin.aside.values()) if isinstance(x, pd.DataFrame) and name in x.columns]
    return (x.drop(columns=drop) if drop else x), aside


def _no_array(use: str, name: str, names: Sequence[str], origin: Origin) -> DataError:
    """Return the error of a name that is not among those of the arrays and of the columns of x."""
    has = f", which has {listed(names)}" if names else ""
    hint = did_you_mean(name, names) or (
        f'Give an array of that name beside x and y: {{"x": x, "y": y, {name!r}: values}}; with parts one for each, '
        f"{name + '_train'!r} and so on."
    )
    return origin.error(f"{use} = {name!r} names no array of this data{has}", hint)


def _several(columns: pd.DataFrame, origin: Origin) -> tuple[Array, tuple[str, ...]]:
    """Return columns of numbers or booleans as an array `(n, k)`, and their names."""
    numbers = {name: _numbers(columns[name], origin) for name in columns}
    return np.column_stack(list(numbers.values())), tuple(map(str, columns))


def _numbers(column: pd.Series[Any], origin: Origin) -> Array:
    """Return one of several target columns as numbers `(n,)`, NaN where a label is missing; raises `DataError`."""
    column = _truths_as_numbers(column)
    numbers = AsNumbers(numerals.with_marks(origin.options.marks) or Numerals())(column)
    odd = column[np.isnan(numbers) & (texts(column) != MISSING)]
    if not len(odd):
        return numbers
    what = f"target column {column.name!r} holds {example(odd.iloc[0])}"
    if len(odd) == len(column):
        raise origin.error(f"{what}, and several targets are labels of 0 and 1", "Recode it, or give a single target.")
    hint = "Name it in data.na_values and set data.drop_unlabelled = true where it means that there is no label."
    raise origin.error(
        f"{what}: {len(odd):,} of {len(column):,} values {'is' if len(odd) == 1 else 'are'} no number", hint
    )


def _truths_as_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return booleans with gaps among them as 0, 1 and NaN, other columns as they are."""
    is_truth = column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "boolean"
    return column.astype("boolean") if is_truth else column


def from_arrays(
    x: Any, y: Any, weights: Any = None, *, origin: Origin, columns: Sequence[str] = (), names: Iterable[Any] = (),
    beside: Mapping[str, Any] | None = None,
) -> Raw:  # fmt: skip
    """Return raw rows of features, labels and weights (or None) as any arrays; raises `DataError` for bad shapes.

    beside: further arrays by name, among which the study may choose group, time, split and exposure.
    """
    if origin.target is not None:
        raise origin.error(
            f"target = {origin.target!r} names a column of a table, and here the labels are an array of their own"
        )
    if origin.weight is not None:
        what = f"weight = {origin.weight!r} names a column of a table, and here the labels are an array of their own"
        raise origin.error(what, "Give the weights as a third array: (x, y, weights), or a key sample_weight.")
    x, y = foreign.plain(x, origin), foreign.plain(y, origin)
    _check_index(x, y, origin)
    index = [str(name) for name in getattr(getattr(x, "index", None), "names", ()) if name is not None]
    named = x if isinstance(x, pd.DataFrame) else None
    x, aside = _set_aside(x, beside or {}, index, origin)
    parts = features.read(x, columns, origin)
    aside |= metric_columns.copied(parts if named is None else named, beside or {}, origin)
    labels, label_names = _labels(y, origin)
    rows = features.count(parts)
    if rows != len(labels):
        raise origin.error(f"x has {rows:,} rows and y has {len(labels):,}")
    for use, column in aside.items():
        if len(column) != rows:
            raise origin.error(f"x has {rows:,} rows and {column.name}, for {use}, has {len(column):,}")
    notes: list[str] = []
    if origin.options.na_values:
        parts, labels, aside, notes = _arrays_without_gaps(parts, labels, aside, origin)
    if weights is not None and rows:
        notes = [*notes, *row_weights.written(weights, "The weights", asked=origin.options.marks)]
        weights = _weights(weights, RowNumbers.of(rows), label_gaps.are_there(labels), origin)
    return Raw(
        origin.name, parts, labels, label_names or tuple(str(name) for name in names), hashes_names=origin.in_python,
        weights=weights, aside=aside, notes=notes,
        beside=_unused(beside or {}, rows, [str(column.name) for column in aside.values()]),
    )  # fmt: skip


def _unused(arrays: Mapping[str, Any], rows: int, used: Sequence[str]) -> dict[str, pd.Series[Any]]:
    """Return the arrays of one value per row that are neither features, labels nor weights, nor set aside."""
    return {
        name: pd.Series(values, name=name)
        for name, values in arrays.items()
        if isinstance(name, str) and name not in NO_COLUMNS and name not in used
        and isinstance(values, np.ndarray) and values.shape == (rows,) and values.dtype.kind in OF_VALUES
    }  # fmt: skip


def _check_index(x: Any, y: Any, origin: Origin) -> None:
    """Raise `DataError` for rows that the index of the labels has in another order."""
    if not (isinstance(x, (pd.DataFrame, pd.Series)) and isinstance(y, (pd.DataFrame, pd.Series))):
        return
    if len(x) == len(y) and not x.index.equals(y.index) and x.index.is_unique and set(x.index) == set(y.index):
        raise origin.error("x and y have the same index in another order", "Return y.loc[x.index].")


def _labels(y: Any, origin: Origin) -> tuple[pd.Series[Any] | Array, tuple[str, ...]]:
    """Return one label per row as a column, several as an array; and their names, where `y` is a table."""
    if isinstance(y, pd.DataFrame) and len(y.columns) == 1:
        y = y.iloc[:, 0]
    if isinstance(y, (pd.Index, pd.api.extensions.ExtensionArray)):
        y = pd.Series(y)
    if isinstance(y, pd.Series):
        return _inferred(y.reset_index(drop=True), origin), ()
    if isinstance(y, pd.DataFrame) and len(y.columns) > 1:
        return _several(features.table(y, origin), origin)
    array = features.array(y.toarray() if hasattr(y, "toarray") else y, "y", origin)
    if array.dtype.names:
        raise origin.error("y is a structured array", "Give one of its fields, such as y['label'].")
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        return array, ()
    return _inferred(pd.Series(array.reshape(-1)), origin), ()


def _inferred(y: pd.Series[Any], origin: Origin) -> pd.Series[Any]:
    return features.inferred(y.to_frame("y"), origin)["y"]
