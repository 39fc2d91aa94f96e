"""The device of this process, chosen before the backend of Keras is imported: `cpu`, `gpu`, `gpu:1`."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping

from lossreg.errors import InputError, count_of

VISIBLE = "CUDA_VISIBLE_DEVICES"
HINT = "It is cpu, gpu, or gpu:N with N from 0."


def choose(device: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Have the backend see one device alone; raises `InputError` for a text that names none.

    GPUs are counted among those that this process may see, so that a batch system's choice holds.
    """
    form = re.fullmatch(r"cpu|gpu(?::(\d{1,4}))?", device)
    if form is None:
        raise InputError(f"{device!r} is no device", where="--device", hint=HINT)
    if device == "cpu":
        environ.update({VISIBLE: "-1", "JAX_PLATFORMS": "cpu"})
    elif form[1] is not None:
        environ[VISIBLE] = _visible(int(form[1]), environ.get(VISIBLE))


def _visible(number: int, seen: str | None) -> str:
    if seen is None:
        return str(number)
    names = [name.strip() for name in seen.split(",") if name.strip() not in ("", "-1")]
    if number >= len(names):
        what = (
            f"gpu:{number} is not among the {count_of(len(names), 'GPU')} that {VISIBLE}={seen} lets this process see"
        )
        raise InputError(what, where="--device")
    return names[number]


def require(device: str) -> None:
    """Raise `InputError` where a GPU was chosen and the backend, which is imported by now, finds none."""
    import keras

    if device.startswith("gpu") and not keras.distribution.list_devices("gpu"):
        what = f"{device}: {keras.backend.backend()} finds no GPU"
        raise InputError(what, where="--device", hint="Leave it out, or take --device cpu.")
