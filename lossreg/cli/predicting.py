"""The command that predicts new rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import app, guarded, import_keras, load, tell
from lossreg.errors import on_disk

if TYPE_CHECKING:
    from lossreg.prediction.predictor import Predictor


@app.command()
@guarded
def predict(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY", help="The study file, or the folder of a predictor.", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="New rows: a table, an .npz, images in a folder.", show_default=False),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help=".csv, .tsv or .parquet; without it, CSV is printed."),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option("--trial", metavar="N", min=0, help="The trial; by default the recommended one."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option("--loss", metavar="CANDIDATE", help="Its recommended trial, else that with the top score."),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train the trial again if its weights are not here.")] = False,
) -> None:
    """Predict new rows with what a study trained.

    The rows are written with their predictions and the probability of each class beside them. The target need not be
    among their columns. What was missing, unreadable or never seen in training is counted.
    """
    from lossreg.prediction import filing, tables

    if output is not None:
        with on_disk(f"--output {output}"):
            tables.check(output, data)
    predictor = _loaded(study, trial, loss, train=train)
    with waiting.busy(f"predicting {data}", line=output is not None) as told:
        summary = filing.predict(predictor, data, output, told)
    for line in summary.lines():
        tell(line)
    tell(f"{summary.rows:,} rows{f': {output}' if output else ''}, by trial {predictor.about.trial}")


def _loaded(study: Path, trial: int | None, loss: str | None, *, train: bool) -> Predictor:
    """Return the predictor of a study or a folder."""
    from lossreg.search import predictors

    if study.is_dir():
        import_keras()
        return predictors.load_predictor(study, trial, loss)
    spec = load(study, is_run=True)
    predictors.require(spec, trial, loss, train=train)
    import_keras()
    with waiting.busy("loading the predictor"):
        return predictors.of_trial(spec, trial, loss, train=train)
