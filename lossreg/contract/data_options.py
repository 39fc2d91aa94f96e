"""Options for the reading of data, which a study sets in place of what is inferred."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Gap = str | float
GIVEN = "data="  # the source of a study whose rows are given in Python
# inputs of a model with an exposure: the features where they are one array, and the exposures, as the study's key is
FEATURES, EXPOSURE = "x", "exposure"
THOUSANDS = (".", ",", "'", " ", "none")
DROP, TEXT = "drop", "text"
READ_AS = ("number", "category", "date")
ORDERED_DATES = ("date:dmy", "date:mdy", "date:ymd")  # by the order of day, month and year
KINDS = (*READ_AS, *ORDERED_DATES, TEXT, DROP)
OF_CUTS = {"time": ("number", "date", *ORDERED_DATES), "group": (*READ_AS, *ORDERED_DATES)}  # of columns aside


@dataclass(frozen=True, slots=True)
class Options:
    """The reading of data as a study asks for it; what is not set is inferred.

    encoding: of a text file; decimal: the decimal mark of numbers in text; thousands: the mark between thousands, or
    "none"; na_values: texts and numbers that are missing values, of all columns or by column; drop_unlabelled: rows
    without a label are left out; columns: the kind of single columns, one of `KINDS`; positive: the positive class of a
    binary task; former: the positive class that a resumed study began with, used where `positive` is not set; sheet:
    of a spreadsheet; fewest: the number of rows that a class needs.
    """

    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    na_values: tuple[Gap, ...] | Mapping[str, tuple[Gap, ...]] = ()
    drop_unlabelled: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    positive: Any = None
    former: str | None = None
    sheet: str | None = None
    fewest: int = 2

    @property
    def marks(self) -> tuple[str, str] | None:
        """The decimal mark and that between thousands ("" for the usual ones), None where neither is set."""
        if self.decimal is None and self.thousands is None:
            return None
        return self.decimal or ("," if self.thousands == "." else "."), self.thousands or ""

    def kinds(self, *wanted: str) -> list[str]:
        """Return the columns that are to be of one of these kinds."""
        return [name for name, kind in self.columns.items() if kind in wanted]


def is_encoding(name: str) -> bool:
    """Return whether Python knows a text encoding of this name."""
    try:
        "".encode(name)
        return bool(codecs.lookup(name).incrementaldecoder)
    except (LookupError, ValueError):
        return False
