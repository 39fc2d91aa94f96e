"""Columns that number or name the rows, which say nothing about other rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.origin import listed
from lossreg.data.raw import Raw

FEWEST = 10  # rows: fewer numbers may be in order by chance
FEWEST_SHUFFLED, DENSE = 30, 2  # 30 numbers drawn from 60 all differ by chance once in 7,000 times
NAMES = re.compile(r"(?:.*[_\s.-])?(?:id|uuid|guid|rowid|identifier)|.*[a-z]I[dD]", re.DOTALL)
COUNTERS = re.compile(r"(?:.*[_\s.-])?(?:index|idx|row|rownum|nr|no|num|number|key)\.?", re.DOTALL)


def of(
    table: pd.DataFrame, kinds: Mapping[str, str], given: NDArray[np.int8] | None = None
) -> tuple[list[str], list[str]]:
    """Return the columns of identifiers, and others that number the rows, in order.

    Whole numbers that differ in every row are identifiers where the name says so (`id`, `customer_id`, `PassengerId`),
    and so are those from 0 or 1 on, in order, under a name such as `index`. kinds: of the columns that the study names,
    which are neither; given: the part of each row, in each of which they may begin again.
    """
    if len(table) < FEWEST:
        return [], []
    unique = _unique(table, kinds, given)
    ordered = [name for name, parts in unique.items() if _are_in_order(parts)]
    identifying = [name for name in unique if is_name(name) or (name in ordered and COUNTERS.fullmatch(name.lower()))]
    return identifying, [name for name in ordered if name not in identifying]


def shuffled(table: pd.DataFrame, kinds: Mapping[str, str], given: NDArray[np.int8] | None = None) -> list[str]:
    """Return other columns of whole numbers that differ in every row and lie close together, as no measurement does.

    Between the smallest and the largest there are at most `DENSE` times as many whole numbers as rows; arguments: as
    of `of`.
    """
    if len(table) < FEWEST_SHUFFLED:
        return []
    known = {name for names in of(table, kinds, given) for name in names}
    unique = _unique(table, kinds, given)
    return [name for name, parts in unique.items() if name not in known and all(map(_are_dense, parts))]


def _unique(
    table: pd.DataFrame, kinds: Mapping[str, str], given: NDArray[np.int8] | None
) -> dict[str, list[pd.Series[Any]]]:
    """Return the columns of whole numbers that differ in every row of a part, by part."""
    columns = {str(name): table[name] for name in table if str(name) not in kinds}
    whole = {name: _by_part(column, given) for name, column in columns.items() if _is_whole(column)}
    return {name: parts for name, parts in whole.items() if all(part.is_unique for part in parts)}


def without(raw: Raw, kinds: Mapping[str, str]) -> Raw:
    """Return the rows without columns of identifiers, and with a note on them and on others that number the rows.

    kinds: of the columns that the study names, which stay as they are.
    """
    if not isinstance(raw.x, pd.DataFrame):
        return raw
    identifying, kept = of(raw.x, kinds, raw.given)
    dropped = [] if len(identifying) == len(raw.x.columns) else identifying
    notes = [f"{listed(dropped)}: identifiers of the rows, left out; data.columns says otherwise."] if dropped else []
    if kept:
        notes.append(f'{listed(kept)}: numbers of the rows, in order, kept; in data.columns "drop" leaves them out.')
    return replace(raw, x=raw.x.drop(columns=dropped), notes=[*raw.notes, *notes]) if notes else raw


def _is_whole(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "iu" and not column.hasnans


def is_name(name: str) -> bool:
    """Return whether a column has a name that is usual for identifiers."""
    return bool(NAMES.fullmatch(name) or NAMES.fullmatch(name.lower()))


def _by_part(column: pd.Series[Any], given: NDArray[np.int8] | None) -> list[pd.Series[Any]]:
    return [column] if given is None else [column[given == part] for part in np.unique(given)]


def _are_dense(part: pd.Series[Any]) -> bool:
    return int(part.max()) - int(part.min()) < DENSE * len(part)


def _are_in_order(parts: list[pd.Series[Any]]) -> bool:
    values = [part.to_numpy() for part in parts]
    return values[0][0] in (0, 1) and all((np.diff(part.astype(np.int64)) == 1).all() for part in values)
