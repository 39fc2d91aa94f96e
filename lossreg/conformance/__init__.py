"""The conformance suite: named checks that a correct loss passes.

Each says what it found, with the numbers, and what would correct it. They read what the spec
declares (non-differentiable points, truncation, level, minimum, ...) and hold the loss to it.
`lossreg check NAME` runs them; `lossreg.testing` brings them into a plugin's own tests.
"""

from __future__ import annotations

from lossreg.conformance.base import Check, Failure, Result
from lossreg.conformance.suite import CHECKS, Suite, check

__all__ = ["CHECKS", "Check", "Failure", "Result", "Suite", "check"]
