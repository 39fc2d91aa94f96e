"""The costs of new repeats of a verdict: trainings, time and memory."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lossreg.data import room
from lossreg.errors import InputError, count_of
from lossreg.runtime import system
from lossreg.search import nested
from lossreg.search.frozen import Notes
from lossreg.search.nested import ARMS
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

if TYPE_CHECKING:
    from lossreg.metrics.catalogue import Metric
    from lossreg.search.judgement import Tested
    from lossreg.search.preparation import Prepared

BYTES = 20  # of memory that a prediction takes: it is stored in 4, and two arms are copied to be scored


def pace(trials: Sequence[TrialRecord], members: int) -> float:
    """Return the seconds that a training took, from the records of a study's trials, of so many members each.

    Trials overlap as lanes, so it is the time in which any was trained; of several workers the sum of theirs. So a
    study that was cut off has the pace of an unbroken one.
    """
    by_worker: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for trial in trials:
        by_worker[trial.worker].append((trial.started, trial.ended))
    return sum(map(_covered, by_worker.values())) / max(1, len(trials) * members)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of these spans of time."""
    length, until = 0.0, -math.inf
    for start, end in sorted(spans):
        length += max(0.0, end - max(start, until))
        until = max(until, end)
    return length


@dataclass(frozen=True, slots=True)
class Estimate:
    """The number of trainings of new repeats, with what comes before them, at most, and about how long they take."""

    trainings: int
    minutes: float

    @classmethod
    def of(cls, prepared: Prepared, result: StudyResult, notes: Notes, *, outer: int, repeats: int) -> Self:
        """Return the estimate for so many outer folds and repeats, by the pace of the study's search."""
        noted, trials = notes.of_outer(outer), len(result.trials)
        # of folds whose settings are not known
        searches = 0 if noted and noted.settings else outer
        trainings = nested.trainings_before(prepared, searches, trials) + max(1, outer) * ARMS * repeats
        asking = searches * sum(trial.asking for trial in result.trials)
        members = len(prepared.problem.folds) * prepared.spec.search.seeds
        return cls(trainings, (trainings * pace(result.trials, members) + asking) / 60)

    @property
    def in_words(self) -> str:
        """The time, `40 seconds` or `4 minutes`."""
        if self.minutes < 1:
            return f"{max(10, 10 * round(6 * self.minutes))} seconds"
        return count_of(round(self.minutes), "minute")


def require_room(prepared: Prepared, repeats: int, tested: Tested) -> None:
    """Raise `InputError` unless the predictions of the test rows fit into memory."""
    dataset, problem = prepared.problem.dataset, prepared.problem

    def per_row(metric: Metric) -> int:
        return dataset.n_classes if metric.response == "probability" and dataset.task != "multilabel" else 1

    numbers = (ARMS + 2 * (problem.decision != "tuned")) * per_row(prepared.metric) + 2 * sum(
        map(per_row, problem.also)
    )
    size, free = BYTES * numbers * repeats * tested.y.size, system.free_memory()
    if size > free:
        what = (
            f"predictions of {count_of(tested.rows, 'test row')}, {repeats} times by {ARMS} models, need "
            f"{room.in_gib(size)} of memory, and {room.in_gib(free)} are free"
        )
        raise InputError(what, hint="Lower verdict.repeats, or have fewer test rows.")
