"""`Predictor`: from raw rows to class names, probabilities or values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import FEATURES
from lossreg.data import foreign
from lossreg.data.exposures import Fitted, base_of
from lossreg.data.new_forms import Forms
from lossreg.data.origin import Origin
from lossreg.data.preprocess import Counted, TablePreprocessor, warned
from lossreg.errors import InputError, one_line
from lossreg.prediction.description import Description

BATCH = 1024
PREDICTION = "prediction"


class Predictor:
    """Predicts from raw rows, as the study read them.

    rows: a pandas, Polars or Arrow table (by column name; columns that training left out, and the target, need not be
    there), a dictionary of columns or of one row, a list of such rows, an array (by position), a dictionary of inputs
    by name, or the path of a file. Values that cannot be read, are imputed or were never seen in training are counted
    by column in one warning. Raises `InputError` for rows that do not fit.

    model: the Keras model from preprocessed rows to predictions; preprocessor: from raw rows to preprocessed ones;
    about: what is predicted.
    """

    def __init__(self, model: Any, preprocessor: Fitted, about: Description) -> None:
        self.model, self.preprocessor, self.about = model, preprocessor, about

    def __repr__(self) -> str:
        about = self.about
        return f"<predictor of {', '.join(about.target)}: trial {about.trial} of study {about.study}, {about.loss}>"

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes in the order of `predict_proba`, the labels of a row; raises `InputError` for numbers."""
        if not self.about.classes:
            raise InputError(f"task {self.about.task} has no classes")
        return _array(self.about.classes)

    def predict(self, rows: Any) -> NDArray[Any]:
        """Return the class `(n,)` or the value in the target's unit `(n,)` of each row.

        Of several labels per row, or masks, 0 or 1 of each: `(n, k)`, `(n, *spatial_shape)`.
        """
        return self.decided(warned(self.outputs(rows), gaps=True))

    def predict_proba(self, rows: Any) -> NDArray[np.float32]:
        """Return the probability of each class, `(n, k)` in the order of `classes_`.

        Of several labels per row that of each, of masks that of 1 in each pixel. A decision that the study tuned is in
        them: the most probable class is the one that `predict` gives. Raises `InputError` for tasks without classes,
        and for losses that give no probabilities.
        """
        if self.about.output != "probability":
            raise self._no_probability()
        return self.by_class(warned(self.outputs(rows), gaps=True))

    def predict_frame(self, rows: Any) -> pd.DataFrame:
        """Return a table of predictions: `prediction`, and a column `probability_of_CLASS` or `score_of_CLASS` of each.

        Of several labels per row, `predicted_LABEL` and `probability_of_LABEL` of each. The index is that of the rows,
        of rows without one 0, 1, .... Raises `InputError` for masks.
        """
        rows = self._as_table(rows)
        predicted = self.tabulated(warned(self.outputs(rows), gaps=True))
        return predicted.set_axis(_index(rows, len(predicted)))

    def outputs(self, rows: Any, forms: Forms | None = None) -> Counted:
        """Return the outputs of the network, and the values that were lost in place of a warning.

        forms: those of numbers and dates; without them the rows decide.
        """
        array, lost = self.preprocessor.counted(self._as_table(rows), forms)
        size = len(next(iter(array.values()))) if isinstance(array, dict) else len(array)
        if not size:
            return Counted(np.empty((0, *self.model.output_shape[1:]), np.float32), lost)
        starts = range(0, size, BATCH)  # `Model.predict` traces a data set anew at each call, for a third of a second
        return Counted(np.concatenate([self.model.predict_on_batch(_part(array, start)) for start in starts]), lost)

    def _as_table(self, rows: Any) -> Any:
        """Return tables of other libraries, and columns or rows in dictionaries, as tables where training had one."""
        if hasattr(rows, "collect") and not hasattr(rows, "to_pandas"):  # a lazy table of Polars
            return rows.collect()
        base = base_of(self.preprocessor)
        if not isinstance(base, TablePreprocessor) or (isinstance(rows, Mapping) and FEATURES in rows):
            return rows
        rows = foreign.plain(rows, Origin("", ""))
        is_row = isinstance(rows, Mapping) and not any(map(pd.api.types.is_list_like, rows.values()))
        is_rows = isinstance(rows, list) and bool(rows) and all(isinstance(row, Mapping) for row in rows)
        if not isinstance(rows, Mapping) and not is_rows:
            return rows
        try:
            return pd.DataFrame([rows] if is_row else rows)
        except ValueError as error:
            raise InputError(f"rows are no table: {one_line(error)}", hint="Give a DataFrame.") from None

    def decided(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return classes or values for outputs of the network."""
        about = self.about
        if about.output == "prediction":
            return np.asarray(outputs[:, 0])
        positive = outputs > (0.5 if about.output == "probability" else 0.0)
        if about.task == "segmentation":
            return positive[..., 0].astype(np.int8)
        if about.task == "multilabel":
            return positive.astype(np.int64)
        index = positive[:, 0].astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        decided: NDArray[Any] = self.classes_[index]
        return decided

    def by_class(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the probability or score of each class, where the network may give that of class 1 only."""
        if self.about.task == "segmentation":
            return outputs[..., 0]
        if self.about.task == "multilabel" or outputs.shape[1] != 1:
            return outputs
        other = 1 - outputs if self.about.output == "probability" else -outputs
        return np.concatenate([other, outputs], axis=1)

    def tabulated(self, outputs: NDArray[Any]) -> pd.DataFrame:
        """Return the table of `predict_frame` for outputs of the network."""
        about, decided = self.about, self.decided(outputs)
        if about.task == "segmentation":
            raise InputError("masks are no columns of a table", hint="Use predict.")
        if not about.classes:
            return pd.DataFrame({PREDICTION: decided})
        by_class = self.by_class(outputs)
        each = {f"{about.output}_of_{name}": by_class[:, i] for i, name in enumerate(about.names)}
        if about.task == "multilabel":
            return pd.DataFrame({f"predicted_{name}": decided[:, i] for i, name in enumerate(about.names)} | each)
        return pd.DataFrame({PREDICTION: decided, **each})

    def _no_probability(self) -> InputError:
        if self.about.output == "prediction":
            return InputError(f"task {self.about.task} has no probabilities", hint="Use predict.")
        return InputError(
            f"the loss {self.about.loss} gives scores, and no probabilities",
            hint="predict_frame has the scores; a study of losses with probabilities has a metric of these.",
        )


def _index(rows: Any, size: int) -> pd.Index[Any]:
    """Return the index of a table, or of the first one among several inputs."""
    parts = rows.values() if isinstance(rows, Mapping) else [rows]
    tables = (part for part in parts if isinstance(part, (pd.DataFrame, pd.Series)) and len(part) == size)
    return next((table.index for table in tables), pd.RangeIndex(size))


def _part(array: Any, start: int) -> Any:
    """Return a batch of the rows of an array, or of each of several."""
    if isinstance(array, dict):
        return {name: part[start : start + BATCH] for name, part in array.items()}
    return array[start : start + BATCH]


def _array(labels: tuple[Any, ...]) -> NDArray[Any]:
    """Return labels as an array of their type, of objects where it is not one."""
    return np.array(labels) if len(set(map(type, labels))) == 1 else np.array(labels, dtype=object)
