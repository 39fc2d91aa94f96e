"""Tests for plugins: `test_losses = lossreg.testing.conformance("my_loss")`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from lossreg.conformance import CHECKS, Result, Suite, check
from lossreg.contract.spec import LossSpec

__all__ = ["check", "conformance"]


def conformance(*losses: str | LossSpec) -> Callable[..., None]:
    """Return a pytest test of these losses, parametrised over losses and checks.

    losses: registered names or specs. The message of a check that fails is one sentence. Raises `ValueError`
    without any loss.
    """
    import pytest

    if not losses:
        raise ValueError("conformance() takes at least one loss")
    suites = [cache(lambda loss=loss: Suite(loss)) for loss in losses]
    cases = [
        pytest.param(suite, name, id=f"{getattr(loss, 'name', loss)}-{name}")
        for loss, suite in zip(losses, suites, strict=True)
        for name in CHECKS
    ]

    @pytest.mark.parametrize(("suite", "check"), cases)
    def test_conformance(suite: Callable[[], Suite], check: str) -> None:
        result: Result = suite().run(check)
        if not result.ok:
            pytest.fail(f"{check}: {result.message}", pytrace=False)

    passed: Any = test_conformance
    return passed  # type: ignore[no-any-return]
