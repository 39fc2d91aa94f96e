"""The records of a study in Optuna's storage: the truth from which everything else can be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lossreg.config import study as studies
from lossreg.config.study import StudySpec
from lossreg.registry import registry
from lossreg.reporting.last_runs import key_of
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
# what `--set` was given for the last run, where that is other than what the study began with
OVERRIDES = "lossreg:overrides"
# keys that hold until a run gives others
LASTING = ("verdict.outer", "verdict.repeats", "verdict.margin", "search.confirm")
# the parent run in MLflow that the first of several workers made, until the study ends
PARENT = "lossreg:parent"
# key of the seconds of all runs, the one that goes on included, until they are in the study's attributes
SPENT = "lossreg:seconds"
# which of several workers finished the study last, with how many trials, in which folder, and whether it has the model
FINISHED = "lossreg:finished"
# the records of a study besides its trials, of which it has one, and of which it has several
ONE_OF: Mapping[str, Callable[[Any], Any]] = {VERDICT: Verdict.of_stored, KEY: Confirmation.of_stored}
SEVERAL_OF: Mapping[str, Callable[[Any], Any]] = {
    CONSTRAINTS: Constraint.of_stored, OBJECTIVES: Objective.of_stored,
}  # fmt: skip
_are_seconds = stored_types.check_of(stored_types.Seconds)
_TRIAL_FIELDS = frozenset(field.name for field in fields(TrialRecord))


class UnreadableError(ValueError):
    """The verdict or another record of a study cannot be read: `verdict has no 'winner'`."""


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
    so_far = result(study, folder.path)
    reached = _reached(folder, study, len(so_far.trials))
    so_far = replace(so_far, reached=reached, budget=reached.trials)
    if lost := folder.lost(study):
        how = f"`{words('lossreg tune STUDY', 'lossreg.tune')}` trains again what is missing"
        so_far.notes.append(f"{folder.where} has lost lines: {lost}; {how}")
    return so_far


def _reached(folder: StudyFolder, study: optuna.Study, recorded: int) -> Reached:
    """Return how far a study is; up to lossreg 0.2.0 it was not noted whether a run came to its end."""
    ended, trials = folder.ended(study), budget.of(study)
    over = study.user_attrs[ATTRIBUTE].get(OVER)
    is_over = ended >= trials if over is None else over == recorded
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
    try:
        kept = kept_records(attributes)
    except UnreadableError as error:
        raise damaged(str(folder / JOURNAL), f"its {error}") from error
    for name in ONE_OF:
        # trials may have been added since
        kept[name] = kept[name] if kept[name] and kept[name].trials == len(trials) else None
    parent = noted[PARENT] if isinstance(noted.get(PARENT), Mapping) else {}
    attributes = {**attributes, "tracking": attributes.get("tracking") or parent, "seconds": seconds(noted)}
    return StudyResult(
        study=study.study_name, trials=trials, notes=list(attributes.get("notes", [])), folder=str(folder),
        overrides=[*overrides(study), *budget.overrides(study)], extended_to=more.noted(study),
        is_outdated=frozen.is_outdated(attributes, len(trials)),
        **kept, **{name: _shown(name, attributes[name]) for name in _STUDY_FIELDS if name in attributes},
    )  # fmt: skip


def overrides(study: optuna.Study) -> list[str]:
    """Return what `--set` was given for the last run of a study, after what holds of the first."""
    begun, noted = list(study.user_attrs.get(ATTRIBUTE, {}).get("overrides", ())), study.user_attrs.get(OVERRIDES)
    if not isinstance(noted, list) or not all(isinstance(one, str) for one in noted):
        return begun
    return list(dict.fromkeys([*(one for one in begun if key_of(one) in LASTING), *noted]))


def seconds(noted: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the seconds of a study's runs, those of a run that was killed as far as they were stored."""
    summary: Mapping[str, float] = noted.get(ATTRIBUTE, {}).get("seconds", {})
    spent: Mapping[str, float] = noted[SPENT] if _are_seconds(noted.get(SPENT)) else {}
    return max(summary, spent, key=lambda seconds: seconds.get("total", 0.0))


def kept_records(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return verdict, confirmation, constraints and objectives of a study, by their keys.

    Raises `UnreadableError` for one that cannot be read.
    """
    one = {key: _read(key, attributes[key]) if attributes.get(key) else None for key in ONE_OF}
    return one | {key: tuple(_read(key, stored) for stored in attributes.get(key, ())) for key in SEVERAL_OF}


def _read(key: str, stored: Any) -> Any:
    """Return the record that was stored under a key."""
    try:
        record = {**ONE_OF, **SEVERAL_OF}[key](stored)
        wrong = stored_types.wrong_field(record)
    except KeyError as error:
        raise UnreadableError(f"{key} has no {error}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnreadableError(f"{key} is incomplete") from error
    if wrong:
        raise UnreadableError(f"{key} has a wrong value of {wrong}")
    return record


def _shown(name: str, value: Any) -> Any:
    """Return a field of the study without passwords: journals of lossreg 0.1.0 have the store's in its address."""
    if name == "tracking":
        return masked_values(value)
    return {**value, "tracking": masked_values(value.get("tracking"))} if name == "spec" else value
