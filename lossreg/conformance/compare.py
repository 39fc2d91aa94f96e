"""Comparison of arrays of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossreg.conformance.case import shown
from lossreg.conformance.tensorflow import Array

# of the same sum of float64 numbers in another order
EXACT = 1e-9


def first_difference(actual: Array, expected: Array, rtol: float = EXACT) -> int | None:
    """The first (flat) index at which two arrays differ by more than rtol of their size, or None; NaN differs."""
    scale = np.abs(expected) + np.median(np.abs(expected)) + 1e-12
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(actual - expected) <= rtol * scale)
    return int(np.argmax(bad.ravel())) if bad.any() else None


def gap_note(actual: Any, expected: Any) -> str:
    """The difference of two numbers or vectors in words where both are shown alike; else empty."""
    if shown(actual) != shown(expected):
        return ""
    gap = np.max(np.abs(np.asarray(actual, float) - np.asarray(expected, float)))
    return f" (apart by {gap:.2g})"


def relative_distance(one: Array, other: Array) -> float:
    """The distance of `one` from the nearest multiple of `other`, relative to its size."""
    a, b = one.ravel(), other.ravel()
    size = float(np.linalg.norm(a))
    if not size or not np.linalg.norm(b):
        return float(size != np.linalg.norm(b))
    return float(np.linalg.norm(a - b * (a @ b) / (b @ b)) / size)
