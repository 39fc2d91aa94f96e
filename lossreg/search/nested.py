"""Nested cross-validation: the search and the choice of settings once more in each outer fold.

Every row is a test row once, of models that were searched, chosen and trained without it. In each fold one search tries
all losses, the baseline as often as the most tried of the others; its best other loss is compared with its best setting
of the baseline. Source: Varma and Simon 2006, Bias in error estimation when using cross-validation for model selection.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.data.parts import VALIDATION
from lossreg.data.splits import TRAINING_SHARE
from lossreg.errors import InputError, count_of
from lossreg.search import arms, confirming, fold_search, restore
from lossreg.search.arms import BASELINE, WINNER
from lossreg.search.confirming import Choice
from lossreg.search.fold_search import FoldSearch
from lossreg.search.predictions import Predictions, predicted_by_arm
from lossreg.search.retrainer import Finished, Group, OnSplit, Retrainer
from lossreg.storage.observer import Observer
from lossreg.terminal import caller
from lossreg.verdict import shortage

if TYPE_CHECKING:
    from lossreg.data import Dataset
    from lossreg.data.splits import Part
    from lossreg.metrics.catalogue import Metric
    from lossreg.search.estimate import Estimate
    from lossreg.search.preparation import Prepared
    from lossreg.training.interface import Plan

# of the settings and splits by which a fold is confirmed, where the study has 20 and `search.confirm`
SETTINGS_OF_FOLD, SPLITS_OF_FOLD = 10, 2
ARMS = 3  # at most
LONG = 2.0  # minutes from which a study has no outer folds unasked
LONGEST = 60  # minutes of outer folds that are proposed to a study of more rows
# numbers of a fold's splits: that of its search, then those that confirm it, then those of the repeats
OF_FOLD = 10_000
SEARCH, AGAIN = 0, 1
FIRST_SEED = 40_000  # of the splits and the searches, so that none is the study's own
Settings = dict[str, dict[str, Any]]  # of a fold: candidate and parameters of winner and baseline


def is_usual(rows: int, minutes: float) -> bool:
    """Return whether a study of so many rows has outer folds unasked, where they take so many minutes."""
    return rows < shortage.MOST_ROWS and minutes < LONG


def proposal(rows: int, new: Estimate, *, is_open: bool) -> str:
    """Return a note that outer folds, unless they were ruled out, would show more than the single split.

    Of a study that has them unasked if they take little time always; of a larger one where no difference is shown
    and they take no more than an hour. is_open: whether no difference is shown.
    """
    if rows >= shortage.MOST_ROWS and not (is_open and new.minutes <= LONGEST):
        return ""
    how = caller.words(
        f"`lossreg verdict STUDY --set verdict.outer={shortage.USUAL}` does it",
        f"verdict.outer = {shortage.USUAL} asks for it",
    )
    return (
        "only one split was tested: nested cross-validation tests every row, and can show smaller differences than "
        f"more repeats can; it takes about {new.in_words} here; {how}"
    )


def trainings_before(prepared: Prepared, folds: int, trials: int) -> int:
    """Return the number of trainings of the searches and choices of so many outer folds, at most."""
    search, count = trials * prepared.spec.search.seeds, len(prepared.candidates)
    return folds * (search + confirming.settings(count, trials, SETTINGS_OF_FOLD) * count * _splits(prepared))


@dataclass(frozen=True, slots=True)
class Nested:
    """The outer folds of a study; trials: the number of each fold's search."""

    prepared: Prepared
    parts: tuple[Part, ...]
    trials: int
    progress: Observer

    @classmethod
    def of(cls, prepared: Prepared, folds: int, trials: int, progress: Observer) -> Nested:
        """Return so many outer folds of all rows of a study."""
        return cls(prepared, prepared.problem.dataset.rows.outer(folds, prepared.spec.search.seed), trials, progress)

    def check(self) -> None:
        """Raise `InputError` if the metric is undefined for the rows of an outer fold, or for all but one of them."""
        metric, dataset = self.prepared.metric, self.prepared.problem.dataset
        try:
            for part in self.parts:
                y = dataset.scored_labels(dataset.rows.scored[part.test])
                metric.check(y, dataset.n_classes)
                dependent = dataset.rows.layout.dependent
                units = np.arange(len(part.test)) if dependent is None else dependent[part.test]
                _require_two_of_each(metric, y, np.repeat(units, len(y) // len(units)))
        except InputError as error:
            raise InputError(f"of the rows of an outer fold, {error.what}", hint="Use fewer outer folds.") from None

    def _of_fold(self, fold: int) -> Prepared:
        """Return the study with the class counts of the development rows of a fold."""
        return fold_search.of_rows(self.prepared, self.parts[fold].development)

    # ------------------------------------------------------------ before any row is predicted

    def search(self) -> list[FoldSearch]:
        """Return the search of each fold, as many at a time as there is memory for their samples."""
        most = self.prepared.problem.dataset.resampled_at_once()
        chunks = [range(len(self.parts))[first : first + most] for first in range(0, len(self.parts), most)]
        return [search for folds in chunks for search in self._searched(folds)]

    def _searched(self, folds: range) -> list[FoldSearch]:
        """Run the searches of these folds, whose trials are trained together."""
        seeds = self.prepared.spec.search.seeds
        seed = self.prepared.spec.search.seed + FIRST_SEED
        searches = {fold: FoldSearch(self._of_fold(fold), self.trials, seed + fold) for fold in folds}
        done, total = (count * self.trials * seeds for count in (folds.start, len(self.parts)))
        splits = [fold * OF_FOLD + SEARCH for fold in folds]
        variants = self.prepared.proposer.variants()
        with Retrainer(self.prepared, self.progress, splits, partial(self._data, self._share), variants) as retrainer:
            while asked := [
                OnSplit(str(number), fold * OF_FOLD + SEARCH, plan, seeds)
                for fold, search in searches.items()
                for number, plan in search.ask()
            ]:
                task = f"verdict: the search again in {len(self.parts)} outer folds"
                ended = _by_fold(retrainer.train(asked, task, done=done, total=total))
                done += len(asked) * seeds
                for fold, search in searches.items():
                    search.tell({int(one.asked.name): one.training for one in ended.get(fold, ())})
        return list(searches.values())

    def choose(self, searched: Sequence[FoldSearch], retrainer: Retrainer) -> list[Settings]:
        """Return winner and baseline setting of each fold, by scores on fresh splits of its development rows.

        Raises `InputError` where a fold has none, since training diverged.
        """
        splits = _splits(self.prepared)
        if not splits:
            return [_choice(fold, confirming.choose(one.result), "") for fold, one in enumerate(searched)]
        contenders = [confirming.contenders(one.result, SETTINGS_OF_FOLD) for one in searched]
        plans = [
            {str(trial.number): restore.plan_of(one.prepared, trial) for trial in trials}
            for one, trials in zip(searched, contenders, strict=True)
        ]
        task = f"verdict: the best settings of each outer fold, again on {count_of(splits, 'fresh split')}"
        scores, reason = retrainer.scores(_groups(plans), splits, task)
        ratio = confirming.ratio_of(retrainer.problem.dataset)
        for one, of_fold in zip(searched, scores, strict=True):
            one.result.confirmation = confirming.confirmed(
                one.result, of_fold.scores, splits, ratio=ratio, reason=reason, metrics=of_fold.metrics
            )
        return [_choice(fold, confirming.choose(one.result), reason) for fold, one in enumerate(searched)]

    # ------------------------------------------------------------ predictions of every row

    def predictions(self, settings: Sequence[Settings], repeats: range, retrainer: Retrainer) -> Predictions:
        """Return the predictions by arm, each row's from the models of its outer fold; NaN where a training failed."""
        pixels = np.arange(math.prod(self.prepared.problem.dataset.spatial_shape))
        rows = [(part.test[:, None] * len(pixels) + pixels).ravel() for part in self.parts]
        groups = _groups([self._plans(fold, chosen) for fold, chosen in enumerate(settings)])
        splits = range(SPLITS_OF_FOLD + repeats.start, SPLITS_OF_FOLD + repeats.stop)
        named = arms.in_words({name for group in groups for name in group.plans})
        task = f"verdict: {named}, {len(repeats)} times each in {len(self.parts)} outer folds"
        return predicted_by_arm(retrainer, groups, rows, splits, task)

    def _plans(self, fold: int, chosen: Settings) -> dict[str, Plan]:
        prepared = self._of_fold(fold)
        winner, baseline = (restore.plan_with(prepared, **chosen[name]) for name in (WINNER, BASELINE))
        return arms.plans(winner, baseline)

    # ------------------------------------------------------------ splits

    @property
    def _share(self) -> float:
        """The share of training samples in the split of a search: as in the study, or in a fold of its."""
        data, dataset = self.prepared.spec.data, self.prepared.problem.dataset
        if data.folds:
            return 1 - 1 / data.folds
        if isinstance(data.validation, str) or dataset.rows.layout.has(VALIDATION):
            return len(dataset.train) / (len(dataset.train) + len(dataset.validation))
        return 1 - data.validation

    def retrainer(self, *, chosen: bool, repeats: range) -> Retrainer:
        """Return the trainer of repeats in every fold, before that of the choice of settings unless they are known."""
        numbers = range(SPLITS_OF_FOLD + repeats.start if chosen else 0, SPLITS_OF_FOLD + repeats.stop)
        splits = [fold * OF_FOLD + AGAIN + number for fold in range(len(self.parts)) for number in numbers]
        return Retrainer(self.prepared, self.progress, splits, partial(self._data, TRAINING_SHARE))

    def _data(self, share: float, splits: Sequence[int]) -> Dataset:
        """Return a data set with these splits, of which a share are training samples."""
        seed = self.prepared.spec.search.seed + FIRST_SEED
        parts = [self.parts[split // OF_FOLD] for split in splits]
        return self.prepared.problem.dataset.resampled([seed + split for split in splits], share, parts)


def _require_two_of_each(metric: Metric, y: np.ndarray, units: np.ndarray) -> None:
    """Raise `InputError` if a ranking hangs on one row, or one unit of rows: without it there is no interval."""
    if not metric.ranks or not metric.every_class:
        return
    for column in y.reshape(len(y), -1).T:
        distinct = np.unique(np.column_stack([column, units]), axis=0)
        if np.unique(distinct[:, 0], return_counts=True)[1].min() < 2:
            what = "row" if len(np.unique(units)) == len(y) else "group"
            raise InputError(f"a class or label has one {what} alone, and an interval of {metric.name} takes two")


def _groups(plans: Sequence[Mapping[str, Plan]]) -> list[Group]:
    """Return the plans of each fold with the first of its splits after that of its search."""
    return [Group(of_fold, fold * OF_FOLD + AGAIN) for fold, of_fold in enumerate(plans)]


def _choice(fold: int, choice: Choice, reason: str) -> Settings:
    if choice.winner is None or choice.baseline is None:
        which = "a loss other than the baseline" if choice.winner is None else "the baseline"
        raise InputError(f"in outer fold {fold + 1} no setting of {which} came to its end ({reason})")
    return {
        name: {"candidate": trial.candidate, "params": dict(trial.params)}
        for name, trial in ((WINNER, choice.winner), (BASELINE, choice.baseline))
    }


def _splits(prepared: Prepared) -> int:
    """Return the number of splits by which the settings of a fold are confirmed."""
    return min(SPLITS_OF_FOLD, prepared.spec.search.confirm)


def _by_fold(ended: Iterator[Finished]) -> dict[int, list[Finished]]:
    """Return finished plans by outer fold."""
    by_fold: dict[int, list[Finished]] = {}
    for one in ended:
        by_fold.setdefault(one.asked.split // OF_FOLD, []).append(one)
    return by_fold
