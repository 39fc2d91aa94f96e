"""The answer in words, from comparisons on the test rows, and the arm to train with."""

from __future__ import annotations

from collections.abc import Mapping

from lossreg.storage.verdict import Answer, Arm, Cause, Comparison

FEWEST_ROWS = 100
FEWEST_OF_CLASS = 30


def answer(
    against_baseline: Comparison | None, margin: float = 0.0, against_tuned_decision: Comparison | None = None, *,
    lacks_tuned: bool = False,
) -> Answer:  # fmt: skip
    """Return the evidence for the winner.

    An interval within the margin comes first: "practically equal" also where it lies above 0, since a difference that
    certainly does not matter is no reason to leave the baseline. Where the interval lies above 0 and reaches beyond
    the margin, the winner is better, though not shown to be better by the margin; what to train with is then a
    question of the estimate (`recommend`).

    margin: differences below it do not matter, 0 if all do; against_tuned_decision: where there is one, the winner
    must be better than that too, and be equal to it to be equal; lacks_tuned: that comparison would be possible, but
    too few repeats have it, so that neither is shown.
    """
    if against_baseline is None:
        return Answer.NOT_ENOUGH_DATA
    comparisons = [against_baseline, *([against_tuned_decision] if against_tuned_decision else [])]
    if lacks_tuned:
        return Answer.WORSE if against_baseline.high < 0 else Answer.NO_DIFFERENCE
    if all(-margin < one.low and one.high < margin for one in comparisons):
        return Answer.EQUAL
    if all(one.low > 0 for one in comparisons):
        return Answer.BETTER
    return Answer.WORSE if against_baseline.high < 0 else Answer.NO_DIFFERENCE


def cause(answer: Answer, against_same_rate: Comparison | None, *, same_rate: bool) -> Cause | None:
    """Return what a better winner's gain is owed to; None for another answer.

    same_rate: the baseline has the winner's learning rate, optimizer settings and architecture anyway, so that there
    is no such comparison. Without it and without a comparison (the repeats were not finite), these are not ruled out.
    """
    if answer is not Answer.BETTER:
        return None
    is_loss = same_rate or (against_same_rate is not None and against_same_rate.low > 0)
    return Cause.LOSS if is_loss else Cause.LOSS_OR_RATE


def recommend(winner: Arm, baseline: Arm, against_baseline: Comparison | None, margin: float = 0.0) -> Arm:
    """Return the arm to train with: the winner where its estimated difference is above the margin.

    Without a comparison it is the baseline, unless only the winner was ever trained to its end.
    """
    if against_baseline is None:
        return winner if baseline.score is None and winner.score is not None else baseline
    return winner if against_baseline.difference > margin else baseline


def shortage(rows: int, class_counts: Mapping[str, int] | None = None) -> str:
    """Return why the data, test rows included, are not enough for a verdict; empty when they are.

    class_counts: the rows of each class, or with each label of a multilabel task; empty or None in regression.
    """
    if rows < FEWEST_ROWS:
        return f"{rows} rows, and a verdict needs at least {FEWEST_ROWS}"
    rare = {name: count for name, count in (class_counts or {}).items() if count < FEWEST_OF_CLASS}
    if not rare:
        return ""
    name, count = min(rare.items(), key=lambda item: item[1])
    others = {1: "", 2: " (and 1 more class has too few)"}.get(
        len(rare), f" (and {len(rare) - 1} more classes have too few)"
    )
    return f"{count} rows of class {name!r}{others}, and a verdict needs at least {FEWEST_OF_CLASS} of each"
