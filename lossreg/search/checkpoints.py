"""The weights that a study keeps: of its best trial, of the best of each loss, or of all, as `search.keep` says."""

from __future__ import annotations

import bisect
from collections.abc import Mapping

from lossreg.storage.constraints import are_kept
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult, Worth, worth
from lossreg.storage.trial_record import TrialRecord, Weights

NOTHING: Mapping[str, float | None] = {}


class KeepPolicy:
    """Decides whose weights are kept, from the trials that have completed so far.

    keep: `best`, `losses` or `all`; direction and baseline of result order the trials as `StudyResult.best` does;
    contenders: the number of trials per loss that are kept until fresh splits have chosen among them, 0 without such.
    """

    def __init__(self, keep: str, result: StudyResult, contenders: int = 0) -> None:
        self._keep = "losses" if contenders and keep == "best" else keep
        self._most, self._baseline = max(1, contenders), result.baseline
        self._sign = result.sign
        self._constraints = result.constraints
        self._best: dict[str | int, list[tuple[bool, Worth]]] = {}
        for record in result.trials:
            self.add(record)

    def add(self, record: TrialRecord) -> int | None:
        """Take a trial into account; return the number of the one that it surpasses, if any."""
        if record.score is None or not self.wants_trial(record):
            return None
        best = self._best.setdefault(self._group(record.candidate, record.number), [])
        bisect.insort(best, self._worth(record.candidate, record.score, record.number, record.metrics))
        return -best.pop(0)[1][2] if len(best) > self._most else None

    def wants_trial(self, record: TrialRecord) -> bool:
        """Return whether a trial would have its weights kept; one without a score has not."""
        score = record.score
        return score is not None and self.wants(record.candidate, score, record.number, record.metrics)

    def wants(self, candidate: str, score: float, number: int, metrics: Mapping[str, float | None] = NOTHING) -> bool:
        """Return whether a trial that completed with this score, and these metrics, would have its weights kept."""
        best = self._best.get(self._group(candidate, number), [])
        return len(best) < self._most or self._worth(candidate, score, number, metrics) > best[0]

    @property
    def numbers(self) -> set[int]:
        """The trials whose weights are kept."""
        return {-negated for best in self._best.values() for _, (_, _, negated) in best}

    def _group(self, candidate: str, number: int) -> str | int:
        """Return the group of trials of which the best are kept; where all are kept, each trial is its own group."""
        groups: dict[str, str | int] = {"all": number, "best": "", "losses": candidate}
        return groups[self._keep]

    def _worth(
        self, candidate: str, score: float, number: int, metrics: Mapping[str, float | None]
    ) -> tuple[bool, Worth]:
        of_score = worth(score, number, sign=self._sign, baseline=candidate == self._baseline)
        return are_kept(self._constraints, metrics), of_score


class Checkpoints(Observer):
    """Writes weights into the study's folder, and removes those of trials that were surpassed."""

    def __init__(self, folder: StudyFolder, keep: str, result: StudyResult, contenders: int = 0) -> None:
        self._folder, self._policy = folder, KeepPolicy(keep, result, contenders)
        self._unsaved: set[int] = set()

    def checkpoint(self, record: TrialRecord, weights: Weights) -> None:
        """Save weights before Optuna is told of their trial: a kill in between leaves a file that is ignored."""
        self._unsaved.add(record.number)
        self._folder.weights.save(record.number, weights)
        self._unsaved.remove(record.number)

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Remove the weights that a trial with weights made superfluous, once Optuna was told of it."""
        if record.number in self._unsaved:
            return
        surpassed = self._policy.add(record)
        if surpassed is not None:
            self._folder.weights.forget([surpassed])

    def written(self) -> None:
        """Force the ends of trials onto the disk."""
        self._folder.sync()
