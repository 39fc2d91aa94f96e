"""Parallel coordinates: each loss's trials as lines through their parameters to the score."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossreg.reporting import importance
from lossreg.reporting.pictures.figure import (
    CLEAR,
    EVERY,
    MOST_CURVES,
    Picture,
    Trace,
    figure,
    fixed_class,
    name_in_lines,
    named,
    rounded,
    rule,
    text,
)
from lossreg.reporting.plot_data import GREY, completed, looks, searched, spans_decades
from lossreg.reporting.values import listed, number
from lossreg.storage.study_result import StudyResult

MOST_AXES, LONGEST_NAME = 8, 14
MOST_UPRIGHT = 4  # axes whose names and ends have room beside each other on a page of 400 pixels
LONGEST_TURNED = 24


def parallel(result: StudyResult, drawn: Container[int] = EVERY) -> Picture:
    """Draw each loss's trials as lines through its parameters and the score, the best tenth in the loss's colour."""
    parameters = {candidate: _parameters(result, candidate) for candidate in result.losses}
    figures = [one for candidate, names in parameters.items() if (one := _coordinates(result, candidate, names, drawn))]
    note = (
        "Each line is a trial of the loss, through its parameters to its score; the best tenth, at least one, is in "
        "colour. Each axis has the range that was tried, on a log scale where the values span decades."
        f"{fixed_class(result)}{_left_out(parameters)}"
    )
    return Picture("parallel", "Parallel coordinates", note, tuple(figures[:MOST_CURVES]), leads=False)


def _parameters(result: StudyResult, candidate: str) -> list[str]:
    """Return the parameters that a candidate's completed trials differ in."""
    trials = [trial for trial, _ in completed(result, candidate)]
    return [name for name in searched(result) if len({str(trial.params.get(name)) for trial in trials}) > 1]


def _left_out(parameters: Mapping[str, Sequence[str]]) -> str:
    """Return a sentence on the losses that have more parameters than axes; empty without one."""
    many = [f"{loss} ({MOST_AXES} of {len(names)})" for loss, names in parameters.items() if len(names) > MOST_AXES]
    words = f" Not all parameters are shown of {listed(many)}: the most important ones, where this is known."
    return words if many else ""


def _most_important(result: StudyResult, candidate: str, names: Sequence[str]) -> list[str]:
    """Return the `MOST_AXES` names with the largest importance, in their order; the first ones where it is unknown."""
    shares = importance.within(result, candidate)
    kept = sorted(names, key=lambda name: -shares.get(name, 0.0))[:MOST_AXES]
    return [name for name in names if name in kept]


def _coordinates(
    result: StudyResult, candidate: str, names: Sequence[str], drawn: Container[int]
) -> Mapping[str, Any] | None:
    """Return a candidate's trials as lines; None where there are fewer than two, or it has fewer than two axes."""
    done = sorted(completed(result, candidate), key=lambda pair: pair[1], reverse=result.direction == "minimize")
    if len(done) < 2 or not names:
        return None
    if len(names) > MOST_AXES:
        names = _most_important(result, candidate, names)
    rows = [(*(trial.params.get(name) for name in names), score) for trial, score in done]
    axes = [_Scale.of(values) for values in zip(*rows, strict=True)]
    lines = [rounded([*map(_Scale.place, axes, row), None]) for row in rows]
    shown = [trial.number in drawn for trial, _ in done]
    is_turned = len(axes) > MOST_UPRIGHT
    longest, angle = (LONGEST_TURNED, -90) if is_turned else (LONGEST_NAME, 0)
    labels = [name_in_lines(name.removeprefix(f"{candidate}."), longest) for name in [*names, result.metric]]
    return figure(
        _lines(lines, shown, looks(result)[candidate]["color"]),
        x={
            "tickvals": list(range(len(axes))),
            "ticktext": labels,
            "range": [-0.5, len(axes) - 0.5],
            "showgrid": False,
            "linecolor": CLEAR,
            "tickangle": angle,
        },
        y={"visible": False, "range": [-0.45, 1.3] if is_turned else [-0.12, 1.12]},
        height=400 if is_turned else 300,
        title=named(result, candidate),
        legend=False,
        shapes=[rule(place, 0, place, 1, line={"color": GREY, "width": 1}) for place in range(len(axes))],
        annotations=[one for place, scale in enumerate(axes) for one in _ends(place, scale, angle)],
    )


def _lines(lines: Sequence[Sequence[float | None]], shown: Sequence[bool], colour: str) -> list[Trace]:
    """Return lines, worst first, the best tenth of all of them in colour; shown: which of them are drawn."""
    top = len(lines) - max(1, len(lines) // 10)
    parts = [[line for line, is_shown in zip(lines[part], shown[part], strict=True) if is_shown]
             for part in (slice(top), slice(top, None))]  # fmt: skip
    x = [*range(len(lines[0]) - 1), None]
    return [
        {"type": "scatter", "mode": "lines", "x": x * len(part), "y": [y for line in part for y in line],
         "line": {"color": ink, "width": width}, "opacity": opacity, "hoverinfo": "skip"}
        for part, ink, width, opacity in zip(parts, (GREY, colour), (1, 2), (0.4, 1.0), strict=True) if part
    ]  # fmt: skip


def _ends(place: int, scale: _Scale, angle: int) -> list[dict[str, Any]]:
    """Return what stands at both ends of an axis, turned by an angle in degrees."""
    return [
        {"x": place, "y": y, "yanchor": anchor, "yshift": shift, "showarrow": False, "text": text(label),
         "font": {"size": 10}, "textangle": angle}
        for y, anchor, shift, label in ((0, "top", -2, scale.first), (1, "bottom", 2, scale.last))
    ]  # fmt: skip


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
