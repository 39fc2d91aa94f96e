"""A predictor as MLflow loads it: `mlflow.pyfunc.load_model(uri).predict(rows)`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lossreg.prediction import description, predictor_files
from lossreg.prediction.predictor import Predictor


class Model:
    """Predicts from raw rows: a table of predictions, of masks an array."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, rows: Any, params: Any = None) -> Any:
        """Return the predictions of rows; columns with gaps in training may be missing. Raises `InputError`."""
        about = self.predictor.about
        if isinstance(rows, pd.DataFrame) and about.columns:
            optional = [column.name for column in about.columns if not column.required]
            rows = rows.assign(**{name: np.nan for name in optional if name not in rows.columns})
        return self.predictor.predict(rows) if about.task == "segmentation" else self.predictor.predict_frame(rows)


def _load_pyfunc(path: str) -> Model:
    """Return the model of a folder with the files of a predictor, for MLflow."""
    about = description.described(Path(path, description.DESCRIPTION))
    os.environ.setdefault("KERAS_BACKEND", about.backend)
    return Model(predictor_files.load_folder(Path(path)))
