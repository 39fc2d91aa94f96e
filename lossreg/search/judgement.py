"""From predictions of the test rows to the verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lossreg.data import splits
from lossreg.errors import count_of
from lossreg.metrics import decision
from lossreg.search.arms import BASELINE, BEFORE, ODDS, SAME_RATE, TUNED, WINNER, Arms
from lossreg.search.final_stage import why
from lossreg.search.frozen import Frozen, Notes
from lossreg.search.one_split import Failed
from lossreg.search.predictions import Predictions
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import TRIALS, Answer, Comparison, Verdict
from lossreg.terminal import caller
from lossreg.training import scoring
from lossreg.verdict import answers, variation
from lossreg.verdict.comparison import FEWEST, compare, is_finite
from lossreg.verdict.predictions import rounded, summary

if TYPE_CHECKING:
    from lossreg.data import Dataset
    from lossreg.data.splits import Part
    from lossreg.metrics.catalogue import Metric
    from lossreg.search.nested import Settings
    from lossreg.search.preparation import Prepared

LACKS_TUNED = "fewer than half of the repeats have a tuned decision for both losses; more repeats ({}) have it"
MORE = ("`lossreg verdict STUDY --repeats N`", "verdict.repeats")


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """The rows of a comparison.

    y: their labels as metrics take them; groups: of rows that are not independent, and of the
    pixels of a mask; folds: the outer fold of each, None without.
    """

    rows: int
    y: np.ndarray
    groups: np.ndarray | None
    folds: np.ndarray | None

    @classmethod
    def of(cls, dataset: Dataset, parts: Sequence[Part] = ()) -> Self:
        """Return the test rows of a study, or with the parts of outer folds all of its rows."""
        y, pixels = dataset.rows.scored if parts else dataset.test.scored, math.prod(dataset.spatial_shape)
        groups = dataset.rows.layout.dependent
        if groups is not None:
            groups = np.repeat(groups if parts else groups[dataset.rows.test], pixels)
        elif dataset.spatial_shape:
            groups = np.repeat(np.arange(len(y)), pixels)
        folds = np.empty(len(y), np.int64)
        for number, part in enumerate(parts):
            folds[part.test] = number
        return cls(len(y), dataset.scored_labels(y), groups, np.repeat(folds, pixels) if parts else None)

    def matching(self, predictions: Predictions) -> Predictions:
        """Return stored predictions if they are numbers for each of these rows, else none."""
        fits = all(
            array.ndim > 1 and array.shape[1] == len(self.y) and np.issubdtype(array.dtype, np.number)
            for array in predictions.values()
        )
        return predictions if fits and {WINNER, BASELINE} <= predictions.keys() else {}


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """The comparison of winner and baseline by their predictions of the test rows."""

    prepared: Prepared
    frozen: Frozen
    arms: Arms
    tested: Tested
    predictions: Predictions

    def verdict(self, notes: Sequence[str] = ()) -> Verdict:
        """Return the verdict, with these notes before its own."""
        frozen, margin, repeats = self.frozen, self.prepared.spec.verdict.margin, self._repeats()
        main, same_rate = self._compared(WINNER, BASELINE), self._compared(WINNER, SAME_RATE)
        tuned = self._compared(WINNER + TUNED, BASELINE + TUNED)
        lacks_tuned = main is not None and tuned is None and any(name.endswith(TUNED) for name in self.predictions)
        changed = frozen.changed(margin)
        answer = answers.answer(main, margin, tuned, lacks_tuned=lacks_tuned, is_unstable=repeats.is_unstable)
        is_of_interval = main is not None and answer is answers.answer(main, margin, tuned)
        reason = repeats.reason(self.prepared.metric.name, answer, is_compared=main is not None)
        reason = reason or LACKS_TUNED.format(caller.words(*MORE))
        compared = [one for one in (main, tuned) if one]
        refused = answers.refused_equality(compared, margin) if answer is Answer.NO_DIFFERENCE else ""
        winner, baseline = self.arms.described(repeats.paired if main else repeats.scores)
        verdict = Verdict(
            answer, winner, baseline,
            answers.recommend(winner, baseline, main, margin, scored=repeats.scored, repeats=len(repeats)),
            answers.cause(answer, same_rate, same_rate=SAME_RATE not in self.predictions), main, same_rate, tuned,
            margin=margin, decision=frozen.decision,
            notes=(*notes, *self._of_decisions()), repeats=len(repeats),
            test_rows=self.tested.rows, openings=frozen.openings, exploratory=bool(changed), changed=changed,
            outer=frozen.outer, folds_won=_folds_won(frozen.settings), trials=frozen.trials,
            reevaluated=frozen.reevaluated, finished=repeats.finished, scored=repeats.scored,
            reason=refused if is_of_interval else reason,
        )  # fmt: skip
        return with_predictions(verdict, lambda: self._predicted(repeats))

    def _predicted(self, repeats: Repeats) -> dict[str, Any]:
        """Return what winner and baseline predict, in few numbers, and the score of each repeat.

        With a temperature tuned for them they are told both ways, and where classes are decided for, along the odds.
        """
        metric, task = self.prepared.metric, self.prepared.problem.dataset.task
        tuned = {name: name + TUNED for name in (WINNER, BASELINE)}
        arms = self._of({WINNER: WINNER, BASELINE: BASELINE})
        if metric.response == "probability":
            arms |= self._of({name: name for name in tuned.values()})
        odds = self._of({name: name + ODDS for name in tuned})
        before = self._of({name + BEFORE: name + BEFORE for name in tuned})
        decided = arms if self.frozen.decision == "tuned" else self._of(tuned)
        scores = {name: rounded(values[np.isfinite(values)].tolist()) for name, values in repeats.scores.items()}
        pictures = summary(metric.response, task, self.tested.y, arms, odds=odds, tuned=decided, before=before)
        return {"scores": scores, **pictures}

    def _of(self, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Return the predictions of these names by other names, of those that there are."""
        return {name: self.predictions[stored] for name, stored in names.items() if stored in self.predictions}

    def _repeats(self) -> Repeats:
        return Repeats(
            {name: int(is_finite(self.predictions[name]).sum()) for name in (WINNER, BASELINE)},
            {name: self._scores(name) for name in (WINNER, BASELINE)},
        )

    def _of_decisions(self) -> tuple[str, ...]:
        problem, baseline = self.prepared.problem, self.arms.baseline.candidate
        if problem.decision == "tuned" and self.frozen.decision != "tuned" and scoring.tunable(problem):
            few = too_few(problem.dataset, problem.metric)
            return (f"the verdict compares default decisions: its repeats leave out too few {few} to tune them on",)
        gain = self._compared(BASELINE + TUNED, BASELINE)
        # a study with constraints or several metrics tunes no decision
        if gain is None or gain.low <= 0 or problem.also:
            return ()
        metric = self.prepared.metric.name
        what = decision.in_words(decision.by_name(metric, problem.dataset.task))
        where = "" if self.frozen.outer else " on the test rows"
        return (
            f"a tuned {what} gives {baseline} a better {metric}, by {gain.difference:.2g}{where}: "
            'search.decision = "tuned" in a new study tunes it in every trial',
        )

    def _compared(self, first: str, second: str) -> Comparison | None:
        """Compare two arms; None where there is none of one, or it did not finish half of the repeats."""
        predictions, tested = self.predictions, self.tested
        if first not in predictions or second not in predictions:
            return None
        compared = compare(
            self.prepared.metric, tested.y, predictions[first], predictions[second], groups=tested.groups,
            folds=tested.folds, seed=self.prepared.spec.search.seed,
        )  # fmt: skip
        # the repeats that an unstable loss survives are its best ones
        return compared if compared and 2 * compared.repeats >= len(predictions[first]) else None

    def _scores(self, arm: str) -> np.ndarray:
        metric, predictions = self.prepared.metric, self.predictions[arm]
        finite = is_finite(predictions)
        lanes, scores = predictions[finite], np.full(len(predictions), np.nan)
        lanes = lanes.astype(np.int64) if metric.response == "label" else lanes
        scores[finite] = variation.scores(metric, self.tested.y, lanes, self.tested.folds)
        return scores


def with_predictions(verdict: Verdict, predicted: Callable[[], Mapping[str, Any]]) -> Verdict:
    """Return the verdict with what pictures show of predictions; with a note in place of it where that fails."""
    try:
        return replace(verdict, predicted=predicted())
    except Exception as error:
        note = f"there are no pictures of what winner and baseline predict: {why(error)}"
        return replace(verdict, notes=(*verdict.notes, note))


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """The repeats of winner and baseline, by arm.

    finished: how many were trained to their end; scores: of each repeat, NaN where it was not, infinite where a
    prediction leaves the domain of the metric.
    """

    finished: Mapping[str, int]
    scores: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.scores[WINNER])

    @property
    def scored(self) -> dict[str, int]:
        """The number of repeats with a score, by arm."""
        return {name: int(np.isfinite(scores).sum()) for name, scores in self.scores.items()}

    @property
    def paired(self) -> dict[str, np.ndarray]:
        """The scores of the repeats in which both have one."""
        both = np.isfinite(list(self.scores.values())).all(axis=0)
        return {name: scores[both] for name, scores in self.scores.items()}

    @property
    def is_unstable(self) -> bool:
        """True if the winner has no score in too many of them."""
        return answers.is_unstable(self.scored[WINNER], len(self))

    def reason(self, metric: str, answer: Answer, *, is_compared: bool) -> str:
        """Return why there is no comparison, or why the answer is not what its interval says; else empty."""
        scored, total = self.scored, len(self)
        if is_compared:
            survived = f"{scored[WINNER]} of its {total} repeats alone have a score, which are its best ones"
            return survived if self.is_unstable and answer is Answer.NO_DIFFERENCE else ""
        both, fewest = len(self.paired[WINNER]), max(FEWEST, math.ceil(total / 2))
        if both >= fewest:
            return f"{metric} cannot be computed once some of the test rows are left out, as for its interval"
        verb = "has" if both == 1 else "have"
        return (
            f"{both} of {total} repeats {verb} a score of both losses ({scored[WINNER]} of the winner, "
            f"{scored[BASELINE]} of the baseline), and a comparison takes {fewest}"
        )


def _folds_won(settings: Sequence[Settings]) -> dict[str, int]:
    """Return the number of outer folds in which a candidate was the winner, most first."""
    return dict(Counter(chosen[WINNER]["candidate"] for chosen in settings).most_common())


# ------------------------------------------------------------ without predictions


def too_few(dataset: Dataset, metric: Metric) -> str:
    """Return what repeats leave out too few of to tune a decision on: rows, or groups or times of many rows."""
    development, layout = dataset.rows.development, dataset.rows.layout
    has_rows = not decision.shortage(metric, dataset.task, splits.left_out(len(development)))
    if not has_rows or layout.dependent is None:
        return "rows"
    return "groups" if layout.times is None else "times"


def without_comparison(
    prepared: Prepared, notes: Notes, winner: TrialRecord, baseline: TrialRecord, reason: str
) -> Verdict:
    """Return the verdict where nothing can be compared."""
    first, second = Arms(winner, baseline, {}).described()
    return Verdict(
        Answer.NOT_ENOUGH_DATA, first, second, second, margin=prepared.spec.verdict.margin, reason=reason,
        test_rows=len(prepared.problem.dataset.test), trials=notes.trials, openings=notes.openings,
        exploratory=notes.is_exploratory, changed=(TRIALS,) * notes.is_exploratory,
    )  # fmt: skip


def without_choice(
    prepared: Prepared, notes: Notes, failed: Failed, top: TrialRecord, baseline: TrialRecord
) -> Verdict:  # fmt: skip
    """Return the verdict where all settings of the baseline, or of the others, failed on fresh splits."""
    winner, reference = failed.choice
    names = [f"a loss other than {baseline.candidate}"] * (not winner) + [baseline.candidate] * (not reference)
    splits = count_of(prepared.spec.search.confirm, "fresh split")
    reason = f"no setting of {' or of '.join(names)} came to its end on {splits} ({failed.reason})"
    verdict = without_comparison(prepared, notes, winner or top, reference or baseline, reason)
    return replace(verdict, recommended=verdict.winner) if winner else verdict
