"""Private names of Optuna that lossreg needs; they are used here alone."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState


def storage(study: optuna.Study) -> BaseStorage:
    """Return the storage of a study."""
    return study._storage


def trial_id(trial: FrozenTrial) -> int:
    """Return the number by which a storage knows a trial."""
    return int(trial._trial_id)


def running(study: optuna.Study, trial: FrozenTrial) -> optuna.Trial:
    """Return a trial that runs as what takes values and reports."""
    return optuna.Trial(study, trial_id(trial))


def cached_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of a study, which are not to be changed; during one ask they are read once."""
    return list(study._get_trials(deepcopy=False, use_cache=True))


def contains(distribution: BaseDistribution, internal: float) -> bool:
    """Return whether a distribution has a value, in the form in which a storage keeps it."""
    return bool(distribution._contains(internal))


class View(optuna.Study):  # type: ignore[misc]
    """A study with those trials that the sampler sees."""

    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
        super().__init__(study.study_name, storage(study))
        self._seen = trials

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Return those trials that are in one of the states."""
        return [trial for trial in self._seen if states is None or trial.state in states]

    def _get_trials(self, deepcopy: bool = True, states: Any = None, use_cache: bool = False) -> list[FrozenTrial]:
        # what Optuna's own samplers call
        return self.get_trials(deepcopy, states)
