"""A table for the terminal whose lines are broken between words, and which leaves out columns that have no room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

LEFT_OUT = "Left out for lack of room: {}."


class Room(NamedTuple):
    """The least width of a column, its longest word or its longest line if it is never broken, and its full width."""

    least: int
    full: int


class Grid(Table):
    """A table; spare: headings of columns that are left out where there is no room for all, the first of them first."""

    spare: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rooms = {id(column): self._room(column, console, options) for column in self.columns}
        kept, left_out = list(self.columns), []
        for heading in self.spare:
            if _total(rooms[id(column)].least for column in kept) <= options.max_width:
                break
            left_out += [column for column in kept if str(column.header) == heading]
            kept = [column for column in kept if str(column.header) != heading]
        widths = _narrowed([rooms[id(column)] for column in kept], options.max_width)
        yield from self._of(kept, widths, left_out).__rich_console__(console, options)

    def _room(self, column: Column, console: Console, options: ConsoleOptions) -> Room:
        sizes = [console.measure(cell, options=options.update(width=10_000)) for cell in (column.header, *column.cells)]
        full = max(size.maximum for size in sizes)
        return Room(full if column.no_wrap else max(size.minimum for size in sizes), full)

    def _of(self, columns: Sequence[Column], widths: Sequence[int | None], left_out: Sequence[Column]) -> Table:
        """Return a table of these columns."""
        table = Table(title=self.title, title_justify=self.title_justify, box=self.box, pad_edge=self.pad_edge,
                      padding=self.padding, caption=self._caption(left_out), caption_justify="left")  # fmt: skip
        for column, width in zip(columns, widths, strict=True):
            table.add_column(column.header, justify=column.justify, overflow=column.overflow, no_wrap=column.no_wrap,
                             width=width)  # fmt: skip
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
    """Return the width of a table with columns of these widths: each has two blanks, or an edge, beside it."""
    return sum(width + 2 for width in widths) + 1


def _narrowed(rooms: Sequence[Room], width: int) -> Sequence[int | None]:
    """Return widths of columns that fit, the widest columns narrowed first; none where words must be broken."""
    widths, spare = [room.full for room in rooms], _total(room.full for room in rooms) - width
    if _total(room.least for room in rooms) > width:
        return [None] * len(rooms)
    for _ in range(spare):
        widest = max((i for i, room in enumerate(rooms) if widths[i] > room.least), key=widths.__getitem__)
        widths[widest] -= 1
    return widths
