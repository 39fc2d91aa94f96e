"""Keras models of trials that have ended: the weights that were kept, put back into the model they were trained in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import optuna

from lossreg.config import study as studies
from lossreg.config.search_space import shown
from lossreg.errors import InputError, LossregError, did_you_mean, shortened
from lossreg.search import attributes, completion, history
from lossreg.search.history import StudyLike
from lossreg.search.resumption import Changes, with_present_start
from lossreg.storage import shared_study
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import Outcome, TrialRecord
from lossreg.storage.trials import ATTRIBUTE
from lossreg.terminal.caller import words

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.storage.trial_record import Weights
    from lossreg.training.interface import Plan


class Trained(NamedTuple):
    """A Keras model from preprocessed samples to predictions, and the preprocessor of raw rows for it."""

    model: Any
    preprocessor: Any


class KeptTrial(NamedTuple):
    """A trial with the attributes of its study, and its weights, None where it is to be trained again."""

    attributes: dict[str, Any]
    record: TrialRecord
    weights: Weights | None


class Restored(NamedTuple):
    """A trial with its weights, in the study that it was trained in."""

    prepared: Prepared
    record: TrialRecord
    weights: Weights


def load_trial(
    study: StudyLike, number: int | None = None, loss: str | None = None, *, train: bool = False, data: Any = None
) -> Trained:
    """Return the model that a trial trained, and its preprocessor, without training unless `train`.

    study is a file, a table of its sections or a `StudySpec`, `data` the rows of one that was given them. The trial
    is the one of that number, or that of that candidate, or without either the recommended one, which is the best
    of all where there is no verdict. Of a candidate it is the recommended trial if that is one of its trials, else
    the best by validation score. Of a trial of several folds or seeds it is the first member. Raises `InputError`
    where there is no such trial, or its weights were not kept; with `train` it is then trained again.
    """
    spec = studies.of(study, (), data)
    check(number, loss)
    return restore(spec, look_up(spec, number, loss, train=train))


def check(number: Any, loss: Any) -> None:
    """Raise `InputError` for arguments that are no number of a trial and no name of a candidate."""
    if number is not None and (isinstance(number, bool) or not hasattr(number, "__index__")):
        raise InputError(f"must be the number of a trial, not {shown(number)}", where="number")
    if loss is not None and not isinstance(loss, str):
        raise InputError(f"must be the name of a candidate, not {shown(loss)}", where="loss")


def look_up(
    spec: studies.StudySpec, number: int | None = None, loss: str | None = None, *, train: bool = False,
    folder: StudyFolder | None = None,
) -> KeptTrial:  # fmt: skip
    """Return the trial that `load_trial` restores, without importing Keras; raises `InputError`."""
    folder = folder or shared_study.of(spec)
    study = folder.read()
    result = history.result(study, folder.path)
    record = find(result, number, loss, where=spec.place())
    weights = folder.weights.load(record.number)
    if weights is None and not train:
        raise _not_kept(spec, folder, record, completion.model_holder(folder, result, study.user_attrs))
    return KeptTrial(study.user_attrs[ATTRIBUTE], record, weights)


def restore(spec: studies.StudySpec, kept: KeptTrial, progress: Observer | None = None) -> Trained:
    """Return model and preprocessor of a trial that was looked up, of the study as it began; imports Keras.

    Raises `LossregError` where it was to be trained again and that failed.
    """
    restored = with_weights(spec, kept, progress)
    return Trained(build(*restored), data_of(restored.prepared, restored.record).preprocessor)


def with_weights(spec: studies.StudySpec, kept: KeptTrial, progress: Observer | None = None) -> Restored:
    """Return a trial that was looked up with the weights that it has or is given by training it again, as `restore`."""
    from lossreg.runtime import backend
    from lossreg.search import preparation, top_model

    backend.check()
    stored = with_present_start(attributes.of_trial(kept.attributes, kept.record.number), spec)
    begun = studies.as_begun(spec, stored["fingerprint"], stored["spec"])
    changed, record, weights = Changes(begun, stored), kept.record, kept.weights
    prepared = preparation.prepare(begun, changed, rehearsed=weights is None, wanted=record.candidate)
    if weights is None:
        folder = shared_study.of(spec)
        folder.require_free()
        record, weights = top_model.trained_again(prepared, record, folder, progress or Observer())
    if weights is None:
        raise LossregError(f"trial {record.number} was trained again, and did not come to its end")
    return Restored(prepared, record, weights)


def find(result: StudyResult, number: int | None = None, loss: str | None = None, *, where: str = "") -> TrialRecord:
    """Return the completed trial of that number, or the recommended one; of a loss that, or its best.

    Raises `InputError` where there is none, which begins with `where`.
    """
    if number is not None and loss is not None:
        raise InputError(
            f"{words('--trial and --loss', 'number and loss')} exclude each other", hint="Give one of them."
        )
    record = result.recommended
    if number is not None:
        record = next((trial for trial in result.trials if trial.number == number), None)
        if record is None:
            raise InputError(f"study {result.study!r} has no trial {number}", where=where, hint=_numbers(result))
    elif loss is not None:
        if loss not in result.losses:
            known = ", ".join(result.losses)
            hint = did_you_mean(loss, result.losses) or f"It has {known}."
            raise InputError(f"study {result.study!r} has no loss {loss!r}", where=where, hint=hint)
        is_recommended = record is not None and record.candidate == loss
        record = record if is_recommended else next(row.best for row in result.ranking() if row.candidate == loss)
    if record is None:
        what = f"no trial {f'of {loss} ' * bool(loss)}has completed, so there is no model"
        raise InputError(what, where=where, hint=_without_model(result))
    if record.state != Outcome.COMPLETE:
        done = ", ".join(str(trial.number) for trial in result.trials if trial.state == Outcome.COMPLETE)
        hint = f"Those that completed are {shortened(done, 80)}." if done else _without_model(result)
        raise InputError(f"trial {number} ended as {record.state}, so it has no model", where=where, hint=hint)
    return record


def _numbers(result: StudyResult) -> str:
    last = max((trial.number for trial in result.trials), default=None)
    return "It has none yet." if last is None else f"Its trials go from 0 to {last}."


def _without_model(result: StudyResult) -> str:
    """Return what to do about a study without a trial that completed: run it, or see how its trials ended."""
    if not result.trials or (result.reached and not result.reached.is_over):
        return words("`lossreg tune STUDY` runs the study.", "`lossreg.tune(study)` runs the study.")
    return words("`lossreg results STUDY` says how its trials ended.", "`lossreg.results(study)` has its trials.")


def _not_kept(spec: studies.StudySpec, folder: StudyFolder, record: TrialRecord, finisher: str) -> InputError:
    there = ", ".join(map(str, folder.weights.numbers)) or "none"
    again = f"{words('`--train`', '`train=True`')} trains it again"
    if folder.is_shared:
        finished = f", and worker {finisher}, which finished the study, the recommended model" if finisher else ""
        return InputError(
            f"the weights of trial {record.number} ({record.candidate}) are not here: worker {record.worker} trained "
            f"it{finished}", hint=f"Ask for it there; or {again}.",
        )  # fmt: skip
    return InputError(
        f"the weights of trial {record.number} ({record.candidate}) were not kept; those of these trials were: {there}",
        where=spec.place("search.keep"), hint=f'Set search.keep = "all" before the study is run; {again}.',
    )  # fmt: skip


def build(prepared: Prepared, record: TrialRecord, weights: Weights) -> Any:
    """Return the Keras model of a trial, from preprocessed samples to predictions, with these weights."""
    from lossreg.models import inference

    problem, plan = prepared.problem, plan_of(prepared, record)
    data = data_of(prepared, record)
    model = problem.build(problem.outputs(plan.candidate), 0, plan.architecture)
    if [tuple(variable.shape) for variable in model.weights] != [value.shape for value in weights]:
        raise InputError(f"the weights that were kept of trial {record.number} are not of its model")
    for variable, value in zip(model.weights, weights, strict=True):
        variable.assign(value)
    return inference.predictor(
        model, problem.losses[plan.candidate], data.constants, data.n_classes, record.decision,
        positive=data.slugs[1] if data.task == "binary" else "",
    )  # fmt: skip


def plan_of(prepared: Prepared, record: TrialRecord) -> Plan:
    """Return the first member's plan of a trial that has ended."""
    if record.number < prepared.earlier:
        return prepared.proposer.repeated(record.candidate, record.params, record.loss_params, record.learning_rate)
    return plan_with(prepared, record.candidate, record.params)


def plan_with(prepared: Prepared, candidate: str, params: Mapping[str, Any]) -> Plan:
    """Return the plan of a trial with these parameters, as Optuna has them."""
    return prepared.proposer.suggest(optuna.trial.FixedTrial({"loss": candidate, **params}))


def data_of(prepared: Prepared, record: TrialRecord) -> Any:
    """Return the data that the first member of a trial was trained on."""
    return prepared.problem.folds[plan_of(prepared, record).fold]
