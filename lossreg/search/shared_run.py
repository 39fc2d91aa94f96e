"""`SharedRunState`: a study as one of several workers runs it; one of them finishes it when nothing runs any more.

`SharedVerdictState` is that of `lossreg verdict`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna

from lossreg.errors import LossregError
from lossreg.search import attributes, history
from lossreg.search.ask_tell import AskTell
from lossreg.search.policy import SearchPolicy
from lossreg.search.resumption import Changes
from lossreg.search.run_state import RunState
from lossreg.search.sampler import enqueue_start
from lossreg.search.shared_ask_tell import SharedAskTell
from lossreg.search.shared_tracking import SharedTracking
from lossreg.storage.records import StudyResult
from lossreg.storage.shared_study import POLL, SharedStudy
from lossreg.storage.trials import ATTRIBUTE, stands
from lossreg.storage.workers import Worker, Workers
from lossreg.tracking import Tracker, Untracked

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.search.run import Run


@dataclass(frozen=True, slots=True)
class SharedRunState(RunState):
    """The run of one worker: it trains what it gets, and finishes the study if it is the first that is left."""

    @classmethod
    def found(
        cls, run: Run, prepared: Prepared, study: optuna.Study, initial: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> None:
        """Queue the fair start and give a new study its attributes, as the first worker; others wait for them.

        Raises `InputError` where the study that another worker began meanwhile is not the one that was prepared.
        """
        workers = _workers(run)
        while (about := study.user_attrs.get(ATTRIBUTE)) is None and not workers.is_first:
            time.sleep(POLL)
            workers.look()
        if about is None or workers.is_first:
            enqueue_start(study, prepared.start, prepared.trials, stands)
        if about is None:
            study.set_user_attr(ATTRIBUTE, initial)
        elif not stored:
            Changes.of_file(run.spec, study).of_prepared(prepared)

    @classmethod
    def _queue(cls, prepared: Prepared, study: optuna.Study) -> int:
        """Queue nothing: the fair start is there, and what other workers left is found while this one asks."""
        return 0

    @classmethod
    def _ask_tell(cls, run: Run, prepared: Prepared, study: optuna.Study, policy: SearchPolicy) -> AskTell:
        return SharedAskTell(
            study, prepared.proposer, policy.trials, policy.baseline, _workers(run), hurried=policy.is_hurried,
            message=run.progress.message,
        )  # fmt: skip

    @classmethod
    def _recorder(cls, run: Run, study: optuna.Study, tracker: Tracker | Untracked) -> SharedTracking:
        return SharedTracking(study, tracker, is_founder=_workers(run).is_first)

    def execute(self) -> StudyResult:
        """Run the trials that this worker gets; finish the study if no other one will."""
        try:
            self._train()
        except BaseException:
            with suppress(LossregError):
                self.scheduler.ask_tell.give_back()
            raise
        self.tracker.flush()
        if not self._finishes():
            self.run.progress.trained(self.result)
            self.run.progress.end(self.result)
            self._require_score()
            return self.result
        self.result.trials[:] = history.records(self.study)
        key, parent = self.study.user_attrs[ATTRIBUTE]["id"], self.study.user_attrs.get(history.PARENT, {})
        self.tracker.start(self.result, parent.get("run_id"), key, history.lost(self.study), exact=True)
        with self._summarised() as summary:
            return self._concluded(summary)

    def _resumed(self, done: int, total: int) -> str:
        if not (others := _workers(self.run).others):
            return RunState._resumed(self, done, total)
        return (
            f"{done} of {total} trials are done; {len(others)} other{'s' * (len(others) > 1)} at work: {_names(others)}"
        )

    def _finishes(self) -> bool:
        """Return whether this worker finishes the study, once no other one is left."""
        workers, progress, is_said = _workers(self.run), self.run.progress, False
        while others := workers.others:
            if not workers.is_first:
                progress.message(f"worker {others[0].name} finishes the study")
                return False
            if not attributes.is_finished(self.study, self.prepared.trials, self.run.folder.counts):
                progress.message(f"the time of this worker is over; {_names(others)} go on")
                return False
            if not is_said:
                progress.message(f"waiting for {_names(others)} to leave, then this worker finishes the study")
            if progress.stopping():
                raise KeyboardInterrupt
            is_said = True
            time.sleep(POLL)
            workers.look()
        return True


class SharedVerdictState(RunState):
    """The verdict on the trials that have ended; those that were cut off are left to workers."""

    @classmethod
    def _queue(cls, prepared: Prepared, study: optuna.Study) -> int:
        """Queue nothing."""
        return 0

    def _train(self) -> None:
        """Train nothing."""


def _names(workers: Sequence[Worker]) -> str:
    return ", ".join(worker.name for worker in workers)


def _workers(run: Run) -> Workers:
    if not isinstance(run.folder, SharedStudy):
        raise LossregError("this study has no workers")
    return run.folder.workers
