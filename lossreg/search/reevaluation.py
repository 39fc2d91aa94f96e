"""The choice of winner and baseline setting: the best settings of each loss are trained again on fresh splits.

The best validation score of many trials is partly luck. Scores of the same settings on splits that the search has not
used are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lossreg.storage.records import StudyResult, TrialRecord

SPLITS = 5
SETTINGS, MOST = 20, 5  # in all, and of one loss


def settings(candidates: int) -> int:
    """Return the number of settings per loss that are trained again, in a study of so many candidates."""
    return max(1, min(MOST, round(SETTINGS / candidates)))


def contenders(result: StudyResult) -> list[TrialRecord]:
    """Return the completed trials with the best validation scores, some of each candidate."""
    most = settings(len(result.losses))
    return [trial for candidate in result.losses for trial in result.ranked(candidate)[:most]]


class Choice(NamedTuple):
    """The best setting of another candidate than the baseline, and the baseline's; None without a finite mean."""

    winner: TrialRecord | None
    baseline: TrialRecord | None


def choose(result: StudyResult, trials: Sequence[TrialRecord], scores: Mapping[int, Sequence[float]]) -> Choice:
    """Return winner and baseline setting; scores: of each trial on the fresh splits, NaN where training diverged."""
    sign = 1.0 if result.direction == "maximize" else -1.0
    means = {trial.number: sign * sum(scores[trial.number]) / len(scores[trial.number]) for trial in trials}
    finite = [trial for trial in trials if math.isfinite(means[trial.number])]
    others = [trial for trial in finite if trial.candidate != result.baseline]
    baselines = [trial for trial in finite if trial.candidate == result.baseline]
    # `max` returns the first of equals: `contenders` are in order of validation score within a candidate
    return Choice(*(max(some, key=lambda t: means[t.number], default=None) for some in (others, baselines)))
