"""Numbers, scores and parameters of trials as short text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lossreg.storage.study_result import Standing, StudyResult
from lossreg.storage.trial_record import TrialRecord, finite

MOST_DECIMALS, LARGEST = 7, 1e7  # beyond these, numbers have exponents


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


def decimals(scores: Iterable[float | None], errors: Iterable[float | None] = ()) -> int | None:
    """Return the decimals with which scores are shown together, None where each needs its own.

    Half of their errors, or more, have two significant digits; without errors the largest score has five.
    """
    sizes = sorted(error for error in errors if error and math.isfinite(error))
    largest = max((abs(score) for score in scores if score and math.isfinite(score)), default=0.0)
    size, digits = (sizes[len(sizes) // 2], 2) if sizes else (largest, 5)
    count = max(0, digits - 1 - math.floor(math.log10(size))) if size else None
    return count if count is not None and count <= MOST_DECIMALS and largest < LARGEST else None


def fixed(value: float | None, places: int | None) -> str:
    """Return a number with so many decimals; as `number` does where there is none, or it is not finite."""
    return number(value) if value is None or places is None or not math.isfinite(value) else f"{value:.{places}f}"


def with_error(value: float | None, error: float | None, places: int | None) -> str:
    """Return `0.9531 +- 0.0042`; without an error the value alone."""
    if error is None or value is None:
        return fixed(value, places)
    return f"{fixed(value, places)} +- {f'{error:.2g}' if places is None else fixed(error, places)}"


def scored(trial: TrialRecord | None, places: int | None = None) -> str:
    """Return the score of a trial: `0.953`, of several members `0.953 +- 0.012`, `-` where there is none."""
    if trial is None or trial.score is None:
        return number(None)
    if places is None and trial.spread is not None:
        places = decimals([trial.score], [trial.spread])
    return with_error(trial.score, trial.spread, places)


def compared(result: StudyResult, trial: TrialRecord | None, board: Sequence[Standing] = ()) -> str:
    """Return the score by which trials are compared: the confirmed one, `0.953 +- 0.004`, else as `scored`.

    board: the ranking, where it is known.
    """
    confirmed = result.confirmed(trial)
    if confirmed is None:
        return scored(trial, compared_decimals(result, board) if trial and trial.spread is not None else None)
    return with_error(confirmed.mean, confirmed.error, compared_decimals(result, board))


def compared_decimals(result: StudyResult, board: Sequence[Standing] = ()) -> int | None:
    """Return the decimals of the scores by which the best trials of the losses are compared; board: the ranking."""
    rows = [row for row in board or result.ranking() if row.best]
    errors = [row.confirmed.error if row.confirmed else row.best.spread for row in rows if row.best]
    return decimals((result.compared_score(row.best) for row in rows), errors)


def shown_name(result: StudyResult, candidate: str) -> str:
    """Return a candidate's name, the baseline's marked as such unless its name says so."""
    is_marked = candidate == result.baseline and not candidate.startswith("baseline")
    return f"{candidate} (baseline)" if is_marked else candidate


def listed(values: Any, most: int = 12) -> str:
    """Return the first values, or keys with their values: `no 30, yes 12, and 3 more`."""
    if isinstance(values, Mapping):
        values = [f"{name} {count:,}" for name, count in values.items()]
    if not values:
        return ""
    shown = ", ".join(map(str, values[:most]))
    return f"{shown}, and {len(values) - most} more" if len(values) > most else shown
