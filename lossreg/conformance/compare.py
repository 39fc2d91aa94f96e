"""Whether two arrays of numbers are the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossreg.conformance.case import shown
from lossreg.conformance.tensorflow import Array

# of the same sum of float64 numbers in another order
EXACT = 1e-9


def first_difference(actual: Array, expected: Array, rtol: float = EXACT) -> int | None:
    """The first place where two arrays differ by more than rtol of their size, None if nowhere; NaN differs."""
    scale = np.abs(expected) + np.median(np.abs(expected)) + 1e-12
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(actual - expected) <= rtol * scale)
    return int(np.argmax(bad.ravel())) if bad.any() else None


def gap_note(actual: Any, expected: Any) -> str:
    """How far two numbers or rows lie apart, where they look the same as shown; else empty."""
    if shown(actual) != shown(expected):
        return ""
    gap = np.max(np.abs(np.asarray(actual, float) - np.asarray(expected, float)))
    return f" (apart by {gap:.2g})"


def relative_distance(one: Array, other: Array) -> float:
    """How far `one` is from the nearest multiple of `other`, relative to its size."""
    a, b = one.ravel(), other.ravel()
    size = float(np.linalg.norm(a))
    if not size or not np.linalg.norm(b):
        return float(size != np.linalg.norm(b))
    return float(np.linalg.norm(a - b * (a @ b) / (b @ b)) / size)
