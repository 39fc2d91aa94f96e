"""The lines of a study's journal, checked against the forms that Optuna writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, json_to_distribution
from optuna.trial import TrialState

from lossreg.storage import internals
from lossreg.storage.pareto import MOST_METRICS

CREATE_STUDY, STUDY_ATTRIBUTE, STUDY_SYSTEM, CREATE_TRIAL = 0, 2, 3, 4
PARAM, STATE, INTERMEDIATE, ATTRIBUTE_OF_TRIAL, SYSTEM_OF_TRIAL = 5, 6, 7, 8, 9
REPAIRER = "repair"
OF_TRIALS = (PARAM, STATE, INTERMEDIATE, ATTRIBUTE_OF_TRIAL, SYSTEM_OF_TRIAL)


@dataclass(slots=True)
class Line:
    """A line by its number, from 1, with its entry; a fault says why it is left out."""

    number: int
    raw: bytes
    log: dict[str, Any] = field(default_factory=dict)
    fault: str = ""

    @property
    def op(self) -> int:
        """Optuna's code of the operation, -1 of a line that cannot be read."""
        code: int = self.log.get("op_code", -1)
        return code

    @property
    def trial(self) -> int | None:
        """The number of its trial, None where it has none or it cannot be read."""
        if "trial_id" in self.log:
            return int(self.log["trial_id"])
        match = re.search(rb'"trial_id":(\d{1,9})\b', self.raw)
        return int(match[1]) if match and not self.log else None

    @property
    def writer(self) -> str:
        """The session that wrote it: the id of the worker without its thread."""
        return str(self.log.get("worker_id", "")).rpartition("-")[0]


def repairer(number: int) -> str:
    """Return the worker id of a line that a repair writes about a trial: two equal lines would count as damage."""
    return f"{REPAIRER}-{number}"


def read(text: bytes) -> list[Line]:
    """Return the lines of a journal, those that are not whole with their fault."""
    lines = [_line(number, raw) for number, raw in enumerate(text.split(b"\n"), start=1)]
    if not lines[-1].raw:
        return lines[:-1]
    lines[-1].fault, lines[-1].log = "it has no end", {}
    return lines


def written(number: int, log: Mapping[str, Any]) -> Line:
    """Return a new line."""
    return Line(number, json.dumps(log, separators=(",", ":")).encode(), dict(log))


def _line(number: int, raw: bytes) -> Line:
    try:
        log = json.loads(raw)
    except (ValueError, RecursionError):
        return Line(number, raw, fault="it cannot be read")
    if not isinstance(log, dict):
        return Line(number, raw, fault="it is no entry of a journal")
    fault = _fault(log)
    return Line(number, raw, {} if fault else log, fault)


def _fault(log: Mapping[str, Any]) -> str:
    """Return why Optuna cannot have written this; empty where it can."""
    form = FORMS.get(log.get("op_code")) if type(log.get("op_code")) is int else None  # type: ignore[arg-type]
    if form is None:
        return "it is of no kind that is known"
    for name, is_right in {**form, "worker_id": _is_text}.items():
        if name not in log:
            return f"it lacks {name}"
        if not is_right(log[name]):
            return f"its {name} is of the wrong kind"
    known = {*form, "op_code", "worker_id", *OPTIONAL.get(log["op_code"], ())}
    odd = next((name for name in log if name not in known), "")
    return f"it has {odd[:40]!r}, which is unknown" if odd else _beyond(log)


def _beyond(log: Mapping[str, Any]) -> str:
    """Return the fault in values that only fit or contradict each other; empty if there is none."""
    if log["op_code"] == PARAM and (distribution := distribution_of(log)) is not None:
        inside = internals.contains(distribution, log["param_value_internal"])
        return "" if inside else "its value lies outside its range"
    if log["op_code"] == STATE:
        date = "datetime_start" if log["state"] == TrialState.RUNNING else "datetime_complete"
        return "" if log["state"] == TrialState.WAITING or _is_date(log.get(date)) else f"its {date} is no date"
    if log["op_code"] == CREATE_TRIAL and "state" in log and log["state"] not in tuple(TrialState):
        return "its state is of the wrong kind"
    return ""


def distribution_of(log: Mapping[str, Any]) -> BaseDistribution | None:
    """Return the distribution of a parameter's line, None where there is none."""
    text = log["distribution"]
    return _distribution(text) if isinstance(text, str) else None


@lru_cache(maxsize=1000)
def _distribution(text: str) -> BaseDistribution | None:
    try:
        return json_to_distribution(text)
    except Exception:
        return None


def kind_of(log: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what all lines of one parameter must have in common."""
    distribution = distribution_of(log)
    choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
    return (type(distribution).__name__, *map(repr, choices))


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 10**9


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_single(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1


def _is_date(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_state(value: Any) -> bool:
    return type(value) is int and value in tuple(TrialState)


def _are_values(value: Any) -> bool:
    return value is None or (_is_of_metrics(value) and all(map(_is_number, value)))


def _are_directions(value: Any) -> bool:
    return _is_of_metrics(value) and all(type(one) is int and one in (1, 2) for one in value)


def _is_of_metrics(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= MOST_METRICS


def _is_distribution(value: Any) -> bool:
    return distribution_of({"distribution": value}) is not None


Check = Callable[[Any], bool]
FORMS: dict[int, dict[str, Check]] = {
    CREATE_STUDY: {"study_name": _is_text, "directions": _are_directions},
    STUDY_ATTRIBUTE: {"study_id": _is_whole, "user_attr": _is_single},
    STUDY_SYSTEM: {"study_id": _is_whole, "system_attr": _is_single},
    CREATE_TRIAL: {"study_id": _is_whole, "datetime_start": lambda value: value is None or _is_date(value)},
    PARAM: {
        "trial_id": _is_whole, "param_name": _is_text, "param_value_internal": _is_number,
        "distribution": _is_distribution,
    },
    STATE: {"trial_id": _is_whole, "state": _is_state, "values": _are_values},
    INTERMEDIATE: {"trial_id": _is_whole, "step": _is_whole, "intermediate_value": _is_number},
    ATTRIBUTE_OF_TRIAL: {"trial_id": _is_whole, "user_attr": _is_single},
    SYSTEM_OF_TRIAL: {"trial_id": _is_whole, "system_attr": _is_single},
}  # fmt: skip
OPTIONAL = {
    CREATE_TRIAL: (
        "state", "value", "values", "datetime_complete", "distributions", "params", "user_attrs", "system_attrs",
        "intermediate_values",
    ),
    STATE: ("datetime_start", "datetime_complete"),
}  # fmt: skip
