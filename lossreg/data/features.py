"""Features of rows: a table `(n, columns)`, an array of more than two dimensions, or several of these by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import foreign
from lossreg.data.cells import COMPLEX, of_column, shown
from lossreg.data.origin import Origin, listed
from lossreg.errors import DataError, one_line

Array = NDArray[Any]
Part = pd.DataFrame | Array
Features = Part | dict[str, Part]


def parts(x: Features) -> Mapping[str, Part]:
    """Return the inputs by name; "" names a single one."""
    return x if isinstance(x, dict) else {"": x}


def read(x: Any, columns: Sequence[str], origin: Origin) -> Features:
    """Return features from an array, a table, or a mapping of them by input; raises `DataError` for anything else.

    columns: column names for a plain array of two dimensions.
    """
    if not isinstance(x, Mapping):
        return _one(x, "x", columns, origin)
    if not x:
        raise origin.error("x has no inputs")
    if odd := [name for name in x if not isinstance(name, str) or not name or "/" in name]:
        raise origin.error(f"{odd[0]!r} names no input of a model", "Names are texts without a slash.")
    parts = {name: _one(part, f"x.{name}", (), origin) for name, part in x.items()}
    rows = {name: len(part) for name, part in parts.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {count:,}" for name, count in rows.items())
        raise origin.error(f"the inputs have different numbers of rows: {counts}")
    return parts


def _one(x: Any, name: str, columns: Sequence[str], origin: Origin) -> Part:
    x = foreign.plain(x, origin)
    if isinstance(x, (pd.DataFrame, pd.Series)):
        return table(x if isinstance(x, pd.DataFrame) else x.to_frame(), origin)
    if hasattr(x, "toarray"):
        raise origin.error(f"{name} is a sparse matrix", f"Return {name}.toarray() if it fits in memory.")
    values = array(x, name, origin)
    if values.dtype.names:
        return table(_records(values, name, origin), origin)
    if values.dtype.kind == "c":
        raise origin.error(f"{name} holds complex numbers", COMPLEX)
    if values.ndim > 2:
        if values.dtype.kind not in "buif":
            raise origin.error(f"{name} of shape {values.shape} holds {values.dtype}, not numbers")
        return values
    values = values.reshape(len(values), -1 if values.size else max(values.shape[1:], default=1))
    width = values.shape[1]
    names = list(columns) if len(columns) == width else [f"x{i}" for i in range(width)]
    return table(pd.DataFrame(values, columns=pd.Index(names)), origin)


def _records(values: Array, name: str, origin: Origin) -> pd.DataFrame:
    """Return the fields of a structured array as columns; raises `DataError` for fields that are arrays."""
    fields: Mapping[str, Any] = values.dtype.fields or {}
    nested = next((field for field, (dtype, *_) in fields.items() if dtype.shape or dtype.names), None)
    if values.ndim != 1 or nested is not None:
        what = f"{name} is a structured array " + (f"whose field {nested!r} is no column" if nested else "of rows")
        raise origin.error(what, "Give a plain array (n, columns) or a DataFrame.")
    return pd.DataFrame({field: values[field] for field in fields})


def array(values: Any, what: str, origin: Origin) -> Array:
    """Return an array of at least one dimension; raises `DataError`."""
    try:
        converted = np.asarray(_unmasked(values, what, origin) if isinstance(values, np.ma.MaskedArray) else values)
    except DataError:
        raise
    except MemoryError as error:
        raise origin.error(f"{what} needs more memory than there is") from error
    except Exception as error:
        raise origin.error(f"{what} is no array: {one_line(error, 200)}") from error
    if converted.ndim == 0:
        raise origin.error(f"{what} is {'None' if values is None else f'no array but {type(values).__name__}'}")
    return converted


def _unmasked(values: Any, what: str, origin: Origin) -> Array:
    """Return a masked array of features with NaN or None where it is masked; raises `DataError` for masked labels."""
    masked = int(np.ma.getmaskarray(values).sum())
    if not masked:
        return np.asarray(values)
    if what.partition(".")[0] != "x":
        hint = "Leave these rows out."
        raise origin.error(
            f"{masked:,} of {values.size:,} values of {what} {'is' if masked == 1 else 'are'} masked", hint
        )
    if values.dtype.kind in "buif":
        return np.asarray(values.astype(np.float64).filled(np.nan))
    objects = np.array(values.data, object)  # `filled(None)` would fill in "?"
    objects[np.ma.getmaskarray(values)] = None
    return objects


def table(frame: pd.DataFrame, origin: Origin) -> pd.DataFrame:
    """Return the table with string column names, a plain index, and object columns converted to their values' type."""
    frame = frame.reset_index(drop=True)
    frame.columns = pd.Index([shown(column) for column in frame.columns])
    twice = list(frame.columns[frame.columns.duplicated()])
    if twice:
        raise origin.error(f"two columns are called {twice[0]!r}")
    frame = inferred(frame, origin)
    for name in frame.columns:
        if getattr(frame[name].dtype, "kind", "") == "c":
            raise origin.error(f"column {name!r} holds complex numbers", COMPLEX)
    return frame


def inferred(frame: pd.DataFrame, origin: Origin) -> pd.DataFrame:
    """Return the table with object columns converted to their values' type; raises `DataError` with the column."""
    try:
        return frame.infer_objects()
    except Exception:
        for name in frame.columns:
            try:
                with of_column(str(name)):
                    frame[name].infer_objects()
            except DataError as error:
                raise error.at(origin.where) from None
        raise


def count(x: Features) -> int:
    """Return the number of rows."""
    return len(next(iter(x.values()))) if isinstance(x, dict) else len(x)


def take(x: Features, rows: NDArray[np.int64] | slice) -> Any:
    """Return these rows, in the form of `x`."""
    if isinstance(x, dict):
        return {name: take(part, rows) for name, part in x.items()}
    return x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows]


def joined(train: Features, test: Features, part: str, origin: Origin) -> Features:
    """Return training rows followed by those of a further part; raises `DataError` when their shapes differ."""
    if isinstance(train, dict) and isinstance(test, dict):
        if train.keys() != test.keys():
            what = f"training rows have the inputs {listed(train)}, {part} rows {listed(test)}"
            raise origin.error(what)
        return {name: _joined(rows, test[name], part, origin) for name, rows in train.items()}
    if isinstance(train, dict) or isinstance(test, dict):
        raise origin.error(f"of training and {part} rows only one has several inputs")
    return _joined(train, test, part, origin)


def _joined(train: Part, test: Part, part: str, origin: Origin) -> Part:
    if isinstance(train, pd.DataFrame) and isinstance(test, pd.DataFrame):
        if set(train.columns) != set(test.columns):
            apart = [
                *train.columns.difference(test.columns, sort=False),
                *test.columns.difference(train.columns, sort=False),
            ]
            raise origin.error(f"training and {part} rows have different columns: only one of them has {listed(apart)}")
        test = test[list(train.columns)]
        for name in train.columns:
            check_order(train[name], test[name], f"column {name!r}", part, origin)
        return pd.concat([train, test], ignore_index=True)
    if train.shape[1:] != test.shape[1:]:
        raise origin.error(f"training rows have shape {train.shape[1:]}, {part} rows {test.shape[1:]}")
    return np.concatenate([train, test])


def check_order(train: pd.Series[Any], test: pd.Series[Any], what: str, part: str, origin: Origin) -> None:
    """Raise `DataError` where a further part orders the categories of a column differently than the training rows."""
    dtypes = [dtype for dtype in (train.dtype, test.dtype) if isinstance(dtype, pd.CategoricalDtype)]
    if any(dtype.ordered for dtype in dtypes) and train.dtype != test.dtype:
        problem = f"{what} has other ordered categories in training and {part} rows"
        raise origin.error(problem, "Give both the same type.")


def marks(x: Features) -> Iterator[bytes]:
    """Yield bytes that identify these features by names and values, the same on every machine."""
    if isinstance(x, dict):
        for name in sorted(x):
            yield f"input {name}".encode()
            yield from marks(x[name])
    elif isinstance(x, pd.DataFrame):
        for column in x.columns:
            yield str(column).encode() + mark(x[column])
    else:
        yield mark(x)


def _as_texts(values: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return values.astype(str)
    except Exception as error:
        raise DataError(f"a value of {values.name} cannot be written as text: {shown(error)[:200]}") from error


def mark(values: pd.Series[Any] | Array) -> bytes:
    """Return the same bytes for the same values of a column or an array."""
    if isinstance(values, np.ndarray):
        return f"{values.shape} {values.dtype}".encode() + np.ascontiguousarray(values).tobytes()
    try:
        hashed = pd.util.hash_pandas_object(values, index=False)
    except MemoryError:
        raise
    except Exception:  # values without a hash, such as lists
        hashed = pd.util.hash_pandas_object(_as_texts(values), index=False)
    return hashed.to_numpy().astype("<u8").tobytes()
