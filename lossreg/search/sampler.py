"""Proposal of the next trial: the fair start, and the sampler after it."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lossreg.errors import count_of
from lossreg.storage import internals
from lossreg.storage.trials import START

PER_LOSS = 4
FAIR_START = "fair start"
# ended trials from which TPE learns; Optuna's default, given to it below
LEARNS_FROM = 10
# TPE's own good set has 25 trials at most, and it weighs old ones down
MOST_SEEN, BEST_SEEN = 256, 25
# of values that may not be drawn any more, one after another
MOST_DRAWS = 50
Drawn = TypeVar("Drawn")
SEEN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class Memory:
    """The trials that `seen` may choose, for which every ended trial of a study is looked at once.

    Of the trials before the first that runs or waits it keeps `BEST_SEEN` of the best, and of the newest one more than
    `MOST_SEEN`, so that `seen` knows that there are more.
    """

    def __init__(self) -> None:
        self._count = 0
        self._best: list[FrozenTrial] = []
        self._newest: deque[FrozenTrial] = deque(maxlen=MOST_SEEN + 1)

    def updated(self, trials: Sequence[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
        """Return what `seen` may choose of all trials of a study by number."""
        later = itertools.islice(trials, self._count, None)
        ended = list(itertools.takewhile(lambda trial: trial.state.is_finished(), later))
        self._count += len(ended)
        usable = [trial for trial in ended if trial.state in SEEN]
        self._best = best([*self._best, *usable], direction)
        self._newest.extend(usable)
        before = {trial.number: trial for trial in (*self._best, *self._newest)}
        return [*map(before.__getitem__, sorted(before)), *(t for t in trials[self._count :] if t.state in SEEN)]


class SeededSampler(BaseSampler):
    """TPE (or random), seeded for each trial from (seed, trial number).

    A sampler seeded once would repeat its first trials when a study is resumed. Trials of the fair start are always
    drawn at random. Of more than `MOST_SEEN` ended trials TPE sees the best and the newest, so that a suggestion
    takes no longer late in a study. allowed: the choices that may be drawn, of parameters that have others too.
    """

    def __init__(
        self, seed: int, kind: str = "tpe", allowed: Mapping[str, Sequence[Any]] = MappingProxyType({})
    ) -> None:
        self._seed, self._kind, self._allowed = seed, kind, allowed
        self._number, self._delegate = -1, RandomSampler()
        self._space = IntersectionSearchSpace(include_pruned=True)
        self._view: internals.View | None = None
        self._drawn: set[str] = set()
        self._together: set[str] = set()
        self._memory = Memory()

    @property
    def learns(self) -> bool:
        """Return whether what is drawn depends on the trials before."""
        return self._kind != "random"

    def _for(self, study: optuna.Study, trial: FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
            plain = self._kind == "random" or START in trial.user_attrs
            self._number = trial.number
            self._delegate = (
                RandomSampler(seed) if plain else TPESampler(seed=seed, multivariate=True, n_startup_trials=LEARNS_FROM)
            )
            self._drawn, self._together = set(), set()
            self._view = None if plain else internals.View(study, seen(self._remembered(study), study.direction))
        return self._delegate

    def _remembered(self, study: optuna.Study) -> list[FrozenTrial]:
        if isinstance(study.pruner, HyperbandPruner):
            # the trials of one bracket at a time
            return study.get_trials(False, SEEN)
        return self._memory.updated(internals.cached_trials(study), study.direction)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the search space that all trials share, computed incrementally."""
        delegate = self._for(study, trial)
        if isinstance(delegate, RandomSampler):
            return delegate.infer_relative_search_space(study, trial)
        if isinstance(study.pruner, HyperbandPruner):
            return delegate.infer_relative_search_space(self._view or study, trial)
        space = self._space.calculate(study, use_cache=True)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values that the delegate samples together."""
        delegate = self._for(study, trial)

        def drawn() -> dict[str, Any]:
            return delegate.sample_relative(self._view or study, trial, search_space)

        values = self._repeated(drawn, lambda values: all(self._is_allowed(*value) for value in values.items()))
        values = {name: value for name, value in values.items() if self._is_allowed(name, value)}
        self._together = set(values)
        return values

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value that the delegate samples by itself."""
        delegate = self._for(study, trial)

        def drawn() -> Any:
            return delegate.sample_independent(self._view or study, trial, param_name, param_distribution)

        self._draw_again(study, trial)
        self._drawn.add(param_name)
        value = self._repeated(drawn, lambda value: self._is_allowed(param_name, value))
        if self._is_allowed(param_name, value):
            return value
        allowed = self._allowed[param_name]
        return allowed[trial.number % len(allowed)]

    def _draw_again(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Draw what a run drew that was cut off between two parameters, so that the next draw is what it had been."""
        drawn = {*self._drawn, *self._together, *trial.system_attrs.get("fixed_params", ())}
        for name, distribution in trial.distributions.items():
            # Optuna draws nothing where there is one value
            if name not in drawn and not distribution.single():
                self._drawn.add(name)
                self._delegate.sample_independent(self._view or study, trial, name, distribution)

    def _is_allowed(self, name: str, value: Any) -> bool:
        return name not in self._allowed or value in self._allowed[name]

    @staticmethod
    def _repeated(draw: Callable[[], Drawn], accepts: Callable[[Drawn], bool]) -> Drawn:
        """Return the first draw that is accepted, or the last of `MOST_DRAWS`."""
        value = draw()
        for _ in range(MOST_DRAWS):
            if accepts(value):
                break
            value = draw()
        return value


def seen(trials: Sequence[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """Of trials by number those that TPE is shown: all that run, `BEST_SEEN` of the best, and the newest."""
    ended = [trial for trial in trials if trial.state != TrialState.RUNNING]
    if len(ended) <= MOST_SEEN:
        return list(trials)
    shown = {trial.number for trial in (*best(ended, direction), *ended[BEST_SEEN - MOST_SEEN :])}
    return [trial for trial in trials if trial.state == TrialState.RUNNING or trial.number in shown]


def best(trials: Iterable[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """Return `BEST_SEEN` of the complete trials, those with the best values; of equals the first."""
    sign = 1.0 if direction == StudyDirection.MAXIMIZE else -1.0
    complete = (trial for trial in trials if trial.state == TrialState.COMPLETE)
    return sorted(heapq.nlargest(BEST_SEEN, complete, key=lambda trial: sign * trial.value), key=lambda t: t.number)


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
