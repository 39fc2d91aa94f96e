"""Label noise: labels of development rows that are replaced by another class at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossreg.contract.targets import CLASSIFICATION
from lossreg.data.classes import Labels
from lossreg.data.splits import Rows, Rows3
from lossreg.errors import DataError, InputError

NOISE = "noise"
STREAM = 3  # of the study's seed, beside those of its cuts
REFUSED = "replaces the class of a row by another one, and rows of {task} have no single class"


@dataclass(frozen=True, slots=True, eq=False)
class LabelNoise:
    """The labels of all rows as development rows have them, of which a share is wrong.

    A row is flipped once. Test rows of a study are flipped too, since they are development rows of outer folds, but
    they are tested with their original labels.
    """

    share: float
    labels: Labels
    flipped: Rows

    def count(self, rows: Rows) -> int:
        """Return how many of these rows have a wrong label."""
        return len(np.intersect1d(self.flipped, rows))

    def check(self, cuts: Sequence[Rows3]) -> None:
        """Raise `DataError` where a class has no training row left."""
        for rows in cuts:
            if absent := self.labels.absent(rows.train):
                what = f"with noise = {self.share:g} no training row is of class {', '.join(absent[:5])}"
                raise DataError(what, where=NOISE, hint="Take less noise, or drop or merge rare classes.")

    def notes(self, development: Rows) -> list[str]:
        """Return lines for the user."""
        count = self.count(development)
        what = f"{count:,} of {len(development):,} labels of training and validation rows"
        if not count:
            return [f"noise = {self.share:g} has no effect: it is less than one of {what.removeprefix('0 of ')}."]
        lines = [f"noise = {self.share:g}: {what} are replaced by another class at random; test rows keep theirs."]
        kept, classes = 1 - self.share, len(self.labels.classes)
        other = self.share / (classes - 1)
        if kept <= other:
            chance = f"each of the {classes - 1} others" if classes > 2 else "the other one"
            how = "as frequent as" if math.isclose(kept, other) else "rarer than"
            lines.append(f"With noise = {self.share:g} the true class is {how} {chance}.")
        return lines


def of(labels: Labels, share: float, test: Rows, seed: int) -> LabelNoise | None:
    """Return labels of which a share is wrong, of the test rows and of all others; None for a share of 0.

    Raises `InputError` for a task without classes of which each row has one.
    """
    if not share:
        return None
    if labels.task not in CLASSIFICATION:
        hint = "Leave it out; it belongs to binary and multiclass tasks."
        raise InputError(REFUSED.format(task=f"a {labels.task} task"), where=NOISE, hint=hint)
    rng = np.random.default_rng([seed, STREAM])
    parts = np.setdiff1d(np.arange(len(labels.y)), test), test
    flipped = np.sort(np.concatenate([rng.choice(rows, round(share * len(rows)), replace=False) for rows in parts]))
    y, classes = labels.y.copy(), len(labels.classes)
    y[flipped] = (y[flipped] + rng.integers(1, classes, len(flipped))) % classes
    return LabelNoise(share, replace(labels, y=y), flipped)
