"""Predictions of the test rows by winner and baseline of a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting.arms import Arms, tested
from lossreg.reporting.pictures.figure import CLEAR, INK, Picture, Trace, figure, named, rounded, rule, scatter, text
from lossreg.reporting.plot_data import BEYOND, GREY, compared, looks
from lossreg.reporting.values import number
from lossreg.storage.study_result import StudyResult
from lossreg.terminal.plain_text import printable_line


def predicted(result: StudyResult) -> dict[str, Callable[[], Picture]]:
    """Return the functions that draw, by title, what winner and baseline predict of the test rows.

    None where the verdict has no numbers of it.
    """
    shown = result.verdict.predicted if result.verdict else {}
    drawers: dict[str, Callable[[StudyResult, Any], Picture]] = {
        "confusion": _confusion,
        "residuals": _residuals,
        "reliability": _reliability,
        "precision_recall": _precision_recall,
    }
    return {
        name.capitalize().replace("_", " and "): partial(draw, result, shown[name])
        for name, draw in drawers.items()
        if shown.get(name)
    }


def _arm(result: StudyResult, name: str, *, decided: bool = False) -> tuple[str, str]:
    """Return name and colour of an arm of the verdict; decided: whether its predictions show a decision that is tuned.

    With outer folds the winner is that of each fold.
    """
    if result.verdict is None:
        return name, GREY
    candidate = compared(result.verdict)[name.startswith("baseline")]
    is_tuned = decided and result.verdict.decision == "tuned" and not name.endswith("_before")
    is_tuned = is_tuned or name.endswith("_tuned")
    tuned = f", {Arms(result, result.verdict).tuned_part} tuned" if is_tuned else ""
    return f"{named(result, candidate)}{tuned}", looks(result).get(candidate, {"color": GREY})["color"]


def _of_repeats(result: StudyResult) -> str:
    """Return `of 20 repeated trainings on 114 test rows`: of those that the pictures are made of."""
    if result.verdict is None:
        return ""
    few, *more = sorted(set(result.verdict.predicted.get("repeats", {}).values())) or [result.verdict.repeats]
    trainings = f"{few} to {count_of(more[-1], 'repeated training')}" if more else count_of(few, "repeated training")
    return f"of {trainings} on {tested(result.verdict)}"


def _confusion(result: StudyResult, arms: Mapping[str, Sequence[Sequence[float]]]) -> Picture:
    note = f"Rows by their true class and the class that is predicted: means {_of_repeats(result)}."
    figures = tuple(_matrix(result, name, counts) for name, counts in arms.items())
    return Picture("confusion", "Confusion", note, figures, leads=False)


def _matrix(result: StudyResult, arm: str, counts: Sequence[Sequence[float]]) -> Mapping[str, Any]:
    names = list(map(text, result.data.get("classes") or ()))
    classes = names if len(names) == len(counts) else list(map(str, range(len(counts))))
    title, colour = _arm(result, arm, decided=True)
    trace = {
        "type": "heatmap", "z": [rounded(count / (sum(row) or 1) for count in row) for row in counts],
        "x": classes, "y": classes, "zmin": 0, "zmax": 1, "showscale": False,
        "colorscale": [[0, CLEAR], [1, _pale(colour)]], "textfont": {"color": INK}, "xgap": 1, "ygap": 1,
        "text": [[number(round(count, 1)) for count in row] for row in counts],
        "texttemplate": "%{text}" if len(classes) <= 12 else "",
        "hovertemplate": "%{y}, predicted %{x}: %{text} rows, %{z:.0%} of the class<extra></extra>",
    }  # fmt: skip
    x = {"title": "predicted", "type": "category", "showgrid": False}
    y = {"title": "true class", "type": "category", "autorange": "reversed", "showgrid": False}
    return figure([trace], x=x, y=y, title=title, height=180 + 28 * len(classes), legend=False)


def _pale(colour: str) -> str:
    """Return a colour through which the theme of the page is seen, so that its ink can be read on it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.55)"


def _residuals(result: StudyResult, arms: Mapping[str, Sequence[float]]) -> Picture:
    traces = [
        _curve(result, name, [i / (len(values) - 1) for i in range(len(values))], values)
        for name, values in arms.items()
    ]
    low, high, is_cut = _shown_errors(list(arms.values()))
    x, y = {"title": "share of the rows", "tickformat": ".0%"}, {"title": "prediction - target", "range": [low, high]}
    drawn = figure(traces, x=x, y=y, height=380, shapes=[rule(0, 0, 1, 0, xref="paper")])
    note = f"Errors {_of_repeats(result)}, from the smallest to the largest: the flatter at 0, the better."
    return Picture("residuals", "Residuals", f"{note}{OUTSIDE * is_cut}", (drawn,))


def _shown_errors(arms: Sequence[Sequence[float]]) -> tuple[float, float, bool]:
    """Return the range of an axis in which a few large errors do not flatten the rest, and whether it leaves some out.

    arms: quantiles at equal steps, of which the first and the last are the ends.
    """
    low, high = min(values[0] for values in arms), max(values[-1] for values in arms)
    inner_low, inner_high = min(values[1] for values in arms), max(values[-2] for values in arms)
    is_cut = high - low > MOST_STRETCHED * (inner_high - inner_low) > 0
    if is_cut:
        reach = 0.5 * (inner_high - inner_low)
        low, high = max(low, inner_low - reach), min(high, inner_high + reach)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin, is_cut


def _reliability(result: StudyResult, arms: Mapping[str, Sequence[Sequence[float]]]) -> Picture:
    hover = "predicted %{x:.3f}, observed %{y:.3f}; %{customdata:.1%} of the rows<extra></extra>"
    traces = []
    for name, bins in arms.items():
        confidence, observed, shares = zip(*bins, strict=True)
        more = {"mode": "lines+markers", "customdata": rounded(shares), "hovertemplate": hover}
        traces.append(_curve(result, name, confidence, observed, decided=True, **more))
    of_class = f"of {text(_positive(result))}" if result.task == "binary" else "of the predicted class"
    x = {"title": f"predicted probability {of_class}", "range": [0, 1]}
    y = {"title": f"observed frequency {of_class}", "range": [0, 1]}
    drawn = figure(traces, x=x, y=y, height=420, shapes=[rule(0, 0, 1, 1)])
    note = f"In ten bins, {_of_repeats(result)}: on the dashed line classes are as frequent as predicted."
    return Picture("reliability", "Reliability", note, (drawn,))


def _precision_recall(result: StudyResult, arms: Mapping[str, Mapping[str, Any]]) -> Picture:
    traces = []
    for name, curve in arms.items():
        traces.append(_curve(result, name, curve["recall"], curve["precision"]))
        traces += [_decided(result, name, curve[key], *look) for key, look in DECIDED.items() if key in curve]
    low = max(0.0, min(value for curve in arms.values() for value in curve["precision"]) - 0.05)
    x, y = {"title": "recall", "range": [0, 1 + BEYOND]}, {"title": "precision", "range": [low, 1 + BEYOND * (1 - low)]}
    drawn = figure(traces, x=x, y=y, height=420)
    points = [f"; a {mark} is where {words} decides" for key, (mark, words) in DECIDED.items()
              if any(key in curve for curve in arms.values())]  # fmt: skip
    note = f"Of {_positive(result)}, means {_of_repeats(result)}, at each recall{''.join(points)}."
    return Picture("precision-recall", "Precision and recall", note, (drawn,))


def _positive(result: StudyResult) -> str:
    """Return the class of which precision and recall are: `class yes`."""
    names = list(result.data.get("classes") or ())
    return printable_line(f"class {names[1]}") if len(names) == 2 else "the second class"


# how many times as long as the range of all errors but the largest hundredths an axis may be
MOST_STRETCHED = 3
OUTSIDE = " The largest errors are outside of the axes."
# the points of decisions in a curve of precision and recall: by key, their marker and who decides
DECIDED = {"at": ("circle", "probability 1/2"), "at_tuned": ("star", "the threshold that is tuned in each repeat")}


def _decided(result: StudyResult, arm: str, at: Sequence[float], symbol: str, words: str) -> Trace:
    marker = {"size": 12, "symbol": symbol, "color": _arm(result, arm)[1], "line": {"color": INK, "width": 1}}
    hover = f"{words}: recall %{{x:.3f}}, precision %{{y:.3f}}<extra></extra>"
    return scatter([at[0]], [at[1]], marker=marker, showlegend=False, hovertemplate=hover)


def _curve(
    result: StudyResult, arm: str, x: Sequence[Any], y: Sequence[Any], *, decided: bool = False, **more: Any
) -> Trace:
    name, colour = _arm(result, arm, decided=decided)
    dash = "dot" if arm.endswith(("_tuned", "_before")) else "solid"
    return scatter(x, y, **{"mode": "lines", "name": name, "line": {"color": colour, "dash": dash}, **more})
