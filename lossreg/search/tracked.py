"""The MLflow store of a study, and the tracker that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossreg.config.study import StudySpec
from lossreg.errors import InputError
from lossreg.storage import address

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
    if warning := _of_another_machine(spec, uri):
        progress.warn(warning)
    named = spec.tracking.registered
    return Tracker(uri, spec.tracking.experiment, warn=progress.warn, required=required, register=named)


def _of_another_machine(spec: StudySpec, uri: str) -> str:
    """Return a warning where workers of other machines cannot reach the store, empty where they can."""
    from lossreg.tracking.uri import VARIABLE, sqlite_path

    file, url = sqlite_path(uri), spec.storage_url
    if file is None or url is None or address.is_here(address.complete(url)):
        return ""
    return (
        f"MLflow's store is {file}, a file of this machine: workers on others write runs of their own; name a server "
        f"for all of them, as tracking.uri or {VARIABLE}"
    )
