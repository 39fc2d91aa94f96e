"""The records of a study in Optuna's storage: the truth from which everything else can be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from lossreg.config import study as studies
from lossreg.config.study import StudySpec
from lossreg.registry import registry
from lossreg.search import budget, frozen, more
from lossreg.search.result import Result
from lossreg.storage import shared_study, stored_types
from lossreg.storage.confirmation import KEY, Confirmation
from lossreg.storage.constraints import Constraint
from lossreg.storage.journal_keys import IN_OPTUNA, JOURNAL, current, is_study_folder
from lossreg.storage.pareto import Objective
from lossreg.storage.reached import Reached
from lossreg.storage.study_folder import StudyFolder, damaged
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import Outcome, TrialRecord, finite
from lossreg.storage.trials import ATTRIBUTE, LOST
from lossreg.storage.verdict import Verdict
from lossreg.terminal.caller import words
from lossreg.terminal.masking import masked, masked_values

StudyLike = StudySpec | str | Path | Mapping[str, Any]
_STUDY_FIELDS = (
    "metric", "direction", "task", "losses", "baseline", "data", "spec", "seconds", "tracking", "trainer", "failure",
    "started", "file", "versions", "is_shared",
)  # fmt: skip
# keys of a study's attributes with its verdict, and with the constraints of its trials
VERDICT, CONSTRAINTS = "verdict", "constraints"
# key of the metrics that are optimised together, where there are several
OBJECTIVES = "objectives"
# key of the number of trials with which the last run came to its end: budget or time was spent, the verdict tried
OVER = "over"
# the parent run in MLflow that the first of several workers made, until the study ends
PARENT = "lossreg:parent"
# which of several workers finished the study last, with how many trials, in which folder, and whether it has the model
FINISHED = "lossreg:finished"
# the records of a study besides its trials, of which it has one, and of which it has several
ONE_OF: Mapping[str, Callable[[Any], Any]] = {VERDICT: Verdict.of_stored, KEY: Confirmation.of_stored}
SEVERAL_OF: Mapping[str, Callable[[Any], Any]] = {
    CONSTRAINTS: Constraint.of_stored, OBJECTIVES: Objective.of_stored,
}  # fmt: skip
_TRIAL_FIELDS = frozenset(field.name for field in fields(TrialRecord))


def results(study: StudyLike) -> Result:
    """Return the result of a study, or of the folder that has its trials, as far as it has come.

    Raises `InputError` if it was never run.
    """
    is_folder = isinstance(study, (str, Path)) and is_study_folder(study)
    folder = StudyFolder.at(Path(str(study))) if is_folder else shared_study.of(studies.of(study))
    return Result.of(of_folder(folder))


def of_folder(folder: StudyFolder) -> StudyResult:
    """Return the result of the study in a folder, how far it is, and in a note what its journal has lost.

    Raises `InputError` if it was never run.
    """
    study = folder.read()
    so_far, reached = result(study, folder.path), _reached(folder, study)
    so_far = replace(so_far, reached=reached, budget=reached.trials)
    if lost := folder.lost(study):
        how = f"`{words('lossreg tune STUDY', 'lossreg.tune')}` trains again what is missing"
        so_far.notes.append(f"{folder.where} has lost lines: {lost}; {how}")
    return so_far


def _reached(folder: StudyFolder, study: optuna.Study) -> Reached:
    """Return how far a study is; up to lossreg 0.2.0 it was not noted whether a run came to its end."""
    ended, trials = folder.ended(study), budget.of(study)
    over = study.user_attrs[ATTRIBUTE].get(OVER)
    is_over = ended >= trials if over is None else over == len(records(study))
    activity = folder.activity
    return Reached(ended, trials, folder.is_busy, is_over, activity.text if activity else "")


def to_attribute(record: TrialRecord) -> dict[str, Any]:
    """Return what Optuna itself does not keep of a trial, as JSON values."""
    names = [field.name for field in fields(record) if field.name not in IN_OPTUNA and field.name != "curves"]
    values: dict[str, Any] = finite({name: getattr(record, name) for name in names})
    values |= {name: masked(values[name]) for name in ("reason", "refusal")}
    # the curves, which are finite already, are shared: Optuna's memory of the trial holds no second copy
    return {**values, "curves": record.curves}


def from_trial(trial: FrozenTrial) -> TrialRecord | None:
    """Return the record of an ended trial; None while it runs, and of one that was cut off."""
    values = trial.user_attrs.get(ATTRIBUTE)
    # of one that was given to another worker there may be a record of its first one
    is_dropped = trial.state == TrialState.FAIL and LOST in trial.user_attrs
    if values is None or not trial.state.is_finished() or is_dropped:
        return None
    values = current(values)
    values = values if "constants" in values else {**values, "constants": _unknown(values["loss"])}
    params = {name: value for name, value in trial.params.items() if name != "loss"}
    is_complete = values["state"] == Outcome.COMPLETE and trial.state == TrialState.COMPLETE
    score = trial.values[0] if is_complete else None
    return TrialRecord(
        number=trial.number, params=params, score=score, **{k: v for k, v in values.items() if k in _TRIAL_FIELDS}
    )


def _unknown(loss: str) -> dict[str, None]:
    """Return the names of the constants of a loss in a trial of lossreg 0.1.0, which did not keep them."""
    entry = registry.default().look_up(loss)
    return dict.fromkeys(entry.spec.row_constants) if entry else {}


def records(study: optuna.Study) -> list[TrialRecord]:
    """Return the records of the ended trials, by number."""
    return [record for trial in study.get_trials(deepcopy=False) if (record := from_trial(trial))]


def lost(study: optuna.Study) -> list[int]:
    """Return the numbers of the trials that were cut off for good, and of which there is no record."""
    ended = (trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished())
    return [trial.number for trial in ended if from_trial(trial) is None]


def result(study: optuna.Study, folder: Path) -> StudyResult:
    """Return the result of a study as far as it has come; raises `InputError` for a record that cannot be read."""
    noted, trials = study.user_attrs, records(study)
    attributes = noted.get(ATTRIBUTE, {})
    if wrong := fault(attributes):
        raise damaged(str(folder / JOURNAL), f"its {wrong}")
    attributes = {**attributes, "tracking": attributes.get("tracking") or noted.get(PARENT, {})}
    return StudyResult(
        study=study.study_name, trials=trials, notes=list(attributes.get("notes", [])), folder=str(folder),
        verdict=_current(attributes, VERDICT, len(trials), Verdict.of_stored),
        confirmation=_current(attributes, KEY, len(trials), Confirmation.of_stored),
        constraints=tuple(map(Constraint.of_stored, attributes.get(CONSTRAINTS, ()))),
        objectives=tuple(map(Objective.of_stored, attributes.get(OBJECTIVES, ()))),
        overrides=[*attributes.get("overrides", ()), *more.overrides(study)], extended_to=more.noted(study),
        is_outdated=frozen.is_outdated(attributes, len(trials)),
        **{name: _shown(name, attributes[name]) for name in _STUDY_FIELDS if name in attributes},
    )  # fmt: skip


Record = TypeVar("Record", Verdict, Confirmation)


def _current(attributes: Mapping[str, Any], key: str, trials: int, of_stored: Callable[[Any], Record]) -> Record | None:
    """Return the verdict or the confirmation of a study; None where it has none, or trials were added since."""
    stored = attributes.get(key)
    return of_stored(stored) if stored and stored.get("trials") == trials else None


def fault(attributes: Mapping[str, Any]) -> str:
    """Return what is wrong with the first record that cannot be read: `verdict has no 'winner'`; empty if none."""
    for key, of_stored in ONE_OF.items():
        if attributes.get(key) and (reason := _unreadable(of_stored, attributes[key])):
            return f"{key} {reason}"
    for key, of_stored in SEVERAL_OF.items():
        for stored in attributes.get(key, ()):
            if reason := _unreadable(of_stored, stored):
                return f"{key} {reason}"
    return ""


def _unreadable(of_stored: Callable[[Any], Any], stored: Any) -> str:
    """Return what is wrong with a record that was stored: `has no 'winner'`; empty if it can be read."""
    try:
        mistyped = stored_types.mistyped_field(of_stored(stored))
    except KeyError as error:
        return f"has no {error}"
    except (TypeError, ValueError, AttributeError):
        return "is incomplete"
    return f"has {mistyped} of a wrong type" if mistyped else ""


def _shown(name: str, value: Any) -> Any:
    """Return a field of the study without passwords: journals of lossreg 0.1.0 have the store's in its address."""
    if name == "tracking":
        return masked_values(value)
    return {**value, "tracking": masked_values(value.get("tracking"))} if name == "spec" else value
