"""The search loop: an epoch is trained, and meanwhile trials are told and asked for; slots are refilled at its end."""

from __future__ import annotations

import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, NamedTuple

import optuna

from lossreg.errors import LossregError, one_line
from lossreg.registry import user_loss
from lossreg.search import demand, unfinished
from lossreg.search.active import Active, Fault
from lossreg.search.ask_tell import AskTell
from lossreg.search.checkpoints import KeepPolicy
from lossreg.search.policy import SearchPolicy
from lossreg.search.proposer import Proposer
from lossreg.search.unfinished import AHEAD, ASKED, CLOCK, PLACED, PRUNED, Unfinished
from lossreg.storage.observer import Observer, Running
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import Outcome, TrialRecord, Weights
from lossreg.storage.trials import TrialValue
from lossreg.training.interface import EpochReport
from lossreg.training.pool import Avoids, Failure, Pool, Refused, Waits

ActiveTrial = Active[optuna.Trial]
# seconds of an epoch after which observers are told that it still lasts, and again
MEANWHILE = 1.0


class Ended(NamedTuple):
    """A trial whose end is still to be written, the score that Optuna is told, and weights that are to be kept."""

    record: TrialRecord
    value: TrialValue
    weights: Weights | None


class Scheduler:
    """Runs a study's trials to the end of its budget.

    result takes in every record before the observers are told of it. seconds has training, search (what training
    waited for) and search_spent (all of the search); epochs counts those in which all active trials were trained,
    clock those of former runs too, placed the trials that have begun.
    """

    def __init__(
        self, study: optuna.Study, proposer: Proposer, pool: Pool, policy: SearchPolicy, *, result: StudyResult,
        observers: Sequence[Observer], ask_tell: AskTell | None = None,
    ) -> None:  # fmt: skip
        self.study, self.proposer, self.pool, self.policy = study, proposer, pool, policy
        self.result, self.observers = result, observers
        self.ask_tell = ask_tell or AskTell(study, proposer, policy.trials, policy.baseline, hurried=policy.is_hurried)
        self.active: list[ActiveTrial] = []
        self.waiting: deque[ActiveTrial] = deque()
        self.ended: deque[Ended] = deque()
        self.epochs = 0
        self._is_alone = not self.ask_tell.worker
        self.clock = self._until = unfinished.clock(study.get_trials(deepcopy=False)) if self._is_alone else 0
        self._again: dict[int, Unfinished] = {}
        self._is_filling = False
        self.seconds = {"training": 0.0, "search": 0.0, "search_spent": 0.0}
        self._beside = 0.0  # seconds of the search while an epoch was trained
        self._begin = 0.0
        self.placed, self._stuck, self._prunes = self.ask_tell.started, 0, policy.prune
        self._keep = KeepPolicy(policy.keep, result, policy.contenders)

    @property
    def started(self) -> int:
        """The trials that use up the budget."""
        return self.ask_tell.started

    def running(self) -> list[Running]:
        """Return the trials that are being trained, as they are now, and those that ended and are still to be told."""
        ended = [Running(record.candidate, 1, 1, record.score) for record, *_ in list(self.ended)]
        return [*ended, *(active.running for active in list(self.active))]

    def run(self) -> None:
        """Ask, train and tell until the budget is spent and every slot is empty.

        A trial whose trainer failed is trained once more elsewhere, or fails. Raises `LossregError` when
        trials that were trained together failed and nothing can go on; they are run again when the study
        is resumed. Raises `KeyboardInterrupt` when an observer is stopping.
        """
        if self.pool.slots < self.policy.members and self.ask_tell.may_ask:
            raise self._too_narrow()
        self._begin = time.perf_counter()
        with _short_switch_interval(), ThreadPoolExecutor(1, "lossreg-training") as worker:
            try:
                self._train_again(worker)
                self._fill()
                while self.active or self._waits():
                    if self.active:
                        self._epoch(worker)
                    self._fill()
            except BaseException:
                self._tell_ended()
                raise
            finally:
                self._count()
        self._tell_last()
        self._count()

    def _count(self) -> None:
        """Count all time without training as search, and the search during training too."""
        self.seconds["search"] = time.perf_counter() - self._begin - self.seconds["training"]
        self.seconds["search_spent"] = self.seconds["search"] + self._beside

    def _train_again(self, worker: Executor) -> None:
        """Train what a former run left unfinished up to where it was, each trial from the epoch in which it began."""
        later: dict[int, list[ActiveTrial]] = defaultdict(list)
        for trial, plan, before in self.ask_tell.again():
            active = Active(trial, self.policy.plans(plan), self.policy.curve(), ready=before.ready)
            self._again[trial.number] = before
            self.placed -= 1
            (later[before.placed] if before.placed >= 0 else self.waiting).append(active)
        # interrupted while slots were filled, because too many were free
        self._is_filling = any(before.ready == before.asked == self._until for before in self._again.values())
        self.clock = min(later, default=self._until)
        self._place_begun(later)
        while self.clock < self._until:
            if self.active:
                self._epoch(worker)
            else:
                self.clock += 1
            self._place_begun(later)
        for active in self.waiting:
            if self._again[active.subject.number].asked < 0:
                self._is_filling = self._is_due()
                active.ready = self.clock + (not self._is_filling)

    def _place_begun(self, later: Mapping[int, Sequence[ActiveTrial]]) -> None:
        self.waiting.extendleft(active for active in later.get(self.clock, ()) if not self._place(active))

    def _epoch(self, worker: Executor) -> None:
        """Train one epoch of all active trials beside the search, and take in its reports."""
        epoch = worker.submit(_timed, self.pool.advance)
        begin = time.perf_counter()
        try:
            self._search_meanwhile()
        finally:
            spent = time.perf_counter() - begin
            self._wait(epoch)
            (reports, failures), seconds = _result_of(epoch)
        self.seconds["training"] += seconds
        self._beside += min(spent, seconds)
        self._take(reports, failures)
        self.ask_tell.note_training(bool(reports))
        self.epochs += 1
        self.clock += 1
        self._take_news()
        for observer in self.observers:
            observer.epoch(len(self.active), self.epochs)
        if self._is_stopping():
            raise KeyboardInterrupt

    def _wait(self, epoch: Future[Any]) -> None:
        """Wait for the end of an epoch, and tell that it lasts."""
        while wait([epoch], MEANWHILE).not_done:
            for observer in self.observers:
                observer.meanwhile()

    def _waits(self) -> bool:
        """Wait for what other workers may leave; return whether there is something to train."""
        self._tell_ended()
        is_left = not self._is_late() and self.ask_tell.wait(self._is_stopping)
        self._take_news()
        return is_left

    def _is_stopping(self) -> bool:
        return any(observer.stopping() for observer in self.observers)

    def _take_news(self) -> None:
        """Take in the trials that other workers have ended."""
        for record in self.ask_tell.news():
            self._keep.add(record)
            self.result.add(record)
            for observer in self.observers:
                observer.elsewhere(record, self.result)

    def _tell_last(self) -> None:
        """Tell the ends of the last epoch; queue again what was asked for and came too late."""
        self._tell_ended()
        if self.waiting:
            self.waiting.clear()
            self.ask_tell.give_back()

    # ---------------------------------------------------------------- while an epoch is trained

    def _search_meanwhile(self) -> None:
        """Tell the ends of the epoch before, then ask for what this one will leave room for."""
        self._tell_ended()
        if self.clock < self._until:
            return
        for _ in range(self._wanted()):
            if not (self._may_ask() and self._is_ahead() and self._ask(ahead=True)):
                break

    def _wanted(self) -> int:
        """Return the number of trials to ask for in this epoch."""
        if self._stuck >= demand.MOST_WAITING:
            return 0
        left, longest = [active.left for active in self.active], max(active.plan.epochs for active in self.active)
        return demand.ahead_of_time(left, longest, self._width, len(self.waiting) - self._stuck)

    def _is_ahead(self) -> bool:
        """Return whether little is lost by asking before the active trials have ended."""
        is_known = len(self.active) > 1 and self.ask_tell.known >= demand.KNOWN_ENOUGH * len(self.active)
        return is_known or not self.ask_tell.learns

    def _tell_ended(self) -> None:
        """Write the ends of trials; one whose end cannot be written stays, to be written when this is called again.

        Raises what kept weights from being written, once all ends are: a trial without weights can be trained again.
        """
        failures = []
        has_told = bool(self.ended)
        while self.ended:
            record, value, weights = self.ended[0]
            # a kill in between leaves weights without a trial, which are ignored
            if failure := self._save(record, weights):
                failures.append(failure)
            is_told = self.ask_tell.tell(record, value)
            self.ended.popleft()
            if is_told:
                self.result.add(record)
                for observer in self.observers:
                    observer.trial(record, self.result)
        if has_told:
            self._count()
            for observer in self.observers:
                observer.written()
        if failures:
            raise failures[0]
        if not self.active:
            self.ask_tell.note_training(False)

    def _save(self, record: TrialRecord, weights: Weights | None) -> Exception | None:
        """Have weights kept; return what kept them from being written."""
        try:
            if weights is not None:
                for observer in self.observers:
                    observer.checkpoint(record, weights)
        except Exception as error:
            return error
        return None

    # ---------------------------------------------------------------- between two epochs

    def _fill(self) -> None:
        """Put waiting trials into free slots, then newly asked ones where many slots, or all, would be idle."""
        self._place_waiting()
        if any(active.ready > self.clock for active in self.waiting):
            return  # the run that was cut off had filled the slots
        is_due, self._is_filling = self._is_due(), False
        if is_due:
            while self._free > 0 and len(self.waiting) < demand.MOST_WAITING and self._may_ask():
                self._tell_ended()
                if not self._ask(ahead=False):
                    break
                self._place_waiting()
        if self.waiting and not self.active and not self._is_late():
            raise self._too_narrow()

    def _is_due(self) -> bool:
        """Return whether free slots are to be filled at once, or are being filled."""
        return self._is_filling or demand.is_due(len(self.active), self._width, is_ahead=self._is_ahead())

    def _too_narrow(self) -> LossregError:
        return LossregError(f"no trainer has {self.policy.members} slots, which a trial of this study takes at once")

    def _ask(self, *, ahead: bool) -> bool:
        """Add a trial to those that wait, unless other workers have taken all; ahead: before the epoch ends."""
        begin = time.perf_counter()
        asked = self.ask_tell.try_ask()
        if asked is None:
            return False
        trial, plan = asked
        if self._is_alone:
            trial.set_user_attr(CLOCK, {ASKED: self.clock, AHEAD: ahead})
        plans, asking = self.policy.plans(plan), time.perf_counter() - begin
        self.waiting.append(Active(trial, plans, self.policy.curve(), ready=self.clock + ahead, asking=asking))
        return True

    def _may_ask(self) -> bool:
        """Return whether the budget allows one more trial; every loss gets its first, however late it is."""
        return self.ask_tell.may_ask and not self._is_over(self.started)

    def _is_late(self) -> bool:
        """Return whether the trials that wait must not start any more."""
        return self._is_over(self.placed)

    def _is_over(self, trials: int) -> bool:
        return time.monotonic() >= self.policy.deadline and trials >= len(self.proposer.names)

    @property
    def _width(self) -> int:
        """The number of trials that fit into the slots."""
        return max(1, self.pool.slots // self.policy.members)

    @property
    def _free(self) -> int:
        return self._width - len(self.active)

    def _place_waiting(self) -> None:
        """Put waiting trials into free slots, lowest first; trials that need other slots are `_stuck`."""
        self.waiting = deque(
            active for active in self.waiting if active.ready > self.clock or self._is_late() or not self._place(active)
        )
        self._stuck = sum(active.ready <= self.clock for active in self.waiting) if self._free > 0 else 0

    def _place(self, active: ActiveTrial) -> bool:
        """Open all members of a trial, or none; return whether it waits no longer."""
        placed = active.place(self.pool)
        if isinstance(placed, Waits):
            return False
        if isinstance(placed, Refused):
            self._end(active, Outcome.FAILED, placed.reason)
            return True
        self.active.append(active)
        self.placed += 1
        self._mark(active, PLACED, self.clock)
        if fault := active.open(self.pool):
            self._fail(active, fault)
        return True

    # ---------------------------------------------------------------- after an epoch

    def _take(self, reports: Mapping[int, EpochReport], failures: Mapping[int, Failure]) -> None:
        for active in sorted(self.active, key=lambda active: active.slots[0]):
            fault = active.take(reports, failures)
            if fault is None:
                self._advance(active)
            elif fault.avoids is not None:
                self._retry(active, fault.avoids)
            else:
                self._fail(active, fault)

    def _advance(self, active: ActiveTrial) -> None:
        outcome = active.outcome
        if outcome is None and self._prunes and self._is_pruned(active):
            outcome = Outcome.PRUNED
        if self._is_kept(active, outcome):
            active.weights = self.pool.weights(active.slots[0])
        if outcome:
            self._end(active, outcome, self._reason(active.divergence) if outcome == Outcome.DIVERGED else "")

    def _is_pruned(self, active: ActiveTrial) -> bool:
        """Ask the pruner; one that fails is not asked again."""
        curve, before = active.curve, self._again.get(active.subject.number, Unfinished(active.subject.number))
        # as was decided in the run that was cut off
        if before.pruned >= 0 or curve.epoch < before.reported:
            return curve.epoch == before.pruned
        if curve.epoch == before.reported and self.clock < self._until:
            return False
        try:
            if curve.epoch > before.reported:
                active.subject.report(curve.curves["val_score"][-1], curve.epoch)
            is_pruned = curve.epoch > active.plan.epochs / 3 and active.subject.should_prune()
        except OSError:
            raise  # the journal cannot be written
        except Exception as error:
            self._prunes = False
            for observer in self.observers:
                observer.warn(f"the pruner failed, and nothing more is pruned: {one_line(error)}")
            return False
        if is_pruned:
            self._mark(active, PRUNED, curve.epoch)
        return is_pruned

    def _mark(self, active: ActiveTrial, name: str, value: int) -> None:
        marks = active.subject.user_attrs.get(CLOCK, {})
        if self._is_alone and marks.get(name) != value:
            active.subject.set_user_attr(CLOCK, {**marks, name: value})

    def _fail(self, active: ActiveTrial, fault: Fault) -> None:
        self._end(active, Outcome.FAILED, self._reason(fault))

    def _reason(self, fault: Fault) -> str:
        return fault.reason + self.policy.member(fault.plan)

    def _is_kept(self, active: ActiveTrial, outcome: Outcome | None) -> bool:
        """Return whether the weights of the epoch just trained may turn out to be those that are kept."""
        curve = active.curve
        is_counted = self.policy.may_count(curve, outcome)
        return is_counted and self._keep.wants(active.plan.candidate, curve.score, active.subject.number, curve.also)

    def _retry(self, active: ActiveTrial, avoids: Avoids) -> None:
        """Let a trial that failed among others wait for another trainer."""
        self._close(active)
        self.placed -= 1
        self.waiting.append(active.again(self.policy.curve(), avoids))

    def _close(self, active: ActiveTrial) -> None:
        active.close(self.pool)
        if active in self.active:
            self.active.remove(active)

    def _end(self, active: ActiveTrial, outcome: Outcome, reason: str = "") -> None:
        """Free the slots, and note what is to be told."""
        self._close(active)
        record = self._record(active, outcome, reason)
        is_kept = self._keep.wants_trial(record)
        self._keep.add(record)
        self.ended.append(Ended(record, self.policy.optuna_value(record), active.weights if is_kept else None))

    def _record(self, active: ActiveTrial, outcome: Outcome, reason: str) -> TrialRecord:
        plan, curve, proposer = active.plan, active.curve, self.proposer
        spec, origin = proposer.candidates[plan.candidate].spec, proposer.candidates[plan.candidate].entry
        return TrialRecord.of_training(
            outcome,
            number=active.subject.number,
            candidate=plan.candidate,
            loss=spec.name,
            params=active.subject.params,
            loss_params=plan.params,
            learning_rate=plan.learning_rate,
            curves=curve.curves,
            chosen=curve.chosen,
            scores=curve.scores,
            predicts_only=curve.predicts_only,
            default_score=curve.default_score,
            decision=curve.decision,
            metrics=curve.also,
            started=active.started,
            asking=active.asking,
            worker=self.ask_tell.worker,
            trainer=active.trainer,
            reason=reason,
            refusal=active.refusal,
            distribution=origin.distribution,
            version=origin.version,
            constants=proposer.row_constants(plan.candidate),
            weights=dict(proposer.weights),
            expression="" if origin.distribution else user_loss.expression(spec),
        )


@contextmanager
def _short_switch_interval() -> Iterator[None]:
    """Let the thread that trains have the interpreter within half a millisecond, a step's time, instead of five."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, 0.0005))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` returns, and the seconds that it took."""
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


def _result_of(epoch: Future[Any]) -> Any:
    try:
        return epoch.result()
    except Exception as error:
        raise LossregError(f"training failed: {one_line(error)}") from error
