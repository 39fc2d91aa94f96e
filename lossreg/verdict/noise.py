"""Losses that a few fresh splits do not show to be worse than another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

ROUNDING = 1e-9  # of scores


def p_values(first: ArrayLike, others: Mapping[str, ArrayLike], ratio: float) -> dict[str, float]:
    """Return for each of `others` how likely its deficit against `first` is if it is as good: small where it is worse.

    first, others: scores on the same random splits of one set of rows, higher is better; ratio: validation rows per
    training row of a split. One-sided paired t-tests with a variance that allows for rows which splits share, adjusted
    for their number by Holm's method. Source: Nadeau and Bengio 2003, Inference for the generalization error (the
    corrected resampled t-test). Gains that are equal on all splits do not show how they vary, so the spread of the
    scores stands in, as if they were not paired; where these are equal too, one that is worse has 0.
    """
    single = {name: _p_value(np.asarray(first), np.asarray(scores), ratio) for name, scores in others.items()}
    order = sorted(single, key=single.__getitem__)
    adjusted = np.maximum.accumulate([single[name] * (len(order) - place) for place, name in enumerate(order)])
    return dict(zip(order, np.minimum(adjusted, 1.0).tolist(), strict=True))


def _p_value(first: NDArray[np.float64], other: NDArray[np.float64], ratio: float) -> float:
    gains, rounding = first - other, ROUNDING * np.abs([first, other]).max()
    mean, spread = gains.mean(), gains.std(ddof=1)
    if spread <= rounding:
        if mean <= rounding:
            return 1.0
        spread = np.hypot(first.std(ddof=1), other.std(ddof=1))
    error = spread * np.sqrt(1 / len(gains) + ratio)
    return float(stdtr(len(gains) - 1, -mean / error)) if spread > rounding else 0.0
