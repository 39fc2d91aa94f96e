"""Predictors of trials that have ended: from raw rows to class names or values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lossreg.config import study as studies
from lossreg.data import features
from lossreg.errors import InputError
from lossreg.prediction import bundle, description, predictor_files, raw_form
from lossreg.prediction.description import Description
from lossreg.prediction.predictor import Predictor
from lossreg.search import history, restore
from lossreg.search.history import StudyLike
from lossreg.search.restore import KeptTrial, Trained
from lossreg.storage import shared_study

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.search.preparation import Prepared
    from lossreg.storage.trial_record import TrialRecord, Weights


def load_predictor(
    study: StudyLike, number: int | None = None, loss: str | None = None, *, train: bool = False, data: Any = None
) -> Predictor:
    """Return what predicts from raw rows as a trial of a study learned it: the recommended one by default.

    study: as in `load_trial`, which says what number, loss, train and data mean, or a folder that has the files of a
    predictor, as the folder of a study has and `lossreg export` writes. The study's data are read only for another
    trial than the recommended one. Imports Keras. Raises `InputError` where there is no such trial or folder.
    """
    if isinstance(study, (str, Path)) and Path(study).is_dir():
        if number is not None or loss is not None or train:
            hint = "Give the study for other trials, and to train one again."
            raise InputError("a folder has one predictor", where=str(study), hint=hint)
        return predictor_files.load_folder(Path(study))
    spec = studies.of(study, (), data)
    restore.check(number, loss)
    return of_source(spec, look_up(spec, number, loss, train=train))


class Source(NamedTuple):
    """The source of the predictor of a trial: the files of its study, or else the trial as it was kept."""

    files: tuple[Path, Path, Path] | None
    kept: KeptTrial | None = None


def look_up(spec: StudySpec, number: int | None = None, loss: str | None = None, *, train: bool = False) -> Source:
    """Return where the predictor of a trial comes from, without importing Keras.

    That of the recommended trial comes from the files of the study. Raises `InputError`, in safe mode also where code
    of the study would be run.
    """
    folder = shared_study.of(spec)
    record = restore.find(history.of_folder(folder), number, loss, where=spec.place())
    if files := folder.best.predictor_of(record.number):
        return Source(files)
    studies.require_trusted(spec)
    return Source(None, restore.look_up(spec, number, loss, train=train))


def of_source(spec: StudySpec, source: Source) -> Predictor:
    """Return the predictor that was looked up; imports Keras."""
    if source.files:
        return predictor_files.load(*source.files)
    assert source.kept is not None
    return build(*restore.with_weights(spec, source.kept))


def build(prepared: Prepared, record: TrialRecord, weights: Weights) -> Predictor:
    """Return the predictor of a trial with these weights."""
    model = restore.build(prepared, record, weights)
    preprocessor = restore.data_of(prepared, record).preprocessor
    return Predictor(model, preprocessor, _described(prepared, record, Trained(model, preprocessor)))


def _described(prepared: Prepared, record: TrialRecord, predictor: Trained) -> Description:
    import keras

    dataset, raw = prepared.problem.folds[0], prepared.problem.folds[0].rows
    classes = raw.labels.values or dataset.classes
    rows = features.take(raw.raw.x, raw.development)
    columns = raw_form.columns(rows, predictor.preprocessor)
    return Description(
        study=prepared.spec.name, trial=record.number, loss=record.recipe, task=dataset.task,
        target=prepared.spec.data.targets or ("target",), classes=description.plain(classes),
        output=predictor.model.output_names[0], decision=record.decision, columns=columns,
        arrays=raw_form.arrays(rows, predictor.preprocessor), example=raw_form.example(rows, columns),
        backend=keras.backend.backend(),
        requirements=tuple(bundle.requirements(predictor.model, has_images=raw.raw.images is not None)),
    )  # fmt: skip
