"""What every test has: a quiet TensorFlow with one thread an operation, as studies have it."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def _tensorflow_as_in_studies():
    if "tensorflow" in sys.modules:
        from lossreg.trainers import backend

        backend.start()
