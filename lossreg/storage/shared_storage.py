"""`SharedStorage`: Optuna's storage as one of several workers uses it, with as few calls to the server as will do.

The scores of a trial's epochs are not written one by one: they stay in memory while it runs, and are read from its
record when it has ended, so that pruners and samplers find them as usual.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Container, Sequence
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from lossreg.storage import internals
from lossreg.storage.server import Forwarding
from lossreg.storage.trials import ATTRIBUTE, OWNER

# what TPE notes of a trial until its parameters, which say the same, are written
PASSING = "tpe:"
# seconds for which the trials that were read are new enough for a pruner, or so many times what reading them took, so
# that a storage with many workers does other things too
FRESH, TIMES = 1.0, 20


class SharedStorage(Forwarding):
    """Marks the trials that it starts with their owner, `owner()`, and knows what it wrote itself without asking."""

    def __init__(self, inner: BaseStorage, owner: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(inner)
        self._owner, self._now = owner, now
        self._mine: dict[int, FrozenTrial] = {}
        self._ended: dict[int, FrozenTrial] = {}
        self._read: list[FrozenTrial] = []
        self._read_at, self._fresh = -math.inf, FRESH
        self._study_id = -1
        self._latest: FrozenTrial | None = None
        self._about: dict[tuple[str, Any], Any] = {}

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the number of a study, which does not change."""
        return int(self._once("get_study_id_from_name", study_name))

    def get_study_directions(self, study_id: int) -> Any:
        """Return the directions of a study, which do not change."""
        return self._once("get_study_directions", study_id)

    def _once(self, name: str, argument: Any) -> Any:
        if (name, argument) not in self._about:
            self._about[name, argument] = getattr(self._inner, name)(argument)
        return self._about[name, argument]

    def refresh(self) -> None:
        """Have trials read anew when they are next asked for."""
        self._read_at = -math.inf

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; one that runs has its owner from the first moment."""
        self.refresh()
        if template_trial is None:
            template_trial = create_trial(state=TrialState.RUNNING, user_attrs={OWNER: self._owner()})
        trial_id: int = self._inner.create_new_trial(study_id, template_trial)
        if template_trial.state == TrialState.RUNNING:
            self._take(study_id, trial_id)
        return trial_id

    def _take(self, study_id: int, trial_id: int) -> None:
        """Know a trial that this worker has begun; all others are read with it, as it is asked for them next."""
        self._read_all(study_id)
        position = next(i for i, trial in enumerate(self._read) if internals.trial_id(trial) == trial_id)
        self._mine[trial_id] = self._read[position] = copy.deepcopy(self._read[position])

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Start a trial that waited, unless another worker does, or end one."""
        self.refresh()
        ended = self._mine.pop(trial_id, None) if state.is_finished() else None
        is_changed = bool(self._inner.set_trial_state_values(trial_id, state, values))
        if ended is not None:
            # Optuna looks at it once more
            ended.state, ended.values, self._latest = state, list(values) if values else None, ended
        if state == TrialState.RUNNING and is_changed:
            self._inner.set_trial_user_attr(trial_id, OWNER, self._owner())
            self._take(self._study_id, trial_id)
        return is_changed

    def set_trial_param(self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any) -> None:
        """Write a parameter."""
        self._inner.set_trial_param(trial_id, param_name, param_value_internal, distribution)
        if trial := self._mine.get(trial_id):
            trial.params[param_name] = distribution.to_external_repr(param_value_internal)
            trial.distributions[param_name] = distribution

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Note the score of an epoch, in memory."""
        if trial := self._mine.get(trial_id):
            trial.intermediate_values[step] = intermediate_value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write an attribute."""
        self._inner.set_trial_user_attr(trial_id, key, value)
        if trial := self._mine.get(trial_id):
            trial.user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write an attribute of Optuna's own."""
        trial = self._mine.get(trial_id)
        if trial is None or not key.startswith(PASSING):
            self._inner.set_trial_system_attr(trial_id, key, value)
        if trial is not None:
            trial.system_attrs[key] = value

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return the attributes of Optuna's own."""
        return dict(self.get_trial(trial_id).system_attrs)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; of one that this worker runs what it knows, of others the scores of their epochs, if told."""
        if self._latest is not None and internals.trial_id(self._latest) == trial_id:
            return self._latest
        return self._mine.get(trial_id) or with_curve(self._inner.get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials by number as they were about `FRESH` seconds ago, or after the last `refresh`."""
        if self._now() - self._read_at >= self._fresh:
            self._read_all(study_id)
        if states is None and not deepcopy:
            return self._read
        trials = [trial for trial in self._read if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _read_all(self, study_id: int) -> None:
        self._study_id, began = study_id, self._now()
        self._read = [self._known(trial) for trial in self._inner.get_all_trials(study_id, deepcopy=False)]
        self._read_at = self._now()
        self._fresh = max(FRESH, TIMES * (self._read_at - began))

    def _known(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial with the scores of its epochs."""
        if not trial.state.is_finished():
            return self._mine.get(internals.trial_id(trial), trial) if trial.state == TrialState.RUNNING else trial
        if trial.number not in self._ended:
            self._ended[trial.number] = with_curve(trial)
        return self._ended[trial.number]


def with_curve(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial with the scores of its epochs, from its record, if there is one, as what it reported."""
    record = trial.user_attrs.get(ATTRIBUTE) or {}
    curve = record.get("curves", {}).get("val_score", ())
    if not curve or trial.intermediate_values:
        return trial
    shown = copy.copy(trial)
    shown.intermediate_values = {epoch: score for epoch, score in enumerate(curve, start=1) if score is not None}
    return shown
