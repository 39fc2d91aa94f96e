"""The answer in words, from comparisons on the test rows, and the arm to train with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lossreg.errors import count_of
from lossreg.storage.verdict import Answer, Arm, Cause, Comparison

FEWEST_ROWS = 100
FEWEST_OF_CLASS = 30
FEWEST_TESTED = 5  # test rows of a class, for metrics that hang on classes: as many as a fifth of the fewest leaves
# The repeats that an unstable loss survives are its best ones. From this share of lost ones on it is not called better:
# with 20 repeats 4 are still chance, with 4 or fewer one is too many.
MOST_LOST = 0.2


def answer(
    against_baseline: Comparison | None, margin: float = 0.0, against_tuned_decision: Comparison | None = None, *,
    lacks_tuned: bool = False, is_unstable: bool = False,
) -> Answer:  # fmt: skip
    """Return the evidence for the winner.

    An interval within the margin comes first, widened by what rows of a kind that the test rows do not show may add:
    "practically equal" also where it lies above 0, since a difference that certainly does not matter is no reason to
    leave the baseline. Where the interval lies above 0 and reaches beyond the margin, the winner is better, though not
    shown to be better by the margin; what to train with is then a question of the estimate (`recommend`).

    margin: differences below it do not matter, 0 if all do; against_tuned_decision: where there is one, the winner
    must be better than that too, and be equal to it to be equal; lacks_tuned: that comparison would be possible, but
    too few repeats have it, so that neither is shown; is_unstable: the winner lost too many repeats for that.
    """
    if against_baseline is None:
        return Answer.NOT_ENOUGH_DATA
    comparisons = [against_baseline, *([against_tuned_decision] if against_tuned_decision else [])]
    if lacks_tuned or is_unstable:
        return Answer.WORSE if against_baseline.high < 0 else Answer.NO_DIFFERENCE
    if all(one.is_within(margin) for one in comparisons):
        return Answer.EQUAL
    if all(one.low > 0 for one in comparisons):
        return Answer.BETTER
    return Answer.WORSE if against_baseline.high < 0 else Answer.NO_DIFFERENCE


def refused_equality(comparisons: Sequence[Comparison], margin: float) -> str:
    """Return why arms are not called practically equal whose intervals lie within the margin; else an empty text."""
    unseen = max((one.unseen for one in comparisons), default=0.0)
    inside = bool(comparisons) and all(-margin < one.low and one.high < margin for one in comparisons)
    if not inside or all(one.is_within(margin) for one in comparisons):
        return ""
    return (
        f"the interval lies within the margin of {margin:g}, but not with the {unseen:.2g} that rows of a kind that "
        "the test rows do not show may add"
    )


def cause(answer: Answer, against_same_rate: Comparison | None, *, same_rate: bool) -> Cause | None:
    """Return what a better winner's gain is owed to; None for another answer.

    same_rate: the baseline has the winner's learning rate, optimizer settings and architecture anyway, so that there
    is no such comparison. Without it and without a comparison (the repeats were not finite), these are not ruled out.
    """
    if answer is not Answer.BETTER:
        return None
    is_loss = same_rate or (against_same_rate is not None and against_same_rate.low > 0)
    return Cause.LOSS if is_loss else Cause.LOSS_OR_RATE


def is_unstable(scored: int, repeats: int) -> bool:
    """Return whether a loss that has a score in so many of its repeats lost too many to be called better."""
    return repeats - scored > MOST_LOST * repeats


def recommend(
    winner: Arm, baseline: Arm, against_baseline: Comparison | None, margin: float = 0.0, *,
    scored: Mapping[str, int], repeats: int,
) -> Arm:  # fmt: skip
    """Return the arm to train with: the winner where its estimated difference is above the margin.

    scored: in how many repeats `winner` and `baseline` have a score. Without a comparison it is the one that has more;
    a winner that is unstable, and more so than the baseline, is not recommended.
    """
    of_winner, of_baseline = scored["winner"], scored["baseline"]
    if against_baseline is None:
        return winner if of_winner > of_baseline else baseline
    is_ahead = against_baseline.difference > margin
    return winner if is_ahead and not (of_winner < of_baseline and is_unstable(of_winner, repeats)) else baseline


def shortage(rows: int, class_counts: Mapping[str, int] | None = None, what: str = "rows") -> str:
    """Return why the data, test rows included, are not enough for a verdict; empty when they are.

    class_counts: the rows of each class, or with each label of a multilabel task; empty or None in regression;
    what: what is counted, as rows that are not independent are by their groups.
    """
    if rows < FEWEST_ROWS:
        return f"{rows} {what}, and a verdict needs at least {FEWEST_ROWS}"
    rare = {name: count for name, count in (class_counts or {}).items() if count < FEWEST_OF_CLASS}
    if not rare:
        return ""
    name, count = min(rare.items(), key=lambda item: item[1])
    others = {1: "", 2: " (and 1 more class has too few)"}.get(
        len(rare), f" (and {len(rare) - 1} more classes have too few)"
    )
    return f"{count} {what} of class {name!r}{others}, and a verdict needs at least {FEWEST_OF_CLASS} of each"


def shortage_of_tested(class_counts: Mapping[str, int], metric: str, what: str = "row") -> str:
    """Return why the test rows of each class are not enough for a metric that hangs on them; empty when they are."""
    name, count = min(class_counts.items(), key=lambda item: item[1], default=("", FEWEST_TESTED))
    if count >= FEWEST_TESTED:
        return ""
    return (
        f"{count_of(count, f'test {what}')} of class {name!r}, and a verdict by {metric} needs at least "
        f"{FEWEST_TESTED} of each"
    )
