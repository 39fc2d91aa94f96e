"""From raw rows to float32 arrays, with statistics of the training rows only."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from lossreg.contract.data_options import Options
from lossreg.data import new_forms, new_rows, pixels
from lossreg.data.cells import of_rows
from lossreg.data.columns import MISSING, texts
from lossreg.data.conversions import AsDays, AsNumbers
from lossreg.data.fitted_steps import FittedSteps
from lossreg.data.free_text import TextEncoder
from lossreg.data.image_files import ImageReader
from lossreg.data.lost import FAR, INFINITE, NO_NUMBER, Lost, grouped
from lossreg.data.new_forms import AS_TRAINED, Forms
from lossreg.data.numerals import Numerals
from lossreg.data.origin import listed
from lossreg.data.reading import FEW_TEXTS, Reading
from lossreg.data.readings import Readings
from lossreg.data.scaling import Limits, Scaler, Units, unit
from lossreg.data.translation import Translation
from lossreg.errors import DataError, count_of, is_hashable

Float32 = NDArray[np.float32]
MAX_CATEGORIES = 128
NO_FEATURES = ("empty", "nested", "id")
EXACT = 2**24
PART = 4096  # rows that are encoded at a time, since float64 is twice as large
LIBRARIES = (__name__.partition(".")[0], "sklearn", "mlflow")
HIGH = 1e4  # how many deviations the mean may be from 0 before float32 rounds what is left of a value
KEPT = 'preprocess = "none" takes numbers as they are, in float32'
REMEDY = 'Fill and encode them yourself, drop the column, or leave preprocess at "standard".'


class Counted(NamedTuple):
    """Preprocessed rows, and which raw values were taken as missing."""

    array: Any
    lost: Lost


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Decisions about a table's columns before any statistic is taken, shared by all folds.

    readings: how each is read; groups: the names of each kind; categories: sorted, one array per categorical
    column, which fix its one-hot width; notes: lines for the user.
    """

    readings: Readings
    groups: dict[str, list[str]]
    categories: list[NDArray[Any]]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, rows: pd.DataFrame, readings: Readings | None = None) -> Columns:
        """Decide about the columns of these rows, read as `readings` say; raises `DataError` when none is usable."""
        readings = Readings.of(rows) if readings is None else readings
        table, _ = readings.apply(rows)
        kinds = {name: _kind(table[name], reading) for name, reading in readings.items()}
        groups = {kind: [n for n, k in kinds.items() if k == kind] for kind in dict.fromkeys(kinds.values())}
        if not groups.keys() & STEPS:
            raise DataError(f"no usable column among {listed(readings)}")
        categories = [np.unique(texts(table[name])) for name in groups.get("category", ())]
        return cls(readings, groups, categories, tuple(_notes(table, groups)))

    def steps(self) -> list[tuple[str, Any, list[str]]]:
        """Return the steps of a `ColumnTransformer`, to be fitted on training rows."""
        return [(kind, STEPS[kind](self.categories), names) for kind, names in self.groups.items() if kind in STEPS]


def left_out(rows: pd.DataFrame, options: Options | None = None) -> list[str]:
    """Return the columns that are no features if these are the training rows; raises `DataError`."""
    suspects = [name for name in rows.columns if _may_be_left_out(rows[name])]
    if not suspects:
        return []
    readings = Readings.of(rows[suspects], options)
    table, _ = readings.apply(rows[suspects])
    return [name for name in suspects if _kind(table[name], readings[name]) in NO_FEATURES]


def _may_be_left_out(column: pd.Series[Any]) -> bool:
    """Return whether a column of texts or objects may be left out; the others are not read for it."""
    values = column.dropna()
    if values.dtype != object and not isinstance(values.dtype, pd.StringDtype):
        return False
    is_text = isinstance(values.dtype, pd.StringDtype)
    if not (is_text or all(map(is_hashable, values))) or values.nunique() == len(values):
        return True
    return not any(str(value).strip() for value in values)


def _notes(table: pd.DataFrame, groups: dict[str, list[str]]) -> Iterator[str]:
    reasons = {
        "empty": "left out, because no training row has a value",
        "nested": "left out, because the values are lists",
        "id": "left out, because the text differs in every training row",
    }
    yield from (f"{listed(groups[kind])}: {text}." for kind, text in reasons.items() if kind in groups)
    counts = {name: table[name].nunique() for name in groups.get("category", ())}
    many = {name: f"{count:,} categories" for name, count in counts.items() if count > MAX_CATEGORIES}
    yield from (f"{line[:-1]}, the rarest put together." for line in grouped(many))
    numbers = [name for kind in ("number", "date") for name in groups.get(kind, ())]
    values = table[numbers].to_numpy(np.float64)
    if constant := [name for name, same in zip(numbers, (values == values[:1]).all(axis=0), strict=True) if same]:
        yield f"{listed(constant)}: the same value in every training row, 0 after preprocessing."


class Seen(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One-hot columns, those that no training row has made 0, as for an unknown category, and those that all have 1."""

    always_: Any = False  # of those that 0.2.0 saved

    def fit(self, rows: Any, y: Any = None) -> Self:
        """Learn which columns of `(n, width)` hold anything, and which nothing else."""
        self.seen_, self.always_, self.n_features_in_ = rows.any(axis=0), rows.all(axis=0), rows.shape[1]
        return self

    def transform(self, rows: Any) -> Float32:
        """Return the same columns, the unseen ones 0 and the constant ones 1."""
        kept: Float32 = np.maximum(rows * self.seen_, self.always_).astype(np.float32)
        return kept


class Transformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns raw rows into float32; subclasses say how in `counted`.

    options: what the study says about reading; classes: names of the classes that a model predicts from these rows.
    """

    classes: tuple[str, ...] = ()
    images_: ImageReader | None = None  # how image files are read, where the training rows were such

    def __init__(self, options: Options | None = None) -> None:
        self.options = options

    def transform(self, rows: Any) -> Float32:
        """Return new rows as float32 `(n, *shape)`.

        rows: a DataFrame (by column name), an array (by position), or the path of a .csv, .tsv or .parquet file, which
        is read as the training rows were. Where these were image files, an array, an image file, a list of files or
        a folder, in the order of the paths in it. Warns of values taken as missing, of unknown categories and of
        guesses, counted by column. Raises `DataError`.
        """
        array: Float32 = warned(self.counted(rows))
        return array

    def counted(self, rows: Any, forms: Forms | None = None) -> Counted:
        """Return the same array, and the lost values in place of a warning.

        forms: those of numbers and dates; without them the rows decide.
        """
        raise NotImplementedError


class TablePreprocessor(Transformer):
    """Turns raw rows of a table `(n, columns)` into a float32 array `(n, width)`.

    Numbers are standardised; missing, infinite and far too large values become the median first. Dates (years 1 to
    9999) become days since 1970, then numbers; so do durations and ordered categories. Text that holds numbers or
    dates is read as such. Other text, categories and booleans become one-hot columns, at most 128 each, with the
    rarest categories merged; missing is a category. Free text, of several words that mostly differ, becomes 30
    columns (`TextCode`). Columns without a value or of lists, and other text that differs in every row, are left
    out. `notes` has a line on anything beyond that.
    """

    def fit(self, rows: Any, y: Any = None, *, columns: Columns | None = None) -> Self:
        """Learn statistics from a DataFrame of training rows, and decide about its columns if `columns` is not given.

        Raises `DataError` if no column is usable.
        """
        columns = columns or Columns.of(rows)
        self.features_, self.readings_ = list(columns.readings), columns.readings
        self.groups_, self.notes = columns.groups, list(columns.notes)
        table, _ = self.readings_.apply(rows)
        numbers = [name for kind in ("number", "date") for name in columns.groups.get(kind, ())]
        self.terms_ = Translation.of(rows, table, self.readings_, columns.groups.get("category", ()))
        self.limits_ = {name: Limits.of(table[name].to_numpy(np.float64)) for name in numbers}
        steps = ColumnTransformer(columns.steps(), sparse_threshold=0, verbose_feature_names_out=False)
        with of_rows():
            self.transformer_ = steps.fit(self._limited(table, Lost()))
        return self

    def counted(self, rows: Any, forms: Forms | None = None) -> Counted:
        """Return the same array, and the lost values in place of a warning."""
        lost = Lost()
        table = new_rows.table(rows, self.form(), lost)
        lost.values = {"": len(table)}
        if not len(table):
            return Counted(np.empty((0, len(self.get_feature_names_out())), np.float32), lost)
        if hasattr(self, "readings_"):  # those saved by 0.1.0 read in their own steps
            table, lost = self._read(table, lost, forms)
        with np.errstate(over="ignore"), of_rows():
            array = _by_parts(self.transformer_.transform, table)
        return Counted(_finite(array, self.get_feature_names_out, lost), lost)

    def levels(self, rows: pd.DataFrame) -> bool:
        """Return whether a column with one value in all training rows is made that in these, which hold others."""
        steps = FittedSteps.of(self.transformer_, self.groups_)
        if not steps.has_constant:
            return False
        return steps.levels(self._read(new_rows.table(rows, self.form(), Lost()), Lost(), AS_TRAINED)[0])

    def with_gaps(self, rows: pd.DataFrame) -> set[str]:
        """Return the columns that lack a value in some of these rows, or have one that is taken as missing."""
        table, _ = self._read(new_rows.table(rows, self.form(), Lost()), Lost(), AS_TRAINED)
        are_numbers = self.limits_.keys()
        return {
            str(name)
            for name, column in table.items()
            if (column.isna() if name in are_numbers else texts(column) == MISSING).any()
        }

    def form(self) -> new_rows.Form:
        """Return the form of the rows of training."""
        options, written = getattr(self, "options", None), self._numerals()
        return new_rows.Form(self.features_, self._left_out(), self._as_text(), options, written)

    def _left_out(self) -> list[str]:
        """Return the columns that training left out, which new rows need not have."""
        return [name for kind, names in self.groups_.items() if kind not in STEPS for name in names]

    def _as_text(self) -> list[str]:
        """Return the columns that are read as text from a file: those that training did not read as plain numbers."""
        readings = getattr(self, "readings_", None)
        if readings is None:  # saved by 0.1.0
            return [name for kind, names in self.groups_.items() if kind != "number" for name in names]
        return [name for name, reading in readings.items() if reading.kind != "number" or reading.mark]

    def _numerals(self) -> dict[str, Numerals]:
        """Return how the columns of numbers write these."""
        ways = {name: reading.read for name, reading in getattr(self, "readings_", {}).items()}
        return {name: way.numerals for name, way in ways.items() if isinstance(way, AsNumbers)}

    def _read(self, table: pd.DataFrame, before: Lost, forms: Forms | None) -> tuple[pd.DataFrame, Lost]:
        """Return the new rows in the terms of the training rows, and the lost or guessed values with those `before`."""
        table = self.terms_.before(table)
        forms = new_forms.of(table, self.readings_, getattr(self, "options", None)) if forms is None else forms
        read, lost = Readings({**self.readings_, **forms.readings}).apply(table)
        lost.notes, lost.counts = [*before.notes, *forms.notes], before.counts | lost.counts
        return self.terms_.after(table, self._limited(read, lost), lost, forms.readings), lost

    def _limited(self, table: pd.DataFrame, lost: Lost) -> pd.DataFrame:
        """Return the table with far too large numbers as missing, which are counted."""
        low, high = np.array(list(self.limits_.values()), np.float64).reshape(-1, 2).T
        far = Limits(low, high).outside(table[list(self.limits_)].to_numpy(np.float64))
        for i in np.flatnonzero(far.any(axis=0)):
            name = list(self.limits_)[i]
            lost.add(name, FAR, table[name], far[:, i])
            table[name] = table[name].mask(far[:, i])
        gaps = table[list(self.limits_)].isna().sum()
        lost.filled.update({str(name): int(count) for name, count in gaps.items() if count})
        return table

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns of the array."""
        names: NDArray[Any] = self.transformer_.get_feature_names_out()
        return names


def _by_parts(transform: Callable[[pd.DataFrame], NDArray[Any]], table: pd.DataFrame) -> Float32:
    """Return the output of a step for a table of at least one row, as float32, computed `PART` rows at a time."""
    first = transform(table.iloc[:PART])
    array = np.empty((len(table), first.shape[1]), np.float32)
    array[: len(first)] = first
    for begin in range(PART, len(table), PART):
        array[begin : begin + PART] = transform(table.iloc[begin : begin + PART])
    return array


def warned(counted: Counted, *, gaps: bool = False) -> Any:
    """Return the array; warns of lost values at the line that called lossreg, also through scikit-learn.

    gaps: it warns of filled gaps too.
    """
    if lines := counted.lost.lines_with_fills() if gaps else counted.lost.lines():
        warnings.warn("\n".join(lines), stacklevel=_outside())
    return counted.array


def _outside() -> int:
    """Return the stack level, for a warning of the function that calls this one, of the caller's code."""
    frame, level = inspect.currentframe(), 0
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in LIBRARIES:
        frame, level = frame.f_back, level + 1
    return level


def _finite(array: Float32, names: Callable[[], NDArray[Any]], lost: Lost) -> Float32:
    """Return the array with 0 in place of values that are not finite, which are counted by column."""
    odd = ~np.isfinite(array)
    for i in np.flatnonzero(odd.any(axis=0)):
        lost.add(str(names()[i]), FAR, array[:, i], odd[:, i])
    array[odd] = 0
    return array


class ImagePreprocessor(Transformer):
    """Turns raw arrays `(n, *shape)` into float32, standardised with one mean and deviation of all training values.

    Values that are not finite, or far too large for the training values, become 0, the mean.
    """

    def fit(self, rows: NDArray[Any], y: Any = None) -> Self:
        """Learn mean and standard deviation from training rows."""
        self.notes: list[str] = []
        self.shape_ = rows.shape[1:]
        self.limits_ = Limits.of(_sample(rows))
        usable = self._usable(rows)
        kept = rows if usable is None or usable.all() else rows[usable]
        if kept.size and kept.min() == kept.max():
            self.mean_, self.scale_ = float(kept.flat[0]), 1.0
            self.notes.append("x: the same value in every training row, 0 after preprocessing.")
            return self
        size = unit(kept)
        kept = kept if size == 1 else kept / size
        self.mean_ = float(kept.mean(dtype=np.float64)) * size if kept.size else 0.0
        self.scale_ = float(kept.std(dtype=np.float64)) * size or 1.0 if kept.size else 1.0
        self.notes += pixels.scaling(rows, self.mean_, self.scale_)
        return self

    def counted(self, rows: Any, forms: Forms | None = None) -> Counted:
        """Return the same array, and the lost values in place of a warning."""
        array = new_rows.array(rows, self.images_)
        lost = Lost(array.size)
        if array.shape[1:] != self.shape_:
            raise DataError(f"rows have shape {array.shape[1:]}, and {self.shape_} is needed")
        if array.dtype.kind not in "buif":
            raise DataError(f"rows hold {array.dtype}, and numbers are needed")
        scaled = self._scaled(array)
        odd = ~np.isfinite(scaled)
        if (usable := self._usable(array)) is not None:
            odd |= ~usable
        if odd.any():
            lost.add("", NO_NUMBER, array[odd], np.isnan(array[odd]))
            lost.add("", INFINITE, array[odd], np.isinf(array[odd]))
            lost.add("", FAR, array[odd], np.isfinite(array[odd]))
            scaled[odd] = 0
        return Counted(scaled, lost)

    def _usable(self, array: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return a mask of the values that are finite and in proportion; None where every value is, as bytes are."""
        if array.dtype.kind == "b" or (array.dtype.kind in "ui" and array.itemsize < 4) or not hasattr(self, "limits_"):
            return None
        usable: NDArray[np.bool_] = np.isfinite(array) & ~self.limits_.outside(array)
        return usable

    def _scaled(self, array: NDArray[Any]) -> Float32:
        with np.errstate(over="ignore", invalid="ignore"):
            if max(abs(self.mean_), self.scale_) > HIGH * min(self.scale_, HIGH):  # float32 would round what matters
                exact: Float32 = ((array.astype(np.float64) - self.mean_) / self.scale_).astype(np.float32)
                return exact
            scaled: Float32 = array.astype(np.float32)
            scaled -= np.float32(self.mean_)
            scaled /= np.float32(self.scale_)
            return scaled


def _sample(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return up to about a million values of an array, evenly spread."""
    flat = rows.reshape(-1)
    return flat[:: max(1, flat.size // 1_000_000)].astype(np.float64)


class AsGiven(Transformer):
    """Converts raw rows to float32 only: complete tables of numbers `(n, columns)`, arrays `(n, *shape)`.

    Missing values, other types and numbers beyond float32 are refused.
    features_: the columns of a table, empty for an array; shape_: the shape of one sample.
    """

    def fit(self, rows: Any, y: Any = None) -> Self:
        """Learn columns or shape; raises `DataError` for values that are not numbers."""
        self.features_ = [str(column) for column in rows.columns] if isinstance(rows, pd.DataFrame) else []
        self.shape_, self.notes = tuple(rows.shape[1:]), list[str]()
        values = self._numbers(rows, Lost())
        if np.abs(self._given(values)).max(initial=0) >= EXACT and _has_large_whole(values):
            self.notes.append(f"Whole numbers above {EXACT:,} are rounded: float32 does not hold them all.")
        self.notes += pixels.as_given(rows)
        return self

    def counted(self, rows: Any, forms: Forms | None = None) -> Counted:
        """Return the same values as float32, with notes on lines of a file; no value is lost."""
        lost = Lost()
        given = self._given(self._numbers(rows, lost))
        lost.values = {"": len(given)}
        return Counted(given, lost)

    def form(self) -> new_rows.Form:
        """Return the form of the rows of a table in training."""
        return new_rows.Form(self.features_, options=getattr(self, "options", None))

    def _given(self, values: NDArray[Any]) -> Float32:
        with np.errstate(over="ignore"):
            given = np.ascontiguousarray(values, dtype=np.float32)
        for held, what in ((values, "missing or infinite"), (given, f"above {np.finfo(np.float32).max:.1e} in size")):
            if held.dtype.kind == "f" and not np.isfinite(held).all():
                lost = int((~np.isfinite(held)).sum())
                raise DataError(
                    f"{count_of(lost, 'value is', 'values are')} {what}{self._first(held)}, and {KEPT}",
                    hint=REMEDY,
                )
        return given

    def _numbers(self, rows: Any, lost: Lost) -> NDArray[Any]:
        if self.features_:
            table = new_rows.table(rows, self.form(), lost)
            for name in self.features_:
                if len(table) and not pd.api.types.is_numeric_dtype(table[name]):
                    values = table[name].dropna()
                    odd = repr(values.iloc[0]) if len(values) else "no value"
                    raise DataError(f"column {name} holds {odd}, and {KEPT}", hint=REMEDY)
            return table.to_numpy(np.float64, na_value=np.nan)
        array = new_rows.array(rows, self.images_)
        if array.shape[1:] != self.shape_:
            raise DataError(f"rows have shape {array.shape[1:]}, and {self.shape_} is needed")
        return array

    def _first(self, values: NDArray[Any]) -> str:
        """Return text that names the first column with a value that is not finite; empty for arrays."""
        if not self.features_:
            return ""
        return f", the first in column {self.features_[int(np.argwhere(~np.isfinite(values))[0, 1])]}"


def _has_large_whole(values: NDArray[Any]) -> bool:
    """Return whether a column of rows `(n, *shape)` holds whole numbers alone, at least one above `EXACT`."""
    rows = values.reshape(len(values), -1)
    large = np.abs(rows).max(axis=0, initial=0) > EXACT
    return bool((rows[:, large] == np.trunc(rows[:, large])).all(axis=0).any())


def _kind(column: pd.Series[Any], reading: Reading) -> str:
    """Return how a column of training rows is treated: number, date, category, text, empty, nested or id."""
    values, kind = column.dropna(), reading.kind
    if values.empty:
        return "empty"
    if kind != "category" or reading.asked:
        return kind
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return kind
    if len(values) <= FEW_TEXTS or values.nunique() < len(values):
        return "category"
    return "id" if len(set(texts(values))) == len(values) else "category"


def _numbers(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the numbers of a table, as the preprocessors that 0.1.0 saved read them."""
    if not all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes):
        table = table.apply(pd.to_numeric, errors="coerce")
    values = table.to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isinf(values), np.nan, values)


def _days(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the dates of a table as days, for the preprocessors that 0.1.0 saved."""
    return np.column_stack([AsDays()(table[name]) for name in table.columns])


def _texts(table: pd.DataFrame) -> NDArray[Any]:
    """Return the texts of a table with their surrounding spaces, for the preprocessors that 0.1.0 saved."""
    values = table.astype(object).to_numpy()
    return np.where(table.isna(), MISSING, np.vectorize(str, otypes=[object])(values))


def _categories(table: pd.DataFrame) -> NDArray[Any]:
    return np.column_stack([texts(table[name]) for name in table.columns])


def _scaled(categories: Any) -> Pipeline:
    return make_pipeline(Units(), SimpleImputer(strategy="median", keep_empty_features=True), Scaler())


def _onehot(categories: Any) -> Pipeline:
    """Return a one-hot encoder; the rows it is fitted on decide which categories are frequent, not its width."""
    reader = FunctionTransformer(_categories, feature_names_out="one-to-one")
    encoder = OneHotEncoder(
        categories=categories, handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES,
        sparse_output=False, dtype=np.float32,
    )  # fmt: skip
    return make_pipeline(reader, encoder, Seen())


def _encoded(categories: Any) -> TextEncoder:
    return TextEncoder()


STEPS: dict[str, Callable[[Any], Any]] = {"number": _scaled, "date": _scaled, "category": _onehot, "text": _encoded}
