"""Constraints in words: of the trials on the leaderboard, and of the two that a verdict compares."""

from __future__ import annotations

from lossreg.reporting.arms import Arms, tested
from lossreg.reporting.values import number
from lossreg.storage.constraints import Constraint, in_words
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.storage.verdict import Kept, KeptBy

VIOLATED = "(violated)"
BOTH = "neither of the two keeps it in validation; "


def headings(result: StudyResult) -> list[str]:
    """Return the heading of a column for each constraint: `recall >= 0.9`."""
    return [constraint.short for constraint in result.constraints]


def cells(result: StudyResult, trial: TrialRecord | None) -> list[str]:
    """Return a trial's value for each constraint, marked where it violates it."""
    if trial is None:
        return ["-"] * len(result.constraints)
    values = result.measured(trial)
    return [_cell(constraint, values.get(constraint.metric)) for constraint in result.constraints]


def _cell(constraint: Constraint, value: float | None) -> str:
    shown = number(value) if value is None else constraint.text(value, 5)
    return f"{shown}{f' {VIOLATED}' * (not constraint.is_kept(value))}"


def alone(arms: Arms) -> str:
    """Return `in validation it keeps recall of at least 0.9, and ... does not`, where that decides; else nothing."""
    if not arms.verdict.is_decided_by_constraints:
        return ""
    broken = [one for one in arms.verdict.constraints if one.is_kept_by_winner != one.is_kept_by_baseline]
    other = arms.baseline if arms.is_winner else arms.winner
    return f"in validation it keeps {in_words(one.constraint for one in broken)}, and {other} does not"


def violated(arms: Arms) -> str:
    """Return `; it violates recall of at least 0.9 in validation`, or on the test rows, of the recommended one."""
    verdict, parts = arms.verdict, []
    of_arm = [(one.constraint, one.winner if arms.is_winner else one.baseline) for one in verdict.constraints]
    if broken := [constraint for constraint, arm in of_arm if not constraint.is_kept(arm.validation)]:
        parts.append(f"{in_words(broken)} in validation")
    tested_ones = [(constraint, arm.tested.mean) for constraint, arm in of_arm if arm.tested]
    if broken := [constraint for constraint, mean in tested_ones if not constraint.is_kept(mean)]:
        parts.append(f"{in_words(broken)} on the test rows")
    return f"; it violates {' and '.join(parts)}" if parts else ""


def sentences(arms: Arms) -> list[str]:
    """Return a sentence for each constraint: what the two have on the test rows, and whether that keeps it."""
    return [sentence for one in arms.verdict.constraints if (sentence := _sentence(arms, one))]


def _sentence(arms: Arms, one: Kept) -> str:
    metric, baseline = one.constraint.metric, arms.baseline
    neither = "" if one.is_kept_by_winner or one.is_kept_by_baseline else BOTH
    start = f"The constraint {one.constraint}: {neither}"
    if one.winner.tested is None and one.baseline.tested is None:
        return f"{start}nothing is known of it on the test rows."
    first = f"on {tested(arms.verdict)} the {metric} of {arms.winner} is {_value(one, one.winner)}"
    return f"{start}{first}, that of {baseline} {_value(one, one.baseline)}."


def _value(one: Kept, arm: KeptBy) -> str:
    if arm.tested is None:
        return "not known"
    value = arm.tested
    verb = "keeps" if one.constraint.is_kept(value.mean) else "violates"
    is_sure = one.constraint.is_kept(value.low) == one.constraint.is_kept(value.high)
    doubt = "" if is_sure else ", though its interval has the bound inside"
    mean, low, high = (one.constraint.text(each, 3) for each in value[:3])
    return f"{mean} (95% interval: {low} to {high}), which {verb} it{doubt}"
