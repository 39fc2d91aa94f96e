"""Predictions of a file of rows: read, predicted and written piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lossreg.data import pieces
from lossreg.data.exposures import base_of
from lossreg.data.lost import Lost
from lossreg.data.pieces import Piece
from lossreg.data.preprocess import TablePreprocessor
from lossreg.prediction import tables
from lossreg.prediction.predictor import Predictor


@dataclass(slots=True)
class Summary:
    """The number of rows that were predicted, and the values that were lost or filled in them."""

    rows: int = 0
    lost: Lost = field(default_factory=Lost)

    def lines(self) -> list[str]:
        """Return a line on each thing that is worth knowing."""
        return self.lost.told()


def predict(
    predictor: Predictor,
    source: Path,
    output: Path | None,
    told: Callable[[str], None] = lambda text: None,
    size: int = pieces.SIZE,
) -> Summary:
    """Write the rows of a file with predictions beside them into a file, or as CSV on standard output.

    output: .csv, .tsv or .parquet, which is there only when all is written; told: hears how far it has come.
    Raises `InputError`.
    """
    notes: list[str] = []
    summary, typed = Summary(), _numbers(predictor) if output and output.suffix == ".parquet" else []
    with tables.writer(output) as writer:
        for piece in pieces.of(source, predictor.preprocessor, size):
            outputs, lost = predictor.outputs(piece.rows)
            notes = piece.notes
            summary.lost, summary.rows = summary.lost.plus(lost), summary.rows + len(outputs)
            writer.write(tables.beside(_columns(piece, typed), predictor.tabulated(outputs)))
            told(f"{summary.rows:,} rows are predicted")
    summary.lost.notes = [*dict.fromkeys([*notes, *summary.lost.notes])]
    return summary


def _numbers(predictor: Predictor) -> list[str]:
    """Return the columns that training read as plain numbers, which a Parquet file can hold as such."""
    preprocessor = base_of(predictor.preprocessor)
    if not isinstance(preprocessor, TablePreprocessor):
        return []
    form = preprocessor.form()
    return [name for name in form.columns if name not in form.as_text]


def _columns(piece: Piece, typed: list[str]) -> pd.DataFrame | None:
    """Return the columns beside which predictions stand; fields of text as numbers where they are `typed`."""
    if piece.beside is None or piece.beside is piece.rows:
        return piece.beside
    numbers = {
        name: pd.to_numeric(piece.rows[name], errors="coerce").astype(float)
        for name in typed
        if name in piece.beside and name in piece.rows
    }
    return piece.beside.assign(**numbers)
