"""The target of a study: how its classes or numbers are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.data.labels import MANY_ZEROS

Array = NDArray[Any]

FAR = 5.0  # robust standard deviations from the median
HEAVY = 0.3  # of the variance that lies in far values, from which they decide about squared errors
LARGE = 1000.0  # of which a Poisson distribution would deviate by 3%
RARELY = 10  # times as many zeros as ones, of sums
UNEQUAL = 3.0  # times as many rows of the commonest class as of the rarest


@dataclass(frozen=True, slots=True)
class Numbers:
    """The distribution of a target of numbers.

    far, far_share: the number of values more than `FAR` robust standard deviations (1.4826 MAD, or the standard
    deviation where that is 0) from the median, and their share of the sum of squared deviations from it; skewness: the
    third standardised moment; kurtosis: the fourth, less the 3 of a normal distribution; dispersion: variance over
    mean, 1 of a Poisson distribution; NaN where the mean is not above 0; ones: the share of values that are 1; step:
    the largest number that divides all of them, 0 where some are not whole.
    """

    low: float
    median: float
    mean: float
    high: float
    deviation: float
    skewness: float
    kurtosis: float
    zeros: float
    far: int
    far_share: float
    dispersion: float
    is_whole: bool
    distinct: int
    ones: float
    step: int

    @classmethod
    def of(cls, y: Array) -> Numbers:
        """Return the distribution of values `(n,)`, which are not all the same."""
        values = np.asarray(y, np.float64)
        median, mean, deviation = float(np.median(values)), float(values.mean()), float(values.std())
        scale = 1.4826 * float(np.median(np.abs(values - median))) or deviation
        standard, squares = (values - mean) / deviation, (values - median) ** 2
        far = np.abs(values - median) > FAR * scale
        is_whole = bool((values == np.floor(values)).all())
        is_exact = is_whole and float(np.abs(values).max()) < 2**53
        return cls(
            float(values.min()), median, mean, float(values.max()), deviation, float((standard**3).mean()),
            float((standard**4).mean() - 3), float((values == 0).mean()), int(far.sum()),
            float(squares[far].sum() / squares.sum()), deviation**2 / mean if mean > 0 else float("nan"),
            is_whole, len(np.unique(values)), float((values == 1).mean()),
            int(np.gcd.reduce(values.astype(np.int64))) if is_exact else 0,
        )  # fmt: skip

    @property
    def has_outliers(self) -> bool:
        """True where few far values make up much of the variance."""
        return self.far > 0 and self.far_share >= HEAVY

    @property
    def are_amounts(self) -> bool:
        """True where whole numbers are sums of money and the like rather than counts.

        They are all round, or all large; or 0 is common and 1 is not.
        """
        return self.step > 1 or self.low >= LARGE or max(RARELY * self.ones, MANY_ZEROS) <= self.zeros


def counts(y: Array, number: int, *, several: bool) -> Array:
    """Return the rows of each class, or with each label."""
    sums: Array = y.sum(axis=0) if several else np.bincount(y.ravel(), minlength=number)
    return sums


def are_unequal(rows: Array) -> bool:
    """Return whether the commonest class has at least `UNEQUAL` times as many rows as the rarest."""
    return bool(rows.max() >= UNEQUAL * max(rows.min(), 1))
