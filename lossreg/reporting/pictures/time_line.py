"""The time line of a study: when each trial was trained, and with which others."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Container, Sequence
from dataclasses import dataclass

from lossreg.errors import count_of
from lossreg.reporting.pictures.figure import EVERY, INK, Picture, Trace, figure, named, rounded, vertical
from lossreg.reporting.plot_data import looks
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

LONGEST_PAUSE = 0.1  # of the time in which trials were trained; a longer one is cut out


def timeline(result: StudyResult, drawn: Container[int] = EVERY) -> Picture:
    """Draw when each trial was trained, side by side with those that were trained at the same time.

    Pauses in which none was, as between a study and what resumed it, are cut out, and marked.
    """
    timed = sorted(
        (trial for trial in result.trials if 0 < trial.started < trial.ended), key=lambda trial: trial.started
    )
    if not timed:
        return Picture("timeline", "", "", ())
    pauses, rows = _pauses(timed), _rows(timed)
    shown = [(trial, row) for trial, row in zip(timed, rows, strict=True) if trial.number in drawn]
    at, count = _Clock(timed[0].started, pauses), max(rows) + 1
    cuts = f", pauses of {sum(end - start for start, end in pauses):,.0f} s cut out" if pauses else ""
    picture = figure(
        [_bars(result, candidate, shown, at) for candidate in looks(result)],
        x={"title": f"seconds since the first trial{cuts}"},
        y={"title": "trials at a time", "range": [count - 0.5, -0.5], "showticklabels": False},
        height=min(600, 160 + 14 * count), barmode="overlay", shapes=[vertical(at(start)) for start, _ in pauses],
    )  # fmt: skip
    cut = " A dashed line is a pause that is cut out." if pauses else ""
    note = f"A bar is a trial; up to {count_of(count, 'trial was', 'trials were')} trained at the same time.{cut}"
    return Picture("timeline", "Time line", note, (picture,))


def _bars(result: StudyResult, candidate: str, shown: Sequence[tuple[TrialRecord, int]], at: _Clock) -> Trace:
    """Return the bars of a candidate's trials; shown: all trials with their rows."""
    bars, name = [(trial, row) for trial, row in shown if trial.candidate == candidate], named(result, candidate)
    return {
        "type": "bar", "orientation": "h", "name": name, "width": 0.9,
        "base": rounded(at(trial.started) for trial, _ in bars),
        "x": rounded(trial.ended - trial.started for trial, _ in bars),
        "y": [row for _, row in bars],
        "marker": {"color": looks(result)[candidate]["color"], "line": {"color": INK, "width": 0.3}},
        "customdata": [[trial.number, trial.state] for trial, _ in bars],
        "hovertemplate": f"trial %{{customdata[0]}}, %{{customdata[1]}}: %{{x:.3g}} s<extra>{name}</extra>",
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Clock:
    """The seconds since the first trial began, without pauses."""

    begin: float
    pauses: Sequence[tuple[float, float]]

    def __call__(self, time: float) -> float:
        return time - self.begin - sum(end - start for start, end in self.pauses if end <= time)


def _pauses(timed: Sequence[TrialRecord]) -> list[tuple[float, float]]:
    """Return beginning and end of the long times in which none of these trials, in order of start, was trained."""
    ends = itertools.accumulate((trial.ended for trial in timed), max)
    gaps = [(end, after.started) for end, after in zip(ends, timed[1:], strict=False) if after.started > end]
    span = max(trial.ended for trial in timed) - timed[0].started
    trained = span - sum(end - start for start, end in gaps)
    return [(start, end) for start, end in gaps if end - start > LONGEST_PAUSE * trained]


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
