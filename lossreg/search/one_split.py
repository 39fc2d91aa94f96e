"""The study's own split: winner and baseline are chosen on its development rows, and predict its test rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lossreg.search import reevaluation, restore
from lossreg.search.arms import Arms
from lossreg.search.frozen import Frozen
from lossreg.search.predictions import Predictions, predicted_by_arm
from lossreg.search.reevaluation import SPLITS, Choice
from lossreg.search.retrainer import Group, Retrainer
from lossreg.storage.observer import Observer
from lossreg.storage.records import StudyResult

if TYPE_CHECKING:
    from lossreg.data import Dataset
    from lossreg.search.preparation import Prepared

FIRST_SEED = 20_000  # of the splits, so that none is the search's own


class Failed(NamedTuple):
    """A choice in which winner or baseline is missing, and the commonest reason."""

    choice: Choice
    reason: str


def retrainer(prepared: Prepared, progress: Observer, *, chosen: bool, repeats: range) -> Retrainer:
    """Return the trainer of repeats, before that of the choice of settings unless they are known."""
    seed = prepared.spec.search.seed + FIRST_SEED

    def data(splits: Sequence[int]) -> Dataset:
        return prepared.problem.dataset.resampled([seed + split for split in splits])

    return Retrainer(prepared, progress, range(SPLITS + repeats.start if chosen else 0, SPLITS + repeats.stop), data)


def choose(result: StudyResult, retrainer: Retrainer) -> Frozen | Failed:
    """Return winner and baseline setting by their scores on fresh splits."""
    prepared = retrainer.prepared
    trials = [trial for trial in reevaluation.contenders(result) if trial.candidate not in prepared.missing]
    group = Group({str(trial.number): restore.plan_of(prepared, trial) for trial in trials})
    task = f"the {len(trials)} best settings, again on {SPLITS} fresh splits"
    (scores,), reason = retrainer.scores([group], SPLITS, task)
    winner, baseline = choice = reevaluation.choose(result, trials, scores)
    if not (winner and baseline):
        return Failed(choice, reason)
    reevaluated = reevaluation.of_candidates(result, trials, scores)
    return Frozen(len(result.trials), winner.number, baseline.number, reevaluated=reevaluated)


def predictions(arms: Arms, repeats: range, retrainer: Retrainer) -> Predictions:
    """Return the predictions of the test rows by arm; those of a repeat that failed are NaN."""
    dataset = retrainer.prepared.problem.dataset
    rows = np.arange(len(dataset.test) * math.prod(dataset.spatial_shape))
    splits = range(SPLITS + repeats.start, SPLITS + repeats.stop)
    task = f"winner and baseline, {len(repeats)} times each"
    return predicted_by_arm(retrainer, [Group(arms.plans)], [rows], splits, task)
