"""Which trainers carry a study out, and how many trials at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossreg.errors import InputError
from lossreg.sampler import PER_LOSS
from lossreg.trainers.pool import Pool

if TYPE_CHECKING:
    from lossreg.preflight import Prepared
    from lossreg.study import StudySpec
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


def pool(prepared: Prepared, slots: int) -> Pool:
    """The trainers that the study's losses need; raises `InputError` where the study forbids `model.fit`."""
    from lossreg.trainers.fit import Fit

    wanted, problem = prepared.spec.search.trainer, prepared.problem
    if wanted == "fit":
        return Pool([Fit(problem)])
    found = populations(prepared, slots)
    why = {label: reason for label in prepared.candidates if (reason := _refusal(found, label))}
    if why and wanted == "population":
        label, reason = next(iter(why.items()))
        raise InputError(f"the population cannot train {label}: {reason}", where=prepared.spec.place("search.trainer"))
    used = [one for one in found if not all(one.refuses(label) for label in prepared.candidates)]
    return Pool([*used, Fit(problem)] if why else used, reasons=why, most=slots)


def populations(prepared: Prepared, slots: int) -> list[Population]:
    """One population for each width of raw scores that the losses need, the slots shared out by their losses."""
    from lossreg.trainers.population import Population, widths

    problem, variants = prepared.problem, list(prepared.proposer.variants())
    needed = [problem.outputs(label) for label in problem.losses]
    return [
        Population(
            problem, -(-slots * needed.count(width) // len(needed)), outputs=width, variants=variants,
            unmapped=prepared.unmapped,
        )
        for width in widths(problem)
    ]  # fmt: skip


def _refusal(found: Sequence[Population], label: str) -> str:
    """Why no population takes a loss, in the words of the one of its width; empty if one does."""
    width = found[0].problem.outputs(label)
    return next(one.refuses(label) for one in found if one.outputs == width)


def refused(prepared: Prepared, trainers: Pool) -> dict[str, str]:
    """Why losses go to `model.fit`, by label."""
    return {label: reason for label in prepared.candidates if (reason := trainers.trainer(label)[1])}


def blocks(trainers: Pool) -> int:
    """How many sets of lanes advance side by side."""
    return max(len(getattr(trainer, "blocks", ())) or 1 for trainer in trainers.trainers)
