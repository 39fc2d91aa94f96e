"""The direction of a metric: whether higher values are better."""

from __future__ import annotations


def sign(direction: str) -> float:
    """Return 1 where a higher value is better (`maximize`), else -1."""
    return 1.0 if direction == "maximize" else -1.0
