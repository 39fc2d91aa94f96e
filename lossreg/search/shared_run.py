"""`SharedRunState`: a study as one of several workers runs it; one of them finishes it when nothing runs any more.

The first of those still there does, and notes it. A second one waits until that is noted, to do it if the first dies or
leaves before. `SharedVerdictState` is that of `lossreg verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna

from lossreg.errors import LossregError, ReplacedError, count_of
from lossreg.search import attributes, completion, history
from lossreg.search.ask_tell import AskTell
from lossreg.search.policy import SearchPolicy
from lossreg.search.resumption import Changes
from lossreg.search.run_state import RunState
from lossreg.search.sampler import enqueue_start
from lossreg.search.shared_ask_tell import SharedAskTell
from lossreg.search.shared_tracking import SharedTracking
from lossreg.storage import internals
from lossreg.storage.shared_study import SharedStudy
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE, stands
from lossreg.storage.workers import TRAINS, WAITS, Worker, Workers
from lossreg.terminal.caller import words
from lossreg.tracking import Tracker, Untracked

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.search.run import Run


REPLACED = "this worker gave no sign of life for a while and counted as dead: others finish the study"
UNCONFIRMED = "these are scores of the search: the worker that finishes the study confirms the best settings"
VERDICT_REPLACED = "this command gave no sign of life for a while and counted as dead: the result is that of others"


@dataclass(frozen=True, slots=True)
class TurnState(RunState):
    """A run that finishes a study as one of several processes, and writes nothing once others have taken that over."""

    @classmethod
    def _queue(cls, prepared: Prepared, study: optuna.Study) -> int:
        """Queue nothing: the fair start is there, and what other workers left is found while this one asks."""
        return 0

    def _finish(self) -> None:
        try:
            RunState._finish(self)
        except ReplacedError:
            # the parent run is theirs
            key, run_id = self.study.user_attrs[ATTRIBUTE]["id"], self.result.tracking.get("run_id")
            self.tracker.start(self.result, run_id, key, is_alone=False)
            raise

    def note_parent(self) -> bool:
        """Leave it to the founder."""
        return True

    def note_notes(self) -> None:
        """Do nothing: the worker that finishes the study stores its notes."""

    def note_seconds(self) -> None:
        """Do nothing: the worker that finishes the study stores its seconds."""

    def _write(self, summary: Mapping[str, Any]) -> None:
        with suppress(ReplacedError):
            RunState._write(self, summary)

    def _take_in(self) -> None:
        """Take what all workers did into the result."""
        internals.storage(self.study).refresh()
        result, now = self.result, history.result(self.study, self.run.folder.path)
        result.trials[:], result.tracking = now.trials, now.tracking
        result.verdict, result.confirmation = now.verdict, now.confirmation
        result.notes, result.failure = list(dict.fromkeys((*now.notes, *result.notes))), now.failure

    def _left(self) -> StudyResult:
        """Return the result of a study that another worker has finished, or will; what is not confirmed yet is said."""
        if self._is_unconfirmed:
            self.run.progress.message(
                f"{UNCONFIRMED}; {words('`lossreg results STUDY`', '`lossreg.results`')} shows the confirmed ones"
            )
        self.run.progress.trained(self.result)
        self.run.progress.end(self.result)
        self._require_score()
        return self.result

    @property
    def _is_unconfirmed(self) -> bool:
        """True where the study is not finished, and its best settings are still to be confirmed."""
        note = self.study.user_attrs.get(history.FINISHED) or {}
        is_finished = note.get("trials") == len(self.result.trials)
        return not is_finished and not completion.is_confirmed(self.prepared.spec, self.result)

    def _note_end(self) -> None:
        """Note that this worker finished the study, and whether it has its model.

        Raises `ReplacedError` where others took it over meanwhile.
        """
        top, folder = self.result.recommended, self.run.folder
        note: dict[str, Any] = {"worker": _workers(self.run).name, "trials": len(self.result.trials)}
        note |= {"model": top is not None and folder.best.is_loadable(top.number), "folder": completion.place(folder)}
        self.study.set_user_attr(history.FINISHED, note)


class SharedRunState(TurnState):
    """The run of one worker: it trains what it gets, and finishes the study if it is the first that is left."""

    @classmethod
    def begin_study(
        cls, run: Run, prepared: Prepared, study: optuna.Study, initial: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> None:
        """Queue the fair start and give a new study its attributes, as the first worker; others wait for them.

        Raises `InputError` where the study that another worker began meanwhile is not the one that was prepared.
        """
        workers = _workers(run)
        alone = "waiting for {}, which has the study for itself (`lossreg sync` or `verdict`)"
        _wait(run, lambda: workers.exclusive[:1], alone)
        while True:
            _wait(run, lambda: _beginner(workers, study), "waiting for {}, which begins the study")
            is_begun = ATTRIBUTE in study.user_attrs
            if is_begun and not stored:
                Changes.of_file(run.spec, study).of_prepared(prepared)
            if workers.is_first or not is_begun:
                enqueue_start(study, prepared.start, prepared.trials, stands)
            if is_begun:
                return
            with suppress(ReplacedError):
                study.set_user_attr(ATTRIBUTE, initial)
                return

    @classmethod
    def _ask_tell(cls, run: Run, prepared: Prepared, study: optuna.Study, policy: SearchPolicy) -> AskTell:
        return SharedAskTell(
            study, prepared.proposer, policy.trials, policy.baseline, _workers(run), hurried=policy.is_hurried,
            constraints=prepared.constraints, message=run.progress.message,
        )  # fmt: skip

    @classmethod
    def _recorder(
        cls, run: Run, prepared: Prepared, study: optuna.Study, tracker: Tracker | Untracked
    ) -> SharedTracking:
        workers = _workers(run)
        is_founder = workers.is_first
        is_over = attributes.is_finished(study, prepared.trials, run.folder.counts)
        return SharedTracking(
            study, tracker, is_founder=is_founder, reopens=is_founder and not is_over, take_turn=workers.take_turn
        )

    def execute(self) -> StudyResult:
        """Run the trials that this worker gets; finish the study if no other one will."""
        # as it was before this worker joined: another one may have finished the study since
        former = _shared(self.run).noted.get(history.FINISHED)
        with self._left_to_others():
            self._train()
        self.tracker.flush()
        while self._finishes(former):
            self._take_in()
            with suppress(ReplacedError):
                return self._finished()
            self.run.progress.message(REPLACED)
        self._take_in()
        return self._left()

    @contextmanager
    def _left_to_others(self) -> Iterator[None]:
        """Give trials back when the block is interrupted, and end the parent run in MLflow as the last worker."""
        try:
            yield
        except BaseException:
            with suppress(LossregError):
                self.scheduler.ask_tell.give_back()
                self._end_as_last()
            raise

    def _end_as_last(self) -> None:
        """End the parent run of an interrupted study, if no worker is left; of two that leave together both may."""
        workers = _workers(self.run)
        workers.leave()
        workers.look()
        if not workers.others:
            key, run_id = self.study.user_attrs[ATTRIBUTE]["id"], self.result.tracking.get("run_id")
            self.tracker.start(self.result, run_id, key, history.lost(self.study))
            self._flush()

    def _finished(self) -> StudyResult:
        """Finish the study, and note it; raises `ReplacedError` where others took it over meanwhile."""
        key, run_id = self.study.user_attrs[ATTRIBUTE]["id"], self.result.tracking.get("run_id")
        self.tracker.start(self.result, run_id, key, history.lost(self.study), exact=True)
        with self._summarised() as summary:
            self._concluded(summary)
        self._note_end()
        return self.result

    def _resumed(self, done: int, total: int) -> str:
        if not (others := _workers(self.run).others):
            return RunState._resumed(self, done, total)
        at_work = f"{count_of(len(others), 'other')} at work: {_names(others)}"
        return f"{done:,} of {count_of(total, 'trial is', 'trials are')} done; {at_work}"

    def _finishes(self, former: Any) -> bool:
        """Return whether this worker finishes the study, once all others have ended their trials; former: as noted."""
        workers = _workers(self.run)
        workers.turn_to(WAITS)
        self.scheduler.ask_tell.refresh()
        since = workers.beats()
        with self._left_to_others():
            _wait(self.run, lambda: [] if self._parting(former, since) else self._awaited(), self._purpose())
        parting = self._parting(former, since)
        self.run.progress.message(parting or "this worker finishes the study")
        return not parting

    def _parting(self, former: Any, since: Mapping[int, int]) -> str:
        """Return why this worker need not stay, empty where it must.

        Another one has finished the study, or two that came before this one are certainly alive to do so, or one has
        time left to train what remains.
        """
        note, workers = self.study.user_attrs.get(history.FINISHED), _workers(self.run)
        if note != former and note["trials"] == len(history.records(self.study)):
            return f"worker {note['worker']} has finished the study"
        alive = [peer for peer in workers.beating(since) if peer in workers.peers]
        at_work = [peer for peer in alive if peer.task == TRAINS]
        if at_work and not attributes.is_finished(self.study, self.prepared.trials, self.run.folder.counts):
            return f"the time of this worker is over; {_names(at_work)} go on"
        before = [peer for peer in alive if peer in workers.before]
        return f"worker {before[0].name} finishes the study" if len(before) > 1 else ""

    def _awaited(self) -> list[Worker]:
        """Return who trains, or is to finish the study before this one; it is this one's turn where nobody does."""
        workers = _workers(self.run)
        workers.take_turn()
        return [peer for peer in workers.peers if peer.task == TRAINS or peer in workers.before]

    def _purpose(self) -> str:
        if before := _workers(self.run).before:
            return f"worker {before[0].name} finishes the study; this one waits in case it does not"
        return "waiting for {}, then this worker finishes the study"


def _beginner(workers: Workers, study: optuna.Study) -> list[Worker]:
    """Return the worker that begins the study; it is this one's turn where there is none."""
    workers.take_turn()
    return [] if ATTRIBUTE in study.user_attrs else workers.before[:1]


def _wait(run: Run, awaited: Callable[[], list[Worker]], line: str) -> None:
    """Wait until no worker is awaited any more; the line, with their names, is said at the second look.

    Raises `KeyboardInterrupt` when the study is to stop.
    """
    for look, others in enumerate(_workers(run).watch(awaited)):
        if look == 1:
            run.progress.message(line.format(_names(others)))
        if run.progress.stopping():
            raise KeyboardInterrupt


class SharedVerdictState(TurnState):
    """The verdict on the trials that have ended; those that were cut off are left to workers."""

    def _train(self) -> None:
        """Train nothing."""

    def execute(self) -> StudyResult:
        """Reach the verdict; this process has the model then. Return the result of others if they took that over."""
        with suppress(ReplacedError):
            RunState.execute(self)
            self._note_end()
            return self.result
        self.run.progress.message(VERDICT_REPLACED)
        self._take_in()
        return self._left()


def _names(workers: Sequence[Worker]) -> str:
    return ", ".join(worker.name for worker in workers)


def _workers(run: Run) -> Workers:
    return _shared(run).workers


def _shared(run: Run) -> SharedStudy:
    if not isinstance(run.folder, SharedStudy):
        raise LossregError("this study has no workers")
    return run.folder
