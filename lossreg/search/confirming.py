"""The best settings of each loss are trained again on fresh splits of the development rows, and so confirmed.

The best validation score of many trials is partly luck. Scores of the same settings on splits that the search has not
used are not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lossreg.storage.confirmation import Confirmation
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.trial_record import finite as known
from lossreg.storage.verdict import Reevaluated
from lossreg.verdict import noise

if TYPE_CHECKING:
    from lossreg.data import Dataset

SETTINGS, MOST = 20, 5  # in all, and of one loss

Scores = Mapping[int, Sequence[float]]
NOTHING: Mapping[str, Scores] = {}


def settings(candidates: int, trials: int, in_all: int = SETTINGS) -> int:
    """Return the number of settings per loss that are trained again, in a study of so many candidates and trials.

    They are about so many in all, and at most half of the trials, but one of each candidate.
    """
    return max(1, min(MOST, round(in_all / candidates), trials // (2 * candidates)))


def contenders(result: StudyResult, in_all: int = SETTINGS, former: Confirmation | None = None) -> list[TrialRecord]:
    """Return the completed trials with the best validation scores, `settings` of each candidate.

    former: a confirmation of fewer trials, whose best setting of each candidate is one of them too.
    """
    most = settings(len(result.losses), len(result.trials), in_all)
    before = {row.candidate: row.best for row in replace(result, confirmation=former).ranking() if row.confirmed}
    chosen = {candidate: result.ranked(candidate)[:most] for candidate in result.losses}
    further = {name: [best] for name, best in before.items() if best and best not in chosen[name]}
    return [trial for name, trials in chosen.items() for trial in (*trials, *further.get(name, ()))]


def is_due(splits: int, contenders: Sequence[TrialRecord]) -> bool:
    """Return whether settings are to be trained again: on some splits, and where there are some to choose from."""
    return splits > 0 and len(contenders) > 1


def ratio_of(dataset: Dataset) -> float:
    """Return the validation rows per training row of the first split."""
    return len(dataset.validation) / len(dataset.train)


def confirmed(
    result: StudyResult, scores: Scores, splits: int, *, ratio: float, reason: str = "",
    metrics: Mapping[str, Scores] = NOTHING,
) -> Confirmation:  # fmt: skip
    """Return the confirmation by these scores of trials; those that are not finite on every split have none.

    ratio: validation rows per training row of a split; metrics: further ones of these trials, by name.
    """
    finite = {number: tuple(each) for number, each in scores.items() if all(map(math.isfinite, each))}
    further = {name: {number: tuple(known(each[number])) for number in finite} for name, each in metrics.items()}
    by_scores = Confirmation(
        len(result.trials), splits, finite, ratio=ratio, reason=reason, ended=time.time(), metrics=further
    )
    return replace(by_scores, p_values=_p_values(replace(result, confirmation=by_scores)) if splits > 1 else {})


def _p_values(result: StudyResult) -> dict[str, float]:
    """Return for each candidate how likely its deficit against the first is if all are as good.

    The first was chosen by these scores, and could have been any candidate: Bonferroni's method allows for that.
    One that violates a constraint which the first keeps is not compared.
    """
    rows = [row for row in result.ranking() if row.confirmed]
    rows = [row for row in rows if row.best and rows[0].best and result.keeps(row.best) == result.keeps(rows[0].best)]
    signed = {row.candidate: result.sign * np.asarray(row.confirmed.scores) for row in rows if row.confirmed}
    ratio = result.confirmation.ratio if result.confirmation else 0.0
    p_values = noise.p_values(signed.pop(rows[0].candidate), signed, ratio) if rows else {}
    return {candidate: min(1.0, len(rows) * p_value) for candidate, p_value in p_values.items()}


class Choice(NamedTuple):
    """The best setting of another candidate than the baseline, and the baseline's; None where all failed."""

    winner: TrialRecord | None
    baseline: TrialRecord | None


def choose(result: StudyResult) -> Choice:
    """Return winner and baseline setting: the best that were confirmed, where any were."""
    rows = [row for row in result.ranking() if row.best and (row.confirmed or result.confirmation is None)]
    winner = next((row.best for row in rows if not row.is_baseline), None)
    return Choice(winner, next((row.best for row in rows if row.is_baseline), None))


def reevaluated(result: StudyResult) -> tuple[Reevaluated, ...]:
    """Return the best setting of each candidate on the fresh splits, best first."""
    p_values = result.confirmation.p_values if result.confirmation else {}
    return tuple(
        Reevaluated(row.candidate, row.best.number, row.confirmed.scores, p_values.get(row.candidate))
        for row in result.ranking()
        if row.best and row.confirmed
    )
