"""Cuts between units: rows that belong together, such as those of one customer, are never on both sides.

A unit is chosen where that brings the share of every class nearer to the wanted one. Rows that stand alone fill what is
missing, so that sizes are exact where there are some. Where there are none, equal sizes take a part of one more unit,
and leave the rest of it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
TRIES = 100


@dataclass(frozen=True, eq=False)
class Units:
    """The units among some rows.

    rows: their numbers, in ascending order; of_row: `(n,)` the unit of each, from 0; strata: `(n,)` the class of each.
    """

    rows: Rows
    of_row: NDArray[np.int64]
    strata: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Rows, units: NDArray[np.int64], strata: NDArray[np.int64] | None) -> Units:
        """Return the units among these rows; units, strata: of all rows."""
        of_row = np.unique(units[rows], return_inverse=True)[1]
        classes = np.zeros(len(rows), np.int64) if strata is None else np.unique(strata[rows], return_inverse=True)[1]
        return cls(rows, of_row, classes)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """The number of rows of each unit."""
        return np.bincount(self.of_row)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The rows of each unit by class."""
        width = int(self.strata.max()) + 1
        counted = np.bincount(self.of_row * width + self.strata, minlength=len(self.sizes) * width)
        return counted.reshape(-1, width)

    @cached_property
    def alone(self) -> Flags:
        """True for a unit that holds all rows of a class, which can be on one side only."""
        return np.asarray(((self.counts == self.counts.sum(axis=0)) & (self.counts > 0)).any(axis=1))

    def within(self, chosen: Flags) -> Rows:
        """Return the rows of the chosen units."""
        return self.rows[chosen[self.of_row]]

    def keeping(self, chosen: Flags) -> Units:
        """Return the chosen units alone."""
        mask = chosen[self.of_row]
        of_row = np.unique(self.of_row[mask], return_inverse=True)[1]
        return Units(self.rows[mask], of_row, np.unique(self.strata[mask], return_inverse=True)[1])


class Draw:
    """Units that are drawn at random for a part of the rows, about as stratified as they can be."""

    def __init__(self, units: Units, size: int, rng: np.random.Generator) -> None:
        self._units, self._size, self._rng = units, size, rng
        self.totals = units.counts.sum(axis=0)
        self.taken, self.chosen = np.zeros_like(self.totals), np.zeros(len(units.sizes), bool)

    @property
    def gap(self) -> int:
        """The number of rows that are missing."""
        return self._size - int(self.taken.sum())

    def fill(self) -> None:
        """Draw units of several rows in their share, then single rows, then whatever fits."""
        sizes = self._units.sizes
        self._balanced(np.flatnonzero(sizes > 1))
        self._singles(np.flatnonzero(sizes == 1))
        for unit in self._shuffled(np.flatnonzero(~self.chosen & (sizes <= self.gap))):
            if sizes[unit] <= self.gap and self._may_leave(unit):
                self._take(unit)

    def top_up(self) -> None:
        """Take the smallest other unit where that brings the size nearer, or where there is none yet."""
        unit, gap = self.smallest(), self.gap
        if unit is not None and gap and (gap == self._size or abs(gap - self._units.sizes[unit]) < gap):
            self._take(unit)

    def smallest(self) -> int | None:
        """Return the smallest unit that may still be drawn; of several one at random."""
        free = [unit for unit in self._shuffled(np.flatnonzero(~self.chosen)) if self._may_leave(unit)]
        return min(free, key=lambda unit: int(self._units.sizes[unit]), default=None)

    def _balanced(self, several: NDArray[np.int64]) -> None:
        counts, sizes = self._units.counts, self._units.sizes
        target = self._size * counts[several].sum(axis=0) / max(1, self.totals.sum())
        for unit in self._shuffled(several):
            count, short = counts[unit], (self.taken - target) / self.totals
            is_nearer = bool((count / self.totals) @ (2 * short + count / self.totals) < 0)
            if is_nearer and sizes[unit] <= self.gap and self._may_leave(unit):
                self._take(unit)

    def _singles(self, singles: NDArray[np.int64]) -> None:
        if not len(singles) or self.gap <= 0:
            return
        classes = self._units.counts[singles].argmax(axis=1)
        there = np.bincount(classes, minlength=len(self.totals))
        most = np.minimum(there, np.maximum(self.totals - self.taken - 1, 0))
        number = allotted(self._size * self.totals / self.totals.sum() - self.taken, most, self.gap)
        for label in np.flatnonzero(number):
            drawn = self._rng.choice(singles[classes == label], number[label], replace=False)
            self.chosen[drawn] = True
        self.taken = self.taken + number

    def _shuffled(self, units: NDArray[np.int64]) -> list[int]:
        shuffled: list[int] = self._rng.permutation(units).tolist()
        return shuffled

    def _may_leave(self, unit: int) -> bool:
        """Return whether other rows of its classes stay on the other side."""
        count = self._units.counts[unit]
        return not bool(((self.totals - self.taken <= count) & (count > 0)).any())

    def _take(self, unit: int) -> None:
        self.chosen[unit] = True
        self.taken = self.taken + self._units.counts[unit]


def allotted(wanted: NDArray[np.float64], most: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Return whole numbers near the wanted ones, at most `most` each, that sum to `total` where that is possible."""
    number = np.clip(np.floor(wanted), 0, most).astype(np.int64)
    while number.sum() > total:
        number[np.argmax(np.where(number > 0, number - wanted, -np.inf))] -= 1
    while number.sum() < min(total, most.sum()):
        number[np.argmax(np.where(number < most, wanted - number, -np.inf))] += 1
    return number


def share_out(units: Units, size: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Cut about so many rows off in whole units; a unit that holds all rows of a class stays. Return rest and part."""
    free = units.keeping(~units.alone)
    if not len(free.rows):
        return units.rows, free.rows
    draw = Draw(free, size, rng)
    draw.fill()
    draw.top_up()
    part = free.within(draw.chosen)
    return np.setdiff1d(units.rows, part), part


def exactly(units: Units, size: int, others: int, rng: np.random.Generator) -> tuple[Rows, Rows] | None:
    """Return as many `others`, and so many rows, of which no unit has rows in both; None where none were found.

    Rows that are left over are in neither.
    """
    free = units.keeping(~units.alone)
    for _ in range(TRIES if len(free.rows) else 0):
        draw = Draw(free, size, rng)
        draw.fill()
        part, unit = free.within(draw.chosen), draw.smallest() if draw.gap > 0 else None
        if unit is not None and free.sizes[unit] >= draw.gap:
            more = free.rows[free.of_row == unit]
            rest = np.setdiff1d(units.rows, np.concatenate([part, more]))
            part = np.sort(np.concatenate([part, rng.choice(more, draw.gap, replace=False)]))
        else:
            rest = np.setdiff1d(units.rows, part)
        if len(part) == size and len(rest) >= others:
            strata = np.zeros(int(units.rows.max()) + 1, np.int64)
            strata[units.rows] = units.strata
            return trimmed(rest, strata, others, rng), part
    return None


def spare(sizes: NDArray[np.int64], size: int) -> int:
    """Return how many rows of units of these sizes may have to be left out where exactly `size` rows are cut off.

    As long as a unit fits it is taken, so that a gap is smaller than all units that are left: at most than the first
    beyond the smallest that make up `size`, and at least as large as their common divisor allows.
    """
    ordered, divisor = np.sort(sizes), int(np.gcd.reduce(sizes))
    first = min(int(np.searchsorted(np.cumsum(ordered), size, side="right")), len(ordered) - 1)
    return int(ordered[first]) - (size % divisor or divisor)


def parts(units: Units, number: int, rng: np.random.Generator) -> list[Rows]:
    """Return so many parts of all rows in whole units, with about as many rows of each class.

    The largest units come first, each where the squares of the shares of classes and of rows grow least. Single rows
    then even the sizes out.
    """
    sizes, several = units.sizes, np.flatnonzero(units.sizes > 1)
    of_unit = np.full(len(sizes), -1)
    columns = np.column_stack([units.counts, sizes])
    weights = 1.0 / columns.sum(axis=0) ** 2
    filled = np.zeros((number, columns.shape[1]))
    order = rng.permutation(several)
    for unit in order[np.argsort(-sizes[order], kind="stable")]:
        growth = filled @ (weights * columns[unit])
        part = int(rng.permutation(np.flatnonzero(growth == growth.min()))[0])
        of_unit[unit] = part
        filled[part] += columns[unit]
    _place_singles(units, of_unit, filled, rng)
    return [units.within(of_unit == part) for part in range(number)]


def _place_singles(
    units: Units, of_unit: NDArray[np.int64], filled: NDArray[np.float64], rng: np.random.Generator
) -> None:
    """Place units of one row, class by class, where most are missing; then move some, for equal sizes."""
    number, totals = len(filled), units.counts.sum(axis=0)
    singles = np.flatnonzero(units.sizes == 1)
    if not len(singles):
        return
    classes = units.counts[singles].argmax(axis=1)
    for label in np.unique(classes).tolist():
        of_class = rng.permutation(singles[classes == label])
        wanted = totals[label] / number - filled[:, label]
        # of equal shares, the part with fewer rows gets one more
        counts = allotted(wanted - 1e-6 * filled[:, -1], np.full(number, len(of_class)), len(of_class))
        of_unit[of_class] = np.repeat(np.arange(number), counts)
        filled[:, label] += counts
        filled[:, -1] += counts
    while filled[:, -1].max() - filled[:, -1].min() > 1:
        largest, least = int(filled[:, -1].argmax()), int(filled[:, -1].argmin())
        mine = singles[of_unit[singles] == largest]
        if not len(mine):
            return
        labels = units.counts[mine].argmax(axis=1)
        surplus = (filled[largest, :-1] - filled[least, :-1]) / totals
        label = int(labels[np.argmax(surplus[labels])])
        of_unit[int(rng.choice(mine[labels == label]))] = least
        for part, step in ((largest, -1), (least, 1)):
            filled[part, [label, -1]] += step


def trimmed(part: Rows, strata: NDArray[np.int64] | None, size: int, rng: np.random.Generator) -> Rows:
    """Return so many rows of a part, in order: without some at random, but no class loses its last one."""
    if len(part) <= size:
        return np.sort(part)
    order = rng.permutation(part)
    if strata is not None:
        first = np.zeros(len(order), bool)
        first[np.unique(strata[order], return_index=True)[1]] = True
        order = np.concatenate([order[first], order[~first]])
    return np.sort(order[:size])
