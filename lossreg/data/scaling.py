"""Standardisation of numbers of any size to mean 0 and deviation 1, and limits for values that are far too large."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler

Values = NDArray[np.float64]
# float32 tells neighbours apart as long as the farthest is no more than this many times as far off
FAR = 2.0**30
# from here on a unit is lost in float32
LARGE = 2.0**24
BEYOND = 1e300  # beside any number, which a division by it makes 0
SAFE = 1e100  # squares of what is below are finite
SAMPLE = 1_000_000
COARSE = 0.01  # steps of a hundredth of the spread change a loss by 0.03%, of a quarter by 10% (huber, delta 1.345)


class Limits(NamedTuple):
    """The range of plausible numbers of a column, or of each column, given its training rows."""

    low: Any
    high: Any

    @classmethod
    def of(cls, values: Values) -> Limits:
        """Return the limits for training values `(n,)`: the median plus and minus a billion times the usual distance.

        The usual distance is the median of the distances from the median that are not 0, and 1 if all are 0.
        """
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls(-np.inf, np.inf)
        finite = finite[:: max(1, finite.size // SAMPLE)]
        with np.errstate(over="ignore"):
            middle = float(np.median(finite / 4)) * 4  # two of the largest numbers have no mean
            distances = np.abs(finite - middle)
            apart = distances[distances > 0]
            reach = FAR * float(np.median(apart)) if apart.size else max(FAR, abs(middle) / LARGE)
            return cls(middle - reach, middle + reach)

    def outside(self, values: Any) -> NDArray[np.bool_]:
        """Return a mask of the values outside the limits; missing values are not."""
        with np.errstate(invalid="ignore"):
            outside: NDArray[np.bool_] = (values < self.low) | (values > self.high)
        return outside


class Units(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Divides columns by a power of two where the squares of their numbers would overflow or underflow."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the size of columns `(n, width)`, which may have gaps."""
        values = np.asarray(X, np.float64)
        self.unit_ = _units(np.nanmax(np.abs(values), axis=0, initial=0, where=~np.isnan(values)))
        self.n_features_in_ = values.shape[1]
        return self

    def transform(self, X: Any) -> Values:
        """Return the same columns in these units."""
        values: Values = np.asarray(X, np.float64) / self.unit_
        return values


class Scaler(StandardScaler):  # type: ignore[misc]
    """`StandardScaler` in which a column with one value is 0, in further rows too: its weight is not trained."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn mean and deviation of columns `(n, width)` without gaps."""
        values = np.asarray(X, np.float64)
        low, high = values.min(axis=0), values.max(axis=0)
        self.mean_: Values
        self.scale_: Values
        super().fit(values, y, sample_weight)
        constant, alike = low == high, (self.scale_ == 1) & (self.var_ != 1)
        self.mean_ = np.where(constant, low, self.mean_)
        # what differs by rounding alone stays small
        self.scale_ = np.where(alike, np.maximum(1.0, high - low), self.scale_)
        self.scale_ = np.where(constant, BEYOND, self.scale_)
        return self


def coarse(center: float, scale: float, task: str) -> list[str]:
    """Return a note on a target that is so far from 0 for its spread that float32 merges neighbouring values."""
    step = float(np.spacing(np.float32(abs(center))))
    if step <= COARSE * scale:
        return []
    with_task = "" if task == "regression" else ' and set task = "regression"'
    held = f"float32 goes in steps of {step:.4g}, {step / scale:.0%} of that"
    return [
        f"The target varies by {scale:.4g} around {center:.6g}, where {held}: a recipe in model.fit on raw targets and "
        f"the predictions of the kept model are no finer. Subtract {center:.6g} from the target{with_task}."
    ]


def unit(values: NDArray[Any]) -> float:
    """Return a power of two for values of any shape whose squares a float could not hold, 1 for others."""
    size = max(abs(float(values.min())), abs(float(values.max()))) if values.size else 0.0
    return float(_units(np.array([size]))[0])


def _units(sizes: Values) -> Values:
    """Return a power of two for each column whose squares a float could not hold, 1 for the others."""
    odd = (sizes > SAFE) | ((sizes < 1 / SAFE) & (sizes > 0))
    return np.where(odd, np.exp2(np.floor(np.log2(np.where(odd, sizes, 1.0)))), 1.0)
