"""Records as lines of JSON, for the pipes between a study and the process that tracks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.terminal.masking import masked, masked_values

# fields that quote what others wrote, such as the message of an exception
FREE_TEXTS = ("reason", "refusal", "notes")


def line(message: Mapping[str, Any]) -> bytes:
    """`message` as one line; NaN and infinities are kept, in Python's spelling."""
    return json.dumps(message, default=_plain).encode() + b"\n"


def message(line: bytes) -> dict[str, Any]:
    """What a line says; raises `ValueError` for one that was cut off."""
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError(f"no message: {line[:80]!r}")
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def header(result: StudyResult) -> dict[str, Any]:
    """A study without its trials."""
    return {field.name: getattr(result, field.name) for field in fields(result) if field.name != "trials"}


def entry(trial: TrialRecord) -> dict[str, Any]:
    """A trial."""
    return {field.name: getattr(trial, field.name) for field in fields(trial)}


def study(header: Mapping[str, Any], trials: list[TrialRecord]) -> StudyResult:
    """The study that `header` and its trials came from, every text without secrets."""
    return StudyResult(**_without_secrets(header), trials=trials)


def trial(entry: Mapping[str, Any]) -> TrialRecord:
    """The trial that `entry` came from, every text without secrets."""
    return TrialRecord(**_without_secrets(entry))


def _without_secrets(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record: names keep the words that are somebody's password, free texts do not."""
    texts = {name: _masked_texts(record[name]) for name in FREE_TEXTS if name in record}
    return {**masked_values(record), **texts}


def _masked_texts(texts: Any) -> Any:
    return masked(texts) if isinstance(texts, str) else list(map(masked, texts))
