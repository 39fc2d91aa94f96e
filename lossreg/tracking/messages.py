"""Messages between a study and the process that tracks it: records as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from lossreg.storage.confirmation import Confirmation
from lossreg.storage.constraints import Constraint
from lossreg.storage.pareto import Objective
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Verdict
from lossreg.terminal.masking import masked, masked_values

# fields that quote what others wrote, such as the message of an exception
FREE_TEXTS = ("reason", "refusal", "notes", "failure")
Message = dict[str, Any]
# fields of a study that are records themselves
KEPT: dict[str, type[Verdict] | type[Confirmation]] = {"verdict": Verdict, "confirmation": Confirmation}

LEFT_OUT = ("trials", "reached")
SEVERAL: dict[str, type[Constraint] | type[Objective]] = {"constraints": Constraint, "objectives": Objective}


def encode(message: Mapping[str, Any]) -> bytes:
    """Return `message` as one line; NaN and infinities are kept, in Python's spelling."""
    return json.dumps(message, default=_plain).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line; raises `ValueError` for one that was cut off."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"no message: {line[:80]!r}")
    return message


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def of_study(result: StudyResult) -> Message:
    """Return the fields of a study without its trials, and without how far it is now."""
    values = {field.name: getattr(result, field.name) for field in fields(result) if field.name not in LEFT_OUT}
    kept = {name: getattr(result, name) for name in KEPT}
    stored = {name: record.stored() if record else None for name, record in kept.items()}
    return {**values, **stored, **{name: [asdict(one) for one in getattr(result, name)] for name in SEVERAL}}


def of_trial(trial: TrialRecord) -> Message:
    """Return the fields of a trial."""
    return {field.name: getattr(trial, field.name) for field in fields(trial)}


def study(message: Mapping[str, Any], trials: list[TrialRecord]) -> StudyResult:
    """Return the study of `of_study` with these trials, every text without secrets."""
    fields_kept = {
        name: kind.of_stored(_without_secrets(stored)) if (stored := message.get(name)) else None
        for name, kind in KEPT.items()
    }
    several = {name: tuple(map(kind.of_stored, message.get(name, ()))) for name, kind in SEVERAL.items()}
    return StudyResult(**{**_without_secrets(message), **fields_kept, **several}, trials=trials)


def trial(message: Mapping[str, Any]) -> TrialRecord:
    """Return the trial of `of_trial`, every text without secrets."""
    return TrialRecord(**_without_secrets(message))


def _without_secrets(record: Mapping[str, Any]) -> Message:
    """Mask the fields of a record: names keep words that are somebody's password, free texts do not."""
    texts = {name: _masked_texts(record[name]) for name in FREE_TEXTS if name in record}
    return {**masked_values(record), **texts}


def _masked_texts(texts: Any) -> Any:
    return masked(texts) if isinstance(texts, str) else list(map(masked, texts))
