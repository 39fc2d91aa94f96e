"""Tracking: the study as an MLflow parent run with one child run a trial.

Optuna's storage is the truth; MLflow is written from it, by a process of its own, and can be
rebuilt from it. A store that is down, slow or gone costs one warning and no trial.
"""

from __future__ import annotations

from lossreg.tracking.package import describe
from lossreg.tracking.store import UI_SETTINGS, check, free_port, insist, is_server, page, shown, ui_command
from lossreg.tracking.tracker import Tracker, Untracked

__all__ = [
    "UI_SETTINGS",
    "Tracker",
    "Untracked",
    "check",
    "describe",
    "free_port",
    "insist",
    "is_server",
    "page",
    "shown",
    "ui_command",
]
