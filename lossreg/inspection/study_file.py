"""The text of a study file that fits the data, with the reasons as comments."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lossreg.config.candidates import takes_exposure
from lossreg.contract.data_options import EXPOSURE
from lossreg.data import exposures
from lossreg.data.columns import is_number
from lossreg.data.conversions import AsNumbers
from lossreg.data.dataset import Dataset
from lossreg.errors import count_of
from lossreg.inspection import columns
from lossreg.inspection.recommendation import Choice, may_be_count
from lossreg.inspection.suspects import Suspects, can_cut
from lossreg.inspection.target import Numbers
from lossreg.inspection.warnings import ADVICE, FOLDS, can_fold
from lossreg.registry import registry
from lossreg.terminal.plain_text import printable_line

WIDTH = 110
SHOWN = 6
EITHER = "Not both group and time: group if new ones are predicted (new customers), time if the same ones are, later."
OR_COUNT = "in place of the task above, if these are numbers of events; then remove metric and losses"
NOT_EXPOSED = "not with exposure"
WHY = {
    "split": "the column says which rows train, validate and test",
    "group": "rows of one {} stay together",
    "time": "the newest rows are the test rows",
}
FOLDED = f"scores all rows outside the test, in {FOLDS} trainings per trial"
KINDS = ("number", "category", "text", "date")  # that `[data.columns]` may name


@dataclass(frozen=True, slots=True)
class Draft:
    """The content of a study file, from which its text is written.

    saved: how rows that came from no file get into the source; unlabelled: rows without a label; losses, left_out:
    names with reasons; warnings: lines for the user.
    """

    source: str
    target: str | Sequence[str] | None
    task: Choice
    metric: Choice
    losses: Mapping[str, str]
    left_out: Mapping[str, str]
    trials: int
    batch_size: int
    epochs: int
    dataset: Dataset
    suspects: Suspects
    warnings: Sequence[str]
    saved: str = ""
    unlabelled: int = 0

    def text(self) -> str:
        """Return the study file."""
        parts = (self._head(), self._data(), self._train(), self._search(), self._losses())
        return "\n\n".join("\n".join(part) for part in parts) + "\n"

    def _head(self) -> Iterator[str]:
        yield "# Written by `lossreg init`, which looked at the data. `lossreg tune FILE` runs it as it is."
        yield "# Lines such as `# folds = 5` are choices that only you can make: remove their # where they fit."
        for warning in self.warnings:
            yield from comment(f"note: {warning}")

    def _data(self) -> Iterator[str]:
        yield "[data]"
        yield (
            _with_reason(f"source = {toml(self.source)}", self.saved) if self.saved else f"source = {toml(self.source)}"
        )
        if self.target is not None:
            yield f"target = {toml(self.target)}"
        yield _with_reason(f"task = {toml(self.task.value)}", self.task.reason)
        if self.task.value == "multiclass" and self._may_be_count():
            yield _with_reason('# task = "count"', OR_COUNT)
        if self.unlabelled:
            yield _with_reason(
                "drop_unlabelled = true", f"{count_of(self.unlabelled, 'row has', 'rows have')} no label"
            )
        yield from self._open()

    def _open(self) -> Iterator[str]:
        """Yield keys that are the user's decision, as comments."""
        if out := self.suspects.needless:
            yield _with_reason(f"# drop = {toml(list(out))}", "; ".join(dict.fromkeys(out.values())))
        cuts = [(key, name) for key, name in self._cuts() if can_cut(self.dataset.rows, key, name)]
        if {"group", "time"} <= {key for key, _ in cuts}:
            yield from comment(EITHER)
        for key, name in cuts:
            yield _with_reason(f"# {key} = {toml(name)}", WHY[key].format(name))
        for name in self._exposures():
            yield _with_reason(f"# exposure = {toml(name)}", self._of_exposure())
        if self.task.value == "binary":
            positive = toml(self.dataset.classes[1])
            yield _with_reason(f"# positive = {positive}", "the class that f1, precision and recall are of")
        if any(isinstance(way, AsNumbers) and way.numerals.decimal == "," for way in self._ways()):
            yield _with_reason('# decimal = ","', "the decimal mark, as it was read")
        if guessed := self._guessed():
            yield _with_reason(f"# columns = {{ {guessed} }}", "how columns are read; say so where a guess is wrong")
        if can_fold(self.dataset.rows):
            is_advised = any(ADVICE in warning for warning in self.warnings)
            when = "advised, as scores are noisy" if is_advised else "not needed without a note on noise"
            yield _with_reason(f"# folds = {FOLDS}", f"{when}: {FOLDED}")

    def _cuts(self) -> Iterator[tuple[str, str]]:
        """Yield the keys that may cut the rows, with columns."""
        yield from (("split", name) for name in self.suspects.splits)
        yield from (("group", name) for name in self.suspects.groups)
        yield from (("time", name) for name in self.suspects.times)

    def _exposures(self) -> list[str]:
        """Return the columns that may be exposures of counts or claims, unless the study names one."""
        raw = self.dataset.rows.raw
        may_be = self.task.value in exposures.TASKS and EXPOSURE not in raw.aside
        return columns.exposures(raw.x) if may_be and isinstance(raw.x, pd.DataFrame) else []

    def _of_exposure(self) -> str:
        """Return what an exposure does, and what else is to be changed with it."""
        text = "predictions are exposure times rate"
        return f"{text}; then remove losses {NOT_EXPOSED!r}" if self._without_link() else f"{text}; no feature then"

    def _without_link(self) -> list[str]:
        """Return the losses that take no exposure, where one is proposed."""
        if not self._exposures():
            return []
        entries = {name: registry.default().look_up(name) for name in self.losses}
        return [name for name, entry in entries.items() if entry is None or not takes_exposure(entry.spec)]

    def _may_be_count(self) -> bool:
        """Return whether classes may be numbers of events."""
        y = self.dataset.rows.raw.y
        return isinstance(y, pd.Series) and is_number(y.dtype) and may_be_count(Numbers.of(y.dropna().to_numpy()))

    def _ways(self) -> Iterator[Any]:
        """Yield the ways in which the columns of a single table are read."""
        yield from (reading.read for reading in self.dataset.rows.readings.get("", {}).values())

    def _guessed(self) -> str:
        """Return how columns are read whose reading is not obvious, as the inside of an inline table."""
        readings, needless = self.dataset.rows.readings.get("", {}).items(), self.suspects.needless
        kinds = {
            name: reading.kind
            for name, reading in readings
            if reading.note and reading.kind in KINDS and name not in needless
        }
        return ", ".join(f"{toml(name)} = {toml(kind)}" for name, kind in list(kinds.items())[:SHOWN])

    def _train(self) -> Iterator[str]:
        yield "[train]"
        rows = f"for {len(self.dataset.train):,} training rows"
        yield _with_reason(f"epochs = {self.epochs}", rows)
        yield _with_reason(f"batch_size = {self.batch_size}", rows)

    def _search(self) -> Iterator[str]:
        yield "[search]"
        number = len(self.losses)
        about = "about " if self.trials % number else ""
        yield _with_reason(
            f"trials = {self.trials}",
            f"{about}{self.trials // number} for each of {count_of(number, 'loss', 'losses')}",
        )
        yield _with_reason(f"metric = {toml(self.metric.value)}", self.metric.reason)

    def _losses(self) -> Iterator[str]:
        yield from comment("Each table is a loss to try. A parameter that is not named is searched over its range.")
        unfit = self._without_link()
        for name in sorted(self.losses, key=unfit.__contains__):
            marked = f"{NOT_EXPOSED}: " if name in unfit else ""
            yield _with_reason(f"[losses.{name}]", f"{marked}{self.losses[name]}")
        for name, reason in self.left_out.items():
            yield _with_reason(f"# [losses.{name}]", f"left out: {reason}")


def toml(value: Any) -> str:
    """Return a text, a number or a list of texts as TOML."""
    if isinstance(value, str):
        # JSON escapes what a basic string of TOML must escape, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, (list, tuple)) else str(value)


def comment(text: str) -> list[str]:
    """Return text as lines of comments."""
    return textwrap.wrap(
        printable_line(text), WIDTH, initial_indent="# ", subsequent_indent="#   ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _with_reason(line: str, reason: str) -> str:
    """Return a line with its reason behind it, or above it where both are too long for one."""
    behind = f"{line}  # {printable_line(reason).rstrip('.')}"
    return behind if len(behind) <= WIDTH else "\n".join([*comment(reason.rstrip(".")), line])
