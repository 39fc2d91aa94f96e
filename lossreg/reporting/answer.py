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


def _better(arms: Arms) -> str:
    start, lacks = f"{arms.first} is better than {arms.baseline}", arms.lacks_tuned
    if arms.verdict.cause is None:
        return f"{start}."
    end = f"; there is too little data to tune the {arms.tuned_part} of both." if lacks else "."
    if arms.verdict.cause is Cause.LOSS:
        perhaps = f", though perhaps by the {arms.tuned_part} alone" if lacks else ""
        same = _at_same_rate(arms, "both were otherwise trained alike", "is still worse")
        return f"{start}, because of the loss{perhaps}: {same}{end}"
    perhaps = f", or the {arms.tuned_part} alone," if lacks else ""
    same = _at_same_rate(arms, "there is no comparison with the same for both", "is not shown to be worse")
    return f"{start}, but the {arms.differing}{perhaps} may have done it: {same}{end}"


def _at_same_rate(arms: Arms, missing: str, verb: str) -> str:
    """Return how the baseline does with the winner's settings of training; `missing` without that comparison."""
    if arms.at_same_rate is None:
        return missing
    return f"with the {arms.differing} of {arms.winner}, {arms.baseline} {verb} ({arms.of_baseline(arms.at_same_rate)})"


def _no_difference(arms: Arms) -> str:
    if arms.verdict.reason or (arms.is_ahead and arms.tuned is None):
        return f"{arms.first} is called neither better than {arms.baseline} nor equal{_reason(arms)}."
    if arms.is_ahead and arms.tuned:
        return _better_as_it_is(arms, arms.tuned)
    if arms.is_winner:
        return f"{arms.first} is not shown to be better than {arms.baseline}{_choice(arms)}.{_detectable(arms)}"
    return f"No difference between the two is shown{' as they are' * bool(arms.tuned)}.{_detectable(arms)}"


def _choice(arms: Arms) -> str:
    """Return what speaks for each of two that are not shown to differ, where the winner is recommended."""
    if arms.seldom or arms.verdict.is_decided_by_constraints:
        return "" if arms.is_one_loss else ", which is the simpler choice"
    simpler = "" if arms.is_one_loss else f", {arms.baseline} is the simpler choice"
    return f". Either may do: {arms.verdict.recommended.candidate} has the better estimate{simpler}"


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
    either = " Either will do." * (not arms.verdict.is_decided_by_constraints)
    return (
        f"{arms.first} and {arms.baseline} are practically equal: the interval lies within the margin of "
        f"{arms.verdict.margin:g}.{either}"
    )


def _worse(arms: Arms) -> str:
    start = f"{arms.first} is worse than {arms.baseline}"
    if arms.tuned is None or not arms.is_worse_untuned:
        return f"{start}."
    how = "better" if arms.tuned.low > 0 else "not shown to be worse"
    return f"{start} as it is, but {how} where both have a tuned {arms.tuned_part}."


def _not_enough_data(arms: Arms) -> str:
    return f"{arms.winner} was not compared with {arms.baseline}{_reason(arms)}."


def _reason(arms: Arms) -> str:
    reason = arms.verdict.reason.strip().rstrip(".")
    return f": {reason}" if reason else ""
