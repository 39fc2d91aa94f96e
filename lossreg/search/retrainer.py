"""`Retrainer`: plans of a study are trained on fresh splits of its rows."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

from lossreg.search import retraining, sizing
from lossreg.search.fresh_scores import FreshScores, Scored, Split
from lossreg.search.policy import SearchPolicy
from lossreg.search.retraining import Retrained
from lossreg.storage.observer import Observer
from lossreg.storage.trial_record import Outcome
from lossreg.training.interface import Plan
from lossreg.training.pool import Pool

if TYPE_CHECKING:
    from lossreg.data import Dataset
    from lossreg.search.preparation import Prepared

# of weights and batches, so that none is the search's own
FIRST_SEED = 10_000
UNKNOWN = Scored({})


class Group(NamedTuple):
    """Plans by name to train on splits of the same rows; first: the number of the first of these splits."""

    plans: Mapping[str, Plan]
    first: int = 0


class OnSplit(NamedTuple):
    """A plan to train on the split of that number; name and number say what it is for.

    seeds: the number of seeds that it is trained with side by side, as the members of a trial.
    """

    name: str
    split: int
    plan: Plan
    seeds: int = 1


class Measured(NamedTuple):
    """Scores on each split by number of trial, and the same of the study's further metrics, by name."""

    scores: Mapping[int, list[float]]
    metrics: Mapping[str, Mapping[int, list[float]]]


class Finished(NamedTuple):
    """A training that was asked for, the plan with its split as `plan.fold`, and the training as it ended."""

    asked: OnSplit
    plan: Plan
    training: Retrained


@dataclass(slots=True)
class _Count:
    """Tells how many trainings of a task are done: `done`, plus the number it is called with; nothing twice."""

    progress: Observer
    task: str = ""
    done: int = 0
    total: int = 0
    last: tuple[str, float] = ("", 0)

    def __call__(self, new: float = 0) -> None:
        done = self.done + new
        if (self.task, done) != self.last:
            self.last = self.task, done
            self.progress.retrained(self.task, done, self.total)


class Retrainer:
    """Trains plans on splits of all samples but the test samples; a context, which ends its trainers.

    splits: the numbers of those that will be asked for; data: makes the data set of some of them; variants: plans like
    those that will be asked for later. As many splits as fit into memory are made at a time; `problem` has those of
    the plan that was yielded last, `prepared` is the study.
    """

    def __init__(
        self, prepared: Prepared, progress: Observer, splits: Sequence[int],
        data: Callable[[Sequence[int]], Dataset], variants: Iterable[Plan] = (),
    ) -> None:  # fmt: skip
        self.prepared, self._progress, self._count = prepared, progress, _Count(progress)
        self._data, self._variants = data, list(variants)
        size = prepared.problem.dataset.resampled_at_once()
        self._chunks = [tuple(splits[first : first + size]) for first in range(0, len(splits), size)]
        self._chunk: tuple[int, ...] = ()
        self.problem, self._pool = prepared.problem, Pool([])
        self._open = ExitStack()

    @classmethod
    def of_study(cls, prepared: Prepared, progress: Observer, splits: Sequence[int], first_seed: int) -> Self:
        """Return one for splits of the study's development rows; first_seed: that of split 0 where its seed is 0."""
        seed = prepared.spec.search.seed + first_seed

        def data(numbers: Sequence[int]) -> Dataset:
            return prepared.problem.dataset.resampled([seed + number for number in numbers])

        return cls(prepared, progress, splits, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def scores(
        self, groups: Sequence[Group], splits: int, task: str, *, first_seed: int = FIRST_SEED,
        kept: FreshScores | None = None,
    ) -> tuple[list[Measured], str]:  # fmt: skip
        """Return each group's scores on its first splits, NaN where training failed, and the commonest reason for that.

        groups: plans of trials, named by their numbers, which are the keys; first_seed: as in `train_groups`; kept:
        trainings that are not done again, which new ones are added to; those that failed with an error are none.
        """
        further = [metric.name for metric in self.prepared.problem.also]
        wanted = {(name, group.first + split) for group in groups for name in group.plans for split in range(splits)}
        done = {split: scored for split, scored in kept.known.items() if split in wanted} if kept else {}
        for one in self.train_groups(groups, range(splits), task, first_seed=first_seed, done=dict(done)):
            done[one.asked.name, one.asked.split] = scored = _scored(one.training)
            if kept and one.training.outcome != Outcome.FAILED:
                kept.add(one.asked.name, one.asked.split, scored)
            if kept and not one.training.beside:
                kept.write()
        reasons = Counter(one.reason for one in done.values() if not one.values)

        def of(group: Group, metric: str) -> dict[int, list[float]]:
            numbers = range(group.first, group.first + splits)
            of_name = {name: [done.get((name, i), UNKNOWN).values for i in numbers] for name in group.plans}
            return {int(name): [one.get(metric, math.nan) for one in each] for name, each in of_name.items()}

        by_group = [Measured(of(group, ""), {name: of(group, name) for name in further}) for group in groups]
        return by_group, max(reasons, key=reasons.__getitem__, default="its scores are not finite")

    @property
    def last(self) -> Dataset:
        """The data of the last splits that fit into memory together, made anew unless these were trained on last."""
        is_there = self._chunk == self._chunks[-1]
        return self.problem.dataset if is_there else self._data(self._chunks[-1][:1])

    def train_groups(
        self, groups: Sequence[Group], splits: range, task: str, *, wants_weights: bool = False,
        first_seed: int = FIRST_SEED, done: Collection[Split] = (),
    ) -> Iterator[Finished]:  # fmt: skip
        """Train each plan on these splits of its group, with the seed that all plans have there; as `train`.

        first_seed: that of weights and batches on split 0 of a study with seed 0; done: names and splits of those that
        are not trained.
        """
        seed = self.prepared.spec.search.seed + first_seed
        asked = [
            OnSplit(name, group.first + split, replace(plan, seed=seed + split))
            for group in groups for name, plan in group.plans.items() for split in splits
            if (name, group.first + split) not in done
        ]  # fmt: skip
        total = len(asked) + len(done)
        return self.train(asked, task, wants_weights=wants_weights, done=len(done), total=total)

    def train(
        self, asked: Sequence[OnSplit], task: str, *, wants_weights: bool = False, done: int = 0, total: int = 0
    ) -> Iterator[Finished]:
        """Yield every plan as soon as it has been trained, in any order; task says in a few words what for.

        done, total: of the trainings of the task, where these are but some of them. Raises `LossregError` when nothing
        can be trained any more, `KeyboardInterrupt` when the observer is stopping.
        """
        count = self._count
        count.task, count.done, count.total = task, done, total or sum(one.seeds for one in asked)
        count()
        for chunk in self._chunks:
            now = [one for one in asked if one.split in chunk]
            if not now:
                continue
            self._take(chunk, now)
            plans = [replace(one.plan, fold=chunk.index(one.split)) for one in now]
            trials = [_members(plan, one.seeds) for plan, one in zip(plans, now, strict=True)]
            policy = SearchPolicy.of(self.prepared)
            for training in retraining.train(
                self._pool, trials, policy, self._progress, wants_weights=wants_weights, on_epoch=count
            ):
                count.done += now[training.index].seeds
                yield Finished(now[training.index], plans[training.index], training)
        count()

    def _take(self, chunk: tuple[int, ...], asked: Sequence[OnSplit]) -> None:
        """Have samples of these splits, and trainers for them, with slots for rounds of equally many lanes."""
        if chunk != self._chunk:
            self._renew(chunk, asked)
        self._pool.resize(sizing.in_rounds(self.prepared, sum(one.seeds for one in asked), asked[0].seeds))

    def _renew(self, chunk: tuple[int, ...], asked: Sequence[OnSplit]) -> None:
        self._open.close()
        # those before are freed first; graphs are cycles that only the collector finds
        self.problem, self._pool = self.prepared.problem, Pool([])
        gc.collect()
        prepared = self.prepared
        self.problem, self._chunk = replace(prepared.problem, dataset=self._data(chunk)), chunk
        plans = [*(one.plan for one in asked), *self._variants]
        self._pool = sizing.retraining_pool(prepared, self.problem, plans, asked[0].seeds)
        self._open.callback(self._pool.shutdown)
        self._pool.warn = self._progress.warn
        self._pool.prepare()


def _scored(training: Retrained) -> Scored:
    if training.outcome != Outcome.COMPLETE:
        return Scored({}, training.reason)
    return Scored({"": training.score, **training.also})


def _members(plan: Plan, seeds: int) -> list[Plan]:
    return [replace(plan, seed=plan.seed + seed) for seed in range(seeds)]
