"""The origin of rows, for messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lossreg.contract.data_options import GIVEN, Options
from lossreg.errors import DataError, did_you_mean, shortened
from lossreg.terminal.plain_text import printable_line

LETTERS = 80
Target = str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of rows: the data set's name, the source as the user wrote it, the columns asked for.

    Several target columns are several labels per row; weight is the column of sample weights; as_given: numeric
    features are used unchanged; options: what the study says about reading; aside: the columns that are no features, by
    what they are for: group, time, split; like: of a further file, the columns that the first has, and True for those
    that are text there; beside: the columns that the metric takes, which may be features too.
    """

    name: str
    where: str
    target: Target = None
    weight: str | None = None
    as_given: bool = False
    options: Options = field(default_factory=Options)
    aside: Mapping[str, str] = field(default_factory=dict)
    like: Mapping[str, bool] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def in_python(self) -> bool:
        """True where the rows themselves were given in Python."""
        return self.where == GIVEN

    def error(self, what: str, hint: str = "") -> DataError:
        """Return a `DataError` about this source."""
        return DataError(what, where=self.where, hint=hint)


def near(name: str, columns: Iterable[str], index: Iterable[str] = ()) -> str:
    """Return a hint: the column that was meant, or those that there are; index: the names of levels of the index."""
    if name in index:
        return f"{printable_line(name)} is in the index of the table: give table.reset_index()."
    return did_you_mean(name, columns) or f"Columns: {listed(columns)}."


def listed(names: Iterable[str], limit: int = 30) -> str:
    """Return the names in one line, separated by commas, the first `limit` of them, and 80 letters of each at most."""
    names = [shortened(printable_line(name), LETTERS) for name in names]
    more = f", ... ({len(names) - limit:,} more)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
