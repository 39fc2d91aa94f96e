"""`Retrainer`: settings of a study are trained again on fresh splits of the development rows."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Self

from lossreg.search import retraining, sizing
from lossreg.search.policy import SearchPolicy
from lossreg.search.retraining import Retrained
from lossreg.storage.observer import Observer
from lossreg.training.interface import Plan
from lossreg.training.pool import Pool

if TYPE_CHECKING:
    from lossreg.data import Dataset
    from lossreg.search.preparation import Prepared

# of the splits, so that none is the search's own
FIRST_SEED = 20_000


class OnSplit(NamedTuple):
    """A plan to train on the split of that number; name and number say what it is for.

    seeds: the number of seeds that it is trained with side by side, as the members of a trial.
    """

    name: str
    split: int
    plan: Plan
    seeds: int = 1


class Finished(NamedTuple):
    """What was asked for, the plan with its split as `plan.fold`, and how it ended."""

    asked: OnSplit
    plan: Plan
    training: Retrained


class Retrainer:
    """Trains plans on splits of all samples but the test samples; a context, which ends its trainers.

    splits: the numbers of those that will be asked for; data: makes the data set of some of them, by default fresh
    splits of the study's development rows; variants: plans like those that will be asked for later. As many as fit
    into memory are made at a time; `problem` has those of the plan that was yielded last.
    """

    def __init__(
        self, prepared: Prepared, progress: Observer, splits: Sequence[int],
        data: Callable[[Sequence[int]], Dataset] | None = None, variants: Iterable[Plan] = (),
    ) -> None:  # fmt: skip
        self._prepared, self._progress = prepared, progress
        self._data, self._variants = data or self._fresh, list(variants)
        size = prepared.problem.dataset.resampled_at_once()
        self._chunks = [tuple(splits[first : first + size]) for first in range(0, len(splits), size)]
        self._chunk: tuple[int, ...] = ()
        self.problem, self._pool = prepared.problem, Pool([])
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def _fresh(self, splits: Sequence[int]) -> Dataset:
        seed = self._prepared.spec.search.seed
        return self._prepared.problem.dataset.resampled([seed + FIRST_SEED + split for split in splits])

    def train(
        self, asked: Sequence[OnSplit], task: str, *, wants_weights: bool = False, done: int = 0, total: int = 0
    ) -> Iterator[Finished]:
        """Yield every plan as soon as it has been trained, in any order; task says in a few words what for.

        done, total: of the trainings of the task, where these are but some of them. Raises `LossregError` when nothing
        can be trained any more, `KeyboardInterrupt` when the observer is stopping.
        """
        total = total or sum(one.seeds for one in asked)
        self._report(done, total, task)
        for chunk in self._chunks:
            now = [one for one in asked if one.split in chunk]
            if not now:
                continue
            self._take(chunk, now)
            plans = [replace(one.plan, fold=chunk.index(one.split)) for one in now]
            trials = [_members(plan, one.seeds) for plan, one in zip(plans, now, strict=True)]
            policy = SearchPolicy.of(self._prepared)
            for training in retraining.train(self._pool, trials, policy, self._progress, wants_weights=wants_weights):
                seeds = now[training.index].seeds
                done += seeds
                self._report(done, total, task, seeds)
                yield Finished(now[training.index], plans[training.index], training)

    def _take(self, chunk: tuple[int, ...], asked: Sequence[OnSplit]) -> None:
        """Have samples of these splits, and trainers for them, with slots for rounds of equally many lanes."""
        if chunk != self._chunk:
            self._renew(chunk, asked)
        self._pool.resize(sizing.in_rounds(self._prepared, sum(one.seeds for one in asked), asked[0].seeds))

    def _renew(self, chunk: tuple[int, ...], asked: Sequence[OnSplit]) -> None:
        self._open.close()
        # those before are freed first; graphs are cycles that only the collector finds
        self.problem, self._pool = self._prepared.problem, Pool([])
        gc.collect()
        prepared = self._prepared
        self.problem, self._chunk = replace(prepared.problem, dataset=self._data(chunk)), chunk
        plans = [*(one.plan for one in asked), *self._variants]
        self._pool = sizing.retraining_pool(prepared, self.problem, plans, asked[0].seeds)
        self._open.callback(self._pool.shutdown)
        self._pool.warn = self._progress.warn
        self._pool.prepare()

    def _report(self, done: int, total: int, task: str, step: int = 1) -> None:
        """Say about five times how far it is; step: the trainings since the last time."""
        if done == total or done % max(1, total // 5) < step:
            self._progress.phase(f"verdict: {task}: {done} of {total} trainings")


def _members(plan: Plan, seeds: int) -> list[Plan]:
    return [replace(plan, seed=plan.seed + seed) for seed in range(seeds)]
