"""Numbers, scores and parameters of trials as short text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord, finite


def short(value: Any) -> str:
    """Return a value with few digits: floats have four, those of a list three."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_short_item, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def brief(value: Any, most: int = 4) -> str:
    """Return a value as `short` does, a list of more than `most` by its first ones: `[0.1, 0.2, 0.3, ... of 10]`."""
    if not isinstance(value, (list, tuple)) or len(value) <= most:
        return short(value)
    return f"[{', '.join(map(_short_item, value[: most - 1]))}, ... of {len(value)}]"


def _short_item(item: Any) -> str:
    return f"{item:.3g}" if isinstance(item, float) else str(item)


def loss_params(trial: TrialRecord, text: Callable[[Any], str] = short) -> str:
    """Return the loss parameters of a trial for a table's cell, `gamma=2.1, alpha=0.25`, each value by `text`."""
    return ", ".join(f"{name}={text(value)}" for name, value in trial.loss_params.items() if value is not None)


def number(value: Any) -> str:
    """Return a value as text: floats to five significant digits, `-` for what is absent or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-" if value is None else str(value)
    return "-" if finite(float(value)) is None else f"{value:.5g}"


def scored(trial: TrialRecord | None) -> str:
    """Return the score of a trial: `0.953`, of several members `0.953 +- 0.012`, `-` where there is none."""
    if trial is None or trial.spread is None:
        return number(trial.score if trial else None)
    return f"{number(trial.score)} +- {trial.spread:.2g}"


def compared(result: StudyResult, trial: TrialRecord | None) -> str:
    """Return the score by which trials are compared: the confirmed one, `0.953 +- 0.004`, else as `scored`."""
    confirmed = result.confirmed(trial)
    if confirmed is None:
        return scored(trial)
    return number(confirmed.mean) if confirmed.error is None else f"{number(confirmed.mean)} +- {confirmed.error:.2g}"


def listed(values: Any, most: int = 12) -> str:
    """Return the first values, or keys with their values: `no 30, yes 12, and 3 more`."""
    if isinstance(values, Mapping):
        values = [f"{name} {count}" for name, count in values.items()]
    if not values:
        return ""
    shown = ", ".join(map(str, values[:most]))
    return f"{shown}, and {len(values) - most} more" if len(values) > most else shown
