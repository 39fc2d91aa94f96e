"""Tracking: the study as an MLflow parent run with one child run a trial.

Optuna's storage is the truth; MLflow is written from it, off the training thread, and can be
rebuilt from it. A store that is down, slow or gone costs one warning and no trial.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from lossreg.records import StudyResult, TrialRecord
from lossreg.tracking.store import check, free_port, is_server, page, shown, ui_command
from lossreg.tracking.tracker import Tracker

__all__ = ["Off", "Tracker", "check", "free_port", "is_server", "page", "shown", "start", "sync", "ui_command"]
KEY_FILE = "tracking.key"


class Section(Protocol):
    """The tracking section of a study."""

    @property
    def uri(self) -> str | None:
        """The store, None for the default one."""

    @property
    def experiment(self) -> str:
        """Name of the MLflow experiment."""

    @property
    def enabled(self) -> bool:
        """Whether the study is tracked at all."""


class Off:
    """A tracker that writes nothing, for studies with `tracking.enabled = false`."""

    def __init__(self, before: dict[str, Any]) -> None:
        self.seconds = 0.0
        self._before = before

    def trial(self, trial: TrialRecord) -> None:
        """Ignored."""

    def where(self) -> dict[str, Any]:
        """Where an earlier run of the study was tracked, if it was."""
        return self._before or {"uri": None, "experiment": None, "run_id": None}

    def flush(self) -> None:
        """Ignored."""

    def finish(self, result: StudyResult, model: Any = None) -> None:
        """Ignored."""


def start(
    section: Section, result: StudyResult, warn: Callable[[str], None], *, require: bool = False
) -> Tracker | Off:
    """A tracker at work on `result`, which takes up the study's former run; returns at once.

    `require` waits for the store and raises `LossregError` when it does not answer. Raises
    `InputError` as `check` does.
    """
    if not section.enabled:
        return Off(result.tracking)
    tracker = _tracker(section, result, warn, require)
    tracker.start(result, result.tracking.get("run_id"))
    return tracker


def sync(section: Section, result: StudyResult, warn: Callable[[str], None], model: Any = None) -> dict[str, Any]:
    """Bring MLflow up to `result` and return its new `tracking`; raises `LossregError` when it cannot be done."""
    return _tracker(section, result, warn, True).sync(result, result.tracking.get("run_id"), model)


def _tracker(section: Section, result: StudyResult, warn: Callable[[str], None], required: bool) -> Tracker:
    key = _key(Path(result.folder)) if result.folder else ""
    return Tracker(check(section.uri), section.experiment or result.study, key=key, warn=warn, required=required)


def _key(folder: Path) -> str:
    """What the study is called for good, kept beside its storage: a kill may lose the run id, not this."""
    file = folder / KEY_FILE
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(uuid.uuid4().hex)
    return file.read_text().strip()
