"""Training with Keras on JAX, in processes of their own: a process cannot change its backend."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]
SAME = (
    "training/test_population.py", "training/test_optimizers.py", "training/test_solo.py",
    "training/test_mappable_models.py", "training/test_own_callbacks.py", "models/test_saved_model.py",
)  # fmt: skip
# a step of Keras's own that is wrong on TensorFlow; a score after three epochs that initial weights, which JAX draws
# in another way, decide (on TensorFlow two seeds of three miss it too); layers and models written with TensorFlow; the
# private classes that optimizers have, and the gradient that groups with dilation lack, on TensorFlow alone
ONLY_THERE = (
    "not schedule_free_adamw and not (ordered_classes and multiclass) and not (rehearsal and layers)"
    " and not (refused_in_one_line and (seed or unknown or wide)) and not users_own_is_used"
    " and not private_classes and not groups_with_dilation"
)
# `model.fit`, with which lanes are compared, is compiled quickly; lanes say themselves how they are compiled
QUICK = "--xla_backend_optimization_level=0"


def pytest_on_jax(*arguments):
    """The outcome of every test by name, and all that was printed."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-rA", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_FLAGS": QUICK}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(test_.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return {name: outcome for outcome, name in outcomes}, done.stdout + done.stderr


def names():
    """The tests of the module that runs on JAX."""
    return re.findall(r"^def (test_\w+)", (FOLDER / "lanes_on_jax.py").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def on_jax(request):
    chosen = request.config.getoption("markexpr")
    return pytest_on_jax("tests/training/backends/lanes_on_jax.py", *(["-m", chosen] if chosen else []))


@pytest.mark.parametrize("name", names())
def test_on_jax(on_jax, name):
    outcomes, output = on_jax
    of_name = {test: outcome for test, outcome in outcomes.items() if test.split("[")[0] == name}
    assert of_name, output[-4000:]
    assert set(of_name.values()) == {"PASSED"}, output[-8000:]


@pytest.mark.long
@pytest.mark.parametrize("file", SAME)
def test_what_holds_on_tensorflow_holds_on_jax(file):
    outcomes, output = pytest_on_jax(f"tests/{file}", "-m", "not long", "-k", ONLY_THERE)
    assert outcomes, output[-4000:]
    assert set(outcomes.values()) == {"PASSED"}, output[-8000:]


MISSING = """
import sys
sys.modules["jax"] = None
from lossreg import cli
sys.argv = ["lossreg", "tune", "toy.toml"]
cli.main()
"""


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("torch", "Error: lossreg trains on tensorflow or jax, and Keras is set to torch. Set KERAS_BACKEND="),
        ("jax", 'Error: Keras is set to jax, which is not installed. Run `pip install "lossreg[jax]"`.'),
    ],
)
def test_a_backend_that_cannot_train_is_one_message(tmp_path, backend, says):
    (tmp_path / "toy.toml").write_text('[data]\nsource = "sklearn:iris"\n[search]\nmetric = "accuracy"\n')
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", MISSING], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 2
    started, message = done.stderr.splitlines()
    assert (started, message.startswith(says)) == ("study toy: starting", True)
