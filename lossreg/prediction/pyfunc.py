"""A predictor as MLflow loads it: `mlflow.pyfunc.load_model(uri).predict(rows)`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data.exposures import base_of
from lossreg.data.origin import listed
from lossreg.data.preprocess import TablePreprocessor
from lossreg.errors import InputError
from lossreg.prediction import predictor_files
from lossreg.prediction.predictor import Predictor


class Model:
    """Predicts from raw rows: a table of predictions, of masks an array."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, rows: Any, params: Any = None) -> Any:
        """Return the predictions of rows; columns with gaps in training may be missing, which is warned of.

        Raises MLflow's exception for rows that do not fit, whose message a server sends without a traceback.
        """
        try:
            return self._predicted(rows)
        except InputError as error:
            raise _refusal(error) from None

    def _predicted(self, rows: Any) -> Any:
        missing = self._missing(rows)
        rows = rows.assign(**dict.fromkeys(missing, np.nan)) if missing else rows
        is_masks = self.predictor.about.task == "segmentation"
        predicted = self.predictor.predict(rows) if is_masks else self.predictor.predict_frame(rows)
        if missing and len(rows):
            warnings.warn(f"Columns that are not given are taken as missing: {listed(missing)}.", stacklevel=3)
        return predicted

    def _missing(self, rows: Any) -> list[str]:
        """Return the columns with gaps in training that a table has not."""
        base = base_of(self.predictor.preprocessor)
        if not isinstance(rows, pd.DataFrame) or not isinstance(base, TablePreprocessor):
            return []
        optional = [column.name for column in self.predictor.about.columns if not column.required]
        return [name for name in optional if name in base.form().used and name not in rows.columns]


def _refusal(error: InputError) -> Exception:
    from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException

    refusal: Exception = MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE)
    return refusal


def _load_pyfunc(path: str) -> Model:
    """Return the model of a folder with the files of a predictor, for MLflow."""
    return Model(predictor_files.load_folder(Path(path)))
