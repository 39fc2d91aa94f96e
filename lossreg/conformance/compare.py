"""Whether two arrays of numbers are the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossreg.conformance.case import shown
from lossreg.conformance.tensorflow import Array

# of the same sum of float64 numbers in another order
EXACT = 1e-9


def differ(found: Array, wanted: Array, rtol: float = EXACT) -> int | None:
    """The first place where two arrays differ by more than rtol of their size, None if nowhere; NaN differs."""
    scale = np.abs(wanted) + np.median(np.abs(wanted)) + 1e-12
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(found - wanted) <= rtol * scale)
    return int(np.argmax(bad.ravel())) if bad.any() else None


def apiece(found: Any, wanted: Any) -> str:
    """How far two numbers or rows lie apart, where they look the same as shown; else empty."""
    if shown(found) != shown(wanted):
        return ""
    gap = np.max(np.abs(np.asarray(found, float) - np.asarray(wanted, float)))
    return f" (apart by {gap:.2g})"


def apart(one: Array, other: Array) -> float:
    """How far `one` is from the nearest multiple of `other`, relative to its size."""
    a, b = one.ravel(), other.ravel()
    size = float(np.linalg.norm(a))
    if not size or not np.linalg.norm(b):
        return float(size != np.linalg.norm(b))
    return float(np.linalg.norm(a - b * (a @ b) / (b @ b)) / size)
