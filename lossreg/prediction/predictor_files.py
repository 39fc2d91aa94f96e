"""A predictor as a folder of three files: `model.keras`, `preprocessor.json` and `predictor.json`; none holds code."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lossreg.data import preprocessor_file
from lossreg.errors import InputError, on_disk, one_line
from lossreg.prediction.description import DESCRIPTION, MODEL, PREPROCESSOR, described
from lossreg.prediction.predictor import Predictor
from lossreg.runtime import backend, keras_file

MODELS = MODEL, "best.keras"  # the second in the folder of a study


def save(predictor: Predictor, folder: Path) -> None:
    """Write the three files into a folder, which is made; raises `InputError` where it cannot be written."""
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with backend.without_tensorflow():
            predictor.model.save(folder / MODEL)
        preprocessor_file.save_preprocessor(predictor.preprocessor, folder / PREPROCESSOR)
        (folder / DESCRIPTION).write_text(predictor.about.json_text(), encoding="utf-8")


def load(model: Path, preprocessor: Path, description: Path) -> Predictor:
    """Return the predictor of three files; imports Keras. Raises `InputError` where one is missing or damaged."""
    about = described(description)
    if find_spec(about.backend):
        os.environ.setdefault("KERAS_BACKEND", about.backend)  # read when Keras is imported
    read = preprocessor_file.load_preprocessor(preprocessor)
    with on_disk(model):
        model.open("rb").close()
    return Predictor(_network(model), read, about)


def _network(file: Path) -> Any:
    """Return the Keras model of a file; raises `InputError` where Keras cannot load it."""
    try:
        return keras_file.load(file, compile=False)
    except InputError:
        raise
    except Exception as error:
        what = (
            f"cannot be loaded, as it is damaged, or has layers that are not registered with Keras ({one_line(error)})"
        )
        raise InputError(what, where=str(file), hint=preprocessor_file.ANEW) from error


def load_folder(folder: Path) -> Predictor:
    """Return the predictor of a folder that `save` has written, or of the folder of a study."""
    model = next((folder / name for name in MODELS if (folder / name).exists()), None)
    if model is None or not (folder / DESCRIPTION).exists():
        what = f"has no predictor ({MODELS[0]}, {PREPROCESSOR}, {DESCRIPTION})"
        hint = "The folder of a study has one when its last trial has ended, and an export has one."
        raise InputError(what, where=str(folder), hint=hint)
    return load(model, folder / PREPROCESSOR, folder / DESCRIPTION)
