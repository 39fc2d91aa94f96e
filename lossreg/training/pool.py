"""`Pool`: several trainers behind the one interface; populations come and go with the shapes of the plans."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from lossreg.errors import contained, gist
from lossreg.storage.records import Weights
from lossreg.training.interface import EpochReport, Plan, Trainer

KEPT = 8  # populations at a time, idle ones included
FAILURES = 3  # of a population, after which its plans go elsewhere


class Crowds(Protocol):
    """Makes a population for the plans that can be lanes of one."""

    @property
    def first(self) -> Sequence[Plan]:
        """Plans whose populations are wanted from the start."""
        ...

    def key(self, plan: Plan) -> Hashable:
        """Equal for plans of one population."""
        ...

    def refuses(self, plan: Plan) -> str:
        """Why no population can train the plan; empty when one can."""
        ...

    def make(self, plan: Plan) -> Trainer:
        """A new population for the plan and others like it."""
        ...


@dataclass(slots=True, eq=False)
class Home:
    """A trainer, and by its own slots those of the pool that stand for them."""

    key: Hashable
    trainer: Trainer
    taken: dict[int, int] = field(default_factory=dict)
    gone: bool = False

    @property
    def left(self) -> int:
        """How many of its own slots are free."""
        return self.trainer.slots - len(self.taken)

    @property
    def lowest(self) -> int:
        """Its lowest free slot."""
        return next(own for own in count() if own not in self.taken)


@dataclass(slots=True, eq=False)
class Seat:
    """A slot that is taken."""

    home: Home
    own: int
    plan: Plan


class Pool:
    """The slots that all trainers share, numbered through.

    trainers are there from first to last; crowds, asked before them, makes populations as plans need
    them, of which `KEPT` live at a time: the longest idle one is let go for a new one. most: how
    many slots there are, by default those of the trainers; step: how many the members of a trial take.
    Every open trainer is advanced an epoch at a time, so that none starves. `say` is told what a user should know.
    """

    name = "pool"

    def __init__(
        self, trainers: Sequence[Trainer], *, crowds: Crowds | None = None, most: int = 0, step: int = 1
    ) -> None:
        self.slots, self.step, self._crowds = most or sum(trainer.slots for trainer in trainers), step, crowds
        self.say: Callable[[str], None] = lambda text: None
        self.narrowed = False
        self._fixed = [Home(f"trainer {i}", trainer) for i, trainer in enumerate(trainers)]
        self._made: dict[Hashable, Home] = {}
        self._seats: dict[int, Seat] = {}
        self._failed: Counter[Hashable] = Counter()
        self._reasons: dict[Hashable, str] = {}
        self._avoids: list[tuple[Plan, Hashable]] = []
        self._spared: set[int] = set()
        self._in_vain = 0

    @property
    def trainers(self) -> list[Trainer]:
        """Those that live now."""
        return [home.trainer for home in self._homes]

    @property
    def _homes(self) -> list[Home]:
        return [*self._made.values(), *self._fixed]

    def trainer(self, plan: Plan) -> tuple[Trainer, str]:
        """The trainer of a plan, and why those of another kind before it refused; raises `LookupError` if all do."""
        home, why = self._choice(plan)
        return home.trainer, why

    def room(self, plan: Plan) -> list[int]:
        """The free slots that the plan could take now, lowest first; raises `LookupError` if no trainer takes it."""
        if not self.idle or self._must_wait(plan):
            return []
        home, _ = self._choice(plan)
        free = [slot for slot in range(self.slots) if slot not in self._seats]
        return free[: min(home.left, self.slots - len(self._seats))]

    @property
    def idle(self) -> bool:
        """Whether any slot is free."""
        return len(self._seats) < self.slots

    def alike(self, plans: Sequence[Plan]) -> list[Plan]:
        """Of these plans, those that share the first population that takes one."""
        crowds = self._crowds
        taken = [plan for plan in plans if crowds and not crowds.refuses(plan)]
        return [plan for plan in taken if crowds and crowds.key(plan) == crowds.key(taken[0])]

    def prepare(self) -> None:
        """Have every trainer build what it needs, and those populations that are wanted at once."""
        for plan in self._crowds.first if self._crowds else ():
            with suppress(LookupError):
                self._choice(plan)
        for home in self._homes:
            with contained():
                home.trainer.prepare()

    def open(self, slot: int, plan: Plan) -> None:
        """Put a plan into a slot that `room` named."""
        home, _ = self._choice(plan)
        own = home.lowest
        self._seats[slot] = Seat(home, own, plan)
        home.taken[own] = slot
        with contained():
            home.trainer.open(own, plan)

    def advance(self) -> tuple[dict[int, EpochReport], dict[int, Exception]]:
        """Train every open slot for one epoch: reports by slot, and what the trainer of a slot raised.

        A trainer that raises costs the plans that it holds, and no others; `spares` says which of them
        may be opened again. Raises what a population raises time and again with nothing left to go on.
        """
        reports: dict[int, EpochReport] = {}
        failures: dict[int, Exception] = {}
        self._spared.clear()
        for home in [home for home in self._homes if home.taken]:
            try:
                with contained():
                    advanced = home.trainer.advance()
                reports |= {home.taken[own]: report for own, report in advanced.items()}
            except Exception as error:
                failures |= dict.fromkeys(home.taken.values(), error)
                self._excuse(home, error)
        self._give_up(reports, failures)
        return dict(sorted(reports.items())), dict(sorted(failures.items()))

    def spares(self, slot: int) -> bool:
        """Whether the plan that failed in this slot may be opened again: elsewhere, or with fewer beside it."""
        return slot in self._spared

    def weights(self, slot: int) -> Weights:
        """The weights of an open slot."""
        seat = self._seats[slot]
        return seat.home.trainer.weights(seat.own)

    def close(self, slot: int) -> None:
        """Free a slot, if it is taken."""
        seat = self._seats.pop(slot, None)
        if seat is None:
            return
        del seat.home.taken[seat.own]
        if not seat.home.gone:
            seat.home.trainer.close(seat.own)

    def shutdown(self) -> None:
        """End what the trainers hold."""
        for home in self._homes:
            home.trainer.shutdown()

    # -------------------------------------------------------------- who takes a plan

    def _choice(self, plan: Plan) -> tuple[Home, str]:
        """Where a plan goes, and why not to a trainer of another kind: to one that failed often, only if need be."""
        refused: list[tuple[str, str]] = []
        tired: list[Hashable] = []
        for key, name, reason in self._refusals(plan):
            if not reason and self._failed[key] < FAILURES:
                return self._home(key, plan), "; ".join(said for other, said in refused if other != name)
            tired += [] if reason else [key]
            refused.append((name, reason or self._reasons[key]))
        if tired:
            return self._home(tired[0], plan), ""
        raise LookupError("; ".join(said for _, said in refused))

    def _refusals(self, plan: Plan) -> Iterator[tuple[Hashable, str, str]]:
        """Key, name and reason of every trainer that might take the plan, in order."""
        avoided = [key for other, key in self._avoids if other is plan]
        if self._crowds:
            key = self._crowds.key(plan)
            yield key, "population", self._reasons[key] if key in avoided else self._crowds.refuses(plan)
        for home in self._fixed:
            own = self._reasons[home.key] if home.key in avoided else home.trainer.refuses(plan.label)
            yield home.key, home.trainer.name, own

    def _home(self, key: Hashable, plan: Plan) -> Home:
        """The trainer of that key; a population that is not there yet is made, one used again stands last."""
        if fixed := [home for home in self._fixed if home.key == key]:
            return fixed[0]
        home = self._made.pop(key) if key in self._made else self._made_for(key, plan)
        self._made[key] = home
        return home

    def _made_for(self, key: Hashable, plan: Plan) -> Home:
        assert self._crowds
        idle = [home for home in self._made.values() if not home.taken]
        if len(self._made) >= KEPT and idle:
            self._let_go(idle[0])
        return Home(key, self._crowds.make(plan))

    def _must_wait(self, plan: Plan) -> bool:
        """Whether the plan's population has yet to be made, and all that there may be are busy."""
        if not self._crowds or self._crowds.key(plan) in self._made:
            return False
        full = sum(bool(home.taken) for home in self._made.values()) >= KEPT
        return full and not next(reason for _, _, reason in self._refusals(plan))

    def _let_go(self, home: Home) -> None:
        """End a population and free what it holds: graphs are cycles that only the collector finds."""
        home.gone = True
        with suppress(Exception):
            home.trainer.shutdown()
        del self._made[home.key]
        gc.collect()

    # -------------------------------------------------------------- what a failure costs

    def _excuse(self, home: Home, error: Exception) -> None:
        """Note a trainer's failure, and which of its plans may be opened again."""
        if home.key in self._made:
            self._let_go(home)
        if _is_memory(error) and len(home.taken) > self.step:
            self._narrow(len(home.taken))
            self._spared.update(home.taken.values())
            return
        self._reasons[home.key] = f"{home.trainer.name} failed: {gist(error)}"
        self._failed[home.key] += self._is_crowd(home)
        for slot in home.taken.values() if home.gone or self._is_crowd(home) else ():
            plan = self._seats[slot].plan
            self._avoids.append((plan, home.key))
            with suppress(LookupError):
                self._choice(plan)
                self._spared.add(slot)

    def _give_up(self, reports: Sized, failures: Mapping[int, Exception]) -> None:
        """Raise a failure when populations fail one time after another and nothing else is trained."""
        crowd = any(self._is_crowd(self._seats[slot].home) for slot in failures)
        self._in_vain = self._in_vain + 1 if crowd and not reports and not self._spared else 0
        if self._in_vain >= FAILURES:
            raise next(iter(failures.values()))

    def _is_crowd(self, home: Home) -> bool:
        """Whether plans of several trials share the trainer, so that none of them can be blamed."""
        return home.trainer.slots > self.step

    def _narrow(self, lanes: int) -> None:
        """Have half as many slots as did not fit into memory."""
        self.slots, self.narrowed = max(self.step, lanes // 2 // self.step * self.step), True
        self.say(f"{lanes} lanes did not fit into memory: {self.slots} from now on")


def _is_memory(error: Exception) -> bool:
    said = f"{type(error).__name__} {error}"
    return isinstance(error, MemoryError) or "ResourceExhausted" in said or "RESOURCE_EXHAUSTED" in said
