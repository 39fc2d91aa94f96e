"""The verdict of a study: winner and baseline are trained again many times and compared on the test rows.

Procedure: winner and baseline setting are those that fresh splits of the development rows confirmed. They are noted,
the test rows are opened, and both are trained on `repeats` further splits. Source of the comparison's design:
Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.data import splits
from lossreg.errors import InputError, LossregError, ReplacedError, UnansweredError, is_for_want_of_room
from lossreg.metrics import decision
from lossreg.search import ahead, completion, estimate, judgement, nested, one_split
from lossreg.search.arms import Arms
from lossreg.search.constraints import Constraints
from lossreg.search.estimate import Estimate
from lossreg.search.final_stage import FinalStage, why
from lossreg.search.frozen import BEFORE, Frozen, Notes
from lossreg.search.judgement import Judgement, Tested
from lossreg.search.nested import Nested
from lossreg.search.one_split import Failed
from lossreg.search.predictions import Predictions, joined
from lossreg.storage.journal_keys import FROZEN
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Answer, Verdict
from lossreg.terminal import caller
from lossreg.verdict import shortage

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec

TRY_AGAIN = ("`lossreg verdict STUDY` tries again", "the same call with another verdict.repeats tries again")
OUTER = "outer"
ONE_SPLIT = "verdict.outer = 0 compares on the test rows alone."


class VerdictStage(FinalStage):
    """The verdict of a study."""

    __slots__ = ()

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
        result.notes, result.failure = [note for note in result.notes if note != result.failure], ""
        try:
            return self._constrained(self._reached())
        except ReplacedError:
            raise
        except Exception as error:
            self._heed(error)
            self._note(completion.FAILED, completion.state(spec, result))
            if result.verdict and not result.verdict.repeats:
                # it says why an earlier attempt failed
                result.verdict = None
            what, how = "new verdict" if result.verdict else "verdict", caller.words(*TRY_AGAIN)
            result.failure = f"there is no {what}: {why(error).rstrip('.')}; {how}"
            result.notes.append(result.failure)
            self.progress.warn(result.failure)
            return result.verdict

    def _constrained(self, verdict: Verdict | None) -> Verdict | None:
        """Return a verdict with the study's constraints, also where nothing was compared."""
        if verdict is None or verdict.constraints:
            return verdict
        return Constraints(self.prepared, self.result, None, {}).completed(verdict)

    def _reached(self) -> Verdict | None:
        missing = self.prepared.missing
        board = {row.candidate: row.best for row in self.result.ranking() if row.best and row.candidate not in missing}
        top = next((trial for name, trial in board.items() if name != self.result.baseline), None)
        baseline = board.get(self.result.baseline)
        if top is None or baseline is None:
            self.progress.message("there is no verdict: it takes a completed trial of the baseline and of another loss")
            return None
        dataset = self.prepared.problem.dataset
        if reason := shortage.of_rows(dataset):
            return judgement.without_comparison(self.prepared, self._notes, top, baseline, reason)
        outer = self._outer()
        try:
            compared = self._compared_in(outer)
        except ReplacedError:
            raise
        except Exception as error:
            self._heed(error)
            if not outer:
                raise
            if _passes(error) or not self._may_leave_out_folds:
                raise _naming_one_split(error, self.prepared.spec) from error
            self._leave_out_folds(error)
            compared = self._compared_in(0)
        if isinstance(compared, str):
            return judgement.without_comparison(self.prepared, self._notes, top, baseline, compared)
        if isinstance(compared, Failed):
            return judgement.without_choice(self.prepared, self._notes, compared, top, baseline)
        return compared

    def _compared_in(self, outer: int) -> Verdict | Failed | str:
        """Return the verdict with so many outer folds, 0 for the test rows; where they are too few, why."""
        dataset, metric = self.prepared.problem.dataset, self.prepared.metric
        if not outer and (reason := shortage.of_test_rows(dataset, metric)):
            return reason
        repeats, trials = self.prepared.spec.verdict.repeats_with(outer), len(self.result.trials)
        folds = Nested.of(self.prepared, outer, trials, self.progress) if outer else None
        tested = Tested.of(dataset, folds.parts if folds else ())
        noted = self._notes.of_outer(outer)
        known = tested.matching(self.folder.predictions.load(noted.key, outer) if noted else {})
        done = min(map(len, known.values()), default=0)
        if noted and done >= repeats:
            noted = replace(noted, openings=self._notes.openings, margin=self._first_margin)
            return self._judged(tested, self._freeze(noted), known)
        self._require_installed(outer)
        estimate.require_room(self.prepared, repeats, tested)
        self.folder.predictions.require_room(outer)
        is_searched = bool(noted and noted.settings)
        self.progress.expect(ahead.of_verdict(self.prepared, outer, repeats - done, is_searched=is_searched))
        self._announce(outer, repeats, done)
        with self.training():
            new = range(done, repeats)
            opened, predictions = self._in_folds(new, folds) if folds else self._on_split(new)
        if isinstance(opened, Failed):
            return opened
        predictions = joined(known, predictions)
        self.folder.require_turn()
        self.folder.predictions.save(opened.key, predictions, outer)
        return self._judged(tested, opened, predictions)

    @property
    def _may_leave_out_folds(self) -> bool:
        """True where nobody asked for outer folds, and no verdict has them."""
        verdict = self.result.verdict
        return self.prepared.spec.verdict.outer is None and not (verdict and verdict.repeats)

    def _leave_out_folds(self, error: Exception) -> None:
        """Note that these trials have a verdict without outer folds, which failed."""
        reason = f"the verdict is without nested cross-validation, which failed: {why(error)}"
        self._note(OUTER, {"trials": len(self.result.trials), "folds": 0, "reason": reason})
        self.progress.warn(reason)

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
        """The note on outer folds of these trials that nobody asked for, with the reason if they failed."""
        noted: Mapping[str, Any] = self._attributes.get(OUTER) or {}
        return noted if noted.get("trials") == len(self.result.trials) else {}

    def _usual_folds(self) -> int:
        """Return the number of outer folds of a study that names none; they are proposed where they take long."""
        rows, usual = self.prepared.problem.dataset.rows, shortage.USUAL
        new = self._estimate(usual, self.prepared.spec.verdict.repeats_with(usual))
        is_usual = not rows.layout.is_fixed and nested.is_usual(len(rows.labels.y), new.minutes)
        return usual if is_usual else 0

    def _advice(self, verdict: Verdict) -> str:
        """Return how long outer folds would take, where one split was compared by default; else empty."""
        rows, asked, usual = self.prepared.problem.dataset.rows, self.prepared.spec.verdict, shortage.USUAL
        is_unasked = asked.outer is None and self._unasked and not self._unasked.get("reason")
        if verdict.outer or not is_unasked or rows.layout.is_fixed:
            return ""
        new = self._estimate(usual, asked.repeats_with(usual))
        return nested.proposal(len(rows.labels.y), new, is_open=verdict.answer is Answer.NO_DIFFERENCE)

    def _estimate(self, outer: int, repeats: int) -> Estimate:
        return Estimate.of(self.prepared, self.result, self._notes, outer=outer, repeats=repeats)

    def _announce(self, outer: int, repeats: int, done: int) -> None:
        """Say how much there is to do, where that is long or every row is a test row."""
        new = self._estimate(outer, repeats - done)
        trainings = f"up to {new.trainings:,} trainings"
        if outer:  # the time left is shown from here on
            self.progress.phase(f"verdict: {outer}-fold nested cross-validation, {trainings}")
        elif new.minutes >= nested.LONG:
            later = caller.words("`lossreg verdict STUDY`", "later")
            self.progress.message(
                f"the verdict takes {trainings}, about {new.minutes:.0f} minutes at this study's pace; "
                f"fewer verdict.repeats take less, and verdict.enabled = false leaves it for {later}"
            )

    # ------------------------------------------------------------ trainings, and notes before the test rows are opened

    def _on_split(self, repeats: range) -> tuple[Frozen | Failed, Predictions]:
        """Return what is compared, and new predictions of the test rows, unless there is nothing to compare."""
        choice = self._notes.choice or one_split.choose(self._present)
        if isinstance(choice, Failed):
            return choice, {}
        with one_split.retrainer(self.prepared, self.progress, repeats) as retrainer:
            opened = self._open(choice, 0, repeats.stop, self.prepared.problem.dataset.rows.development)
            return opened, one_split.predictions(self._arms(opened), repeats, retrainer)

    def _in_folds(self, repeats: range, folds: Nested) -> tuple[Frozen | Failed, Predictions]:
        """Return the same with outer folds, in which every row is a test row once."""
        folds.check()
        choice = self._notes.choice or one_split.choose(self._present)
        if isinstance(choice, Failed):
            return choice, {}
        # the searches use rows that are test rows of the study
        opened = self._open(choice, len(folds.parts), repeats.stop, folds.parts[0].development)
        is_searched = bool(opened.settings)
        searched = [] if is_searched else folds.search()
        with folds.retrainer(chosen=is_searched, repeats=repeats) as retrainer:
            if not is_searched:
                opened = self._freeze(replace(opened, settings=folds.choose(searched, retrainer)))
            return opened, folds.predictions(opened.settings, repeats, retrainer)

    @property
    def _present(self) -> StudyResult:
        """The study without losses that are not installed."""
        losses = {name: loss for name, loss in self.result.losses.items() if name not in self.prepared.missing}
        return replace(self.result, losses=losses)

    def _open(self, choice: Frozen, outer: int, repeats: int, development: splits.Rows) -> Frozen:
        """Note what is compared before rows are opened; development: the numbers of the rows that repeats train on.

        Raises `KeyboardInterrupt` when the observer is stopping.
        """
        if self.progress.stopping():
            raise KeyboardInterrupt
        problem = self.prepared.problem
        sizes = splits.left_out(len(development)), problem.dataset.rows.units_left_out(development, outer=outer > 0)
        is_short = decision.shortage(problem.metric, problem.dataset.task, *sizes)
        is_tuned = problem.decision == "tuned" and not is_short
        opened = self._notes.opened(choice, outer, repeats, "tuned" if is_tuned else "default", self._first_margin)
        if verdict := self.result.verdict:
            self.result.verdict = replace(verdict, openings=opened.openings)
            self._note("verdict", {**self._attributes["verdict"], "openings": opened.openings})
        return self._freeze(opened)

    @property
    def _first_margin(self) -> float:
        """The margin when the test rows were first opened; where an older version did not note it, its verdict's."""
        noted, margin = self._notes.last, self.prepared.spec.verdict.margin
        if noted and noted.margin is not None:
            return noted.margin
        return self.result.verdict.margin if noted and self.result.verdict else margin

    def _judged(self, tested: Tested, frozen: Frozen, predictions: Predictions) -> Verdict:
        reason = "" if frozen.outer else self._unasked.get("reason", "")
        judgement = Judgement(self.prepared, frozen, self._arms(frozen), tested, predictions)
        verdict = judgement.verdict([*([reason] if reason else []), *self._of_layout(tested)])
        verdict = Constraints(self.prepared, self.result, tested, predictions).completed(verdict)
        advice = self._advice(verdict)
        return replace(verdict, notes=(*verdict.notes, advice)) if advice else verdict

    def _of_layout(self, tested: Tested) -> list[str]:
        """Return notes on rows that are cut forward in time, or that are not independent since of one group."""
        layout, group = self.prepared.problem.dataset.rows.layout, self.prepared.spec.data.group
        if layout.times is not None:
            return [splits.FORWARD]
        if not layout.grouped or tested.groups is None:
            return []
        return [f"the interval is that of {len(np.unique(tested.groups)):,} independent groups of {group}, not of rows"]

    # ------------------------------------------------------------ notes

    @property
    def _notes(self) -> Notes:
        before = self._attributes.get(BEFORE, 0)
        return Notes.of_stored(self._attributes.get(FROZEN), len(self.result.trials), before)

    def _freeze(self, noted: Frozen) -> Frozen:
        self._note(FROZEN, self._notes.noting(noted).stored())
        return noted

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


def _naming_one_split(error: Exception, spec: StudySpec) -> Exception:
    """Return the error of outer folds with what works instead."""
    if isinstance(error, UnansweredError) or not spec.data.is_tested:
        return error
    if not isinstance(error, InputError):
        return LossregError(f"{why(error).rstrip('.')}. {ONE_SPLIT}")
    return InputError(error.what, where=error.where, hint=f"{error.hint} {ONE_SPLIT}".lstrip())


def _passes(error: Exception) -> bool:
    """Return whether an error is unrelated to the study, so that outer folds are tried again."""
    return isinstance(error, (MemoryError, UnansweredError)) or is_for_want_of_room(error)
