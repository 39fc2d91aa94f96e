"""Raw rows of what a user's function returns: arrays, tables, mappings, or parts of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lossreg.data import foreign, no_data
from lossreg.data.joined_parts import joined
from lossreg.data.origin import Origin, listed
from lossreg.data.parts import TEST, TRAIN, WORDS
from lossreg.data.raw import FEATURE_KEYS, LABEL_KEYS, WEIGHT_KEYS, Raw, from_arrays, from_table
from lossreg.errors import text_of


def from_mapping(arrays: Mapping[str, Any], origin: Origin) -> Raw:
    """Return raw rows of named arrays: `x, y`, or `x_train, y_train, x_test, y_test`, or a scikit-learn Bunch.

    There may be `x_val, y_val` too. A dictionary that has the target among its names is a table, and one of
    `train`, `validation` and `test` has a table or a tuple for each part. Raises `DataError` for others.
    """
    targets = (origin.target,) if isinstance(origin.target, str) else origin.target
    if targets is not None and any(target in arrays for target in targets):
        return from_table(_as_table(arrays, origin), origin)
    if tables := _by_part(arrays):
        return joined({part: from_object(table, origin) for part, table in tables.items()}, origin)
    given = {part: rows for word, part in WORDS.items() if (rows := _parts(arrays, f"_{word}"))}
    if TRAIN in given and len(given) > 1:
        beside = {part: _beside(arrays, part) for part in given}
        return joined(
            {part: from_arrays(*rows, origin=origin, beside=beside[part]) for part, rows in given.items()}, origin
        )
    parts = _parts(arrays, "")
    if parts is None:
        raise no_data.without_arrays(arrays, listed(arrays), origin)
    columns, names = (arrays.get(key) for key in ("feature_names", "target_names"))
    columns = () if columns is None else [str(column) for column in columns]
    return from_arrays(*parts, origin=origin, columns=columns, names=() if names is None else names, beside=arrays)


def _by_part(arrays: Mapping[str, Any]) -> dict[int, Any]:
    """Return tables or arrays by part where all names are names of parts, training rows among them."""
    given = {WORDS.get(str(name)): value for name, value in arrays.items()}
    parts = {part: value for part, value in given.items() if part is not None}
    tables = all(isinstance(value, (pd.DataFrame, tuple)) for value in parts.values())
    return parts if TRAIN in parts and len(parts) == len(arrays) > 1 and tables else {}


def _beside(arrays: Mapping[str, Any], part: int) -> dict[str, Any]:
    """Return arrays of one part by their names without its word: `customer_test` is `customer`."""
    endings = [f"_{word}" for word, of in WORDS.items() if of == part]
    return {
        str(name).removesuffix(ending): values
        for name, values in arrays.items() for ending in endings if str(name).endswith(ending)
    }  # fmt: skip


def _as_table(arrays: Mapping[str, Any], origin: Origin) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(arrays))
    except ValueError as error:
        raise origin.error(f"no table: {text_of(error)}") from error


def _parts(arrays: Mapping[str, Any], suffix: str) -> tuple[Any, Any, Any] | None:
    """Return features, labels, and weights or None; None without features or labels."""
    x, y, weights = (
        next((arrays[key + suffix] for key in keys if key + suffix in arrays), None)
        for keys in (FEATURE_KEYS, LABEL_KEYS, WEIGHT_KEYS)
    )
    x = _inputs(arrays, suffix) if x is None else x
    return None if x is None or y is None else (x, y, weights)


def _inputs(arrays: Mapping[str, Any], suffix: str) -> dict[str, Any] | None:
    """Return several inputs under the keys `x.a`, `x.b`; with a suffix `x_train.a`."""
    for key in FEATURE_KEYS:
        start = f"{key}{suffix}."
        if inputs := {name.removeprefix(start): part for name, part in arrays.items() if str(name).startswith(start)}:
            return inputs
    return None


def from_object(value: Any, origin: Origin) -> Raw:
    """Return raw rows of what a user's function returned; raises `DataError` for anything else.

    Accepts `(x, y)`, `((x_train, y_train), (x_test, y_test))`, also with validation rows between the two, each with
    weights as an optional third, a dictionary of arrays, one of such parts or tables by the names of parts, a
    scikit-learn Bunch, and a DataFrame with a target column. Features may be several inputs: a dictionary of arrays by
    name, or keys `x.a`, `x.b`.
    """
    value = foreign.plain(value, origin)
    if foreign.is_dataset(value):
        parts = foreign.arrays(value, origin)
        if not parts:
            raise origin.error("no rows")
        return from_arrays(*parts, origin=origin)
    match value:
        case pd.DataFrame():
            return from_table(value, origin)
        case Mapping():
            return from_mapping(value, origin)
        case (tuple((_, _) | (_, _, _)), tuple((_, _) | (_, _, _))):
            return _joined_arrays(dict(zip((TRAIN, TEST), value, strict=True)), origin)
        case (tuple((_, _) | (_, _, _)), tuple((_, _) | (_, _, _)), tuple((_, _) | (_, _, _))):
            return _joined_arrays(dict(enumerate(value)), origin)
        case (_, _) | (_, _, _) if not no_data.are_single_values(value):
            return from_arrays(*value, origin=origin)
    raise no_data.refusal(value, origin)


def _joined_arrays(parts: Mapping[int, Any], origin: Origin) -> Raw:
    return joined({part: from_arrays(*rows, origin=origin) for part, rows in parts.items()}, origin)
