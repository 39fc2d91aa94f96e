"""Parts of the figures of a page: traces, axes, texts and numbers in the form that plotly.js takes.

Colours, markers and names are those of `plot_data`. `INK` and `GRID` stand for colours of the reader's theme, which the
page puts in their place.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting.plot_data import GREY, MARKERS, looks, number_outside
from lossreg.reporting.values import loss_params, number, shown_name
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.terminal.plain_text import printable_line

INK, GRID = "#010203", "#040506"
CLEAR = "rgba(0,0,0,0)"
SYMBOLS = dict(
    zip(MARKERS, ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star"), strict=True)
)
LONGEST_NAME = 24  # of a row; a longer one is broken
LONGEST_LINE = 44  # characters of a line that a page of 400 pixels has room for
FEW_TICKS = 10  # of a narrow figure
MOST_CURVES = 12  # losses of which each has a figure

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


def figure(
    traces: Sequence[Trace], *, x: Axis, y: Axis, height: int = 300, title: str = "", legend: bool = True, **more: Any
) -> dict[str, Any]:
    """Return a figure in the theme of the page, its legend below."""
    margin = {"l": 16, "r": 16, "t": 36 + 16 * title.count("<br>") if title else 16, "b": 16, **more.pop("margin", {})}
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
        pad = {"t": 8 * title.count("<br>")}
        layout["title"] = {"text": title, "font": {"size": 13}, "x": 0.02, "y": 0.98, "yanchor": "top", "pad": pad}
    return {"data": list(traces), "layout": layout}


def _axis(axis: Axis) -> Axis:
    title = {"title": {"text": axis["title"], "standoff": 8}} if "title" in axis else {}
    return {"automargin": True, "gridcolor": GRID, "linecolor": GREY, "zeroline": False, **axis, **title}


def whole_numbers(title: str, most: int) -> Axis:
    """Return an axis of whole numbers up to `most`, with no fraction between few of them."""
    return {"title": title, **({"dtick": 1} if most <= FEW_TICKS else {})}


def rule(x0: float, y0: float, x1: float, y1: float, colour: str = GREY, **more: Any) -> dict[str, Any]:
    """Return a dashed line behind the traces."""
    line = {"color": colour, "dash": "dash", "width": 1.2}
    return {"type": "line", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "layer": "below", "line": line, **more}


def vertical(x: float, colour: str = GREY) -> dict[str, Any]:
    """Return a dashed line from the lower to the upper end."""
    return rule(x, 0, x, 1, colour, yref="paper")


def band(low: float, high: float) -> dict[str, Any]:
    """Return a shaded range of the horizontal axis."""
    return {"type": "rect", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 1, "line": {"width": 0},
            "fillcolor": GREY, "opacity": 0.2, "layer": "below"}  # fmt: skip


def scatter(x: Iterable[Any], y: Iterable[Any], mode: str = "markers", **more: Any) -> Trace:
    """Return points or lines, in six significant digits."""
    return {"type": "scatter", "mode": mode, "x": rounded(x), "y": rounded(y), **more}


class Every:
    """The numbers of all trials."""

    def __contains__(self, number: object) -> bool:
        return True


EVERY = Every()


def dots(
    result: StudyResult, candidate: str, x: Iterable[Any], y: Iterable[Any], trials: Sequence[TrialRecord],
    *, value: str, drawn: Container[int] = EVERY, size: int = 8, legend: bool = False,
) -> Trace:  # fmt: skip
    """Return the trials of a candidate as dots in its colour, which name trial and parameters under the pointer.

    drawn: the numbers of the trials that have a dot.
    """
    look, name = looks(result)[candidate], named(result, candidate)
    points = [point for point in zip(x, y, trials, strict=True) if point[2].number in drawn]
    return scatter(
        [x for x, _, _ in points],
        [y for _, y, _ in points],
        name=name,
        legendgroup=name,
        showlegend=legend,
        marker={"color": look["color"], "symbol": SYMBOLS[look["marker"]], "size": size, "opacity": 0.85},
        customdata=[[trial.number, text(_settings(trial))] for _, _, trial in points],
        hovertemplate=f"{value}<br>trial %{{customdata[0]}}, %{{customdata[1]}}<extra>{name}</extra>",
    )


def _settings(trial: TrialRecord) -> str:
    """Return loss parameters and learning rate in a line."""
    return ", ".join(filter(None, [loss_params(trial)[:80], f"learning rate {number(trial.learning_rate)}"]))


def named(result: StudyResult, candidate: str) -> str:
    """Return the name of a candidate as figures have it, in lines that a narrow page has room for."""
    return name_in_lines(shown_name(result, candidate), LONGEST_LINE)


def outside(result: StudyResult, limits: tuple[float, float] | None = None) -> str:
    """Return how many scores are outside of the axes; empty where none is."""
    count = number_outside(result, limits)
    return f" {count_of(count, 'score is', 'scores are')} outside of the axes." if count else ""


def fixed_class(result: StudyResult) -> str:
    """Return a sentence on the class whose value of a parameter per class is not searched; empty without one."""
    slugs = result.data.get("slugs") or {}
    names = {name for trial in result.trials for name in trial.params}
    parts = {name.rpartition(".")[0] for name in names if name.count(".") > 1}
    absent = [[label for label, slug in slugs.items() if f"{part}.{slug}" not in names] for part in parts]
    fixed = next((labels[0] for labels in absent if len(labels) == 1 < len(slugs)), None)
    label = printable_line(str(fixed))
    return "" if fixed is None else f" Of values per class, that of {label} is fixed at 1 before weights are scaled."


def text(value: str) -> str:
    """Return text from outside as plotly.js shows it as it stands: in a line, without markup."""
    return printable_line(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def broken(value: str, width: int = LONGEST_LINE) -> str:
    """Return text as `text` does, in lines of at most `width` characters that a narrow page has room for."""
    lines = textwrap.wrap(printable_line(value), width)
    return "<br>".join(map(text, lines))


def name_in_lines(name: str, width: int = LONGEST_NAME) -> str:
    """Return a name as `text` does, in lines that are broken at blanks, and after underscores, dots and hyphens."""
    marked = re.sub(r"([_.-])", r"\1\0 ", printable_line(name))
    lines = textwrap.wrap(marked, width, break_on_hyphens=False)
    return "<br>".join(text(re.sub(r"\0 ?", "", line)) for line in lines)


def rounded(values: Iterable[Any]) -> list[Any]:
    """Return floats to six significant digits, None where they are not finite, and all else as it is."""
    return [_short(value) if isinstance(value, float) else value for value in values]


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
