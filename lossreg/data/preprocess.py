"""From raw rows to float32 arrays, with statistics of the training rows only."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from lossreg.data.origin import listed
from lossreg.errors import DataError

Float32 = NDArray[np.float32]
MAX_CATEGORIES = 32
MISSING = "(missing)"
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
NUMBERS = ("integer", "floating", "decimal", "mixed-integer-float")
DATES = ("datetime64", "datetime", "date")
DAY = 86_400e9
EXACT = 2**24
KEPT = 'preprocess = "none" takes numbers as they are, in float32'
MEND = 'Fill and encode them yourself, drop the column, or leave preprocess at "standard".'


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What is decided about a table's columns before any statistic is taken, once for all folds.

    features: their names; groups: the names of each kind; categories: those of each column of categories,
    sorted, which fix how many columns it becomes; notes: lines for the user.
    """

    features: tuple[str, ...]
    groups: dict[str, list[str]]
    categories: list[NDArray[Any]]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Columns:
        """What these rows suggest; raises `DataError` when no column is usable."""
        features = tuple(str(column) for column in rows.columns)
        kinds = {name: _kind(rows[name]) for name in features}
        groups = {kind: [n for n, k in kinds.items() if k == kind] for kind in dict.fromkeys(kinds.values())}
        if not groups.keys() & STEPS:
            raise DataError(f"no usable column among {listed(features)}")
        categories = [np.unique(_texts_of(rows[name])) for name in groups.get("category", ())]
        return cls(features, groups, categories, tuple(_notes(rows, groups)))

    def steps(self) -> list[tuple[str, Any, list[str]]]:
        """The steps of a `ColumnTransformer`, to be fitted on training rows."""
        return [(kind, STEPS[kind](self.categories), names) for kind, names in self.groups.items() if kind in STEPS]


def _notes(rows: pd.DataFrame, groups: dict[str, list[str]]) -> Iterator[str]:
    said = {
        "empty": "left out, for every training row lacks a value",
        "nested": "left out, for the values are lists",
        "id": "left out, for the text differs in every training row",
        "date": "dates, read as days since 1970",
    }
    yield from (f"{listed(groups[kind])}: {text}." for kind, text in said.items() if kind in groups)
    for name in groups.get("category", ()):
        if rows[name].nunique() > MAX_CATEGORIES:
            yield f"{name}: {rows[name].nunique()} categories, the rarest put together."
    infinite = [name for name in groups.get("number", ()) if rows[name].isin([np.inf, -np.inf]).any()]
    if infinite:
        yield f"{listed(infinite)}: infinite values, taken as missing."


class Seen(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One-hot columns, those that no training row has made 0, as for an unknown category."""

    def fit(self, rows: Any, y: Any = None) -> Self:
        """Learn which columns of `(n, width)` hold anything."""
        self.seen_, self.n_features_in_ = rows.any(axis=0), rows.shape[1]
        return self

    def transform(self, rows: Any) -> Float32:
        """The same columns, the unseen ones 0."""
        kept: Float32 = rows * self.seen_
        return kept


class TablePreprocessor(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Raw rows of a table `(n, columns)` to a float32 array `(n, width)`.

    Numbers: missing and infinite values become the median, then standardised. Dates: days
    since 1970, then as numbers. Text, categories and booleans: one-hot, at most 32 columns
    each, the rarest together; missing is a category. Columns without a value or of lists, and text
    that differs in every row, are left out. `notes` says what was done beyond that.
    """

    def fit(self, rows: Any, y: Any = None, *, columns: Columns | None = None) -> Self:
        """Learn statistics from a DataFrame of training rows, and columns too where they are not settled yet.

        Raises `DataError` if no column is usable.
        """
        columns = columns or Columns.of(rows)
        self.features_, self.groups_, self.notes = list(columns.features), columns.groups, list(columns.notes)
        self.transformer_ = ColumnTransformer(columns.steps(), sparse_threshold=0, verbose_feature_names_out=False).fit(
            rows
        )
        return self

    def transform(self, rows: Any) -> Float32:
        """Float32 `(n, width)` of a DataFrame (by column name) or an array (by position); raises `DataError`."""
        return np.ascontiguousarray(self.transformer_.transform(_table(rows, self.features_)), dtype=np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns of the array."""
        names: NDArray[Any] = self.transformer_.get_feature_names_out()
        return names


def _table(rows: Any, features: Sequence[str]) -> pd.DataFrame:
    """The columns `features` of a DataFrame (by name) or an array (by position); raises `DataError`."""
    if isinstance(rows, pd.DataFrame):
        table = rows.rename(columns=str)
        missing = [name for name in features if name not in table.columns]
        if missing:
            raise DataError(f"columns are missing: {listed(missing)}")
        return table[list(features)]
    array = np.asarray(rows)
    if array.ndim != 2 or array.shape[1] != len(features):
        raise DataError(f"rows have shape {array.shape}, and (n, {len(features)}) is needed")
    return pd.DataFrame(array, columns=pd.Index(features)).infer_objects()


class ImagePreprocessor(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Raw arrays `(n, *shape)` to float32, with one mean and one deviation over all training values.

    Values that are not finite become 0, the mean.
    """

    def fit(self, rows: NDArray[Any], y: Any = None) -> Self:
        """Learn mean and standard deviation from training rows."""
        finite = rows[np.isfinite(rows)] if rows.dtype.kind == "f" else rows
        self.notes: list[str] = ["x: values that are not finite, taken as the mean."] if finite.size < rows.size else []
        self.shape_ = rows.shape[1:]
        self.mean_ = float(finite.mean(dtype=np.float64)) if finite.size else 0.0
        self.scale_ = float(finite.std(dtype=np.float64)) or 1.0 if finite.size else 1.0
        return self

    def transform(self, rows: Any) -> Float32:
        """Float32 `(n, *shape)`; raises `DataError` for another shape."""
        array = np.asarray(rows)
        if array.shape[1:] != self.shape_:
            raise DataError(f"rows have shape {array.shape[1:]}, and {self.shape_} is needed")
        scaled: Float32 = array.astype(np.float32)
        scaled -= np.float32(self.mean_)
        scaled /= np.float32(self.scale_)
        scaled[~np.isfinite(scaled)] = 0
        return scaled


class AsGiven(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Raw rows to float32 and nothing else: tables of numbers without gaps `(n, columns)`, arrays `(n, *shape)`.

    features_: the columns of a table, empty for an array; shape_: the shape of a row.
    """

    def fit(self, rows: Any, y: Any = None) -> Self:
        """Learn columns or shape; raises `DataError` for what is no number."""
        self.features_ = [str(column) for column in rows.columns] if isinstance(rows, pd.DataFrame) else []
        self.shape_, self.notes = tuple(rows.shape[1:]), list[str]()
        if np.abs(self.transform(rows)).max(initial=0) >= EXACT and _has_large_whole(self._numbers(rows)):
            self.notes.append(f"Whole numbers above {EXACT:,} are rounded: float32 does not hold them all.")
        return self

    def transform(self, rows: Any) -> Float32:
        """The same values as float32.

        Raises `DataError` for other columns or shapes, gaps, what is no number and what float32 does not reach.
        """
        values = self._numbers(rows)
        with np.errstate(over="ignore"):
            given = np.ascontiguousarray(values, dtype=np.float32)
        for held, what in ((values, "missing or infinite"), (given, f"above {np.finfo(np.float32).max:.1e} in size")):
            if held.dtype.kind == "f" and not np.isfinite(held).all():
                lost = int((~np.isfinite(held)).sum())
                raise DataError(f"{lost} values are {what}{self._first(held)}, and {KEPT}", hint=MEND)
        return given

    def _numbers(self, rows: Any) -> NDArray[Any]:
        if self.features_:
            table = _table(rows, self.features_)
            for name in self.features_:
                if not pd.api.types.is_numeric_dtype(table[name]):
                    values = table[name].dropna()
                    odd = repr(values.iloc[0]) if len(values) else "no value"
                    raise DataError(f"column {name} holds {odd}, and {KEPT}", hint=MEND)
            return table.to_numpy(np.float64, na_value=np.nan)
        array = np.asarray(rows)
        if array.shape[1:] != self.shape_:
            raise DataError(f"rows have shape {array.shape[1:]}, and {self.shape_} is needed")
        return array

    def _first(self, values: NDArray[Any]) -> str:
        """Which column has the first of them."""
        if not self.features_:
            return ""
        return f", the first in column {self.features_[int(np.argwhere(~np.isfinite(values))[0, 1])]}"


def _has_large_whole(values: NDArray[Any]) -> bool:
    """Whether a column of a table, or of an array `(n, *shape)` a place, holds whole numbers alone, and one large."""
    rows = values.reshape(len(values), -1)
    large = np.abs(rows).max(axis=0, initial=0) > EXACT
    return bool((rows[:, large] == np.trunc(rows[:, large])).all(axis=0).any())


def _kind(column: pd.Series[Any]) -> str:
    """number, date, category, empty, nested or id: how a column of training rows is treated."""
    values = column.dropna()
    if values.empty:
        return "empty"
    if values.dtype == object and not all(isinstance(value, Hashable) for value in values):
        return "nested"
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if inferred in DATES or (inferred == "string" and _looks_like_dates(values)):
        return "date"
    if inferred in NUMBERS:
        return "number"
    distinct = values.astype(str).nunique()
    return "id" if inferred == "string" and distinct == len(values) > MAX_CATEGORIES else "category"


def _looks_like_dates(values: pd.Series[Any], sample: int = 20) -> bool:
    return all(ISO_DATE.fullmatch(str(value)) for value in values.head(sample))


def _numbers(table: pd.DataFrame) -> NDArray[np.float64]:
    if not all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes):
        table = table.apply(pd.to_numeric, errors="coerce")
    values = table.to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isinf(values), np.nan, values)


def _days(table: pd.DataFrame) -> NDArray[np.float64]:
    return np.column_stack([_days_of(table[name]) for name in table.columns])


def _days_of(column: pd.Series[Any]) -> NDArray[np.float64]:
    stamps = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601" if _is_text(column) else None)
    nanoseconds = stamps.dt.as_unit("ns").astype("int64").to_numpy(np.float64)
    return np.where(stamps.isna(), np.nan, nanoseconds / DAY)


def _is_text(column: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) == "string"


def _texts(table: pd.DataFrame) -> NDArray[Any]:
    return np.column_stack([_texts_of(table[name]) for name in table.columns])


def _texts_of(column: pd.Series[Any]) -> NDArray[Any]:
    return np.array([MISSING if missing else str(v) for v, missing in zip(column, column.isna(), strict=True)], object)


def _scaled(read: Callable[[pd.DataFrame], NDArray[Any]]) -> Callable[[Any], Pipeline]:
    def steps(categories: Any) -> Pipeline:
        reader = FunctionTransformer(read, feature_names_out="one-to-one")
        return make_pipeline(reader, SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())

    return steps


def _onehot(categories: Any) -> Pipeline:
    """Which categories are frequent follows from the rows that it is fitted on, the number of columns does not."""
    reader = FunctionTransformer(_texts, feature_names_out="one-to-one")
    encoder = OneHotEncoder(
        categories=categories, handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES,
        sparse_output=False, dtype=np.float32,
    )  # fmt: skip
    return make_pipeline(reader, encoder, Seen())


STEPS: dict[str, Callable[[Any], Pipeline]] = {"number": _scaled(_numbers), "date": _scaled(_days), "category": _onehot}
