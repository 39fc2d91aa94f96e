"""Pictures of a study for its HTML page, as Plotly figures: plain values in the form that plotly.js takes.

Colours, markers and names are those of `study_plots`. `INK` and `GRID` stand for colours of the reader's theme, which
the page puts in their place.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting import importance as importances
from lossreg.reporting.arms import tested
from lossreg.reporting.plotted import (
    COLOURS,
    GREY,
    MARKERS,
    MOST_SLICES,
    comparisons,
    completed,
    is_boxed,
    looks,
    number_outside,
    searched,
    shown_name,
    shown_range,
    spans_decades,
)
from lossreg.reporting.values import loss_params, number
from lossreg.storage.records import Standing, StudyResult, TrialRecord
from lossreg.terminal.plain_text import printable_line

INK, GRID = "#010203", "#040506"
SYMBOLS = dict(
    zip(MARKERS, ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star"), strict=True)
)
MOST_POINTS = 4_000  # trials that are drawn
MOST_CURVES = 12  # losses whose curves are drawn
MOST_AXES = 8
CLEAR = "rgba(0,0,0,0)"

Trace = dict[str, Any]
Axis = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the page: several figures beside each other where there is room.

    key: its anchor; title; note: what it shows, in a sentence; leads: whether the first figure has all the width.
    """

    key: str
    title: str
    note: str
    figures: tuple[Mapping[str, Any], ...]
    leads: bool = True


def pictures(result: StudyResult) -> list[Picture]:
    """Return the pictures of a study in order; none without a completed trial."""
    if result.best is None:
        return []
    shown = _thinned(result, MOST_POINTS)
    every, drawn = len(result.trials), len(shown.trials)
    few = f" {drawn:,} of {every:,} trials are drawn." if drawn < every else ""
    first = [by_loss(shown), history(shown), pareto(shown)]
    last = [slices(shown), parallel(shown), timeline(shown)]
    whole = [curves(result), *predictions(result), importance(result)]
    thinned = [replace(picture, note=f"{picture.note}{few}") for picture in (*first, *last)]
    return [picture for picture in (*thinned[: len(first)], *whole, *thinned[len(first) :]) if picture.figures]


def verdict(result: StudyResult) -> Mapping[str, Any] | None:
    """Return the winner's differences from other arms with their 95% intervals; None where there is none."""
    rows = comparisons(result)
    if result.verdict is None or not rows:
        return None
    names = [text(name.replace("\n", " ")) for name in rows]
    differences = [row.difference for row in rows.values()]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(differences),
        "y": list(range(len(rows))),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": rounded(row.high - row.difference for row in rows.values()),
            "arrayminus": rounded(row.difference - row.low for row in rows.values()),
            "color": COLOURS[0],
            "thickness": 3,
        },
        "marker": {"color": COLOURS[0], "size": 10},
        "customdata": [[number(row.low), number(row.high)] for row in rows.values()],
        "hovertemplate": "%{x:.5g} (%{customdata[0]} to %{customdata[1]})<extra></extra>",
        "showlegend": False,
    }
    margin, ends = result.verdict.margin, [0.0, *(end for row in rows.values() for end in row.interval)]
    room = 0.05 * (max(ends) - min(ends)) or 0.01
    band = {"type": "rect", "yref": "paper", "x0": -margin, "x1": margin, "y0": 0, "y1": 1, "line": {"width": 0},
            "fillcolor": GREY, "opacity": 0.2}  # fmt: skip
    lower = "" if result.direction == "maximize" else ", which is lower"
    shaded = f"; shaded: the margin of {margin:g}" if margin else ""
    better = f"right: better with {text(result.verdict.sides[0])}{lower}{shaded}"
    above = [
        {"x": 0, "xref": "paper", "y": line, "yanchor": "bottom", "xanchor": "left", "yshift": 9, "showarrow": False,
         "text": f"against {name}"}
        for line, name in enumerate(names)
    ]  # fmt: skip
    return _figure(
        [trace],
        x={
            "title": f"difference in {text(result.metric)} on {tested(result.verdict)}<br>{better}",
            "range": rounded([min(ends) - room, max(ends) + room]),
        },
        y={"visible": False, "range": [len(rows) - 0.5, -0.75]},
        height=150 + 60 * len(rows),
        shapes=[_vertical(0.0, INK), *([band] if margin else [])],
        annotations=above,
        margin={"l": 16},
    )


def by_loss(result: StudyResult) -> Picture:
    """Draw the scores of each candidate as dots, the best on top, and scores on fresh splits as diamonds."""
    board = [row for row in result.ranking() if row.best]
    traces = [trace for line, row in enumerate(board) for trace in _scores_of(result, row, line)]
    traces += _confirmed(board)
    score = next((result.compared_score(row.best) for row in board if row.is_baseline), None)
    names = [text(shown_name(result, row.candidate)) for row in board]
    figure = _figure(
        traces,
        x={"title": f"{text(result.metric)} (validation)", "range": _reach(board, shown_range(result))},
        y={"tickvals": list(range(len(board))), "ticktext": names, "range": [len(board) - 0.5, -0.5]},
        height=130 + 44 * max(len(board), 2),
        shapes=[] if score is None else [_vertical(score)],
        legend=False,
    )
    note = "A dot is a trial" + (", a diamond the loss's best setting on fresh splits with its standard error"
                                 if any(row.confirmed for row in board) else "")  # fmt: skip
    best = "confirmed" if any(row.is_baseline and row.confirmed for row in board) else result.extreme
    dashed = "" if score is None else f"; the dashed line is the {best} score of the baseline"
    return Picture("by-loss", "Scores by loss", f"{note}{dashed}.{_outside(result)}", (figure,))


def _scores_of(result: StudyResult, row: Standing, line: int) -> list[Trace]:
    """Return the dots of a candidate, and a box behind them where there are enough of them for one."""
    done = completed(result, row.candidate)
    scores = rounded(score for _, score in done)
    dots = _dots(result, row.candidate, scores, [line + 0.22 * ((7 * i) % 11 / 5 - 1) for i in range(len(done))],
                 [trial for trial, _ in done], value="%{x:.5g}")  # fmt: skip
    if not is_boxed(scores):
        return [dots]
    box = {
        "type": "box",
        "orientation": "h",
        "x": scores,
        "y": [line] * len(scores),
        "width": 0.6,
        "boxpoints": False,
        "hoverinfo": "skip",
        "fillcolor": CLEAR,
        "line": {"color": GREY, "width": 1},
        "showlegend": False,
    }
    return [box, dots]


def _confirmed(board: Sequence[Standing]) -> list[Trace]:
    shown = [(line, row.confirmed) for line, row in enumerate(board) if row.confirmed]
    if not shown:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": rounded(score.mean for _, score in shown),
            "y": [line for line, _ in shown],
            "error_x": {"type": "data", "array": rounded(score.error or 0.0 for _, score in shown), "color": INK},
            "marker": {"symbol": "diamond", "color": INK, "size": 9},
            "hovertemplate": "on fresh splits: %{x:.5g}<extra></extra>",
            "showlegend": False,
        }
    ]


def _reach(board: Sequence[Standing], limits: tuple[float, float]) -> list[float]:
    """Return a range that has the scores on fresh splits with their errors too."""
    fresh = [row.confirmed for row in board if row.confirmed]
    ends = [one.mean + 1.05 * sign * (one.error or 0.0) for one in fresh for sign in (-1, 1)]
    return rounded([min([limits[0], *ends]), max([limits[1], *ends])])


def history(result: StudyResult) -> Picture:
    """Draw score against number of trial, coloured by candidate, with the best so far."""
    traces = []
    for candidate in looks(result):
        done = completed(result, candidate)
        numbers, scores = [trial.number for trial, _ in done], rounded(score for _, score in done)
        traces.append(
            _dots(result, candidate, numbers, scores, [trial for trial, _ in done], value="%{y:.5g}", legend=True)
        )
    so_far = result.best_so_far()
    best: Trace = {
        "type": "scatter",
        "mode": "lines",
        "line": {"shape": "hv", "color": GREY},
        "x": [trial.number for trial, _ in so_far],
        "y": rounded(score for _, score in so_far),
        "name": f"{result.extreme} so far",
        "hoverinfo": "skip",
    }
    low, high = shown_range(result)
    figure = _figure(
        [best, *traces],
        x={"title": "trial"},
        y={"title": f"{text(result.metric)} (validation)", "range": rounded([low, high])},
        height=420,
    )
    return Picture("history", "Every trial", f"The search, in order of trials.{_outside(result)}", (figure,))


def pareto(result: StudyResult) -> Picture:
    """Draw every trial by each pair of metrics, those of the Pareto front with a ring."""
    pairs = combinations(range(len(result.objectives)), 2)
    figures = tuple(_pair(result, *pair) for pair in pairs)
    note = (
        f"Trials than which none is better in all metrics have a ring: {len(result.front) if figures else 0} of them."
    )
    return Picture("pareto", "Pareto front", note, figures)


def _pair(result: StudyResult, first: int, second: int) -> Mapping[str, Any]:
    def points(trials: Iterable[TrialRecord]) -> tuple[list[TrialRecord], list[float], list[float]]:
        valued = [(trial, result.objective_values(trial)) for trial in trials]
        known = [(t, x, y) for t, values in valued if None not in (x := values[first], y := values[second])]
        return [t for t, _, _ in known], rounded(x for _, x, _ in known), rounded(y for _, _, y in known)

    traces = []
    for candidate in looks(result):
        trials, x, y = points(trial for trial in result.trials if trial.candidate == candidate)
        traces.append(_dots(result, candidate, x, y, trials, value="%{x:.5g}, %{y:.5g}", legend=True))
    _, x, y = points(result.front)
    ring = {"type": "scatter", "mode": "markers", "x": x, "y": y, "name": "Pareto front", "hoverinfo": "skip",
            "marker": {"symbol": "circle-open", "size": 14, "color": INK}}  # fmt: skip
    names = [f"{text(result.objectives[index].metric)} (validation)" for index in (first, second)]
    return _figure([*traces, ring], x={"title": names[0]}, y={"title": names[1]}, height=420)


def curves(result: StudyResult) -> Picture:
    """Draw the metric by epoch of each candidate's best trial on common axes, and its loss on its own."""
    best = [row.best for row in result.ranking() if row.best][:MOST_CURVES]
    metric = _figure(
        [trace for trial in best for trace in _metric_curves(result, trial)],
        x={"title": "epoch"},
        y={"title": text(result.metric)},
        height=420,
    )
    losses = [_loss_curves(result, trial) for trial in best]
    note = (
        f"The trial with the {result.extreme} score of each loss: solid lines are validation, dotted ones training. "
        "The values of different losses are not comparable, so that each has its own axes; the grey line is the epoch "
        "that was scored."
    )
    few = f" The first {MOST_CURVES} losses are shown." if len(result.losses) > MOST_CURVES == len(best) else ""
    return Picture("curves", "Learning curves", note + few, (metric, *losses))


def _metric_curves(result: StudyResult, trial: TrialRecord) -> list[Trace]:
    look = looks(result)[trial.candidate]
    name = text(shown_name(result, trial.candidate))
    kinds = (("val_score", "solid", "validation", True), ("train_score", "dot", "training", False))
    return [
        {
            **_line(trial.curves.get(curve, ())),
            "line": {"color": look["color"], "dash": dash, "width": 2 if legend else 1},
            "marker": {"symbol": SYMBOLS[look["marker"]], "maxdisplayed": 6, "size": 7},
            "mode": "lines+markers" if legend else "lines",
            "name": name,
            "legendgroup": name,
            "showlegend": legend,
            "hovertemplate": f"{name}, {part}: %{{y:.5g}} at epoch %{{x}}<extra></extra>",
        }
        for curve, dash, part, legend in kinds
    ]


def _loss_curves(result: StudyResult, trial: TrialRecord) -> Mapping[str, Any]:
    kinds = (("train_loss", "training", COLOURS[0], "dot"), ("val_loss", "validation", COLOURS[1], "solid"))
    traces = [
        {
            **_line(trial.curves.get(curve, ())),
            "line": {"color": colour, "dash": dash, "width": 2},
            "name": part,
            "hovertemplate": f"{part}: %{{y:.5g}} at epoch %{{x}}<extra></extra>",
        }
        for curve, part, colour, dash in kinds
    ]
    title = f"{text(shown_name(result, trial.candidate))}, trial {trial.number}"
    return _figure(traces, x={"title": "epoch"}, y={"title": "loss"}, title=title, shapes=[_vertical(trial.epoch)])


def _line(values: Sequence[float | None]) -> Trace:
    """Return a curve by epoch; a single epoch is a dot."""
    mode = "markers" if len(values) == 1 else "lines"
    return {"type": "scatter", "mode": mode, "x": list(range(1, len(values) + 1)), "y": rounded(values)}


def slices(result: StudyResult) -> Picture:
    """Draw score against each searched parameter, coloured by candidate."""
    names = searched(result)
    figures = tuple(_slice(result, name) for name in names[:MOST_SLICES])
    few = f" {count_of(len(names) - MOST_SLICES, 'more parameter')} left out." if len(names) > MOST_SLICES else ""
    return Picture(
        "parameters", "Score against each parameter", f"A dot is a trial.{few}{_outside(result)}", figures, leads=False
    )


def _slice(result: StudyResult, name: str) -> Mapping[str, Any]:
    traces = []
    for candidate in looks(result):
        done = [(t, score) for t, score in completed(result, candidate) if t.params.get(name) is not None]
        if done:
            values = [_value(trial.params[name]) for trial, _ in done]
            scores, trials = rounded(score for _, score in done), [trial for trial, _ in done]
            traces.append(_dots(result, candidate, values, scores, trials, value="%{y:.5g} at %{x:.4g}", size=6))
    is_log = spans_decades(trial.params.get(name) for trial in result.trials)
    low, high = shown_range(result)
    return _figure(
        traces,
        x={"title": text(name), **({"type": "log", "dtick": 1, "tickformat": "~g"} if is_log else {})},
        y={"title": text(result.metric), "range": rounded([low, high])},
        legend=False,
    )


def _value(value: Any) -> Any:
    """Return a parameter's value for an axis: a number, else as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return text(str(value))
    return rounded([value])[0]


def importance(result: StudyResult) -> Picture:
    """Draw how much the choice of loss and each parameter had to do with good scores, of all losses and within each."""
    every = importances.of_study(result)
    within = {candidate: importances.within(result, candidate) for candidate in result.losses}
    figures = [_bars(every, "all losses", GREY)] if every else []
    figures += [
        _bars(_bare(shares, candidate), text(shown_name(result, candidate)), looks(result)[candidate]["color"])
        for candidate, shares in within.items() if shares
    ][:MOST_CURVES]  # fmt: skip
    note = (
        "The share that the choice of loss and each parameter had in reaching the best tenth of the scores (PED-ANOVA; "
        f"of few trials the best {importances.FEWEST_TOP}). It says what mattered in the ranges that were tried, not "
        "in which direction; with fewer than some hundred trials part of it is chance."
    )
    return Picture("importance", "Importance of loss and parameters", note, tuple(figures), leads=bool(every))


def _bare(shares: Mapping[str, float], candidate: str) -> dict[str, float]:
    """Return the parameters of a candidate without its name before them."""
    return {name.removeprefix(f"{candidate}."): share for name, share in shares.items()}


def _bars(shares: Mapping[str, float], title: str, colour: str) -> Mapping[str, Any]:
    names = [text(name) for name in shares][:MOST_SLICES]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": rounded(list(shares.values())[:MOST_SLICES]),
        "y": list(range(len(names))),
        "marker": {"color": colour},
        "hovertemplate": "%{x:.2f}<extra></extra>",
    }
    y = {"tickvals": trace["y"], "ticktext": names, "range": [len(names) - 0.5, -0.5], "showgrid": False}
    height = 110 + 26 * max(len(names), 2)
    return _figure([trace], x={"title": "importance", "range": [0, 1]}, y=y, height=height, title=title, legend=False)


def parallel(result: StudyResult) -> Picture:
    """Draw each loss's trials as lines through its parameters and the score, the best tenth in the loss's colour."""
    figures = [figure for candidate in result.losses if (figure := _coordinates(result, candidate))]
    note = (
        "A line is a trial of the loss, from parameter to parameter to its score, the best tenth (at least one) in "
        "colour. Each axis has the range that was tried, on a log scale where the search has one."
    )
    return Picture("parallel", "Parallel coordinates", note, tuple(figures[:MOST_CURVES]), leads=False)


def _coordinates(result: StudyResult, candidate: str) -> Mapping[str, Any] | None:
    """Return a candidate's trials as lines; None where there are fewer than two, or it has fewer than two axes."""
    done = sorted(completed(result, candidate), key=lambda pair: pair[1], reverse=result.direction == "minimize")
    names = [name for name in searched(result) if len({str(trial.params.get(name)) for trial, _ in done}) > 1]
    if len(done) < 2 or not names:
        return None
    columns = {name: [trial.params.get(name) for trial, _ in done] for name in names[:MOST_AXES]}
    axes = [_Scale.of(values) for values in columns.values()]
    axes.append(_Scale.of([score for _, score in done]))
    rows = list(zip(*columns.values(), [score for _, score in done], strict=True))
    lines = [rounded([*map(_Scale.place, axes, row), None]) for row in rows]
    top = len(lines) - max(1, len(lines) // 10)
    x = [*range(len(axes)), None]
    drawn = [
        {"type": "scatter", "mode": "lines", "x": x * len(part), "y": [y for line in part for y in line],
         "line": {"color": colour, "width": width}, "opacity": opacity, "hoverinfo": "skip"}
        for part, colour, width, opacity in (
            (lines[:top], GREY, 1, 0.4), (lines[top:], looks(result)[candidate]["color"], 2, 1.0)
        ) if part
    ]  # fmt: skip
    ends = [
        {"x": place, "y": y, "yanchor": anchor, "yshift": shift, "showarrow": False, "text": text(label),
         "font": {"size": 10}}
        for place, scale in enumerate(axes)
        for y, anchor, shift, label in ((0, "top", -2, scale.first), (1, "bottom", 2, scale.last))
    ]  # fmt: skip
    labels = [text(name.removeprefix(f"{candidate}.")) for name in [*columns, result.metric]]
    return _figure(
        drawn,
        x={"tickvals": list(range(len(axes))), "ticktext": labels, "range": [-0.3, len(axes) - 0.7], "gridcolor": GREY},
        y={"visible": False, "range": [-0.12, 1.12]},
        title=text(shown_name(result, candidate)),
        legend=False,
        annotations=ends,
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """An axis of parallel coordinates: places from 0 to 1 of values; first, last: what stands at its ends."""

    places: Mapping[Any, float]
    first: str
    last: str

    @classmethod
    def of(cls, values: Sequence[Any]) -> _Scale:
        known = [value for value in values if value is not None]
        if any(isinstance(value, (bool, str, list, tuple)) for value in known):
            words = sorted(set(map(str, known)))
            return cls({word: i / max(1, len(words) - 1) for i, word in enumerate(words)}, words[0], words[-1])
        low, high = min(known), max(known)
        scaled = math.log if spans_decades(known) else float
        span = scaled(high) - scaled(low) or 1.0
        return cls({value: (scaled(value) - scaled(low)) / span for value in known}, number(low), number(high))

    def place(self, value: Any) -> float | None:
        """Return where a value stands, None where a trial has none."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return self.places.get(value if is_number and value in self.places else str(value))


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
        name = text(shown_name(result, candidate))
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
    figure = _figure(
        traces, x={"title": "seconds since the first trial"}, y={"title": "lane", "range": [lanes - 0.5, -0.5]},
        height=min(600, 160 + 14 * lanes), barmode="overlay",
    )  # fmt: skip
    note = f"A bar is a trial; up to {count_of(lanes, 'trial was', 'trials were')} trained at the same time."
    return Picture("timeline", "Time line", note, (figure,))


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


# ------------------------------------------------------------------------------ predictions of the test rows


def predictions(result: StudyResult) -> list[Picture]:
    """Return pictures of what winner and baseline predict of the test rows, as far as the verdict has them."""
    shown = result.verdict.predicted if result.verdict else {}
    drawers: dict[str, Callable[[StudyResult, Any], Picture]] = {
        "confusion": _confusion,
        "residuals": _residuals,
        "reliability": _reliability,
        "precision_recall": _precision_recall,
    }
    return [draw(result, shown[name]) for name, draw in drawers.items() if shown.get(name)]


def _arm(result: StudyResult, name: str) -> tuple[str, str]:
    """Return name and colour of an arm of the verdict."""
    if result.verdict is None:
        return name, GREY
    candidate = result.verdict.baseline.candidate if name.startswith("baseline") else result.verdict.winner.candidate
    tuned = ", temperature tuned" if name.endswith("_tuned") else ""
    return f"{text(shown_name(result, candidate))}{tuned}", looks(result).get(candidate, {"color": GREY})["color"]


def _of_repeats(result: StudyResult) -> str:
    repeats = result.verdict.repeats if result.verdict else 0
    return f"of {count_of(repeats, 'repeated training')} on the test rows"


def _confusion(result: StudyResult, arms: Mapping[str, Sequence[Sequence[float]]]) -> Picture:
    names = list(map(text, result.data.get("classes") or ()))
    figures = []
    for name, counts in arms.items():
        classes = names if len(names) == len(counts) else list(map(str, range(len(counts))))
        title, colour = _arm(result, name)
        shares = [rounded(count / (sum(row) or 1) for count in row) for row in counts]
        trace = {
            "type": "heatmap", "z": shares, "x": classes, "y": classes, "zmin": 0, "zmax": 1, "showscale": False,
            "colorscale": [[0, CLEAR], [1, colour]], "xgap": 1, "ygap": 1,
            "text": [[number(round(count, 1)) for count in row] for row in counts],
            "texttemplate": "%{text}" if len(classes) <= 12 else "",
            "hovertemplate": "%{y}, predicted %{x}: %{text} rows, %{z:.0%} of the class<extra></extra>",
        }  # fmt: skip
        x = {"title": "predicted", "type": "category", "showgrid": False}
        y = {"title": "class", "type": "category", "autorange": "reversed", "showgrid": False}
        height = 180 + 28 * len(classes)
        figures.append(_figure([trace], x=x, y=y, title=title, height=height, legend=False))
    note = f"Rows by their class and the one that is predicted, means {_of_repeats(result)}."
    return Picture("confusion", "Confusion", note, tuple(figures), leads=False)


def _residuals(result: StudyResult, arms: Mapping[str, Sequence[float]]) -> Picture:
    steps = [i / (len(next(iter(arms.values()))) - 1) for i in range(len(next(iter(arms.values()))))]
    traces = [_curve(result, name, rounded(steps), rounded(values)) for name, values in arms.items()]
    figure = _figure(
        traces, x={"title": "share of the rows", "tickformat": ".0%"}, y={"title": "prediction - target"}, height=380,
        shapes=[{**_vertical(0.0), "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": 0, "y1": 0}],
    )  # fmt: skip
    note = f"Errors {_of_repeats(result)}, from the smallest to the largest: the flatter at 0, the better."
    return Picture("residuals", "Residuals", note, (figure,))


def _reliability(result: StudyResult, arms: Mapping[str, Sequence[Sequence[float]]]) -> Picture:
    traces = [
        {**_curve(result, name, rounded(row[0] for row in bins), rounded(row[1] for row in bins)),
         "mode": "lines+markers", "customdata": rounded(row[2] for row in bins),
         "hovertemplate": "said %{x:.3f}, so in %{y:.3f}; %{customdata:.1%} of the rows<extra></extra>"}
        for name, bins in arms.items()
    ]  # fmt: skip
    diagonal = {**_vertical(0.0), "yref": "y", "x0": 0, "x1": 1, "y0": 0, "y1": 1}
    said = "probability of the second class" if result.task == "binary" else "probability of the predicted class"
    figure = _figure(
        traces, x={"title": said, "range": [0, 1]}, y={"title": "share that is so", "range": [0, 1]}, height=420,
        shapes=[diagonal],
    )  # fmt: skip
    note = f"In ten bins, {_of_repeats(result)}: on the dashed line probabilities are as they should be."
    return Picture("reliability", "Reliability", note, (figure,))


def _precision_recall(result: StudyResult, arms: Mapping[str, Mapping[str, Any]]) -> Picture:
    traces = [
        trace for name, curve in arms.items()
        for trace in (
            _curve(result, name, rounded(curve["recall"]), rounded(curve["precision"])),
            *([_threshold(result, name, curve["at"])] if "at" in curve else []),
        )
    ]  # fmt: skip
    unit = {"range": [0, 1.02]}
    figure = _figure(traces, x={"title": "recall", **unit}, y={"title": "precision", **unit}, height=420)
    has_dots = any("at" in curve for curve in arms.values())
    dots = "; the dot is where the second class has probability 1/2" if has_dots else ""
    note = f"Of the second class, {_of_repeats(result)}{dots}."
    return Picture("precision-recall", "Precision and recall", note, (figure,))


def _threshold(result: StudyResult, arm: str, at: Sequence[float]) -> Trace:
    x, y = ([value] for value in rounded(at))
    marker = {"size": 11, "color": _arm(result, arm)[1], "line": {"color": INK, "width": 1}}
    hover = "at probability 1/2: recall %{x:.3f}, precision %{y:.3f}<extra></extra>"
    return {"type": "scatter", "mode": "markers", "x": x, "y": y, "marker": marker, "showlegend": False,
            "hovertemplate": hover}  # fmt: skip


def _curve(result: StudyResult, arm: str, x: Sequence[Any], y: Sequence[Any]) -> Trace:
    name, colour = _arm(result, arm)
    dash = "dot" if arm.endswith("_tuned") else "solid"
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": name,
            "line": {"color": colour, "dash": dash}}  # fmt: skip


# ------------------------------------------------------------------------------ parts of figures


def _dots(
    result: StudyResult, candidate: str, x: Sequence[Any], y: Sequence[Any], trials: Sequence[TrialRecord],
    *, value: str, size: int = 8, legend: bool = False,
) -> Trace:  # fmt: skip
    """Return the trials of a candidate as dots in its colour, which name trial and parameters under the pointer."""
    look, name = looks(result)[candidate], text(shown_name(result, candidate))
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": list(y),
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "marker": {"color": look["color"], "symbol": SYMBOLS[look["marker"]], "size": size, "opacity": 0.85},
        "customdata": [[trial.number, text(_settings(trial))] for trial in trials],
        "hovertemplate": f"{value}<br>trial %{{customdata[0]}}, %{{customdata[1]}}<extra>{name}</extra>",
    }


def _settings(trial: TrialRecord) -> str:
    """Return loss parameters and learning rate in a line."""
    return ", ".join(filter(None, [loss_params(trial)[:80], f"learning rate {number(trial.learning_rate)}"]))


def _figure(
    traces: Sequence[Trace], *, x: Axis, y: Axis, height: int = 300, title: str = "", legend: bool = True, **more: Any
) -> dict[str, Any]:
    """Return a figure in the theme of the page, its legend below."""
    margin = {"l": 16, "r": 16, "t": 36 if title else 16, "b": 16, **more.pop("margin", {})}
    layout = {
        "height": height,
        "margin": {**margin, "autoexpand": True},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": INK, "size": 12, "family": "system-ui, sans-serif"},
        "showlegend": legend,
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
        "xaxis": _axis(x),
        "yaxis": _axis(y),
        "modebar": {"bgcolor": CLEAR, "color": GREY},
        **more,
    }
    if title:
        layout["title"] = {"text": title, "font": {"size": 13}, "x": 0.02, "y": 0.98, "yanchor": "top"}
    return {"data": list(traces), "layout": layout}


def _axis(axis: Axis) -> Axis:
    title = {"title": {"text": axis["title"], "standoff": 8}} if "title" in axis else {}
    return {"automargin": True, "gridcolor": GRID, "linecolor": GREY, "zeroline": False, **axis, **title}


def _vertical(x: float, colour: str = GREY) -> dict[str, Any]:
    return {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "layer": "below",
            "line": {"color": colour, "dash": "dash", "width": 1.2}}  # fmt: skip


# ------------------------------------------------------------------------------ values


def text(value: str) -> str:
    """Return text from outside as plotly.js shows it as it stands: in a line, without markup."""
    return printable_line(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rounded(values: Iterable[float | None]) -> list[Any]:
    """Return numbers to six significant digits, None where they are not finite."""
    return [None if value is None or not math.isfinite(value) else _short(value) for value in values]


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _thinned(result: StudyResult, most: int) -> StudyResult:
    """Return a study with at most about so many trials: all that lead or were confirmed, of the others each n-th."""
    if len(result.trials) <= most:
        return result
    step = math.ceil(len(result.trials) / most)
    kept = {row.best.number for row in result.ranking() if row.best} | {trial.number for trial in result.front}
    kept |= set(result.confirmation.scores) if result.confirmation else set()
    trials = [trial for i, trial in enumerate(result.trials) if i % step == 0 or trial.number in kept]
    return replace(result, trials=trials)


def _outside(result: StudyResult) -> str:
    """Return how many scores are outside of the axes; empty where none is."""
    outside = number_outside(result)
    return f" {count_of(outside, 'score is', 'scores are')} outside of the axes." if outside else ""
