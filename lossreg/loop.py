"""The search loop: ask, train, report, tell, with slots refilled at every epoch's end."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import optuna
from optuna.trial import TrialState

from lossreg.errors import LossregError, gist
from lossreg.history import to_attribute
from lossreg.proposal import Proposer
from lossreg.records import CURVES, TrialRecord, finite
from lossreg.sampler import ATTRIBUTE, TOLD, counts_as_trial, enqueue_due, tell
from lossreg.trainers.base import EpochReport, Plan, Weights
from lossreg.trainers.pool import Pool

if TYPE_CHECKING:
    from lossreg.metrics import Metric


MOST_WAITING = 8
NON_FINITE = "training went non-finite"
OUTSIDE = "the predictions lie outside the metric's domain"


class Listener(Protocol):
    """Who is told how the search goes."""

    def best(self, record: TrialRecord, weights: Weights) -> None:
        """A trial is about to end as the best so far, with these weights."""
        ...

    def trial(self, record: TrialRecord) -> None:
        """A trial ended."""
        ...

    def epoch(self, active: int) -> None:
        """All active plans were trained for one more epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How long to search and what counts: see the study's `search` section.

    deadline is a `time.monotonic` after which no trial is started.
    """

    trials: int
    metric: Metric
    baseline: str
    score_epoch: str = "last"
    prune: bool = False
    deadline: float = math.inf
    provenance: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Active:
    """A trial in a slot."""

    trial: optuna.Trial
    plan: Plan
    trainer: str
    refusal: str
    started: float = field(default_factory=time.time)
    curves: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in CURVES})
    best_weights: Weights | None = None

    def add(self, report: EpochReport) -> None:
        """Append an epoch to the curves."""
        for name in CURVES:
            self.curves[name].append(getattr(report, name))


class Loop:
    """Runs a study's trials to the end of its budget."""

    def __init__(self, study: optuna.Study, proposer: Proposer, pool: Pool, rules: Rules, listener: Listener) -> None:
        self.study, self.proposer, self.pool, self.rules, self.listener = study, proposer, pool, rules, listener
        self.sign = 1.0 if rules.metric.direction == "maximize" else -1.0
        self.active: dict[int, Active] = {}
        self.waiting: deque[tuple[optuna.Trial, Plan]] = deque()
        self.seconds = {"training": 0.0, "search": 0.0}
        trials = study.get_trials(deepcopy=False)
        self.started = sum(counts_as_trial(trial) for trial in trials)
        self.best = max((self._worth(t.value, t.number) for t in trials if _is_scored(t)), default=(-math.inf, 0))

    def run(self) -> None:
        """Ask, train and tell until the budget is spent and every slot is empty.

        Trials whose trainer failed are trained once more elsewhere, or fail. Raises `LossregError` when
        trials that were trained together failed and nothing can go on; they are run again when the study is resumed.
        """
        while True:
            self._timed("search", self._fill)
            if not self.active:
                return
            reports, failures = self._timed("training", self._advance)
            self._timed("search", self._take, reports)
            for slot, error in failures.items():
                self._again(slot) if self.pool.spares(slot) else self._fail(slot, error)
            self.listener.epoch(len(self.active))

    def _timed(self, what: str, work: Callable[..., Any], *args: Any) -> Any:
        begin = time.perf_counter()
        result = work(*args)
        self.seconds[what] += time.perf_counter() - begin
        return result

    def _fill(self) -> None:
        """Put waiting plans, then newly asked ones, into free slots, lowest first."""
        self.waiting = deque(pair for pair in self.waiting if not self._place(*pair))
        while len(self.waiting) < MOST_WAITING and self.pool.idle and self._may_ask():
            left, hurried = self.rules.trials - self.started, math.isfinite(self.rules.deadline)
            enqueue_due(self.study, self.rules.baseline, left, hurried=hurried)
            trial = self.study.ask()
            self.started += 1
            plan = self.proposer.suggest(trial)
            if not self._place(trial, plan):
                self.waiting.append((trial, plan))

    def _may_ask(self) -> bool:
        """Whether the budget allows one more trial; every loss gets its first, however late it is."""
        late = time.monotonic() >= self.rules.deadline and self.started >= len(self.proposer.labels)
        return self.started < self.rules.trials and not late

    def _place(self, trial: optuna.Trial, plan: Plan) -> bool:
        try:
            room = self.pool.room(plan)
        except LookupError as error:
            self._tell(Active(trial, plan, "", ""), "failed", None, str(error), 0)
            return True
        if not room:
            return False
        slot = room[0]
        trainer, refusal = self.pool.trainer(plan)
        self.active[slot] = Active(trial, plan, trainer.name, refusal)
        try:
            self.pool.open(slot, plan)
        except Exception as error:
            self._fail(slot, error)
        return True

    def _advance(self) -> tuple[dict[int, EpochReport], dict[int, Exception]]:
        try:
            return self.pool.advance()
        except Exception as error:
            raise LossregError(f"training failed: {gist(error)}") from error

    def _take(self, reports: Mapping[int, EpochReport]) -> None:
        for slot, report in reports.items():
            active = self.active[slot]
            active.add(report)
            self._snapshot(slot, active, report)
            if state := self._state(active, report):
                self._end(slot, active, state)

    def _snapshot(self, slot: int, active: Active, report: EpochReport) -> None:
        """Keep the weights of an epoch that may turn out the best of the study."""
        last = report.epoch == active.plan.epochs
        if report.diverged or not (last or self.rules.score_epoch == "best"):
            return
        score, epoch = self._score(active)
        if epoch == report.epoch and self._worth(score, active.trial.number) > self.best:
            active.best_weights = self.pool.weights(slot)

    def _state(self, active: Active, report: EpochReport) -> str:
        """How the trial ended, empty while it goes on."""
        if report.diverged:
            return "diverged"
        if report.epoch >= active.plan.epochs:
            return "complete" if math.isfinite(self._score(active)[0]) else "diverged"
        return "pruned" if self.rules.prune and self._should_prune(active, report) else ""

    def _should_prune(self, active: Active, report: EpochReport) -> bool:
        active.trial.report(report.val_score, report.epoch)
        return report.epoch > active.plan.epochs / 3 and active.trial.should_prune()

    def _end(self, slot: int, active: Active, state: str) -> None:
        score, epoch = self._score(active) if state == "complete" else (None, len(active.curves["val_score"]))
        outside = math.isinf(active.curves["val_score"][-1])
        reason = {"diverged": OUTSIDE if outside else NON_FINITE}.get(state, "")
        self._close(slot)
        self._tell(active, state, score, reason, epoch)

    def _fail(self, slot: int, error: Exception) -> None:
        """End the trial whose own training raised."""
        active = self.active[slot]
        self._close(slot)
        self._tell(active, "failed", None, gist(error), 0)

    def _again(self, slot: int) -> None:
        """Let a trial that failed among others wait for another trainer."""
        active = self.active[slot]
        self._close(slot)
        self.waiting.append((active.trial, active.plan))

    def _close(self, slot: int) -> None:
        self.pool.close(slot)
        del self.active[slot]

    def _score(self, active: Active) -> tuple[float, int]:
        """Score of the trial so far and its epoch: the last one's, or the best one's."""
        curve = active.curves["val_score"]
        if self.rules.score_epoch == "last":
            return curve[-1], len(curve)
        at = max(range(len(curve)), key=lambda i: self.sign * curve[i])
        return curve[at], at + 1

    def _worth(self, score: float | None, number: int) -> tuple[float, int]:
        """What makes a trial better than another: its score, and among equals to have come first."""
        return (-math.inf if score is None else self.sign * score, -number)

    def _tell(self, active: Active, state: str, score: float | None, reason: str, epoch: int) -> None:
        """Write the trial's end, in an order in which a kill loses nothing.

        The weights first: without the trial they are ignored. Then all that there is to know: a resumed
        study tells from it what was not told.
        """
        record = self._record(active, state, score, reason, epoch)
        if state == "complete" and self._worth(score, record.number) > self.best and active.best_weights is not None:
            self.best = self._worth(score, record.number)
            self.listener.best(record, active.best_weights)
        told = self._worst() if state == "diverged" else score
        active.trial.set_user_attr(ATTRIBUTE, {**to_attribute(record), TOLD: told})
        tell(self.study, record.number, state, told)
        self.listener.trial(record)

    def _worst(self) -> float:
        """What a diverged trial is told, so that the sampler learns: NaN would be ignored."""
        worst = self.rules.metric.worst
        return worst if worst is not None else -self.sign * math.inf

    def _record(self, active: Active, state: str, score: float | None, reason: str, epoch: int) -> TrialRecord:
        plan, ended = active.plan, time.time()
        distribution, version = self.rules.provenance.get(plan.label, ("", ""))
        return TrialRecord(
            number=active.trial.number,
            state=state,
            label=plan.label,
            loss=self.proposer.candidates[plan.label].spec.name,
            params={name: value for name, value in active.trial.params.items() if name != "loss"},
            settings=finite(plan.params),
            learning_rate=plan.learning_rate,
            score=score,
            epoch=epoch,
            curves={name: finite(curve) for name, curve in active.curves.items()},
            seconds=ended - active.started,
            trainer=active.trainer,
            reason=reason,
            refusal=active.refusal,
            distribution=distribution,
            version=version,
            started=active.started,
            ended=ended,
        )


def _is_scored(trial: Any) -> bool:
    return bool(trial.state == TrialState.COMPLETE and trial.user_attrs.get(ATTRIBUTE, {}).get("state") == "complete")
