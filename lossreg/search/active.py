"""`Active`: plans that are being trained together, from the slots that they are given to the way they end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, Self, TypeVar

from lossreg.errors import first_line
from lossreg.search.learning_curve import LearningCurve
from lossreg.storage.observer import Running
from lossreg.storage.trial_record import Outcome, Weights
from lossreg.training.interface import EpochReport, Plan
from lossreg.training.pool import NOTHING, Avoids, Failure, Placed, Pool, Refused, Waits

NON_FINITE = "training went non-finite"
OUTSIDE = "the predictions lie outside the metric's domain"

Subject = TypeVar("Subject")


class Fault(NamedTuple):
    """The reason why there is no score, and the plan to blame; avoids: trainers to avoid where it is trained again."""

    reason: str
    plan: Plan
    avoids: Avoids | None = None


@dataclass(slots=True, eq=False)
class Active(Generic[Subject]):
    """The plans of one `subject`, such as the members of a trial, and the slots that they have.

    avoids: trainers that failed to train them; weights: of the first plan, where a copy was asked for;
    ready: the scheduler's clock from which they may be placed; asking: seconds that asking for them took.
    """

    subject: Subject
    plans: Sequence[Plan]
    curve: LearningCurve
    slots: Sequence[int] = ()
    trainer: str = ""
    refusal: str = ""
    started: float = field(default_factory=time.time)
    weights: Weights | None = None
    avoids: Avoids = NOTHING
    ready: int = 0
    asking: float = 0.0

    @property
    def plan(self) -> Plan:
        """The first plan."""
        return self.plans[0]

    @property
    def left(self) -> int:
        """Epochs to its end."""
        return self.plan.epochs - self.curve.epoch

    @property
    def running(self) -> Running:
        """The state that observers are shown during training."""
        score = self.curve.score if self.curve.chosen else math.nan
        return Running(self.plan.candidate, self.curve.epoch, self.plan.epochs, score if math.isfinite(score) else None)

    def place(self, pool: Pool) -> Placed | Waits | Refused:
        """Take slots for all plans, or none."""
        try:
            placed = pool.place(self.plan, len(self.plans), self.avoids)
        except Exception as error:  # of a model that cannot be built
            return Refused(first_line(error))
        if isinstance(placed, Placed):
            self.slots, self.trainer, self.refusal = placed.slots, placed.trainer, placed.refusal
            self.started = time.time()
        return placed

    def open(self, pool: Pool) -> Fault | None:
        """Begin to train all plans, as long as each can begin."""
        for slot, plan in zip(self.slots, self.plans, strict=True):
            try:
                pool.open(slot, plan)
            except Exception as error:
                return Fault(first_line(error), plan)
        return None

    def close(self, pool: Pool) -> None:
        """Free the slots."""
        for slot in self.slots:
            pool.close(slot)

    def take(self, reports: Mapping[int, EpochReport], failures: Mapping[int, Failure]) -> Fault | None:
        """Add an epoch to the curve, unless a trainer failed."""
        failed = [(failures[slot], plan) for slot, plan in zip(self.slots, self.plans, strict=True) if slot in failures]
        if not failed:
            self.curve.add([reports[slot] for slot in self.slots])
            return None
        failure, plan = failed[0]
        is_retried = all(other.retry for other, _ in failed)
        return Fault(first_line(failure.error), plan, failure.avoids if is_retried else None)

    def again(self, curve: LearningCurve, avoids: Avoids) -> Self:
        """Return the same plans before their first epoch, for another trainer."""
        return replace(self, slots=(), curve=curve, weights=None, avoids=avoids)

    @property
    def outcome(self) -> Outcome | None:
        """The end of the training, None while it goes on."""
        if self.curve.diverged is not None:
            return Outcome.DIVERGED
        if self.left and not (self.curve.is_exhausted or self.curve.is_stopped):
            return None
        return Outcome.COMPLETE if math.isfinite(self.curve.score) else Outcome.DIVERGED

    @property
    def divergence(self) -> Fault:
        """The reason why it diverged."""
        if self.curve.diverged is not None:
            return Fault(NON_FINITE, self.plans[self.curve.diverged])
        outside = next((i for i, score in enumerate(self.curve.scores) if not math.isfinite(score)), 0)
        return Fault(OUTSIDE, self.plans[outside])
