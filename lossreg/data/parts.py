"""The parts that a source or its user gives rows to, and the words for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = 0, 1, 2
NAMES = ("train", "validation", "test")
WORDS = {
    **dict.fromkeys(("train", "training", "trn", "learn"), TRAIN),
    **dict.fromkeys(("validation", "validate", "val", "valid", "dev", "development"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "hold-out"), TEST),
}
KNOWN = 'Known: "train", "validation" (or "val", "valid", "dev") and "test".'


def counted(given: NDArray[np.int8]) -> str:
    """Return the number of rows of each part in words."""
    counts = np.bincount(given, minlength=len(NAMES)).tolist()
    return ", ".join(f"{count:,} {name}" for count, name in zip(counts, NAMES, strict=True) if count)
