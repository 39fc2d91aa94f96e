"""What is tried next: the fair start and the sampler behind it; and how trials end in Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState

ATTRIBUTE = "lossreg"
TOLD = "told"
START = "lossreg:start"
RETRY_OF = "lossreg:retry_of"
PER_LOSS = 4


class SeededSampler(BaseSampler):
    """TPE (or random), seeded anew for every trial from (seed, trial number).

    A sampler seeded once would repeat its first trials when a study is resumed. Trials of
    the fair start are drawn at random, whatever the kind.
    """

    def __init__(self, seed: int, kind: str = "tpe") -> None:
        self._seed, self._kind = seed, kind
        self._number, self._delegate = -1, RandomSampler()
        self._space = IntersectionSearchSpace(include_pruned=True)

    @property
    def learns(self) -> bool:
        """Whether what is drawn depends on the trials before."""
        return self._kind != "random"

    def _for(self, trial: FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
            plain = self._kind == "random" or START in trial.user_attrs
            self._number = trial.number
            self._delegate = RandomSampler(seed) if plain else TPESampler(seed=seed, multivariate=True)
        return self._delegate

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the delegate does; what all trials have in common is kept from one to the next."""
        delegate = self._for(trial)
        if isinstance(delegate, RandomSampler) or isinstance(study.pruner, HyperbandPruner):
            # Hyperband shows the trials of one bracket at a time
            return delegate.infer_relative_search_space(study, trial)
        space = self._space.calculate(study)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the delegate does."""
        return self._for(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the delegate does."""
        return self._for(trial).sample_independent(study, trial, param_name, param_distribution)


def enqueue_start(study: optuna.Study, published: Mapping[str, Mapping[str, Any]], trials: int) -> None:
    """Queue the fair start: every loss as published, then random settings in turn, `PER_LOSS` each.

    published maps each label to Optuna parameters; where there are none, nothing is searched
    and once is enough. Entries already queued are left alone, failed ones queued again.
    """
    taken = study.get_trials(deepcopy=False)
    done = {trial.user_attrs.get(START) for trial in taken if trial.state != TrialState.FAIL}
    labels = list(published)
    for place in range(min(trials, PER_LOSS * len(labels))):
        label, first = labels[place % len(labels)], place < len(labels)
        if place not in done and (first or published[label]):
            study.enqueue_trial({"loss": label, **(published[label] if first else {})}, user_attrs={START: place})


def counts_as_trial(trial: FrozenTrial) -> bool:
    """Whether a trial uses up the budget: interrupted and failed ones do not, a resumed study runs them again."""
    return trial.state in (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


def tell(study: optuna.Study, number: int, state: str, value: float | None) -> None:
    """End a trial in Optuna as what it was."""
    if state in ("failed", "pruned"):
        study.tell(number, state=TrialState.FAIL if state == "failed" else TrialState.PRUNED)
    else:
        study.tell(number, value)


def requeue_interrupted(study: optuna.Study) -> int:
    """Queue again, with the same parameters, every trial that was cut off; the number of them.

    One that had ended, and was cut off before Optuna was told, is told. A copy is queued
    before its original is ended, and recognised afterwards, so that a kill in between repeats
    nothing.
    """
    trials: Sequence[FrozenTrial] = study.get_trials(deepcopy=False)
    copied = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    again = 0
    for trial in running:
        kept = trial.user_attrs.get(ATTRIBUTE)
        if kept is not None:
            tell(study, trial.number, kept["state"], kept[TOLD])
            continue
        again += 1
        if trial.number not in copied:
            _copy(study, trial)
        study.tell(trial.number, state=TrialState.FAIL)
    return again


def _copy(study: optuna.Study, trial: FrozenTrial) -> None:
    attrs = {RETRY_OF: trial.number}
    if START in trial.user_attrs:
        attrs[START] = trial.user_attrs[START]
    study.enqueue_trial(trial.system_attrs.get("fixed_params", {}) | trial.params, user_attrs=attrs)
