"""`Raw`: what a source yields before anything is decided about it, and its making from arrays and tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.weights import read as weights_of
from lossreg.errors import DataError, did_you_mean

Array = NDArray[Any]
Target = str | tuple[str, ...] | None
FEATURE_KEYS = ("x", "X", "data", "features")
LABEL_KEYS = ("y", "Y", "target", "labels")
WEIGHT_KEYS = ("sample_weight", "sample_weights", "weights")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from: the data set's name, the source as the user wrote it, the columns asked for.

    Several target columns are several labels a row; weight is the column of what each row counts.
    """

    name: str
    where: str
    target: Target = None
    weight: str | None = None

    def error(self, what: str, hint: str = "") -> DataError:
        """A `DataError` about this source."""
        return DataError(what, where=self.where, hint=hint)


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Raw rows: `x` a table `(n, columns)` or an array of more than two dimensions, `y` their labels.

    y: a column `(n,)` of any type, or an array of several numbers a row, `(n, k)` or `(n, *space)`;
    names: names of the classes 0, 1, ... or of the k labels when the source gives them; given_test: how many of
    the last rows are a test set that came with the source; weights: `(n,)`, what each row counts, None where
    the source does not say; notes: lines for the user.
    """

    name: str
    x: pd.DataFrame | Array
    y: pd.Series[Any] | Array
    names: tuple[str, ...] = ()
    given_test: int = 0
    weights: NDArray[np.float64] | None = None
    notes: list[str] = field(default_factory=list)

    def digest(self) -> str:
        """A hash of features, labels and weights, the same for the same values on every machine."""
        sha = hashlib.sha256()
        if isinstance(self.x, pd.DataFrame):
            for column in self.x.columns:
                sha.update(str(column).encode() + _hash(self.x[column]))
        else:
            sha.update(_bytes(self.x))
        sha.update(_bytes(self.y) if isinstance(self.y, np.ndarray) else _hash(self.y))
        sha.update(b"" if self.weights is None else b"weights" + _bytes(self.weights))
        return sha.hexdigest()[:16]

    def without(self, drop: Sequence[str], where: str) -> Raw:
        """The same rows without the columns in `drop`; raises `DataError` for one that is not there."""
        if not drop:
            return self
        if not isinstance(self.x, pd.DataFrame):
            raise DataError("drop names columns, and this data has none", where=where)
        columns = list(self.x.columns)
        for name in drop:
            if name not in columns:
                raise DataError(f"no column {name!r} to drop", where=where, hint=_near(name, columns))
        if len(set(drop)) == len(columns):
            raise DataError("drop leaves no column", where=where, hint="Keep at least one to learn from.")
        return replace(self, x=self.x.drop(columns=list(drop)))


def _bytes(array: Array) -> bytes:
    return f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes()


def _hash(column: pd.Series[Any]) -> bytes:
    try:
        values = pd.util.hash_pandas_object(column, index=False)
    except TypeError:
        values = pd.util.hash_pandas_object(column.astype(str), index=False)
    return values.to_numpy().astype("<u8").tobytes()


def _near(name: str, columns: Iterable[str]) -> str:
    return did_you_mean(name, columns) or f"Columns: {listed(columns)}."


def listed(names: Iterable[str], limit: int = 30) -> str:
    """The names, separated by commas, the first `limit` of them."""
    names = list(names)
    more = f", ... ({len(names) - limit} more)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def from_table(table: pd.DataFrame, origin: Origin) -> Raw:
    """Split a table into features, target columns and weights; raises `DataError` when a column is missing."""
    table = _plain(table, origin)
    columns, target = list(table.columns), origin.target
    if target is None:
        raise origin.error("a table needs a target column", f"Set target to one of: {listed(columns)}.")
    targets = [target] if isinstance(target, str) else list(target)
    for name in targets:
        if name not in columns:
            raise origin.error(f"no column {name!r}; it has {listed(columns)}", did_you_mean(name, columns))
    table, weights = _weighed(table, origin)
    if len(table.columns) == len(targets):
        beside = [*targets, *([origin.weight] if origin.weight else [])]
        raise origin.error(f"no columns beside the target {', '.join(map(repr, beside))}")
    y, names = _several(table[targets], origin) if len(targets) > 1 else (table[targets[0]], ())
    return Raw(origin.name, table.drop(columns=targets), y, names, weights=weights)


def _weighed(table: pd.DataFrame, origin: Origin) -> tuple[pd.DataFrame, NDArray[np.float64] | None]:
    """The table without the column of weights, and the weights."""
    if origin.weight is None:
        return table, None
    if origin.weight not in table.columns:
        columns = list(table.columns)
        raise origin.error(f"no column {origin.weight!r} to weigh by", _near(origin.weight, columns))
    if not len(table):
        return table, None
    return table.drop(columns=origin.weight), weights_of(table[origin.weight], len(table), origin.where)


def _several(columns: pd.DataFrame, origin: Origin) -> tuple[Array, tuple[str, ...]]:
    """Columns of numbers or booleans as an array `(n, k)`, and their names."""
    for name in columns:
        if not pd.api.types.is_numeric_dtype(columns[name]):
            odd = columns[name].iloc[0] if len(columns) else ""
            what = f"target column {name!r} holds {odd!r}, and several targets are labels of 0 and 1"
            raise origin.error(what, "Recode it, or give a single target.")
    return columns.to_numpy(np.float64, na_value=np.nan), tuple(map(str, columns))


def _plain(table: pd.DataFrame, origin: Origin) -> pd.DataFrame:
    """The table with string column names, a plain index, and object columns as what they hold."""
    table = table.reset_index(drop=True).infer_objects()
    table.columns = pd.Index([str(column) for column in table.columns])
    twice = list(table.columns[table.columns.duplicated()])
    if twice:
        raise origin.error(f"two columns are called {twice[0]!r}")
    return table


def from_arrays(
    x: Any, y: Any, weights: Any, origin: Origin, *, features: Sequence[str] = (), names: Iterable[Any] = ()
) -> Raw:
    """Raw rows from features, labels and weights (or None) of any array type; raises `DataError` for bad shapes."""
    if origin.target is not None:
        raise origin.error(f"target = {origin.target!r} names a column of a table, and here the labels come apart")
    if origin.weight is not None:
        what = f"weight = {origin.weight!r} names a column of a table, and here the labels come apart"
        raise origin.error(what, "Give the weights as a third array: (x, y, weights), or a key sample_weight.")
    rows = _features(x, features, origin)
    labels, own = _labels(y, origin)
    if len(rows) != len(labels):
        raise origin.error(f"x has {len(rows)} rows and y has {len(labels)}")
    if weights is not None and len(rows):
        weights = weights_of(weights, len(rows), origin.where)
    return Raw(origin.name, rows, labels, own or tuple(str(name) for name in names), weights=weights)


def _features(x: Any, features: Sequence[str], origin: Origin) -> pd.DataFrame | Array:
    if isinstance(x, (pd.DataFrame, pd.Series)):
        return _plain(x if isinstance(x, pd.DataFrame) else x.to_frame(), origin)
    if hasattr(x, "toarray"):
        raise origin.error("x is a sparse matrix", "Return x.toarray() if it fits in memory.")
    array = _array(x, "x", origin)
    if array.ndim > 2:
        if array.dtype.kind not in "buif":
            raise origin.error(f"x of shape {array.shape} holds {array.dtype}, not numbers")
        return array
    array = array.reshape(len(array), -1) if array.size else array.reshape(len(array), max(array.shape[1:], default=1))
    columns = list(features) if len(features) == array.shape[1] else [f"x{i}" for i in range(array.shape[1])]
    return _plain(pd.DataFrame(array, columns=pd.Index(columns)), origin)


def _array(values: Any, what: str, origin: Origin) -> Array:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise origin.error(f"{what} is no array: {error}") from error
    if array.ndim == 0:
        raise origin.error(f"{what} is no array but {type(values).__name__}")
    return array


def _labels(y: Any, origin: Origin) -> tuple[pd.Series[Any] | Array, tuple[str, ...]]:
    """One label a row as a column, several as an array; and their names, where `y` is a table."""
    if isinstance(y, pd.Series):
        return y.reset_index(drop=True).infer_objects(), ()
    if isinstance(y, pd.DataFrame) and len(y.columns) > 1:
        return _several(_plain(y, origin), origin)
    array = _array(y.toarray() if hasattr(y, "toarray") else y, "y", origin)
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        return array, ()
    return pd.Series(array.reshape(-1)).infer_objects(), ()


def joined(train: Raw, test: Raw, origin: Origin) -> Raw:
    """Training rows followed by a given test set; raises `DataError` when their shapes differ."""
    if isinstance(train.x, pd.DataFrame) and isinstance(test.x, pd.DataFrame):
        if list(train.x.columns) != list(test.x.columns):
            raise origin.error("training and test rows have different columns")
        x: pd.DataFrame | Array = pd.concat([train.x, test.x], ignore_index=True)
    elif train.x.shape[1:] != test.x.shape[1:]:
        raise origin.error(f"training rows have shape {train.x.shape[1:]}, test rows {test.x.shape[1:]}")
    else:
        x = np.concatenate([train.x, test.x])
    notes = [*train.notes, "Test rows: the given test set."]
    y, weights = _joined_labels(train.y, test.y, origin), _joined_weights(train, test)
    return replace(train, x=x, y=y, weights=weights, given_test=len(test.y), notes=notes)


def _joined_weights(train: Raw, test: Raw) -> NDArray[np.float64] | None:
    if train.weights is None and test.weights is None:
        return None
    return np.concatenate([np.ones(len(part.y)) if part.weights is None else part.weights for part in (train, test)])


def _joined_labels(train: pd.Series[Any] | Array, test: pd.Series[Any] | Array, origin: Origin) -> Any:
    if isinstance(train, pd.Series) and isinstance(test, pd.Series):
        return pd.concat([train, test], ignore_index=True)
    if train.shape[1:] != test.shape[1:]:
        raise origin.error(f"training labels have shape {train.shape}, test labels {test.shape}")
    return np.concatenate([train, test])


def from_mapping(arrays: Mapping[str, Any], origin: Origin) -> Raw:
    """Raw rows from named arrays: `x, y`, or `x_train, y_train, x_test, y_test`, or a scikit-learn Bunch.

    A dictionary that has the target among its names is a table. Raises `DataError` for others.
    """
    targets = (origin.target,) if isinstance(origin.target, str) else origin.target
    if targets is not None and any(target in arrays for target in targets):
        return from_table(_as_table(arrays, origin), origin)
    train, test = _parts(arrays, "_train"), _parts(arrays, "_test")
    if train and test:
        return joined(from_arrays(*train, origin), from_arrays(*test, origin), origin)
    parts = _parts(arrays, "")
    if parts is None:
        raise origin.error(f"no arrays x and y; it has {listed(arrays)}", "Or x_train, y_train, x_test, y_test.")
    features, names = (arrays.get(key) for key in ("feature_names", "target_names"))
    features = () if features is None else [str(feature) for feature in features]
    return from_arrays(*parts, origin, features=features, names=() if names is None else names)


def _as_table(arrays: Mapping[str, Any], origin: Origin) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(arrays))
    except ValueError as error:
        raise origin.error(f"no table: {error}") from error


def _parts(arrays: Mapping[str, Any], suffix: str) -> tuple[Any, Any, Any] | None:
    """Features, labels, and weights or None; None where features or labels lack."""
    x, y, weights = (
        next((arrays[key + suffix] for key in keys if key + suffix in arrays), None)
        for keys in (FEATURE_KEYS, LABEL_KEYS, WEIGHT_KEYS)
    )
    return None if x is None or y is None else (x, y, weights)


def from_object(value: Any, origin: Origin) -> Raw:
    """Raw rows from what a user's function returned; raises `DataError` for anything else.

    Taken are `(x, y)`, `((x_train, y_train), (x_test, y_test))`, where weights may stand third, a dictionary of
    arrays, a scikit-learn Bunch, and a DataFrame with a target column.
    """
    match value:
        case pd.DataFrame():
            return from_table(value, origin)
        case Mapping():
            return from_mapping(value, origin)
        case (tuple((_, _) | (_, _, _)) as train, tuple((_, _) | (_, _, _)) as test):
            return joined(_from_tuple(train, origin), _from_tuple(test, origin), origin)
        case (_, _) | (_, _, _):
            return _from_tuple(value, origin)
    hint = "Return (x, y), (x, y, weights), a dictionary of arrays or a DataFrame."
    raise origin.error(f"returned {type(value).__name__}, which is no data", hint)


def _from_tuple(parts: Sequence[Any], origin: Origin) -> Raw:
    x, y, weights = parts if len(parts) == 3 else (*parts, None)
    return from_arrays(x, y, weights, origin)
