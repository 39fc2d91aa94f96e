"""The loss under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lossreg.spec import LossSpec


@dataclass
class Subject:
    """A loss under test."""

    spec: LossSpec
    golden: list[dict[str, Any]] | None = None
