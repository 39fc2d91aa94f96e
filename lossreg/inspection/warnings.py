"""Warnings about data and metric of a study, which `lossreg init`, a dry run and the notes of a run have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data.dataset import Dataset
from lossreg.data.origin import listed
from lossreg.data.reading import Readings
from lossreg.inspection import betrayal, columns, noise
from lossreg.metrics.catalogue import Metric

SHOWN = 5
NOISY = 0.04  # of a score between 0 and 1, from which its noise is said
NOISY_ERROR = 0.06  # of a mean error, relative to it


@dataclass(frozen=True, slots=True)
class Suspects:
    """Columns of a data set that are no ordinary features; those of several inputs are named `input.column`.

    betraying: how well a column alone predicts the target; identifiers; copies: the column that each repeats; groups:
    the number of values of each column whose rows may belong together; times; measure: of how well; columns: the number
    of columns, which a study can leave out, 0 of other data than a single table.
    """

    betraying: dict[str, float]
    identifiers: list[str]
    copies: dict[str, str]
    groups: dict[str, int]
    times: list[str]
    rows: int
    measure: str
    columns: int

    @classmethod
    def of(cls, dataset: Dataset) -> Suspects:
        """Return the columns that stand out."""
        x, readings = dataset.rows.raw.x, dataset.rows.readings
        identifiers: list[str] = []
        copies: dict[str, str] = {}
        groups: dict[str, int] = {}
        times: list[str] = []
        for part, whole in columns.tables(x):
            prefix, read = f"{part}." if part else "", readings.get(part, Readings())
            unusable = [name for name, reading in read.items() if reading.kind in ("empty", "nested")]
            table = whole.drop(columns=unusable)
            identifiers += [prefix + name for name in columns.identifiers(table)]
            copies |= {prefix + name: prefix + other for name, other in columns.copies(table).items()}
            groups |= {prefix + name: n for name, n in columns.groups(table, read).items()}
            times += [prefix + name for name in columns.times(table, read)]
        measure = "balanced accuracy" if dataset.classes else "share of the variance of its ranks"
        return cls(
            betrayal.betrayers(dataset), identifiers, copies, groups, times, len(dataset.rows.labels.y), measure,
            len(x.columns) if isinstance(x, pd.DataFrame) else 0,
        )  # fmt: skip

    @property
    def useless(self) -> dict[str, str]:
        """The columns that a study file of `init` leaves out, with the reasons."""
        copies = dict.fromkeys(self.copies, "the same as another column")
        out = dict.fromkeys(self.identifiers, "identifiers") | copies
        return out if len(out) < self.columns else {}

    def lines(self, settled: Collection[str] = ()) -> Iterator[str]:
        """Yield a line on what may make scores better than they are; settled: columns whose part the study names."""
        betraying = {name: score for name, score in self.betraying.items() if name not in settled}
        for name, score in list(betraying.items())[:SHOWN]:
            yield (
                f"{listed([name])} alone predicts the target ({self.measure} {score:.3f} on held-out rows): if it is "
                f"known only after the target, leave it out{self._drop([name])}"
            )
        if len(betraying) > SHOWN:
            yield f"{len(betraying) - SHOWN} more columns alone predict the target as well"
        if identifiers := [name for name in self.identifiers if name not in settled]:
            are = "whole numbers that differ in every row, as identifiers do; new rows have others"
            yield f"{listed(identifiers)}: {are}{self._drop(identifiers)}"
        copies = {name: other for name, other in self.copies.items() if name not in settled}
        for name, other in list(copies.items())[:SHOWN]:
            yield f"{listed([name])}: the same as {listed([other])} in every row{self._drop([name])}"
        for name in [name for name in self.groups if columns.is_group(name) and name not in settled]:
            yield (
                f"{listed([name])}: {self.groups[name]:,} values in {self.rows:,} rows; where rows of one {name} stand "
                "on both sides of a split, scores are better than they will be for a new one"
            )

    def _drop(self, names: Sequence[str]) -> str:
        """Return the key that leaves columns out."""
        return f": data.drop = {json.dumps(list(names), ensure_ascii=False)}" if self.columns else ""


def of(dataset: Dataset, metric: Metric, settled: Collection[str] = ()) -> list[str]:
    """Return what may make the scores of this data better than they are, or differences of them noise.

    settled: columns of which the study says what they are, such as groups.
    """
    return [*Suspects.of(dataset).lines(settled), *of_noise(dataset, metric)]


def of_noise(dataset: Dataset, metric: Metric) -> list[str]:
    """Return a line on differences of scores that are noise, where these are large; the formulas: `noise`."""
    if dataset.task == "segmentation":
        return []
    y = np.concatenate([fold.validation.y for fold in dataset.folds])
    error, relative = noise.standard_error(metric, y), noise.relative_error(metric, len(y))
    if not error >= NOISY and not relative >= NOISY_ERROR:
        return []
    size, shown = (error, "{:.2g}") if error >= NOISY else (relative, "{:.0%}")
    differences = f"differences under {shown.format(size)} in {metric.name} are noise (one standard error)"
    if dataset.further_folds:
        return [f"{_rows(dataset, y)}: {differences}"]
    fewer = shown.format(size * math.sqrt(len(dataset.validation) / len(dataset.rows.development)))
    all_rows = f"with data.folds = 5, which scores every row outside the test, those under {fewer}"
    return [f"{_rows(dataset, y)}: {differences}; {all_rows}"]


def _rows(dataset: Dataset, y: Any) -> str:
    """Return `validation has 200 rows, 9 of them of class yes`."""
    has = f"validation has {len(y):,} rows"
    if not dataset.classes:
        return has
    counts = y.sum(axis=0) if y.ndim == 2 else np.bincount(y, minlength=dataset.n_classes)
    rarest = int(counts.argmin())
    kind = "with label" if y.ndim == 2 else "of class"
    return f"{has}, {counts[rarest]:,} of them {kind} {listed([dataset.classes[rarest]])}"
