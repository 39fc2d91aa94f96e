"""Nested cross-validation: the search and the choice of settings once more in each outer fold.

Every row is a test row once, of models that were searched, chosen and trained without it. In each fold one search tries
all losses, the baseline as often as the most tried of the others; its best other loss is compared with its best setting
of the baseline. Source: Varma and Simon 2006, Bias in error estimation when using cross-validation for model selection.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lossreg.data.splits import TRAINING_SHARE
from lossreg.errors import InputError
from lossreg.search import arms, fold_search, reevaluation, restore
from lossreg.search.arms import BASELINE, SAME_RATE, WINNER
from lossreg.search.fold_search import FoldSearch
from lossreg.search.predictions import Predictor
from lossreg.search.retrainer import Finished, OnSplit, Retrainer
from lossreg.storage.observer import Observer
from lossreg.storage.records import Outcome, StudyResult, TrialRecord

if TYPE_CHECKING:
    from lossreg.data import Dataset
    from lossreg.data.splits import Part
    from lossreg.search.preparation import Prepared
    from lossreg.training.interface import Plan

# of the settings and splits of a fold's re-evaluation, where the study's own choice has 20 and 5
SETTINGS_OF_FOLD, SPLITS_OF_FOLD = 10, 2
ARMS = 3  # at most
# outer folds of a study that names none, if it has fewer rows than that and they take fewer minutes than that
USUAL, MOST_ROWS, LONG = 5, 2000, 2.0
# numbers of a fold's splits: that of its search, then those of the re-evaluation, then those of the repeats
OF_FOLD = 10_000
SEARCH, AGAIN = 0, 1
FIRST_SEED = 40_000  # of the splits and the searches, so that none is the study's own
Settings = dict[str, dict[str, Any]]  # of a fold: candidate and parameters of winner and baseline
Predictions = dict[str, np.ndarray]


def is_usual(rows: int, minutes: float) -> bool:
    """Return whether a study of so many rows has outer folds unasked, where they take so many minutes."""
    return rows < MOST_ROWS and minutes < LONG


def parts(prepared: Prepared, folds: int) -> tuple[Part, ...]:
    """Return all rows of a study in so many parts, each of which is tested once."""
    return prepared.problem.dataset.rows.outer(folds, prepared.spec.search.seed)


def fold_of_rows(dataset: Dataset, parts: Sequence[Part]) -> np.ndarray:
    """Return the number of the outer fold that each row, or pixel, is tested in."""
    folds = np.empty(sum(len(part.test) for part in parts), np.int64)
    for number, part in enumerate(parts):
        folds[part.test] = number
    return np.repeat(folds, math.prod(dataset.spatial_shape))


class Searched(NamedTuple):
    """A fold's search that has ended, and the study with the class counts of the fold."""

    prepared: Prepared
    result: StudyResult


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
        return cls(prepared, parts(prepared, folds), trials, progress)

    @property
    def _pixels(self) -> int:
        return math.prod(self.prepared.problem.dataset.spatial_shape)

    @property
    def trainings_before(self) -> int:
        """The number of trainings of searches and choices, at most."""
        search, count = self.trials * self.prepared.spec.search.seeds, len(self.prepared.candidates)
        again = reevaluation.settings(count, SETTINGS_OF_FOLD) * count * SPLITS_OF_FOLD
        return len(self.parts) * (search + again)

    def check(self) -> None:
        """Raise `InputError` if the metric is undefined for the rows of an outer fold."""
        metric, dataset = self.prepared.metric, self.prepared.problem.dataset
        try:
            for part in self.parts:
                y = dataset.rows.labels.y[part.test]
                metric.check(y.ravel() if dataset.spatial_shape else y, dataset.n_classes)
        except InputError as error:
            raise InputError(f"of the rows of an outer fold, {error.what}", hint="Use fewer outer folds.") from None

    # ------------------------------------------------------------ before any row is predicted

    def search(self) -> list[Searched]:
        """Return the search of each fold, as many at a time as there is memory for their samples."""
        most = self.prepared.problem.dataset.resampled_at_once()
        chunks = [range(len(self.parts))[first : first + most] for first in range(0, len(self.parts), most)]
        return [searched for folds in chunks for searched in self._searched(folds)]

    def _searched(self, folds: range) -> list[Searched]:
        """Run the searches of these folds, whose trials are trained together."""
        seeds = self.prepared.spec.search.seeds
        prepared = {fold: fold_search.of_rows(self.prepared, self.parts[fold].development) for fold in folds}
        seed = self.prepared.spec.search.seed + FIRST_SEED
        searches = {fold: FoldSearch(prepared[fold], self.trials, seed + fold) for fold in folds}
        done, total = (count * self.trials * seeds for count in (folds.start, len(self.parts)))
        splits = [fold * OF_FOLD + SEARCH for fold in folds]
        variants = self.prepared.proposer.variants()
        with Retrainer(self.prepared, self.progress, splits, partial(self._data, self._share), variants) as retrainer:
            while asked := [
                OnSplit(str(number), fold * OF_FOLD + SEARCH, plan, seeds)
                for fold, search in searches.items()
                for number, plan in search.ask()
            ]:
                task = f"the search again in {len(self.parts)} outer folds"
                ended = _by_fold(retrainer.train(asked, task, done=done, total=total))
                done += len(asked) * seeds
                for fold, search in searches.items():
                    search.tell({int(one.asked.name): one.training for one in ended.get(fold, ())})
        return [Searched(prepared[fold], search.result) for fold, search in searches.items()]

    def choose(self, searched: Sequence[Searched], retrainer: Retrainer) -> list[Settings]:
        """Return winner and baseline setting of each fold, by scores on fresh splits of its development rows.

        Raises `InputError` where a fold has none, since training diverged.
        """
        seed = self.prepared.spec.search.seed
        contenders = {fold: reevaluation.contenders(one.result, SETTINGS_OF_FOLD) for fold, one in enumerate(searched)}
        asked = [
            OnSplit(str(trial.number), fold * OF_FOLD + AGAIN + split, plan)
            for fold, trials in contenders.items()
            for trial in trials
            for split, plan in arms.repeated(
                restore.plan_of(searched[fold].prepared, trial), range(SPLITS_OF_FOLD), seed
            )
        ]
        scores = {
            fold: {trial.number: [math.nan] * SPLITS_OF_FOLD for trial in trials} for fold, trials in contenders.items()
        }
        task = f"the best settings of each outer fold, again on {SPLITS_OF_FOLD} fresh splits"
        for one in retrainer.train(asked, task):
            if one.training.outcome == Outcome.COMPLETE:
                fold, number = divmod(one.asked.split, OF_FOLD)
                scores[fold][int(one.asked.name)][number - AGAIN] = one.training.score
        return [self._choice(fold, searched[fold].result, contenders[fold], scores[fold]) for fold in contenders]

    def _choice(
        self, fold: int, result: StudyResult, trials: Sequence[TrialRecord], scores: Mapping[int, Sequence[float]]
    ) -> Settings:
        winner, baseline = reevaluation.choose(result, trials, scores)
        if winner is None or baseline is None:
            raise InputError(f"in outer fold {fold + 1} no setting of the baseline, or of the others, came to its end")
        return {
            name: {"candidate": trial.candidate, "params": dict(trial.params)}
            for name, trial in ((WINNER, winner), (BASELINE, baseline))
        }

    # ------------------------------------------------------------ predictions of every row

    def predictions(self, settings: Sequence[Settings], repeats: range, retrainer: Retrainer) -> Predictions:
        """Return the predictions `(repeats, rows, ...)` by arm, each row's from the models of its outer fold.

        Where the baseline has the rate of the winner in a fold, it stands for itself with that rate. Those of a
        training that failed are NaN.
        """
        plans = [self._plans(fold, chosen) for fold, chosen in enumerate(settings)]
        seed = self.prepared.spec.search.seed + SPLITS_OF_FOLD
        asked = [
            OnSplit(name, fold * OF_FOLD + AGAIN + SPLITS_OF_FOLD + repeat, plan)
            for fold, arms_of_fold in enumerate(plans)
            for name, first in arms_of_fold.items()
            for repeat, plan in arms.repeated(first, repeats, seed)
        ]
        task = f"winner and baseline, {len(repeats)} times each in {len(self.parts)} outer folds"
        predicted: dict[tuple[str, int, int], np.ndarray] = {}
        predictor = Predictor()
        for one in retrainer.train(asked, task, wants_weights=True):
            if one.training.weights is not None:
                fold, number = divmod(one.asked.split, OF_FOLD)
                by_arm = predictor.of_arm(one.asked.name, retrainer.problem, one.plan, one.training.weights)
                predicted |= {(arm, fold, number - AGAIN - SPLITS_OF_FOLD): values for arm, values in by_arm.items()}
        if any(SAME_RATE in of_fold for of_fold in plans):
            same = [
                (fold, repeat) for fold, of_fold in enumerate(plans) for repeat in repeats if SAME_RATE not in of_fold
            ]
            predicted |= {(SAME_RATE, *at): predicted[BASELINE, *at] for at in same if (BASELINE, *at) in predicted}
        return self._in_order(predicted, {name for of_fold in plans for name in of_fold}, repeats)

    def _plans(self, fold: int, chosen: Settings) -> dict[str, Plan]:
        prepared = fold_search.of_rows(self.prepared, self.parts[fold].development)
        winner, baseline = (restore.plan_with(prepared, **chosen[name]) for name in (WINNER, BASELINE))
        return arms.plans(winner, baseline)

    def _in_order(
        self, predicted: Mapping[tuple[str, int, int], np.ndarray], names: Iterable[str], repeats: range
    ) -> Predictions:
        """Return predictions by arm, fold and repeat in the order of the rows, by arm; NaN where there is none.

        names: the arms that were trained, also where all trainings of one failed.
        """
        if not predicted:
            raise InputError("no training of winner or baseline came to its end")
        further = next(iter(predicted.values())).shape[1:]
        shape = (len(repeats), sum(len(part.test) for part in self.parts), self._pixels, *further)
        by_arm: Predictions = {name: np.full(shape, np.nan, np.float32) for name in names}
        for (name, fold, repeat), values in predicted.items():
            rows, test = by_arm.setdefault(name, np.full(shape, np.nan, np.float32)), self.parts[fold].test
            rows[repeat - repeats.start, test] = values.reshape(len(test), self._pixels, *further)
        return {name: rows.reshape(len(repeats), -1, *further) for name, rows in by_arm.items()}

    # ------------------------------------------------------------ splits

    @property
    def _share(self) -> float:
        """The share of training samples in the split of a search: as in the study, or in a fold of its."""
        data = self.prepared.spec.data
        return 1 - (1 / data.folds if data.folds else data.validation)

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


def _by_fold(ended: Iterator[Finished]) -> dict[int, list[Finished]]:
    """Return finished plans by outer fold."""
    by_fold: dict[int, list[Finished]] = {}
    for one in ended:
        by_fold.setdefault(one.asked.split // OF_FOLD, []).append(one)
    return by_fold
