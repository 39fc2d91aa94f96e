"""The door for plugin authors: the suite as a test of their own."""

import pytest

from lossreg import testing
from lossreg.conformance import CHECKS

AUTHOR = """
import lossreg.testing
from lossreg import LossSpec, ops

def backwards(y, z):
    return ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)

BACKWARDS = LossSpec(name="backwards", function=backwards, tasks=("multiclass",), summary="wrong", reference="none",
                     formula="log p", shift_invariant=True)

test_losses = lossreg.testing.conformance("huber", BACKWARDS)
"""


class Outcomes:
    """A pytest plugin that keeps what became of each test."""

    def __init__(self):
        self.reports = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.reports[report.nodeid.partition("[")[2].rstrip("]")] = report


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    file = tmp_path_factory.mktemp("author") / "test_author.py"
    file.write_text(AUTHOR)
    outcomes = Outcomes()
    pytest.main([str(file), "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent), "-c", "/dev/null"],
                plugins=[outcomes])  # fmt: skip
    return outcomes.reports


def test_every_check_of_every_loss_is_a_test_of_its_own(reports):
    assert set(reports) == {f"{loss}-{check}" for loss in ("huber", "backwards") for check in CHECKS}


def test_a_sound_loss_passes_and_a_wrong_one_fails_with_one_sentence(reports):
    assert all(reports[f"huber-{check}"].passed for check in CHECKS)
    message = str(reports["backwards-minimum"].longrepr)
    assert "minimum: " in message
    assert "Look for a sign" in message or "Bound it" in message
    assert "Traceback" not in message
    assert reports["backwards-shape"].passed


def test_no_loss_at_all_is_an_error():
    with pytest.raises(ValueError, match="at least one loss"):
        testing.conformance()
