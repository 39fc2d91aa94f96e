"""Numbers and dates that further rows write in another form than the training rows: how these rows are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Options
from lossreg.data import numerals
from lossreg.data.cells import example, of_column
from lossreg.data.columns import is_number, plain, stripped
from lossreg.data.conversions import AsDays, AsNumbers
from lossreg.data.dates import Dates, Order
from lossreg.data.datetexts import ANY_ORDER, DAY_FIRST, MICROSECONDS, Alike, alike
from lossreg.data.lost import TAKEN_AS_MISSING, Reason, grouped
from lossreg.data.numerals import Numerals
from lossreg.data.plain_texts import OTHER, Texts
from lossreg.data.reading import Reading
from lossreg.data.readings import Readings

Rows = NDArray[np.int64]
MARKS = {".": "point", ",": "comma"}
OPEN = ""
MAY_BE_OPEN = "(?:^|[^0-9])[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2}|[^ -~]"  # or holds digits of another script
OPEN_ORDER = Reason(
    "is no date, or leaves the order of day and month open",
    "are no dates, or leave the order of day and month open",
    TAKEN_AS_MISSING, "Write them as in training, or with the year first.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forms:
    """The readings of the columns that rows write in another form than the training rows, and notes on them."""

    readings: Mapping[str, Reading] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


AS_TRAINED = Forms()


def of(rows: pd.DataFrame, readings: Mapping[str, Reading], options: Options | None) -> Forms:
    """Return how rows are read whose values decide on it; readings: those of the training rows."""
    written = [name for name, dtype in zip(rows.columns, rows.dtypes, strict=True) if _may_be_text(dtype)]
    counted = Counted({name: readings[name] for name in written if name in readings}, options)
    counted.add(rows)
    return counted.forms()


def as_trained(rows: pd.DataFrame, training: pd.DataFrame, options: Options | None) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of a part that is given in the form of the training rows, and notes on what was in another."""
    names = [name for name in rows.columns if name in training.columns and _may_be_text(rows[name].dtype)]
    readings = Readings.of(training[names], options)
    forms = of(rows[names], readings, options)
    if not forms.readings:
        return rows, []
    read, lost = Readings(forms.readings).apply(rows[list(forms.readings)])
    columns = {name: _written(read[name], readings[name], training[name].dtype) for name in forms.readings}
    return rows.assign(**columns), [*forms.notes, *lost.lines()]


def of_labels(labels: pd.Series[Any], training: pd.Series[Any], options: Options | None) -> str:
    """Return a label that is a number in another form than those of training; empty where there is none."""
    if not _may_be_text(labels.dtype) or not (is_number(training.dtype) or _may_be_text(training.dtype)):
        return ""
    counted = Counted(Readings.of(training.to_frame("y"), options and replace(options, columns={})), options)
    counted.add(labels.to_frame("y"))
    return next((counts.shown for counts in counted.numbers.values() if counted.forms().readings), "")


def _may_be_text(dtype: Any) -> bool:
    return not is_number(dtype) and getattr(dtype, "kind", "O") not in "bmM"


def _written(values: pd.Series[Any], reading: Reading, dtype: Any) -> pd.Series[Any]:
    """Return numbers or days in the form of the training rows; reading, dtype: of the column in training."""
    gaps = values.isna()
    if isinstance(reading.read, AsNumbers):
        if is_number(dtype):
            return values
        form = reading.read.numerals
        unit = form.unit if form.signed else ""
        texts = [f"{value!r}".replace(".", form.decimal) + unit for value in values.tolist()]
    else:
        stamps = np.round(values.fillna(0).to_numpy() * MICROSECONDS).astype(np.int64).astype("M8[us]")
        texts = [str(text).removesuffix("T00:00:00.000000") for text in np.datetime_as_string(stamps)]
    return pd.Series(texts, values.index, dtype=object).mask(gaps, None)


class Counted:
    """Values of further rows, counted by column and by the forms that read them; rows may come in pieces."""

    def __init__(self, readings: Mapping[str, Reading], options: Options | None) -> None:
        self.readings = readings
        has_marks = options is not None and options.marks is not None
        self.numbers = {
            name: Numbers(reading.read.numerals) for name, reading in readings.items()
            if isinstance(reading.read, AsNumbers) and not has_marks and not reading.read.numerals.group
        }  # fmt: skip
        self.dates = {
            name: Orders(reading.read.dates) for name, reading in readings.items() if isinstance(reading.read, AsDays)
        }  # fmt: skip

    def add(self, rows: pd.DataFrame) -> None:
        """Count the values of further rows."""
        every: dict[str, Numbers | Orders] = {**self.numbers, **self.dates}
        for name, counts in every.items():
            with of_column(name):
                counts.add(plain(rows[name]))

    def forms(self) -> Forms:
        """Return how all of these rows are read."""
        turned, orders = self._turned(), {name: counts.decided() for name, counts in self.dates.items()}
        changed = {name: dates for name, dates in orders.items() if dates is not None}
        first = next((self.numbers[name].shown for name in turned), "")
        readings, notes = {}, {name: self.numbers[name].note(first) for name in turned}
        for name in turned:
            readings[name] = self.readings[name]._replace(read=AsNumbers(self.numbers[name].turned))
        for name, dates in changed.items():
            is_open = any(order.order == OPEN for order in dates.orders)
            reading = self.readings[name]._replace(read=AsDays(dates))
            readings[name] = reading._replace(reason=OPEN_ORDER) if is_open else reading
            notes[name] = self.dates[name].note(dates)
        return Forms(readings, tuple(grouped(notes)))

    def _turned(self) -> list[str]:
        """Return the columns with the other decimal mark: those that need it, and with them those that are open.

        As in training, columns that leave the mark open have that of the others, where these agree.
        """
        need = [name for name, counts in self.numbers.items() if counts.other > counts.same + counts.real]
        marks = {self.numbers[name].turned.decimal for name in need}
        marks |= {counts.form.decimal for counts in self.numbers.values() if counts.same > counts.other}
        if len(marks) != 1:
            return need
        open_ones = (name for name, counts in self.numbers.items() if counts.is_open and counts.turned.decimal in marks)
        return [*need, *open_ones]


class Numbers:
    """Numbers of a column, counted by the decimal marks with which they are numbers.

    form: that of the training rows; same, other: the number of those with its decimal mark alone, and with the other
    one alone; both: of those that are two different numbers; real: of parsed ones with decimals; shown: one of `other`.
    """

    def __init__(self, form: Numerals) -> None:
        self.form, self.turned = form, replace(form, decimal=OTHER[form.decimal], doubt="")
        self.same = self.other = self.both = self.real = 0
        self.shown = ""

    def add(self, column: pd.Series[Any]) -> None:
        """Count further values."""
        if is_number(column.dtype):
            values = column.to_numpy(np.float64, na_value=np.nan)
            self.real += int(np.count_nonzero(np.isfinite(values) & (values != np.trunc(values))))
            return
        texts = _texts(column)
        one, two = (numerals.values(texts, form) for form in (self.form, self.turned))
        other = np.isnan(one) & ~np.isnan(two)
        self.same += int((~np.isnan(one) & np.isnan(two)).sum())
        self.other += int(other.sum())
        self.both += int((one != two)[~np.isnan(one) & ~np.isnan(two)].sum())
        if not self.shown and other.any():
            self.shown = example(texts.iloc[int(other.argmax())])

    @property
    def is_open(self) -> bool:
        """True if the values may be read with either mark, and training has none between thousands."""
        return (
            bool(self.both)
            and not (self.same or self.other or self.real)
            and self.turned.decimal not in self.form.marks
        )

    def note(self, shown: str) -> str:
        """Return a note on numbers that are read with the other decimal mark, of which one is shown."""
        here, there = MARKS[self.turned.decimal], MARKS[self.form.decimal]
        return f"read as numbers with a decimal {here}, which {shown} needs; training rows have a decimal {there}"


def _texts(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the texts of a column."""
    values = column.dropna()
    if isinstance(values.dtype, pd.StringDtype):
        return values
    values = values.astype(object)
    return values[np.array([isinstance(value, str) for value in values], bool)]


class Orders:
    """Dates of a column, counted by the separator between day, month and year and by the orders that these may have.

    dates: their form in the training rows; short years are counted only where these have such.
    """

    def __init__(self, dates: Dates) -> None:
        self.dates = dates
        self.is_said = any(not order.other for order in dates.orders)
        self.rows: Counter[tuple[str, bool, frozenset[str]]] = Counter()
        self.shown: dict[tuple[str, bool, frozenset[str]], str] = {}

    def add(self, column: pd.Series[Any]) -> None:
        """Count further values."""
        if self.is_said or not _may_be_text(column.dtype):
            return
        if (texts_only := Texts.of(column)) is not None:
            column = column[texts_only.match(MAY_BE_OPEN)]
        counts = stripped(column).dropna().value_counts()
        texts, rows = [str(text) for text in counts.index], np.array(counts, np.int64)
        for group in alike(texts):
            if group.form == ANY_ORDER and (self.dates.short or not group.short):
                self._add(group, texts, rows)

    def _add(self, group: Alike, texts: list[str], rows: Rows) -> None:
        days = np.stack([group.days(order) for order in group.orders])
        valid = ~np.isnan(days)
        means_one = (valid.sum(axis=0) > 1) & (
            np.where(valid, days, -np.inf).max(0) == np.where(valid, days, np.inf).min(0)
        )
        for flags in np.unique(valid[:, ~means_one], axis=1).T:
            where = (valid == flags[:, None]).all(axis=0) & ~means_one
            key = group.separator, group.short, frozenset(np.array(group.orders)[flags].tolist())
            if flags.any():
                self.rows[key] += int(rows[group.indices[where]].sum())
                self.shown.setdefault(key, texts[int(group.indices[where].min())])

    def decided(self) -> Dates | None:
        """Return the form of all of these dates, None where that of the training rows fits."""
        keys = list(dict.fromkeys(key[:2] for key in self.rows))
        leading = {key: self._leading(*key) for key in keys}
        trained = {key: self.dates.order(*key) for key in keys}
        if all(trained[key] in leading[key] or (trained[key] is None and self._is_plain(key)) for key in keys):
            return None
        certain = [orders[0] for orders in leading.values() if len(orders) == 1]
        chosen = {key: _chosen(key[0], trained[key], leading[key], certain) for key in keys}
        new_orders = [Order(*key, order, DAY_FIRST, 0, 0, self._example(key, order)) for key, order in chosen.items()]
        rest = [order for order in self.dates.orders if order[:2] not in keys]
        return replace(self.dates, orders=(*new_orders, *rest))

    def _is_plain(self, key: tuple[str, bool]) -> bool:
        """Return whether all dates with a separator have one order, and no other."""
        orders = [each for *of, each in self.rows if tuple(of) == key]
        return len(orders) == len(orders[0]) == 1

    def _leading(self, separator: str, short: bool) -> list[str]:
        """Return the orders in which most of the dates with a separator are valid."""
        counts: Counter[str] = Counter()
        for (*key, orders), rows in self.rows.items():
            if key == [separator, short]:
                counts.update(dict.fromkeys(orders, rows))
        return [order for order, rows in counts.items() if rows == max(counts.values())]

    def _example(self, key: tuple[str, bool], order: str) -> str:
        """Return a date that has this order, one that has no other if there is such."""
        shown = {
            len(orders): text for (*of, orders), text in self.shown.items() if tuple(of) == key and order in orders
        }
        return shown[min(shown)] if shown else ""

    def note(self, dates: Dates) -> str:
        """Return a note on the separators with another order than in training."""
        readings = [
            f"{example(order.example)} is read as {order.order}"
            for order in dates.orders if order.order != OPEN and order not in self.dates.orders
        ]  # fmt: skip
        return f"dates in another form than in training: {', '.join(readings)}" if readings else ""


def _chosen(separator: str, trained: str | None, leading: list[str], certain: Iterable[str]) -> str:
    """Return the order around a separator, empty where nothing decides on it."""
    if trained in leading or (len(leading) > 1 and trained is not None):
        return str(trained)
    usual = [*leading] * (len(leading) == 1) + [DAY_FIRST] * (separator == ".") + [*certain]
    return next((order for order in usual if order in leading), OPEN)
