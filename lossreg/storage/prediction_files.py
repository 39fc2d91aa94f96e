"""The predictions of the test rows by the arms of a verdict, one file for each number of outer folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from lossreg.errors import InputError, brief
from lossreg.storage.replaced_file import replaced

# entry of an archive with what its predictions are of
KEY = "key"


class PredictionFiles:
    """The files of predictions in a folder; `part` names the file in which this process writes first.

    outer: number of outer folds of the verdict. One verdict does not replace another.
    """

    def __init__(self, folder: Path, part: Callable[[str], Path]) -> None:
        self._folder, self._part = folder, part

    def save(self, key: str, predictions: Mapping[str, np.ndarray], outer: int = 0) -> None:
        """Write the predictions of a verdict, which the key names; all or nothing."""
        with replaced(self._part("verdict"), self._file(outer)) as file:
            np.savez_compressed(file, **predictions, **{KEY: np.str_(key)})  # type: ignore[arg-type]

    def require_room(self, outer: int = 0) -> None:
        """Raise `InputError` where predictions cannot be saved, because a folder is in the place of their file."""
        if (file := self._file(outer)).is_dir():
            what = "is a folder, and predictions of the test rows belong there"
            raise InputError(what, where=brief(file), hint="Move it aside.")

    def load(self, key: str, outer: int = 0) -> dict[str, np.ndarray]:
        """Return the predictions that were saved under that key; none where there are none, or they are damaged."""
        # a version before had one file for all
        for file in dict.fromkeys((self._file(outer), self._file(0))):
            with suppress(Exception), np.load(file, allow_pickle=False) as arrays:
                if str(arrays[KEY]) == key:
                    return {name: arrays[name] for name in arrays.files if name != KEY}
        return {}

    @property
    def exist(self) -> bool:
        """True where there are any."""
        return any(self._folder.glob("verdict*.npz"))

    def _file(self, outer: int) -> Path:
        return self._folder / (f"verdict-{outer}.npz" if outer else "verdict.npz")
