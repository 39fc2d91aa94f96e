"""The completion of a study, noted when nothing is left to do, so that nothing is done twice."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna

from lossreg.config.study import StudySpec
from lossreg.runtime.user_code import is_function
from lossreg.search import confirming, history
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE
from lossreg.tracking.uri import sqlite_path, without_secrets

KEY = "ending"
FAILED = "failed_verdict"
BUILT_IN = "sklearn:"


def of(spec: StudySpec, result: StudyResult, uri: str) -> dict[str, Any]:
    """Return the note of a study that is complete; `uri` is empty unless every run is in that MLflow store."""
    return {
        "document": spec.document(),
        "trials": len(result.trials),
        "uri": without_secrets(uri),
        "source": _source(spec),
    }


def is_tracked(stored: Mapping[str, Any], spec: StudySpec, result: StudyResult, uri: str) -> bool:
    """Return whether the study as it stands is complete, and is in this MLflow store, where it is tracked at all."""
    is_same = is_noted(stored, spec, uri) and stored[KEY].get("trials") == len(result.trials)
    return is_same and _has_nothing_left(stored, spec, result) and _is_there(uri)


def is_noted(stored: Mapping[str, Any], spec: StudySpec, uri: str) -> bool:
    """Return whether a study of this file was once complete, and in this MLflow store; its trials are not looked at."""
    note = stored.get(KEY) or {}
    return note.get("document") == spec.document() and note.get("uri") == without_secrets(uri)


def reached(spec: StudySpec, folder: StudyFolder, uri: str) -> StudyResult | None:
    """Return the result of a study of which nothing is left to do, without Keras; None where something may be left.

    None also with functions of the user's, or where a file has changed since: the outcome may differ.
    """
    begun = folder.peek()
    if begun is not None and folder.is_shared and _is_finished_elsewhere(spec, folder, begun):
        return history.result(begun, folder.path)
    stored = begun.user_attrs[ATTRIBUTE] if begun else {}
    source = _source(spec)
    if begun is None or source is None or not is_noted(stored, spec, uri) or stored[KEY].get("source") != source:
        return None
    result = history.result(begun, folder.path)
    top = result.recommended
    has_model = top is not None and folder.best.is_loadable(top.number)
    return result if has_model and is_tracked(stored, spec, result, uri) else None


def _is_finished_elsewhere(spec: StudySpec, folder: StudyFolder, study: optuna.Study) -> bool:
    """Return whether another worker finished the study; its data file and MLflow store may be of its own machine."""
    result, stored = history.result(study, folder.path), study.user_attrs.get(ATTRIBUTE, {})
    note = stored.get(KEY) or {}
    is_same = note.get("document") == spec.document() and note.get("trials") == len(result.trials)
    return is_same and bool(model_holder(folder, result, study.user_attrs)) and _has_nothing_left(stored, spec, result)


def model_holder(folder: StudyFolder, result: StudyResult, noted: Mapping[str, Any]) -> str:
    """Return which other worker finished the study and has its model; empty where none has, or it is here too.

    A model that was deleted from that folder does not count.
    """
    top, note = result.recommended, noted.get(history.FINISHED) or {}
    is_there = top is not None and note.get("trials") == len(result.trials) and note.get("model", False)
    is_elsewhere = is_there and note.get("folder") != place(folder)
    return str(note["worker"]) if top and is_elsewhere and not folder.best.is_loadable(top.number) else ""


def place(folder: StudyFolder) -> list[str]:
    """Return the machine and the path of a folder."""
    return [socket.gethostname(), str(folder.path.resolve())]


def state(spec: StudySpec, result: StudyResult) -> dict[str, Any]:
    """Return what a verdict depends on: in each state it is tried once, unless it is asked for."""
    return {"trials": len(result.trials), "confirm": spec.search.confirm, **spec.verdict.model_dump()}


def has_verdict(stored: Mapping[str, Any], spec: StudySpec, result: StudyResult, *, again: bool = False) -> bool:
    """Return whether a study has the verdict that is asked for, or has failed to reach it and is not to try `again`.

    result: with a verdict on all of its trials, or without one.
    """
    asked, verdict = spec.verdict, result.verdict
    if verdict and asked.is_met(outer=verdict.outer, repeats=verdict.repeats, margin=verdict.margin):
        return True
    is_tried = stored.get(FAILED) == state(spec, result) or (verdict is not None and not verdict.repeats)
    return is_tried and not again


def lacks_verdict(result: StudyResult) -> bool:
    """Return whether a study has no verdict, or an earlier one alone since the last attempt failed."""
    return result.verdict is None or bool(result.failure)


def _has_nothing_left(stored: Mapping[str, Any], spec: StudySpec, result: StudyResult) -> bool:
    """Return whether nothing is left to confirm, and no verdict is left to reach or to try."""
    if not is_confirmed(spec, result):
        return False
    if not spec.verdict.enabled or has_verdict(stored, spec, result):
        return True
    return result.verdict is None and not is_comparable(result)


def is_confirmed(spec: StudySpec, result: StudyResult) -> bool:
    """Return whether the best settings are confirmed as asked for, or a version without that came to a verdict."""
    confirmation, splits = result.confirmation, spec.search.confirm
    if confirmation is None:
        return bool(result.verdict) or not confirming.is_due(splits, confirming.contenders(result))
    return confirmation.splits == splits


def is_comparable(result: StudyResult) -> bool:
    """Return whether both the baseline and another candidate have a score."""
    return len({row.is_baseline for row in result.ranking() if row.best}) == 2


def _source(spec: StudySpec) -> list[Any] | None:
    """Return the names of the data, and time and size of their files; None where a function of the user's has a part.

    That may be one of data, model, loss or metric, whose code is not compared.
    """
    functions = [spec.search.metric, spec.train.callbacks, *(loss.function for loss in spec.losses.values())]
    if spec.model.is_own or any(map(is_function, functions)):
        return None
    data = spec.data
    parts = [part for part in (data.test, data.validation, spec.model.start) if isinstance(part, str)]
    with suppress(OSError, RuntimeError):
        return [mark for name in (data.source, *parts) for mark in _stamp(name, spec.base)]
    return None


def _stamp(source: str, base: Path) -> list[Any]:
    """Return a source's name, and time and size of its file or files; raises `OSError` where there is none."""
    if source.startswith(BUILT_IN):
        return [source]
    path = base / Path(source).expanduser()
    if path.is_dir():
        inner = [each.stat() for each in path.rglob("*")]
        newest = max((each.st_mtime_ns for each in inner), default=0)
        return [source, len(inner), newest, sum(each.st_size for each in inner)]
    stat = path.stat()
    return [source, stat.st_mtime_ns, stat.st_size]


def _is_there(uri: str) -> bool:
    """Return whether the file of a store still exists; a server is not asked."""
    file = sqlite_path(uri)
    return file is None or file.exists()
