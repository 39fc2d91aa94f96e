"""The confirmation of a study: its best settings are trained again on fresh splits of the development rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from lossreg.errors import LossregError, ReplacedError, UnansweredError, count_of
from lossreg.search import confirming, estimate, restore
from lossreg.search.final_stage import FinalStage, why
from lossreg.search.fresh_scores import FreshScores
from lossreg.search.retrainer import Group, Retrainer
from lossreg.storage.confirmation import KEY, Confirmation
from lossreg.storage.trial_record import TrialRecord

# of the splits, and of weights and batches, so that none is the search's own or one of the verdict's
FIRST_SEED, FIRST_TRAINING_SEED = 30_000, 40_000
FAILED = "settings could not be confirmed, so losses are compared by the scores of the search, without a verdict"
LONG = 1.0  # minutes


class ConfirmingStage(FinalStage):
    """The confirmation of a study."""

    __slots__ = ()

    @property
    def has_failed(self) -> bool:
        """True where settings are to be confirmed and were not."""
        return self.result.confirmation is None and confirming.is_due(self._splits, self._contenders)

    def reach(self) -> None:
        """Give the result the confirmation that the study asks for, None where there is nothing to confirm.

        Where it fails the progress is warned, and the reason noted; it is tried again whenever the study goes on.
        """
        self.result.notes = [note for note in self.result.notes if not note.startswith(FAILED)]
        stored = self.result.confirmation
        if stored and stored.splits == self._splits:
            return
        self.result.confirmation = None
        if confirming.is_due(self._splits, self._contenders):
            self._attempt()
        if self.result.confirmation != stored:
            self._store()

    @property
    def _splits(self) -> int:
        return self.prepared.spec.search.confirm

    @property
    def _contenders(self) -> list[TrialRecord]:
        stored = self._attributes.get(KEY)
        former = Confirmation.of_stored(stored) if stored else None
        trials = confirming.contenders(self.result, former=former)
        return [trial for trial in trials if trial.candidate not in self.prepared.missing]

    def _attempt(self) -> None:
        try:
            with self.training():
                self.result.confirmation = self._confirmed(self._contenders, self._splits)
        except (ReplacedError, UnansweredError):
            raise
        except Exception as error:
            self._heed(error)
            note = f"{FAILED}: {why(error)}"
            self.result.notes.append(note)
            self.progress.warn(note)

    def _store(self) -> None:
        confirmation = self.result.confirmation
        self.folder.require_turn()
        self._note(KEY, confirmation.stored() if confirmation else None)

    def _confirmed(self, trials: Sequence[TrialRecord], splits: int) -> Confirmation:
        group = Group({str(trial.number): restore.plan_of(self.prepared, trial) for trial in trials})
        task = f"confirming: the {len(trials)} best settings, again on {count_of(splits, 'fresh split')}"
        with (
            self._keeping(group, splits) as kept,
            Retrainer.of_study(self.prepared, self.progress, range(splits), FIRST_SEED) as retrainer,
        ):
            (measured,), reason = retrainer.scores([group], splits, task, first_seed=FIRST_TRAINING_SEED, kept=kept)
            ratio = confirming.ratio_of(retrainer.last)
        return confirming.confirmed(
            self.result, measured.scores, splits, ratio=ratio, reason=reason, metrics=measured.metrics
        )

    @contextmanager
    def _keeping(self, group: Group, splits: int) -> Iterator[FreshScores]:
        """Have trainings that end kept, whatever ends the block; where it is interrupted, say how many are."""
        kept = FreshScores(self.study, self.folder.require_turn, self.prepared.provenance)
        total = len(group.plans) * splits

        def done() -> int:
            return sum((name, split) in kept.known for name in group.plans for split in range(splits))

        if before := done():
            self.progress.message(f"{before:,} of {total:,} trainings that confirm settings were done before")
        self._announce(total - before)
        try:
            yield kept
        except BaseException as error:
            with suppress(LossregError, OSError):
                kept.write()
            if isinstance(error, KeyboardInterrupt):
                self.progress.message(f"{done():,} of {total:,} trainings that confirm settings are kept")
            raise
        kept.write()

    def _announce(self, trainings: int) -> None:
        """Say how long it takes, where that is long."""
        members = len(self.prepared.problem.folds) * self.prepared.spec.search.seeds
        minutes = trainings * estimate.pace(self.result.trials, members) / 60
        if minutes >= LONG:
            self.progress.message(
                f"confirming the best settings takes {trainings:,} trainings, about "
                f"{count_of(round(minutes), 'minute')} at this study's pace; a smaller search.confirm takes less, "
                "and 0 ranks by the scores of the search"
            )
