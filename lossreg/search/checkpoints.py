"""The weights that a study keeps: of its best trial, of the best of each loss, or of all, as `search.keep` says."""

from __future__ import annotations

import math

from lossreg.storage.observer import Observer
from lossreg.storage.records import StudyResult, TrialRecord, Weights, Worth, worth
from lossreg.storage.study_folder import StudyFolder


class KeepPolicy:
    """Decides whose weights are kept, from the trials that have completed so far.

    keep: `best`, `losses` or `all`; direction and baseline of result order the trials as `StudyResult.best` does.
    """

    def __init__(self, keep: str, result: StudyResult) -> None:
        self._keep, self._baseline = keep, result.baseline
        self._sign = 1.0 if result.direction == "maximize" else -1.0
        self._best: dict[str | int, Worth] = {}
        for record in result.trials:
            self.add(record)

    def add(self, record: TrialRecord) -> int | None:
        """Take a trial into account; return the number of the one that it surpasses, if any."""
        if record.score is None or not self.wants(record.candidate, record.score, record.number):
            return None
        group = self._group(record.candidate, record.number)
        surpassed = self._best.get(group)
        self._best[group] = self._worth(record.candidate, record.score, record.number)
        return None if surpassed is None else -surpassed[2]

    def wants(self, candidate: str, score: float, number: int) -> bool:
        """Return whether a trial that completed with this score would have its weights kept."""
        best = self._best.get(self._group(candidate, number), (-math.inf, False, 0))
        return self._worth(candidate, score, number) > best

    @property
    def numbers(self) -> set[int]:
        """The trials whose weights are kept."""
        return {-negated for _, _, negated in self._best.values()}

    def _group(self, candidate: str, number: int) -> str | int:
        """Return the group of trials of which the best is kept; where all are, a trial is a group by itself."""
        groups: dict[str, str | int] = {"all": number, "best": "", "losses": candidate}
        return groups[self._keep]

    def _worth(self, candidate: str, score: float, number: int) -> Worth:
        return worth(score, number, sign=self._sign, baseline=candidate == self._baseline)


class Checkpoints(Observer):
    """Writes weights into the study's folder, and removes those of trials that were surpassed."""

    def __init__(self, folder: StudyFolder, keep: str, result: StudyResult) -> None:
        self._folder, self._policy = folder, KeepPolicy(keep, result)

    def checkpoint(self, record: TrialRecord, weights: Weights) -> None:
        """Save weights before Optuna is told of their trial: a kill in between leaves a file that is ignored."""
        self._folder.save_weights(record.number, weights)

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Remove the weights that a trial made superfluous, now that Optuna was told of it."""
        surpassed = self._policy.add(record)
        if surpassed is not None:
            self._folder.forget_weights([surpassed])
