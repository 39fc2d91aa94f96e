"""The confidence that the recommended loss is better, in the few words that follow its name."""

from __future__ import annotations

from lossreg.reporting import constraints
from lossreg.reporting.arms import Arms, arm_of
from lossreg.storage.verdict import Answer, Cause


def in_words(arms: Arms) -> str:
    """Return `: shown to be better`, or `, or with cross_entropy if you tune the threshold` where that is shown."""
    if by_constraint := constraints.alone(arms):
        return f": {by_constraint}{_though_worse(arms)}{constraints.violated(arms)}"
    if arms.is_one_loss and arms.verdict.answer is not Answer.NOT_ENOUGH_DATA:
        other = arms.baseline if arms.is_winner else arms.winner
        same = f": the same loss as {other}, from which it differs in {arms.differing}"
        return f"{same}{constraints.violated(arms)}"
    if arms.is_either:
        return f"{_either(arms)}{constraints.violated(arms)}"
    shown = _if_tuned(arms) or f": {_of_winner(arms) if arms.is_winner else _of_baseline(arms)}"
    return f"{shown}{constraints.violated(arms)}"


def _though_worse(arms: Arms) -> str:
    """Return that the recommended one is shown to have the worse score, where it is."""
    is_worse = arms.verdict.answer is (Answer.WORSE if arms.is_winner else Answer.BETTER)
    return ", though it is shown to be worse" * is_worse


def _either(arms: Arms) -> str:
    """Return ` or cross_entropy: no difference between them is shown`."""
    winner, baseline = (arm_of(arms.result, arm) for arm in (arms.verdict.winner, arms.verdict.baseline))
    start = f", or with {baseline}" if "," in winner + baseline else f" or {baseline}"
    untuned = f" without a tuned {arms.tuned_part}" * (arms.tuned is not None and arms.tuned.low > 0)
    return f"{start}: no difference between them is shown{untuned}"


def _if_tuned(arms: Arms) -> str:
    """Return the other arm, where it is shown to be better with tuned decisions of both; else an empty text."""
    other = arms.verdict.baseline if arms.is_winner else arms.verdict.winner
    return f", or with {arm_of(arms.result, other)} if you tune the {arms.tuned_part}" * arms.is_other_better_tuned


def _of_winner(arms: Arms) -> str:
    how_sure = {
        Answer.BETTER: f"shown to be better{_cause(arms)}",
        Answer.NO_DIFFERENCE: _ahead(arms),
        Answer.EQUAL: f"practically equal to {arms.baseline}",
        Answer.WORSE: "shown to be worse",
        Answer.NOT_ENOUGH_DATA: f"not compared with {arms.baseline}",
    }[arms.verdict.answer]
    return f"{f'{arms.winner} is ' * arms.is_seldom}{how_sure}"


def _of_baseline(arms: Arms) -> str:
    return {
        Answer.BETTER: f"{arms.winner} is better, but not by more than the margin",
        Answer.NO_DIFFERENCE: _none_better(arms),
        Answer.EQUAL: f"{arms.winner} is practically equal",
        Answer.WORSE: _worse(arms),
        Answer.NOT_ENOUGH_DATA: f"the baseline is kept, as {arms.winner} could not be compared with it",
    }[arms.verdict.answer]


def _cause(arms: Arms) -> str:
    if arms.lacks_tuned or arms.verdict.cause is None:
        return ""
    return ", because of the loss" if arms.verdict.cause is Cause.LOSS else f", perhaps by the {arms.differing}"


def _ahead(arms: Arms) -> str:
    if arms.tuned is None or arms.verdict.reason:
        return f"ahead of {arms.baseline}, but not called better"
    return f"better than {arms.baseline} as it is, not shown to be with a tuned {arms.tuned_part} for both"


def _none_better(arms: Arms) -> str:
    if not arms.is_ahead:
        return f"{arms.winner} is not shown to be better"
    if arms.verdict.reason:
        return f"{arms.winner} is called neither better nor equal"
    return f"{arms.winner} is better as it is, but not by more than the margin"


def _worse(arms: Arms) -> str:
    as_it_is = f" as it is, but not with a tuned {arms.tuned_part} for both" * arms.is_worse_untuned
    return f"{arms.winner} is shown to be worse{as_it_is}"
