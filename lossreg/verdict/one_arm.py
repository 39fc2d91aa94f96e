"""A metric of one arm on the test rows, with the interval that few rows leave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.metrics.catalogue import Metric
from lossreg.storage.verdict import Value
from lossreg.verdict import variation

RESAMPLES, FEWEST, ELEMENTS = 400, 100, 4e8


def value(
    metric: Metric, y: NDArray[Any], lanes: NDArray[Any], *, units: NDArray[Any] | None = None,
    folds: NDArray[np.int64] | None = None, seed: int = 0,
) -> Value | None:  # fmt: skip
    """Return the metric of predictions `(repeats, n, ...)`; None where it has no value.

    units: `(n,)` of the rows, which are resampled together, None where each is by itself; folds: as `variation.scores`.
    """
    of_repeats = variation.scores(metric, y, lanes, folds)
    if not len(of_repeats) or not np.isfinite(of_repeats).all():
        return None
    means = []
    for rows in _resampled(units, len(y), seed, len(lanes)):
        drawn = variation.scores(metric, y[rows], lanes[:, rows], None if folds is None else folds[rows])
        means.append(drawn.mean())
    known = np.array(means)[np.isfinite(means)]
    if 2 * len(known) < len(means):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return Value(float(of_repeats.mean()), float(low), float(high), len(lanes))


def _resampled(units: NDArray[Any] | None, rows: int, seed: int, lanes: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each resample: units drawn with replacement, with all of their rows."""
    rng, count = np.random.default_rng(seed), int(np.clip(ELEMENTS / (rows * lanes), FEWEST, RESAMPLES))
    if units is None:
        yield from (rng.integers(rows, size=rows) for _ in range(count))
        return
    order = np.argsort(units, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(units[order])) + 1)
    for _ in range(count):
        yield np.concatenate([parts[i] for i in rng.integers(len(parts), size=len(parts))])
