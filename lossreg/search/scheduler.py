"""The search loop: an epoch is trained, and meanwhile trials are told and asked for; slots are refilled at its end."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from lossreg.errors import LossregError, one_line
from lossreg.registry import user_loss
from lossreg.search.ask_tell import AskTell
from lossreg.search.learning_curve import LearningCurve, spread
from lossreg.search.policy import SearchPolicy
from lossreg.search.proposer import Proposer
from lossreg.storage.records import TrialRecord, Weights, Worth, finite, worth
from lossreg.storage.trials import ATTRIBUTE
from lossreg.training.interface import EpochReport, Plan
from lossreg.training.pool import NOTHING, Avoids, Failure, Pool, Refused, Waits

MOST_WAITING = 8
# how many ended trials the sampler should know for each one under way before it is asked ahead of their end
KNOWN_ENOUGH = 2
NON_FINITE = "training went non-finite"
OUTSIDE = "the predictions lie outside the metric's domain"


class Listener(Protocol):
    """Who is told how the search goes, mostly while the next epoch is trained."""

    def keep(self, record: TrialRecord, weights: Weights) -> None:
        """A trial whose weights are wanted is about to end with these, of its first member at the scored epoch."""
        ...

    def trial(self, record: TrialRecord) -> None:
        """A trial ended."""
        ...

    def epoch(self, active: int) -> None:
        """All active trials were trained for one more epoch."""
        ...

    def warn(self, text: str) -> None:
        """Something to worry about."""
        ...

    def stopping(self) -> bool:
        """Asked after every epoch; true ends the loop as Ctrl-C does."""
        ...


@dataclass(slots=True, eq=False)
class Active:
    """A trial, its members' plans and the slots that they have."""

    trial: optuna.Trial
    plans: Sequence[Plan]
    course: LearningCurve
    slots: Sequence[int] = ()
    trainer: str = ""
    refusal: str = ""
    started: float = field(default_factory=time.time)
    weights: Weights | None = None
    avoids: Avoids = NOTHING

    @property
    def plan(self) -> Plan:
        """The first member's plan."""
        return self.plans[0]

    @property
    def left(self) -> int:
        """Epochs to its end."""
        return self.plan.epochs - self.course.epoch


class Scheduler:
    """Runs a study's trials to the end of its budget."""

    def __init__(
        self, study: optuna.Study, proposer: Proposer, pool: Pool, rules: SearchPolicy, listener: Listener
    ) -> None:
        self.study, self.proposer, self.pool, self.rules, self.listener = study, proposer, pool, rules, listener
        hurried = math.isfinite(rules.deadline)
        self.desk = AskTell(study, proposer, rules.trials, rules.baseline, hurried=hurried)
        self.active: list[Active] = []
        self.waiting: deque[Active] = deque()
        self.ended: deque[tuple[TrialRecord, float | None, Weights | None]] = deque()
        self.seconds = {"training": 0.0, "search": 0.0, "search_spent": 0.0}
        self._beside = 0.0
        self._seated, self._stuck, self._prunes = self.desk.started, 0, rules.prune
        scored = [trial for trial in study.get_trials(deepcopy=False) if _is_scored(trial)]
        self._best: dict[str, Worth] = {}
        for trial in scored:
            candidate = trial.params["loss"]
            self._improve(candidate, self._worth(candidate, trial.value, trial.number))

    @property
    def started(self) -> int:
        """The trials that use up the budget."""
        return self.desk.started

    def run(self) -> None:
        """Ask, train and tell until the budget is spent and every slot is empty.

        A trial whose trainer failed is trained once more elsewhere, or fails. Raises `LossregError` when
        trials that were trained together failed and nothing can go on; they are run again when the study
        is resumed. Raises `KeyboardInterrupt` when the listener is stopping.
        """
        if self.pool.slots < self.rules.members and self.desk.left > 0:
            raise self._too_narrow()
        begin = time.perf_counter()
        with _sharing(), ThreadPoolExecutor(1, "lossreg-training") as worker:
            try:
                self._seat()
                while self.active:
                    self._epoch(worker)
                    self._seat()
            except BaseException:
                self._tell_ended()
                raise
            finally:
                self._count(begin)
        self._settle()
        self._count(begin)

    def _count(self, begin: float) -> None:
        """Training waited whenever no epoch was trained; the rest of the search went on beside it."""
        self.seconds["search"] = time.perf_counter() - begin - self.seconds["training"]
        self.seconds["search_spent"] = self.seconds["search"] + self._beside

    def _epoch(self, worker: Executor) -> None:
        """Train one epoch of all active trials beside the search, and see what it brought."""
        epoch = worker.submit(_timed, self.pool.advance)
        begin = time.perf_counter()
        try:
            self._meanwhile()
        finally:
            spent = time.perf_counter() - begin
            (reports, failures), seconds = self._outcome(epoch)
        self.seconds["training"] += seconds
        self._beside += min(spent, seconds)
        self._take(reports, failures)
        self.listener.epoch(len(self.active))
        if self.listener.stopping():
            raise KeyboardInterrupt

    def _settle(self) -> None:
        """Tell what ended last; what was asked for and came too late is queued again."""
        self._tell_ended()
        if self.waiting:
            self.waiting.clear()
            self.desk.give_back()

    # ---------------------------------------------------------------- while an epoch is trained

    def _meanwhile(self) -> None:
        """Tell what ended in the epoch before, then ask for what this one will leave room for."""
        self._tell_ended()
        for _ in range(self._wanted()):
            if not (self._may_ask() and self._is_ahead()):
                break
            self.waiting.append(self._ask())

    def _wanted(self) -> int:
        """How many trials to ask for now, as late as may be with not many in any one epoch.

        With `rate` asks an epoch, the i-th trial to end, in `left` epochs, has its successor in time if
        i + 1 - rate (left - 1) are ready by the end of this one.
        """
        if self._stuck >= MOST_WAITING:
            return 0
        free, rate = self._free(), -(-self._width // max(active.left + active.course.epoch for active in self.active))
        lefts = sorted(active.left for active in self.active)
        ready = max(free + i + 1 - rate * (left - 1) for i, left in enumerate(lefts))
        return max(ready, free) - (len(self.waiting) - self._stuck)

    def _is_ahead(self) -> bool:
        """Whether little is lost by asking before the trials under way have ended."""
        known = len(self.active) > 1 and self.desk.known >= KNOWN_ENOUGH * len(self.active)
        return known or not self.desk.learns

    def _tell_ended(self) -> None:
        """Write the ends of trials, in an order in which a kill loses nothing: weights without a trial are ignored."""
        while self.ended:
            record, told, weights = self.ended.popleft()
            if weights is not None:
                self.listener.keep(record, weights)
            self.desk.tell(record, told)
            self.listener.trial(record)

    # ---------------------------------------------------------------- between two epochs

    def _seat(self) -> None:
        """Put waiting trials into free slots, then newly asked ones where many slots, or all, would be idle."""
        self._place_waiting()
        now = self._cannot_wait()
        while now and self._free() > 0 and len(self.waiting) < MOST_WAITING and self._may_ask():
            self._tell_ended()
            self.waiting.append(self._ask())
            self._place_waiting()
        if self.waiting and not self.active and not self._is_late():
            raise self._too_narrow()

    def _too_narrow(self) -> LossregError:
        return LossregError(f"no trainer has {self.rules.members} slots, which a trial of this study takes at once")

    def _cannot_wait(self) -> bool:
        """Whether free slots should not stay empty for an epoch: too many, or nothing is gained by it."""
        return not self.active or not self._is_ahead() or 4 * self._free() > self._width

    def _ask(self) -> Active:
        trial, plan = self.desk.ask()
        return Active(trial, self.rules.plans(plan), self._course())

    def _course(self) -> LearningCurve:
        return LearningCurve(self.rules.sign, best=self.rules.score_epoch == "best", patience=self.rules.patience)

    def _may_ask(self) -> bool:
        """Whether the budget allows one more trial; every loss gets its first, however late it is."""
        late = time.monotonic() >= self.rules.deadline and self.started >= len(self.proposer.names)
        return self.started < self.rules.trials and not late

    def _is_late(self) -> bool:
        """Whether the trials that wait must not start any more."""
        return time.monotonic() >= self.rules.deadline and self._seated >= len(self.proposer.names)

    @property
    def _width(self) -> int:
        """How many trials may be under way at a time."""
        return max(1, self.pool.slots // self.rules.members)

    def _free(self) -> int:
        return self.pool.slots // self.rules.members - len(self.active)

    def _place_waiting(self) -> None:
        """Put waiting trials into free slots, lowest first; those that want others than are free are `_stuck`."""
        self.waiting = deque(active for active in self.waiting if self._is_late() or not self._place(active))
        self._stuck = len(self.waiting) if self._free() > 0 else 0

    def _place(self, active: Active) -> bool:
        """Open all members of a trial, or none; whether it waits no longer."""
        try:
            placed = self.pool.place(active.plan, len(active.plans), active.avoids)
        except Exception as error:  # of a model that cannot be built
            placed = Refused(one_line(error))
        if isinstance(placed, Waits):
            return False
        if isinstance(placed, Refused):
            self._end(active, "failed", placed.reason)
            return True
        active.slots, active.trainer, active.refusal = placed.slots, placed.trainer, placed.refusal
        active.started = time.time()
        self.active.append(active)
        self._seated += 1
        self._open(active)
        return True

    def _open(self, active: Active) -> None:
        """Begin to train all members of a trial; it fails if one of them cannot begin."""
        for slot, plan in zip(active.slots, active.plans, strict=True):
            try:
                self.pool.open(slot, plan)
            except Exception as error:
                self._end(active, "failed", one_line(error) + self.rules.member(plan))
                return

    # ---------------------------------------------------------------- what an epoch brought

    def _outcome(self, epoch: Future[Any]) -> Any:
        try:
            return epoch.result()
        except Exception as error:
            raise LossregError(f"training failed: {one_line(error)}") from error

    def _take(self, reports: Mapping[int, EpochReport], failures: Mapping[int, Failure]) -> None:
        for active in sorted(self.active, key=lambda active: active.slots[0]):
            failed = [(failures[slot], plan) for slot, plan in zip(active.slots, active.plans, strict=True)
                      if slot in failures]  # fmt: skip
            if not failed:
                self._advance(active, [reports[slot] for slot in active.slots])
                continue
            failure, plan = failed[0]
            if all(other.retry for other, _ in failed):
                self._again(active, failure.avoids)
            else:
                self._end(active, "failed", one_line(failure.error) + self.rules.member(plan))

    def _advance(self, active: Active, reports: Sequence[EpochReport]) -> None:
        active.course.add(reports)
        state = self._state(active)
        if self._is_kept(active, state):
            active.weights = self.pool.weights(active.slots[0])
        if state:
            self._end(active, state, self._reason(active) if state == "diverged" else "")

    def _state(self, active: Active) -> str:
        """How the trial ended, empty while it goes on."""
        course = active.course
        if course.diverged is not None:
            return "diverged"
        if not active.left or course.is_exhausted:
            return "complete" if math.isfinite(course.score) else "diverged"
        return "pruned" if self._prunes and self._is_pruned(active) else ""

    def _is_pruned(self, active: Active) -> bool:
        """What the pruner says; one that fails is asked no more."""
        course = active.course
        try:
            active.trial.report(course.curves["val_score"][-1], course.epoch)
            return course.epoch > active.plan.epochs / 3 and active.trial.should_prune()
        except OSError:
            raise  # the journal cannot be written
        except Exception as error:
            self._prunes = False
            self.listener.warn(f"the pruner failed, and nothing more is pruned: {one_line(error)}")
            return False

    def _reason(self, active: Active) -> str:
        course = active.course
        if course.diverged is not None:
            return NON_FINITE + self.rules.member(active.plans[course.diverged])
        worst = next((i for i, score in enumerate(course.scores) if not math.isfinite(score)), 0)
        return OUTSIDE + self.rules.member(active.plans[worst])

    def _is_kept(self, active: Active, state: str) -> bool:
        """Whether the weights of the epoch just trained may turn out wanted."""
        course, best = active.course, self.rules.score_epoch == "best"
        if course.diverged is not None or not course.is_chosen or not (best or state == "complete"):
            return False
        return self.rules.keep == "all" or self._is_better(active.plan.candidate, course.score, active.trial.number)

    def _again(self, active: Active, avoids: Avoids) -> None:
        """Let a trial that failed among others wait for another trainer."""
        self._close(active)
        self._seated -= 1
        self.waiting.append(replace(active, slots=(), course=self._course(), weights=None, avoids=avoids))

    def _close(self, active: Active) -> None:
        for slot in active.slots:
            self.pool.close(slot)
        if active in self.active:
            self.active.remove(active)

    def _end(self, active: Active, state: str, reason: str = "") -> None:
        """Free the slots, and note what is to be told."""
        self._close(active)
        record = self._record(active, state, reason)
        weights, told = None, self._worst() if state == "diverged" else record.score
        if record.score is not None and active.weights is not None:
            if self.rules.keep == "all" or self._is_better(record.candidate, record.score, record.number):
                weights = active.weights
            self._improve(record.candidate, self._worth(record.candidate, record.score, record.number))
        self.ended.append((record, told, weights))

    # ---------------------------------------------------------------- scores

    def _key(self, candidate: str) -> str:
        """Among which trials one must be the best for its weights to be kept."""
        return "" if self.rules.keep == "best" else candidate

    def _is_better(self, candidate: str, score: float, number: int) -> bool:
        return self._worth(candidate, score, number) > self._best.get(self._key(candidate), (-math.inf, False, 0))

    def _improve(self, candidate: str, reached: Worth) -> None:
        key = self._key(candidate)
        self._best[key] = max(self._best.get(key, reached), reached)

    def _worth(self, candidate: str, score: float, number: int) -> Worth:
        """The order of `StudyResult.best`, so that the weights that are kept are those of its trial."""
        return worth(score, number, sign=self.rules.sign, baseline=candidate == self.rules.baseline)

    def _worst(self) -> float:
        """What a diverged trial is told, so that the sampler learns: NaN would be ignored."""
        worst = self.rules.metric.worst
        return worst if worst is not None else -self.rules.sign * math.inf

    def _record(self, active: Active, state: str, reason: str) -> TrialRecord:
        plan, course, ended = active.plan, active.course, time.time()
        distribution, version = self.rules.provenance.get(plan.candidate, ("", ""))
        done = state == "complete"
        scores = course.scores if done and len(active.plans) > 1 else []
        return TrialRecord(
            number=active.trial.number,
            state=state,
            candidate=plan.candidate,
            loss=self.proposer.candidates[plan.candidate].spec.name,
            params={name: value for name, value in active.trial.params.items() if name != "loss"},
            settings=finite(plan.params),
            learning_rate=plan.learning_rate,
            score=course.score if done else None,
            epoch=course.chosen if done else 0 if state == "failed" else course.epoch,
            curves={name: finite(curve) for name, curve in course.curves.items()},
            seconds=ended - active.started,
            trainer=active.trainer,
            reason=reason,
            refusal=active.refusal,
            distribution=distribution,
            version=version,
            started=active.started,
            ended=ended,
            scores=list(scores),
            spread=spread(scores),
            predicts_only=course.predicts_only if done else None,
            constants=self.proposer.row_constants(plan.candidate),
            weights=dict(self.proposer.weights),
            expression="" if distribution else user_loss.expression(self.proposer.candidates[plan.candidate].spec),
        )


@contextmanager
def _sharing() -> Iterator[None]:
    """Let the thread that trains have the interpreter within half a millisecond, a step's time, instead of five."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, 0.0005))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and the seconds that it took."""
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


def _is_scored(trial: Any) -> bool:
    return bool(trial.state == TrialState.COMPLETE and trial.user_attrs.get(ATTRIBUTE, {}).get("state") == "complete")
