"""`Retrainer`: settings of a study are trained again on fresh splits of the development rows."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
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
    from lossreg.search.preparation import Prepared

# of the splits, so that none is the search's own
FIRST_SEED = 20_000


class OnSplit(NamedTuple):
    """A plan to train on the split of that number; name and number say what it is for."""

    name: str
    split: int
    plan: Plan


class Finished(NamedTuple):
    """What was asked for, the plan with its split as `plan.fold`, and how it ended."""

    asked: OnSplit
    plan: Plan
    training: Retrained


class Retrainer:
    """Trains plans on splits of all samples but the test samples; a context, which ends its trainers.

    splits: the numbers of those that will be asked for. As many as fit into memory are made at a time; `problem` has
    those of the plan that was yielded last.
    """

    def __init__(self, prepared: Prepared, progress: Observer, splits: Sequence[int]) -> None:
        self._prepared, self._progress = prepared, progress
        size = prepared.problem.dataset.resampled_at_once()
        self._chunks = [tuple(splits[first : first + size]) for first in range(0, len(splits), size)]
        self._chunk: tuple[int, ...] = ()
        self.problem, self._pool = prepared.problem, Pool([])
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def train(self, asked: Sequence[OnSplit], task: str, *, wants_weights: bool = False) -> Iterator[Finished]:
        """Yield every plan as soon as it has been trained, in any order; task says in a few words what for.

        Raises `LossregError` when nothing can be trained any more, `KeyboardInterrupt` when the observer is stopping.
        """
        done = 0
        self._report(done, len(asked), task)
        for chunk in self._chunks:
            now = [one for one in asked if one.split in chunk]
            if not now:
                continue
            self._take(chunk, [one.plan for one in now])
            plans = [replace(one.plan, fold=chunk.index(one.split)) for one in now]
            policy = SearchPolicy.of(self._prepared)
            for training in retraining.train(self._pool, plans, policy, self._progress, wants_weights=wants_weights):
                done += 1
                self._report(done, len(asked), task)
                yield Finished(now[training.index], plans[training.index], training)

    def _take(self, chunk: tuple[int, ...], plans: Sequence[Plan]) -> None:
        """Have samples of these splits, and trainers for them."""
        if chunk == self._chunk:
            return
        self._open.close()
        # those before are freed first; graphs are cycles that only the collector finds
        self.problem, self._pool = self._prepared.problem, Pool([])
        gc.collect()
        prepared, seed = self._prepared, self._prepared.spec.search.seed
        dataset = prepared.problem.dataset.resampled([seed + FIRST_SEED + split for split in chunk])
        self.problem, self._chunk = replace(prepared.problem, dataset=dataset), chunk
        self._pool = sizing.retraining_pool(prepared, self.problem, plans)
        self._open.callback(self._pool.shutdown)
        self._pool.warn = self._progress.warn
        self._pool.prepare()

    def _report(self, done: int, total: int, task: str) -> None:
        """Say about five times how far it is."""
        if done == total or done % max(1, total // 5) == 0:
            self._progress.phase(f"verdict: {task}: {done} of {total} trainings")
