"""The conformance suite against right but unusual losses, which it must let pass."""

import pytest
import right
from quick import QUICK, long_but

from lossreg.conformance import check

LOSSES = {spec.name: spec for spec in right.LOSSES}


@pytest.mark.parametrize("name", long_but(list(LOSSES)[::3], LOSSES))
def test_right_loss_passes_every_quick_check(name):
    assert [result for result in check(LOSSES[name], QUICK) if not result.ok] == []


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSES)
def test_right_loss_passes_every_check(name):
    assert [result for result in check(LOSSES[name]) if not result.ok] == []


def test_right_losses_are_many():
    assert len(LOSSES) == len(right.LOSSES) >= 20
