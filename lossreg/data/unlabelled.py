"""Rows without a label, which a study may leave out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data import features, label_arrays
from lossreg.data.raw import Raw
from lossreg.errors import DataError


def dropped(raw: Raw, where: str) -> Raw:
    """Return the rows that have a label, with a note on how many have none; raises `DataError` where none has."""
    there = label_arrays.are_there(raw.y)
    lost = int((~there).sum())
    if not lost:
        return raw
    if lost == len(there):
        raise DataError("no row has a label", where=where)
    kept = np.flatnonzero(there)
    y = raw.y.iloc[kept].reset_index(drop=True) if isinstance(raw.y, pd.Series) else raw.y[kept]
    note = f"{lost} of {len(there)} rows have no label: left out." if lost > 1 else (
        f"1 of {len(there)} rows has no label: left out.")  # fmt: skip
    return replace(
        raw, x=_plain(features.take(raw.x, kept)), y=y, notes=[*raw.notes, note],
        weights=None if raw.weights is None else raw.weights[kept],
        given=None if raw.given is None else raw.given[kept], read_as=raw.numbers.take(kept),
        aside={use: column.iloc[kept].reset_index(drop=True) for use, column in raw.aside.items()},
        beside={name: column.iloc[kept].reset_index(drop=True) for name, column in raw.beside.items()},
    )  # fmt: skip


def _plain(x: Any) -> Any:
    """Return features with their rows numbered from 0."""
    if isinstance(x, dict):
        return {name: _plain(part) for name, part in x.items()}
    return x.reset_index(drop=True) if isinstance(x, pd.DataFrame) else x
