"""`Verdict`: which loss to train with, and how sure that is, from rows that the search has not seen."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self, TypedDict

from lossreg.storage.constraints import Constraint
from lossreg.storage.stored_types import Count, Known, MaybeInfinite, Scores, Share, Size, as_tuple
from lossreg.storage.trial_record import finite, spread

OF_FOLDS = "the loss chosen in each fold"
TRIALS, MARGIN = "trials", "margin"  # what may be changed after test rows were looked at


class Answer(StrEnum):
    """The evidence on the test rows for the winner against the baseline."""

    BETTER = "better"
    NO_DIFFERENCE = "no difference shown"
    EQUAL = "practically equal"
    WORSE = "worse"
    NOT_ENOUGH_DATA = "not enough data"


class Cause(StrEnum):
    """The cause of the gain of a better winner: the loss, or perhaps its learning rate or another setting."""

    LOSS = "loss"
    LOSS_OR_RATE = "loss or learning rate"


def may_be_changed(names: Collection[str]) -> bool:
    """Return whether these are of what may be changed after a first look at the test rows."""
    return {TRIALS, MARGIN}.issuperset(names)


@dataclass(frozen=True, slots=True)
class Arm:
    """A setting that was trained again and again: a loss with its parameters and learning rate.

    candidate: the study's name of the loss; trial: the number of the trial it comes from; recipe: the loss, ready to
    paste; score: the mean metric on the test rows over the repeats that are compared, without a comparison over those
    in which it has one, None where there are none; with outer folds that of the settings that each fold chose, the
    winner's or the baseline's.
    """

    candidate: str
    trial: Count
    recipe: str
    learning_rate: Size
    params: Mapping[str, Any]
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The winner against another arm on the test rows, in units of the metric; above 0 the winner is better.

    difference: the mean over the repeats; low, high: its 95% interval; share_won: the share of the repeats in which
    the winner had the better score, ties counted half; detectable: the difference that such a comparison shows in
    80% of studies; repeats: those that both arms finished; unseen: by how much rows of a kind that the test rows do not
    show may change the difference, with certainty of 95%.
    """

    difference: float
    low: float
    high: float
    share_won: Share
    detectable: MaybeInfinite
    repeats: Count
    unseen: MaybeInfinite = 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the difference."""
        return self.low, self.high

    @property
    def half(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2

    @property
    def won(self) -> float:
        """The number of repeats in which the winner had the better score, a tie counting half."""
        return round(2 * self.share_won * self.repeats) / 2

    @property
    def has_ties(self) -> bool:
        """True if some repeats tied, as far as half a win, or no difference at all, shows it."""
        return not self.won.is_integer() or (self.share_won == 0.5 and not self.difference)

    def is_within(self, margin: float) -> bool:
        """Return whether the interval lies within the margin, also with what unseen rows may add to it."""
        return abs(self.difference) + math.hypot(self.half, self.unseen) < margin


def is_consistent(comparison: Comparison) -> bool:
    """Return whether the difference lies in its interval, where that is finite, and `unseen` is known there."""
    numbers: list[float | None] = [comparison.low, comparison.difference, comparison.high]
    known = [number for number in numbers if number is not None]
    return len(known) < len(numbers) or (known == sorted(known) and comparison.unseen is not None)


class Value(NamedTuple):
    """The mean of a metric over repeats, its 95% interval over resampled rows, and the number of repeats."""

    mean: Known
    low: Known
    high: Known
    repeats: Count


@dataclass(frozen=True, slots=True)
class Reevaluated:
    """The best setting of a candidate on the fresh splits by which winner and baseline were chosen.

    trial: the number of the trial it comes from; scores: the metric on each split; p_value: how likely a deficit
    against the first of the leaderboard as large as this one is if it is as good as the first, adjusted for the number
    of candidates; None for the first.
    """

    candidate: str
    trial: Count
    scores: Scores
    p_value: float | None = None

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the record whose fields were stored."""
        return cls(**{**values, "scores": as_tuple(values["scores"])})

    def to_json(self) -> dict[str, Any]:
        """Return the form in the JSON documents, with mean and spread for the single scores."""
        mean, deviation = statistics.fmean(self.scores), spread(self.scores)
        facts = {"candidate": self.candidate, "trial": self.trial}
        return {**facts, "score": mean, "spread": deviation, "p_value": self.p_value}


@dataclass(frozen=True, slots=True)
class KeptBy:
    """A further metric of an arm: in validation (on fresh splits, else in the search), and on the test rows."""

    validation: float | None
    tested: Value | None

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the record whose fields were stored."""
        return cls(values["validation"], Value(*values["tested"]) if values["tested"] else None)

    def to_json(self, constraint: Constraint) -> dict[str, Any]:
        """Return the form in the JSON documents."""
        value = self.tested
        return {
            "validation": self.validation,
            "kept_in_validation": constraint.is_kept(self.validation),
            "test": value.mean if value else None,
            "interval": [value.low, value.high] if value else None,
            "kept_in_test": constraint.is_kept(value.mean) if value else None,
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """A constraint, and what winner and baseline have of its metric."""

    constraint: Constraint
    winner: KeptBy
    baseline: KeptBy

    @property
    def is_kept_by_winner(self) -> bool:
        """True if the winner keeps it in validation."""
        return self.constraint.is_kept(self.winner.validation)

    @property
    def is_kept_by_baseline(self) -> bool:
        """True if the baseline keeps it in validation."""
        return self.constraint.is_kept(self.baseline.validation)

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the record whose fields were stored."""
        arms = {name: KeptBy.of_stored(values[name]) for name in ("winner", "baseline")}
        return cls(Constraint.of_stored(values["constraint"]), **arms)

    def to_json(self) -> dict[str, Any]:
        """Return the form in the JSON documents."""
        facts: dict[str, Any] = asdict(self.constraint)
        arms = {"winner": self.winner, "baseline": self.baseline}
        return facts | {name: arm.to_json(self.constraint) for name, arm in arms.items()}


class Predicted(TypedDict, total=False):
    """The numbers of pictures of predictions, by arm; further pictures may stand beside these."""

    confusion: Mapping[str, list[list[float]]]
    residuals: Mapping[str, list[float]]
    reliability: Mapping[str, list[list[float]]]
    precision_recall: Mapping[str, Mapping[str, list[float]]]
    repeats: Mapping[str, int]
    scores: Mapping[str, list[float]]


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """The answer of a study.

    answer: the evidence for the winner against the baseline; cause: of a better winner, else None; winner: the best
    candidate other than the baseline, baseline: at its own best setting; recommended: one of the two, by the sign of
    the difference; against_baseline, against_same_rate: the winner against the baseline at its own best setting, and
    with the winner's training settings (None if it has them); against_tuned_decision: the two with tuned
    decisions, None where none were tuned or all are anyway; decision: `tuned` where it is tuned in all comparisons,
    else `default`; margin: differences below it do not matter; openings: how often the test rows were looked at;
    exploratory: trials were run after the first look, or the margin was set after it; changed: which of the two,
    `trials` and `margin`; finished, scored: in how many repeats `winner` and `baseline` were trained to their end, and
    have a score; outer: the number of outer folds, 0 for one split;
    folds_won: with outer folds, the number of them in which a candidate was the winner; trials: the number of trials
    that it was chosen from; reason: why there is no comparison, or why the answer is not what its interval says;
    reevaluated: the candidates on fresh splits, best first; notes: lines for the user; constraints: the study's, with
    what winner and baseline have of them; predicted: what both predict of the test rows, in few numbers for pictures
    (see `lossreg.verdict.predictions`), which `to_json` leaves out.
    """

    answer: Answer
    winner: Arm
    baseline: Arm
    recommended: Arm
    cause: Cause | None = None
    against_baseline: Annotated[Comparison, is_consistent] | None = None
    against_same_rate: Annotated[Comparison, is_consistent] | None = None
    against_tuned_decision: Annotated[Comparison, is_consistent] | None = None
    decision: str = "default"
    margin: Size = 0.0
    repeats: Count = 0
    test_rows: Count = 0
    openings: Count = 0
    exploratory: bool = False
    changed: Annotated[tuple[str, ...], may_be_changed] = ()
    finished: Mapping[str, Count] = field(default_factory=dict)
    scored: Mapping[str, Count] = field(default_factory=dict)
    outer: Count = 0
    folds_won: Mapping[str, Count] = field(default_factory=dict)
    trials: Count = 0
    reason: str = ""
    reevaluated: tuple[Reevaluated, ...] = ()
    notes: tuple[str, ...] = ()
    constraints: tuple[Kept, ...] = ()
    predicted: Annotated[Mapping[str, Any], Predicted] = field(default_factory=dict)

    @property
    def is_decided_by_constraints(self) -> bool:
        """True if one of the two alone keeps all constraints in validation, so that it is recommended."""
        return all(one.is_kept_by_winner for one in self.constraints) != all(
            one.is_kept_by_baseline for one in self.constraints
        )

    def __repr__(self) -> str:
        main, best = self.against_baseline, self.recommended
        shown = f", difference {main.difference:.3g} ({main.low:.3g} to {main.high:.3g})" if main else ""
        sides = f"{self.winner.candidate} against {self.baseline.candidate}"
        return f"<verdict: {sides}: {self.answer}{shown}; recommended {best.candidate}, trial {best.trial}>"

    @property
    def sides(self) -> tuple[str, str]:
        """The two that are compared: winner and baseline; with outer folds the winner of each, and the baseline."""
        return OF_FOLDS if self.outer else self.winner.candidate, self.baseline.candidate

    def _described(self, arm: Arm) -> dict[str, Any]:
        """Return the form of an arm in the JSON documents; without the score of outer folds none of which has it."""
        is_tested = not self.outer or arm.candidate in (self.baseline.candidate, *self.folds_won)
        return asdict(arm) if is_tested else {**asdict(arm), "score": None}

    def to_json(self) -> dict[str, Any]:
        """Return `verdict` of the JSON documents."""
        main = self.against_baseline
        document: dict[str, Any] = finite(
            {
                "recommended": self._described(self.recommended),
                "answer": self.answer.value,
                "cause": self.cause.value if self.cause else None,
                "winner": self._described(self.winner),
                "baseline": self._described(self.baseline),
                "difference": main.difference if main else None,
                "interval": list(main.interval) if main else None,
                "share_won": main.share_won if main else None,
                "detectable": main.detectable if main else None,
                "unseen": main.unseen if main else None,
                "against_same_rate": _comparison(self.against_same_rate),
                "against_tuned_decision": _comparison(self.against_tuned_decision),
                "decision": self.decision,
                "margin": self.margin,
                "repeats": self.repeats,
                "test_rows": self.test_rows,
                "openings": self.openings,
                "exploratory": self.exploratory,
                "changed": list(self.changed),
                "finished": dict(self.finished),
                "scored": dict(self.scored),
                "outer": self.outer,
                "folds_won": dict(self.folds_won),
                "trials": self.trials,
                "reason": self.reason,
                "reevaluated": [candidate.to_json() for candidate in self.reevaluated],
                "notes": list(self.notes),
                "constraints": [one.to_json() for one in self.constraints],
            }
        )
        return document

    def stored(self) -> dict[str, Any]:
        """Return the form that a study's storage keeps, which `of_stored` reads."""
        values: dict[str, Any] = finite(asdict(self))
        return values

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the verdict that was stored; fields that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        arms = {name: Arm(**values[name]) for name in ("winner", "baseline", "recommended")}
        comparisons = {
            name: Comparison(**values[name]) if values.get(name) else None
            for name in ("against_baseline", "against_same_rate", "against_tuned_decision")
        }
        words = {
            "answer": Answer(values["answer"]),
            "cause": Cause(values["cause"]) if values.get("cause") else None,
            "reevaluated": tuple(map(Reevaluated.of_stored, values.get("reevaluated", ()))),
            "notes": as_tuple(values.get("notes", ())),
            "changed": as_tuple(values.get("changed", ())),
            "constraints": tuple(map(Kept.of_stored, values.get("constraints", ()))),
        }
        plain = {name: value for name, value in values.items() if name in known}
        return cls(**{**plain, **arms, **comparisons, **words})


def _comparison(comparison: Comparison | None) -> dict[str, Any] | None:
    """Return difference, interval and share of a further comparison."""
    if comparison is None:
        return None
    return {
        "difference": comparison.difference,
        "interval": list(comparison.interval),
        "share_won": comparison.share_won,
        "repeats": comparison.repeats,
    }
