"""Choices of a parameter in Optuna, which keeps those that it began with: a study that changes has old and new ones.

Later trials are asked for with all choices that the study has had, and its sampler draws those that are `allowed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from lossreg.config.search_space import Options, PerClassRange, Range, Space
from lossreg.search.proposer import Proposer
from lossreg.storage import internals
from lossreg.storage.trials import START

Distributions = Mapping[str, BaseDistribution]
LOSS = "loss"


def of_trials(trials: Iterable[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the distribution that each parameter had last."""
    return by_name({str(trial.number): trial.distributions for trial in trials})


def asked(proposer: Proposer) -> dict[str, Distributions]:
    """Return the distributions that a trial of each candidate asks for."""
    study = optuna.create_study(sampler=RandomSampler(0))
    by_candidate = {}
    for candidate in proposer.names:
        study.enqueue_trial({LOSS: candidate})
        trial = study.ask()
        proposer.suggest(trial)
        by_candidate[candidate] = trial.distributions
    return by_candidate


def by_name(distributions: Mapping[str, Distributions]) -> dict[str, BaseDistribution]:
    """Return the distributions of all candidates, or trials, by parameter."""
    return {name: distribution for several in distributions.values() for name, distribution in several.items()}


def rescaled(spaces: Mapping[str, Space], before: Distributions) -> list[str]:
    """Return the keys of a study file whose search space is of another kind or scale than what trials drew from."""
    return [key for key, space in spaces.items() if unlike(before, _drawn(key.partition(".")[2], space, before))]


def _drawn(name: str, space: Space, before: Distributions) -> Distributions:
    """Return what a parameter that trials have would be drawn from, one of each class by its name there."""
    if isinstance(space, Options):
        return {name: CategoricalDistribution(space.choices)}
    if isinstance(space, Range):
        kind = IntDistribution if space.integer else FloatDistribution
        return {name: kind(space.low, space.high, log=space.log)}
    if not isinstance(space, PerClassRange):
        return {}
    of_classes = [other for other in before if other.startswith(f"{name}.") and other != f"{name}.tau"]
    return dict.fromkeys(of_classes, FloatDistribution(space.low, space.high, log=space.log))


def unlike(before: Distributions, now: Distributions) -> list[str]:
    """Return the parameters whose kind or scale is another than before, which Optuna does not take."""
    return [name for name in now if name in before and not _is_alike(before[name], now[name])]


def _is_alike(before: BaseDistribution, now: BaseDistribution) -> bool:
    if isinstance(before, CategoricalDistribution) and isinstance(now, CategoricalDistribution):
        return True
    try:
        check_distribution_compatibility(before, now)
    except ValueError:
        return False
    return True


def allows(proposer: Proposer, distribution: BaseDistribution | None, name: str, value: Any) -> bool:
    """Return whether a parameter may have a value; distribution: None where it is not asked for."""
    if isinstance(distribution, CategoricalDistribution):
        return value in proposer.allowed.get(name, distribution.choices)
    return distribution is not None and internals.contains(distribution, distribution.to_internal_repr(value))


def joined(proposer: Proposer, before: Distributions, now: Distributions) -> Proposer:
    """Return a proposer that asks for the choices of earlier trials too, and allows those that it has itself."""
    every, allowed = {}, {}
    for name, distribution in now.items():
        former = before.get(name)
        if not isinstance(distribution, CategoricalDistribution) or not isinstance(former, CategoricalDistribution):
            continue
        new = tuple(choice for choice in distribution.choices if choice not in former.choices)
        every[name] = (*former.choices, *new)
        present = proposer.names if name == LOSS else distribution.choices
        if set(every[name]) != set(present):
            allowed[name] = tuple(present)
    losses = every.pop(LOSS, tuple(proposer.names))
    return replace(proposer, every=losses, choices=every, allowed=allowed)


def needs_more(before: Distributions, proposer: Proposer) -> bool:
    """Return whether the trials that a study has must be given more choices first."""
    every = {**proposer.choices, LOSS: proposer.every}
    return any(_choices(before[name]) != tuple(choices) for name, choices in every.items() if name in before)


def widened(trial: FrozenTrial, before: Distributions, proposer: Proposer) -> FrozenTrial:
    """Return a trial with all choices of a study, and its place in the fair start of all candidates."""
    every, losses = {**proposer.choices, LOSS: proposer.every}, _choices(before[LOSS])
    trial.distributions = {
        name: CategoricalDistribution(every[name]) if name in every else distribution
        for name, distribution in trial.distributions.items()
    }
    if START in trial.user_attrs:
        turn, place = divmod(trial.user_attrs[START], len(losses))
        trial.set_user_attr(START, turn * len(proposer.every) + place)
    return trial


def _choices(distribution: BaseDistribution) -> tuple[Any, ...]:
    return tuple(distribution.choices) if isinstance(distribution, CategoricalDistribution) else ()
