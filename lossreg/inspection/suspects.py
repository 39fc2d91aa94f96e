"""Columns of a data set that are no ordinary features, and what to say about them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from lossreg.data import identifiers, layout
from lossreg.data.dataset import Dataset
from lossreg.data.loaded_rows import LoadedRows
from lossreg.data.origin import listed
from lossreg.data.raw import Raw
from lossreg.data.readings import Readings
from lossreg.errors import DataError, count_of
from lossreg.inspection import betrayal, columns, sums

Array = NDArray[Any]

SHOWN = 5
UNUSABLE = ("empty", "nested")  # kinds of columns that are left out


@dataclass(frozen=True, slots=True)
class TableFindings:
    """The findings on one table, as in `Suspects`; units: numbers `(n,)` of each likely grouping of the rows."""

    identifiers: list[str] = field(default_factory=list)
    numbering: list[str] = field(default_factory=list)
    shuffled: list[str] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    times: list[str] = field(default_factory=list)
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    units: list[Array] = field(default_factory=list)

    @classmethod
    def of_table(cls, part: str, whole: pd.DataFrame, rows: LoadedRows) -> TableFindings:
        """Return what stands out in a table, whose columns are named after its input where there are several."""
        readings = rows.readings.get(part, Readings())
        table = whole.drop(columns=[name for name, reading in readings.items() if reading.kind in UNUSABLE])
        prefix, asked = f"{part}." if part else "", (rows.options.columns, rows.raw.given)
        named, in_order = identifiers.of(table, *asked)
        mixed = [name for name in identifiers.shuffled(table, *asked) if not columns.is_called_time(name)]
        copies, groups, times = columns.copies(table), columns.groups(table, readings), columns.times(table, readings)
        stated = rows.options.columns
        groups = {name: n for name, n in groups.items() if copies.get(name) not in groups and name not in stated}
        return cls(
            [prefix + name for name in named], [prefix + name for name in in_order], [prefix + name for name in mixed],
            {prefix + name: prefix + other for name, other in copies.items()},
            {prefix + name: number for name, number in groups.items()},
            [prefix + name for name in times if copies.get(name) not in times],
            {prefix + name: counts for name, counts in columns.splits(table).items()},
            [columns.units(table[name]) for name in groups],
        )  # fmt: skip

    @classmethod
    def beside(cls, raw: Raw) -> TableFindings:
        """Return likely groups, times and parts among the unused arrays of a source."""
        x = raw.x if isinstance(raw.x, pd.DataFrame) else pd.DataFrame()
        table = pd.DataFrame({name: column for name, column in raw.beside.items() if name not in x.columns})
        try:
            readings = Readings.of(table)
        except DataError:  # objects that are no values; they are used for nothing
            return cls()
        table = table[[name for name, reading in readings.items() if reading.kind not in UNUSABLE]]
        if table.empty:
            return cls()
        groups = columns.groups(table.join(x), readings)
        return cls(
            groups=groups, times=columns.times(table, readings), splits=columns.splits(table),
            units=[columns.units(table[name]) for name in groups],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suspects:
    """Columns of a data set that are no ordinary features; those of several inputs are named `input.column`.

    betraying: how well a column alone predicts the target; terms: columns of which it is a sum; identifiers that are
    not left out; numbering: other columns that number the rows in order; shuffled: others of whole numbers that all
    differ and lie close together; copies: the column that each repeats; groups: the number of values of each column
    whose rows may belong together; times; splits: the rows of each part, of columns that name the part of each row;
    beside: groups, times and splits that are arrays beside the features; refused: groups and splits that the study's
    keys or the parts of its source exclude; in_parts: the source gives the parts, in each of which numbers may begin
    again; measure: of how well; columns: the number of columns, which a study can leave out, 0 of other data than a
    single table; by_time: the study cuts by time.
    """

    betraying: dict[str, float]
    terms: list[str]
    identifiers: list[str]
    numbering: list[str]
    shuffled: list[str]
    copies: dict[str, str]
    groups: dict[str, int]
    times: list[str]
    splits: dict[str, dict[str, int]]
    beside: frozenset[str]
    refused: frozenset[str]
    rows: int
    in_parts: bool
    measure: str
    columns: int
    by_time: bool

    @classmethod
    def of(cls, dataset: Dataset) -> Suspects:
        """Return the columns that stand out."""
        raw, beside = dataset.rows.raw, TableFindings.beside(dataset.rows.raw)
        tables = [TableFindings.of_table(part, table, dataset.rows) for part, table in columns.tables(raw.x)]
        findings = [*tables, beside]
        groups, splits = _merged([one.groups for one in findings]), _merged([one.splits for one in findings])
        uses = [*(("group", name) for name in groups), *(("split", name) for name in splits)]
        refused = [name for use, name in uses if _is_refused(dataset.rows, use, name)]
        return cls(
            betraying=betrayal.betrayers(dataset, [units for one in findings for units in one.units]),
            terms=sums.terms(dataset),
            identifiers=[name for one in findings for name in one.identifiers],
            numbering=[name for one in findings for name in one.numbering],
            shuffled=[name for one in findings for name in one.shuffled],
            copies=_merged([one.copies for one in findings]),
            groups=groups,
            times=[name for one in findings for name in one.times],
            splits=splits,
            beside=frozenset((*beside.groups, *beside.times, *beside.splits)),
            refused=frozenset(refused),
            rows=len(dataset.rows.labels.y),
            in_parts=raw.given is not None,
            measure="balanced accuracy" if dataset.classes else "share of the variance of its ranks",
            columns=len(raw.x.columns) if isinstance(raw.x, pd.DataFrame) else 0,
            by_time="time" in raw.aside,
        )

    @property
    def needless(self) -> dict[str, str]:
        """The columns that a study may leave out, with reasons; groups, times and parts if they betray the target."""
        out = {
            **dict.fromkeys(self.identifiers, "identifiers"),
            **dict.fromkeys(self.numbering, "numbers of the rows, in order"),
            **dict.fromkeys(self.shuffled, "whole numbers that differ in every row"),
            **dict.fromkeys(self.copies, "the same as another column"),
            **dict.fromkeys([*self.betraying, *self.terms], "if known only after the target"),
        }
        kept = {*self.groups, *self.times, *self.splits} - self.betraying.keys()
        out = {name: reason for name, reason in out.items() if name not in kept}
        return out if len(out) < self.columns else {}

    def lines(self) -> Iterator[str]:
        """Yield a line on what may make scores better than they are."""
        for name, score in list(self.betraying.items())[:SHOWN]:
            yield (
                f"{listed([name])} alone predicts the target ({self.measure} {score:.3f} on held-out rows): if it is "
                f"known only after the target, leave it out{self._drop([name])}"
            )
        if len(self.betraying) > SHOWN:
            more = count_of(len(self.betraying) - SHOWN, "more column alone predicts", "more columns alone predict")
            yield f"{more} the target as well"
        if self.terms:
            yield (
                f"{listed(self.terms)}: the target is a sum of these, each times a number, in every row: if they are "
                f"known only after the target, leave them out{self._drop(self.terms)}"
            )
        if self.identifiers:
            are = "whole numbers that differ in every row, as identifiers do; new rows have others"
            yield f"{listed(self.identifiers)}: {are}{self._drop(self.identifiers)}"
        for name in self.shuffled[:SHOWN]:
            all_values = "the values of each part" if self.in_parts else f"all {self.rows:,} values"
            what = f"{all_values} differ, and are whole numbers close together"
            yield f"{listed([name])}: {what}: is it an identifier? New rows have others{self._drop([name])}"
        for name, other in list(self.copies.items())[:SHOWN]:
            yield f"{listed([name])}: the same as {listed([other])} in every row{self._drop([name])}"
        for name, rows in self.splits.items():
            use = "is used for nothing" if name in self.beside else "is a feature like any other"
            counts = ", ".join(f"{number:,} {part}" for part, number in rows.items())
            yield f"{listed([name])}: names the part of each row ({counts}), and {use}{self._cut('split', name)}"
        for name in filter(columns.is_group, self.groups):
            remedy = self._cut("group", name) or (self._left_out(name) if self.by_time else "")
            yield (
                f"{listed([name])}: {self.groups[name]:,} values in {self.rows:,} rows; where rows of one {name} stand "
                f"on both sides of a split, scores are better than they will be for a new one{remedy}"
            )

    def _cut(self, key: str, name: str) -> str:
        """Return the key that cuts the rows by a column, which can be one of a single table or an array beside."""
        is_possible = (self.columns or name in self.beside) and name not in self.refused
        return f": data.{key} = {_quoted(name)}" if is_possible else ""

    def _left_out(self, name: str) -> str:
        """Return the key that leaves out a column where it cannot cut the rows; empty where there is no other."""
        return f": data.drop = {_quoted([name])}" if self.columns > 1 and name not in self.beside else ""

    def _drop(self, names: Sequence[str]) -> str:
        """Return the key that leaves columns out, of which the study does not need all."""
        return f": data.drop = {_quoted(list(names))}" if self.needless.keys() >= set(names) else ""


def _is_refused(rows: LoadedRows, use: str, name: str) -> bool:
    """Return whether keys that the study has, or the parts of its source, exclude a column as `group` or `split`."""
    if {use, "time"} & rows.raw.aside.keys():
        return True
    return rows.raw.given is not None and not can_cut(rows, use, name)


def can_cut(rows: LoadedRows, use: str, name: str) -> bool:
    """Return whether a column can be the `group`, `time` or `split` of these rows, as it cannot with gaps in it."""
    x, beside = rows.raw.x, rows.raw.beside
    if name in beside:
        aside = replace(rows.raw, aside={use: beside[name]})
    elif isinstance(x, pd.DataFrame) and len(x.columns) > 1:
        aside = replace(rows.raw, x=x.drop(columns=name), aside={use: x[name]})
    else:
        return False
    try:
        return bool(layout.of(aside, rows.where, ties_twins=False))
    except DataError:
        return False


def _merged(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for mapping in mappings for name, value in mapping.items()}


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
