"""The files of the best trial's model: Keras model, preprocessing, and a description of what it predicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from lossreg.storage.replaced_file import replaced


class BestModel:
    """The best trial's model in a folder; `part` names the file in which this process writes first."""

    def __init__(self, folder: Path, part: Callable[[str], Path]) -> None:
        self.folder, self._part = folder, part

    def save(self, model: Any, number: int, preprocessor: str = "", description: str = "") -> Path:
        """Write the Keras model of the best trial, its preprocessing and its description, and return the model's file.

        A kill meanwhile leaves it without a trial.
        """
        self._owner.unlink(missing_ok=True)
        model.save(self._model)
        if preprocessor:
            self.save_preprocessor(preprocessor)
        if description:
            self.save_description(description)
        self._owner.write_text(f"{number}\n")
        return self._model

    def save_preprocessor(self, text: str) -> None:
        """Write the best trial's preprocessing, all or nothing; a pickle of a version before is removed."""
        file, pickled = self._preprocessors
        with replaced(file.with_suffix(".part"), file) as part:
            part.write(text.encode())
        pickled.unlink(missing_ok=True)

    def save_description(self, text: str) -> None:
        """Write what the best trial's model predicts, all or nothing."""
        with replaced(self._part("predictor"), self._description) as part:
            part.write(text.encode())

    def file_of(self, number: int) -> Path | None:
        """Return the model's file, None unless it is the model of that trial."""
        return self._model if self._model.exists() and self.trial == number else None

    def is_loadable(self, number: int) -> bool:
        """Return whether that trial's model and its preprocessing can be loaded."""
        file = self.file_of(number)
        return file is not None and _is_archive(file) and any(file.exists() for file in self._preprocessors)

    def predictor_of(self, number: int) -> tuple[Path, Path, Path] | None:
        """Return the files of that trial's model, preprocessing and description, None unless all are there."""
        model, (preprocessor, _) = self.file_of(number), self._preprocessors
        if model is None or not _is_archive(model) or not preprocessor.exists() or self._described() != number:
            return None
        return model, preprocessor, self._description

    def damaged(self) -> dict[Path, int]:
        """Return the model's file if it cannot be read, with the trial that it is of, -1 for none."""
        return {self._model: self.trial} if self._model.exists() and not _is_archive(self._model) else {}

    @property
    def trial(self) -> int:
        """The trial that trained the model, -1 where that is not noted."""
        text = self._owner.read_bytes().strip() if self._owner.is_file() else b""
        return int(text) if text.isdigit() else -1

    def _described(self) -> int:
        """Return the trial that the description is of, -1 where there is none."""
        try:
            trial = json.loads(self._description.read_bytes())["trial"]
        except (OSError, ValueError, KeyError, TypeError):
            return -1
        return trial if isinstance(trial, int) else -1

    @property
    def _model(self) -> Path:
        return self.folder / "best.keras"

    @property
    def _owner(self) -> Path:
        """The file with the number of the trial that trained the model."""
        return self.folder / "best.trial"

    @property
    def _description(self) -> Path:
        return self.folder / "predictor.json"

    @property
    def _preprocessors(self) -> tuple[Path, Path]:
        """The file of the best trial's preprocessing, and that of versions up to 0.2.0, which is never loaded."""
        return self.folder / "preprocessor.json", self.folder / "preprocessor.joblib"


def _is_archive(file: Path) -> bool:
    """Return whether a zip archive, such as a Keras model, can be read to its end."""
    try:
        with ZipFile(file) as archive:
            return archive.testzip() is None
    except Exception:
        return False
