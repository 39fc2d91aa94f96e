"""The parameters of a trial's loss as short text."""

from __future__ import annotations

from typing import Any

from lossreg.storage.records import TrialRecord


def loss_params(trial: TrialRecord) -> str:
    """Return the loss parameters of a trial for a table's cell: `gamma=2.1, alpha=0.25`."""
    return ", ".join(f"{name}={short(value)}" for name, value in trial.loss_params.items() if value is not None)


def short(value: Any) -> str:
    """Return a value with few digits: floats have four, those of a list three."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(f'{item:.3g}' if isinstance(item, float) else str(item) for item in value)}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
