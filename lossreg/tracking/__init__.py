"""Tracking: the study as an MLflow parent run with one child run per trial.

Optuna's storage is the truth; a process of its own writes MLflow from it, and can write it anew. A store that does not
work costs one warning, no trial and no waiting; it is tried again.
"""

from __future__ import annotations

from lossreg.tracking.model_package import describe, note
from lossreg.tracking.tracker import Tracker, Untracked
from lossreg.tracking.ui import free_port, page, serve
from lossreg.tracking.uri import check, is_server, require_answer, without_secrets

__all__ = [
    "Tracker",
    "Untracked",
    "check",
    "describe",
    "free_port",
    "is_server",
    "note",
    "page",
    "require_answer",
    "serve",
    "without_secrets",
]
