"""The difference between two arms, and its interval, in the units of the metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lossreg.storage.verdict import Comparison

# significant digits of half an interval
DIGITS = 2


def known(comparison: Comparison | None) -> Comparison | None:
    """Return a comparison that has finite numbers, else None."""
    values = (comparison.difference, comparison.low, comparison.high) if comparison else (None,)
    return comparison if all(value is not None and math.isfinite(value) for value in values) else None


def won(comparison: Comparison, *, in_percent: bool = False) -> str:
    """Return the repeats in which the winner was better: `12 of 20`, or `58% of 20` where ties count half."""
    if in_percent or comparison.has_ties:
        return f"{comparison.share_won:.0%} of {comparison.repeats}"
    return f"{comparison.won:g} of {comparison.repeats}"


@dataclass(frozen=True, slots=True)
class Rounding:
    """The decimals with which a difference and its interval are shown, so that half of the interval has two digits."""

    decimals: int

    @classmethod
    def of(cls, comparison: Comparison) -> Rounding:
        """Return the rounding of a comparison; that of the difference where the interval has no width."""
        return cls.of_size(comparison.half or abs(comparison.difference))

    @classmethod
    def of_size(cls, size: float) -> Rounding:
        """Return the rounding that leaves a value of this size two digits."""
        return cls(DIGITS - 1 - math.floor(math.log10(size)) if size else 3)

    def text(self, value: float) -> str:
        """Return the size of a value, `0.012`; very small ones as `1.2e-09`."""
        if self.decimals > 7 and value:
            return f"{abs(value):.{DIGITS - 1}e}"
        return f"{abs(round(value, self.decimals)):.{max(self.decimals, 0)}f}"

    def score(self, value: float | None) -> str:
        """Return a score with as many decimals; empty where there is none, or no finite one."""
        return "" if value is None or not math.isfinite(value) else f"{value:.{max(self.decimals, 0)}f}"

    def is_zero(self, value: float) -> bool:
        """True if nothing is left of a value."""
        return not float(self.text(value))


@dataclass(frozen=True, slots=True)
class Change:
    """A comparison as a change of the metric in its own units."""

    comparison: Comparison
    is_maximized: bool
    of_table: Rounding | None = None

    @property
    def rounding(self) -> Rounding:
        """The rounding of all its numbers: that of the table in which they stand, if any."""
        return self.of_table or Rounding.of(self.comparison)

    @property
    def size(self) -> str:
        """The difference, `0.012 higher`; empty where nothing is left of it."""
        value = self.comparison.difference
        if self.rounding.is_zero(value):
            return ""
        return f"{self.rounding.text(value)} {self._side(value)}"

    @property
    def interval(self) -> str:
        """The 95% interval: `0.004 lower to 0.028 higher`, or `0.012 to 0.050 higher`."""
        text, (near, far) = self.rounding.text, sorted(self.comparison.interval, key=abs)
        if near * far >= 0:
            return f"{text(near)} to {text(far)}{'' if self.rounding.is_zero(far) else f' {self._side(far)}'}"
        low, high = sorted((near, far), reverse=not self.is_maximized)
        return f"{text(low)} {self._side(low)} to {text(high)} {self._side(high)}"

    def signed(self, value: float) -> str:
        """Return a difference, or an end of its interval, above 0 where the winner is better: `+0.012`, `0.000`."""
        text = self.rounding.text(value)
        return text if self.rounding.is_zero(value) else f"{'+' if value > 0 else '-'}{text}"

    def _side(self, value: float) -> str:
        return "higher" if (value > 0) == self.is_maximized else "lower"
