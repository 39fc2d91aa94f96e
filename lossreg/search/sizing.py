"""Trainers of a study, and the number of lanes that they train at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from lossreg.errors import InputError, count_of
from lossreg.search.sampler import PER_LOSS
from lossreg.training.pool import Placed, Pool

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.search.preparation import Prepared
    from lossreg.training.interface import Plan, Problem
    from lossreg.training.population import Population

# lanes of a block: usually, and at most while the fair start is under way
OF_CORE, OF_DEVICE = (16, 64), (64, 1024)
ROUNDS = 4
CLEARLY = 0.85  # of the usual time per lane, below which another number of lanes is taken
SHARE, SHORT = 0.05, 0.5  # what measuring may take: a share of the study's expected time, or seconds


def lane_bytes(prepared: Prepared) -> int:
    """Return about how much memory a lane takes of the largest model."""
    from lossreg.training import memory

    architectures, problem = prepared.proposer.architectures, prepared.problem
    widths = {problem.outputs(name) for name in problem.losses}
    largest = {width: architectures.largest(width) if architectures else None for width in widths}
    return max(memory.lane_bytes(problem, width, architecture) for width, architecture in largest.items())


def lanes(prepared: Prepared, lane_bytes: int) -> int:
    """Return the lanes that the study asks for, or enough for every block and for the sampler to learn a few times.

    They are whole trials that fit into memory. The sampler learns nothing from the fair start, so all of it may run
    at once: a step of many lanes is cheaper per lane.
    """
    asked = prepared.spec.search.lanes
    wanted = asked if isinstance(asked, int) else _usual(prepared)
    return min(whole(prepared, wanted), fitting(prepared, lane_bytes))


def kept(prepared: Prepared, begun: int) -> int:
    """Return the lanes of a study that began with so many: these, or fewer where it asks for a smaller number."""
    asked, per_trial = prepared.spec.search.lanes, members(prepared)
    return min(begun, max(1, asked // per_trial) * per_trial) if isinstance(asked, int) else begun


def members(prepared: Prepared) -> int:
    """Return the number of lanes per trial: folds times seeds."""
    return len(prepared.problem.folds) * prepared.spec.search.seeds


def whole(prepared: Prepared, wanted: int) -> int:
    """Return a number of lanes rounded down to whole trials, no more than the study has."""
    per_trial = members(prepared)
    return max(1, min(wanted // per_trial, prepared.trials)) * per_trial


def _of_block() -> tuple[int, int]:
    """Return the lanes of a block: usually, and at most while the sampler learns nothing."""
    from lossreg.runtime.system import cores
    from lossreg.training.backends import interface

    return OF_CORE if interface.blocks() == cores() else OF_DEVICE


def _usual(prepared: Prepared) -> int:
    from lossreg.training.backends import interface

    per_trial, blocks_of_lanes = members(prepared), interface.blocks()
    usual, at_start = _of_block()
    start = PER_LOSS * len(prepared.candidates) * per_trial
    learning = max(usual, math.ceil(prepared.trials / ROUNDS) * per_trial)
    number = max(min(usual * blocks_of_lanes, learning), min(at_start * blocks_of_lanes, start))
    # with nearly all trials at once the sampler would learn nothing
    return min(number, max(start, math.ceil(prepared.trials / 2) * per_trial))


def fitting(prepared: Prepared, lane_bytes: int) -> int:
    """Return the number of lanes that fit into memory, as whole trials: one trial at least."""
    per_trial = members(prepared)
    return max(per_trial, _lanes_in_memory(lane_bytes) // per_trial * per_trial)


def _lanes_in_memory(lane_bytes: int) -> int:
    from lossreg.training import memory

    return int(memory.HALF * memory.available()) // lane_bytes


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of lanes, and a message for the user."""

    lanes: int
    message: str = ""


def choose(
    prepared: Prepared, trainers: Pool, lane_bytes: int, kept: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:  # fmt: skip
    """Return the number of lanes, with trainers that are prepared: as the study began, as its file says, or measured.

    A number that would not fit into memory is reduced. Where no loss goes to a population, trials are trained one at
    a time.
    """
    fits, asked = fitting(prepared, lane_bytes), kept or prepared.spec.search.lanes
    if not trainers.of_one_population(list(prepared.proposer.variants())):
        chosen = Choice(members(prepared))
    elif isinstance(asked, int):
        chosen = Choice(min(whole(prepared, asked), fits))
        if fits < whole(prepared, asked):
            chosen = Choice(fits, f"{fits} models at a time instead of {asked}, which would not fit into memory")
    else:
        chosen = _measured(prepared, trainers, min(whole(prepared, _usual(prepared)), fits), fits, clock)
    trainers.resize(chosen.lanes)
    return chosen


def _measured(prepared: Prepared, trainers: Pool, usual: int, fits: int, clock: Callable[[], float]) -> Choice:
    """Return the usual number of lanes, or twice as many, and so on, where that makes a lane clearly cheaper."""
    most = min(fits, whole(prepared, max(usual, math.ceil(prepared.trials / ROUNDS) * members(prepared))))
    stopwatch = Stopwatch(prepared, trainers, clock)
    times = stopwatch.times(usual, most) if 2 * usual <= most else {}
    best = usual
    for number, seconds in times.items():
        best = number if seconds < CLEARLY * times[best] else best
    return Choice(best, _described(best, times, members(prepared)))


def _described(chosen: int, times: Mapping[int, float], per_trial: int) -> str:
    """Return `64 models at a time, 12 trials of 5: an epoch of one takes 1.3 ms, with 32 it takes 1.9 ms`.

    Empty where nothing else was tried, and the number is that of trials.
    """
    trials = f", {count_of(chosen // per_trial, 'trial')} of {per_trial}" if per_trial > 1 else ""
    text = f"{chosen} models at a time{trials}"
    others = "".join(f", with {number} it takes {1000 * t:.2g} ms" for number, t in times.items() if number != chosen)
    if others:
        return f"{text}: an epoch of one takes {1000 * times[chosen]:.2g} ms{others}"
    return text if trials else ""


class Stopwatch:
    """Times epochs of different numbers of lanes, with the first plans."""

    def __init__(self, prepared: Prepared, trainers: Pool, clock: Callable[[], float]) -> None:
        self.trainers, self.clock, self.spent = trainers, clock, 0.0
        self.total = prepared.trials * members(prepared) * prepared.spec.train.epochs
        self.plans = trainers.of_one_population(list(prepared.proposer.variants()))

    def times(self, usual: int, most: int) -> dict[int, float]:
        """Return seconds per lane and epoch, by lanes: the usual number, doubled while cheaper and in time."""
        if not self.plans or self._lap(usual) is None:
            return {}
        times: dict[int, float] = {}
        number, self.spent = usual, 0.0
        while number <= most:
            seconds = self._lap(number)
            if seconds is None:
                break
            times[number] = seconds / number
            if len(times) > 1 and times[number] >= CLEARLY * times[number // 2]:
                break
            if self.spent + 4 * seconds > max(SHORT, SHARE * self.total * times[usual]):
                break
            number *= 2
        return times

    def _lap(self, number: int) -> float | None:
        """Return the seconds that an epoch of so many lanes takes; None if it fails."""
        with self.trainers.sized(number):
            placed = self.trainers.place(self.plans[0], number)
            if not isinstance(placed, Placed):
                return None
            for slot, plan in zip(placed.slots, cycle(self.plans), strict=False):
                self.trainers.open(slot, plan)
            setting_up = self._epoch()
            seconds = None if setting_up is None else self._epoch()
            for slot in placed.slots:
                self.trainers.close(slot)
            return seconds

    def _epoch(self) -> float | None:
        """Return the seconds that an epoch takes; None if it fails."""
        begin = self.clock()
        _, failures = self.trainers.advance()
        seconds = self.clock() - begin
        self.spent += seconds
        return None if failures else seconds


class Populations:
    """Makes the populations of a study: one for each width of raw scores and each architecture.

    variants: plans with each combination of static parameters that will be met; unmapped: by candidate, why its loss
    cannot be mapped over lanes.
    """

    def __init__(self, problem: Problem, variants: Iterable[Plan], unmapped: Mapping[str, str], slots: int) -> None:
        self.problem, self.variants, self.slots, self._unmapped = problem, list(variants), slots, unmapped
        plans = {self.key(plan): plan for plan in reversed(self.variants)}
        self.first = list(reversed(plans.values()))
        self._reasons: dict[Hashable, dict[str, str]] = {}
        self._asked: tuple[Hashable, Population] | None = None

    def key(self, plan: Plan) -> Hashable:
        """Return the plan's width of raw scores and its architecture."""
        return self.problem.outputs(plan.candidate), self.problem.architecture(plan)

    def refuses(self, plan: Plan) -> str:
        """Return why no population takes the plan, asked of one that is made for it; empty if one does."""
        key = self.key(plan)
        if key not in self._reasons:
            population = self.make(plan)
            self._reasons[key] = {candidate: population.refuses(candidate) for candidate in self.problem.losses}
            self._asked = key, population
        return self._reasons[key][plan.candidate]

    def make(self, plan: Plan) -> Population:
        """Return a population for the plan's width and architecture: the one that `refuses` made last, or a new one."""
        from lossreg.training.population import Population

        key, asked, self._asked = self.key(plan), self._asked, None
        if asked and asked[0] == key:
            return asked[1]
        return Population(
            self.problem, self.slots, outputs=self.problem.outputs(plan.candidate), architecture=plan.architecture,
            variants=self.variants, unmapped=self._unmapped,
            reasons=self._reasons.get(key),
        )  # fmt: skip


def pool(prepared: Prepared, slots: int) -> Pool:
    """Return the trainers that the study's losses need; raises `InputError` where the study forbids `model.fit`."""
    per_trial, variants = members(prepared), prepared.proposer.variants()
    populations = Populations(prepared.problem, variants, prepared.unmapped, prepared.trials * per_trial)
    if prepared.spec.search.trainer == "population":
        _require_populations(populations, prepared.spec)
    return _pool(prepared.spec, populations, slots, per_trial)


def in_rounds(prepared: Prepared, lanes: int, members: int = 1) -> int:
    """Return the slots for lanes that are known from the start, in rounds of equally many; whole trials of members."""
    most = max(members, _most(prepared) // members * members)
    return math.ceil(lanes / math.ceil(lanes / most) / members) * members


def _most(prepared: Prepared) -> int:
    """Return the lanes of plans that are known from the start, at most."""
    from lossreg.training.backends import interface

    return min(_of_block()[1] * interface.blocks(), _lanes_in_memory(lane_bytes(prepared)))


def retraining_pool(prepared: Prepared, problem: Problem, plans: Sequence[Plan], members: int = 1) -> Pool:
    """Return the trainers for plans that are known from the start, as trials of so many members."""
    lanes = len(plans) * members
    populations = Populations(problem, plans, prepared.unmapped, max(lanes, _most(prepared)))
    return _pool(prepared.spec, populations, in_rounds(prepared, lanes, members), members)


def _pool(spec: StudySpec, populations: Populations, slots: int, members: int = 1) -> Pool:
    """Return the trainers that the study allows."""
    from lossreg.training.solo import Fit

    fits = [Fit(populations.problem, members)] if spec.search.trainer != "population" else []
    if spec.is_solo:
        return Pool(fits, members=members)
    return Pool(fits, populations=populations, slots=slots, members=members)


def _require_populations(populations: Populations, spec: StudySpec) -> None:
    """Raise `InputError` if a loss cannot be trained in a population."""
    for plan in populations.variants:
        if reason := populations.refuses(plan):
            where = spec.place("search.trainer")
            raise InputError(f"the population cannot train {plan.candidate}: {reason}", where=where)


def refused(prepared: Prepared, trainers: Pool) -> dict[str, str]:
    """Return the reasons why losses go to `model.fit`, by candidate."""
    plans = {plan.candidate: plan for plan in prepared.proposer.variants()}
    return {candidate: reason for candidate, plan in plans.items() if (reason := trainers.refusal(plan))}


def blocks(trainers: Pool) -> int:
    """Return the number of blocks of lanes that advance in parallel."""
    from lossreg.training.backends import interface

    return min(interface.blocks(), trainers.slots)
