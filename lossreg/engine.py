"""Which trainers carry a study out, and how many trials at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lossreg.errors import InputError
from lossreg.trainers.pool import Pool

if TYPE_CHECKING:
    from lossreg.preflight import Prepared
    from lossreg.study import StudySpec

LANES_PER_CORE = 16
ROUNDS = 4


def lanes(spec: StudySpec, prepared: Prepared) -> int:
    """As many slots as the study says, or enough for every core and for the sampler to learn a few times."""
    from lossreg.trainers.population import cores

    if isinstance(spec.search.lanes, int):
        return min(spec.search.lanes, prepared.trials)
    most = LANES_PER_CORE * cores()
    return min(prepared.trials, most, max(LANES_PER_CORE, math.ceil(prepared.trials / ROUNDS)))


def pool(prepared: Prepared, slots: int) -> Pool:
    """The trainers that the study's losses need; raises `InputError` where the study forbids `model.fit`."""
    from lossreg.trainers.fit import Fit
    from lossreg.trainers.population import Population

    wanted, problem = prepared.spec.search.trainer, prepared.problem
    if wanted == "fit":
        return Pool([Fit(problem)])
    population = Population(problem, slots, variants=prepared.proposer.variants(), unmapped=prepared.unmapped)
    why = {label: reason for label in prepared.candidates if (reason := population.refuses(label))}
    if why and wanted == "population":
        label, reason = next(iter(why.items()))
        raise InputError(f"the population cannot train {label}: {reason}", where=prepared.spec.place("search.trainer"))
    if len(why) == len(prepared.candidates):
        return Pool([Fit(problem)], reasons=why)
    return Pool([population, Fit(problem)] if why else [population])


def refused(prepared: Prepared, trainers: Pool) -> dict[str, str]:
    """Why losses go to `model.fit`, by label."""
    return {label: reason for label in prepared.candidates if (reason := trainers.trainer(label)[1])}


def blocks(trainers: Pool) -> int:
    """How many sets of lanes advance side by side."""
    return sum(len(getattr(trainer, "blocks", ())) or 1 for trainer in trainers.trainers)
