"""Which trainers carry a study out, and how many trials at a time."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from lossreg.errors import InputError
from lossreg.sampler import PER_LOSS
from lossreg.trainers.pool import Pool

if TYPE_CHECKING:
    from lossreg.preflight import Prepared
    from lossreg.study import StudySpec
    from lossreg.trainers.base import Plan
    from lossreg.trainers.population import Population

LANES_PER_CORE, MOST_PER_CORE = 16, 48
ROUNDS = 4


def lanes(spec: StudySpec, prepared: Prepared) -> int:
    """As many slots as the study says, or enough for every core and for the sampler to learn a few times.

    The fair start learns nothing, so all of it may be under way at once: a step of many lanes is cheaper a lane.
    """
    from lossreg.trainers.population import cores

    if isinstance(spec.search.lanes, int):
        return min(spec.search.lanes, prepared.trials)
    usual = min(LANES_PER_CORE * cores(), max(LANES_PER_CORE, math.ceil(prepared.trials / ROUNDS)))
    start = min(MOST_PER_CORE * cores(), PER_LOSS * len(prepared.candidates))
    return min(prepared.trials, max(usual, start))


class Populations:
    """Makes the populations of a study: one for each width of raw scores and each shape that plans have."""

    def __init__(self, prepared: Prepared, slots: int) -> None:
        self.prepared, self.slots, self.problem = prepared, slots, prepared.problem
        self.variants = list(prepared.proposer.variants())
        plans = {self.key(plan): plan for plan in reversed(self.variants)}
        self.first = list(reversed(plans.values()))
        self._reasons: dict[Hashable, dict[str, str]] = {}

    def key(self, plan: Plan) -> Hashable:
        """The plan's width of raw scores and its shape."""
        return self.problem.outputs(plan.label), self.problem.shape(plan)

    def refuses(self, plan: Plan) -> str:
        """Why no population takes the plan, from one that is made for the question; empty if one does."""
        key = self.key(plan)
        if key not in self._reasons:
            made = self.make(plan, slots=1)
            self._reasons[key] = {label: made.refuses(label) for label in self.problem.losses}
            made.shutdown()
        return self._reasons[key][plan.label]

    def make(self, plan: Plan, slots: int = 0) -> Population:
        """A population for the plan's width and shape."""
        from lossreg.trainers.population import Population

        shape: dict[str, Any] = {"shape": plan.shape} if plan.shape else {}
        return Population(
            self.problem, slots or self.slots, outputs=self.problem.outputs(plan.label), variants=self.variants,
            unmapped=self.prepared.unmapped, **shape,
        )  # fmt: skip


def pool(prepared: Prepared, slots: int) -> Pool:
    """The trainers that the study's losses need; raises `InputError` where the study forbids `model.fit`."""
    from lossreg.trainers.fit import Fit

    wanted, problem = prepared.spec.search.trainer, prepared.problem
    if wanted == "fit":
        return Pool([Fit(problem)])
    made = Populations(prepared, slots)
    if wanted == "population":
        _insist(made)
        return Pool([], crowds=made, most=slots)
    return Pool([Fit(problem)], crowds=made, most=slots)


def _insist(made: Populations) -> None:
    """Raise `InputError` if a loss cannot be trained in a population."""
    for plan in made.variants:
        if reason := made.refuses(plan):
            where = made.prepared.spec.place("search.trainer")
            raise InputError(f"the population cannot train {plan.label}: {reason}", where=where)


def refused(prepared: Prepared, trainers: Pool) -> dict[str, str]:
    """Why losses go to `model.fit`, by label."""
    plans = {plan.label: plan for plan in prepared.proposer.variants()}
    return {label: reason for label, plan in plans.items() if (reason := trainers.trainer(plan)[1])}


def blocks(trainers: Pool) -> int:
    """How many sets of lanes advance side by side."""
    return max((len(getattr(trainer, "blocks", ())) or 1 for trainer in trainers.trainers), default=1)
