"""The arms that a verdict compares: the winner, the baseline, and their differences."""

from __future__ import annotations

from dataclasses import dataclass

from lossreg.errors import count_of
from lossreg.reporting.change import DIGITS, Change, Rounding, known
from lossreg.reporting.usage import training
from lossreg.reporting.values import loss_params
from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Answer, Arm, Comparison, Verdict

LONGEST_ARM = 60
MOST_NAMED = 4


def arm_of(result: StudyResult, arm: Arm) -> str:
    """Return a loss with its parameters, `focal(gamma=2.1)`; without them where they are long or not known.

    Where the candidate's name does not name its loss, both: `baseline (tweedie, p=1.5)`.
    """
    trial = next((trial for trial in result.trials if trial.number == arm.trial), None)
    params, loss = (loss_params(trial), trial.loss) if trial else ("", arm.candidate)
    shown = params if len(params) <= LONGEST_ARM else ""
    if loss in arm.candidate:
        return f"{arm.candidate}({shown})" if shown else arm.candidate
    return f"{arm.candidate} ({', '.join(filter(None, [loss, shown]))})"


def differing(result: StudyResult, verdict: Verdict) -> str:
    """Return in what winner and baseline differ besides the loss: `learning rate and batch_size`.

    With outer folds, each of which has settings of its own, it is all that the study searches.
    """
    settings = [training(one) for one in (result.trials if verdict.outer else (verdict.winner, verdict.baseline))]
    names = dict.fromkeys(name for values in settings for name in values)
    varied = [name for name in names if len({values.get(name) for values in settings}) > 1]
    if not 0 < len(varied) <= MOST_NAMED:
        return "training settings"
    *first, last = varied
    return f"{', '.join(first)} and {last}" if first else last


def tested(verdict: Verdict) -> str:
    """Return the rows of the comparison: `500 test rows`, with outer folds `all 500 rows`."""
    rows = verdict.test_rows
    return f"all {count_of(rows, 'row')}" if verdict.outer else count_of(rows, "test row")


@dataclass(frozen=True, slots=True)
class Arms:
    """Winner and baseline of a verdict, by name, and the comparisons between them that have finite numbers."""

    result: StudyResult
    verdict: Verdict

    @property
    def winner(self) -> str:
        """The winner by name; with outer folds, all of theirs."""
        return self.verdict.sides[0]

    @property
    def first(self) -> str:
        """The winner as the first words of a sentence; a loss keeps its name as it is."""
        return self.winner[0].upper() + self.winner[1:] if self.verdict.outer else self.winner

    @property
    def baseline(self) -> str:
        """The baseline by name."""
        return self.verdict.sides[1]

    @property
    def is_winner(self) -> bool:
        """True if the winner is recommended, False if the baseline is."""
        return self.verdict.recommended.candidate == self.verdict.winner.candidate

    @property
    def main(self) -> Comparison | None:
        """The winner against the baseline."""
        return known(self.verdict.against_baseline)

    @property
    def is_ahead(self) -> bool:
        """True if the winner's interval lies above 0."""
        return self.main is not None and self.main.low > 0

    @property
    def is_other_better_tuned(self) -> bool:
        """True if the one that is not recommended is shown to be better with tuned decisions of both."""
        if self.tuned is None or self.verdict.reason or self.result.constraints or self.result.objectives:
            return False
        return self.tuned.high < 0 if self.is_winner else self.tuned.low > self.verdict.margin

    @property
    def is_either(self) -> bool:
        """True if the winner is recommended, though nothing speaks against the baseline but the estimate."""
        if self.verdict.answer is not Answer.NO_DIFFERENCE or not self.is_winner or self.is_ahead:
            return False
        return not (self.is_one_loss or self.verdict.is_decided_by_constraints or self.is_other_better_tuned)

    @property
    def is_of_few_rows(self) -> bool:
        """True if what rows that are not shown may change is more than half of the interval."""
        return self.main is not None and self.main.unseen > self.main.half

    @property
    def is_one_loss(self) -> bool:
        """True if both are the same loss with the same parameters, under two names."""
        return not self.verdict.outer and self.verdict.winner.recipe == self.verdict.baseline.recipe

    @property
    def at_same_rate(self) -> Comparison | None:
        """The winner against the baseline with the winner's settings of training."""
        return known(self.verdict.against_same_rate)

    @property
    def tuned(self) -> Comparison | None:
        """The winner against the baseline with tuned decisions of both."""
        return known(self.verdict.against_tuned_decision)

    @property
    def comparisons(self) -> list[Comparison]:
        """The comparisons between the two."""
        return [comparison for comparison in (self.main, self.at_same_rate, self.tuned) if comparison]

    @property
    def rounding(self) -> Rounding:
        """The rounding of the narrowest interval of these, with at most two decimals more than that of the first."""
        decimals = [Rounding.of(comparison).decimals for comparison in self.comparisons]
        return Rounding(min(max(decimals), decimals[0] + DIGITS))

    @property
    def is_worse_untuned(self) -> bool:
        """True if a worse winner is not shown to be so with tuned decisions of both."""
        return self.tuned is not None and self.tuned.high >= 0

    @property
    def tuned_part(self) -> str:
        """The part of a decision that is tuned: `threshold`."""
        from lossreg.metrics import decision as decisions

        return decisions.in_words(decisions.by_name(self.result.metric, self.result.task))

    @property
    def lacks_tuned(self) -> bool:
        """True if decisions could matter and were not tuned."""
        from lossreg.metrics import catalogue, functions
        from lossreg.metrics import decision as decisions

        name, task = self.result.metric, self.result.task
        metric = catalogue.BY_NAME.get(name)
        response = (
            metric.response if metric else functions.response(task, self.result.spec["search"].get("predictions"))
        )
        # a threshold hardly ever improves accuracy
        is_decided = name != "accuracy" and bool(decisions.kind_of(name, response, task))
        return is_decided and self.tuned is None and self.verdict.decision != "tuned"

    @property
    def differing(self) -> str:
        """In what the two differ besides the loss."""
        return differing(self.result, self.verdict)

    @property
    def tested_in(self) -> int:
        """The number of outer folds that tested the winner."""
        return self.verdict.folds_won.get(self.verdict.winner.candidate, 0)

    @property
    def is_seldom(self) -> bool:
        """True if fewer than half of the outer folds tested the winner, which is recommended, also if one tunes."""
        return (self.is_winner or self.is_other_better_tuned) and not self.is_mostly_tested

    @property
    def is_mostly_tested(self) -> bool:
        """True if half of the outer folds or more tested the winner, as a comparison without outer folds does."""
        return 2 * self.tested_in >= self.verdict.outer

    @property
    def is_of_winner(self) -> bool:
        """True if the answer is one on the winner and the baseline, not on other losses that outer folds chose."""
        return self.is_either or (self.main is not None and self.is_mostly_tested)

    @property
    def is_doubtful(self) -> bool:
        """True if few outer folds tested the recommended loss, and the decision does not leave it open."""
        return self.is_winner and self.is_seldom and not self.is_either

    @property
    def seldom(self) -> str:
        """The number of outer folds that tested the winner, in words, where `is_seldom`; else empty."""
        name, count = self.verdict.winner.candidate, self.tested_in
        if not self.is_seldom:
            return ""
        if not count:
            return f"None of them chose {name}: the numbers are those of other losses."
        return f"Only {count} of them chose {name}: the numbers are mostly those of other losses."

    def change(self, comparison: Comparison) -> Change:
        """Return a comparison as a change of the study's metric."""
        return Change(comparison, self.result.direction == "maximize")

    def of_winner(self, comparison: Comparison) -> str:
        """Return a comparison as a clause on the winner."""
        change = self.change(comparison)
        size = f"{change.size} than" if change.size else "about the same as"
        return (
            f"the {self.result.metric} of {self.winner} is {size} that of {self.baseline} (95% interval: "
            f"{change.interval})"
        )

    def in_brief(self, comparison: Comparison) -> str:
        """Return a comparison from the winner's side, in a few words."""
        change = self.change(comparison)
        return f"{self.result.metric} {change.size or 'about the same'}, 95% interval: {change.interval}"
