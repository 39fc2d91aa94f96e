"""The backend of Keras: which one is set, whether it can run here, and a gradient on either that lossreg knows."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lossreg.errors import InputError
from lossreg.terminal import streams

KNOWN = ("tensorflow", "jax")
SHOWN = {"tensorflow": "TensorFlow", "jax": "JAX"}
VARIABLE = "KERAS_BACKEND"
# TensorFlow reads it when it is imported
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
# attribute of Keras's lazy TensorFlow: whether it is there, None as long as nothing has asked
ASKED = "_available"
_loading = threading.RLock()


def name() -> str:
    """Return the backend that Keras uses or will use: of the environment, its configuration file, or TensorFlow."""
    backend = getattr(sys.modules.get("keras"), "backend", None)
    if backend is not None:
        return str(backend.backend())
    return os.environ.get(VARIABLE) or _of_file() or KNOWN[0]


def _of_file() -> str:
    folder = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
    try:
        return str(json.loads((Path(folder) / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def check() -> None:
    """Raise `InputError` unless the backend is one that lossreg trains on, is installed and can run here.

    Nothing is imported.
    """
    if _forked_while_running:
        hint = 'Start the process with multiprocessing\'s "spawn", or fork before Keras is used.'
        raise InputError("this process was forked after Keras was used, and Keras would hang in it", hint=hint)
    backend = name()
    if backend not in KNOWN:
        hint = f"Set {VARIABLE}={KNOWN[0]} or {VARIABLE}={KNOWN[1]}."
        raise InputError(f"lossreg trains on {' or '.join(KNOWN)}, and Keras is set to {backend}", hint=hint)
    if find_spec(backend) is None:
        package = "lossreg[jax]" if backend == "jax" else "lossreg"
        raise InputError(f"Keras is set to {backend}, which is not installed", hint=f'Run `pip install "{package}"`.')


def importing() -> str:
    """Return what is shown while Keras is imported."""
    return f"importing {SHOWN[name()]}, which takes some seconds"


def load() -> None:
    """Import Keras without the start-up notes of its backend, which no option silences."""
    with _loading:  # two threads at once would leave standard error silent
        if "keras" in sys.modules:
            return
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
        with streams.silenced() if sys.stderr else nullcontext():
            import keras  # noqa: F401


def seed(number: int) -> None:
    """Set the random seeds of Python, NumPy, Keras and its backend."""
    import keras

    with without_tensorflow():
        keras.utils.set_random_seed(number)


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Have Keras import no TensorFlow during the block where the backend is JAX and nobody has imported it.

    For seeds and configurations Keras asks whether TensorFlow is there, and imports it to know, which takes up to ten
    seconds and writes to standard error. Tested with Keras 3.14 and 3.15.
    """
    lazy = getattr(sys.modules.get("keras.src.utils.module_utils"), "tensorflow", None)
    is_open = getattr(lazy, ASKED, False) is None
    if lazy is None or not is_open or name() != "jax" or "tensorflow" in sys.modules:
        yield
        return
    setattr(lazy, ASKED, False)
    try:
        yield
    finally:
        setattr(lazy, ASKED, None)


def _is_running() -> bool:
    """Tell whether the backend has started threads, which a forked process does not have."""
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "context_safe", lambda: None)()
    jax = getattr(sys.modules.get("jax._src.xla_bridge"), "backends_are_initialized", lambda: False)()
    return getattr(context, "_context_handle", None) is not None or bool(jax)


def _note_fork() -> None:
    global _forked_while_running  # noqa: PLW0603
    _forked_while_running = _forked_while_running or _is_running()


_forked_while_running = False
os.register_at_fork(after_in_child=_note_fork)


def need_tensorflow(what: str) -> None:
    """Raise `InputError` unless the backend is TensorFlow. `what` needs it, and is a noun in the plural."""
    if (backend := name()) != "tensorflow":
        raise InputError(f"{what} run on tensorflow, and Keras is set to {backend}", hint=f"Set {VARIABLE}=tensorflow.")


def value_and_gradient(function: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Return the values `(n,)` of a function at `x` `(n,)` and the gradient `(n,)` of their sum.

    The gradient is None or 0 where there is none.
    """
    if name() == "jax":
        import jax

        values, back = jax.vjp(function, jax.numpy.asarray(x))
        return values, back(jax.numpy.ones_like(values))[0]
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        values = function(x)
    return values, tape.gradient(values, x)
