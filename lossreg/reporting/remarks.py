"""The limits of a verdict's answer, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lossreg.config.search_space import Range
from lossreg.reporting.arms import Arms
from lossreg.reporting.change import Rounding
from lossreg.storage.verdict import Answer

NEAR_END = 0.02  # of a range
EXPLORATORY = (
    "This is exploratory: {} after the first look at the test rows, so the answer is less sure than its numbers say."
)
CHANGED = {"trials": "trials were run", "margin": "the margin was set"}


def sentences(arms: Arms) -> list[str]:
    """Return the remarks on a verdict, none where nothing limits it."""
    remarks = (
        _simpler(arms), _unseen(arms), _near_end(arms), _left_out(arms), _exploratory(arms), _openings(arms),
    )  # fmt: skip
    return [remark for remark in remarks if remark]


def _simpler(arms: Arms) -> str:
    is_ahead = arms.main is not None and 0 < arms.main.difference <= arms.verdict.margin
    if arms.is_winner or arms.is_one_loss or not is_ahead or arms.verdict.answer is Answer.EQUAL:
        return ""
    return (
        f"{arms.baseline} is the simpler choice, and the difference does not exceed the margin of "
        f"{arms.verdict.margin:g}."
    )


def _unseen(arms: Arms) -> str:
    if arms.main is None or not arms.is_of_few_rows or arms.verdict.reason:
        return ""
    size = Rounding.of_size(arms.main.unseen).text(arms.main.unseen)
    return (
        f"The result rests on few rows, or on few of one class: rows unlike the test rows may change the difference by "
        f"{size}. Treat the interval as too narrow."
    )


def _near_end(arms: Arms) -> str:
    """Return whose learning rate is near an end of the range that was searched; empty with outer folds."""
    searched = _searched_rates(arms)
    if searched is None or arms.main is None or arms.verdict.outer:
        return ""
    sides = (arms.verdict.winner, arms.verdict.baseline)
    near = [f"{arm.candidate} ({arm.learning_rate:.3g})" for arm in sides if _is_near_end(arm.learning_rate, searched)]
    if not near:
        return ""
    many, verb = "s" * (len(near) > 1), "are" if len(near) > 1 else "is"
    return (
        f"The learning rate{many} of {' and '.join(near)} {verb} near an end of the range that was searched, "
        f"{searched.low:g} to {searched.high:g}: with a wider range the score may be better."
    )


def _searched_rates(arms: Arms) -> Range | None:
    """Return the range of learning rates; None where it is fixed, one of a few, or not known."""
    table = arms.result.spec.get("train", {}).get("learning_rate")
    low, high, log = map(table.get, ("low", "high", "log")) if isinstance(table, Mapping) else (None, None, False)
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)) or not 0 < low < high:
        return None
    return Range(low, high, bool(log))


def _is_near_end(value: float, searched: Range) -> bool:
    """Return whether a value is near an end of its range, on the scale on which it was searched."""
    if value <= 0:
        return False
    value, low, high = (math.log(one) if searched.log else one for one in (value, searched.low, searched.high))
    return min(abs(value - low), abs(high - value)) <= NEAR_END * (high - low)


def _left_out(arms: Arms) -> str:
    count = arms.verdict.repeats - arms.main.repeats if arms.main else 0
    if count <= 0:
        return ""
    verb, of = "is" if count == 1 else "are", f"{count} of {arms.verdict.repeats} repeats"
    return f"{of} {verb} left out: {_lost(arms) or 'one of the two has no score there'}."


def _lost(arms: Arms) -> str:
    """Return whose repeats have no score, and why; empty where an older version did not note it."""
    reasons, verdict = [], arms.verdict
    for arm, name in zip(("winner", "baseline"), verdict.sides, strict=True):
        scored = verdict.scored.get(arm, verdict.repeats)
        finished = verdict.finished.get(arm, scored)
        if failed := verdict.repeats - finished:
            reasons.append(f"{failed} of {name} diverged or failed")
        if finished > scored:
            reasons.append(f"in {finished - scored} the {arms.result.metric} of {name} is not finite")
    return ", ".join(reasons)


def _exploratory(arms: Arms) -> str:
    # an older version did not note what was changed
    changed = arms.verdict.changed or ("trials",) * arms.verdict.exploratory
    return EXPLORATORY.format(" and ".join(CHANGED[what] for what in changed)) if changed else ""


def _openings(arms: Arms) -> str:
    if arms.verdict.openings <= 1:
        return ""
    rows = "All rows" if arms.verdict.outer else "The test rows"
    return (
        f"{rows} have been looked at {arms.verdict.openings} times; every further look makes a result by chance more "
        "likely."
    )
