"""Predictions of a file of rows: read, predicted and written piece by piece."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from lossreg.data import pieces
from lossreg.data.conversions import AsNumbers
from lossreg.data.delimited import SEPARATORS
from lossreg.data.exposures import base_of
from lossreg.data.lost import Lost
from lossreg.data.pieces import Piece
from lossreg.data.preprocess import TablePreprocessor
from lossreg.errors import InputError, LossregError, brief, count_of, on_disk
from lossreg.prediction import predictor_files, tables
from lossreg.prediction.predictor import PREDICTION, Predictor
from lossreg.terminal import streams

HELP = ".csv, .tsv or .parquet; masks: .npz"


@dataclass(slots=True)
class Summary:
    """The number of rows that were predicted, and the values that were lost or filled in them."""

    rows: int = 0
    lost: Lost = field(default_factory=Lost)

    def lines(self) -> list[str]:
        """Return a line on each thing that is worth knowing."""
        return self.lost.lines_with_fills()


def main(folder: Path, arguments: Sequence[str] | None = None) -> None:
    """Predict a file with the predictor of a folder, as the arguments of the command line say.

    Notes go to standard error; an error is one line there, and ends the process with 2 for wrong input, else 1.
    """
    parser = argparse.ArgumentParser(description="Predict new rows.")
    parser.add_argument("rows", type=Path, help="a table, an .npz or a folder of images")
    parser.add_argument("-o", "--output", type=Path, help=f"{HELP}; without it, CSV is printed")
    given = parser.parse_args(arguments)
    streams.guard()
    try:
        with on_disk(given.output or given.rows):
            summary = predict(predictor_files.load_folder(folder), given.rows, given.output)
    except LossregError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(error.exit_code) from None
    done = [f"{count_of(summary.rows, 'row')}: {given.output}"] if given.output else []
    sys.stderr.writelines(f"{line}\n" for line in [*summary.lines(), *done])


def predict(
    predictor: Predictor,
    source: Path,
    output: Path | None,
    progress: Callable[[str], None] = lambda text: None,
    size: int = pieces.SIZE,
) -> Summary:
    """Write the rows of a file with predictions beside them into a file, or as CSV on standard output.

    output: .csv, .tsv or .parquet, of masks .npz, which is there only when all is written; progress: called with
    how far it has come, in words. Raises `InputError`.
    """
    _check(predictor, source, output)
    notes: list[str] = []
    summary, numbers = Summary(), _numbers(predictor, source, size) if _ends(output, ".parquet") else []
    with tables.writer(output) as writer:
        for piece, predicted, lost, rows in _predicted(predictor, source, size, numbers):
            notes = piece.notes
            if isinstance(writer, tables.TextWriter):
                writer.write_as(piece.separator, _decimal(predictor, piece))
            summary.lost, summary.rows = summary.lost.plus(lost), summary.rows + rows
            writer.write(predicted)
            progress(count_of(summary.rows, "row is predicted", "rows are predicted"))
    summary.lost.notes = [*dict.fromkeys([*notes, *summary.lost.notes])]
    return summary


def _predicted(
    predictor: Predictor, source: Path, size: int, numbers: list[str]
) -> Iterator[tuple[Piece, Any, Lost, int]]:
    """Yield pieces of a file, which errors name, with predictions beside them, what was lost, and how many rows."""
    try:
        for piece in pieces.of(source, predictor.preprocessor, size):
            outputs, lost = predictor.outputs(piece.rows, piece.forms)
            yield piece, _beside(piece, predictor, outputs, numbers), lost, len(outputs)
    except InputError as error:
        raise error if error.where else error.at(brief(source)) from None


def _check(predictor: Predictor, source: Path, output: Path | None) -> None:
    """Raise `InputError` unless these predictions can be written into a file."""
    if output is not None:
        with on_disk(f"--output {brief(output)}"):
            tables.check(output, source)
    where = f"--output {brief(output)}" if output else ""
    if predictor.about.task == "segmentation" and not _ends(output, tables.ARRAYS):
        raise InputError("masks are no columns of a table", where=where, hint="Give --output masks.npz.")
    if predictor.about.task != "segmentation" and _ends(output, tables.ARRAYS):
        raise InputError("is for masks, and these predictions are a table", where=where, hint="Give a .csv file.")


def _ends(output: Path | None, ending: str) -> bool:
    return output is not None and output.name.lower().endswith(ending)


def _decimal(predictor: Predictor, piece: Piece) -> str:
    """Return the decimal mark of the numbers in the rows: that of training where they have no other."""
    base = base_of(predictor.preprocessor)
    if not isinstance(base, TablePreprocessor):
        return "."
    others = piece.forms.readings if piece.forms else {}
    turned = {name: one.read.numerals for name, one in others.items() if isinstance(one.read, AsNumbers)}
    return "," if any(form.decimal == "," for form in {**base.form().numerals, **turned}.values()) else "."


def _beside(piece: Piece, predictor: Predictor, outputs: NDArray[Any], numbers: list[str]) -> Any:
    """Return a table of rows with their predictions beside them; of masks a dictionary of arrays."""
    if predictor.about.task != "segmentation":
        target = ", ".join(predictor.about.target)
        return tables.beside(_columns(piece, numbers), predictor.tabulated(outputs), target)
    paths = {} if piece.beside is None else {"file": piece.beside["file"].to_numpy(str)}
    masks = {PREDICTION: predictor.decided(outputs), predictor.about.output: predictor.by_class(outputs)}
    return paths | masks


def _numbers(predictor: Predictor, source: Path, size: int) -> list[str]:
    """Return the columns of a file of text that a Parquet file holds as numbers: as in training, and without loss."""
    preprocessor = base_of(predictor.preprocessor)
    if not isinstance(preprocessor, TablePreprocessor) or not source.name.lower().endswith(tuple(SEPARATORS)):
        return []
    form = preprocessor.form()
    names = [name for name in form.columns if name not in form.as_text]
    for piece in pieces.of(source, predictor.preprocessor, size):
        names = [name for name in names if name in piece.rows and _are_numbers(piece.rows[name].dropna())]
    return names


def _are_numbers(values: pd.Series[Any]) -> bool:
    """Return whether floats hold all values of a column; not truth values, nor whole numbers that they would round."""
    numbers = pd.to_numeric(values, errors="coerce")
    return numbers.dtype.kind != "b" and bool(numbers.abs().le(2**53).all())


def _columns(piece: Piece, numbers: list[str]) -> pd.DataFrame | None:
    """Return the columns beside which predictions stand, some of them as numbers."""
    if piece.beside is None or not numbers:
        return piece.beside
    as_floats = {name: pd.to_numeric(piece.rows[name]).astype(float) for name in numbers if name in piece.beside}
    return piece.beside.assign(**as_floats)
