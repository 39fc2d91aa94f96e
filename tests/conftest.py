"""What every test has: a quiet TensorFlow with one thread an operation, as studies have it."""

from __future__ import annotations

import signal
import sys

import pytest

# Files that take longest come first, so that no worker is left alone with one at the end.
SLOW = (
    "test_conformance", "test_mutants", "test_population", "test_jax", "test_readme", "test_third_party", "test_sound",
    "test_search", "test_architectures", "test_zoo", "test_tracking_process", "test_optimizers", "test_tracking",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))


@pytest.fixture(scope="session", autouse=True)
def _tensorflow_as_in_studies():
    if "tensorflow" in sys.modules:
        from lossreg.training.backends import interface

        interface.start()


@pytest.fixture(scope="session", autouse=True)
def _signals_as_from_a_shell():
    """What runs under `nohup` or in the background ignores signals, and so do the commands that tests start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
