"""Translation of new rows into the terms of the training rows, where their types or spelling differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lossreg.data import truths
from lossreg.data.categories import Categories
from lossreg.data.columns import is_number, plain
from lossreg.data.conversions import AsNumbers, AsRanks
from lossreg.data.lost import Lost
from lossreg.data.reading import Reading
from lossreg.data.thousands import Thousands


@dataclass(frozen=True, slots=True)
class Translation:
    """The terms of the training rows, by column.

    categories: of each categorical column; ranks: of each column of ordered categories; flags: numeric columns of 0
    and 1 only; thousands: how numbers are written.
    """

    categories: Mapping[str, Categories]
    ranks: Mapping[str, Categories]
    flags: tuple[str, ...]
    thousands: Mapping[str, Thousands]

    @classmethod
    def of(
        cls, rows: pd.DataFrame, read: pd.DataFrame, readings: Mapping[str, Reading], categories: Iterable[str]
    ) -> Translation:
        """Return the terms of training rows, as they are held and as `readings` read them."""
        ways = {name: reading.read for name, reading in readings.items()}
        numbers = {name: way for name, way in ways.items() if isinstance(way, AsNumbers)}
        thousands = {name: Thousands.of(rows[name], way.numerals.decimal) for name, way in numbers.items()}
        return cls(
            {name: Categories.of(read[name]) for name in categories},
            _ranks(readings),
            tuple(name for name in numbers if truths.are_flags(read[name].to_numpy(np.float64))),
            {name: each for name, each in thousands.items() if each.used or not numbers[name].numerals.group},
        )

    @classmethod
    def restored(
        cls,
        readings: Mapping[str, Reading],
        categories: Mapping[str, Iterable[str]],
        flags: tuple[str, ...],
        thousands: Mapping[str, Thousands],
    ) -> Translation:
        """Return the terms that have these categories, by the names of each, and the ranks of these readings."""
        known = {name: Categories.named(names) for name, names in categories.items()}
        return cls(known, _ranks(readings), flags, thousands)

    def before(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the new rows, with truth values and ordered categories as reading knows them."""
        ranks = {name: categories.ranked(plain(rows[name])) for name, categories in self.ranks.items()}
        flags = {name: truths.as_numbers(rows[name]) for name in self.flags if not is_number(rows[name].dtype)}
        return rows.assign(**ranks, **flags) if ranks or flags else rows

    def after(self, rows: pd.DataFrame, read: pd.DataFrame, lost: Lost, decided: Collection[str] = ()) -> pd.DataFrame:
        """Return the new rows as they were read, with the categories of the training rows; guesses are counted.

        decided: the columns whose form the new rows decide, so that nothing is guessed.
        """
        for name, thousands in self.thousands.items():
            if name not in decided:
                thousands.count(rows[name], name, lost)
        known = {name: categories.match(read[name], lost) for name, categories in self.categories.items()}
        return read.assign(**known) if known else read


def _ranks(readings: Mapping[str, Reading]) -> dict[str, Categories]:
    """Return the categories of each column that is read as ranks."""
    ways = {name: reading.read for name, reading in readings.items()}
    return {name: Categories.of(pd.Series(way.categories)) for name, way in ways.items() if isinstance(way, AsRanks)}
