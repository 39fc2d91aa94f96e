"""Warnings about data and metric of a study, which `lossreg init`, a dry run and the notes of a run have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import identifiers
from lossreg.data.dataset import Dataset
from lossreg.data.loaded_rows import LoadedRows
from lossreg.data.origin import listed
from lossreg.data.parts import VALIDATION
from lossreg.data.raw import Raw
from lossreg.data.readings import Readings
from lossreg.errors import DataError
from lossreg.inspection import betrayal, columns, noise
from lossreg.metrics.catalogue import Metric

Array = NDArray[Any]

SHOWN = 5
NOISY = 0.04  # of a score between 0 and 1, from which its noise is said
NOISY_ERROR = 0.06  # of a mean error, relative to it
FOLDS = 5  # that are advised


@dataclass(frozen=True, slots=True)
class Suspects:
    """Columns of a data set that are no ordinary features; those of several inputs are named `input.column`.

    betraying: how well a column alone predicts the target; identifiers that are not left out; numbering: other columns
    that number the rows in order; shuffled: others of whole numbers that all differ and lie close together; copies: the
    column that each repeats; groups: the number of values of each column whose rows may belong together; times; splits:
    the rows of each part, of columns that name the part of each row; beside: groups, times and splits that are arrays
    beside the features; measure: of how well; columns: the number of columns, which a study can leave out, 0 of other
    data than a single table.
    """

    betraying: dict[str, float]
    identifiers: list[str]
    numbering: list[str]
    shuffled: list[str]
    copies: dict[str, str]
    groups: dict[str, int]
    times: list[str]
    splits: dict[str, dict[str, int]]
    beside: frozenset[str]
    rows: int
    measure: str
    columns: int

    @classmethod
    def of(cls, dataset: Dataset) -> Suspects:
        """Return the columns that stand out."""
        raw, readings = dataset.rows.raw, dataset.rows.readings
        kinds, given = dataset.rows.options.columns, raw.given
        ids: list[str] = []
        numbering: list[str] = []
        shuffled: list[str] = []
        copies: dict[str, str] = {}
        groups: dict[str, int] = {}
        times: list[str] = []
        splits: dict[str, dict[str, int]] = {}
        likely: list[Array] = []
        for part, whole in columns.tables(raw.x):
            prefix, read = f"{part}." if part else "", readings.get(part, Readings())
            unusable = [name for name, reading in read.items() if reading.kind in ("empty", "nested")]
            table = whole.drop(columns=unusable)
            named, in_order = identifiers.of(table, kinds, given)
            ids += [prefix + name for name in named]
            numbering += [prefix + name for name in in_order]
            mixed = identifiers.shuffled(table, kinds, given)
            shuffled += [prefix + name for name in mixed if not columns.is_called_time(name)]
            same = columns.copies(table)
            copies |= {prefix + name: prefix + other for name, other in same.items()}
            found = columns.groups(table, read)
            found = {name: n for name, n in found.items() if same.get(name) not in found}
            groups |= {prefix + name: n for name, n in found.items()}
            likely += [columns.units(table[name]) for name in found]
            times += [prefix + name for name in columns.times(table, read)]
            splits |= {prefix + name: rows for name, rows in columns.splits(table).items()}
        beside = Beside.of(raw)
        measure = "balanced accuracy" if dataset.classes else "share of the variance of its ranks"
        return cls(
            betrayal.betrayers(dataset, [*likely, *beside.units]), ids, numbering, shuffled, copies,
            {**groups, **beside.groups}, [*(name for name in times if copies.get(name) not in times), *beside.times],
            {**splits, **beside.splits}, frozenset((*beside.groups, *beside.times, *beside.splits)),
            len(dataset.rows.labels.y), measure, len(raw.x.columns) if isinstance(raw.x, pd.DataFrame) else 0,
        )  # fmt: skip

    @property
    def needless(self) -> dict[str, str]:
        """The columns that a study may leave out, with reasons; groups, times and parts if they betray the target."""
        out = {
            **dict.fromkeys(self.identifiers, "identifiers"),
            **dict.fromkeys(self.numbering, "numbers of the rows, in order"),
            **dict.fromkeys(self.shuffled, "whole numbers that differ in every row"),
            **dict.fromkeys(self.copies, "the same as another column"),
            **dict.fromkeys(self.betraying, "if known only after the target"),
        }
        kept = {*self.groups, *self.times, *self.splits} - self.betraying.keys()
        out = {name: reason for name, reason in out.items() if name not in kept}
        return out if len(out) < self.columns else {}

    def lines(self) -> Iterator[str]:
        """Yield a line on what may make scores better than they are."""
        for name, score in list(self.betraying.items())[:SHOWN]:
            yield (
                f"{listed([name])} alone predicts the target ({self.measure} {score:.3f} on held-out rows): if it is "
                f"known only after the target, leave it out{self._drop([name])}"
            )
        if len(self.betraying) > SHOWN:
            yield f"{len(self.betraying) - SHOWN} more columns alone predict the target as well"
        if self.identifiers:
            are = "whole numbers that differ in every row, as identifiers do; new rows have others"
            yield f"{listed(self.identifiers)}: {are}{self._drop(self.identifiers)}"
        for name in self.shuffled[:SHOWN]:
            what = f"all {self.rows:,} values differ, and are whole numbers close together"
            yield f"{listed([name])}: {what}: is it an identifier? New rows have others{self._drop([name])}"
        for name, other in list(self.copies.items())[:SHOWN]:
            yield f"{listed([name])}: the same as {listed([other])} in every row{self._drop([name])}"
        for name, rows in self.splits.items():
            use = "is used for nothing" if name in self.beside else "is a feature like any other"
            counts = ", ".join(f"{number:,} {part}" for part, number in rows.items())
            yield f"{listed([name])}: names the part of each row ({counts}), and {use}{self._cut('split', name)}"
        for name in filter(columns.is_group, self.groups):
            remedy = self._cut("group", name)
            yield (
                f"{listed([name])}: {self.groups[name]:,} values in {self.rows:,} rows; where rows of one {name} stand "
                f"on both sides of a split, scores are better than they will be for a new one{remedy}"
            )

    def _cut(self, key: str, name: str) -> str:
        """Return the key that cuts the rows by a column, which can be one of a single table or an array beside."""
        return f": data.{key} = {_quoted(name)}" if self.columns or name in self.beside else ""

    def _drop(self, names: Sequence[str]) -> str:
        """Return the key that leaves columns out, of which the study does not need all."""
        return f": data.drop = {_quoted(list(names))}" if self.needless.keys() >= set(names) else ""


@dataclass(frozen=True, slots=True)
class Beside:
    """Arrays beside the features that are likely groups, times and parts; units: numbers `(n,)` of each grouping."""

    groups: dict[str, int]
    times: list[str]
    splits: dict[str, dict[str, int]]
    units: list[Array]

    @classmethod
    def of(cls, raw: Raw) -> Beside:
        """Return those among the unused arrays of a source."""
        columns_of_x = set(raw.x.columns) if isinstance(raw.x, pd.DataFrame) else set()
        table = pd.DataFrame({name: column for name, column in raw.beside.items() if name not in columns_of_x})
        try:
            readings = Readings.of(table)
        except DataError:  # objects that are no values; they are used for nothing
            readings = Readings()
        table = table[[name for name, reading in readings.items() if reading.kind not in ("empty", "nested")]]
        if table.empty:
            return cls({}, [], {}, [])
        whole = table.join(raw.x) if isinstance(raw.x, pd.DataFrame) else table
        groups = columns.groups(whole, readings)
        units = [columns.units(table[name]) for name in groups]
        return cls(groups, columns.times(table, readings), columns.splits(table), units)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def of(dataset: Dataset, metric: Metric) -> list[str]:
    """Return what may make the scores of this data better than they are, or differences of them noise."""
    return [*Suspects.of(dataset).lines(), *of_noise(dataset, metric)]


def of_noise(dataset: Dataset, metric: Metric) -> list[str]:
    """Return a line on differences of scores that are noise, where these are large; the formulas: `noise`."""
    if dataset.task == "segmentation":
        return []
    y = np.concatenate([fold.validation.y for fold in dataset.folds])
    layout = dataset.rows.layout
    units = None if layout.dependent is None else np.concatenate([fold.validation.units for fold in dataset.folds])
    number = noise.count(units, len(y))
    error, relative = noise.standard_error(metric, y, units), noise.relative_error(metric, y, units)
    if not error >= NOISY and not relative >= NOISY_ERROR:
        return []
    size, shown = (error, "{:.2g}") if error >= NOISY else (relative, "{:.0%}")
    differences = f"differences under {shown.format(size)} in {metric.name} are noise (one standard error)"
    line = f"{_rows(dataset, y, units)}: {differences}"
    if dataset.further_folds or not can_fold(dataset.rows) or not noise.falls_with_rows(metric):
        return [line]
    fewer = shown.format(size * math.sqrt(number / layout.independent(dataset.rows.development)))
    return [f"{line}; with data.folds = {FOLDS}, which scores every row outside the test, those under {fewer}"]


def can_fold(rows: LoadedRows) -> bool:
    """Return whether all rows outside the test can be validated in turn: neither times nor the source say which are."""
    layout, development = rows.layout, rows.development
    is_given = layout.times is not None or layout.has(VALIDATION)
    groups = None if layout.groups is None else layout.groups[development]
    return not is_given and noise.count(groups, len(development)) >= FOLDS


def _rows(dataset: Dataset, y: Any, units: Array | None) -> str:
    """Return `validation has 200 rows, 9 of them of class yes`, or the groups or times of these rows and of a class."""
    layout = dataset.rows.layout
    by_time = layout.times is not None and units is not None
    what = "times" if by_time else "groups" if layout.grouped else ""
    units = units if what else None
    newest = "" if layout.times is None else ", the newest rows before the test,"
    has = f"validation{newest} has {len(y):,} rows{f' of {noise.count(units, len(y)):,} {what}' if what else ''}"
    if not dataset.classes:
        return has
    masks = (y.T == 1) if y.ndim == 2 else [y == label for label in range(dataset.n_classes)]
    counts = [noise.count(None if units is None else units[mask], int(mask.sum())) for mask in masks]
    rarest = int(np.argmin(counts))
    kind = "with label" if y.ndim == 2 else "with class" if what else "of class"
    return f"{has}, {counts[rarest]:,} of them {kind} {listed([dataset.classes[rarest]])}"
