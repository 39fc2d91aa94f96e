"""The tracking process as a thread of the tests: MLflow is imported once, and its client can be made to fail."""

from __future__ import annotations

import os
import threading

# MLflow imports it in a thread, and scikit-learn takes it for whole as soon as that has begun
import polars  # noqa: F401

from lossreg.tracking import worker


class Inline:
    """A stand-in for `lossreg.tracking.worker.Process` without a process."""

    def __init__(self):
        (inner, outer), (heard, message) = os.pipe(), os.pipe()
        self.lines, self.answers = os.fdopen(outer, "wb"), os.fdopen(heard, "rb")
        ends = os.fdopen(inner, "rb"), os.fdopen(message, "wb")
        threading.Thread(target=self.serve, args=ends, daemon=True).start()

    def serve(self, lines, answers):
        worker.serve(lines, answers)
        answers.close()

    def kill(self):
        pass

    def wait(self):
        return 0
