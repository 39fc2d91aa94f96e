"""Optuna's pruners, which end a bad trial early, but never in the first third of its epochs."""

from __future__ import annotations

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import create_trial

# Two thirds of the epochs have room for two rungs that halve; with Optuna's factors of 3 and 4 there would be one.
HALVING = 2


def first_epoch(epochs: int) -> int:
    """Return the first epoch after which a trial of `epochs` epochs may be pruned."""
    return epochs // 3 + 1


def build(name: str, epochs: int) -> BasePruner:
    """Return the pruner "none", "median", "asha" or "hyperband" for trials of `epochs` epochs, counted from 1."""
    first = first_epoch(epochs)
    if name == "median":
        return MedianPruner(n_warmup_steps=first - 1)
    if name == "asha":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=HALVING)
    if name == "hyperband":
        return HyperbandPruner(min_resource=first, max_resource=epochs, reduction_factor=HALVING)
    return NopPruner()


def begin(study: optuna.Study) -> None:
    """Make Hyperband define its brackets before the sampler asks for them, also in a resumed study."""
    if isinstance(study.pruner, HyperbandPruner):
        study.pruner.prune(study, create_trial(value=0.0))
