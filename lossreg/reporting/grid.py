"""A table for the terminal whose lines are broken between words, and which leaves out columns that have no room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

LEFT_OUT = "Left out for lack of room: {}."
# letters of a heading or name that stay together as long as there is room for all columns that way
SHORTEST = 6
# steps of narrowing a table, in this order
UNBROKEN, BETWEEN_WORDS, HEADINGS_BROKEN, NAMES_BROKEN, LETTERS = range(5)


class Room(NamedTuple):
    """The full width of a column, and the widths that it can be narrowed to: see `Grid`."""

    full: int
    least: tuple[int, ...]

    @classmethod
    def of(cls, column: Column, heading: Measurement, cells: Sequence[Measurement]) -> Room:
        """Return the room of a column, measured without a limit."""
        line = max((size.maximum for size in cells), default=0)
        word = max((size.minimum for size in cells), default=0)
        of_heading = min(heading.minimum, SHORTEST)
        name = min(word, SHORTEST) if column.justify == "left" else word
        unbroken = max(line if column.no_wrap else word, heading.minimum)
        least = (unbroken, max(word, heading.minimum), max(word, of_heading), max(name, of_heading), 1)
        return cls(max(line, heading.maximum), least)


class Grid(Table):
    """A table that fits its width; spare: headings of columns that are left out first, where there is no room for all.

    Where that is not enough, these steps follow until it fits, and nothing is cut: cells that are otherwise whole are
    broken between words, headings between letters; further columns of numbers are left out; names are broken between
    letters, then numbers.
    """

    spare: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rooms = {id(column): self._room(column, console, options) for column in self.columns}

        def fits(columns: Sequence[Column], step: int) -> bool:
            return _total(rooms[id(column)].least[step] for column in columns) <= options.max_width

        spare = [column for heading in self.spare for column in self.columns if str(column.header) == heading]
        kept = _without(self.columns, spare, lambda columns: fits(columns, UNBROKEN))
        further = _further(kept)
        kept = _without(kept, further, lambda columns: fits(columns, HEADINGS_BROKEN))
        step = next((step for step in range(LETTERS) if fits(kept, step)), LETTERS)
        widths = _narrowed([rooms[id(column)] for column in kept], step, options.max_width)
        left_out = [column for column in (*spare, *further) if not any(column is other for other in kept)]
        yield from self._of(kept, widths, left_out).__rich_console__(console, options)

    @staticmethod
    def _room(column: Column, console: Console, options: ConsoleOptions) -> Room:
        wide = options.update(width=10_000)
        heading, *cells = (console.measure(cell, options=wide) for cell in (column.header, *column.cells))
        return Room.of(column, heading, cells)

    def _of(self, columns: Sequence[Column], widths: Sequence[int | None], left_out: Sequence[Column]) -> Table:
        """Return a table of these columns."""
        table = Table(title=self.title, title_justify=self.title_justify, box=self.box, pad_edge=self.pad_edge,
                      padding=self.padding, caption=self._caption(left_out), caption_justify="left")  # fmt: skip
        for column, width in zip(columns, widths, strict=True):
            table.add_column(column.header, justify=column.justify, overflow=column.overflow, width=width)
        cells = zip(*(column.cells for column in columns), strict=True)
        for row, of_row in zip(self.rows, cells, strict=True):
            table.add_row(*of_row, style=row.style, end_section=row.end_section)
        return table

    def _caption(self, left_out: Sequence[Column]) -> Text | None:
        names = ", ".join(" ".join(str(column.header).split()) for column in left_out)
        lines = [self.caption, LEFT_OUT.format(names) if names else None]
        known = [Text(str(line), "italic dim") for line in lines if line]
        return Text("\n").join(known) if known else None


def _total(widths: Iterable[int]) -> int:
    """Return the width of a table with columns of these widths: with each come a blank and an edge."""
    return sum(width + 2 for width in widths)


def _without(columns: Sequence[Column], spare: Sequence[Column], fits: Callable[[list[Column]], bool]) -> list[Column]:
    """Return `columns` without those of `spare`, in this order, that have to go for the others to fit."""
    kept = list(columns)
    for column in spare:
        if fits(kept):
            break
        kept = [other for other in kept if other is not column]
    return kept


def _further(columns: Sequence[Column]) -> list[Column]:
    """Return the columns of numbers behind the names and what stands beside them, the last first."""
    names = next((i for i, column in enumerate(columns) if column.justify == "left"), 0)
    return [column for column in reversed(columns[names + 2 :]) if column.justify == "right" and str(column.header)]


def _narrowed(rooms: Sequence[Room], step: int, width: int) -> Sequence[int | None]:
    """Return widths of columns that fit, the widest columns narrowed first; none where there is no room at all."""
    widths, excess = [room.full for room in rooms], _total(room.full for room in rooms) - width
    if _total(room.least[step] for room in rooms) > width:
        return [None] * len(rooms)
    for _ in range(excess):
        widest = max((i for i, room in enumerate(rooms) if widths[i] > room.least[step]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths
