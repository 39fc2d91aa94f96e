"""Rows that stand twice: the same features and the same labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.features import Features

Codes = NDArray[np.int64]
Hashes = NDArray[np.uint64]
MIX = np.uint64(0x9E3779B97F4A7C15)
TRIES = 100


def codes(x: Features, *others: Any) -> Codes:
    """Return a number per row from 0, equal for rows with the same features and others, such as labels."""
    hashes = _of(x)
    for other in others:
        hashes = _mixed(hashes, _of(other))
    return numbered(hashes)


def are_copies(alike: Codes, codes: Codes, y: Any, most: float) -> bool:
    """Return whether rows with equal features have different labels at most so much as often as any two rows have.

    alike: numbers of equal features; codes: of equal features and labels.
    """
    by_chance = 1 - _pairs(numbered(_of(y))) / (len(codes) * (len(codes) - 1) / 2)
    return 1 - _pairs(codes) / _pairs(alike) <= most * by_chance


def _pairs(codes: Codes) -> float:
    """Return the number of pairs of equal rows."""
    sizes = np.bincount(codes).astype(np.float64)
    return float((sizes * (sizes - 1)).sum() / 2)


def together(
    sides: Codes, codes: Codes, strata: Codes | None, rng: np.random.Generator, whole: int | None = None
) -> Codes | None:
    """Return the side of each row, with equal rows on one side and as many rows of each class on a side as before.

    sides: those of a cut that ignores equal rows. They go where the first of them is, and rows that
    stand alone change sides for them; so a cut that takes no equal rows apart stays as it is. Where a class
    has too few of these, others change. whole: the side that may have all rows of a class. None if none was found.
    """
    classes = np.zeros(len(sides), np.int64) if strata is None else strata
    codes, sides = numbered(codes), sides.copy()
    alone = np.bincount(codes)[codes] == 1
    firsts = np.unique(codes, return_index=True)[1]
    for _ in range(TRIES):
        moved = sides[firsts][codes]
        for label in np.unique(classes):
            _restore(moved, sides, (classes == label) & alone, classes == label, rng)
        _restore(moved, sides, alone, np.ones(len(sides), bool), rng)
        if _has_sizes(moved, sides) and _alone(moved, classes, whole) <= _alone(sides, classes, whole):
            return moved
        # of equal rows another one comes first
        order = rng.permutation(len(sides))
        others = order[np.unique(codes[order], return_index=True)[1]]
        of_firsts, of_others = sides[firsts], sides[others]
        sides[firsts], sides[others] = of_others, of_firsts
    return None


def _has_sizes(moved: Codes, sides: Codes) -> bool:
    number = int(sides.max()) + 1
    return bool((np.bincount(moved, minlength=number) == np.bincount(sides, minlength=number)).all())


def _alone(sides: Codes, classes: Codes, whole: int | None) -> set[int]:
    """Return the classes that lie on one side alone, but for the side that may have all of them."""
    present = np.unique(np.column_stack([classes, sides]), axis=0)
    labels, counts = np.unique(present[:, 0], return_counts=True)
    alone = np.isin(present[:, 0], labels[counts == 1]) & (present[:, 1] != (-1 if whole is None else whole))
    return set(present[alone, 0].tolist())


def _restore(
    moved: Codes, sides: Codes, free: NDArray[np.bool_], counted: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Give sides as many rows of those that are counted as they had, as far as free ones can change."""
    number = int(sides.max()) + 1
    surplus = np.bincount(moved[counted], minlength=number) - np.bincount(sides[counted], minlength=number)
    leaving: list[int] = []
    for side in np.flatnonzero(surplus > 0):
        there = np.flatnonzero(free & (moved == side))
        leaving += rng.choice(there, min(int(surplus[side]), len(there)), replace=False).tolist()
    lacking = np.repeat(np.flatnonzero(surplus < 0), -surplus[surplus < 0])
    for row, side in zip(rng.permutation(leaving), rng.permutation(lacking), strict=False):
        moved[int(row)] = side


def numbered(values: Any) -> Codes:
    """Return a number per value, in the order in which they first come, so that it is the same in every process."""
    return np.asarray(pd.factorize(values)[0], np.int64)


def _of(values: Any) -> Hashes:
    if isinstance(values, dict):
        parts = [_of(values[name]) for name in sorted(values)]
    elif isinstance(values, pd.DataFrame):
        parts = [_of_column(values[name]) for name in values.columns]
    elif isinstance(values, pd.Series):
        parts = [_of_column(values)]
    else:
        parts = [_of_array(values)]
    mixed = parts[0]
    for part in parts[1:]:
        mixed = _mixed(mixed, part)
    return mixed


def _mixed(one: Hashes, other: Hashes) -> Hashes:
    with np.errstate(over="ignore"):
        return np.asarray((one ^ (one >> np.uint64(29))) * MIX + other)


def _of_column(column: pd.Series[Any]) -> Hashes:
    try:
        return np.asarray(pd.util.hash_pandas_object(column, index=False), np.uint64)
    except MemoryError:
        raise
    except Exception:  # values without a hash, such as lists
        return np.asarray(pd.util.hash_pandas_object(column.astype(str), index=False), np.uint64)


def _of_array(values: NDArray[Any]) -> Hashes:
    rows = np.ascontiguousarray(values.reshape(len(values), -1))
    return np.fromiter((hash(row.tobytes()) & 0xFFFFFFFFFFFFFFFF for row in rows), np.uint64, len(rows))


def joined(one: Codes, other: Codes) -> Codes:
    """Return a number per row from 0, equal where rows are linked by either, at one or several removes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = one, other + one.max() + 1
    size = int(second.max()) + 1
    graph = coo_array((np.ones(len(one), np.int8), (first, second)), shape=(size, size))
    return numbered(connected_components(graph, directed=False)[1][first])
