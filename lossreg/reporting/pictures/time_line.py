"""The time line of a study: when each trial was trained, and with which others."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from lossreg.errors import count_of
from lossreg.reporting.pictures.figure import INK, Picture, figure, named, rounded
from lossreg.reporting.plot_data import looks
from lossreg.storage.records import StudyResult, TrialRecord


def timeline(result: StudyResult) -> Picture:
    """Draw when each trial was trained, side by side with those that were trained at the same time."""
    timed = sorted(
        (trial for trial in result.trials if 0 < trial.started < trial.ended), key=lambda trial: trial.started
    )
    if not timed:
        return Picture("timeline", "", "", ())
    rows, begin = _rows(timed), timed[0].started
    traces = []
    for candidate, look in looks(result).items():
        own = [(trial, row) for trial, row in zip(timed, rows, strict=True) if trial.candidate == candidate]
        name = named(result, candidate)
        traces.append({
            "type": "bar", "orientation": "h", "name": name, "width": 0.9,
            "base": rounded(trial.started - begin for trial, _ in own),
            "x": rounded(trial.ended - trial.started for trial, _ in own),
            "y": [row for _, row in own],
            "marker": {"color": look["color"], "line": {"color": INK, "width": 0.3}},
            "customdata": [[trial.number, trial.state] for trial, _ in own],
            "hovertemplate": f"trial %{{customdata[0]}}, %{{customdata[1]}}: %{{x:.3g}} s<extra>{name}</extra>",
        })  # fmt: skip
    lanes = max(rows) + 1
    drawn = figure(
        traces, x={"title": "seconds since the first trial"}, y={"title": "lane", "range": [lanes - 0.5, -0.5]},
        height=min(600, 160 + 14 * lanes), barmode="overlay",
    )  # fmt: skip
    note = f"A bar is a trial; up to {count_of(lanes, 'trial was', 'trials were')} trained at the same time."
    return Picture("timeline", "Time line", note, (drawn,))


def _rows(timed: Sequence[TrialRecord]) -> list[int]:
    """Return for each trial, in order of start, the first row that is free then."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    rows = []
    for trial in timed:
        while busy and busy[0][0] <= trial.started:
            heapq.heappush(free, heapq.heappop(busy)[1])
        row = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (trial.ended, row))
        rows.append(row)
    return rows
