"""Tracking: the study as an MLflow parent run with one child run a trial.

Optuna's storage is the truth; MLflow is written from it, by a process of its own, and can be
rebuilt from it. A store that is down, slow or gone costs one warning and no trial.
"""

from __future__ import annotations

from lossreg.tracking.model_package import describe
from lossreg.tracking.tracker import Tracker, Untracked
from lossreg.tracking.ui import free_port, page, serve
from lossreg.tracking.uri import check, insist, is_server, shown

__all__ = [
    "Tracker",
    "Untracked",
    "check",
    "describe",
    "free_port",
    "insist",
    "is_server",
    "page",
    "serve",
    "shown",
]
