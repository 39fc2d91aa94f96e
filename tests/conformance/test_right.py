"""The conformance suite against right but unusual losses, which it must let pass."""

import pytest
import right
from quick import QUICK, long_but

from lossreg.conformance import check

SOUND = {spec.name: spec for spec in right.SOUND}


@pytest.mark.parametrize("name", long_but(list(SOUND)[::3], SOUND))
def test_right_loss_passes_every_quick_check(name):
    assert [result for result in check(SOUND[name], QUICK) if not result.ok] == []


@pytest.mark.long
@pytest.mark.parametrize("name", SOUND)
def test_right_loss_passes_every_check(name):
    assert [result for result in check(SOUND[name]) if not result.ok] == []


def test_right_losses_are_many():
    assert len(SOUND) == len(right.SOUND) >= 20
