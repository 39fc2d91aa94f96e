"""The setting of every test: a quiet TensorFlow with one thread per operation, as studies have it."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lossreg.terminal import masking
from lossreg.tracking import new_database
from lossreg.training import programs

TESTS = Path(__file__).parent
COLLECTED = 20_000, 10, 10  # objects that are new, collections of the young and of the next
# Where losses, models and lanes in a graph are held against the same without it, or against `model.fit`.
COMPARED = (
    "conformance", "contract", "models", "registry", "training", "zoo", "search/test_exposure.py",
    "search/test_predictions.py", "search/test_own_callbacks.py",
)  # fmt: skip
# Files that take longest come first, so that no worker is left alone with one at the end.
SLOW = (
    "chaos/test_chaos", "conformance/test_suite", "conformance/test_wrong", "training/test_population",
    "training/backends/test_jax",
    "test_readme", "registry/test_third_party", "conformance/test_right", "search/test_run",
    "training/test_mappable_models", "zoo/test_zoo", "tracking/test_process", "training/test_optimizers",
    "tracking/test_tracker",
)  # fmt: skip


@functools.cache
def place(path):
    """Return the position of a file of tests in the order."""
    name = path.with_suffix("").relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""
    return SLOW.index(name) if name in SLOW else len(SLOW)


def pytest_addoption(parser):
    parser.addoption("--loss", help="run only the tests that have this loss, or a spec of this name, as a parameter")
    parser.addoption("--seed", type=int, default=0, help="of what happens at random in tests/chaos")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep what is imported, a million objects, out of garbage collection, now and when a study asks for one."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        # graphs are traced of many objects that live on, which every collection would look at in vain
        gc.set_threshold(*COLLECTED)


def pytest_sessionfinish():
    """Leave what the tests made to the system: pytest would go through it once more, and Python at the exit."""
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: place(item.path))
    if loss := config.getoption("loss"):
        chosen = [item for item in items if has_parameter(item, loss)]
        if not chosen:
            raise pytest.UsageError(f"no test has the loss {loss!r} as a parameter")
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def has_parameter(item, loss):
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return any(isinstance(name := getattr(value, "name", value), str) and name == loss for value in values)


@pytest.fixture(scope="session", autouse=True)
def _tensorflow_as_in_studies():
    if "tensorflow" in sys.modules:
        from lossreg.training.backends import interface

        interface.start()


@pytest.fixture(scope="module", autouse=True)
def _graphs_are_optimised_where_they_are_compared(request):
    """Have `make test` run the graphs of other tests as they are traced; `make test-all` has all graphs optimised.

    Optimising takes a fifth of the time of a study that trains for seconds.
    """
    is_compared = any(request.path.is_relative_to(TESTS / folder) for folder in COMPARED)
    optimised = is_compared or not request.config.option.markexpr
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not optimised})


@pytest.fixture(scope="module", autouse=True)
def _no_graphs_of_other_files():
    """Drop the gradients that TensorFlow registers for training steps of `model.fit`: they keep the graphs for good."""
    yield
    if framework := sys.modules.get("tensorflow.python.framework.ops"):
        registered = framework.gradient_registry._registry
        for name in [name for name in registered if name.startswith("CustomGradient-")]:
            del registered[name]


@pytest.fixture(scope="session", autouse=True)
def _mlflow_makes_its_tables_once():
    """Have all stores that are new copied from one that is empty: MLflow takes seconds to make one."""
    new_database.NewDatabase = functools.cache(new_database.NewDatabase)


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk():
    """Leave journals and MLflow's stores to the system to write out: tests kill processes, and take no power away."""
    event.listen(Engine, "connect", _as_without_power_loss)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield
    event.remove(Engine, "connect", _as_without_power_loss)


def _as_without_power_loss(connection, record):
    # a file that is no database is a matter of the statement that comes next
    with contextlib.suppress(sqlite3.Error):
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session", autouse=True)
def _signals_as_from_a_shell():
    """Undo that tests under `nohup` or in the background, and the commands that they start, ignore signals."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _graphs_of_losses():
    """The graphs of losses, which are the same objects in all files."""
    return {}


@pytest.fixture(scope="module", autouse=True)
def _losses_are_traced_once(request, _graphs_of_losses):
    """Have the studies of a file share what is traced and compiled: in most of them it takes longer than all else."""
    if request.path.is_relative_to(TESTS / "training"):
        yield
        return
    with programs.shared(_graphs_of_losses):
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_store_of_other_files():
    """Undo that a test names a store to MLflow, which tells the processes that are started later."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    if undo := getattr(sys.modules.get("mlflow"), "set_tracking_uri", None):
        undo(None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if before is not None:
        os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests():
    """Have a password that one test learns, which may be an ordinary word, not masked in the messages of the next."""
    with masking.fresh():
        yield


@pytest.fixture
def collecting():
    """A function of a signal's number that returns another: it collects garbage, and the signal comes meanwhile."""

    def coming(number):
        def callback(phase, info):
            gc.callbacks.remove(callback)
            signal.raise_signal(number)

        def collect():
            gc.callbacks.append(callback)
            while callback in gc.callbacks:  # a collection of another thread makes this one return at once
                gc.collect()
            threading.Event().wait(30)  # a signal ends it

        return collect

    return coming


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window, for the tests that look at pages."""
    from chromium import launched

    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL of the tests, which a few of them stop and start."""
    from postgres import Postgres

    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def database(postgres, request):
    """The address of an empty database."""
    return postgres.database(hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16])
