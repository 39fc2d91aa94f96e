"""`FinalStage`: what confirmation and verdict have in common, which follow the search of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna

from lossreg.errors import LossregError, one_line
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared


@dataclass(frozen=True, slots=True)
class FinalStage:
    """A stage of a study whose trials have ended, in its open storage.

    training: a context for the time in which settings are trained again.
    """

    prepared: Prepared
    result: StudyResult
    study: optuna.Study
    folder: StudyFolder
    progress: Observer
    training: Callable[[], AbstractContextManager[None]]

    @property
    def _attributes(self) -> Mapping[str, Any]:
        attributes: Mapping[str, Any] = self.study.user_attrs[ATTRIBUTE]
        return attributes

    def _heed(self, error: Exception) -> None:
        """Raise `KeyboardInterrupt` where the observer is stopping: foreign code may make an error of an interrupt."""
        if self.progress.stopping():
            raise KeyboardInterrupt from error

    def _note(self, name: str, value: Any) -> None:
        self.study.set_user_attr(ATTRIBUTE, {**self._attributes, name: value})


def why(error: Exception) -> str:
    """Return why a stage failed, in one line."""
    return str(error) if isinstance(error, LossregError) else one_line(error)
