"""A predictor as MLflow loads it: `mlflow.pyfunc.load_model(uri).predict(rows)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data.exposures import base_of
from lossreg.data.preprocess import TablePreprocessor
from lossreg.prediction import predictor_files
from lossreg.prediction.predictor import Predictor


class Model:
    """Predicts from raw rows: a table of predictions, of masks an array."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, rows: Any, params: Any = None) -> Any:
        """Return the predictions of rows; columns with gaps in training may be missing. Raises `InputError`."""
        about, base = self.predictor.about, base_of(self.predictor.preprocessor)
        if isinstance(rows, pd.DataFrame) and isinstance(base, TablePreprocessor):
            optional = [column.name for column in about.columns if not column.required]
            filled = [name for name in optional if name in base.form().used and name not in rows.columns]
            rows = rows.assign(**dict.fromkeys(filled, np.nan))
        return self.predictor.predict(rows) if about.task == "segmentation" else self.predictor.predict_frame(rows)


def _load_pyfunc(path: str) -> Model:
    """Return the model of a folder with the files of a predictor, for MLflow."""
    return Model(predictor_files.load_folder(Path(path)))
