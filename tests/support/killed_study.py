"""A study that is killed while it is searched, in processes forked from one that has imported Keras."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from fake_trainer import Fake

from lossreg.storage.observer import Observer
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

TRIALS, EPOCHS = 64, 30
NEVER = TRIALS + 1
JOURNAL = Path(".lossreg/killed/journal.log")


def document(kind: str, *, tracked: bool) -> dict[str, Any]:
    """A study of 64 trials."""
    return {
        "name": "killed",
        "data": {"source": "sklearn:iris"},
        "train": {"epochs": EPOCHS, "batch_size": 64},
        "losses": {"cross_entropy": {}, "focal": {"alpha": "none"}, "generalized_cross_entropy": {}},
        "search": {"trials": TRIALS, "metric": "log_loss", "lanes": 8, "sampler": kind},
        "verdict": {"enabled": False},
        "tracking": {"enabled": tracked, "uri": "sqlite:///mlflow.db"},
    }


class Halts(Observer):
    """Halts for good when so many trials have ended, so that a run that is to be killed does not come to its end."""

    def __init__(self, most: int) -> None:
        self.most = most

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Wait for a signal, at a moment in which others may still have to be told."""
        if len(result.trials) >= self.most:
            signal.pause()


def score(plan: Any, epoch: int) -> float:
    """A loss that each plan has for itself, and that falls."""
    return 1.0 / epoch + abs(plan.learning_rate - 0.003) + 0.01 * (ord(plan.candidate[0]) % 7)


def run(folder: Path, kind: str, tracked: bool, most: int) -> None:
    """Run the study in a folder, or go on with it, at most until so many trials have ended."""
    import lossreg
    from lossreg.search import rehearsal

    # in a process of its own; losses that no Keras trains need not be traced
    rehearsal.rehearse = lambda prepared: ({}, [])  # type: ignore[assignment]
    os.chdir(folder)
    trainer = Fake(score, slots=8)
    lossreg.tune(document(kind, tracked=tracked), trainers=[trainer], progress=Halts(most))


def processes() -> Any:
    """Return a context of processes, each forked from one that has imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras", "mlflow", "lossreg.search.run", "lossreg.search.run_state"])
    return context
