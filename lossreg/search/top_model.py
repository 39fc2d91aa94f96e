"""The model of a study's top trial, written into the study's folder when the last trial has ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossreg.errors import LossregError
from lossreg.runtime import backend
from lossreg.search import predictors, restore, retraining, sizing
from lossreg.search.checkpoints import KeepPolicy
from lossreg.search.policy import SearchPolicy
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord, Weights

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared


def save(
    prepared: Prepared, result: StudyResult, folder: StudyFolder, progress: Observer
) -> Path | dict[str, Any] | None:
    """Write the model of the top trial, from preprocessed samples to predictions, and its preprocessing.

    A trial that was chosen on other rows than the search's, and whose weights were removed before, is trained again,
    with the same samples, seed and batches. Weights that are not kept are removed at the end. Return what MLflow is
    told of the model: its file where both were there already. Where there can be no model, `progress` is warned.
    """
    best = result.recommended
    if best is None:
        return None
    try:
        with backend.without_tensorflow():
            saved = _saved(prepared, result, best, folder, progress)
        folder.weights.forget(set(folder.weights.numbers) - _wanted(prepared.spec.search.keep, result) - {best.number})
        return saved
    except (LossregError, OSError) as error:
        progress.warn(f"there is no model of the top trial ({best.number}): {error}")
        return None
    except NotImplementedError:
        what = "it has layers without a get_config() of their own, with which Keras saves none"
        progress.warn(f"there is no model of the top trial ({best.number}): {what}")
        return None


def _wanted(keep: str, result: StudyResult) -> set[int]:
    """Return the trials whose weights are kept at the end, as `search.keep` says.

    They are chosen by their scores in the search, and by those on fresh splits, by which a later run may not rank.
    """
    rows = result.ranking()[: 1 if keep == "best" else None]
    return KeepPolicy(keep, result).numbers | {trial.number for row in rows if (trial := row.best)}


def _saved(
    prepared: Prepared, result: StudyResult, best: TrialRecord, folder: StudyFolder, progress: Observer
) -> Path | dict[str, Any] | None:
    if best.candidate in prepared.missing:
        progress.warn(f"the top trial ({best.number}) is of {best.candidate}, which is missing: no model is written")
        return None
    weights = folder.weights.load(best.number)
    if weights is None and (result.verdict or result.confirmation):
        best, weights = trained_again(prepared, best, folder, progress)
    if weights is None:
        progress.warn(f"the weights of the top trial ({best.number}) were not kept, so there is no model")
        return None
    if folder.best.is_loadable(best.number):
        return folder.best.file_of(best.number)
    from lossreg import tracking
    from lossreg.data import preprocessor_file

    progress.phase(f"study {prepared.spec.name}: writing the model of trial {best.number}")
    predictor = predictors.build(prepared, best, weights)
    texts = preprocessor_file.dumps(predictor.preprocessor), predictor.about.json_text()
    path = folder.best.save(predictor.model, best.number, *texts)
    description = tracking.describe(predictor.model, path)
    tracking.note(description)
    return description


def trained_again(
    prepared: Prepared, trial: TrialRecord, folder: StudyFolder, progress: Observer
) -> tuple[TrialRecord, Weights | None]:
    """Train all members of a trial a second time; keep and return the first one's weights, with its decision.

    None in place of weights where the training does not come to its end.
    """
    progress.message(f"the weights of trial {trial.number} were not kept here: it is trained again")
    plan, policy = restore.plan_of(prepared, trial), SearchPolicy.of(prepared)
    pool = sizing.retraining_pool(prepared, prepared.problem, [plan], policy.members)
    pool.warn = progress.warn
    try:
        pool.prepare()
        (ended,) = retraining.train(pool, [policy.plans(plan)], policy, progress, wants_weights=True)
    finally:
        pool.shutdown()
    if ended.weights is not None:
        folder.weights.save(trial.number, ended.weights)
    return replace(trial, decision=ended.decision), ended.weights
