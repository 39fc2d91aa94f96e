"""Keras's backends: the one that is set, and a gradient on either of those that lossreg knows."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lossreg.errors import InputError

KNOWN = ("tensorflow", "jax")
VARIABLE = "KERAS_BACKEND"


def name() -> str:
    """The backend that Keras has or, not imported yet, will take: of the environment, of its settings, TensorFlow."""
    backend = getattr(sys.modules.get("keras"), "backend", None)
    if backend is not None:
        return str(backend.backend())
    return os.environ.get(VARIABLE) or _of_settings() or KNOWN[0]


def _of_settings() -> str:
    home = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
    try:
        return str(json.loads((Path(home) / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def check() -> None:
    """Raise `InputError` unless lossreg trains on the backend and it is installed. Imports nothing."""
    own = name()
    if own not in KNOWN:
        hint = f"Set {VARIABLE}={KNOWN[0]} or {VARIABLE}={KNOWN[1]}."
        raise InputError(f"lossreg trains on {' or '.join(KNOWN)}, and Keras is set to {own}", hint=hint)
    if find_spec(own) is None:
        wanted = "lossreg[jax]" if own == "jax" else "lossreg"
        raise InputError(f"Keras is set to {own}, which is not installed", hint=f'Run `pip install "{wanted}"`.')


def need_tensorflow(what: str) -> None:
    """Raise `InputError` on another backend: what, said in the plural, is written for TensorFlow."""
    if (own := name()) != "tensorflow":
        raise InputError(f"{what} run on tensorflow, and Keras is set to {own}", hint=f"Set {VARIABLE}=tensorflow.")


def slopes(function: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Values `(n,)` of a function at `x` `(n,)`, and the gradient of their sum; None or zeros where there is none."""
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
