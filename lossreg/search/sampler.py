"""Proposal of the next trial: the fair start, and the sampler after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from lossreg.config.fields import HUB
from lossreg.errors import count_of
from lossreg.search import optuna_samplers
from lossreg.search.optuna_samplers import LEARNS_FROM, failures_named
from lossreg.storage import internals
from lossreg.storage.trials import START

PER_LOSS = 4
FAIR_START = "fair start"
# TPE's own good set has 25 trials at most, and it weighs old ones down
MOST_SEEN = 256
# of values that may not be drawn any more, one after another
MOST_DRAWS = 50
SEEN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class SeededSampler(BaseSampler):
    """One of Optuna's samplers, made anew for each trial, and for each parameter that is drawn alone.

    Its seed is (seed, trial number, parameter), so that a resumed study goes on as an unbroken one. Trials of the fair
    start are drawn at random. Of more than `MOST_SEEN` ended trials it sees the newest, so that a draw takes no
    longer late in a study. allowed: the choices that may be drawn, of parameters that have others too.
    """

    def __init__(
        self, seed: int, kind: str = "tpe", allowed: Mapping[str, Sequence[Any]] = MappingProxyType({})
    ) -> None:
        self._seed, self._kind, self._allowed = seed, kind, allowed
        self._is_of_hub, self._number = kind.startswith(HUB), -1
        self._shown: optuna.Study | None = None
        self._joint: BaseSampler = RandomSampler()

    @property
    def learns(self) -> bool:
        """Return whether what is drawn depends on the trials before."""
        return self._kind != "random"

    @cached_property
    def _make(self) -> Callable[..., BaseSampler]:
        return optuna_samplers.maker(self._kind)

    def _sampler(self, study: optuna.Study, trial: FrozenTrial, parameter: str = "") -> BaseSampler:
        """Return a new sampler for a trial, or for one of its parameters."""
        seed = int(np.random.SeedSequence([self._seed, trial.number, *parameter.encode()]).generate_state(1)[0])
        sampler: BaseSampler = RandomSampler(seed) if START in trial.user_attrs else self._make(seed=seed)
        sampler.before_trial(study, trial)
        return sampler

    def _begin(self, study: optuna.Study, trial: FrozenTrial) -> optuna.Study:
        """Return the study as the samplers of a trial see it: the newest trials, or all where they draw at random."""
        if not self.learns or START in trial.user_attrs:
            return study
        if self._shown is None or trial.number != self._number:
            # Hyperband has a study of each bracket
            is_cut = isinstance(study.pruner, HyperbandPruner)
            trials = study.get_trials(False) if is_cut else internals.cached_trials(study)
            # of several metrics a front is wanted, old trials too
            most = MOST_SEEN if len(study.directions) == 1 else None
            self._shown = internals.View(study, seen(trials, trial.number, most))
            self._number, self._joint = trial.number, self._sampler(self._shown, trial)
        return self._shown

    @cached_property
    def _lasting(self) -> BaseSampler:
        """A sampler that draws nothing, and remembers the parameters that all trials of a study share."""
        return self._make(seed=0)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is sampled together: as a rule the parameters that all trials share."""
        with failures_named(self._kind):
            shown = self._begin(study, trial)
            if shown is study:
                return {}
            if self._is_of_hub or isinstance(study.pruner, HyperbandPruner):
                return self._joint.infer_relative_search_space(shown, trial)
            return self._lasting.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values that are sampled together, without those that may not be drawn."""
        if not search_space:
            return {}
        with failures_named(self._kind):
            shown = self._begin(study, trial)
            values = self._joint.sample_relative(shown, trial, search_space)
        return {name: value for name, value in values.items() if self._is_allowed(name, value)}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a parameter that is sampled alone."""
        with failures_named(self._kind):
            shown = self._begin(study, trial)
            sampler = self._sampler(shown, trial, param_name)
            for _ in range(MOST_DRAWS):
                value = sampler.sample_independent(shown, trial, param_name, param_distribution)
                if self._is_allowed(param_name, value):
                    return value
        allowed = self._allowed[param_name]
        return allowed[trial.number % len(allowed)]

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the sampler note how a trial ended."""
        # others note nothing
        if self._is_of_hub:
            with failures_named(self._kind):
                self._make(seed=trial.number).after_trial(study, trial, state, values)

    def _is_allowed(self, name: str, value: Any) -> bool:
        return name not in self._allowed or value in self._allowed[name]


def seen(trials: Sequence[FrozenTrial], number: int, most: int | None = MOST_SEEN) -> list[FrozenTrial]:
    """Return the newest trials without trial `number`: so many that have ended at most, and those that run."""
    shown: list[FrozenTrial] = []
    ended = 0
    for trial in reversed(trials):
        if trial.state in SEEN and trial.number != number:
            shown.append(trial)
            ended += trial.state != TrialState.RUNNING
        if ended == most:
            break
    return shown[::-1]


def enqueue_start(
    study: optuna.Study, published: Mapping[str, Mapping[str, Any] | None], trials: int,
    stands: Callable[[FrozenTrial], bool] = lambda trial: trial.state != TrialState.FAIL,
) -> None:  # fmt: skip
    """Queue the fair start: every loss as published, then with random parameters in turn, `PER_LOSS` trials each.

    published maps each candidate to Optuna parameters. One without parameters is trained once; None stands for a
    missing loss, of which nothing is queued. Entries of which `stands` is true are left alone, others queued again.
    """
    trials_so_far = study.get_trials(deepcopy=False)
    done = {trial.user_attrs.get(START) for trial in trials_so_far if stands(trial)}
    candidates = list(published)
    for number in range(min(trials, PER_LOSS * len(candidates))):
        candidate, first = candidates[number % len(candidates)], number < len(candidates)
        params = published[candidate]
        if number not in done and params is not None and (first or params):
            study.enqueue_trial({"loss": candidate, **(params if first else {})}, user_attrs={START: number})


def undirected(published: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the number of trials before the first that depends on scores: the fair start, or what TPE needs."""
    start = sum(PER_LOSS if searched else 1 for searched in published.values())
    return max(start, LEARNS_FROM)


def undirected_note(published: Mapping[str, Mapping[str, Any]], trials: int) -> str:
    """Return a line for a study whose sampler chooses less than half of the trials; empty for others.

    That is one of fewer than twice `PER_LOSS` trials for each loss.
    """
    before = undirected(published)
    left = max(0, trials - before)
    if 2 * left >= trials:
        return ""
    losses = count_of(len(published), "loss", "losses")
    at_least = f", and it takes {LEARNS_FROM} trials to learn from" if before == LEARNS_FROM else ""
    few = trials // 2 // PER_LOSS if trials >= 2 * LEARNS_FROM else 0
    fewer = f", or search at most {few} losses, the baseline included" if 1 < few < len(published) else ""
    return (
        f"{FAIR_START}: every loss is tried as published and then at random, {PER_LOSS} trials each, before the "
        f"sampler learns from scores{at_least}. With {losses} it chooses from trial {before + 1:,} on: "
        f"{f'{left:,}' if left else 'none'} of {count_of(trials, 'trial')}. Set search.trials to {2 * before}{fewer}"
    )


def untried_note(published: Mapping[str, Mapping[str, Any]], trials: int) -> str:
    """Return a line that names the losses for which a study has no trial; empty where each has one."""
    names = list(published)[trials:]
    if not names:
        return ""
    return (
        f"{FAIR_START}: {count_of(trials, 'trial is', 'trials are')} fewer than the {len(published)} losses, so "
        f"{', '.join(names)} {'gets' if len(names) == 1 else 'get'} none, and no loss can be called the best. "
        f"Set search.trials to {len(published)} or more"
    )


def one_wave_note(published: Mapping[str, Mapping[str, Any]], trials: int, lanes: int, members: int) -> str:
    """Return a line for a study all of whose trials run at once, though its sampler could learn; empty for others.

    members: the lanes of a trial.
    """
    before = undirected(published)
    if lanes < trials * members or trials <= before:
        return ""
    return (
        f"{FAIR_START}: all {trials:,} trials run at once, so the sampler learns from no score. With search.lanes = "
        f"{before * members} it chooses the last {trials - before:,}"
    )
