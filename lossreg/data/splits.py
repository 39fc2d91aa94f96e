"""Training, validation and test rows: the test rows are cut first, then the validation rows from the rest, or folds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from lossreg.data.classes import Labels
from lossreg.errors import DataError, InputError

Rows = NDArray[np.int64]
LEAST = 2
TRAINING_SHARE = 0.85  # of a split of development rows
DIGITS = 12  # of a share: 1 - 0.85 is a little more than 0.15
RESAMPLING, OUTER = 1, 2
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


class Part(NamedTuple):
    """The rows that are tested, and those that everything else is done with, both in ascending order."""

    test: Rows
    development: Rows


def cut(
    labels: Labels, *, test: float, validation: float, folds: int | None = None, given_test: int, seed: int, where: str
) -> tuple[Rows3, ...]:
    """Cut the rows; `test` is a share of all rows, `validation` of the rows that are not test rows.

    With `folds`, each row outside the test is a validation row of one fold and a training row of the others;
    without, there is one fold. All folds have the same number of training rows and of validation rows: a
    surplus validation row becomes a training row. Splits are stratified by class where a class has at least two
    rows; a single row is a training row. For a multilabel row the rarest of its labels counts as its class.
    Raises `DataError` if a part would have fewer than two rows, or a class no training row.
    """
    _check_share("test", test)
    _check_share("validation", validation)
    rows = np.arange(len(labels.y))
    if given_test:
        rest, held = rows[:-given_test], rows[-given_test:]
    else:
        rest, held = _share_out(rows, labels, test, seed, where)
    if folds is None:
        pairs = [_share_out(rest, labels, validation, seed + 1, where)]
    else:
        pairs = _folds(rest, labels, folds, seed + 1)
    return tuple(
        _checked(labels, Rows3(*pair, held), f" in fold {number}" if folds else "", where)
        for number, pair in enumerate(pairs, 1)
    )


def outer(labels: Labels, number: int, *, seed: int) -> tuple[Part, ...]:
    """Cut all rows into so many parts, each of which is tested once, stratified by class.

    Their numbers of test rows differ by one at most. All have equally many development rows: where there is one too
    many, one of the commonest class is left out.
    """
    rows, groups, rng = np.arange(len(labels.y)), labels.groups, np.random.default_rng([seed, OUTER])
    tested = [np.sort(part) for part in _parts(rows, groups, number, _random_state(seed, OUTER))]
    size = len(rows) - max(map(len, tested))
    return tuple(Part(part, _trimmed(np.setdiff1d(rows, part), groups, size, rng)) for part in tested)


def left_out(rows: int, share: float = TRAINING_SHARE) -> int:
    """Return the number of validation rows of a split of so many development rows."""
    return int(np.ceil(round(1 - share, DIGITS) * rows))


def resample(labels: Labels, wanted: Sequence[tuple[Part, int]], *, share: float, where: str) -> tuple[Rows3, ...]:
    """Split development rows at random, once per part and seed: a `share` of them are training rows.

    All splits of parts with equally many development rows have the same number of training rows and of validation
    rows, and are stratified as in `cut`. A part and a seed give the same split whichever others are asked for. Raises
    `DataError` as `cut` does.
    """
    _check_share("share", share)
    validation = round(1 - share, DIGITS)
    return tuple(
        _checked(
            labels,
            Rows3(*_share_out(part.development, labels, validation, _random_state(seed, RESAMPLING), where), part.test),
            f" in split {seed}",
            where,
        )
        for part, seed in wanted
    )


def _random_state(seed: int, use: int) -> int:
    """Return the state for a use of a seed; that of `cut` for the same seed, or the next, is another."""
    return int(np.random.SeedSequence([seed, use]).generate_state(1)[0])


def _checked(labels: Labels, rows: Rows3, split: str, where: str) -> Rows3:
    """Return the parts with notes on what they lack; raises `DataError` where they cannot be used."""
    _check_sizes({"training": rows.train, "validation": rows.validation, "test": rows.test}, where)
    return replace(rows, notes=_check_classes(labels, rows, split, where))


def _check_share(name: str, share: Any) -> None:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise InputError(f"must be a share between 0 and 1, not {share!r}", where=name)


def _singles(rows: Rows, groups: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Return a mask of the rows that are the only one of their class."""
    return np.zeros(len(rows), bool) if groups is None else np.bincount(groups[rows])[groups[rows]] < 2


def _share_out(rows: Rows, labels: Labels, share: float, seed: int, where: str) -> tuple[Rows, Rows]:
    groups = labels.groups
    keep = _singles(rows, groups)
    pool = rows[~keep]
    size = int(np.ceil(share * len(rows)))
    if not 0 < size < len(pool):
        raise DataError(f"not enough rows for the splits ({len(labels.y)})", where=where)
    strata = None if groups is None else groups[pool]
    if strata is not None and min(size, len(pool) - size) < len(np.unique(strata)):
        strata = None
    rest, part = train_test_split(pool, test_size=size, random_state=seed, stratify=strata)
    return np.sort(np.concatenate([rest, rows[keep]])), np.sort(part)


def _folds(rows: Rows, labels: Labels, folds: int, seed: int) -> list[tuple[Rows, Rows]]:
    groups = labels.groups
    pool = rows[~_singles(rows, groups)]
    _check_folds(folds, len(pool))
    size, rng = len(pool) // folds, np.random.default_rng(seed)
    parts = [_trimmed(part, groups, size, rng) for part in _parts(pool, groups, folds, seed)]
    return [(np.setdiff1d(rows, part), part) for part in parts]


def _check_folds(folds: Any, rows: int) -> None:
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise InputError(f"must be a whole number from 2, not {folds!r}", where="folds")
    if rows < LEAST * folds:
        what = f"{folds} folds need {LEAST * folds} rows outside the test, and there are {rows}"
        raise DataError(what, where="folds", hint=f"Use at most {rows // LEAST}." if rows >= 2 * LEAST else "")


def _parts(pool: Rows, groups: NDArray[Any] | None, folds: int, seed: int) -> list[Rows]:
    """Return the validation rows of each fold; their numbers differ by one at most."""
    strata = None if groups is None else groups[pool]
    if strata is None or int(np.bincount(strata).max()) < folds:
        return [pool[part] for _, part in KFold(folds, shuffle=True, random_state=seed).split(pool)]
    with warnings.catch_warnings():
        # a class of fewer rows than folds is still spread over as many folds as it has rows
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [pool[part] for _, part in StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, strata)]


def _trimmed(part: Rows, groups: NDArray[Any] | None, size: int, rng: np.random.Generator) -> Rows:
    """`part` in order, without one row of its commonest class where it has more than `size`."""
    if len(part) == size:
        return np.sort(part)
    kinds = np.zeros(len(part), int) if groups is None else groups[part]
    common = np.flatnonzero(kinds == np.bincount(kinds).argmax())
    return np.sort(np.delete(part, rng.choice(common)))


def _check_sizes(parts: dict[str, Rows], where: str) -> None:
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in parts.items())
    if min(map(len, parts.values())) < LEAST:
        raise DataError(f"not enough rows for the splits: {sizes}", where=where, hint=f"Each part needs {LEAST}.")


def _check_classes(labels: Labels, rows: Rows3, split: str, where: str) -> list[str]:
    """Return notes on classes without validation or test rows; raises `DataError` on one without training rows."""
    absent = {
        f"training row{split}": labels.absent(rows.train),
        f"validation row{split}": labels.absent(rows.validation),
        "test row": labels.absent(rows.test),
    }
    kind, hint = LACKS.get(labels.task, ("of class", "Drop or merge rare classes."))
    lacking = absent.pop(f"training row{split}")
    if lacking:
        raise DataError(f"no training row{split} {kind} {', '.join(lacking[:5])}", where=where, hint=hint)
    return [f"No {name} {kind} {', '.join(classes[:5])}." for name, classes in absent.items() if classes]
