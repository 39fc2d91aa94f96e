"""Objects that are no data, and what to give or return in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data.origin import Origin
from lossreg.errors import DataError, is_text, represented

WAYS = "(x, y), (x, y, weights), a dictionary of arrays, a DataFrame or a tf.data.Dataset"
PAIR = "x are the features, y the labels"


def are_single_values(parts: Any) -> bool:
    """Return whether a list or a tuple holds numbers or texts, so that it is no pair of arrays."""
    return all(np.isscalar(part) for part in parts)


def refusal(value: Any, origin: Origin) -> DataError:
    """Return the error about an object that a function returned, or that was given in Python, in place of data."""
    verb, before = ("Give", "it is") if origin.in_python else ("Return", "returned")
    kind, hint = _described(value, verb, in_python=origin.in_python)
    return origin.error(f"{before} {kind}, which is no data", hint or f"{verb} {WAYS}.")


def _described(value: Any, verb: str, *, in_python: bool) -> tuple[str, str]:
    """Return what an object is in words, and a hint, empty for the general one."""
    if is_text(value) and in_python:
        return f"the text {represented(value)}", f"Name a file or a function as the study's source, or give {WAYS}."
    if isinstance(value, pd.Series):
        return "a single column (Series)", f"{verb} (x, y), or a DataFrame whose column target names."
    if isinstance(value, np.ndarray):
        return "a single array", f"{verb} (x, y): {PAIR}."
    if isinstance(value, (list, tuple)):
        return _described_parts(value, verb)
    if callable(value) and in_python and not isinstance(value, type):
        return "a function", 'Give what it returns, or name it as the study\'s source, such as "data.py:rows".'
    return "None" if value is None else type(value).__name__, ""


def _described_parts(value: list[Any] | tuple[Any, ...], verb: str) -> tuple[str, str]:
    kind = f"a {type(value).__name__} of {len(value)}" if value else f"an empty {type(value).__name__}"
    if value and all(isinstance(part, Mapping) for part in value):
        return f"{kind} dictionaries", f"{verb} pandas.DataFrame of them, with a target."
    return kind, f"{verb} (x, y) or (x, y, weights): {PAIR}; or {WAYS.partition('weights), ')[2]}."


def without_arrays(arrays: Mapping[str, Any], names: str, origin: Origin) -> DataError:
    """Return the error about a dictionary in which neither a target nor `x` and `y` are; names: those in it."""
    if not arrays:
        return origin.error("it is empty: no arrays x and y", 'Such as {"x": features, "y": labels}.')
    if nothing := [str(name) for name, value in arrays.items() if value is None]:
        return origin.error(f"no arrays x and y: {' and '.join(nothing)} {'are' if len(nothing) > 1 else 'is'} None")
    asked = f"no column {' or '.join(map(repr, origin.targets))} and " if origin.targets else ""
    return origin.error(
        f"{asked}no arrays x and y; it has {names}",
        "Or x_train, y_train, x_test, y_test; a table of columns needs a target that is one of them.",
    )
