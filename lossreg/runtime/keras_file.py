"""Loading of saved Keras models: without the code in them, which Keras's own safe mode refuses to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

from lossreg.errors import InputError
from lossreg.runtime import backend, safety

# in the message of Keras for whatever its safe mode refuses, also in that of a layer around it
REFUSAL = "safe_mode=False"


def load(path: Any, **options: Any) -> Any:
    """Return `keras.saving.load_model(path, **options)`.

    Raises `InputError` for a model with code in it, unless `safe_mode=False` is given; in safe mode also then.
    Raises `BadZipFile` for a `.keras` file that is none, of which Keras says that it is not there.
    """
    backend.load()
    import keras

    if not options.setdefault("safe_mode", True):
        safety.refuse("may have code in it", str(path))
    if str(path).endswith(".keras") and Path(path).is_file() and not is_zipfile(path):
        size = Path(path).stat().st_size
        raise BadZipFile(f"a .keras file is a zip archive, and this one {'is cut off or none' if size else 'is empty'}")
    try:
        return keras.saving.load_model(path, **options)
    except (TypeError, ValueError) as error:
        if REFUSAL not in str(error):
            raise
        what = "has code in it (a Lambda layer with a Python lambda, or a TFSMLayer), which is not run on loading"
        hint = "If you trust the file: lossreg.load_model(path, safe_mode=False)."
        raise InputError(what, where=str(path), hint=hint) from error
