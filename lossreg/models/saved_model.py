"""The user's saved Keras model, from whose weights every trial begins."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lossreg.errors import InputError, contained, count_of, one_line
from lossreg.models.hyperparameters import Answer
from lossreg.models.keras_graph import sublayers
from lossreg.models.need import Need
from lossreg.runtime import keras_file, start_files

INSTEAD = 'A function of yours may load it, build = "file.py:build_model": its code is then run as your own.'
FROZEN = "Set trainable = True where it is to learn, and save it again"


@dataclass(frozen=True, eq=False)
class SavedModel:
    """Loads a `.keras` file, whose content was read once, anew for each training; no code in it is run."""

    name: str
    content: bytes

    @classmethod
    def of(cls, name: str, base: Path) -> Self:
        """Return the model of a file; a relative path starts at `base`. Raises `InputError` if there is none."""
        return cls(name, start_files.read(name, base))

    @property
    def digest(self) -> str:
        """A mark of the file's content."""
        return start_files.digest(self.content)

    def __call__(self, need: Need, answer: Answer) -> Any:
        """Return the model with the weights of the file; raises `InputError`."""
        import keras

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"start{start_files.SUFFIX}")
            path.write_bytes(self.content)
            model = self._loaded(path)
        if not isinstance(model, keras.Model):
            raise InputError(f"holds {type(model).__name__}, not a keras.Model", where=self.name)
        return model

    def _loaded(self, path: Path) -> Any:
        try:
            with contained():
                return keras_file.load(path, compile=False)
        except InputError as error:
            raise InputError(error.what, where=self.name, hint=INSTEAD) from error
        except Exception as error:
            if unknown := re.search(r"Could not locate (class|function) '(\w+)'", str(error)):
                what = f"needs the {unknown[1]} {unknown[2]}, which is not one of Keras and is not registered here"
                raise InputError(what, where=self.name, hint=INSTEAD) from error
            what = f"is not a model that Keras can load: {one_line(error)}"
            raise InputError(what, where=self.name, hint='model.save("base.keras") writes one.') from error


def note(model: Any, need: Need, name: str) -> None:
    """Note how many weights of the model are trained; raises `InputError` if there are none."""
    trained = _count(model.trainable_weights)
    frozen = [layer for layer in sublayers(model) if not layer.trainable and layer.weights and not _has_layers(layer)]
    if not trained:
        instead = ', or begin with a new last layer: head = "new" under [model]' if need.head == "kept" else ""
        raise InputError("every layer is frozen (trainable = False), so nothing is trained", where=name,
                         hint=f"{FROZEN}{instead}.")  # fmt: skip
    frozen_note = f"; {count_of(len(frozen), 'layer stays', 'layers stay')} frozen" if frozen else ""
    need.notes.append(f"trials begin from its weights, and train {trained:,} of {_count(model.weights):,}{frozen_note}")


def _count(weights: Any) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _has_layers(layer: Any) -> bool:
    return bool(getattr(layer, "layers", ()))
