"""What is tried next: the fair start, the sampler behind it, and the baseline's due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

START = "lossreg:start"
PER_LOSS = 4


class SeededSampler(BaseSampler):
    """TPE (or random), seeded anew for every trial from (seed, trial number).

    A sampler seeded once would repeat its first trials when a study is resumed. Trials of
    the fair start, and those that a test of the sampler's kind asks for, are drawn at random.
    """

    def __init__(self, seed: int, kind: str = "tpe") -> None:
        self._seed, self._kind = seed, kind
        self._number, self._delegate = -1, RandomSampler()

    def _for(self, trial: FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
            plain = self._kind == "random" or START in trial.user_attrs
            self._number = trial.number
            self._delegate = RandomSampler(seed) if plain else TPESampler(seed=seed, multivariate=True)
        return self._delegate

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the delegate does."""
        return self._for(trial).infer_relative_search_space(study, trial)

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

    published maps each label to Optuna parameters. Entries already queued are left alone.
    """
    done = {trial.user_attrs.get(START) for trial in study.get_trials(deepcopy=False)}
    labels = list(published)
    for place in range(min(trials, PER_LOSS * len(labels))):
        if place not in done:
            label = labels[place % len(labels)]
            params = published[label] if place < len(labels) else {}
            study.enqueue_trial({"loss": label, **params}, user_attrs={START: place})


def enqueue_due(study: optuna.Study, baseline: str, remaining: int) -> None:
    """Queue a trial of the baseline once only that lets it end with as many as any other loss."""
    trials = study.get_trials(deepcopy=False, states=None)
    if any(trial.state == TrialState.WAITING for trial in trials):
        return
    counts = Counter(trial.params["loss"] for trial in trials if counts_as_trial(trial) and "loss" in trial.params)
    most = max((count for label, count in counts.items() if label != baseline), default=0)
    # one more trial of the leader and one fewer left must still be made good
    if most - counts[baseline] >= remaining - 1:
        study.enqueue_trial({"loss": baseline})


def counts_as_trial(trial: FrozenTrial) -> bool:
    """Whether a trial uses up the budget: interrupted ones, which run again, do not."""
    return trial.state != TrialState.WAITING and INTERRUPTED not in trial.user_attrs


INTERRUPTED = "lossreg:interrupted"
RETRY_OF = "lossreg:retry_of"


def requeue_interrupted(study: optuna.Study) -> int:
    """Queue again, with the same parameters, every trial that was cut off; the number of them.

    The copy is queued before the original is ended, and recognised afterwards, so that a kill
    in between repeats nothing.
    """
    trials: Sequence[FrozenTrial] = study.get_trials(deepcopy=False)
    copied = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    for trial in running:
        study._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
        if trial.number not in copied:
            attrs = {RETRY_OF: trial.number}
            if START in trial.user_attrs:
                attrs[START] = trial.user_attrs[START]
            study.enqueue_trial(trial.system_attrs.get("fixed_params", {}) | trial.params, user_attrs=attrs)
        study.tell(trial.number, state=TrialState.FAIL)
    return len(running)
