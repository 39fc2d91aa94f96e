"""`FoldSearch`: a search like the study's own, on the development rows of one outer fold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import optuna

from lossreg.search.ask_tell import AskTell
from lossreg.search.policy import SearchPolicy
from lossreg.search.retraining import Retrained
from lossreg.search.sampler import SeededSampler, enqueue_start
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import Outcome, TrialRecord, finite
from lossreg.training.interface import Plan

if TYPE_CHECKING:
    from lossreg.data.splits import Rows
    from lossreg.search.preparation import Prepared

GENERATIONS = 4


def of_rows(prepared: Prepared, development: Rows) -> Prepared:
    """Return the study with class counts, on which search spaces may depend, of these rows alone."""
    constants = prepared.problem.dataset.rows.constants(development)
    proposer = replace(prepared.proposer, constants=constants)
    published = {name: proposer.published(name) for name in proposer.names}
    return replace(prepared, proposer=proposer, published=published, earlier=0)


class FoldSearch:
    """Trials in memory, asked for and told in generations, so that the result does not depend on the time they take.

    The first generation is the fair start, from which the sampler learns nothing. `result` has those that ended.
    """

    def __init__(self, prepared: Prepared, trials: int, seed: int) -> None:
        self.prepared, metric = prepared, prepared.metric
        study = optuna.create_study(
            direction=metric.direction, pruner=optuna.pruners.NopPruner(),
            sampler=SeededSampler(seed, prepared.spec.search.sampler, prepared.proposer.allowed),
        )  # fmt: skip
        enqueue_start(study, prepared.start, trials)
        self._worst, self._size = SearchPolicy.of(prepared).worst, math.ceil(trials / GENERATIONS)
        self._ask_tell = AskTell(study, prepared.proposer, trials, prepared.baseline, constraints=prepared.constraints)
        self._asked: dict[int, tuple[optuna.Trial, Plan]] = {}
        losses = {name: candidate.spec.name for name, candidate in prepared.candidates.items()}
        self.result = StudyResult(
            prepared.spec.name, metric.name, metric.direction, prepared.problem.dataset.task, losses, prepared.baseline,
            constraints=prepared.constraints,
        )  # fmt: skip

    def ask(self) -> Iterator[tuple[int, Plan]]:
        """Yield number and plan of each trial of the next generation; nothing when all trials have been asked for."""
        for _ in range(min(self._ask_tell.left, max(self._size, self._ask_tell.queued))):
            trial, plan = self._ask_tell.ask()
            self._asked[trial.number] = trial, plan
            yield trial.number, plan

    def tell(self, ended: Mapping[int, Retrained]) -> None:
        """Tell the sampler how the trials of a generation ended, by their numbers."""
        for number in sorted(ended):
            trial, plan = self._asked.pop(number)
            record = self._record(trial, plan, ended[number])
            self._ask_tell.tell(record, self._worst if record.state == Outcome.DIVERGED else record.score)
            self.result.add(record)

    def _record(self, trial: optuna.Trial, plan: Plan, ended: Retrained) -> TrialRecord:
        is_complete = ended.outcome == Outcome.COMPLETE
        return TrialRecord(
            number=trial.number, state=ended.outcome.value, candidate=plan.candidate,
            loss=self.result.losses[plan.candidate],
            params={name: value for name, value in trial.params.items() if name != "loss"},
            loss_params={}, learning_rate=plan.learning_rate, score=ended.score if is_complete else None,
            epoch=ended.epoch, curves={}, seconds=ended.seconds, metrics=finite(ended.also),
        )  # fmt: skip
