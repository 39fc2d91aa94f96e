"""The MLflow store of a study, and the tracker that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossreg.config.study import StudySpec
from lossreg.errors import InputError

if TYPE_CHECKING:
    from lossreg.storage.observer import Observer
    from lossreg.tracking import Tracker, Untracked


def uri(spec: StudySpec) -> str:
    """Return the absolute URI of the study's MLflow store, empty when it is not tracked; raises `InputError`."""
    from lossreg import tracking

    try:
        return tracking.check(spec.tracking.uri) if spec.tracking.enabled else ""
    except InputError as error:
        if error.where != "tracking.uri":
            raise
        raise error.at(spec.place("tracking.uri")) from None


def tracker(spec: StudySpec, uri: str, progress: Observer, *, is_tracked: bool, required: bool) -> Tracker | Untracked:
    """Return what writes the study into MLflow, a stand-in where nothing is to be written: `is_tracked` already."""
    from lossreg.tracking import Tracker, Untracked

    if not spec.tracking.enabled or is_tracked:
        return Untracked()
    return Tracker(uri, spec.tracking.experiment, warn=progress.warn, required=required)
