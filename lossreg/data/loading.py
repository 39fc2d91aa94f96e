"""Data: from a source to three preprocessed parts.

    source -> raw rows -> labels and task -> test rows cut first -> preprocessing fitted on training rows

`load` does it all and returns a `Dataset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lossreg.contract.data_options import EXPOSURE, Options
from lossreg.contract.image_options import ImageOptions
from lossreg.data import (
    exposures,
    features,
    identifiers,
    inputs,
    label_noise,
    labels,
    layout,
    metric_columns,
    sources,
    splits,
    unlabelled,
)
from lossreg.data.classes import Labels
from lossreg.data.dataset import Dataset
from lossreg.data.exposures import base_of
from lossreg.data.inputs import InputsPreprocessor
from lossreg.data.layout import Layout
from lossreg.data.loaded_rows import LoadedRows
from lossreg.data.origin import Origin
from lossreg.data.parts import TEST, VALIDATION
from lossreg.data.preprocess import TablePreprocessor
from lossreg.data.raw import Raw
from lossreg.data.splits import Rows3
from lossreg.errors import DataError


def load(
    source: str | Path | Raw, *, target: str | Sequence[str] | None = None, task: str = "auto",
    test: float | str = 0.2, validation: float | str = 0.2, folds: int | None = None,
    group: str | None = None, time: str | None = None, split: str | None = None,
    weight: str | None = None, exposure: str | None = None, class_weight: Any = None,
    preprocess: str | Mapping[str, str] = "standard",
    drop: Sequence[str] = (), images: ImageOptions | None = None, base: Path = Path(), seed: int = 0,
    options: Options | None = None, given: Any = None, ties_twins: bool = True,
    beside: Sequence[str] = (), noise: float = 0.0,
) -> Dataset:  # fmt: skip
    """Read, split and preprocess a data set.

    source: `sklearn:NAME[?argument=value&...]`, a .csv, .csv.gz, .tsv, .parquet or .npz file or a folder of images
    (relative to `base`), or `file.py:function` / `package.module:function`, or rows that were read; target: the label
    column of a table, or several columns of 0 and 1; task: auto or one of `lossreg.contract.targets.TASKS`; test: share
    of all rows, 0 for none, or a file of test rows; validation: share of the rows outside the test, or a file; folds:
    the number of folds into which these are cut instead; group: the column or array whose rows of one value stay
    together; time: that by which rows are cut forward in time; split: that which says train, validation or test;
    weight: the column of a table with sample weights; exposure: the column or array of exposures, of which the mean of
    a count or sum is a multiple; class_weight: weights of the classes in training, as in `weights.of_classes`;
    preprocess: "standard", "none" to leave numbers unchanged, or one of these for each of several inputs; drop: columns
    to leave out; images: how a folder of images is read; options: what is said about the reading of the data, in place
    of what is inferred; given: the rows themselves, as a function may return them, in place of a source; ties_twins:
    duplicate rows are on one side of every cut, unless they are not copies; beside: the columns that the metric
    takes, see `Split.scored`; noise: the share of labels of development rows that are replaced by another class.
    Everything random follows `seed`. Raises `InputError` (mostly `DataError`).
    """
    where = source.name if isinstance(source, Raw) else str(source)
    options, as_given = options or Options(), preprocess == inputs.NONE
    if isinstance(source, Raw):
        raw = source.without(drop, where)
    else:
        columns = target if target is None or isinstance(target, str) else tuple(target)
        named = {"group": group, "time": time, "split": split, EXPOSURE: exposure}
        aside = {use: name for use, name in named.items() if name}
        origin = Origin("", where, columns, weight, as_given, options, aside, beside=tuple(beside))
        files = {part: file for part, file in ((VALIDATION, validation), (TEST, test)) if isinstance(file, str)}
        raw = sources.read_parts(origin, files, drop=drop, base=base, seed=seed, given=given, images=images)
    raw = raw if as_given else identifiers.without(raw, options.columns)
    raw = unlabelled.dropped(raw, where) if options.drop_unlabelled else raw
    labelled = labels.read(raw, exposures.task_of(task, raw), where, options, fewest=options.fewest)
    exposed = exposures.of(raw, labelled.task, where, options)
    taken = metric_columns.read(raw, beside, labelled.task, options)
    arranged = layout.of(exposures.told_apart(raw), where, ties_twins=ties_twins, options=options, is_tested=test != 0)
    cuts, marks = _cut(labelled, arranged, test=test, validation=validation, folds=folds, seed=seed, where=where)
    wrong = label_noise.of(labelled, noise, cuts[0].test, seed)
    choices = inputs.preprocessing_of(raw.x, preprocess)
    try:
        readings = inputs.read(raw.x, choices, np.setdiff1d(np.arange(len(labelled.y)), cuts[0].test), options)
        marks = [*inputs.marks(readings), *labelled.marks, *marks]
        digest = raw.digest(marks)
    except DataError as error:
        raise error.at(where) from None
    rows = LoadedRows(
        raw=raw, labels=labelled, layout=arranged, readings=readings, choices=choices, weight=weight,
        class_weight=class_weight, test=cuts[0].test, digest=digest, where=where, options=options,
        exposure=exposed, beside=taken, noise=wrong,
    )  # fmt: skip
    dataset = rows.dataset(cuts, cuts[0].train if folds is None else rows.development)
    return _with_notes(_marked(dataset, rows, cuts, marks), rows, cuts)


def _cut(labels: Labels, layout: Layout, **how: Any) -> tuple[tuple[Rows3, ...], list[bytes]]:
    """Return the cuts, and a mark where rows that stand twice have changed them.

    Up to 0.2.0 equal rows were taken apart, and scores on other rows cannot be compared.
    """
    cuts = splits.cut(labels, layout, **how)
    if layout.units is None or layout.grouped:
        return cuts, []
    apart = splits.cut(labels, replace(layout, units=None), **how)
    return cuts, [b"rows that stand twice stay together"] if splits.differ(cuts, apart) else []


def _marked(dataset: Dataset, rows: LoadedRows, cuts: Sequence[Rows3], marks: Sequence[bytes]) -> Dataset:
    """Return the data set with another digest where a column that is constant in training rows varies elsewhere.

    Up to 0.2.0 these other values stayed, and scores on them cannot be compared.
    """
    folds = [dataset, *dataset.further_folds]
    if not any(_levels(fold, rows, cut) for fold, cut in zip(folds, cuts, strict=True)):
        return dataset
    digest = rows.raw.digest([*marks, b"what is constant in training rows is so in all"])
    first, *further = [replace(fold, digest=digest) for fold in folds]
    return replace(first, further_folds=tuple(further), loaded=replace(rows, digest=digest))


def _levels(fold: Dataset, rows: LoadedRows, cut: Rows3) -> bool:
    base, others = base_of(fold.preprocessor), np.concatenate([cut.validation, cut.test])
    fitted = base.parts if isinstance(base, InputsPreprocessor) else {"": base}
    tables = {name: part for name, part in fitted.items() if isinstance(part, TablePreprocessor)}
    raw = features.parts(rows.raw.x)
    return any(part.levels(features.take(raw[name], others)) for name, part in tables.items())


def _with_notes(dataset: Dataset, rows: LoadedRows, cuts: Sequence[Rows3]) -> Dataset:
    """Return the data set with all notes on its rows before its own."""
    on_cuts = dict.fromkeys(note for part in cuts for note in part.notes)
    of_labels = [*rows.labels.notes, *rows.noise_notes]
    before = [*rows.raw.notes, *of_labels, *rows.exposure_notes, *rows.layout.notes, *on_cuts]
    return replace(dataset, notes=[*before, *inputs.notes(rows.readings), *dataset.notes])
