"""`Dataset`: a task with its training, validation and test samples, ready for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossreg.contract.targets import Constants
from lossreg.data import exposures, inputs
from lossreg.data.parts import TEST
from lossreg.data.splits import TRAINING_SHARE
from lossreg.errors import DataError

if TYPE_CHECKING:
    from lossreg.data.loaded_rows import LoadedRows
    from lossreg.data.splits import Part


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Samples ready for a model: `x` float32 `(n, *shape)`, or several such inputs by name, and their labels `y`.

    y: `(n,)` int64 class indices or float64 values; multilabel `(n, k)` int64 and segmentation
    `(n, *spatial_shape)` int8, of 0 and 1; weights: `(n,)` float32 sample weights, None
    where all are 1; units: `(n,)` numbers, equal where samples are not independent, None where all are; counted: the
    number of independent samples by which all folds of a study decide alike, None where there are no others;
    records: labels and the columns that the metric takes, as in `scored_labels`, None without.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[np.float32] | None = None
    units: NDArray[np.int64] | None = None
    counted: int | None = None
    records: NDArray[Any] | None = None

    @property
    def scored(self) -> NDArray[Any]:
        """The labels as metrics take them: with the columns that the study's takes, if it takes any."""
        return self.y if self.records is None else self.records

    def __len__(self) -> int:
        return len(self.y)

    @property
    def independent(self) -> int:
        """The number of samples that are independent of each other."""
        return len(self.y) if self.units is None else len(np.unique(self.units))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dataset:
    """A task with its training, validation and test samples.

    classes: class names in index order, the names of multilabel columns, or of a mask's 0 and 1; empty for
    regression; slugs: the same, safe for Optuna and MLflow; features: raw column names, `input.column` of several
    inputs, empty for arrays of more than two dimensions; preprocessor: fitted on the training rows, turns raw
    rows into float32; constants: of the training labels; digest: a hash of the raw data; notes: lines for the
    user; further_folds: in cross-validation, one data set per fold after the first, with the same test samples;
    weights: of the training samples, as in `TrialRecord.weights`, empty where all are 1, and the column of exposures;
    loaded: the rows as they were
    read, None of a data set that is not made by `load`; exposure: the column of exposures, which samples have as a
    further input, empty without.
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
    preprocessor: exposures.Fitted
    constants: Constants
    digest: str
    notes: list[str] = field(default_factory=list)
    further_folds: tuple[Dataset, ...] = ()
    weights: Mapping[str, Any] = field(default_factory=dict)
    loaded: LoadedRows | None = field(default=None, repr=False)
    exposure: str = ""

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

    def scored_labels(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return labels as metrics take them: those of masks pixel by pixel."""
        return y.ravel() if self.spatial_shape else y

    @property
    def input_shape(self) -> Any:
        """Shape of the features of one preprocessed row, a tuple; of several inputs a dictionary of shapes by name."""
        x = exposures.features_of(self.train.x, self.preprocessor)
        return {name: tuple(part.shape[1:]) for name, part in x.items()} if isinstance(x, dict) else tuple(x.shape[1:])

    def resampled(
        self, seeds: Sequence[int], share: float = TRAINING_SHARE, parts: Sequence[Part] | None = None
    ) -> Dataset:
        """Return a data set with one fold per seed, its development samples split at random.

        These are all but the test samples, which are the same in all folds, unless parts are given.

        share: that of the training samples, stratified; the rest of a fold are its validation samples; parts: for each
        seed, the test samples and the development samples of its fold, in place of the study's. All folds have
        equally many of each, and preprocessors and constants of their own training samples. A seed gives the same fold
        whichever others are asked for. Raises `DataError` where a split cannot be made or does not fit into memory.
        """
        return self.rows.resampled(seeds, share, parts)

    def resampled_at_once(self) -> int:
        """Return the number of folds that `resampled` may make at a time, as far as memory goes; at least 1."""
        return self.rows.at_once(self.train.x)

    @property
    def rows(self) -> LoadedRows:
        """The rows as they were read; raises `DataError` where they were not kept."""
        if self.loaded is None:
            raise DataError("the rows of this data set were not kept, so they cannot be split again", where=self.source)
        return self.loaded

    def summary(self) -> dict[str, Any]:
        """Return name, task, samples per part, samples per class, raw features, input shape and digest.

        For a multilabel task, samples per label; for a segmentation, pixels per class, and `foreground`, the share
        of 1. `noise` says how many labels are wrong, `has_given_test` that source or study name the test rows.
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
            **({"noise": noise} if (noise := self._noise()) else {}),
            **({"has_given_test": True} if self.loaded and self.loaded.layout.has(TEST) else {}),
            "features": inputs.width(exposures.base_of(self.preprocessor)),
            "input_shape": {k: list(v) for k, v in shape.items()} if isinstance(shape, dict) else list(shape),
            "digest": self.digest,
        }

    def _noise(self) -> dict[str, Any]:
        """Return share and number of the development rows with a wrong label; nothing where all are right."""
        if self.loaded is None or self.loaded.noise is None:
            return {}
        rows = self.loaded.development
        return {"share": self.loaded.noise.share, "flipped": self.loaded.noise.count(rows), "rows": len(rows)}

    def _counts(self, y: NDArray[Any]) -> list[int]:
        if not self.classes:
            return []
        counts = y.sum(axis=0) if self.task == "multilabel" else np.bincount(y.ravel(), minlength=self.n_classes)
        return [int(count) for count in counts]
