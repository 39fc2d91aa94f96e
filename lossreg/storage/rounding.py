"""`exact`: numbers that are equal but for the order in which they were summed."""

from __future__ import annotations

# The mean of the same fold scores in another order differs in its last digits.
DIGITS = 12


def exact(score: float) -> float:
    """Return the score to `DIGITS` significant digits: scores that agree to them are equal."""
    return float(f"{score:.{DIGITS}g}")
