"""The page of `lossreg tune --dry-run`: the study's data, losses and search, before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lossreg.errors import count_of
from lossreg.reporting import facts, report
from lossreg.reporting.tables import DIM, cell, pairs, table
from lossreg.search.notes import alone

if TYPE_CHECKING:
    from lossreg.search.outline import Outline


def page(outline: Outline) -> Group:
    """Return the data, the size of the search, and each candidate with its search space."""
    notes = [*outline.notes, *(alone(name, reason) for name, reason in outline.refused.items())]
    dim = [cell(f"note: {note}", DIM) for note in notes]
    return Group(_facts(outline), _candidates(outline), *dim, Text("Dry run: nothing was trained or written."))


def _facts(outline: Outline) -> Table:
    done = f", {outline.done} done" if outline.done else ""
    values = {
        "data": ", ".join(filter(None, [str(outline.data.get("name", "")), facts.rows_of(outline.data)])),
        "task": outline.task,
        "metric": f"{outline.metric}, {report.arrow(outline.direction)}",
        "baseline": _baseline(outline),
        "optimizer": outline.optimizer,
        "learning rate": ", ".join(filter(None, [outline.learning_rate, outline.schedule])),
        **outline.architectures,
        **outline.asked,
        "trials": f"{outline.trials:,} of {count_of(outline.epochs, 'epoch')}{done}",
        "at a time": count_of(outline.lanes, "model"),
    }
    return pairs(values)


def _baseline(outline: Outline) -> str:
    """Return the baseline with its loss, where the name is another one."""
    loss = next((loss for name, loss, *_ in outline.rows if name == outline.baseline), outline.baseline)
    return outline.baseline if loss == outline.baseline else f"{outline.baseline} ({loss})"


def _candidates(outline: Outline) -> Table:
    columns = dict.fromkeys(("candidate", "loss", "from", "searched"), "left")
    rows = [
        (candidate, loss, origin, "\n".join(f"{name}: {values}" for name, values in search_space.items()) or "-")
        for candidate, loss, origin, search_space in outline.rows
    ]
    return table("", columns, rows)
