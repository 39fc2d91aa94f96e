"""`LoadedRows`: the rows of a source as they were read, which can be cut into parts again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import EXPOSURE, Options
from lossreg.contract.scored_labels import with_columns
from lossreg.contract.targets import Constants
from lossreg.data import exposures, features, inputs, room, splits, weights
from lossreg.data.classes import Labels
from lossreg.data.dataset import Dataset, Split
from lossreg.data.exposures import ExposedPreprocessor, Exposures
from lossreg.data.inputs import Preprocessor
from lossreg.data.label_noise import LabelNoise
from lossreg.data.layout import Layout
from lossreg.data.lost import Lost, missing_line
from lossreg.data.new_forms import AS_TRAINED
from lossreg.data.preprocess import Counted
from lossreg.data.raw import Raw
from lossreg.data.readings import Readings
from lossreg.data.scaling import coarse
from lossreg.data.splits import TRAINING_SHARE, Part, Rows, Rows3
from lossreg.errors import DataError

Weighed = tuple[NDArray[np.float32] | None, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoadedRows:
    """Raw rows with their labels and all that decides their preprocessing.

    layout: which rows stay together, their times, and parts that are given;
    readings: how the columns of each table are read; choices: the preprocessing of each input; weight: the column of
    sample weights; class_weight: as in `weights.of_classes`; test: the numbers of the test rows; where: the source,
    as the user wrote it; options: what the study says about reading; exposure: that of each row, None without;
    beside: the columns `(n,)` that the metric takes; noise: the labels of development rows, None where all are right.
    """

    raw: Raw
    labels: Labels
    layout: Layout
    readings: Mapping[str, Readings]
    choices: Mapping[str, str]
    weight: str | None
    class_weight: Any
    test: Rows
    digest: str
    where: str
    options: Options
    exposure: Exposures | None = None
    beside: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    noise: LabelNoise | None = None

    @property
    def scored(self) -> NDArray[Any]:
        """The labels of all rows as metrics take them, with the columns that the study's takes."""
        return with_columns(self.labels.y, self.beside)

    @property
    def developed(self) -> Labels:
        """The labels of all rows as they have them in training and validation."""
        return self.labels if self.noise is None else self.noise.labels

    @property
    def noise_notes(self) -> list[str]:
        """Notes on wrong labels, none without."""
        return [] if self.noise is None else self.noise.notes(self.development)

    @property
    def exposure_name(self) -> str:
        """The column of exposures, empty without."""
        return "" if self.exposure is None else self.exposure.terms.column

    @property
    def exposure_notes(self) -> list[str]:
        """A note on the exposures, none without."""
        return [] if self.exposure is None else [exposures.note(self.exposure, self.labels.task)]

    @property
    def development(self) -> Rows:
        """The numbers of all rows but the test rows."""
        return np.setdiff1d(np.arange(len(self.labels.y)), self.test)

    @property
    def tested(self) -> str:
        """A hash of features and labels of the test rows; of all rows, which outer folds test, where there are none."""
        rows = self.test if len(self.test) else self.development
        y = self.raw.y.iloc[rows] if isinstance(self.raw.y, pd.Series) else self.raw.y[rows]
        x = features.take(self.raw.x, rows)
        return replace(self.raw, x=x, y=y, names=(), weights=None, aside={}, given=None).digest()

    def outer(self, number: int, seed: int) -> tuple[Part, ...]:
        """Return all rows in so many parts, each of which is tested once."""
        return splits.outer(self.labels, number, self.layout, seed=seed, where=self.where)

    def constants(self, rows: Rows) -> Constants:
        """Return the constants of the labels of these rows; with an exposure the mean is that of the rate."""
        multihot, y = self.labels.task == "multilabel", self.developed.y[rows]
        constants = Constants.from_labels(y, len(self.labels.classes), multihot=multihot)
        if self.exposure is None:
            return constants
        return replace(constants, target_mean=float(y.sum() / self.exposure.values[rows].sum()))

    def resampled(self, seeds: Sequence[int], share: float, parts: Sequence[Part] | None = None) -> Dataset:
        """Return a data set with a fold per seed, as `Dataset.resampled`."""
        usual = Part(self.test, self.development)
        wanted = list(zip(parts or [usual] * len(seeds), seeds, strict=True))
        cuts = splits.resample(self.labels, wanted, self.layout, share=share, where=self.where)
        counted = self.units_left_out(wanted[0][0].development, share, outer=parts is not None)
        return self.dataset(cuts, np.arange(len(self.labels.y)) if parts else usual.development, counted)

    def units_left_out(self, development: Rows, share: float = TRAINING_SHARE, *, outer: bool = False) -> int:
        """Return about how many independent rows a split of development rows leaves out, the same for all such splits.

        outer: the rows are those of an outer fold; the number follows from their share of all rows: folds agree.
        """
        rows = np.arange(len(self.labels.y))
        units = self.layout.independent(rows if outer else development)
        return splits.left_out(units * len(development) // len(rows) if outer else units, share)

    def at_once(self, x: Any) -> int:
        """Return the number of folds, of all rows, that may be made at a time; x: some preprocessed samples."""
        first = {name: part[:1] for name, part in x.items()} if isinstance(x, dict) else x[:1]
        return room.fitting(first, len(self.labels.y))

    def dataset(self, cuts: Sequence[Rows3], decisive: Rows, counted: int | None = None) -> Dataset:
        """Return the data set of these cuts, one per fold, with notes on missing values, preprocessing and weights.

        decisive: the rows that decide about columns, for all folds; counted: the number of independent validation
        samples that folds have, by default the least of these. Raises `InputError`.
        """
        if self.noise is not None:
            self.noise.check(cuts)
        weighed = self._weigh(cuts)
        counted = min(self.layout.independent(cut.validation) for cut in cuts) if counted is None else counted
        try:
            fitted = self._fitted(cuts, decisive)
            transformed = [self._transformed(*pair) for pair in zip(fitted, cuts, strict=True)]
        except DataError as error:
            raise error.at(self.where) from None
        first, *further = [
            self._fold(preprocessor, rows, self._splits(counts.array, rows, weights_of_parts), counted)
            for preprocessor, counts, rows, weights_of_parts in zip(fitted, transformed, cuts, weighed, strict=True)
        ]
        gaps = inputs.gaps(self.raw.x, self.readings)
        lost = reduce(Lost.worst, [counts.lost for counts in transformed])  # from the cut that lost most of each
        notes = [*missing_line(gaps, lost), *fitted[0].notes, *lost.beside(gaps).lines()]
        given: dict[str, Any] = {}
        if first.train.weights is not None:
            notes += weights.notes(first.train.weights)
            given = weights.given(self.raw.weights, self.weight, self._of_classes(cuts[0].train))
        given |= {EXPOSURE: self.exposure_name} if self.exposure_name else {}
        notes += _coarse(first)
        return replace(first, notes=notes, further_folds=tuple(further), weights=given, loaded=self)

    def _weigh(self, cuts: Sequence[Rows3]) -> list[Weighed]:
        """Return the weights of the samples in the three parts of each cut; class weights apply to training only."""
        raw, labels = self.raw.weights, self.developed
        training = [weights.of_rows(raw, self._of_classes(rows.train), labels, rows.train) for rows in cuts]
        weights.check(training, self.where)
        validation = [weights.of_rows(raw, None, labels, rows.validation) for rows in cuts]
        test = [weights.of_rows(raw, None, labels, rows.test) for rows in cuts]
        return list(zip(*map(weights.plain, (training, validation, test)), strict=True))

    def _of_classes(self, rows: Rows) -> NDArray[np.float64] | None:
        return weights.of_classes(self.class_weight, self.developed, rows)

    def _fitted(self, cuts: Sequence[Rows3], decisive: Rows) -> list[Preprocessor]:
        """Return a preprocessor per cut, fitted on its training samples."""
        x, choices = self.raw.x, self.choices
        decisions = inputs.decide(features.take(x, decisive), self.readings)
        further = self.options, self.raw.images
        fitted = [inputs.fit(features.take(x, rows.train), choices, decisions, *further) for rows in cuts]
        row = fitted[0].counted(features.take(x, cuts[0].train[:1]), AS_TRAINED).array
        room.check(row, len(self.labels.y), len(cuts), self.where)
        return fitted

    def _transformed(self, preprocessor: Preprocessor, rows: Rows3) -> Counted:
        """Return the training, validation and test samples of a cut, one after the other, preprocessed."""
        every = np.concatenate([rows.train, rows.validation, rows.test])
        counted = preprocessor.counted(features.take(self.raw.x, every), AS_TRAINED)
        if self.exposure is None:
            return counted
        return counted._replace(array=exposures.beside(counted.array, self.exposure.values[every]))

    def _splits(self, x: Any, rows: Rows3, weighed: Weighed) -> list[Split]:
        indices = (rows.train, rows.validation, rows.test)
        ends = np.cumsum([len(index) for index in indices]).tolist()
        parts = [features.take(x, slice(end - len(index), end)) for index, end in zip(indices, ends, strict=True)]
        units, labels = self.layout.dependent, (self.developed.y, self.developed.y, self.labels.y)
        return [
            Split(
                part,
                y[index],
                w,
                None if units is None else units[index],
                records=with_columns(y, self.beside)[index] if self.beside else None,
            )
            for part, index, w, y in zip(parts, indices, weighed, labels, strict=True)
        ]

    def _fold(self, preprocessor: Preprocessor, rows: Rows3, parts: Sequence[Split], counted: int) -> Dataset:
        labels = self.labels
        preprocessor.classes = labels.classes
        return Dataset(
            name=self.raw.name,
            source=self.where,
            task=labels.task,
            classes=labels.classes,
            slugs=labels.slugs,
            digest=self.digest,
            features=tuple(inputs.names(preprocessor)),
            train=parts[0],
            validation=replace(parts[1], counted=counted),
            test=parts[2],
            preprocessor=ExposedPreprocessor(preprocessor, self.exposure.terms) if self.exposure else preprocessor,
            exposure=self.exposure_name,
            constants=self.constants(rows.train),
        )


def _coarse(dataset: Dataset) -> list[str]:
    """Return a note on a target of numbers that float32 holds too coarsely."""
    if dataset.classes:
        return []
    return coarse(dataset.constants.target_center, dataset.constants.target_scale, dataset.task)
