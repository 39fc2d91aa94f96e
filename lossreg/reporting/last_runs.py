"""The keys of a study that later runs changed: those of its verdict, and the numbers of splits and of trials."""

from __future__ import annotations

import json
from typing import Any

from lossreg.config.schema import Search, Verdict
from lossreg.storage.study_result import StudyResult

TRIALS = "search.trials"


def key_of(override: str) -> str:
    """Return the key that an override sets."""
    return override.partition("=")[0].strip()


def asks_for_verdict(result: StudyResult) -> bool:
    """Return whether the last run of a study was to reach a verdict."""
    asked = _asked(result, "verdict.enabled")
    return asked == "true" if asked else bool(result.spec.get("verdict", {}).get("enabled", True))


def overrides(result: StudyResult) -> list[str]:
    """Return the overrides which give another study the verdict and the confirmation that this one has."""
    return [f"{key}={json.dumps(value)}" for key, value in (_of_verdict(result) | _of_confirmation(result)).items()]


def spec(result: StudyResult) -> dict[str, Any]:
    """Return the study as it ran in the end, as the table of its sections."""
    merged = {**result.spec}
    for key, value in (_of_verdict(result) | _of_confirmation(result) | _of_trials(result)).items():
        section, _, name = key.partition(".")
        merged[section] = {**merged.get(section, {}), name: value}
    return merged


def _of_verdict(result: StudyResult) -> dict[str, Any]:
    verdict = result.verdict
    if verdict is None or not verdict.repeats:
        return {}
    usual: dict[str, Any] = {
        "enabled": True,
        "outer": None,  # another machine may choose another number
        "repeats": Verdict().repeats_with(verdict.outer),
        "margin": 0.0,
    }
    begun = usual | _given(result, "verdict")
    # of fewer repeats than asked for some failed
    repeats = max(verdict.repeats, begun["repeats"])
    now = {"enabled": True, "outer": verdict.outer, "repeats": repeats, "margin": verdict.margin}
    return {f"verdict.{name}": value for name, value in now.items() if begun[name] != value}


def _of_confirmation(result: StudyResult) -> dict[str, Any]:
    begun, confirmation = _given(result, "search"), result.confirmation
    is_other = confirmation is not None and confirmation.splits != begun.get("confirm", Search().confirm)
    return {"search.confirm": confirmation.splits} if confirmation and is_other else {}


def _of_trials(result: StudyResult) -> dict[str, Any]:
    asked = _asked(result, TRIALS)
    return {TRIALS: int(asked)} if asked.isdecimal() else {}


def _asked(result: StudyResult, key: str) -> str:
    """Return the last value that overrides give a key, as it was written; empty without one."""
    values = [override.partition("=")[2].strip() for override in result.overrides if key_of(override) == key]
    return values[-1] if values else ""


def _given(result: StudyResult, section: str) -> dict[str, Any]:
    return {name: value for name, value in result.spec.get(section, {}).items() if value is not None}
