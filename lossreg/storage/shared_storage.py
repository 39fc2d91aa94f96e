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

from lossreg.storage.server import Forwarding
from lossreg.storage.trials import ATTRIBUTE, OWNER

# seconds for which the trials that were read are new enough for a pruner
FRESH = 1.0


class SharedStorage(Forwarding):
    """Marks the trials that it starts with their owner, `owner()`, and knows what it wrote itself without asking."""

    def __init__(self, inner: BaseStorage, owner: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(inner)
        self._owner, self._now = owner, now
        self._mine: dict[int, FrozenTrial] = {}
        self._ended: dict[int, FrozenTrial] = {}
        self._read: list[FrozenTrial] = []
        self._read_at = -math.inf

    def refresh(self) -> None:
        """Have trials read anew when they are next asked for."""
        self._read_at = -math.inf

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; one that runs has its owner from the first moment."""
        self.refresh()
        if template_trial is None:
            template_trial = create_trial(state=TrialState.RUNNING, user_attrs={OWNER: self._owner()})
        number: int = self._inner.create_new_trial(study_id, template_trial)
        if template_trial.state == TrialState.RUNNING:
            self._mine[number] = self._inner.get_trial(number)
        return number

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Start a trial that waited, unless another worker does, or end one."""
        self.refresh()
        if state.is_finished():
            self._mine.pop(trial_id, None)
        is_changed = bool(self._inner.set_trial_state_values(trial_id, state, values))
        if state == TrialState.RUNNING and is_changed:
            self._inner.set_trial_user_attr(trial_id, OWNER, self._owner())
            self._mine[trial_id] = self._inner.get_trial(trial_id)
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
        self._inner.set_trial_system_attr(trial_id, key, value)
        if trial := self._mine.get(trial_id):
            trial.system_attrs[key] = value

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return the attributes of Optuna's own."""
        return dict(self.get_trial(trial_id).system_attrs)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; of one that this worker runs what it knows."""
        return self._mine.get(trial_id) or self._inner.get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials by number as they were at most `FRESH` seconds ago, or after the last `refresh`."""
        if self._now() - self._read_at >= FRESH:
            self._read = [self._known(trial) for trial in self._inner.get_all_trials(study_id, deepcopy=False)]
            self._read_at = self._now()
        if states is None and not deepcopy:
            return self._read
        trials = [trial for trial in self._read if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _known(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial with the scores of its epochs."""
        if not trial.state.is_finished():
            return self._mine.get(trial._trial_id, trial) if trial.state == TrialState.RUNNING else trial
        if trial.number not in self._ended:
            self._ended[trial.number] = with_curve(trial)
        return self._ended[trial.number]


def with_curve(trial: FrozenTrial) -> FrozenTrial:
    """Return an ended trial with the scores of its epochs, from its record, as what it reported."""
    record = trial.user_attrs.get(ATTRIBUTE) or {}
    curve = record.get("curves", {}).get("val_score", ())
    if not curve or trial.intermediate_values:
        return trial
    shown = copy.copy(trial)
    shown.intermediate_values = {epoch: score for epoch, score in enumerate(curve, start=1) if score is not None}
    return shown
