"""Constraints on the cuts of rows: rows that stay together, their order in time, parts that are given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Options
from lossreg.data import columns, dates, features, group_keys, preprocess, readings, times, twins
from lossreg.data.cells import example
from lossreg.data.columns import Marks
from lossreg.data.features import Features
from lossreg.data.origin import Origin, listed
from lossreg.data.parts import KNOWN, TRAIN, WORDS, counted
from lossreg.data.raw import Raw
from lossreg.errors import DataError, count_of, did_you_mean, shortened

# Rows that occur more than once are kept together if they are at most this share of all rows, or if they are copies:
# where equal features come with different targets at most this share as often as any two rows do. In tables of few
# categories equal rows are draws of their own, which a cut between them makes look too bad (docs/study/data.md).
FEW, COPIES = 0.1, 0.1
LARGEST, LINKED = 0.1, 0.1  # of all rows: most equal ones, and most rows of groups that equal ones link
# beyond these, too few rows stand alone to even sizes out, and equal rows are cut as groups are
MOST_SHIFTED, LARGEST_SHIFTED = 0.5, 0.02
# of a study without test rows, and with them
PARTS = ("training and validation", "training, validation and test")
NEWEST = ("validation rows are the newest", "test rows are the newest, validation rows the newest of the rest")


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The rows of a source as cuts have to see them.

    units: `(n,)` numbers of rows that stay together, None where each row stands alone; times: `(n,)` ranks in time;
    given: `(n,)` the parts, as in `parts`, that the source gives; grouped: whether units are groups that the study
    names; lumpy: whether too few rows stand alone to even sizes out; repeated: the number of rows that stand more than
    once; notes: lines for the user.
    """

    units: NDArray[np.int64] | None = None
    times: NDArray[np.int64] | None = None
    given: NDArray[np.int8] | None = None
    grouped: bool = False
    lumpy: bool = False
    repeated: int = 0
    notes: list[str] = field(default_factory=list)

    def has(self, part: int) -> bool:
        """Return whether the source gives rows of a part."""
        return self.given is not None and bool((self.given == part).any())

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """The units that are cut as a whole: groups, and equal rows where they are most of all."""
        return self.units if self.grouped or self.lumpy else None

    @property
    def is_fixed(self) -> bool:
        """True where the source or times say which rows are tested, so that not all of them can be in turn."""
        return self.given is not None or self.times is not None

    @property
    def dependent(self) -> NDArray[np.int64] | None:
        """A number per row, equal where rows are not independent of each other; None where each is."""
        if self.times is not None and int(self.times.max()) + 1 < len(self.times):
            return self.times
        return self.units

    def independent(self, rows: NDArray[np.int64]) -> int:
        """Return how many of these rows are independent of each other."""
        return len(rows) if self.dependent is None else len(np.unique(self.dependent[rows]))


def of(
    raw: Raw, where: str, *, ties_twins: bool = True, options: Options | None = None, is_tested: bool = True
) -> Layout:
    """Return the layout of raw rows; ties_twins: rows that stand twice stay together; options: as in `load`.

    is_tested: some rows are to be test rows.
    Raises `DataError` for columns that say nothing, and for contradictions.
    """
    origin = Origin("", where, options=options or Options())
    given, of_given = _given(raw, origin)
    ranks, of_time = _times(raw, origin, is_tested=is_tested)
    groups, of_groups = _groups(raw, origin, is_tested=is_tested)
    if ranks is not None:
        if given is not None:
            raise origin.error(f"{raw.aside['time'].name!r} is to cut the rows in time, and there are given parts")
        return Layout(times=ranks, notes=of_time)
    if groups is not None and given is not None:
        _check_straddling(groups, given, raw, origin)
    layout = Layout(given=given, grouped=groups is not None, notes=[*of_given, *of_groups])
    return _with_twins(layout, raw, groups, options) if ties_twins else replace(layout, units=groups)


# ------------------------------------------------------------ groups


def _groups(raw: Raw, origin: Origin, *, is_tested: bool) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Return the number of each row's group, and a note on them."""
    if (column := raw.aside.get("group")) is None:
        return None, []
    _check_present(raw, "group", origin)
    numbers = _numbered(raw, origin)
    sizes = np.bincount(numbers)
    name = listed([str(column.name)])
    if len(sizes) < 2 + is_tested:
        what = f"group = {name!r} has {count_of(len(sizes), 'value')}"
        raise origin.error(f"{what}, and {PARTS[is_tested]} rows take {2 + is_tested} groups at least")
    spread = f"{sizes.min():,} to {sizes.max():,} rows" if sizes.min() < sizes.max() else count_of(int(sizes[0]), "row")
    return numbers, [
        f"{name}: {len(sizes):,} groups of {spread} each, which stay together in every split; the column is no feature."
    ]


def _numbered(raw: Raw, origin: Origin) -> NDArray[np.int64]:
    """Return a number per group; raises `DataError` for values that are not of the kind that others are, or must be."""
    column = raw.aside["group"]
    try:
        keys = group_keys.of(column, *_asked("group", raw, origin.options))
    except DataError as error:
        raise origin.error(f"group = {str(column.name)!r} {error.what}", error.hint) from None
    numbers = twins.numbered(keys)
    if (odd := np.flatnonzero(numbers < 0)).size:
        kind = origin.options.columns.get(str(column.name), "date").partition(":")[0]
        what = f"group = {str(column.name)!r}: {_share(odd, column)} no {kind}"
        hint = 'Give one kind of values in all rows and files, or set it to "category" in data.columns.'
        raise origin.error(f"{what} ({example(column.iloc[int(odd[0])])} in {raw.numbers.named(odd[:1])})", hint)
    return numbers


def _share(rows: NDArray[np.intp], column: pd.Series[Any]) -> str:
    """Return how many of the values these rows are, with the verb."""
    return f"{len(rows):,} of {len(column):,} values {'is' if len(rows) == 1 else 'are'}"


def _check_present(raw: Raw, role: str, origin: Origin) -> None:
    column = raw.aside[role]
    missing = np.flatnonzero(columns.texts(column) == columns.MISSING)
    if len(missing):
        what = f"{role} = {str(column.name)!r}: {raw.numbers.lacking(missing)}"
        raise origin.error(what, "Remove these rows, or fill them in.")


def _check_straddling(groups: NDArray[np.int64], given: NDArray[np.int8], raw: Raw, origin: Origin) -> None:
    """Raise `DataError` for groups that have rows in several of the given parts."""
    parts = pd.Series(given).groupby(groups).nunique().to_numpy()
    if (parts > 1).any():
        column = raw.aside["group"]
        first = int(np.flatnonzero(groups == int(np.flatnonzero(parts > 1)[0]))[0])
        number = int((parts > 1).sum())
        what = f"{number:,} group{'s' * (number > 1)} of {str(column.name)!r} {'have' if number > 1 else 'has'}"
        what += " rows in more than one of the given parts"
        raise origin.error(f"{what}, the first is {example(column.iloc[first])}", "Put each group into one part.")


# ------------------------------------------------------------ time


def _times(raw: Raw, origin: Origin, *, is_tested: bool) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Return the rank of each row's time, and a note on it; raises `DataError` for a column without an order."""
    if (column := raw.aside.get("time")) is None:
        return None, []
    _check_present(raw, "time", origin)
    name = listed([str(column.name)])
    values, note = _in_order(raw, origin)
    if (lost := np.flatnonzero(~np.isfinite(values))).size:
        odd = f"{example(column.iloc[int(lost[0])])} in {raw.numbers.named(lost[:1])}"
        what = f"time = {name!r}: {_share(lost, column)} no time ({odd})"
        raise origin.error(what, f"They are {note}." if note else "")
    ranks = np.unique(values, return_inverse=True)[1].reshape(-1)
    number = int(ranks.max()) + 1
    if number < 2 + is_tested:
        what = f"time = {name!r} has {count_of(number, 'distinct value')}"
        raise origin.error(f"{what}, and {PARTS[is_tested]} rows take {2 + is_tested} at least")
    ends = [example(column.iloc[int(np.flatnonzero(ranks == rank)[0])]) for rank in (0, number - 1)]
    return ranks, [
        f"{name}: {number:,} times from {ends[0]} to {ends[1]}; {NEWEST[is_tested]}. The column is no feature.",
        *([f"{name}: {note}."] if note else []),
    ]


def _in_order(raw: Raw, origin: Origin) -> tuple[NDArray[Any], str]:
    """Return numbers in the order of the times, and a note on how they are read."""
    column = raw.aside["time"]
    try:
        values, note = times.read(column, *_asked("time", raw, origin.options))
    except DataError as error:
        what = f"time = {str(column.name)!r} {error.what}"
        raise origin.error(what, error.hint) from None
    if values is None:
        what = f"time = {str(column.name)!r} has neither numbers nor dates, such as {example(column.iloc[0])}"
        hint = 'Give dates such as 2024-01-31, weeks such as "2024-W05", or numbers.'
        if word := dates.behind_time(columns.texts(column)):
            zone = "a time zone is read as hours from UTC, such as 2024-01-31 22:00+01:00"
            hint = f"{shortened(repr(word), 30)} behind the time is not read; {zone}."
        raise origin.error(what, hint)
    return values, note


def _asked(use: str, raw: Raw, options: Options) -> tuple[str, str, Marks | None]:
    """Return the kind that the study names for the column, the decimal mark of the table, and the marks of numbers."""
    decimal = readings.decimal_mark(raw.x) if isinstance(raw.x, pd.DataFrame) else ""
    return options.columns.get(str(raw.aside[use].name), ""), decimal, options.marks


# ------------------------------------------------------------ parts that are given


def _given(raw: Raw, origin: Origin) -> tuple[NDArray[np.int8] | None, list[str]]:
    """Return the part of each row as the source or a column of it gives it, and a note on the column."""
    if (column := raw.aside.get("split")) is None:
        return raw.given, []
    if raw.given is not None:
        raise origin.error(f"split = {str(column.name)!r} gives the parts, and so does the source", "Keep one of them.")
    _check_present(raw, "split", origin)
    texts = columns.texts(column)
    codes, words = pd.factorize(texts)
    for word in words:
        if str(word).casefold() not in WORDS:
            near = did_you_mean(str(word).casefold(), WORDS) or KNOWN
            what = f"split = {str(column.name)!r} has {shortened(repr(str(word)), 30)}, which names no part"
            raise origin.error(what, near)
    given = np.array([WORDS[str(word).casefold()] for word in words], np.int8)[codes]
    counts = np.bincount(given, minlength=3)
    if not counts[TRAIN] or counts[TRAIN] == len(given):
        lacks = "no training row" if not counts[TRAIN] else "training rows only"
        raise origin.error(f"split = {str(column.name)!r} has {lacks}", KNOWN)
    return given, [f"{listed([str(column.name)])}: {counted(given)} rows. The column is no feature."]


# ------------------------------------------------------------ rows that stand twice


def _with_twins(layout: Layout, raw: Raw, groups: NDArray[np.int64] | None, options: Options | None) -> Layout:
    """Return the layout with units of groups and of rows that stand twice, and a note on the latter."""
    try:
        x = _told_apart_by(raw.x, options)
        alike, codes = twins.codes(x), twins.codes(x, raw.y)
    except MemoryError:
        raise
    except Exception:  # objects that cannot be hashed or shown; reading refuses them
        return replace(layout, units=groups)
    sizes, rows = np.bincount(codes), len(codes)
    again, largest = int(sizes[sizes > 1].sum()), int(sizes.max())
    if not again:
        return replace(layout, units=groups)
    layout = replace(layout, repeated=again)
    what = f"{again:,} of {rows:,} rows occur more than once, with the same features and the same target"
    if largest > LARGEST * rows or not (again <= FEW * rows or twins.are_copies(alike, codes, raw.y, COPIES)):
        note = f"{what}; they are not kept together, since the data have few distinct rows rather than copies"
        return replace(layout, units=groups, notes=[*layout.notes, f"{note}."])
    units = codes if groups is None else twins.joined(groups, codes)
    if groups is not None and np.bincount(units).max() > max(np.bincount(groups).max(), LINKED * rows):
        note = (
            f"{what}; those in different groups may be on both sides of a split, since they would join too many groups"
        )
        return replace(layout, units=groups, notes=[*layout.notes, f"{note}."])
    kept = f"{what}; equal rows stay together in every split"
    if layout.given is not None and (both := _on_both(codes, layout.given)):
        kept += f", except {both:,} of them, which the given parts have on both sides"
    is_lumpy = again > MOST_SHIFTED * rows or largest > max(2, LARGEST_SHIFTED * rows)
    return replace(layout, units=units, lumpy=is_lumpy, notes=[*layout.notes, f"{kept}."])


def _told_apart_by(x: Features, options: Options | None) -> Features:
    """Return features without columns that are left out, such as text that differs in every row; all if none is left.

    Rows that differ in these alone are equal for a model.
    """
    kept = {
        name: part.drop(columns=preprocess.left_out(part, options)) if isinstance(part, pd.DataFrame) else part
        for name, part in features.parts(x).items()
    }
    kept = {name: part for name, part in kept.items() if part.shape[1]}
    return (kept if isinstance(x, dict) else kept[""]) if kept else x


def _on_both(codes: NDArray[np.int64], given: NDArray[np.int8]) -> int:
    """Return the number of rows that have an equal one in another part."""
    parts = pd.Series(given).groupby(codes).transform("nunique").to_numpy()
    return int((parts > 1).sum())
