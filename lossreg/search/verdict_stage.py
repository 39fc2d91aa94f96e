"""The verdict of a study: winner and baseline are trained again many times and compared on the test rows.

Procedure: the best settings of each loss are trained again on fresh splits of the development rows, by which winner
and baseline setting are chosen. These are noted, the test rows are opened, and both are trained on `repeats` further
splits. Source of the comparison's design: Bouthillier et al. 2021, Accounting for variance in machine learning
benchmarks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import optuna

from lossreg.data import room, splits
from lossreg.errors import InputError, LossregError, one_line
from lossreg.metrics import decision
from lossreg.runtime import system
from lossreg.search import completion, nested, reevaluation, restore
from lossreg.search.arms import BASELINE, SAME_RATE, TUNED, WINNER, Arms, repeated
from lossreg.search.frozen import FROZEN, Frozen, Notes
from lossreg.search.nested import ARMS, Nested, Predictions, Settings
from lossreg.search.predictions import Predictor
from lossreg.search.reevaluation import SPLITS, Choice
from lossreg.search.retrainer import OnSplit, Retrainer
from lossreg.storage.observer import Observer
from lossreg.storage.records import Outcome, StudyResult, TrialRecord
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE
from lossreg.storage.verdict import Answer, Comparison, Verdict
from lossreg.terminal import caller
from lossreg.training import scoring
from lossreg.verdict import answers, variation
from lossreg.verdict.comparison import compare

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared

# how the note on a verdict that failed begins, without a former verdict and with one, and ends
FAILURES = ("there is no verdict", "there is no new verdict")
LACKS_TUNED = (
    "fewer than half of the repeats have the decision of both losses tuned, so the winner is not called better or "
    "equal; more repeats (`lossreg verdict STUDY --repeats N`) have it"
)
TRY_AGAIN = "`lossreg verdict STUDY` tries again"
OUTER = "outer"
LONGEST = 60  # minutes of nested cross-validation that is proposed
BYTES = 20  # of memory that a prediction takes: it is stored in 4, and two arms are copied to be scored


class Failed(NamedTuple):
    """A choice in which winner or baseline is missing, and the commonest reason."""

    choice: Choice
    reason: str


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of a study's search: of a training, and of asking for a trial."""

    training: float = 0.0
    asking: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """The rows of a comparison.

    y: their labels as metrics take them; groups: of pixels, their mask; folds: the outer fold of each, None without.
    """

    rows: int
    y: np.ndarray
    groups: np.ndarray | None
    folds: np.ndarray | None

    @classmethod
    def of(cls, prepared: Prepared, outer: int) -> Self:
        """Return the test rows of a study, or with outer folds all of its rows."""
        dataset = prepared.problem.dataset
        y = dataset.rows.labels.y if outer else dataset.test.y
        pixels = math.prod(dataset.spatial_shape)
        groups = np.repeat(np.arange(len(y)), pixels) if dataset.spatial_shape else None
        folds = nested.fold_of_rows(dataset, nested.parts(prepared, outer)) if outer else None
        return cls(len(y), y.ravel() if dataset.spatial_shape else y, groups, folds)


@dataclass(frozen=True, slots=True)
class VerdictStage:
    """The verdict of a study whose trials have ended, in its open storage.

    pace: of its search; training: a context for the time in which settings are trained again.
    """

    prepared: Prepared
    result: StudyResult
    study: optuna.Study
    folder: StudyFolder
    progress: Observer
    pace: Pace = Pace()
    training: Callable[[], AbstractContextManager[None]] = nullcontext

    def reach(self, *, again: bool = False) -> Verdict | None:
        """Return the verdict with the study's number of repeats, or what there is already.

        None where there is nothing to compare. Where it fails the progress is warned, and a verdict with fewer
        repeats stays; it is then tried once more where the study has changed, or with `again`.
        """
        spec, result = self.prepared.spec, self.result
        if result.verdict and result.verdict.trials != len(result.trials):
            result.verdict = None
        if completion.has_verdict(self._attributes, spec, result, again=again):
            return result.verdict
        self.result.notes = [note for note in self.result.notes if not note.startswith(FAILURES)]
        try:
            return self._reached()
        except Exception as error:
            self._note(completion.FAILED, completion.state(spec, result))
            how = caller.words(TRY_AGAIN, TRY_AGAIN)
            result.notes.append(f"{FAILURES[result.verdict is not None]}: {_reason(error)}; {how}")
            self.progress.warn(result.notes[-1])
            return result.verdict

    def _reached(self) -> Verdict | None:
        missing = self.prepared.missing
        board = {
            row.candidate: row.best for row in self.result.leaderboard() if row.best and row.candidate not in missing
        }
        top = next((trial for name, trial in board.items() if name != self.result.baseline), None)
        baseline = board.get(self.result.baseline)
        if top is None or baseline is None:
            self.progress.message("there is no verdict: it takes a completed trial of the baseline and of another loss")
            return None
        if reason := self._shortage():
            return self._without_comparison(top, baseline, reason)
        outer = self._outer()
        try:
            compared = self._compared_in(outer)
        except Exception as error:
            if not outer:
                raise
            self._require_unasked(error)
            compared = self._compared_in(0)
        return self._without_choice(compared, top, baseline) if isinstance(compared, Failed) else compared

    def _compared_in(self, outer: int) -> Verdict | Failed:
        """Return the verdict with so many outer folds, 0 for the test rows, unless there is nothing to compare."""
        repeats, tested = self.prepared.spec.verdict.repeats_with(outer), Tested.of(self.prepared, outer)
        noted = self._notes.of_outer(outer)
        known = self.folder.load_predictions(noted.key, outer) if noted else {}
        done = min(map(len, known.values()), default=0)
        if noted and done >= repeats:
            return self._judged(tested, self._freeze(replace(noted, openings=self._notes.openings)), known)
        self._require_installed(outer)
        self._require_room(repeats, tested)
        self._announce(outer, repeats, done)
        with self.training():
            opened, new = (self._in_folds if outer else self._on_split)(range(done, repeats), outer)
        if isinstance(opened, Failed):
            return opened
        predictions = _joined(known, new)
        self.folder.save_predictions(opened.key, predictions, outer)
        return self._judged(tested, opened, predictions)

    def _require_unasked(self, error: Exception) -> None:
        """Raise the error of outer folds again if they were asked for; else note that there are none, and why."""
        verdict = self.result.verdict
        if self.prepared.spec.verdict.outer is None and not (verdict and verdict.repeats):
            reason = f"the verdict is without nested cross-validation, which failed: {_reason(error)}"
            self._note(OUTER, {"trials": len(self.result.trials), "folds": 0, "reason": reason})
            self.progress.warn(reason)
            return
        if isinstance(error, InputError):
            hint = f"{error.hint} verdict.outer = 0 compares on the test rows alone.".lstrip()
            raise InputError(error.what, where=error.where, hint=hint) from error
        raise error

    def _outer(self) -> int:
        """Return the number of outer folds: as asked for, as noted before, or as many as take little time."""
        asked, noted, unasked = self.prepared.spec.verdict.outer, self._notes.choice, self._unasked
        if asked is not None:
            return asked
        if noted and not unasked.get("reason"):
            return noted.outer
        if not unasked:
            unasked = {"trials": len(self.result.trials), "folds": self._usual_folds()}
            self._note(OUTER, unasked)
        return int(unasked["folds"])

    @property
    def _unasked(self) -> Mapping[str, Any]:
        """What was noted of outer folds that nobody asked for, of these trials; with the reason if they failed."""
        noted: Mapping[str, Any] = self._attributes.get(OUTER) or {}
        return noted if noted.get("trials") == len(self.result.trials) else {}

    def _usual_folds(self) -> int:
        """Return the number of outer folds of a study that names none; they are proposed where they take long."""
        rows, usual = self.prepared.problem.dataset.rows, nested.USUAL
        minutes = self._minutes(usual, self.prepared.spec.verdict.repeats_with(usual))
        if rows.raw.given_test or nested.is_usual(len(rows.labels.y), minutes):
            return 0 if rows.raw.given_test else usual
        if minutes <= LONGEST:
            self.progress.message(
                f"nested cross-validation (verdict.outer = {usual}) would take about {in_words(minutes)} and see "
                "smaller differences"
            )
        return 0

    def _minutes(self, outer: int, repeats: int) -> float:
        """Return about how long so many new repeats take, with what comes before, by the pace of the study's search."""
        asked = 0 if self._is_searched(outer) else outer * len(self.result.trials)
        return (self._trainings(outer, repeats) * self.pace.training + asked * self.pace.asking) / 60

    def _trainings(self, outer: int, repeats: int) -> int:
        """Return the number of trainings of so many new repeats, with what comes before, at most."""
        first = 0 if self._notes.choice else len(reevaluation.contenders(self.result)) * SPLITS
        if outer and not self._is_searched(outer):
            first += self._nested(outer).trainings_before
        return first + max(1, outer) * ARMS * repeats

    def _is_searched(self, outer: int) -> bool:
        """Return whether the settings of all outer folds are known."""
        noted = self._notes.of_outer(outer)
        return bool(noted and noted.settings)

    def _announce(self, outer: int, repeats: int, done: int) -> None:
        """Say how long it takes, where that is long or every row is a test row."""
        new = repeats - done
        trainings, minutes = self._trainings(outer, new), self._minutes(outer, new)
        if outer:
            self.progress.phase(
                f"verdict: {outer}-fold nested cross-validation, up to {trainings} trainings, about {in_words(minutes)}"
            )
        elif minutes >= nested.LONG:
            self.progress.message(
                f"the verdict takes up to {trainings} trainings, about {minutes:.0f} minutes at this study's pace; "
                "fewer verdict.repeats take less, and verdict.enabled = false leaves it for `lossreg verdict`"
            )

    def _require_room(self, repeats: int, tested: Tested) -> None:
        """Raise `InputError` unless the predictions of the test rows fit into memory."""
        dataset, response = self.prepared.problem.dataset, self.prepared.metric.response
        per_row = dataset.n_classes if response == "probability" and dataset.task != "multilabel" else 1
        arms = ARMS + 2 * (self.prepared.problem.decision != "tuned")
        size, free = BYTES * arms * repeats * tested.y.size * per_row, system.free_memory()
        if size > free:
            what = (
                f"predictions of {tested.rows} test rows, {repeats} times by {ARMS} models, need "
                f"{room.in_gib(size)} of memory, and {room.in_gib(free)} are free"
            )
            raise InputError(what, hint="Lower verdict.repeats, or have fewer test rows.")

    def _shortage(self) -> str:
        """Return why the data do not allow a verdict; empty where they do."""
        dataset = self.prepared.problem.dataset
        summary = dataset.summary()
        counts = {} if dataset.spatial_shape else summary["classes"]
        if reason := answers.shortage(sum(summary["rows"].values()), counts):
            return reason
        try:
            self.prepared.metric.check(dataset.scored_labels(dataset.test), dataset.n_classes)
        except InputError as error:
            return f"of the test rows, {error.what}"
        return ""

    def _without_choice(self, failed: Failed, top: TrialRecord, baseline: TrialRecord) -> Verdict:
        """Return the verdict where all settings of the baseline, or of the others, failed on fresh splits."""
        winner, reference = failed.choice
        names = [f"a loss other than {baseline.candidate}"] * (not winner) + [baseline.candidate] * (not reference)
        reason = f"no setting of {' or of '.join(names)} came to its end on {SPLITS} fresh splits ({failed.reason})"
        verdict = self._without_comparison(winner or top, reference or baseline, reason)
        return replace(verdict, recommended=verdict.winner) if winner else verdict

    def _without_comparison(self, winner: TrialRecord, baseline: TrialRecord, reason: str) -> Verdict:
        first, second = Arms(winner, baseline, {}).described()
        return Verdict(
            Answer.NOT_ENOUGH_DATA, first, second, second, margin=self.prepared.spec.verdict.margin, reason=reason,
            test_rows=len(self.prepared.problem.dataset.test), trials=len(self.result.trials),
            openings=self._notes.openings,
        )  # fmt: skip

    # ------------------------------------------------------------ before the test rows are opened

    def _on_split(self, repeats: range, outer: int) -> tuple[Frozen | Failed, Predictions]:
        """Return what is compared, and new predictions of the test rows, unless there is nothing to compare."""
        noted = self._notes.choice
        first = SPLITS + repeats.start if noted else 0
        with Retrainer(self.prepared, self.progress, range(first, SPLITS + repeats.stop)) as retrainer:
            choice = noted or self._choose(retrainer)
            if isinstance(choice, Failed):
                return choice, {}
            opened = self._open(choice, outer, repeats.stop, len(self.prepared.problem.dataset.rows.development))
            return opened, self._predictions(self._arms(opened), repeats, retrainer)

    def _in_folds(self, repeats: range, outer: int) -> tuple[Frozen | Failed, Predictions]:
        """Return the same with outer folds, in which every row is a test row once."""
        folds = self._nested(outer)
        folds.check()
        choice = self._notes.choice or self._choose_first()
        if isinstance(choice, Failed):
            return choice, {}
        # the searches use rows that are test rows of the study
        opened = self._open(choice, outer, repeats.stop, len(folds.parts[0].development))
        is_searched = bool(opened.settings)
        searched = [] if is_searched else folds.search()
        with folds.retrainer(chosen=is_searched, repeats=repeats) as retrainer:
            if not is_searched:
                opened = self._freeze(replace(opened, settings=folds.choose(searched, retrainer)))
            return opened, folds.predictions(opened.settings, repeats, retrainer)

    def _choose_first(self) -> Frozen | Failed:
        with Retrainer(self.prepared, self.progress, range(SPLITS)) as retrainer:
            return self._choose(retrainer)

    def _nested(self, outer: int) -> Nested:
        return Nested.of(self.prepared, outer, len(self.result.trials), self.progress)

    def _open(self, choice: Frozen, outer: int, repeats: int, development: int) -> Frozen:
        """Note what is compared before rows are opened; development: the number of rows that repeats train on."""
        problem = self.prepared.problem
        is_short = decision.shortage(problem.metric, problem.dataset.task, splits.left_out(development))
        is_tuned = problem.decision == "tuned" and not is_short
        opened = self._notes.opened(choice, outer, repeats, "tuned" if is_tuned else "default")
        if verdict := self.result.verdict:
            self.result.verdict = replace(verdict, openings=opened.openings)
            self._note("verdict", {**self._attributes["verdict"], "openings": opened.openings})
        return self._freeze(opened)

    def _choose(self, retrainer: Retrainer) -> Frozen | Failed:
        """Return winner and baseline setting by their scores on fresh splits."""
        missing = self.prepared.missing
        trials = [trial for trial in reevaluation.contenders(self.result) if trial.candidate not in missing]
        seed = self.prepared.spec.search.seed
        asked = [
            OnSplit(str(trial.number), split, plan)
            for trial in trials
            for split, plan in repeated(restore.plan_of(self.prepared, trial), range(SPLITS), seed)
        ]
        scores: dict[int, list[float]] = {trial.number: [np.nan] * SPLITS for trial in trials}
        task = f"the {len(trials)} best settings, again on {SPLITS} fresh splits"
        reasons: Counter[str] = Counter()
        for finished in retrainer.train(asked, task):
            if finished.training.outcome == Outcome.COMPLETE:
                scores[int(finished.asked.name)][finished.asked.split] = finished.training.score
            else:
                reasons[finished.training.reason] += 1
        winner, baseline = choice = reevaluation.choose(self.result, trials, scores)
        reason = max(reasons, key=reasons.__getitem__, default="its scores are not finite")
        if not (winner and baseline):
            return Failed(choice, reason)
        reevaluated = reevaluation.of_candidates(self.result, trials, scores)
        return Frozen(len(self.result.trials), winner.number, baseline.number, reevaluated=reevaluated)

    @property
    def _notes(self) -> Notes:
        return Notes.of_stored(self._attributes.get(FROZEN), len(self.result.trials))

    def _freeze(self, noted: Frozen) -> Frozen:
        self._note(FROZEN, self._notes.noting(noted).stored())
        return noted

    @property
    def _attributes(self) -> Mapping[str, Any]:
        attributes: Mapping[str, Any] = self.study.user_attrs[ATTRIBUTE]
        return attributes

    def _note(self, name: str, value: Any) -> None:
        self.study.set_user_attr(ATTRIBUTE, {**self._attributes, name: value})

    def _arms(self, frozen: Frozen) -> Arms:
        return Arms.of(self.prepared, self._trial(frozen.winner), self._trial(frozen.baseline))

    def _trial(self, number: int) -> TrialRecord:
        trial = next(trial for trial in self.result.trials if trial.number == number)
        self._require_known([trial.candidate])
        return trial

    def _require_installed(self, outer: int) -> None:
        """Raise `InputError` if a candidate that was chosen before is missing."""
        if choice := self._notes.choice:
            self._arms(choice)
        if noted := self._notes.of_outer(outer):
            self._require_known(arm["candidate"] for chosen in noted.settings for arm in chosen.values())

    def _require_known(self, candidates: Iterable[str]) -> None:
        for candidate in candidates:
            if candidate in self.prepared.missing:
                raise InputError(f"it compares {candidate}, which is missing", hint="Install its plugin again.")

    # ------------------------------------------------------------ with the test rows

    def _predictions(self, arms: Arms, new: range, retrainer: Retrainer) -> Predictions:
        """Return the predictions `(repeats, samples, ...)` of the test rows by arm, of new repeats.

        Those of a repeat that failed are NaN.
        """
        seed = self.prepared.spec.search.seed
        asked = [
            OnSplit(name, SPLITS + repeat, plan)
            for name, plan in arms.plans.items()
            for repeat, plan in repeated(plan, new, seed + SPLITS)
        ]
        found: dict[str, dict[int, np.ndarray]] = {name: {} for name in arms.plans}
        predictor = Predictor()
        for finished in retrainer.train(asked, f"winner and baseline, {len(new)} times each", wants_weights=True):
            if finished.training.weights is not None:
                name, problem, repeat = finished.asked.name, retrainer.problem, finished.asked.split - SPLITS
                predicted = predictor.of_arm(name, problem, finished.plan, finished.training.weights)
                for arm, values in predicted.items():
                    found.setdefault(arm, {})[repeat] = values
        shape = next((one.shape for arm in found.values() for one in arm.values()), None)
        if shape is None:
            raise InputError("no training of winner or baseline came to its end")
        missing = np.full(shape, np.nan, np.float32)
        return {
            name: np.stack([by_repeat.get(repeat, missing) for repeat in new]).astype(np.float32)
            for name, by_repeat in found.items()
        }

    def _judged(self, tested: Tested, frozen: Frozen, predictions: Predictions) -> Verdict:
        margin, repeats = self.prepared.spec.verdict.margin, len(predictions[WINNER])
        main = self._compared(tested, predictions, WINNER, BASELINE)
        is_same_rate = SAME_RATE not in predictions
        same_rate = self._compared(tested, predictions, WINNER, SAME_RATE)
        tuned = self._compared(tested, predictions, WINNER + TUNED, BASELINE + TUNED)
        lacks_tuned = tuned is None and any(name.endswith(TUNED) for name in predictions)
        notes = self._remarks(tested, frozen, predictions) + ((LACKS_TUNED,) if lacks_tuned else ())
        answer = answers.answer(main, margin, tuned, lacks_tuned=lacks_tuned)
        scores = {name: self._scores(tested, predictions[name]) for name in (WINNER, BASELINE)}
        winner, baseline = self._arms(frozen).described(scores)
        return Verdict(
            answer, winner, baseline, answers.recommend(winner, baseline, main, margin),
            answers.cause(answer, same_rate, same_rate=is_same_rate), main, same_rate, tuned, margin=margin,
            decision=frozen.decision, notes=notes, repeats=repeats,
            test_rows=tested.rows, openings=frozen.openings, exploratory=frozen.exploratory,
            outer=frozen.outer, folds_won=_folds_won(frozen.settings), trials=frozen.trials,
            reevaluated=frozen.reevaluated,
            reason="" if main else f"fewer than half of {repeats} repeats have a score of both losses",
        )  # fmt: skip

    def _remarks(self, tested: Tested, frozen: Frozen, predictions: Predictions) -> tuple[str, ...]:
        """Return what there is to know about the comparison: why it is without outer folds, and its decisions."""
        reason = "" if frozen.outer else self._unasked.get("reason", "")
        return (*([reason] if reason else []), *self._of_decisions(tested, frozen, predictions))

    def _of_decisions(self, tested: Tested, frozen: Frozen, predictions: Predictions) -> tuple[str, ...]:
        problem, baseline = self.prepared.problem, self.result.baseline
        if problem.decision == "tuned" and frozen.decision != "tuned" and scoring.tunable(problem):
            return ("the verdict compares default decisions: its repeats leave out too few rows to tune them on",)
        gain = self._compared(tested, predictions, BASELINE + TUNED, BASELINE)
        if gain is None or gain.low <= 0:
            return ()
        metric = self.prepared.metric.name
        what = decision.in_words(decision.by_name(metric, problem.dataset.task))
        where = "" if frozen.outer else " on the test rows"
        return (
            f"a tuned {what} gives {baseline} a better {metric}, by {gain.difference:.2g}{where}: "
            'search.decision = "tuned" in a new study tunes it in every trial',
        )

    def _compared(self, tested: Tested, predictions: Predictions, first: str, second: str) -> Comparison | None:
        """Compare two arms; None where there is none of one, or it did not finish half of the repeats."""
        if first not in predictions or second not in predictions:
            return None
        compared = compare(
            self.prepared.metric, tested.y, predictions[first], predictions[second], groups=tested.groups,
            folds=tested.folds, seed=self.prepared.spec.search.seed,
        )  # fmt: skip
        # the repeats that an unstable loss survives are its best ones
        return compared if compared and 2 * compared.repeats >= len(predictions[first]) else None

    def _scores(self, tested: Tested, predictions: np.ndarray) -> np.ndarray:
        metric = self.prepared.metric
        finite = np.isfinite(predictions).all(axis=tuple(range(1, predictions.ndim)))
        lanes, scores = predictions[finite], np.full(len(predictions), np.nan)
        lanes = lanes.astype(np.int64) if metric.response == "label" else lanes
        scores[finite] = variation.scores(metric, tested.y, lanes, tested.folds)
        return scores


def _joined(known: Predictions, new: Predictions) -> Predictions:
    """Return known predictions followed by new ones by arm, NaN where either has none of an arm."""
    if not known:
        return new

    def of(predictions: Predictions, name: str) -> np.ndarray:
        missing = np.full_like(next(iter(predictions.values())), np.nan)
        return predictions.get(name, missing)

    return {name: np.concatenate([of(known, name), of(new, name)]) for name in {**known, **new}}


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, LossregError) else one_line(error)


def _folds_won(settings: Sequence[Settings]) -> dict[str, int]:
    """Return the number of outer folds in which a candidate was the winner, most first."""
    return dict(Counter(chosen[WINNER]["candidate"] for chosen in settings).most_common())


def in_words(minutes: float) -> str:
    """Return a time, `40 seconds` or `4 minutes`."""
    if minutes < 1:
        return f"{max(10, 10 * round(6 * minutes))} seconds"
    return f"{minutes:.0f} minute{'s' * (round(minutes) != 1)}"
