"""The differences that a verdict found: by how much the winner is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossreg.reporting.pictures.figure import INK, band, broken, figure, name_in_lines, rounded, scatter, vertical
from lossreg.reporting.plot_data import COLOURS, comparisons, gain_axis
from lossreg.reporting.values import number
from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Comparison

LONGEST_TITLE = 34  # characters of a line beside the names of the rows on a page of 400 pixels


def differences(result: StudyResult) -> Mapping[str, Any] | None:
    """Return the winner's differences from other arms with their 95% intervals; None where there is none."""
    rows = comparisons(result)
    if result.verdict is None or not rows:
        return None
    margin, ends = result.verdict.margin, [0.0, *(end for row in rows.values() for end in row.interval)]
    room = 0.05 * (max(ends) - min(ends)) or 0.01
    shaded = f"; shaded: the margin of {margin:g}" if margin else ""
    what, better = gain_axis(result, result.verdict)
    title = f"{broken(what, LONGEST_TITLE)}<br>{broken(f'{better}{shaded}', LONGEST_TITLE)}"
    return figure(
        [_intervals(list(rows.values()))],
        x={"title": title, "range": rounded([min(ends) - room, max(ends) + room])},
        y={
            "tickvals": list(range(len(rows))),
            "ticktext": [name_in_lines(f"against {' '.join(name.split())}") for name in rows],
            "range": [len(rows) - 0.5, -0.5],
            "showgrid": False,
        },
        height=110 + 54 * len(rows),
        shapes=[vertical(0.0, INK), *([band(-margin, margin)] if margin else [])],
    )


def _intervals(rows: list[Comparison]) -> dict[str, Any]:
    ends = {
        "array": rounded(row.high - row.difference for row in rows),
        "arrayminus": rounded(row.difference - row.low for row in rows),
    }
    return scatter(
        [row.difference for row in rows],
        range(len(rows)),
        error_x={"type": "data", "symmetric": False, **ends, "color": COLOURS[0], "thickness": 3},
        marker={"color": COLOURS[0], "size": 10},
        customdata=[[number(row.low), number(row.high)] for row in rows],
        hovertemplate="%{x:.5g} (%{customdata[0]} to %{customdata[1]})<extra></extra>",
        showlegend=False,
    )
