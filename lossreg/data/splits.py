"""Training, validation and test rows: the test rows are cut first, then the validation rows from the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from lossreg.data.classes import Labels
from lossreg.errors import DataError, InputError

Rows = NDArray[np.int64]
LEAST = 2
LACKS = {
    "multilabel": ("with label", "Drop rare labels."),
    "segmentation": ("with any", "A mask has 1 where the object is, and 0 elsewhere."),
}


@dataclass(frozen=True, slots=True, eq=False)
class Rows3:
    """Row numbers of the three parts, disjoint and each in ascending order."""

    train: Rows
    validation: Rows
    test: Rows
    notes: list[str] = field(default_factory=list)


def cut(labels: Labels, *, test: float, validation: float, given_test: int, seed: int, where: str) -> Rows3:
    """Cut the rows; `test` is a share of all rows, `validation` of the rows that are not test rows.

    Classes keep their shares where they have at least two rows left to share out; a single row
    stays with the training rows. Of several labels a row the rarest counts as its class. Raises
    `DataError` when a part would have fewer than two rows or a class no training row.
    """
    _check_share("test", test)
    _check_share("validation", validation)
    rows = np.arange(len(labels.y))
    if given_test:
        rest, held = rows[:-given_test], rows[-given_test:]
    else:
        rest, held = _share_out(rows, labels, test, seed, where)
    train, valid = _share_out(rest, labels, validation, seed + 1, where)
    _check_sizes({"training": train, "validation": valid, "test": held}, where)
    return Rows3(train, valid, held, _check_classes(labels, train, valid, held, where))


def _check_share(name: str, share: Any) -> None:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise InputError(f"must be a share between 0 and 1, not {share!r}", where=name)


def _share_out(rows: Rows, labels: Labels, share: float, seed: int, where: str) -> tuple[Rows, Rows]:
    groups = labels.groups
    keep = np.zeros(len(rows), bool) if groups is None else np.bincount(groups[rows])[groups[rows]] < 2
    pool = rows[~keep]
    size = int(np.ceil(share * len(rows)))
    if not 0 < size < len(pool):
        raise DataError(f"not enough rows for the splits ({len(labels.y)})", where=where)
    strata = None if groups is None else groups[pool]
    if strata is not None and min(size, len(pool) - size) < len(np.unique(strata)):
        strata = None
    rest, part = train_test_split(pool, test_size=size, random_state=seed, stratify=strata)
    return np.sort(np.concatenate([rest, rows[keep]])), np.sort(part)


def _check_sizes(parts: dict[str, Rows], where: str) -> None:
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in parts.items())
    if min(map(len, parts.values())) < LEAST:
        raise DataError(f"not enough rows for the splits: {sizes}", where=where, hint=f"Each part needs {LEAST}.")


def _check_classes(labels: Labels, train: Rows, valid: Rows, test: Rows, where: str) -> list[str]:
    """Notes on classes without validation or test rows; raises `DataError` on one without training rows."""
    parts = {"training": train, "validation": valid, "test": test}
    absent = {name: labels.absent(rows) for name, rows in parts.items()}
    kind, hint = LACKS.get(labels.task, ("of class", "Drop or merge rare classes."))
    if absent["training"]:
        raise DataError(f"no training row {kind} {', '.join(absent['training'][:5])}", where=where, hint=hint)
    return [f"No {name} row {kind} {', '.join(classes[:5])}." for name, classes in absent.items() if classes]
