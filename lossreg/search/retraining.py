"""`train`: plans that are known from the start are trained to their end, each by itself."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lossreg.errors import LossregError, one_line
from lossreg.search.active import Active
from lossreg.search.policy import SearchPolicy
from lossreg.storage.observer import Observer
from lossreg.storage.trial_record import Outcome, Weights
from lossreg.training.interface import EpochReport, Plan
from lossreg.training.pool import Failure, Pool, Refused, Waits


@dataclass(frozen=True, slots=True, eq=False)
class Retrained:
    """A plan that has ended.

    index: its position in the list; outcome: complete, failed or diverged; score: the metric on its validation samples
    at `epoch`, counted from 1, NaN unless complete; curves, decision: as in `TrialRecord`; weights: those at that
    epoch, if they were wanted and there is a score; reason: why it has none; also: the further metrics at that epoch;
    beside: the number of those that ended in the same epoch and come after it.
    """

    index: int
    outcome: Outcome
    score: float
    epoch: int
    curves: Mapping[str, list[float]]
    decision: Mapping[str, Any]
    weights: Weights | None
    reason: str
    trainer: str
    seconds: float
    also: Mapping[str, float]
    beside: int = 0


def train(
    pool: Pool, plans: Sequence[Plan | Sequence[Plan]], policy: SearchPolicy, observer: Observer | None = None, *,
    wants_weights: bool = False, on_epoch: Callable[[float], Any] = lambda parts: None,
) -> Iterator[Retrained]:  # fmt: skip
    """Yield every plan as soon as it has ended, in the order of their slots where several end in one epoch.

    Several plans in place of one are trained side by side, as the members of a trial. policy decides which epoch is
    scored, and early stopping. A plan whose trainer failed is trained once more elsewhere, or fails. The observer is
    told of every epoch, and `on_epoch` of how many trainings are done that were not yielded yet, parts of those that go
    on included. Raises `LossregError` when plans that were trained together failed and nothing can go on, or
    no trainer has a slot; `KeyboardInterrupt` when the observer is stopping.
    """
    return _Retraining(
        pool, plans, policy, observer or Observer(), wants_weights=wants_weights, on_epoch=on_epoch
    ).run()


class _Retraining:
    def __init__(
        self, pool: Pool, plans: Sequence[Plan | Sequence[Plan]], policy: SearchPolicy, observer: Observer,
        *, wants_weights: bool, on_epoch: Callable[[float], Any],
    ) -> None:  # fmt: skip
        self._on_epoch = on_epoch
        self._pool, self._policy, self._observer, self._wants_weights = pool, policy, observer, wants_weights
        members = [[plan] if isinstance(plan, Plan) else plan for plan in plans]
        self._members = list(map(len, members))
        self._waiting = deque(Active(index, each, policy.curve()) for index, each in enumerate(members))
        self._active: list[Active[int]] = []
        self._ended: deque[Retrained] = deque()
        self._epochs = 0

    def run(self) -> Iterator[Retrained]:
        """Refill the slots after every epoch; those that are taken are freed, whatever ends it."""
        try:
            self._fill()
            yield from self._handed_over()
            while self._active:
                self._epoch()
                yield from self._handed_over()
                if self._observer.stopping():
                    raise KeyboardInterrupt
        finally:
            for active in self._active:
                active.close(self._pool)

    def _handed_over(self) -> Iterator[Retrained]:
        """Yield what has ended, and keep no reference to it, since weights may be large."""
        while self._ended:
            ended = self._ended.popleft()
            if ended.outcome is Outcome.FAILED and self._observer.stopping():
                # foreign code may make an error of an interrupt
                raise KeyboardInterrupt
            yield replace(ended, beside=len(self._ended))

    def _fill(self) -> None:
        """Put waiting plans into free slots, lowest first."""
        self._waiting = deque(active for active in self._waiting if not self._place(active))
        if self._waiting and not self._active:
            raise LossregError("no trainer has a slot for a plan that is to be trained again")

    def _place(self, active: Active[int]) -> bool:
        """Begin to train a plan; return whether it waits no longer."""
        placed = active.place(self._pool)
        if isinstance(placed, Waits):
            return False
        if isinstance(placed, Refused):
            self._end(active, Outcome.FAILED, placed.reason)
            return True
        self._active.append(active)
        if fault := active.open(self._pool):
            self._end(active, Outcome.FAILED, fault.reason)
        return True

    def _epoch(self) -> None:
        """Train one epoch of all active plans, then refill the slots of those that ended."""
        try:
            reports, failures = self._pool.advance()
        except Exception as error:
            raise LossregError(f"training failed: {one_line(error)}") from error
        for active in sorted(self._active, key=lambda active: active.slots[0]):
            self._take(active, reports, failures)
        self._on_epoch(self._done())
        self._fill()
        self._epochs += 1
        self._observer.epoch(len(self._active), self._epochs)

    def _done(self) -> float:
        """Return how many trainings are done and were not yielded yet, parts of those that go on included."""
        parts = (len(active.plans) * active.curve.epoch / active.plan.epochs for active in self._active)
        return sum(parts) + sum(self._members[ended.index] for ended in self._ended)

    def _take(self, active: Active[int], reports: Mapping[int, EpochReport], failures: Mapping[int, Failure]) -> None:
        fault = active.take(reports, failures)
        if fault is None:
            self._advance(active)
        elif fault.avoids is None:
            self._end(active, Outcome.FAILED, fault.reason)
        else:
            self._close(active)
            self._waiting.append(active.again(self._policy.curve(), fault.avoids))

    def _advance(self, active: Active[int]) -> None:
        outcome = active.outcome
        if self._wants_weights and self._policy.may_count(active.curve, outcome):
            active.weights = self._pool.weights(active.slots[0])
        if outcome:
            self._end(active, outcome, active.divergence.reason if outcome == Outcome.DIVERGED else "")

    def _close(self, active: Active[int]) -> None:
        active.close(self._pool)
        if active in self._active:
            self._active.remove(active)

    def _end(self, active: Active[int], outcome: Outcome, reason: str) -> None:
        """Free the slot, and note how the plan ended."""
        self._close(active)
        curve, is_complete = active.curve, outcome == Outcome.COMPLETE
        self._ended.append(
            Retrained(
                active.subject, outcome, curve.score if is_complete else math.nan, curve.chosen, curve.curves,
                curve.decision, active.weights if is_complete else None, reason, active.trainer,
                time.time() - active.started, curve.also if is_complete else {},
            )
        )  # fmt: skip
