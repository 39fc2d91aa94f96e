"""Keras is imported without what its backend writes on standard error, whichever way it comes to that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from quick import long_but

ROOT = Path(__file__).parents[2]
REACHED = 7
KERAS = f"import os\nos.write(2, b'oneDNN custom operations are on')\nos._exit({REACHED})\n"  # in place of Keras
ROWS = "import numpy as np; x = np.random.default_rng(0).normal(size=(40, 2)); y = np.arange(40) % 2; "
QUICK = "trials=1, epochs=1, settings={'tracking': {'enabled': False}, 'verdict': {'enabled': False}}"
DOORS = {
    "a study": f"{ROWS} import lossreg; lossreg.tune(x, y, losses=['focal'], {QUICK}, progress=False)",
    "an estimator": f"{ROWS} from lossreg.sklearn import LossSearchClassifier as Search; "
    f"Search(['focal'], {QUICK}).fit(x, y)",
    "a tuner": "from lossreg.keras_tuner import LossTuner",
    "a predictor": "from lossreg.runtime import keras_file; keras_file.load('model.keras', compile=False)",
}  # fmt: skip


def run(code, tmp_path):
    (tmp_path / "keras.py").write_text(KERAS)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == REACHED, done.stderr
    return done.stderr


@pytest.mark.parametrize("door", long_but({"a study", "a tuner"}, DOORS))
def test_what_the_backend_writes_when_it_is_imported_is_dropped(door, tmp_path):
    assert run(DOORS[door], tmp_path) == ""


def test_a_process_without_standard_error_imports_it_too(tmp_path):
    run(f"import sys; sys.stderr = None; {DOORS['a predictor']}", tmp_path)
