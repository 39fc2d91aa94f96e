"""The fitted steps of a table's preprocessing as plain numbers and texts, without the objects that learned them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.columns import texts
from lossreg.data.free_text import TextCode
from lossreg.data.scaling import BEYOND, LARGE


@dataclass(frozen=True, slots=True)
class Scaling:
    """The scaling of numeric columns: divided by `unit`, gaps filled with `fill`, then `(value - mean) / scale`."""

    columns: list[str]
    unit: list[float]
    fill: list[float]
    mean: list[float]
    scale: list[float]

    @classmethod
    def of(cls, pipeline: Any, columns: list[str]) -> Scaling:
        """Return what a fitted pipeline of `Units`, `SimpleImputer` and `Scaler` has learned."""
        units, imputer, scaler = (step for _, step in pipeline.steps)
        learned = (units.unit_, imputer.statistics_, scaler.mean_, scaler.scale_)
        return cls(list(columns), *(np.asarray(values, np.float64).tolist() for values in learned))

    def transform(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the columns as `(n, width)`, standardised."""
        values = table[self.columns].to_numpy(np.float64) / np.array(self.unit)
        filled = np.where(np.isnan(values), np.array(self.fill), values)
        scaled: NDArray[np.float64] = (filled - np.array(self.mean)) / np.array(self.scale)
        return scaled

    @property
    def has_constant(self) -> bool:
        """True where a column has one value in all training rows."""
        return BEYOND in self.scale

    def levels(self, table: pd.DataFrame) -> bool:
        """Return whether values of a constant column become 0 that did not up to 0.2.0."""
        is_constant = np.array(self.scale) == BEYOND
        sizes = np.where(np.abs(self.mean) >= LARGE, np.abs(self.mean), 1.0)
        with np.errstate(over="ignore"):
            former = replace(self, scale=sizes.tolist()).transform(table)[:, is_constant].astype(np.float32)
        return bool((np.isfinite(former) & (former != 0)).any())


@dataclass(frozen=True, slots=True)
class OneHot:
    """The one-hot columns of a categorical column: `frequent` ones in order, then one for all `rare` ones if any.

    seen: which of these columns any training row has; the others are 0; constant: all training rows have the one that
    is seen, and so has every other row, since of another value nothing is learned. A file from before that rule lacks
    it, and its other values stay 0, as when its model was scored.
    """

    column: str
    frequent: list[str]
    rare: list[str]
    seen: list[bool]
    constant: bool = False

    @classmethod
    def of(cls, pipeline: Any, columns: list[str]) -> list[OneHot]:
        """Return what a fitted pipeline of a `OneHotEncoder` and `Seen` has learned, by column."""
        _, encoder, seen = (step for _, step in pipeline.steps)
        always = np.broadcast_to(seen.always_, seen.seen_.shape)
        learned, start = [], 0
        for column, categories, infrequent in zip(
            columns, encoder.categories_, encoder.infrequent_categories_, strict=True
        ):
            rare = [] if infrequent is None else list(infrequent)
            frequent = [name for name in categories if name not in set(rare)]
            end = start + len(frequent) + bool(rare)
            place = slice(start, end)
            learned.append(cls(column, frequent, rare, seen.seen_[place].tolist(), bool(always[place].any())))
            start = end
        return learned

    def transform(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Return the column as `(n, width)` of 0 and 1; an unknown category is a rare one, or 0 everywhere."""
        places = {name: place for place, name in enumerate(self.frequent)} | dict.fromkeys(
            self.rare, len(self.frequent)
        )
        unknown = len(self.frequent) if self.rare else -1
        codes = np.array([places.get(name, unknown) for name in texts(table[self.column])])
        columns = np.arange(len(self.seen))
        held = self.constant | (codes[:, None] == columns)
        encoded: NDArray[np.float32] = (held & np.array(self.seen)).astype(np.float32)
        return encoded

    @property
    def has_constant(self) -> bool:
        """As of `Scaling`."""
        return self.constant

    def levels(self, table: pd.DataFrame) -> bool:
        """Return whether rows get the single category of training that did not get it up to 0.2.0."""
        return self.constant and bool((replace(self, constant=False).transform(table) == 0).all(axis=1).any())


@dataclass(frozen=True, slots=True)
class FittedSteps:
    """Turns a table that was read into numbers, as the `ColumnTransformer` did that it was taken from.

    names: of the columns of the array.
    """

    steps: list[Scaling | OneHot | TextCode]
    names: list[str]

    @classmethod
    def of(cls, transformer: Any, groups: Mapping[str, list[str]]) -> FittedSteps:
        """Return the steps of a fitted `ColumnTransformer` for columns in groups: number, date, category, text."""
        steps: list[Scaling | OneHot | TextCode] = []
        for group, pipeline in transformer.named_transformers_.items():
            columns = groups.get(group, [])
            if group == "category":
                steps += OneHot.of(pipeline, columns)
            elif group == "text":
                steps += pipeline.codes_
            elif columns:
                steps.append(Scaling.of(pipeline, columns))
        return cls(steps, transformer.get_feature_names_out().tolist())

    def transform(self, table: pd.DataFrame) -> NDArray[Any]:
        """Return a table as `(n, width)`."""
        return np.hstack([step.transform(table) for step in self.steps])

    def get_feature_names_out(self) -> NDArray[Any]:
        """Return the names of the columns of the array."""
        return np.array(self.names, object)

    def levels(self, table: pd.DataFrame) -> bool:
        """Return whether a column with one value in all training rows is made that in these, which hold others."""
        return any(step.levels(table) for step in self._constant)

    @property
    def has_constant(self) -> bool:
        """As of `Scaling`."""
        return bool(self._constant)

    @property
    def _constant(self) -> list[Scaling | OneHot]:
        return [step for step in self.steps if not isinstance(step, TextCode) and step.has_constant]
