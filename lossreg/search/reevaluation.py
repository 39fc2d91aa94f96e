"""The choice of winner and baseline setting: the best settings of each loss are trained again on fresh splits.

The best validation score of many trials is partly luck. Scores of the same settings on splits that the search has not
used are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lossreg.data.splits import TRAINING_SHARE
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.storage.verdict import Reevaluated
from lossreg.verdict import noise

SPLITS = 5
SETTINGS, MOST = 20, 5  # in all, and of one loss


def settings(candidates: int, in_all: int = SETTINGS) -> int:
    """Return the number of settings per loss that are trained again, in a study of so many candidates."""
    return max(1, min(MOST, round(in_all / candidates)))


def contenders(result: StudyResult, in_all: int = SETTINGS) -> list[TrialRecord]:
    """Return the completed trials with the best validation scores, some of each candidate, about so many in all."""
    most = settings(len(result.losses), in_all)
    return [trial for candidate in result.losses for trial in result.ranked(candidate)[:most]]


class Choice(NamedTuple):
    """The best setting of another candidate than the baseline, and the baseline's; None without a finite mean."""

    winner: TrialRecord | None
    baseline: TrialRecord | None


def ranked(
    result: StudyResult, trials: Sequence[TrialRecord], scores: Mapping[int, Sequence[float]]
) -> list[TrialRecord]:
    """Return the trials with a finite mean on the fresh splits, best first.

    scores: of each trial on the fresh splits, NaN where training diverged. Of equal means the better validation score
    within a candidate comes first, since `contenders` are in that order.
    """
    sign = 1.0 if result.direction == "maximize" else -1.0
    means = {trial.number: sign * sum(scores[trial.number]) for trial in trials}
    finite = [trial for trial in trials if math.isfinite(means[trial.number])]
    return sorted(finite, key=lambda trial: means[trial.number], reverse=True)


def choose(result: StudyResult, trials: Sequence[TrialRecord], scores: Mapping[int, Sequence[float]]) -> Choice:
    """Return winner and baseline setting by their means on the fresh splits."""
    best = ranked(result, trials, scores)
    winner = next((trial for trial in best if trial.candidate != result.baseline), None)
    return Choice(winner, next((trial for trial in best if trial.candidate == result.baseline), None))


def of_candidates(
    result: StudyResult, trials: Sequence[TrialRecord], scores: Mapping[int, Sequence[float]]
) -> tuple[Reevaluated, ...]:
    """Return the best setting of each candidate, compared with that of the first of the leaderboard."""
    best: dict[str, TrialRecord] = {}
    for trial in ranked(result, trials, scores):
        best.setdefault(trial.candidate, trial)
    sign = 1.0 if result.direction == "maximize" else -1.0
    signed = {candidate: sign * np.asarray(scores[trial.number]) for candidate, trial in best.items()}
    first = signed.pop(result.best.candidate, None) if result.best else None
    ratio = (1 - TRAINING_SHARE) / TRAINING_SHARE
    p_values = {} if first is None else noise.p_values(first, signed, ratio)
    return tuple(
        Reevaluated(candidate, trial.number, tuple(scores[trial.number]), p_values.get(candidate))
        for candidate, trial in best.items()
    )
