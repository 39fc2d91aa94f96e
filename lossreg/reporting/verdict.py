"""The verdict in plain words: what to train with, and how sure that is."""

from __future__ import annotations

import math
import statistics

from lossreg.reporting import answer, confidence, constraints, remarks
from lossreg.reporting.arms import Arms, arm_of, tested
from lossreg.reporting.change import won
from lossreg.reporting.values import number
from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Answer, Comparison, Verdict

LEFT = 0.25  # of a gain: hardly anything


def decision(result: StudyResult, verdict: Verdict) -> str:
    """Return the loss to train with, and how sure that is: `Train with focal: shown to be better.`

    Both losses where the other one suits a tuned decision. An answer that is exploratory is called so.
    """
    start = "Of the losses that were tried, train with" if result.untried else "Train with"
    arms = Arms(result, verdict)
    count = f"only {arms.tested_in}" if arms.tested_in else "none"
    few = f", chosen in {count} of {verdict.outer} outer folds" * arms.is_doubtful
    exploratory = " (exploratory)" * (verdict.exploratory and verdict.answer is not Answer.NOT_ENOUGH_DATA)
    return f"{start} {arm_of(result, verdict.recommended)}{few}{confidence.in_words(arms)}{exploratory}."


def evidence(result: StudyResult, verdict: Verdict, *, has_table: bool = False) -> list[str]:
    """Return how sure the decision is, in sentences: what was measured, the answer, what else there is to know.

    has_table: what was measured is shown as a table, and left out here.
    """
    arms = Arms(result, verdict)
    further = (_of_rate(arms), _of_tuned(arms)) if has_table else (_at_same_rate(arms), _tuned(arms))
    lines = (
        "" if has_table else _measured(arms), answer.sentence(arms), _folds(arms), *further, _decisions(arms),
        _chosen(arms), _trials(arms), *constraints.sentences(arms), *remarks.sentences(arms),
    )  # fmt: skip
    return [line for line in lines if line]


def _measured(arms: Arms) -> str:
    """Return the difference of the winner from the baseline on the test rows."""
    if arms.main is None:
        return ""
    change = arms.change(arms.main)
    score = change.rounding.score(arms.verdict.winner.score)
    value = f"{score}, " if score else ""
    against = f"{change.size} than" if change.size else "about the same as"
    return (
        f"{_where(arms)} the {arms.result.metric} of {_winner(arms)} is {value}{against} that of {arms.baseline} (95% "
        f"interval: {change.interval}).{_won(arms, arms.main)}"
    )


def _where(arms: Arms) -> str:
    """Return where the metric was measured: `On 500 test rows`."""
    rows, outer = tested(arms.verdict), arms.verdict.outer
    return f"In {outer}-fold nested cross-validation on {rows}," if outer else f"On {rows}"


def _winner(arms: Arms) -> str:
    """Return the winner, with its parameters where they are not in the headline, which names the baseline alone."""
    if arms.is_winner or arms.verdict.outer:
        return arms.winner
    return f"{arm_of(arms.result, arms.verdict.winner)}, the best other loss,"


def _won(arms: Arms, comparison: Comparison) -> str:
    """Return ` focal was better in 14 of 20 repeated trainings.`; nothing where none was finished."""
    if not comparison.repeats:
        return ""
    ties = ", a tie counting half" if comparison.has_ties else ""
    trainings = f"repeated training{'s' * (comparison.repeats != 1)}"
    return f" {arms.first} was better in {won(comparison)} {trainings}{ties}."


def _folds(arms: Arms) -> str:
    """Return the losses that the outer folds chose, and whether the recommended one is seldom among them."""
    won = [f"{name} in {count}" for name, count in arms.verdict.folds_won.items()]
    if not won:
        return ""
    seldom = f" {arms.seldom}" if arms.seldom else ""
    return (
        f"Chosen in the {arms.verdict.outer} outer folds, as the best beside {arms.baseline}: {', '.join(won)}.{seldom}"
    )


def _at_same_rate(arms: Arms) -> str:
    """Return the two with the winner's settings of training, where the answer says nothing of it; else empty."""
    if arms.at_same_rate is None or arms.verdict.cause:
        return ""
    left = f": by the estimates, {left}" if (left := _left(arms)) else ""
    return f"With the same {arms.differing} for both, {arms.of_winner(arms.at_same_rate)}{left}."


def _of_rate(arms: Arms) -> str:
    """Return which is better with the same settings of training, or what is left of a gain; else an empty text."""
    left, same = _left(arms), arms.at_same_rate
    if same and not arms.verdict.cause and (better := _beyond_zero(arms, same)):
        return f"With the same {arms.differing} for both, {better}."
    return f"By the estimates, {left} with the same {arms.differing} for both." if left else ""


def _beyond_zero(arms: Arms, comparison: Comparison) -> str:
    """Return which of the two is better by an interval that leaves 0 out; empty where it has 0 or does not matter."""
    near = min(comparison.interval, key=abs)
    has_0 = comparison.low <= 0 <= comparison.high or arms.rounding.is_zero(near)
    if has_0 or (arms.verdict.answer is Answer.EQUAL and comparison.is_within(arms.verdict.margin)):
        return ""
    above, better = ("above", arms.winner) if comparison.low > 0 else ("below", arms.baseline)
    return f"the interval lies {above} 0: there {better} is better"


def _left(arms: Arms) -> str:
    """Return `none of the gain is left`, or hardly anything, with the same settings of training; else empty."""
    main, same = arms.main, arms.at_same_rate
    is_open = arms.verdict.answer is Answer.NO_DIFFERENCE and main is not None and main.difference > 0
    if not is_open or not main or not same or same.difference > LEFT * main.difference:
        return ""
    return f"{'hardly anything' if same.difference > 0 else 'none'} of the gain is left"


def _of_tuned(arms: Arms) -> str:
    """Return what a table's row with tuned decisions shows, where the answer does not say it; else an empty text."""
    if arms.tuned is None or answer.names_tuned(arms):
        return ""
    if arms.verdict.answer is Answer.BETTER:
        return f"The gain is not one of the {arms.tuned_part} alone."
    better = _beyond_zero(arms, arms.tuned)
    return f"With a tuned {arms.tuned_part} for both, {better}." if better else ""


def _tuned(arms: Arms) -> str:
    """Return the two with tuned decisions; empty where there is no such comparison."""
    if arms.tuned is None:
        return ""
    so = f": the gain is not one of the {arms.tuned_part} alone" * (arms.verdict.answer is Answer.BETTER)
    return f"With a tuned {arms.tuned_part} for both, {arms.of_winner(arms.tuned)}{so}."


def _decisions(arms: Arms) -> str:
    """Return whether decisions are tuned, where that could matter and no comparison shows it."""
    if arms.verdict.decision == "tuned":
        return f"Both have a tuned {arms.tuned_part}."
    is_open = arms.verdict.answer in (Answer.NO_DIFFERENCE, Answer.WORSE) and not arms.verdict.reason
    if not is_open or arms.is_ahead or not arms.lacks_tuned or arms.main is None:
        return ""
    return (
        f"Both have their default {arms.tuned_part}, which alone may explain the difference: too little is left out "
        "of a repeat to tune it."
    )


def _chosen(arms: Arms) -> str:
    """Return which other loss is compared, where another one leads the leaderboard; else an empty text."""
    others = [row.candidate for row in arms.result.ranking() if row.best and not row.is_baseline]
    reevaluated, name = arms.verdict.reevaluated, arms.verdict.winner.candidate
    means = {one.candidate: statistics.fmean(one.scores) for one in reevaluated}
    if name not in means or name in others[:1]:
        return ""
    as_good = _as_good_on_splits(arms.verdict)
    tied = f" (tied with {', '.join(as_good)})" if as_good else ""
    return (
        f"{name} was the best other loss by its mean score on {len(reevaluated[0].scores)} fresh splits of the "
        f"development rows, {number(means[name])}{tied}, when the verdict was reached; the leaderboard has another."
    )


def _as_good_on_splits(verdict: Verdict) -> list[str]:
    """Return the other candidates with the winner's mean score on the fresh splits, without the baseline."""
    means = {one.candidate: statistics.fmean(one.scores) for one in verdict.reevaluated}
    top = means.pop(verdict.winner.candidate, None)
    means.pop(verdict.baseline.candidate, None)
    return [name for name, mean in means.items() if top is not None and math.isclose(mean, top, rel_tol=1e-12)]


def _trials(arms: Arms) -> str:
    """Return which trials are compared, where the leaderboard shows others; else an empty text."""
    shown = {row.candidate: row.best.number for row in arms.result.ranking() if row.best}
    others = [
        f"trial {arm.trial} of {arm.candidate} (the leaderboard has {shown[arm.candidate]})"
        for arm in (arms.verdict.winner, arms.verdict.baseline)
        if arm.candidate in shown and arm.trial not in (None, shown[arm.candidate])
    ]
    if not arms.verdict.reevaluated or not others:
        return ""
    return f"The verdict compares {' and '.join(others)}."
