"""A made-up study for the tests of what shows results: three losses, every state, strange names."""

from __future__ import annotations

import math
import random

from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

START = 1_700_000_000.0
LOSSES = {"cross_entropy": "cross_entropy", "focal": "focal", "gce_mild": "generalized_cross_entropy"}


def trial(number: int, candidate: str = "focal", state: str = "complete", epochs: int = 6, **changes) -> TrialRecord:
    rng = random.Random(number)
    rate = 10 ** rng.uniform(-4, -2)
    loss_params = {"focal.gamma": rng.uniform(0, 5)} if candidate == "focal" else {}
    score = 0.9 + rng.random() / 12
    curve = [score * (1 - 0.5 ** (epoch + 2)) for epoch in range(epochs)]
    curves = {
        "train_loss": [1 / (epoch + 1) for epoch in range(epochs)],
        "val_loss": [1.1 / (epoch + 1) for epoch in range(epochs)],
        "train_score": [value + 0.01 for value in curve],
        "val_score": curve,
    }
    if state == "diverged":
        curves = {name: [*values[:2], math.inf, math.nan] for name, values in curves.items()}
    values = {
        "number": number,
        "state": state,
        "candidate": candidate,
        "loss": LOSSES.get(candidate, candidate),
        "params": {"loss": candidate, "learning_rate": rate, **loss_params},
        "loss_params": {"gamma": loss_params["focal.gamma"], "alpha": None}
        if loss_params
        else {"q": 0.3}
        if candidate == "gce_mild"
        else {},
        "learning_rate": rate,
        "score": curve[-1] if state == "complete" else None,
        "epoch": epochs,
        "curves": curves,
        "seconds": 0.5,
        "reason": "" if state == "complete" else f"it was {state}",
        "distribution": "lossreg",
        "version": "0.1.0",
        "started": START + number,
        "ended": START + number + 3.0,
    }
    return TrialRecord(**{**values, **changes})


def study(count: int = 12, **changes) -> StudyResult:
    candidates = list(LOSSES)
    states = {5: "diverged", 7: "failed", 8: "pruned"}
    records = [trial(n, candidates[n % 3], states.get(n, "complete")) for n in range(count)]
    values = {
        "study": "toy",
        "metric": "accuracy",
        "direction": "maximize",
        "task": "binary",
        "losses": dict(LOSSES),
        "baseline": "cross_entropy",
        "trials": records,
        "data": {
            "name": "breast_cancer",
            "source": "sklearn:breast_cancer",
            "task": "binary",
            "rows": {"train": 364, "validation": 91, "test": 114},
            "classes": {"malignant": 212, "benign": 357},
            "features": 30,
            "digest": "0a1b2c3d",
        },
        "spec": {"train": {"epochs": 6, "batch_size": 32}, "search": {"trials": count, "seed": 0}},
        "seconds": {"total": 12.5, "training": 8.0, "search": 1.5, "tracking": 0.5},
        "trainer": {"population": count, "fit": 0, "reasons": []},
        "started": START - 1.0,
        "notes": ["focal: the first setting was clipped to the study's range"],
    }
    return StudyResult(**{**values, **changes})
