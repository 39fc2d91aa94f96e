"""Recommendations for a first study: task, metric, losses and size, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Options
from lossreg.contract.targets import REGRESSION
from lossreg.data import labels as reading_of_labels
from lossreg.data import unlabelled
from lossreg.data.classes import Labels
from lossreg.data.columns import is_number
from lossreg.data.dataset import Dataset
from lossreg.data.loading import load
from lossreg.data.raw import Raw
from lossreg.errors import DataError, InputError
from lossreg.inspection import columns, target
from lossreg.inspection.target import Numbers
from lossreg.metrics import catalogue
from lossreg.registry.registry import Registry

TRIALS, PER_LOSS = 64, 8
MANY_ZEROS = 0.1  # of a skewed target, from which they are more than a rounded tail
SKEWED = 1.0
VALUES_OF_COUNTS = 8  # distinct values from 0 or 1 on, from which whole numbers are counts rather than classes
OF_COUNTS = frozenset((
    "accidents", "anzahl", "cases", "claims", "count", "counts", "events", "frequency", "incidents", "purchases",
    "visits",
))  # fmt: skip
NUMBER_OF = frozenset(("n", "nb", "nr", "num", "number"))  # with another word
MANY_ROWS = {50_000: (512, 15), 10_000: (128, 20)}  # training rows from which batch and epochs are others

# losses for situations; those of a task that are not named here are recommended for what their summary says
FOR_RARE_CLASSES = {
    "class_balanced_ce": "rare classes count more, by their effective number of rows",
    "logit_adjusted_ce": "rare classes count more: raw scores are shifted by the classes' frequencies",
}
NONE_RARE = "no class is rare"
FOR_FAR_VALUES = {
    "mean_absolute_error": "outliers have no more influence than other rows; it predicts the median",
    "huber": "errors beyond delta have limited influence",
    "log_cosh": "smoothly between squared and absolute errors",
}
FOR_ZEROS = {"tweedie": "for positive values with many exact zeros"}
FOR_DISPERSION = {"negative_binomial": "for counts whose variance is larger than their mean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that is recommended, and the reason."""

    value: Any
    reason: str


def read(raw: Raw, where: str) -> tuple[Dataset, Choice]:
    """Return the data set of the rows with a label, and its task, as `task` recommends it; raises `DataError`."""
    whole, raw = raw, unlabelled.dropped(raw, where)
    options = Options(drop_unlabelled=len(raw.y) < len(whole.y))
    numeric = isinstance(raw.y, pd.Series) and is_number(raw.y.dtype)
    if not numeric:
        dataset = load(whole, options=options)
        choice = task(dataset.rows.labels, raw)
        return dataset if choice.value == dataset.task else load(whole, task=choice.value, options=options), choice
    try:
        labels = reading_of_labels.read(raw, "auto", where)
    except DataError as error:
        if "single row" not in error.what:
            raise
        labels = reading_of_labels.read(raw, "regression", where)
    choice = task(labels, raw)
    return load(whole, task=choice.value, options=options), choice


def is_called_count(name: str) -> bool:
    """Return whether a target has a name usual for counts: `claims`, `ClaimNb`, `n_visits`."""
    called = columns.words(name)
    return bool(called & OF_COUNTS) or (len(called) > 1 and bool(called & NUMBER_OF))


def may_be_count(numbers: Numbers) -> bool:
    """Return whether values are whole numbers from 0 on without large gaps, and skewed to the right."""
    is_consecutive = numbers.is_whole and numbers.low == 0 and numbers.high < 2 * numbers.distinct
    return is_consecutive and numbers.distinct > 2 and numbers.skewness > SKEWED


def task(labels: Labels, raw: Raw) -> Choice:
    """Return the task of labels: what was inferred, but counts and positive values where they are such."""
    inferred = Choice(labels.task, _why(labels))
    if labels.task == "regression":
        return _of_numbers(Numbers.of(labels.y), inferred)
    if labels.task == "multiclass" and isinstance(raw.y, pd.Series) and is_number(raw.y.dtype):
        numbers = Numbers.of(np.asarray(raw.y, np.float64))
        if may_be_count(numbers) and numbers.zeros >= 0.5 and is_called_count(str(raw.y.name)):
            return Choice("count", f"whole numbers from 0 to {numbers.high:g}, most of them 0, under such a name")
        return _of_numbers(numbers, inferred)
    return inferred


def _why(read: Labels) -> str:
    """Return what the task was inferred from, as the note on it says."""
    note = next((note for note in read.notes if note.startswith("Task ")), "")
    reason = note.partition("inferred from ")[2].partition(";")[0].rstrip(".")
    if reason == "labels of type text":
        return f"text with {len(read.classes):,} distinct values"
    return reason or "numbers, some of which stand there once"


def _of_numbers(numbers: Numbers, inferred: Choice) -> Choice:
    is_skewed, is_real = numbers.skewness > reading_of_labels.SKEWED, inferred.value == "regression"
    if numbers.low >= 0 and numbers.is_whole and is_skewed and not numbers.are_amounts:
        is_consecutive = numbers.low <= 1 and numbers.high - numbers.low < 2 * numbers.distinct
        if is_real or (is_consecutive and numbers.distinct >= VALUES_OF_COUNTS):
            return Choice("count", f"whole numbers from {numbers.low:g} to {numbers.high:g}, skewed to the right")
    if is_real and numbers.low == 0 and numbers.zeros >= reading_of_labels.MANY_ZEROS and is_skewed:
        return Choice("positive", f"skewed numbers of 0 and more, {numbers.zeros:.0%} of them exactly 0")
    if is_real and numbers.low > 0 and numbers.skewness >= SKEWED:
        return Choice("positive", f"positive numbers, skewed to the right (skewness {numbers.skewness:.1f})")
    return inferred


def metric(dataset: Dataset, numbers: Numbers | None) -> Choice:
    """Return the metric for what the labels are like."""
    usual = catalogue.default(dataset.task)
    if numbers is not None:
        return _of_errors(numbers, usual)
    if dataset.task not in ("binary", "multiclass"):
        is_multilabel = dataset.task == "multilabel"
        return Choice(usual, "all labels count alike" if is_multilabel else "a model that finds nothing scores 0")
    rows = target.counts(np.concatenate([part.y for part in _parts(dataset)]), dataset.n_classes, several=False)
    share = rows.max() / rows.sum()
    if not target.are_unequal(rows):
        return Choice("accuracy", f"{NONE_RARE}: {_times(rows)}")
    return Choice(
        usual, f"all classes count alike; accuracy would be {share:.2f} for a model that always predicts the commonest"
    )


def _times(rows: NDArray[Any]) -> str:
    """Return how many times as many rows the commonest class has as the rarest."""
    if rows.max() < 1.05 * rows.min():
        return "all have about the same number of rows"
    return f"the commonest has {rows.max() / max(rows.min(), 1):.2g} times as many rows as the rarest"


def _parts(dataset: Dataset) -> list[Any]:
    return [dataset.train, dataset.validation]


def _of_errors(numbers: Numbers, usual: str) -> Choice:
    if numbers.zeros > 0.5:
        return Choice(usual, "more than half of the values are 0: a model of zeros would have the least absolute error")
    if numbers.has_outliers:
        return Choice(
            "mean_absolute_error",
            f"{numbers.far:,} outliers have {numbers.far_share:.0%} of the variance, and would decide squared errors",
        )
    return Choice(usual, "it has no unit: 0 is the mean, 1 is perfect")


def losses(registry: Registry, dataset: Dataset, numbers: Numbers | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the losses to search over, each with its reason, and those of the task that are left out, with theirs.

    They are the recommended losses of the task, and others of the registry where the labels call for them.
    """
    chosen = {entry.spec.name: entry.spec.summary for entry in registry.recommended(dataset.task)}
    reasons, needless = _situation(dataset, numbers)
    left_out = {**needless, **_unfit(registry, dataset, [*chosen, *reasons])}
    extra = [name for name in reasons if name not in chosen and (entry := registry.look_up(name))
             and dataset.task in entry.spec.tasks]  # fmt: skip
    chosen |= {name: reasons[name] for name in extra} | {name: reasons[name] for name in chosen if name in reasons}
    kept = {name: reason for name, reason in chosen.items() if name not in left_out}
    return kept, {name: left_out[name] for name in chosen if name in left_out}


def _unfit(registry: Registry, dataset: Dataset, names: Iterable[str]) -> dict[str, str]:
    """Return the losses that the labels do not allow, with the reasons."""
    reasons = {}
    for entry in filter(None, map(registry.look_up, names)):
        try:
            entry.spec.check_labels(dataset.rows.labels.y)
        except InputError as error:
            reasons[entry.spec.name] = error.what
    return reasons


def _situation(dataset: Dataset, numbers: Numbers | None) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return losses that the labels call for, and those that they leave nothing to do, with the reasons."""
    if numbers is None:
        rows = np.asarray(dataset.constants.class_counts)
        if dataset.task not in ("binary", "multiclass") or target.are_unequal(rows):
            return FOR_RARE_CLASSES, {}
        return {}, dict.fromkeys(FOR_RARE_CLASSES, NONE_RARE)
    reasons = dict(FOR_FAR_VALUES) if numbers.has_outliers else {}
    needless = {} if numbers.zeros else dict.fromkeys(FOR_ZEROS, "no value is 0")
    if numbers.low == 0 and numbers.zeros >= MANY_ZEROS and numbers.skewness >= SKEWED and dataset.task in REGRESSION:
        reasons |= FOR_ZEROS
    if numbers.dispersion > 1 and dataset.task == "count":
        reasons |= FOR_DISPERSION
    return reasons, needless


def trials(number: int) -> int:
    """Return the number of trials for so many losses: at least `PER_LOSS` each."""
    return max(TRIALS, PER_LOSS * number)


def training(rows: int) -> tuple[int, int]:
    """Return batch size and epochs for so many training rows: many rows take larger batches and fewer epochs."""
    return next((sizes for least, sizes in MANY_ROWS.items() if rows >= least), (32, 30))
