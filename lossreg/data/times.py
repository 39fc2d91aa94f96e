"""Times by which rows are cut: numbers, dates, or texts such as `2024-W05`, as numbers in their order."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import columns
from lossreg.data.columns import Marks
from lossreg.data.conversions import AsDays, AsNumbers
from lossreg.data.kinds import as_kind, infer
from lossreg.data.reading import Reading

STEP = re.compile(r"(\d{4})(?!\.?\d)[-/. ]?([WQMHwqmh]?)(\d{1,2})")  # digits alone are a number


def read(
    column: pd.Series[Any], kind: str = "", decimal: str = "", marks: Marks | None = None
) -> tuple[NDArray[Any] | None, str]:
    """Return numbers in the order of the times, NaN for what is none, and a note where their reading is not obvious.

    None for a column without an order. kind: that which the study names for the column; decimal, marks: as in
    `kinds.as_kind`. Raises `DataError`.
    """
    if kind != "number" and (steps := in_steps(column)) is not None:
        return steps, ""
    way = as_kind(column, kind, decimal, marks) if kind else infer(column, decimal, marks)
    if way.read is None:
        return None, ""
    if isinstance(way.read, AsNumbers) and pd.api.types.infer_dtype(column, skipna=False) == "integer":
        return pd.factorize(column, sort=True)[0], ""  # as floats, large ones lose their last digits
    return way.read(columns.plain(column)), _note(way)


def in_steps(column: pd.Series[Any]) -> NDArray[np.float64] | None:
    """Return texts such as 2024-W05 and 2024Q3 as numbers in their order; None where some are others."""
    steps = [STEP.fullmatch(text) for text in columns.texts(column)] if not columns.is_number(column.dtype) else [None]
    if not all(steps) or len({step[2].lower() for step in steps if step}) != 1:
        return None
    return np.array([100.0 * int(step[1]) + int(step[3]) for step in steps if step])


def _note(way: Reading) -> str:
    if isinstance(way.read, AsDays) and way.read.dates.plain:
        return way.note.removeprefix(way.read.dates.description()).removeprefix("; ")
    doubt = isinstance(way.read, AsNumbers) and way.read.numerals.doubt
    return f"{way.note}, which data.thousands says" if doubt else way.note
