"""The slots that all trainers of a study share; populations come and go with the shapes of the plans."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Protocol

from lossreg.errors import contained, count_of, first_line
from lossreg.storage.trial_record import Weights
from lossreg.training.interface import EpochReport, Plan, Trainer

MOST_POPULATIONS = 8  # that live at a time, idle ones included
MOST_FAILURES = 3  # of a population, after which its plans go elsewhere

Avoids = frozenset[Hashable]
NOTHING: Avoids = frozenset()


class PopulationFactory(Protocol):
    """Makes a population for plans that can be trained together."""

    @property
    def first(self) -> Sequence[Plan]:
        """Plans whose populations are wanted from the start."""
        ...

    def key(self, plan: Plan) -> Hashable:
        """Return a value that is equal for plans of one population."""
        ...

    def refuses(self, plan: Plan) -> str:
        """Return why no population can train the plan; empty when one can."""
        ...

    def make(self, plan: Plan) -> Trainer:
        """Return a new population for the plan and others like it."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """A trial that has its slots.

    trainer: the name of the trainer; refusal: why trainers of another name, asked before it, refused.
    """

    slots: tuple[int, ...]
    trainer: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Waits:
    """A trial that waits until others have ended."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A trial that no trainer takes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception of the trainer of a slot.

    retry: whether the trial may be placed again; avoids: the trainers that it must then avoid.
    """

    error: Exception
    retry: bool = False
    avoids: Avoids = NOTHING


@dataclass(slots=True, eq=False)
class TrainerSlots:
    """A trainer and the slots of the pool that stand for its own; `taken` maps the trainer's to the pool's."""

    key: Hashable
    trainer: Trainer
    taken: dict[int, int] = field(default_factory=dict)
    is_shut: bool = False

    @property
    def free(self) -> int:
        """The number of free slots."""
        return self.trainer.slots - len(self.taken)

    def take(self, slots: Sequence[int]) -> list[int]:
        """Return the trainer's lowest free slots, which from now on stand for these slots of the pool."""
        lowest = list(islice((slot for slot in count() if slot not in self.taken), len(slots)))
        self.taken.update(zip(lowest, slots, strict=True))
        return lowest


@dataclass(frozen=True, slots=True)
class Placement:
    """The trainer behind a taken slot of the pool, and its slot there; plan stands for all members of the trial."""

    holder: TrainerSlots
    slot: int
    plan: Plan
    avoids: Avoids


@dataclass(frozen=True, slots=True)
class Option:
    """A trainer that might take a plan, and why it refuses; empty when it does not."""

    key: Hashable
    name: str
    refusal: str


class Pool:
    """Gives slots to trials, and trains all of them for an epoch at a time, so that none starves.

    trainers live as long as the pool; populations, asked before them, makes others as plans need them, of which
    the longest idle is shut when there are too many. slots: of the pool, by default those of the trainers;
    members: the slots that a trial takes. `warn` is called with what a user should know.
    """

    def __init__(
        self,
        trainers: Sequence[Trainer],
        *,
        populations: PopulationFactory | None = None,
        slots: int = 0,
        members: int = 1,
    ) -> None:
        self.members, self._factory = members, populations
        self.warn: Callable[[str], None] = lambda text: None
        self._slots = slots or sum(trainer.slots for trainer in trainers)
        self._limit: float = math.inf  # of slots, once more did not fit into memory
        holders = [TrainerSlots(f"trainer {i}", trainer) for i, trainer in enumerate(trainers)]
        self._fixed: dict[Hashable, TrainerSlots] = {holder.key: holder for holder in holders}
        self._populations: dict[Hashable, TrainerSlots] = {}
        self._placements: dict[int, Placement] = {}
        self._failed: Counter[Hashable] = Counter()
        self._reasons: dict[Hashable, str] = {}
        self._in_vain = 0

    @property
    def slots(self) -> int:
        """The number of slots."""
        return int(min(self._slots, self._limit))

    @property
    def free(self) -> int:
        """The number of free slots; negative while more are taken than there are by now."""
        return self.slots - len(self._placements)

    @property
    def trainers(self) -> list[Trainer]:
        """The trainers that live now."""
        return [holder.trainer for holder in self._holders]

    @property
    def _holders(self) -> list[TrainerSlots]:
        return [*self._populations.values(), *self._fixed.values()]

    def resize(self, slots: int) -> None:
        """Have that many slots from now on, or as many as fit into memory."""
        self._slots = slots

    @contextmanager
    def sized(self, slots: int) -> Iterator[None]:
        """Have that many slots for a while."""
        before = self._slots
        self.resize(slots)
        try:
            yield
        finally:
            self.resize(before)

    def prepare(self) -> None:
        """Have every trainer build what it needs, and those populations that are wanted at once."""
        for plan in self._factory.first if self._factory else ():
            chosen = self._choose(plan)
            if not isinstance(chosen, Refused):
                self._holder(chosen.key, plan)
        for holder in self._holders:
            with contained():
                holder.trainer.prepare()

    def shutdown(self) -> None:
        """Shut all trainers, and keep none of them."""
        for holder in self._holders:
            holder.trainer.shutdown()
        self._populations.clear()
        self._fixed.clear()
        self._factory = None

    # -------------------------------------------------------------- who takes a trial

    def place(self, plan: Plan, number: int = 1, avoids: Avoids = NOTHING) -> Placed | Waits | Refused:
        """Take the lowest free slots for a trial of that many members like `plan`.

        avoids: the trainers that failed to train it before. Raises what building a population raises.
        """
        if self.free <= 0:
            return Waits()
        chosen = self._choose(plan, avoids)
        if isinstance(chosen, Refused):
            return chosen
        if self.free < number:
            return Waits()
        holder = self._holder(chosen.key, plan)
        if holder is None or holder.free < number:
            return Waits()
        slots = list(islice((slot for slot in range(self.slots) if slot not in self._placements), number))
        for slot, taken in zip(slots, holder.take(slots), strict=True):
            self._placements[slot] = Placement(holder, taken, plan, avoids)
        return Placed(tuple(slots), holder.trainer.name, chosen.refusal)

    def refusal(self, plan: Plan) -> str:
        """Return why trainers refuse the plan that are asked before the one that takes it; empty if none takes it."""
        chosen = self._choose(plan)
        return "" if isinstance(chosen, Refused) else chosen.refusal

    def of_one_population(self, plans: Sequence[Plan]) -> list[Plan]:
        """Return those of the plans that share the first population that takes one."""
        factory = self._factory
        if not factory:
            return []
        accepted = [plan for plan in plans if not factory.refuses(plan)]
        return [plan for plan in accepted if factory.key(plan) == factory.key(accepted[0])]

    def _choose(self, plan: Plan, avoids: Avoids = NOTHING) -> Option | Refused:
        """Return the first trainer that takes the plan, with the reasons of those before it that bear another name.

        One that failed often is taken only if no other takes the plan.
        """
        passed: list[Option] = []
        for option in self._options(plan, avoids):
            if not option.refusal and self._failed[option.key] < MOST_FAILURES:
                others = [other for other in passed if other.name != option.name]
                reasons = [other.refusal or self._reasons[other.key] for other in others]
                return Option(option.key, option.name, "; ".join(reasons))
            passed.append(option)
        willing = next((option for option in passed if not option.refusal), None)
        return willing or Refused("; ".join(option.refusal for option in passed))

    def _options(self, plan: Plan, avoids: Avoids) -> Iterator[Option]:
        """Yield every trainer that might take the plan, in the order in which they are asked."""
        if self._factory:
            key = self._factory.key(plan)
            yield Option(key, "population", self._reasons[key] if key in avoids else self._factory.refuses(plan))
        for key, holder in self._fixed.items():
            reason = self._reasons[key] if key in avoids else holder.trainer.refuses(plan.candidate)
            yield Option(key, holder.trainer.name, reason)

    def _holder(self, key: Hashable, plan: Plan) -> TrainerSlots | None:
        """Return the trainer of that key, made if it is a population; None while all that may live are busy."""
        if key in self._fixed:
            return self._fixed[key]
        holder = self._populations.pop(key, None) or self._new_population(key, plan)
        if holder:
            self._populations[key] = holder  # those used last stand last
        return holder

    def _new_population(self, key: Hashable, plan: Plan) -> TrainerSlots | None:
        assert self._factory
        if len(self._populations) >= MOST_POPULATIONS:
            idle = next((holder for holder in self._populations.values() if not holder.taken), None)
            if idle is None:
                return None
            self._shut(idle)
        return TrainerSlots(key, self._factory.make(plan))

    def _shut(self, holder: TrainerSlots) -> None:
        """Shut a population and free its memory: graphs are cycles that only the collector finds."""
        holder.is_shut = True
        with suppress(Exception):
            holder.trainer.shutdown()
        del self._populations[holder.key]
        gc.collect()

    # -------------------------------------------------------------- what a taken slot does

    def open(self, slot: int, plan: Plan) -> None:
        """Begin to train a plan in a slot that `place` took."""
        placement = self._placements[slot]
        with contained():
            placement.holder.trainer.open(placement.slot, plan)

    def advance(self) -> tuple[dict[int, EpochReport], dict[int, Failure]]:
        """Train every taken slot for one epoch; return reports and failures by slot.

        A trainer that raises fails all plans that it holds, and no others. Raises what a population raises
        time and again while nothing else is trained.
        """
        reports: dict[int, EpochReport] = {}
        failures: dict[int, Failure] = {}
        for holder in [holder for holder in self._holders if holder.taken]:
            try:
                with contained():
                    advanced = holder.trainer.advance()
                reports |= {holder.taken[slot]: report for slot, report in advanced.items()}
            except Exception as error:
                failures |= self._failures(holder, error)
        self._give_up(reports, failures)
        return dict(sorted(reports.items())), dict(sorted(failures.items()))

    def weights(self, slot: int) -> Weights:
        """Return the weights of an open slot."""
        placement = self._placements[slot]
        return placement.holder.trainer.weights(placement.slot)

    def close(self, slot: int) -> None:
        """Free a slot, if it is taken."""
        placement = self._placements.pop(slot, None)
        if placement is None:
            return
        holder = placement.holder
        del holder.taken[placement.slot]
        if not holder.is_shut:
            holder.trainer.close(placement.slot)

    # -------------------------------------------------------------- what a failure costs

    def _failures(self, holder: TrainerSlots, error: Exception) -> dict[int, Failure]:
        """Return the failures of all slots of a trainer; a population that failed is shut."""
        if holder.key in self._populations:
            self._shut(holder)
        placements = {slot: self._placements[slot] for slot in holder.taken.values()}
        if _is_memory(error) and len(placements) > self.members:
            self._limit_memory(len(placements))
            return {slot: Failure(error, True, placement.avoids) for slot, placement in placements.items()}
        self._reasons[holder.key] = f"{holder.trainer.name} failed: {first_line(error)}"
        self._failed[holder.key] += self._is_shared(holder)
        return {slot: self._failure(placement, error) for slot, placement in placements.items()}

    def _failure(self, placement: Placement, error: Exception) -> Failure:
        """Return a failure that may be tried again if others may have caused it and another trainer takes the plan."""
        holder, avoids = placement.holder, placement.avoids | {placement.holder.key}
        if not (holder.is_shut or self._is_shared(holder)):
            return Failure(error)
        return Failure(error, not isinstance(self._choose(placement.plan, avoids), Refused), avoids)

    def _give_up(self, reports: Sized, failures: Mapping[int, Failure]) -> None:
        """Raise a failure when populations fail one time after another and nothing else is trained."""
        shared = any(self._is_shared(self._placements[slot].holder) for slot in failures)
        retried = any(failure.retry for failure in failures.values())
        self._in_vain = self._in_vain + 1 if shared and not reports and not retried else 0
        if self._in_vain >= MOST_FAILURES:
            raise next(iter(failures.values())).error

    def _is_shared(self, holder: TrainerSlots) -> bool:
        """Return whether trials share the trainer, so that none of them can be blamed."""
        return holder.trainer.slots > self.members

    def _limit_memory(self, lanes: int) -> None:
        """Have half as many slots as did not fit into memory, as whole trials."""
        self._limit = max(self.members, lanes // 2 // self.members * self.members)
        self.warn(f"{count_of(lanes, 'model')} at a time did not fit into memory: {self.slots} from now on")


def _is_memory(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}"
    return isinstance(error, MemoryError) or "ResourceExhausted" in text or "RESOURCE_EXHAUSTED" in text
