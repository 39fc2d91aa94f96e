"""Proposal of the next trial: the fair start, and the sampler after it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lossreg.errors import count_of
from lossreg.search import optuna_samplers
from lossreg.search.optuna_samplers import LEARNS_FROM, failures_named
from lossreg.storage import internals
from lossreg.storage.trials import START

PER_LOSS = 4
FAIR_START = "fair start"
# TPE's own good set has 25 trials at most, and it weighs old ones down
MOST_SEEN, BEST_SEEN = 256, 25
# of values that may not be drawn any more, one after another
MOST_DRAWS = 50
SEEN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class SeededSampler(BaseSampler):
    """One of Optuna's samplers, made anew for each trial.

    Its seed is (seed, trial number), so that a resumed study goes on as an unbroken one. Trials of the fair start are
    drawn at random. Of more than `MOST_SEEN` ended trials it sees the best and the newest, so that a draw takes no
    longer late in a study. allowed: the choices that may be drawn, of parameters that have others too.
    """

    def __init__(
        self, seed: int, kind: str = "tpe", allowed: Mapping[str, Sequence[Any]] = MappingProxyType({})
    ) -> None:
        self._seed, self._kind, self._allowed = seed, kind, allowed
        self._number = -1
        self._drawing: tuple[optuna.Study, BaseSampler]

    @property
    def learns(self) -> bool:
        """Return whether what is drawn depends on the trials before."""
        return self._kind != "random"

    @cached_property
    def _make(self) -> Callable[..., BaseSampler]:
        return optuna_samplers.maker(self._kind)

    def _of(self, study: optuna.Study, trial: FrozenTrial) -> tuple[optuna.Study, BaseSampler]:
        """Return what the sampler of a trial sees of the study, and the sampler."""
        if trial.number != self._number:
            is_random = START in trial.user_attrs or not self.learns
            seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
            shown = study if is_random else internals.View(study, seen(study, trial.number))
            sampler: BaseSampler = RandomSampler(seed) if is_random else self._make(seed=seed)
            sampler.before_trial(shown, trial)
            self._number, self._drawing = trial.number, (shown, sampler)
        return self._drawing

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is sampled together: as a rule the parameters that all trials share."""
        with failures_named(self._kind):
            shown, sampler = self._of(study, trial)
            return sampler.infer_relative_search_space(shown, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values that are sampled together, without those that may not be drawn."""
        with failures_named(self._kind):
            shown, sampler = self._of(study, trial)
            values = sampler.sample_relative(shown, trial, search_space)
        return {name: value for name, value in values.items() if self._is_allowed(name, value)}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a parameter that is sampled alone."""
        with failures_named(self._kind):
            shown, sampler = self._of(study, trial)
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
        with failures_named(self._kind):
            self._make(seed=trial.number).after_trial(study, trial, state, values)

    def _is_allowed(self, name: str, value: Any) -> bool:
        return name not in self._allowed or value in self._allowed[name]


def seen(study: optuna.Study, number: int) -> list[FrozenTrial]:
    """Return the trials that the sampler of trial `number` sees: all others that run, the best, and the newest."""
    # of one bracket at a time
    is_cut = isinstance(study.pruner, HyperbandPruner)
    trials = study.get_trials(False) if is_cut else internals.cached_trials(study)
    usable = [trial for trial in trials if trial.state in SEEN and trial.number != number]
    ended = [trial for trial in usable if trial.state != TrialState.RUNNING]
    # the best by several metrics are no few trials
    if len(ended) <= MOST_SEEN or len(study.directions) > 1:
        return usable
    left_out = {trial.number for trial in ended[: BEST_SEEN - MOST_SEEN]} - best(ended, study.direction)
    return [trial for trial in usable if trial.number not in left_out]


def best(trials: Sequence[FrozenTrial], direction: StudyDirection) -> set[int]:
    """Return the numbers of the `BEST_SEEN` trials with the best values; of equals the first.

    Those that violate no constraint come first, then those that violate them least.
    """
    sign = 1.0 if direction == StudyDirection.MAXIMIZE else -1.0
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    # reading them takes longer than the rest
    is_constrained = any(trial.constraints for trial in complete[:1])

    def key(trial: FrozenTrial) -> tuple[float, float]:
        violation = sum(max(value, 0.0) for value in trial.constraints.values()) if is_constrained else 0.0
        return -violation, sign * trial.value

    return {trial.number for trial in heapq.nlargest(BEST_SEEN, complete, key=key)}


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
    few = trials // 2 // PER_LOSS if trials >= 2 * LEARNS_FROM else 0
    fewer = f", or search at most {few} losses, the baseline included" if 1 < few < len(published) else ""
    return (
        f"{FAIR_START}: every loss is tried as published and then at random, {PER_LOSS} trials each, before the "
        f"sampler learns from scores. With {len(published)} losses it chooses from trial {before + 1:,} on: "
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
        f"{FAIR_START}: all {trials} trials run at once, so the sampler learns from no score. With search.lanes = "
        f"{before * members} it chooses the last {trials - before}"
    )
