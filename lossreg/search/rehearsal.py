"""Every loss of a study is tried on a batch before any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lossreg.errors import InputError, contained, one_line
from lossreg.search.mistakes import located

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.training.interface import Plan

CALLED_BACK = (
    "own callbacks, so that trials are trained one after the other with model.fit, each in a graph of its own: about "
    "ten times the processor time of lanes for a small model"
)


def rehearse(prepared: Prepared) -> tuple[Mapping[str, str], list[str]]:
    """Try every loss on a batch, with every combination of static parameters; raises `InputError` where one fails.

    Returns, by candidate, why its loss cannot be mapped over lanes.
    """
    from lossreg.training import own_callbacks
    from lossreg.training.backends import interface
    from lossreg.training.mappable_losses import NoGradientError
    from lossreg.training.population import group_of

    problem, plans = prepared.problem, list(prepared.proposer.variants())
    if problem.callbacks:
        asked = problem.callbacks, problem.metric.name
        located(prepared.spec, "train.callbacks", own_callbacks.check, *asked, scheduled=bool(problem.schedule))
    for plan in plans:
        group_of(problem, plan)  # all are known before the first is traced, for the width of their arguments
    reasons: dict[str, str] = {}
    without_gradient: dict[str, list[Plan]] = {}
    for plan in plans:
        try:
            reason = _tried(prepared, plan)
        except NoGradientError as error:
            without_gradient.setdefault(plan.candidate, []).append(plan)
            if len(without_gradient[plan.candidate]) == sum(other.candidate == plan.candidate for other in plans):
                raise error.at(prepared.spec.place(f"losses.{plan.candidate}")) from error
        else:
            reasons |= {plan.candidate: reason} if reason else {}
    notes = [_no_gradient(plan) for tried in without_gradient.values() for plan in tried]
    if problem.callbacks:
        notes.append(f"{problem.callbacks.reference}: {CALLED_BACK}")
    if not prepared.spec.is_solo:
        notes += filter(None, [interface.note()])
    return reasons, notes


def _tried(prepared: Prepared, plan: Plan) -> str:
    """Return why the loss of a plan cannot be mapped over lanes, empty where it can."""
    from lossreg.training import mappable_losses

    where = prepared.spec.place(f"losses.{plan.candidate}")
    try:
        with contained():
            return mappable_losses.rehearse(prepared.problem, plan)
    except mappable_losses.NoGradientError:
        raise
    except InputError as error:
        raise error.at(where) from error
    except Exception as error:
        entry, loss = prepared.candidates[plan.candidate].entry, prepared.problem.losses[plan.candidate].name
        what = f"the loss {loss} ({entry.distribution or entry.plugin}) fails on a batch: {one_line(error)}"
        raise InputError(what, where=where) from error


def _no_gradient(plan: Plan) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in plan.params.items())
    return f"{plan.candidate} has no gradient with {given}: such trials learn nothing"
