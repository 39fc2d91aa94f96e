"""The command that predicts new rows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import app, guarded, import_keras, load, say, tell
from lossreg.errors import count_of, on_disk

if TYPE_CHECKING:
    from lossreg.prediction.predictor import Predictor


Source = Annotated[
    Path, typer.Argument(metavar="STUDY", help="The study file, or the folder of a predictor.", show_default=False)
]
Trial = Annotated[
    int | None, typer.Option("--trial", metavar="N", min=0, help="The trial; by default the recommended one.")
]
Loss = Annotated[
    str | None,
    typer.Option("--loss", metavar="CANDIDATE", help="Its recommended trial, else that with the top score."),
]
Train = Annotated[bool, typer.Option("--train", help="Train the trial again if its weights are not here.")]


@app.command()
@guarded
def predict(
    study: Source,
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="New rows: a table, an .npz, images in a folder.", show_default=False),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help=".csv, .tsv or .parquet; masks: .npz. Without it, CSV is printed."
        ),
    ] = None,
    trial: Trial = None,
    loss: Loss = None,
    train: Train = False,
) -> None:
    """Predict new rows with what a study trained.

    The rows are written with their predictions and the probability of each class beside them. The target need not be
    among their columns. What was missing, unreadable or never seen in training is counted.
    """
    from lossreg.data import files
    from lossreg.prediction import filing, tables

    with on_disk(f"{data}"):
        if not data.exists():
            files.existing(str(data))
    if output is not None:
        with on_disk(f"--output {output}"):
            tables.check(output, data)
    predictor = _loaded(study, trial, loss, train=train, output=output)
    with waiting.busy(f"predicting {data}", line=output is not None) as report:
        summary = filing.predict(predictor, data, output, report)
    for line in summary.lines():
        tell(line)
    tell(f"{count_of(summary.rows, 'row')}{f': {output}' if output else ''}, by trial {predictor.about.trial}")


@app.command()
@guarded
def export(
    study: Source,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.", show_default=False)],
    *,
    trial: Trial = None,
    loss: Loss = None,
    train: Train = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write the network as model.onnx too.")] = False,
) -> None:
    """Write a folder that predicts raw rows without lossreg.

    It has the network, the preprocessing, predict.py, README.md and requirements.txt.
    """
    from lossreg.prediction import export as exporting

    former = ", in place of the former export" * exporting.is_export(folder)
    predictor = _loaded(study, trial, loss, train=train)
    exporting.write(predictor, folder, onnx=onnx)
    say(f"{folder}: trial {predictor.about.trial}{former}. To predict with it:")
    say(f"    {shlex.join(['pip', 'install', '-r', str(folder / 'requirements.txt')])}", whole=True)
    say(f"    {shlex.join(['python', str(folder / 'predict.py'), *exporting.files(predictor)])}", whole=True)


def _loaded(study: Path, trial: int | None, loss: str | None, *, train: bool, output: Path | None = None) -> Predictor:
    """Return the predictor of a study or a folder; raises `InputError` where the output is a file of its data."""
    from lossreg.prediction import tables
    from lossreg.search import predictors

    if study.is_dir():
        import_keras()
        return predictors.load_predictor(study, trial, loss, train=train)
    spec = load(study)
    if output is not None:
        named = (spec.data.source, spec.data.test, spec.data.validation)
        files = [spec.base / name for name in named if isinstance(name, str)]
        tables.require_other(output, files, "is data of the study")
    source = predictors.look_up(spec, trial, loss, train=train)
    import_keras()
    trains = source.kept is not None and source.kept.weights is None
    doing = f"trial {source.kept.record.number} is trained again" if source.kept and trains else "loading the predictor"
    with waiting.busy(doing, line=trains):
        return predictors.of_source(spec, source)
