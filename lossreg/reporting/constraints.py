"""Constraints in words: of the trials on the leaderboard, and of the two that a verdict compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lossreg.reporting.arms import Arms, tested
from lossreg.reporting.values import decimals, fixed, number
from lossreg.storage.constraints import Constraint
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Kept, KeptBy

VIOLATED = "(violated)"
BOTH = "neither of the two keeps it in validation; "


def headings(result: StudyResult) -> list[str]:
    """Return the heading of a column for each constraint: `recall >= 0.9`."""
    return [constraint.short for constraint in result.constraints]


def columns(result: StudyResult, trials: Sequence[TrialRecord | None]) -> list[list[str]]:
    """Return a column of each constraint: the values of trials in the same decimals, marked where they violate it."""
    return [_column(result, constraint, trials) for constraint in result.constraints]


def _column(result: StudyResult, constraint: Constraint, trials: Sequence[TrialRecord | None]) -> list[str]:
    values = [result.measured(trial).get(constraint.metric) if trial else None for trial in trials]
    places = decimals(values)
    return [
        _cell(constraint, value, fixed(value, places)) if trial else number(None)
        for trial, value in zip(trials, values, strict=True)
    ]


def _cell(constraint: Constraint, value: float | None, shown: str) -> str:
    """Return a value as shown, with more digits where it takes them to be on the same side of the bound."""
    is_kept = constraint.is_kept(value)
    if value is not None and constraint.is_kept(float(shown)) != is_kept:
        shown = constraint.text(value, 5)
    return f"{shown}{f' {VIOLATED}' * (not is_kept)}"


def alone(arms: Arms) -> str:
    """Return `of the two it alone keeps recall >= 0.9 (0.91, cross_entropy 0.1) in validation` where that decides."""
    if not arms.verdict.is_decided_by_constraints:
        return ""
    other = _candidates(arms)[1]
    kept = [
        f"{one.constraint.short} ({_text(one, of_it.validation)}, {other} {_text(one, of_other.validation)})"
        for one, of_it, of_other in _sides(arms)
        if one.is_kept_by_winner != one.is_kept_by_baseline
    ]
    return f"of the two it alone keeps {' and '.join(kept)} in validation"


def violated(arms: Arms) -> str:
    """Return `; in validation neither keeps recall >= 0.9 (focal 0.51, cross_entropy 0.14)`, and of the test rows.

    That is said of constraints that the recommended one violates, or the other where either may do.
    """
    validation = [(one, of_it.validation, of_other.validation) for one, of_it, of_other in _sides(arms)]
    on_test = [(one, _mean(of_it), _mean(of_other)) for one, of_it, of_other in _sides(arms) if of_it.tested]
    return _violated(arms, "in validation", _candidates(arms), validation) + _violated(
        arms, f"on {_rows(arms)}", _in_order(arms, arms.winner, arms.baseline), on_test
    )


def _violated(
    arms: Arms, place: str, names: tuple[str, str], values: Iterable[tuple[Kept, float | None, float | None]]
) -> str:
    """Return the part of the sentence on the constraints that are violated in a place; or nothing."""
    it, other = names
    parts = []
    for one, of_it, of_other in values:
        is_kept = one.constraint.is_kept(of_it)
        is_kept_by_other = of_other is None or one.constraint.is_kept(of_other)
        if is_kept and (is_kept_by_other or not arms.is_either):
            continue
        who = f"{other} violates" if is_kept else f"{it} violates" if is_kept_by_other else "neither keeps"
        parts.append(f"{who} {one.constraint.short} ({it} {_text(one, of_it)}, {other} {_text(one, of_other)})")
    return f"; {place} {' and '.join(parts)}" if parts else ""


def _rows(arms: Arms) -> str:
    return tested(arms.verdict) if arms.verdict.outer else "the test rows"


def _candidates(arms: Arms) -> tuple[str, str]:
    """Return the recommended one and the other by name, also with outer folds."""
    return _in_order(arms, arms.verdict.winner.candidate, arms.verdict.baseline.candidate)


def _in_order(arms: Arms, winner: str, baseline: str) -> tuple[str, str]:
    """Return two names, that of the recommended one first."""
    return (winner, baseline) if arms.is_winner else (baseline, winner)


def _sides(arms: Arms) -> list[tuple[Kept, KeptBy, KeptBy]]:
    """Return each constraint with what the recommended one and the other have of it."""
    kept = arms.verdict.constraints
    return [(one, *((one.winner, one.baseline) if arms.is_winner else (one.baseline, one.winner))) for one in kept]


def _mean(side: KeptBy) -> float | None:
    return side.tested.mean if side.tested else None


def _text(one: Kept, value: float | None) -> str:
    return "no value" if value is None else one.constraint.text(value, 3)


def sentences(arms: Arms) -> list[str]:
    """Return a sentence for each constraint: what the two have on the test rows, and whether that keeps it."""
    return [sentence for one in arms.verdict.constraints if (sentence := _sentence(arms, one))]


def _sentence(arms: Arms, one: Kept) -> str:
    metric, baseline = one.constraint.metric, arms.baseline
    neither = "" if one.is_kept_by_winner or one.is_kept_by_baseline else BOTH
    start = f"The constraint {one.constraint}: {neither}"
    if one.winner.tested is None and one.baseline.tested is None:
        return f"{start}nothing is known of it on {_rows(arms)}."
    first = f"on {tested(arms.verdict)} the {metric} of {arms.winner} is {_value(one, one.winner)}"
    return f"{start}{first}, that of {baseline} {_value(one, one.baseline)}{_doubt(arms, one)}."


def _value(one: Kept, arm: KeptBy) -> str:
    if arm.tested is None:
        return "not known"
    verb = "keeps" if one.constraint.is_kept(arm.tested.mean) else "violates"
    mean, low, high = (one.constraint.text(each, 3) for each in arm.tested[:3])
    return f"{mean} (95% interval: {low} to {high}), which {verb} it"


def _doubt(arms: Arms, one: Kept) -> str:
    """Return `; the interval of focal includes the bound`, or `both intervals include`; nothing where none does."""
    names = [name for name, arm in ((arms.winner, one.winner), (arms.baseline, one.baseline)) if _is_in_doubt(one, arm)]
    if not names:
        return ""
    return "; both intervals include the bound" if names[1:] else f"; the interval of {names[0]} includes the bound"


def _is_in_doubt(one: Kept, arm: KeptBy) -> bool:
    value = arm.tested
    return value is not None and one.constraint.is_kept(value.low) != one.constraint.is_kept(value.high)
