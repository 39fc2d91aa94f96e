"""What every test has: a quiet TensorFlow with one thread an operation, as studies have it."""

from __future__ import annotations

import os
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session", autouse=True)
def _one_thread_an_operation():
    if "tensorflow" in sys.modules:
        from lossreg.trainers.lanes import one_thread_an_operation

        one_thread_an_operation()
