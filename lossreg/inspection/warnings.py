"""Warnings about data and metric of a study, which `lossreg init`, a dry run and the notes of a run have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.data.dataset import Dataset
from lossreg.data.loaded_rows import LoadedRows
from lossreg.data.origin import listed
from lossreg.data.parts import VALIDATION
from lossreg.errors import count_of
from lossreg.inspection import noise
from lossreg.inspection.suspects import Suspects
from lossreg.metrics.catalogue import Metric
from lossreg.verdict import shortage

Array = NDArray[Any]

NOISY = 0.04  # of a score between 0 and 1, from which its noise is said
NOISY_ERROR = 0.06  # of a mean error, relative to it
FOLDS = 5  # that are advised
ADVICE = f"with data.folds = {FOLDS}, which validates on all rows but the test rows,"


def of(dataset: Dataset, metric: Metric) -> list[str]:
    """Return what may make the scores of this data better than they are, or differences of them noise."""
    return [*Suspects.of(dataset).lines(), *of_noise(dataset, metric)]


def of_verdict(dataset: Dataset, metric: Metric, outer: int | None = None) -> list[str]:
    """Return a line on a verdict that rows, or those of a class, are too few for; outer: as in `shortage.foreseen`."""
    return list(filter(None, [shortage.foreseen(dataset, metric, outer)]))


def of_noise(dataset: Dataset, metric: Metric) -> list[str]:
    """Return a line on the standard error of scores, where it is large; the formulas: `noise`."""
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
    error_of = f"the standard error of {metric.name} is {shown.format(size)}, and smaller differences may be chance"
    line = f"{_rows(dataset, y, units)}: {error_of}"
    if dataset.further_folds or not can_fold(dataset.rows) or not noise.falls_with_rows(metric):
        return [line]
    fewer = shown.format(size * math.sqrt(number / layout.independent(dataset.rows.development)))
    return [f"{line}; {ADVICE} it is {fewer}"]


def can_fold(rows: LoadedRows) -> bool:
    """Return whether all rows outside the test can be validated in turn: neither times nor the source say which are."""
    layout, development = rows.layout, rows.development
    is_given = layout.times is not None or layout.has(VALIDATION)
    groups = None if layout.groups is None else layout.groups[development]
    return not is_given and noise.count(groups, len(development)) >= FOLDS


def _rows(dataset: Dataset, y: Any, units: Array | None) -> str:
    """Return `validation has 200 rows, 9 of them of class yes`, or how many of its groups or times have such rows."""
    layout = dataset.rows.layout
    by_time = layout.times is not None and units is not None
    what = "time" if by_time else "group" if layout.grouped else ""
    units = units if what else None
    newest = "" if layout.times is None else ", the newest rows before the test,"
    of = f" of {count_of(noise.count(units, len(y)), what)}" if what else ""
    has = f"validation{newest} has {count_of(len(y), 'row')}{of}"
    if not dataset.classes:
        return has
    masks = (y.T == 1) if y.ndim == 2 else [y == label for label in range(dataset.n_classes)]
    counts = [noise.count(None if units is None else units[mask], int(mask.sum())) for mask in masks]
    rarest = int(np.argmin(counts))
    kind = "with label" if y.ndim == 2 else "of class"
    has_rows = f"of these {what}s {'has' if counts[rarest] == 1 else 'have'} rows" if what else "of them"
    return f"{has}, {counts[rarest]:,} {has_rows} {kind} {listed([dataset.classes[rarest]])}"
