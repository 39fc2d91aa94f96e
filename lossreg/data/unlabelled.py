"""Rows without a label, which a study may leave out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data import features, gap_words, label_gaps
from lossreg.data.label_gaps import Flags
from lossreg.data.parts import NAMES, TEST, TRAIN, VALIDATION
from lossreg.data.raw import Raw
from lossreg.errors import DataError, count_of


def dropped(raw: Raw, where: str) -> Raw:
    """Return the rows that have a label, with a note on how many have none; raises `DataError` where none has."""
    there = label_gaps.are_there(raw.y)
    lost = int((~there).sum())
    if not lost:
        return raw
    if lost == len(there):
        raise DataError("no row has a label", where=where, hint=gap_words.on_labels(raw.gap_words))
    kept = np.flatnonzero(there)
    y = raw.y.iloc[kept].reset_index(drop=True) if isinstance(raw.y, pd.Series) else raw.y[kept]
    _check_parts(raw, there)
    lack = "no label" if isinstance(raw.y, pd.Series) else "not all labels"
    note = f"{lost:,} of {len(there):,} rows {'has' if lost == 1 else 'have'} {lack}: left out."
    words = [gap_words.on_labels(raw.gap_words)] if raw.gap_words else []
    return replace(
        raw, x=_plain(features.take(raw.x, kept)), y=y, notes=[*raw.notes, note, *words],
        weights=None if raw.weights is None else raw.weights[kept],
        given=None if raw.given is None else raw.given[kept], read_as=raw.numbers.take(kept),
        aside={use: column.iloc[kept].reset_index(drop=True) for use, column in raw.aside.items()},
        beside={name: column.iloc[kept].reset_index(drop=True) for name, column in raw.beside.items()},
    )  # fmt: skip


def _check_parts(raw: Raw, there: Flags) -> None:
    """Raise `DataError` for a part that is given, of which no row has a label."""
    for part in (TRAIN, VALIDATION, TEST):
        rows = np.zeros(0, bool) if raw.given is None else there[raw.given == part]
        if len(rows) and not rows.any():
            what = f"no label in any of its {count_of(len(rows), 'row')}"
            raise DataError(what, where=NAMES[part], hint="Give rows with labels, or leave this part out.")


def _plain(x: Any) -> Any:
    """Return features with their rows numbered from 0."""
    if isinstance(x, dict):
        return {name: _plain(part) for name, part in x.items()}
    return x.reset_index(drop=True) if isinstance(x, pd.DataFrame) else x
