"""The answer of a verdict as a sentence, with what follows from it."""

from __future__ import annotations

import math

from lossreg.reporting.arms import Arms
from lossreg.reporting.change import Rounding
from lossreg.storage.verdict import Answer, Cause, Comparison


def sentence(arms: Arms) -> str:
    """Return the answer: `focal is better than cross_entropy, because of the loss: ...`."""
    return {
        Answer.BETTER: _better,
        Answer.NO_DIFFERENCE: _no_difference,
        Answer.EQUAL: _equal,
        Answer.WORSE: _worse,
        Answer.NOT_ENOUGH_DATA: _not_enough_data,
    }[arms.verdict.answer](arms)


def names_tuned(arms: Arms) -> bool:
    """Return whether `sentence` says how the two do with tuned decisions."""
    is_as_it_is = arms.verdict.answer is Answer.NO_DIFFERENCE and arms.is_ahead and not arms.verdict.reason
    return is_as_it_is or (arms.verdict.answer is Answer.WORSE and arms.is_worse_untuned)


def _better(arms: Arms) -> str:
    start, lacks = f"{arms.first} is better than {arms.baseline}", arms.lacks_tuned
    if arms.verdict.cause is None:
        return f"{start}."
    end = f"; there is too little data to tune the {arms.tuned_part} of both." if lacks else "."
    if arms.verdict.cause is Cause.LOSS:
        perhaps = f", though perhaps by the {arms.tuned_part} alone" if lacks else ""
        same = _at_same_rate(arms, "both were otherwise trained alike", "still better")
        return f"{start}, because of the loss{perhaps}: {same}{end}"
    perhaps = f", or the {arms.tuned_part} alone," if lacks else ""
    same = _at_same_rate(arms, "there is no comparison with the same for both", _open(arms.at_same_rate))
    return f"{start}, but the {arms.differing}{perhaps} may have done it: {same}{end}"


def _open(same: Comparison | None) -> str:
    return "worse" if same and same.high < 0 else "not shown to be better"


def _at_same_rate(arms: Arms, missing: str, how: str) -> str:
    """Return how the winner does where both have its settings of training; `missing` without that comparison."""
    if arms.at_same_rate is None:
        return missing
    return f"with the same {arms.differing} for both, it is {how} ({arms.in_brief(arms.at_same_rate)})"


def _no_difference(arms: Arms) -> str:
    if arms.verdict.reason or (arms.is_ahead and arms.tuned is None):
        return f"{arms.first} is called neither better than {arms.baseline} nor equal{_reason(arms)}."
    if arms.is_ahead and arms.tuned:
        return _better_as_it_is(arms, arms.tuned)
    return f"{_not_shown(arms)}.{_detectable(arms)}"


def _not_shown(arms: Arms) -> str:
    """Return what speaks for each of two that the headline offers; else that no difference between them is shown."""
    simpler = f", {arms.baseline} is the simpler choice" * (not arms.is_one_loss)
    if arms.is_either:
        return f"{arms.first} has the better estimate{simpler}"
    if arms.is_winner and arms.verdict.is_decided_by_constraints:
        return f"No difference between the two is shown{simpler}"
    is_shown_tuned = arms.tuned is not None and not arms.tuned.low <= 0 <= arms.tuned.high
    default = f" without a tuned {arms.tuned_part}" * is_shown_tuned
    estimate = f"; {arms.winner} has the better estimate" * arms.is_winner
    return f"No difference between the two is shown{default}{estimate}"


def _better_as_it_is(arms: Arms, tuned: Comparison) -> str:
    start, part = f"{arms.first} is better than {arms.baseline} as it is, but", arms.tuned_part
    if tuned.high < 0:
        return f"{start} worse where both have a tuned {part}."
    return (
        f"{start} not shown to be better where both have a tuned {part}: {arms.baseline} with a tuned {part} may do as "
        "well."
    )


def _detectable(arms: Arms) -> str:
    smallest = arms.main.detectable if arms.main else None
    if not smallest or not math.isfinite(smallest):
        return ""
    start = "At best, a" if arms.is_of_few_rows else "A"
    return f" {start} difference of {Rounding.of_size(smallest).text(smallest)} would be seen in 4 of 5 such studies."


def _equal(arms: Arms) -> str:
    within = f"the interval lies within the margin of {arms.verdict.margin:g}"
    if arms.is_one_loss or arms.verdict.is_decided_by_constraints:
        return f"{arms.first} and {arms.baseline} are practically equal: {within}."
    return f"{within[0].upper()}{within[1:]}, so either will do."


def _worse(arms: Arms) -> str:
    start = f"{arms.first} is worse than {arms.baseline}"
    if arms.tuned is None or not arms.is_worse_untuned:
        return f"{start}."
    how = "better" if arms.tuned.low > 0 else "not shown to be worse"
    return f"{start} as it is, but {how} where both have a tuned {arms.tuned_part}."


def _not_enough_data(arms: Arms) -> str:
    return f"{arms.first} was not compared with {arms.baseline}{_reason(arms)}."


def _reason(arms: Arms) -> str:
    reason = arms.verdict.reason.strip().rstrip(".")
    return f": {reason}" if reason else ""
