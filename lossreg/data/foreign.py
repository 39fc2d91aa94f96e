"""Tables and data sets of other libraries, taken from the objects themselves: none of these libraries is imported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lossreg.data.origin import Origin
from lossreg.errors import one_line

INFINITE = -1


def plain(value: Any, origin: Origin) -> Any:
    """Return a table or a column of Polars, Arrow and others as one of pandas, anything else as it is."""
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index, np.ndarray)) or not hasattr(value, "to_pandas"):
        return value
    try:
        return value.to_pandas()
    except Exception as error:
        what = f"{type(value).__name__} cannot be turned into a table of pandas: {one_line(error, 200)}"
        raise origin.error(what, "Give a pandas.DataFrame.") from error


def is_dataset(value: Any) -> bool:
    """Return whether a value is a `tf.data.Dataset`."""
    return hasattr(value, "as_numpy_iterator") and hasattr(value, "element_spec") and hasattr(value, "cardinality")


def arrays(dataset: Any, origin: Origin) -> tuple[Any, ...]:
    """Return features, labels, and weights if there are any, of a finite `tf.data.Dataset`; nothing of an empty one.

    Elements may be batches. Raises `DataError`.
    """
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        what = "the tf.data.Dataset has elements that are not (x, y) or (x, y, weights)"
        raise origin.error(what, "Map it: dataset.map(lambda row: (row['x'], row['y'])).")
    if int(dataset.cardinality()) == INFINITE:
        raise origin.error("the tf.data.Dataset never ends", "Give it without repeat(), or with take(n).")
    try:
        elements = list(dataset.as_numpy_iterator())
        join = np.concatenate if _is_batched(spec) else np.stack
        return tuple(_joined([element[i] for element in elements], join) for i in range(len(spec))) if elements else ()
    except MemoryError:
        raise
    except Exception as error:
        what = f"the tf.data.Dataset cannot be read: {one_line(error, 200)}"
        raise origin.error(what, "Its elements are dense tensors, and have the same shape in every row.") from error


def _joined(parts: list[Any], join: Any) -> Any:
    if isinstance(parts[0], dict):
        return {name: _joined([part[name] for part in parts], join) for name in parts[0]}
    return join(parts)


def _is_batched(spec: tuple[Any, ...]) -> bool:
    """Return whether elements are batches: all their parts begin with the same axis, and labels have one."""
    shapes = [tuple(part.shape) for each in spec for part in (each.values() if isinstance(each, dict) else [each])]
    if not all(shapes):  # a part is a single number
        return False
    first = {shape[0] for shape in shapes}
    return first == {None} or (len(first) == 1 and any(len(shape) > 1 for shape in shapes))
