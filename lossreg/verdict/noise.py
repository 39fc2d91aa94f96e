"""Losses that a few fresh splits do not show to be worse than another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr


def p_values(first: ArrayLike, others: Mapping[str, ArrayLike], ratio: float) -> dict[str, float]:
    """Return for each of `others` how likely its deficit against `first` is if it is as good: small where it is worse.

    first, others: scores on the same random splits of one set of rows, higher is better; ratio: validation rows per
    training row of a split. One-sided paired t-tests with a variance that allows for rows which splits share, adjusted
    for their number by Holm's method. Source: Nadeau and Bengio 2003, Inference for the generalization error (the
    corrected resampled t-test).
    """
    single = {name: _p_value(np.subtract(first, scores), ratio) for name, scores in others.items()}
    order = sorted(single, key=single.__getitem__)
    adjusted = np.maximum.accumulate([single[name] * (len(order) - place) for place, name in enumerate(order)])
    return dict(zip(order, np.minimum(adjusted, 1.0).tolist(), strict=True))


def _p_value(gains: NDArray[np.float64], ratio: float) -> float:
    mean, error = gains.mean(), gains.std(ddof=1) * np.sqrt(1 / len(gains) + ratio)
    return float(stdtr(len(gains) - 1, -mean / error) if error else mean <= 0)
