"""The study's own split: winner and baseline are trained on fresh splits of its development rows, and predict its test
rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lossreg.search import confirming
from lossreg.search.arms import Arms, in_words
from lossreg.search.confirming import Choice
from lossreg.search.frozen import Frozen
from lossreg.search.predictions import Predictions, predicted_by_arm
from lossreg.search.retrainer import Group, Retrainer
from lossreg.storage.observer import Observer
from lossreg.storage.study_result import StudyResult

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared

FIRST_SEED = 20_000  # of the splits, so that none is the search's own
FIRST = 5  # split of the repeats; settings were chosen on those before it up to 0.2.0


class Failed(NamedTuple):
    """A choice in which winner or baseline is missing, and the commonest reason."""

    choice: Choice
    reason: str


def retrainer(prepared: Prepared, progress: Observer, repeats: range) -> Retrainer:
    """Return the trainer of repeats."""
    return Retrainer.of_study(prepared, progress, range(FIRST + repeats.start, FIRST + repeats.stop), FIRST_SEED)


def choose(result: StudyResult) -> Frozen | Failed:
    """Return winner and baseline setting, by their scores on fresh splits where settings were confirmed."""
    winner, baseline = choice = confirming.choose(result)
    if not (winner and baseline):
        return Failed(choice, result.confirmation.reason if result.confirmation else "")
    return Frozen(len(result.trials), winner.number, baseline.number, reevaluated=confirming.reevaluated(result))


def predictions(arms: Arms, repeats: range, retrainer: Retrainer) -> Predictions:
    """Return the predictions of the test rows by arm; those of a repeat that failed are NaN."""
    dataset = retrainer.prepared.problem.dataset
    rows = np.arange(len(dataset.test) * math.prod(dataset.spatial_shape))
    splits = range(FIRST + repeats.start, FIRST + repeats.stop)
    task = f"verdict: {in_words(arms.plans)}, {len(repeats)} times each"
    return predicted_by_arm(retrainer, [Group(arms.plans)], [rows], splits, task)
