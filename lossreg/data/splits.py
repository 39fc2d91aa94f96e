"""Training, validation and test rows: the test rows are cut first, then the validation rows from the rest, or folds.

Rows that belong together stay on one side of every cut (`units`); rows with times are cut forward in time (`forward`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from lossreg.data import forward, twins, units
from lossreg.data.classes import Labels
from lossreg.data.forward import Course
from lossreg.data.layout import Layout
from lossreg.data.parts import TEST, TRAIN, VALIDATION
from lossreg.data.units import Units
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


FREE = Layout()
FORWARD = (
    "rows with times have no outer folds: their models would be trained on rows that are newer than those they predict"
)


@dataclass(frozen=True, slots=True, eq=False)
class Rows3:
    """Row numbers of the three parts, disjoint and each in ascending order."""

    train: Rows
    validation: Rows
    test: Rows
    notes: list[str] = field(default_factory=list)


class Part(NamedTuple):
    """The rows that are tested, and those that everything else is done with, both in ascending order.

    sizes: of the units of development rows that are split in the same sizes, here and in other parts.
    """

    test: Rows
    development: Rows
    sizes: tuple[Rows, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Cutter:
    """Cuts rows of some labels as their layout allows; where: the source, for messages."""

    labels: Labels
    layout: Layout
    where: str

    def blaming(self, name: str, share: float | str, rows: int, parts: int = 1) -> _Cutter:
        """Return a cutter whose errors name this share, if another share would leave enough rows for all parts."""
        others, size = LEAST * parts, _number(share, rows)
        is_possible, is_met = rows >= LEAST + others, LEAST <= size <= rows - others
        return replace(self, where=name) if is_possible and not is_met else self

    def share_out(self, rows: Rows, size: int, seed: int) -> tuple[Rows, Rows]:
        """Cut `size` rows off, or about as many where they are cut by time or by group; return rest and part."""
        if self.layout.times is not None:
            course = Course(rows, self.layout.times, np.random.default_rng(seed))
            return self._checked_pair(forward.newest(course, size), "times")
        if self.layout.groups is not None:
            among = Units.of(rows, self.layout.groups, self.labels.strata)
            rest, part = units.share_out(among, size, np.random.default_rng(seed))
            if not len(part):
                what = "no group can be cut off: there are too few, or each class is that of one group alone"
                raise DataError(what, where=self.where)
            return rest, part
        return self._share_out_rows(rows, size, seed)

    def _share_out_rows(self, rows: Rows, size: int, seed: int) -> tuple[Rows, Rows]:
        groups = self.labels.strata
        keep = _singles(rows, groups, self.layout.units)
        pool = rows[~keep]
        if not 0 < size < len(pool):
            what = f"not enough rows for the splits: {size:,} of {len(pool):,} are to be cut off"
            raise DataError(what, where=self.where)
        strata = None if groups is None else groups[pool]
        if strata is not None and min(size, len(pool) - size) < len(np.unique(strata)):
            strata = None
        rest, part = train_test_split(pool, test_size=size, random_state=seed, stratify=strata)
        rest, part = self.together([rest, part], np.random.default_rng(seed), whole=0)
        return np.sort(np.concatenate([rest, rows[keep]])), np.sort(part)

    def together(self, parts: Sequence[Rows], rng: np.random.Generator, whole: int | None = None) -> Sequence[Rows]:
        """Return parts of the same sizes in which equal rows are in one part; whole: as in `twins.together`."""
        equal, strata = self.layout.units, self.labels.strata
        if equal is None:
            return parts
        rows = np.sort(np.concatenate(parts))
        sides = np.empty(len(rows), np.int64)
        for number, part in enumerate(parts):
            sides[np.searchsorted(rows, part)] = number
        moved = twins.together(sides, equal[rows], None if strata is None else strata[rows], rng, whole)
        if moved is None:
            what = "rows that occur more than once are too many of their class to be kept together"
            raise DataError(what, where=self.where, hint="Remove the copies.")
        return [rows[moved == number] for number in range(len(parts))]

    def resampled(self, part: Part, share: float, seed: int) -> tuple[Rows, Rows]:
        """Split the development rows of a part at random, into sizes that do not depend on the seed."""
        rows, state = part.development, _random_state(seed, RESAMPLING)
        size, rng = left_out(len(rows), share), np.random.default_rng(state)
        if self.layout.times is not None:
            return self._checked_pair(forward.window(Course(rows, self.layout.times, rng), rng), "times")
        if self.layout.groups is None:
            return self.share_out(rows, size, state)
        spare = max(units.spare(sizes, size) for sizes in part.sizes or (_sizes(rows, self.layout),))
        among = Units.of(rows, self.layout.groups, self.labels.strata)
        return self._checked_pair(units.exactly(among, size, len(rows) - size - spare, rng), "groups")

    def _checked_pair(self, pair: tuple[Rows, Rows] | None, what: str) -> tuple[Rows, Rows]:
        """Return a pair; raises `DataError` where there is none."""
        if pair is None:
            raise DataError(f"the {what} are too few, or too unequal, for the splits", where=self.where)
        return pair

    def folds(self, rows: Rows, folds: int, seed: int) -> list[tuple[Rows, Rows]]:
        """Return folds of equal sizes."""
        strata, rng = self.labels.strata, np.random.default_rng(seed)
        if self.layout.times is not None:
            _check_folds(folds, len(rows))
            return self._forward(Course(rows, self.layout.times, rng), folds)
        if self.layout.groups is not None:
            among = Units.of(rows, self.layout.groups, strata)
            free = among.keeping(~among.alone)
            _check_folds(folds, len(free.rows))
            return _equal(among, self.parts(free, folds, rng), strata, rng)
        pool = rows[~_singles(rows, strata, self.layout.units)]
        _check_folds(folds, len(pool))
        parts = _parts(pool, strata, folds, seed)
        if self.layout.units is not None:
            return _equal(Units.of(rows, self.layout.units, strata), self.together(parts, rng), strata, rng)
        parts = [_trimmed(part, strata, len(pool) // folds, rng) for part in parts]
        return [(np.setdiff1d(rows, part), part) for part in parts]

    def _forward(self, course: Course, folds: int) -> list[tuple[Rows, Rows]]:
        pairs = forward.folds(course, folds)
        if pairs is None:
            raise DataError("the times are too few for the folds", where=self.where, hint="Use fewer folds.")
        return pairs

    def parts(self, among: Units, number: int, rng: np.random.Generator) -> list[Rows]:
        """Return so many parts in whole units; raises `DataError` for fewer units."""
        parts = units.parts(among, number, rng)
        if min(map(len, parts)) == 0:
            what = (
                f"{number:,} folds need as many groups of rows, and there are {sum(len(part) > 0 for part in parts):,}"
            )
            raise DataError(what, where=self.where, hint="Use fewer folds.")
        return parts


def cut(
    labels: Labels, layout: Layout = FREE, *, test: float | str, validation: float | str, folds: int | None = None,
    seed: int, where: str,
) -> tuple[Rows3, ...]:  # fmt: skip
    """Cut the rows; `test` is a share of all rows, 0 for none, `validation` of the rows that are not test rows.

    layout: rows that stay together, times that are cut forward, and parts that are given, which are as they are. With
    `folds`, each row outside the test is a validation row of one fold and a training row of the others;
    without, there is one fold. All folds have the same number of training rows and of validation rows: a
    surplus validation row becomes a training row, or where it does not stand alone is left out, with a note.
    Splits are stratified by class where a class has at least two
    rows; a single row is a training row. For a multilabel row the rarest of its labels counts as its class.
    Raises `DataError` if a part would have fewer than two rows, or a class no training row.
    """
    has_test = layout.has(TEST) or isinstance(test, bool) or test != 0
    if has_test and not layout.has(TEST):
        _check_share("test", test)
    if not layout.has(VALIDATION):
        _check_share("validation", validation)
    cutter = _Cutter(labels, layout, where)
    given = np.zeros(len(labels.y), np.int8) if layout.given is None else layout.given
    rest, chosen, held = (np.flatnonzero(given == part) for part in (TRAIN, VALIDATION, TEST))
    if has_test and not len(held):
        cutter = cutter.blaming("test", test, len(given), parts=2)
        rest, held = cutter.share_out(rest, _number(test, len(given)), seed)
    if len(chosen):
        _check_without_folds(folds)
        pairs = [(rest, chosen)]
    elif folds is None:
        cutter = cutter.blaming("validation", validation, len(rest))
        pairs = [cutter.share_out(rest, _number(validation, len(rest)), seed + 1)]
    else:
        pairs = cutter.folds(rest, folds, seed + 1)
    left = _left_out_note(len(rest), pairs, layout) if folds else []
    first, *others = [
        _checked(labels, Rows3(*pair, held), f" in fold {number}" if folds else "", cutter.where)
        for number, pair in enumerate(pairs, 1)
    ]
    return replace(first, notes=[*left, *first.notes]), *others


def differ(cuts: Sequence[Rows3], others: Sequence[Rows3]) -> bool:
    """Return whether two ways to cut the same rows gave other parts."""
    pairs = zip(cuts, others, strict=True)
    return any(not np.array_equal(getattr(a, part), getattr(b, part)) for a, b in pairs for part in ("train", "test"))


def _check_without_folds(folds: Any) -> None:
    if folds is not None:
        what = "folds are cut from training and validation rows, and there are validation rows that are given"
        raise InputError(what, where="folds", hint="Keep one of the two.")


def _left_out_note(rows: int, pairs: Sequence[tuple[Rows, Rows]], layout: Layout) -> list[str]:
    """Return a note on rows that are in neither part of a fold."""
    unused = rows - len(pairs[0][0]) - len(pairs[0][1])
    if not unused:
        return []
    sizes = f"{len(pairs[0][0]):,} training and {len(pairs[0][1]):,} validation rows"
    if layout.times is not None:
        return [f"Folds go forward in time: each has {sizes}, the newest before and the oldest after its own time."]
    verb = "is" if unused == 1 else "are"
    return [f"All folds have {sizes}: {unused:,} of {rows:,} {verb} left out of each, for equal sizes."]


def outer(labels: Labels, number: int, layout: Layout = FREE, *, seed: int, where: str = "") -> tuple[Part, ...]:
    """Cut all rows into so many parts, each of which is tested once, stratified by class; units stay together.

    All have equally many development rows: where there are too many, some are left out, of one too many one of the
    commonest class. Without units the numbers of test rows differ by one at most. Raises `DataError` for rows with
    times, and for fewer units than parts.
    """
    if layout.times is not None:
        raise DataError(FORWARD, where=where)
    rows, strata, rng = np.arange(len(labels.y)), labels.strata, np.random.default_rng([seed, OUTER])
    cutter = _Cutter(labels, layout, where)
    if layout.groups is None:
        tested = [np.sort(part) for part in _parts(rows, strata, number, _random_state(seed, OUTER))]
        tested = list(cutter.together(tested, rng))
    else:
        tested = cutter.parts(Units.of(rows, layout.groups, strata), number, rng)
    size = len(rows) - max(map(len, tested))
    parts = [Part(part, _trimmed(np.setdiff1d(rows, part), strata, size, rng)) for part in tested]
    sizes = tuple(_sizes(part.development, layout) for part in parts)
    return tuple(part._replace(sizes=sizes) for part in parts) if layout.groups is not None else tuple(parts)


def _sizes(rows: Rows, layout: Layout) -> Rows:
    """Return the sizes of the units among these rows."""
    return (
        np.ones(len(rows), np.int64) if layout.groups is None else np.unique(layout.groups[rows], return_counts=True)[1]
    )


def left_out(rows: int, share: float = TRAINING_SHARE) -> int:
    """Return the number of validation rows of a split of so many development rows."""
    return int(np.ceil(round(1 - share, DIGITS) * rows))


def resample(
    labels: Labels, wanted: Sequence[tuple[Part, int]], layout: Layout = FREE, *, share: float, where: str
) -> tuple[Rows3, ...]:
    """Split development rows at random, once per part and seed: a `share` of them are training rows.

    All splits of parts with equally many development rows have the same number of training rows and of validation
    rows, and are stratified as in `cut`. With units some training rows are left out, for equal sizes; with times, a
    split is a window that begins at random, and what is newer in it validates. A part and a seed give the same split
    whichever others are asked for. Raises `DataError` as `cut` does.
    """
    _check_share("share", share)
    cutter = _Cutter(labels, layout, where)
    return tuple(
        _checked(labels, Rows3(*cutter.resampled(part, share, seed), part.test), f" in split {seed}", where)
        for part, seed in wanted
    )


def _random_state(seed: int, use: int) -> int:
    """Return the state for a use of a seed; that of `cut` for the same seed, or the next, is another."""
    return int(np.random.SeedSequence([seed, use]).generate_state(1)[0])


def _checked(labels: Labels, rows: Rows3, split: str, where: str) -> Rows3:
    """Return the parts with notes on what they lack; raises `DataError` where they cannot be used."""
    tested = {"test": rows.test} if len(rows.test) else {}
    _check_sizes({"training": rows.train, "validation": rows.validation, **tested}, where)
    return replace(rows, notes=_check_classes(labels, rows, split, where))


def _number(share: float | str, rows: int) -> int:
    """Return how many of so many rows are a share."""
    return int(np.ceil(float(share) * rows))


def _check_share(name: str, share: Any) -> None:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise InputError(f"must be a share between 0 and 1, not {share!r}", where=name)


def _singles(rows: Rows, strata: NDArray[Any] | None, equal: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Return a mask of the rows that are the only one of their class, but for equal ones."""
    if strata is None:
        return np.zeros(len(rows), bool)
    numbers = np.arange(len(rows)) if equal is None else equal[rows]
    distinct = np.unique(np.column_stack([strata[rows], numbers]), axis=0)[:, 0]
    return np.asarray(np.bincount(distinct)[strata[rows]] < 2)


def _equal(
    among: Units, parts: Sequence[Rows], strata: NDArray[Any] | None, rng: np.random.Generator
) -> list[tuple[Rows, Rows]]:
    """Return folds of equal sizes with these validation rows; what is too much is trained on or left out."""
    size, single = min(map(len, parts)), among.within(among.sizes == 1)
    validated, trained = [], []
    for part in parts:
        spared = rng.permutation(np.intersect1d(part, single))[: len(part) - size]
        validated.append(_trimmed(np.setdiff1d(part, spared), strata, size, rng))
        trained.append(np.union1d(np.setdiff1d(among.rows, part), spared))
    least = min(map(len, trained))
    return [(_trimmed(train, strata, least, rng), part) for train, part in zip(trained, validated, strict=True)]


def _check_folds(folds: Any, rows: int) -> None:
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise InputError(f"must be a whole number from 2, not {folds!r}", where="folds")
    if rows < LEAST * folds:
        what = f"{folds} folds need {LEAST * folds:,} rows outside the test, and there are {rows:,}"
        raise DataError(what, where="folds", hint=f"Use at most {rows // LEAST:,}." if rows >= 2 * LEAST else "")


def _parts(pool: Rows, groups: NDArray[Any] | None, folds: int, seed: int) -> list[Rows]:
    """Return the validation rows of each fold; their numbers differ by one at most."""
    strata = None if groups is None else groups[pool]
    if strata is None or int(np.bincount(strata).max()) < folds:
        return [pool[part] for _, part in KFold(folds, shuffle=True, random_state=seed).split(pool)]
    with warnings.catch_warnings():
        # a class of fewer rows than folds is still spread over as many folds as it has rows
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [pool[part] for _, part in StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, strata)]


def _trimmed(part: Rows, strata: NDArray[Any] | None, size: int, rng: np.random.Generator) -> Rows:
    """`part` in order, without those beyond `size`: one is of the commonest class, more are drawn from all."""
    if len(part) != size + 1:
        return units.trimmed(part, strata, size, rng)
    kinds = np.zeros(len(part), int) if strata is None else strata[part]
    common = np.flatnonzero(kinds == np.bincount(kinds).argmax())
    return np.sort(np.delete(part, rng.choice(common)))


def _check_sizes(parts: dict[str, Rows], where: str) -> None:
    sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in parts.items())
    if min(map(len, parts.values())) < LEAST:
        raise DataError(f"not enough rows for the splits: {sizes}", where=where, hint=f"Each part needs {LEAST}.")


def _check_classes(labels: Labels, rows: Rows3, split: str, where: str) -> list[str]:
    """Return notes on classes without validation or test rows; raises `DataError` on one without training rows."""
    absent = {
        f"training row{split}": labels.absent(rows.train),
        f"validation row{split}": labels.absent(rows.validation),
        "test row": labels.absent(rows.test) if len(rows.test) else [],
    }
    kind, hint = LACKS.get(labels.task, ("of class", "Drop or merge rare classes."))
    lacking = absent.pop(f"training row{split}")
    if lacking:
        raise DataError(f"no training row{split} {kind} {', '.join(lacking[:5])}", where=where, hint=hint)
    return [f"No {name} {kind} {', '.join(classes[:5])}." for name, classes in absent.items() if classes]
