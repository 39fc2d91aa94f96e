"""The command that looks at data and writes a study file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import Json, app, display, guarded, only_json, print_json, say
from lossreg.errors import count_of

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from lossreg.inspection.first_study import Inspection

SHOWN = 12  # classes
Source = Annotated[
    str,
    typer.Argument(metavar="DATA", help="A file, such as churn.csv, or what a study's source may be.",
                   show_default=False),
]  # fmt: skip
TargetColumns = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="COLUMN", help="The column to predict; several are labels of 0 and 1."),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="STUDY.toml", help="The study file; by default named after DATA.")
]


DROP = "note: The study file has the line `drop = [...]` as a comment: remove its # to leave these columns out."


@app.command("init")
@guarded
def init(data: Source, *, target: TargetColumns = None, out: Out = None, as_json: Json = False) -> None:
    """Look at data and write a study file for them.

    It says what it saw, why it recommends losses and metric, and what to beware of. No file is overwritten.
    """
    with only_json(as_json) as stream:
        waiting.announce(f"reading {data}")
        from lossreg.inspection import first_study

        path = first_study.place(data, out)
        named = target[0] if target and len(target) == 1 else target or None
        inspection = first_study.init(data, named, folder=path.parent)
        inspection.write(path)
        if as_json:
            print_json({**inspection.to_json(), "written": str(path)}, stream)
            return
        display(page(inspection))
        say(f"\nwrote {path}; next: lossreg tune {shlex.quote(str(path))}", whole=True)


def page(inspection: Inspection) -> Group:
    """Return what was seen, what is recommended, and warnings."""
    from rich.console import Group

    from lossreg.reporting.tables import DIM, cell

    notes = [cell(f"note: {note}", DIM) for note in inspection.notes]
    warnings = [cell(f"note: {warning}", "yellow") for warning in inspection.warnings]
    kept = [cell(DROP, DIM)] * ("\n# drop = " in inspection.text)
    return Group(_facts(inspection), _losses(inspection), *notes, *warnings, *kept)


def _facts(inspection: Inspection) -> Table:
    from lossreg.reporting.tables import pairs

    return pairs({**_of_rows(inspection), **_of_target(inspection), **_of_columns(inspection)})


def _of_rows(inspection: Inspection) -> dict[str, str]:
    from lossreg.reporting import facts

    return {
        "data": ", ".join(filter(None, [inspection.dataset.name, facts.rows_of(inspection.dataset.summary())])),
    }


def _of_target(inspection: Inspection) -> dict[str, str]:
    from lossreg.inspection.recommendation import NONE_RARE

    task, metric, numbers = inspection.task, inspection.metric, inspection.numbers
    facts = {"task": f"{task.value}: {task.reason}"}
    if rows := inspection.classes:
        facts["classes"] = ", ".join(_classes(rows))
        facts["imbalance"] = "" if metric.reason.startswith(NONE_RARE) else _imbalance(rows)
    if numbers is not None:
        facts["target"] = (
            f"{numbers.low:.4g} to {numbers.high:.4g}, median {numbers.median:.4g}, mean {numbers.mean:.4g}, "
            f"standard deviation {numbers.deviation:.4g}"
        )
        facts["tails"] = (
            f"skewness {numbers.skewness:.2g}, kurtosis {numbers.kurtosis:.2g} (0 is normal); "
            f"{count_of(numbers.far, 'value')} beyond 5 robust deviations, with {numbers.far_share:.0%} of the variance"
        )
        facts["zeros"] = f"{numbers.zeros:.1%} of the values are 0" if numbers.zeros else ""
        is_count = task.value == "count"
        facts["dispersion"] = f"variance {numbers.dispersion:.3g} times the mean (Poisson: 1)" if is_count else ""
    return {**facts, "metric": f"{metric.value}: {metric.reason}"}


def _classes(rows: dict[str, int]) -> Iterator[str]:
    total = sum(rows.values())
    for name, number in list(rows.items())[:SHOWN]:
        yield f"{name} {number:,} ({number / total:.1%})"
    if len(rows) > SHOWN:
        yield f"and {len(rows) - SHOWN:,} more"


def _imbalance(rows: dict[str, int]) -> str:
    most, least = max(rows, key=rows.__getitem__), min(rows, key=rows.__getitem__)
    times = rows[most] / max(rows[least], 1)
    return f"{times:.1f} times as many of {most} as of {least}" if times >= 1.05 else ""


def _of_columns(inspection: Inspection) -> dict[str, str]:
    from lossreg.data.origin import listed

    suspects = inspection.suspects
    groups = [f"{name} ({number:,} values{_gaps(inspection, name)})" for name, number in suspects.groups.items()]
    times = [f"{name} ({gaps[2:]})" if (gaps := _gaps(inspection, name)) else name for name in suspects.times]
    return {
        "constant": listed(inspection.constant, SHOWN) if inspection.constant else "",
        "copies": listed([f"{name} of {other}" for name, other in suspects.copies.items()], SHOWN),
        "identifiers": "; ".join(
            filter(
                None,
                [
                    f"{listed(inspection.identifiers, SHOWN)}: left out" if inspection.identifiers else "",
                    listed(suspects.identifiers, SHOWN),
                ],
            )
        ),
        "may be group": listed(groups, SHOWN),
        "may be time": listed(times, SHOWN),
        "may be split": listed(suspects.splits, SHOWN),
    }


def _gaps(inspection: Inspection, name: str) -> str:
    """Return `, but has 12 gaps` of a column that cannot cut the rows since it has gaps."""
    import pandas as pd

    x = inspection.dataset.rows.raw.x
    gaps = int(x[name].isna().sum()) if isinstance(x, pd.DataFrame) and name in x else 0
    return f", but has {count_of(gaps, 'gap')}, so it cannot be used" if gaps else ""


def _losses(inspection: Inspection) -> Table:
    from lossreg.reporting.tables import table

    rows = [(name, reason.rstrip(".")) for name, reason in inspection.losses.items()]
    rows += [(f"({name})", f"left out: {reason}") for name, reason in inspection.left_out.items()]
    return table("", {"loss": "left", "because": "left"}, rows, whole=("loss",))
