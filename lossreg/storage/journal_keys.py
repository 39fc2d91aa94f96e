"""The keys that a journal must have of a study and of its trials, in this version and in former ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypedDict

from lossreg.storage import stored_types
from lossreg.storage.stored_types import Count, Seconds
from lossreg.storage.trial_record import TrialRecord

if TYPE_CHECKING:
    from pathlib import Path


class Data(TypedDict, total=False):
    """The keys of the data of a study that are computed with."""

    rows: Mapping[str, Count]
    classes: Mapping[str, Any] | list[Any] | None
    features: int | Mapping[str, Any] | list[Any] | None


class Search(TypedDict, total=False):
    """The keys of the section `search` that are computed with."""

    seed: Count
    seeds: Count


class Training(TypedDict, total=False):
    """The keys of the section `train` that are computed with."""

    epochs: Count
    schedule: str | Mapping[str, Any] | None


class Spec(TypedDict, total=False):
    """The sections of a study file that are computed with."""

    data: Mapping[str, Any]
    model: Mapping[str, Any]
    search: Search
    train: Training
    verdict: Mapping[str, Any]


class Trainers(TypedDict, total=False):
    """The numbers of trials by trainer, and why some were not trained together."""

    population: Count
    fit: Count
    reasons: list[str]


# the file in a study's folder that has its trials
JOURNAL = "journal.log"
# key of the score that Optuna is told of a trial, beside its record
TOLD = "told"
# key of a study's attributes with what its verdict compares, noted before the test rows are opened
FROZEN = "frozen"
# fields of a trial's record that Optuna keeps by itself
IN_OPTUNA = ("number", "params", "score")
# keys, with the kinds of their values, that a journal must have of a study, and of a trial that has ended
STUDY_KEYS: dict[str, type] = {
    **dict.fromkeys(("id", "metric", "direction", "task", "baseline"), str),
    **dict.fromkeys(("losses", "data", "spec", "fingerprint", "provenance", "spaces", "seconds"), Mapping),
}
TRIAL_KEYS: dict[str, type] = {
    **{
        column.name: object
        for column in fields(TrialRecord)
        if column.default is MISSING and column.default_factory is MISSING and column.name not in IN_OPTUNA
    },
    **dict.fromkeys(("state", "candidate", "loss"), str),
    **dict.fromkeys(("loss_params", "curves"), Mapping),
    TOLD: object,
}
# types of the values of these and of further keys, where a record has them
STUDY_TYPES = {
    "losses": Mapping[str, str], "seconds": Seconds, "tracking": Mapping, "trainer": Trainers,
    "notes": list[str], "overrides": list[str], "failure": str, "started": float, "file": str, "versions": Mapping,
    "is_shared": bool, "constraints": list, "objectives": list,
    "data": Data, "spec": Spec,
}  # fmt: skip
STUDY_CHECKS = {name: stored_types.check_of(kind) for name, kind in STUDY_TYPES.items()}
TRIAL_CHECKS = {**stored_types.of_fields(TrialRecord), TOLD: stored_types.check_of(float | list[float])}

# field names up to 0.2.0
FORMER = {"label": "candidate", "constant": "predicts_only", "settings": "loss_params"}


def current(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's record as read from a journal of any version, its fields under their present names."""
    if FORMER.keys().isdisjoint(record):
        return dict(record)
    return {FORMER.get(name, name): value for name, value in record.items()}


def is_study_folder(path: str | Path) -> bool:
    """Tell whether a folder has the trials of a study."""
    return os.path.isfile(os.path.join(path, JOURNAL))  # noqa: PTH113, PTH118 - no error where it may not be read


def lacking(record: Any, keys: Mapping[str, type]) -> str:
    """Return the first of `keys` that a record read from a journal lacks or has of another kind; empty if none.

    Something that is no record at all lacks the first key. An empty text is none: with an empty id every run in MLflow
    would be the study's.
    """
    record = current(record) if isinstance(record, Mapping) else {}
    return next((key for key, kind in keys.items() if key not in record or not _is_of(record[key], kind)), "")


def study_fault(record: Any) -> str:
    """Return what is wrong with the record of a study, such as `has a wrong value of notes`; empty if nothing."""
    return _fault(record, STUDY_KEYS, STUDY_CHECKS)


def trial_fault(record: Any) -> str:
    """Return what is wrong with the record of a trial; empty if nothing."""
    return _fault(record, TRIAL_KEYS, TRIAL_CHECKS)


def _fault(record: Any, keys: Mapping[str, type], checks: Mapping[str, stored_types.Check]) -> str:
    if key := lacking(record, keys):
        return f"has no {key}"
    key = stored_types.wrong_name(current(record), checks)
    return f"has a wrong value of {key}" if key else ""


def _is_of(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and value != ""
