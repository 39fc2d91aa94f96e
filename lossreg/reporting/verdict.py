"""The verdict in plain words: what to train with, and how sure that is."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from lossreg.reporting.usage import training
from lossreg.reporting.values import loss_params
from lossreg.storage.records import StudyResult
from lossreg.storage.verdict import Answer, Arm, Cause, Comparison, Verdict

EXPLORATORY = (
    "This is exploratory: {} after the test rows were first looked at, so the answer is less sure than its numbers."
)
CHANGED = {"trials": "trials were run", "margin": "the margin was set"}
LONGEST_ARM = 60
MOST_NAMED = 4
# significant digits of half an interval
DIGITS = 2


def decision(result: StudyResult, verdict: Verdict) -> str:
    """Return the loss to train with, and how sure that is: `Train with focal: shown to be better.`

    Both losses where the other one suits a tuned decision.
    """
    words = _Words(result, verdict)
    return f"Train with {arm_of(result, verdict.recommended)}{words.if_tuned or words.how_sure}."


def evidence(result: StudyResult, verdict: Verdict) -> list[str]:
    """Return how sure the decision is, in sentences: what was measured, the answer, what else there is to know."""
    words = _Words(result, verdict)
    further = (words.winners, words.same_rate, words.tuned, words.chosen, words.trial)
    lines = (words.measured, words.answer, *further, *words.remarks)
    return [line for line in lines if line]


def arm_of(result: StudyResult, arm: Arm) -> str:
    """Return a loss with its parameters, `focal(gamma=2.1)`; without them where they are long or not known."""
    trial = next((trial for trial in result.trials if trial.number == arm.trial), None)
    params = loss_params(trial) if trial else ""
    return f"{arm.candidate}({params})" if 0 < len(params) <= LONGEST_ARM else arm.candidate


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
    return f"all {rows} rows" if verdict.outer else f"{rows} test row{'s' * (rows != 1)}"


def known(comparison: Comparison | None) -> Comparison | None:
    """Return a comparison that has finite numbers, else None."""
    values = (comparison.difference, comparison.low, comparison.high) if comparison else (None,)
    return comparison if all(value is not None and math.isfinite(value) for value in values) else None


def reversed_comparison(comparison: Comparison) -> Comparison:
    """Return the comparison as the other arm sees it."""
    return Comparison(
        difference=-comparison.difference, low=-comparison.high, high=-comparison.low,
        share_won=1 - comparison.share_won, detectable=comparison.detectable, repeats=comparison.repeats,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rounding:
    """The decimals with which a difference and its interval are shown, so that half of the interval has two digits."""

    decimals: int

    @classmethod
    def of(cls, comparison: Comparison) -> Rounding:
        """Return the rounding of a comparison; that of the difference where the interval has no width."""
        return cls.of_size((comparison.high - comparison.low) / 2 or abs(comparison.difference))

    @classmethod
    def of_size(cls, size: float) -> Rounding:
        """Return the rounding that leaves a value of this size two digits."""
        return cls(DIGITS - 1 - math.floor(math.log10(size)) if size else 3)

    def text(self, value: float) -> str:
        """Return the size of a value, `0.012`; very small ones as `1.2e-09`."""
        if self.decimals > 7 and value:
            return f"{abs(value):.{DIGITS - 1}e}"
        return f"{abs(round(value, self.decimals)):.{max(self.decimals, 0)}f}"

    def is_zero(self, value: float) -> bool:
        """True if nothing is left of a value."""
        return not float(self.text(value))


@dataclass(frozen=True, slots=True)
class Change:
    """A comparison as a change of the metric in its own units."""

    comparison: Comparison
    is_maximized: bool

    @property
    def rounding(self) -> Rounding:
        """The rounding of all its numbers."""
        return Rounding.of(self.comparison)

    @property
    def size(self) -> str:
        """The difference, `0.012 higher`; empty where nothing is left of it."""
        value = self.comparison.difference
        if self.rounding.is_zero(value):
            return ""
        return f"{self.rounding.text(value)} {self._side(value)}"

    @property
    def interval(self) -> str:
        """The 95% interval: `0.004 lower to 0.028 higher`, or `0.012 to 0.050 higher`."""
        text, (near, far) = self.rounding.text, sorted(self.comparison.interval, key=abs)
        if near * far >= 0:
            return f"{text(near)} to {text(far)} {self._side(far)}"
        low, high = sorted((near, far), reverse=not self.is_maximized)
        return f"{text(low)} {self._side(low)} to {text(high)} {self._side(high)}"

    def _side(self, value: float) -> str:
        return "higher" if (value > 0) == self.is_maximized else "lower"


@dataclass(frozen=True, slots=True)
class _Words:
    """The sentences on one verdict; `recommended` and `other` are its two arms."""

    result: StudyResult
    verdict: Verdict

    @property
    def is_winner(self) -> bool:
        """True if the winner is recommended, False if the baseline is."""
        return self.verdict.recommended.candidate == self.verdict.winner.candidate

    @property
    def main(self) -> Comparison | None:
        """The winner against the baseline."""
        return known(self.verdict.against_baseline)

    @property
    def winner(self) -> str:
        """The winner by name; with outer folds, all of theirs."""
        return self.verdict.sides[0]

    @property
    def baseline(self) -> str:
        """The baseline by name."""
        return self.verdict.sides[1]

    @property
    def _first(self) -> str:
        """The winner as the first words of a sentence; a loss keeps its name as it is."""
        return self.winner[0].upper() + self.winner[1:] if self.verdict.outer else self.winner

    @property
    def measured(self) -> str:
        """The difference between the recommended arm and the other on the test rows."""
        if self.main is None:
            return ""
        change = self._change(self.main if self.is_winner else reversed_comparison(self.main))
        score = self.verdict.recommended.score
        value = "" if score is None or not math.isfinite(score) else f"{score:.{max(change.rounding.decimals, 0)}f}, "
        against = f"{change.size} than that of" if change.size else "about the same as that of"
        return (
            f"{self._whose} is {value}{against} {self._other} (95% interval: {change.interval})."
            f"{_won(change.comparison)}"
        )

    @property
    def chosen(self) -> str:
        """Which other loss is compared, where another one leads the leaderboard; else empty."""
        others = [row.candidate for row in self.result.leaderboard() if row.best and not row.is_baseline]
        reevaluated, name = self.verdict.reevaluated, self.verdict.winner.candidate
        if not reevaluated or name in others[:1]:
            return ""
        splits, as_good = len(reevaluated[0].scores), self._as_good_on_splits
        tied = f" (tied with {', '.join(as_good)})" if as_good else ""
        return (
            f"{name} is the best other loss by its mean score on {splits} fresh splits{tied}, not on the leaderboard."
        )

    @property
    def _as_good_on_splits(self) -> list[str]:
        """The other candidates with the winner's mean score on the fresh splits, without the baseline."""
        means = {one.candidate: statistics.fmean(one.scores) for one in self.verdict.reevaluated}
        top = means.pop(self.verdict.winner.candidate, None)
        means.pop(self.verdict.baseline.candidate, None)
        return [name for name, mean in means.items() if top is not None and math.isclose(mean, top, rel_tol=1e-12)]

    @property
    def trial(self) -> str:
        """Which trial of the recommended loss it is, where the leaderboard shows another one; else empty."""
        name, number = self.verdict.recommended.candidate, self.verdict.recommended.trial
        shown = next((row.best for row in self.result.leaderboard() if row.candidate == name), None)
        if not self.verdict.reevaluated or shown is None or number in (None, shown.number):
            return ""
        return (
            f"Of {name}, trial {number} is the best on fresh splits; the leaderboard shows trial {shown.number}, which "
            "has the best validation score."
        )

    @property
    def _whose(self) -> str:
        """Where the metric was measured, and of what: `On 500 test rows its accuracy`."""
        rows, metric = tested(self.verdict), self.result.metric
        if not self.verdict.outer:
            return f"On {rows} its {metric}"
        return (
            f"In {self.verdict.outer}-fold nested cross-validation on {rows}, the {metric} of "
            f"{self.winner if self.is_winner else self.baseline}"
        )

    @property
    def _other(self) -> str:
        if self.is_winner or self.verdict.outer:
            return self.baseline if self.is_winner else self.winner
        return f"{arm_of(self.result, self.verdict.winner)}, the best other loss"

    @property
    def if_tuned(self) -> str:
        """The other arm, where it is shown to be better with the decision of both tuned; else empty."""
        if self._tuned is None or self.verdict.reason:
            return ""
        is_better = self._tuned.high < 0 if self.is_winner else self._tuned.low > self.verdict.margin
        other = self.verdict.baseline if self.is_winner else self.verdict.winner
        return f", or with {arm_of(self.result, other)} if you tune the {self._what}" * is_better

    @property
    def how_sure(self) -> str:
        """How sure it is that the recommended arm is better, in a few words after a colon."""
        return f": {self._winner_sure() if self.is_winner else self._baseline_sure()}"

    def _winner_sure(self) -> str:
        return {
            Answer.BETTER: f"{f'{self.winner} is ' * bool(self._seldom)}shown to be better{self._owed}",
            Answer.NO_DIFFERENCE: self._not_shown,
            Answer.EQUAL: f"practically equal to {self.baseline}",
            Answer.WORSE: "a best guess",
            Answer.NOT_ENOUGH_DATA: f"not compared with {self.baseline}",
        }[self.verdict.answer]

    def _baseline_sure(self) -> str:
        return {
            Answer.BETTER: "another loss is better, but not by more than the margin",
            Answer.NO_DIFFERENCE: self._none_better,
            Answer.EQUAL: "the best other loss is practically equal",
            Answer.WORSE: "the best other loss is shown to be worse",
            Answer.NOT_ENOUGH_DATA: "not compared with another loss",
        }[self.verdict.answer]

    @property
    def _none_better(self) -> str:
        if not self._is_ahead:
            return "no other loss is shown to be better"
        if self.verdict.reason:
            return "the best other loss is called neither better nor equal"
        return "another loss is better as it is, but not by more than the margin"

    @property
    def _owed(self) -> str:
        if self._lacks_tuned or self.verdict.cause is None:
            return ""
        return ", because of the loss" if self.verdict.cause is Cause.LOSS else f", perhaps by the {self._differing}"

    @property
    def _not_shown(self) -> str:
        if not self._is_ahead:
            return f"a best guess, not shown to be better than {self.baseline}"
        if self._tuned is None or self.verdict.reason:
            return "a best guess"
        return f"better than {self.baseline} as it is, not shown to be with a tuned {self._what} for both"

    @property
    def answer(self) -> str:
        """The answer, with what follows from it."""
        return {
            Answer.BETTER: self._better,
            Answer.NO_DIFFERENCE: self._no_difference,
            Answer.EQUAL: self._equal,
            Answer.WORSE: self._worse,
            Answer.NOT_ENOUGH_DATA: self._not_enough_data,
        }[self.verdict.answer]()

    def _better(self) -> str:
        start = f"{self._first} is better than {self.baseline}"
        if self.verdict.cause is None:
            return f"{start}."
        same_rate, lacks = known(self.verdict.against_same_rate), self._lacks_tuned
        end = f"; there are too few rows to tune the {self._what} of both." if lacks else "."
        if self.verdict.cause is Cause.LOSS:
            perhaps = f", though perhaps by the {self._what} alone" if lacks else ""
            return f"{start}, because of the loss{perhaps}: {self._because(same_rate)}{end}"
        perhaps = f", or the {self._what} alone," if lacks else ""
        return f"{start}, but the {self._differing}{perhaps} may have done it: {self._undecided(same_rate)}{end}"

    def _because(self, same_rate: Comparison | None) -> str:
        if same_rate is None:
            return "both were otherwise trained alike"
        return (
            f"with the {self._differing} of {self.winner}, {self.baseline} is still worse ({self._against(same_rate)})"
        )

    def _undecided(self, same_rate: Comparison | None) -> str:
        if same_rate is None:
            return "there is no comparison with the same for both"
        return (
            f"with the {self._differing} of {self.winner}, {self.baseline} is not shown to be worse "
            f"({self._against(same_rate)})"
        )

    @property
    def _differing(self) -> str:
        return differing(self.result, self.verdict)

    @property
    def same_rate(self) -> str:
        """The two with the winner's settings of training, where the answer says nothing of it; else empty."""
        comparison = known(self.verdict.against_same_rate)
        is_asked = self.verdict.answer is Answer.NO_DIFFERENCE and self.is_winner
        if comparison is None or not is_asked:
            return ""
        return f"With the same {self._differing} for both, {self._of_winner(comparison)}."

    def _no_difference(self) -> str:
        if self.verdict.reason or (self._is_ahead and self._tuned is None):
            return f"{self._first} is called neither better than {self.baseline} nor equal{self._reason}."
        if self._is_ahead and self._tuned:
            return self._better_as_it_is(self._tuned)
        seen = self._detectable()
        if self.is_winner:
            return f"{self._first} is not shown to be better than {self.baseline}, the simpler choice.{seen}"
        return f"No difference between the two is shown.{seen}"

    @property
    def _is_ahead(self) -> bool:
        """True if the winner's interval lies above 0."""
        return self.main is not None and self.main.low > 0

    def _better_as_it_is(self, tuned: Comparison) -> str:
        start = f"{self._first} is better than {self.baseline} as it is, but"
        if tuned.high < 0:
            return f"{start} worse where both have a tuned {self._what}."
        return (
            f"{start} not shown to be better where both have a tuned {self._what}: {self.baseline} with a tuned "
            f"{self._what} may do as well."
        )

    def _detectable(self) -> str:
        smallest = self.main.detectable if self.main else None
        if not smallest or not math.isfinite(smallest):
            return ""
        return f" A difference of {Rounding.of_size(smallest).text(smallest)} would be seen in 4 of 5 such studies."

    def _equal(self) -> str:
        return (
            f"{self._first} and {self.baseline} are practically equal: the interval lies within the "
            f"margin of {self.verdict.margin:g}."
        )

    def _worse(self) -> str:
        is_better = self._tuned is not None and self._tuned.low > 0
        but = f" as it is, but better where both have a tuned {self._what}" * is_better
        return f"{self._first} is worse than {self.baseline}{but}."

    def _not_enough_data(self) -> str:
        return f"{self.winner} was not compared with {self.baseline}{self._reason}."

    @property
    def _reason(self) -> str:
        reason = self.verdict.reason.strip().rstrip(".")
        return f": {reason}" if reason else ""

    @property
    def tuned(self) -> str:
        """The winner against the baseline with the decision of both tuned; empty where there is no such comparison."""
        if self.verdict.decision == "tuned":
            return f"Both have a tuned {self._what}."
        if self._tuned is None:
            return ""
        so = f": the gain is not one of the {self._what} alone" * (self.verdict.answer is Answer.BETTER)
        return f"With a tuned {self._what} for both, {self._of_winner(self._tuned)}{so}."

    def _of_winner(self, comparison: Comparison) -> str:
        """Return a further comparison as a clause on the winner."""
        change = self._change(comparison)
        size = f"{change.size} than" if change.size else "about the same as"
        return (
            f"the {self.result.metric} of {self.winner} is {size} that of {self.baseline} (95% interval: "
            f"{change.interval})"
        )

    @property
    def _lacks_tuned(self) -> bool:
        """True if the decision of both could matter and was not tuned."""
        from lossreg.metrics import catalogue
        from lossreg.metrics import decision as decisions

        metric = catalogue.resolve(self.result.metric, self.result.task)
        # a threshold hardly ever improves accuracy
        is_decided = metric.name != "accuracy" and bool(decisions.kind(metric, self.result.task))
        return is_decided and self._tuned is None and self.verdict.decision != "tuned"

    @property
    def _tuned(self) -> Comparison | None:
        return known(self.verdict.against_tuned_decision)

    @property
    def _what(self) -> str:
        """What is tuned of a decision."""
        from lossreg.metrics import decision as decisions

        return decisions.in_words(decisions.by_name(self.result.metric, self.result.task))

    def _against(self, comparison: Comparison) -> str:
        """Return a further comparison from the baseline's side."""
        change = self._change(reversed_comparison(comparison))
        return f"{self.result.metric} {change.size or 'about the same'}, 95% interval: {change.interval}"

    def _change(self, comparison: Comparison) -> Change:
        return Change(comparison, self.result.direction == "maximize")

    @property
    def remarks(self) -> list[str]:
        """What limits the answer."""
        remarks = [
            self._simpler,
            self._left_out,
            self._exploratory,
            self._openings,
        ]
        return [remark for remark in remarks if remark]

    @property
    def winners(self) -> str:
        """The best other losses of the outer folds, and whether the recommended one is seldom among them."""
        won = [f"{name} in {count}" for name, count in self.verdict.folds_won.items()]
        if not won:
            return ""
        return f"Of the {self.verdict.outer} outer folds, the best other loss was {', '.join(won)}.{self._seldom}"

    @property
    def _seldom(self) -> str:
        name = self.verdict.winner.candidate
        count = self.verdict.folds_won.get(name, 0)
        if not self.is_winner or 2 * count >= self.verdict.outer:
            return ""
        if not count:
            return f" None of them tested {name}: the numbers are those of other losses."
        return f" Only {count} of them tested {name}: the numbers are mostly those of other losses."

    @property
    def _simpler(self) -> str:
        if self.is_winner or self.main is None or not 0 < self.main.difference <= self.verdict.margin:
            return ""
        return (
            f"{self.baseline} is the simpler choice, and the difference does not exceed the margin of "
            f"{self.verdict.margin:g}."
        )

    @property
    def _left_out(self) -> str:
        count = self.verdict.repeats - self.main.repeats if self.main else 0
        if count <= 0:
            return ""
        verb, of = "is" if count == 1 else "are", f"{count} of {self.verdict.repeats} repeats"
        return f"{of} {verb} left out: {self._lost or 'one of the two has no score there'}."

    @property
    def _lost(self) -> str:
        """Whose repeats have no score, and why; empty where an older version did not note it."""
        reasons = []
        for arm, name in zip(("winner", "baseline"), self.verdict.sides, strict=True):
            scored = self.verdict.scored.get(arm, self.verdict.repeats)
            finished = self.verdict.finished.get(arm, scored)
            if failed := self.verdict.repeats - finished:
                reasons.append(f"{failed} of {name} diverged or failed")
            if finished > scored:
                reasons.append(f"in {finished - scored} the {self.result.metric} of {name} is not finite")
        return ", ".join(reasons)

    @property
    def _exploratory(self) -> str:
        # an older version did not note what was changed
        changed = self.verdict.changed or ("trials",) * self.verdict.exploratory
        return EXPLORATORY.format(" and ".join(CHANGED[what] for what in changed)) if changed else ""

    @property
    def _openings(self) -> str:
        if self.verdict.openings <= 1:
            return ""
        rows = "All rows" if self.verdict.outer else "The test rows"
        return (
            f"{rows} have been looked at {self.verdict.openings} times; every further look makes a result by "
            "chance more likely."
        )


def _won(comparison: Comparison) -> str:
    """Return ` It was better in 14 of 20 repeated trainings.`; nothing where none was finished."""
    if not comparison.repeats:
        return ""
    won = round(2 * comparison.share_won * comparison.repeats) / 2
    ties = "" if won.is_integer() else ", a tie counting half"
    trainings = f"repeated training{'s' * (comparison.repeats != 1)}"
    return f" It was better in {won:g} of {comparison.repeats} {trainings}{ties}."
