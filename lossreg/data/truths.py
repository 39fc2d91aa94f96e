"""Truth values of new rows, which may be booleans, the words true and false, or the numbers 1 and 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lossreg.data.cells import text_of

WORDS = {"true": True, "false": False}


def of_text(text: str) -> bool | None:
    """Return the truth value that a text names in any case, None for other texts."""
    return WORDS.get(text.lower())


def are_flags(values: Any) -> bool:
    """Return whether the numbers `(n,)` that are there are 0 and 1 alone."""
    there = values[~np.isnan(values)]
    return bool(there.size) and bool(((there == 0) | (there == 1)).all())


def as_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the column with 1 and 0 for truth values; other values stay as they are."""
    return column.astype(object).map(_number, na_action="ignore")


def _number(value: Any) -> Any:
    truth = of_text(text_of(value))
    return value if truth is None else int(truth)
