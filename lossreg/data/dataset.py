"""Data: from a source to three preprocessed parts.

    source -> raw rows -> labels and task -> test rows cut first -> preprocessing fitted on training rows

`load` does it all and returns a `Dataset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.contract.targets import Constants
from lossreg.data import features, inputs, labels, room, sources, splits, weights
from lossreg.data.classes import Labels
from lossreg.data.inputs import Preprocessor
from lossreg.data.lost import Lost
from lossreg.data.preprocess import Counted
from lossreg.data.raw import Raw
from lossreg.data.reading import Readings
from lossreg.data.scaling import coarse
from lossreg.data.splits import Rows3
from lossreg.errors import DataError

__all__ = ["Dataset", "Split", "load"]

Weighed = tuple[NDArray[np.float32] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Samples ready for a model: `x` float32 `(n, *shape)`, or several such inputs by name, and their labels `y`.

    y: `(n,)` int64 class indices or float64 values; multilabel `(n, k)` int64 and segmentation
    `(n, *spatial_shape)` int8, of 0 and 1; weights: `(n,)` float32 sample weights, None
    where all are 1.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dataset:
    """A task with its training, validation and test samples.

    classes: class names in index order, the names of multilabel columns, or of a mask's 0 and 1; empty for
    regression; slugs: the same, safe for Optuna and MLflow; features: raw column names, `input.column` of several
    inputs, empty for arrays of more than two dimensions; preprocessor: fitted on the training rows, turns raw
    rows into float32; constants: of the training labels; digest: a hash of the raw data; notes: lines for the
    user; further_folds: in cross-validation, one data set per fold after the first, with the same test samples;
    weights: of the training samples, as in `TrialRecord.weights`, empty where all are 1.
    """

    name: str
    source: str
    task: str
    classes: tuple[str, ...]
    slugs: tuple[str, ...]
    features: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    preprocessor: Preprocessor
    constants: Constants
    digest: str
    notes: list[str] = field(default_factory=list)
    further_folds: tuple[Dataset, ...] = ()
    weights: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folds(self) -> tuple[Dataset, ...]:
        """The data sets that the members of a trial are trained on, one per fold: this one first, at least one."""
        return (self, *self.further_folds)

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels per row; 0 for regression."""
        return len(self.classes)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Shape of one mask; empty for every task but segmentation."""
        return self.train.y.shape[1:] if self.task == "segmentation" else ()

    @property
    def input_shape(self) -> Any:
        """Shape of one preprocessed row, a tuple; of several inputs a dictionary of shapes by name."""
        x = self.train.x
        return {name: tuple(part.shape[1:]) for name, part in x.items()} if isinstance(x, dict) else tuple(x.shape[1:])

    def summary(self) -> dict[str, Any]:
        """Return name, task, samples per part, samples per class, raw features, input shape and digest.

        For a multilabel task, samples per label; for a segmentation, pixels per class, and `foreground`, the share
        of 1.
        """
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        counts = self._counts(np.concatenate([part.y for part in parts.values()]))
        share = {"foreground": round(counts[1] / sum(counts), 4)} if self.spatial_shape else {}
        shape = self.input_shape
        return {
            "name": self.name,
            "source": self.source,
            "task": self.task,
            "rows": {name: len(part) for name, part in parts.items()},
            **({"folds": len(self.folds)} if self.further_folds else {}),
            "classes": dict(zip(self.classes, counts, strict=True)),
            **share,
            "features": inputs.width(self.preprocessor),
            "input_shape": {k: list(v) for k, v in shape.items()} if isinstance(shape, dict) else list(shape),
            "digest": self.digest,
        }

    def _counts(self, y: NDArray[Any]) -> list[int]:
        if not self.classes:
            return []
        counts = y.sum(axis=0) if self.task == "multilabel" else np.bincount(y.ravel(), minlength=self.n_classes)
        return [int(count) for count in counts]


def load(
    source: str | Path,
    *,
    target: str | Sequence[str] | None = None,
    task: str = "auto",
    test: float = 0.2,
    validation: float = 0.2,
    folds: int | None = None,
    weight: str | None = None,
    class_weight: Any = None,
    preprocess: str | Mapping[str, str] = "standard",
    drop: Sequence[str] = (),
    base: Path = Path(),
    seed: int = 0,
) -> Dataset:
    """Read, split and preprocess a data set.

    source: `sklearn:NAME[?argument=value&...]`, a .csv, .csv.gz, .tsv, .parquet or .npz file
    (relative to `base`), or `file.py:function` / `package.module:function`; target: the label
    column of a table, or several columns of 0 and 1; task: auto or one of `lossreg.contract.targets.TASKS`;
    test: share of all rows; validation: share of the rows outside the test; folds: the number of folds
    into which these rows are cut instead; weight: the column of a table with sample weights; class_weight:
    weights of the classes in training, as in `weights.of_classes`; preprocess: "standard", "none" to leave
    numbers unchanged, or one of these for each of several inputs; drop: columns to leave out. Everything
    random follows `seed`. Raises `InputError` (mostly `DataError`).
    """
    where = str(source)
    columns = target if target is None or isinstance(target, str) else tuple(target)
    as_given = preprocess == inputs.NONE
    raw = sources.read(where, target=columns, weight=weight, as_given=as_given, drop=drop, base=base, seed=seed)
    labelled = labels.read(raw, task, where)
    cuts = splits.cut(
        labelled, test=test, validation=validation, folds=folds, given_test=raw.given_test, seed=seed, where=where
    )
    sample_weights = _weigh(raw, labelled, cuts, class_weight, where)
    choices = inputs.preprocessing_of(raw.x, preprocess)
    try:
        readings = inputs.read(raw.x, choices)
        digest = raw.digest([*inputs.marks(readings), *labelled.marks])
        fitted = _fitted(raw, cuts, choices, readings, where)
        transformed = [_transformed(raw, preprocessor, rows) for preprocessor, rows in zip(fitted, cuts, strict=True)]
    except DataError as error:
        raise error.at(where) from None
    common = {
        "name": raw.name, "source": where, "task": labelled.task, "classes": labelled.classes,
        "slugs": labelled.slugs, "digest": digest,
    }  # fmt: skip
    first, *further = [
        _dataset(preprocessor, _splits(labelled, arrays, rows, weighed), common)
        for preprocessor, arrays, rows, weighed in zip(fitted, transformed, cuts, sample_weights, strict=True)
    ]
    notes = [
        *raw.notes, *labelled.notes, *dict.fromkeys(note for rows in cuts for note in rows.notes),
        *inputs.notes(readings), *inputs.missing(raw.x, readings), *fitted[0].notes, *_lost(transformed),
    ]  # fmt: skip
    given: dict[str, Any] = {}
    if first.train.weights is not None:
        notes += weights.notes(first.train.weights)
        given = weights.given(raw.weights, weight, weights.of_classes(class_weight, labelled, cuts[0].train))
    return replace(first, notes=notes + _coarse(first), further_folds=tuple(further), weights=given)


def _coarse(dataset: Dataset) -> list[str]:
    """Return a note on a target of numbers that float32 holds too coarsely."""
    if dataset.classes:
        return []
    return coarse(dataset.constants.target_center, dataset.constants.target_scale, dataset.task)


def _weigh(raw: Raw, labelled: Labels, cuts: Sequence[Rows3], class_weight: Any, where: str) -> list[Weighed]:
    """Return the weights of the samples in the three parts of each cut; class weights apply to training only."""
    training = [
        weights.of_rows(raw.weights, weights.of_classes(class_weight, labelled, rows.train), labelled, rows.train)
        for rows in cuts
    ]
    weights.check(training, where)
    validation = [weights.of_rows(raw.weights, None, labelled, rows.validation) for rows in cuts]
    test = [weights.of_rows(raw.weights, None, labelled, rows.test) for rows in cuts]
    return list(zip(*map(weights.plain, (training, validation, test)), strict=True))


def _fitted(
    raw: Raw, cuts: Sequence[Rows3], choices: Mapping[str, str], readings: Mapping[str, Readings], where: str
) -> list[Preprocessor]:
    """Return a preprocessor per cut, fitted on its training samples; all folds share the decisions about columns."""
    shared = np.union1d(cuts[0].train, cuts[0].validation) if len(cuts) > 1 else cuts[0].train
    decisions = inputs.decide(features.take(raw.x, shared), readings)
    fitted = [inputs.fit(features.take(raw.x, rows.train), choices, decisions) for rows in cuts]
    room.check(fitted[0].counted(features.take(raw.x, cuts[0].train[:1])).array, len(raw.y), len(cuts), where)
    return fitted


def _transformed(raw: Raw, preprocessor: Preprocessor, rows: Rows3) -> list[Counted]:
    """Return the training, validation and test samples of a cut, preprocessed."""
    return [preprocessor.counted(features.take(raw.x, index)) for index in (rows.train, rows.validation, rows.test)]


def _lost(cuts: Sequence[Sequence[Counted]]) -> list[str]:
    """Return notes on the values that preprocessing lost, from the cut that lost most of each."""
    totals = [reduce(Lost.plus, (part.lost for part in parts)) for parts in cuts]
    return reduce(Lost.worst, totals).lines()


def _splits(labelled: Labels, arrays: Sequence[Counted], rows: Rows3, weighed: Weighed) -> list[Split]:
    indices = (rows.train, rows.validation, rows.test)
    return [
        Split(part.array, labelled.y[index], weight)
        for part, index, weight in zip(arrays, indices, weighed, strict=True)
    ]


def _dataset(preprocessor: Preprocessor, parts: Sequence[Split], common: Mapping[str, Any]) -> Dataset:
    classes, multihot = len(common["classes"]), common["task"] == "multilabel"
    return Dataset(
        **common,
        features=tuple(inputs.names(preprocessor)),
        train=parts[0],
        validation=parts[1],
        test=parts[2],
        preprocessor=preprocessor,
        constants=Constants.from_labels(parts[0].y, classes, multihot=multihot),
    )
