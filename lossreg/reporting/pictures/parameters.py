"""Searched parameters: the score against each, and how much each had to do with it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting import importance as importances
from lossreg.reporting.pictures.figure import (
    EVERY,
    LONGEST_LINE,
    MOST_CURVES,
    Picture,
    dots,
    figure,
    fixed_class,
    name_in_lines,
    named,
    outside,
    rounded,
    text,
)
from lossreg.reporting.plot_data import GREY, MOST_SLICES, completed, looks, searched, shown_range, spans_decades
from lossreg.reporting.values import listed
from lossreg.storage.study_result import StudyResult

CHOICE = "choice of loss"
LONGEST_PARAMETER = 30  # characters of a line
LEAST_SHARE = 0.01  # of an importance that has a bar


def slices(result: StudyResult, drawn: Container[int] = EVERY) -> Picture:
    """Draw score against each searched parameter, coloured by candidate."""
    names = searched(result)
    figures = tuple(_slice(result, name, drawn) for name in names[:MOST_SLICES])
    few = f" {count_of(len(names) - MOST_SLICES, 'more parameter')} left out." if len(names) > MOST_SLICES else ""
    note = f"Each mark is a trial, in the colour of its loss.{fixed_class(result)}{few}{outside(result)}"
    return Picture("parameters", "Score against each parameter", note, figures, leads=False)


def _slice(result: StudyResult, name: str, drawn: Container[int]) -> Mapping[str, Any]:
    traces = []
    for candidate in looks(result):
        done = [(t, score) for t, score in completed(result, candidate) if t.params.get(name) is not None]
        if done:
            values, trials = [_value(trial.params[name]) for trial, _ in done], [trial for trial, _ in done]
            scores = [score for _, score in done]
            value = "%{y:.5g} at %{x:.4g}"
            traces.append(
                dots(result, candidate, values, scores, trials, value=value, drawn=drawn, size=6, legend=True)
            )
    is_log = spans_decades(trial.params.get(name) for trial in result.trials)
    log = {"type": "log", "dtick": 1, "tickformat": "~g"} if is_log else {}
    return figure(
        traces,
        x={"title": name_in_lines(name, LONGEST_LINE), **log},
        y={"title": text(result.metric), "range": rounded(shown_range(result))},
        legend=len(traces) > 1,
        height=340 if len(traces) > 1 else 300,
    )


def _value(value: Any) -> Any:
    """Return a parameter's value for an axis: a number, else as text."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number else text(str(value))


def importance(result: StudyResult) -> Picture:
    """Draw how much the choice of loss and each parameter had to do with good scores, of all losses and within each."""
    every = importances.of_study(result)
    within = {candidate: importances.within(result, candidate) for candidate in result.losses}
    figures = [_bars(_of_choice(every), "the choice of loss and all parameters", GREY)] if every else []
    figures += [
        _bars(_bare(shares, candidate), named(result, candidate), looks(result)[candidate]["color"])
        for candidate, shares in within.items() if shares
    ][:MOST_CURVES]  # fmt: skip
    note = (
        "The share that the choice of loss and each parameter had in reaching the best scores: the best tenth, or the "
        f"best {importances.FEWEST_TOP} of few trials (PED-ANOVA). First of all trials together, where the choice of "
        "loss counts as a parameter; then within each loss. It says what mattered in the ranges that were tried, not "
        f"in which direction; with fewer than a few hundred trials part of it is chance. Shares below {LEAST_SHARE:g} "
        "have no bar."
    )
    note += fixed_class(result) + _without_panel(result, within)
    return Picture("importance", "Importance of loss and parameters", note, tuple(figures), leads=bool(every))


def _of_choice(shares: Mapping[str, float]) -> dict[str, float]:
    return {CHOICE if name == importances.LOSS else name: share for name, share in shares.items()}


def _without_panel(result: StudyResult, within: Mapping[str, Mapping[str, float]]) -> str:
    """Return a sentence on the losses that have no panel of their own, each with the number of its trials."""
    counts = {candidate: len(completed(result, candidate)) for candidate, shares in within.items() if not shares}
    few = [f"{name} ({count})" for name, count in counts.items() if count < importances.FEWEST]
    single = [name for name, count in counts.items() if count >= importances.FEWEST]
    reasons = {f"fewer than {importances.FEWEST} completed trials": few, "fewer than two searched parameters": single}
    return "".join(f" No panel for a loss with {why}: {listed(names)}." for why, names in reasons.items() if names)


def _bare(shares: Mapping[str, float], candidate: str) -> dict[str, float]:
    """Return the parameters of a candidate without its name before them."""
    return {name.removeprefix(f"{candidate}."): share for name, share in shares.items()}


def _bars(shares: Mapping[str, float], title: str, colour: str) -> Mapping[str, Any]:
    shown = {name: share for name, share in shares.items() if share >= LEAST_SHARE}
    names = [name_in_lines(name, LONGEST_PARAMETER) for name in shown][:MOST_SLICES]
    rest = len(shares) - len(names)
    title += f"<br>without {count_of(rest, 'smaller share')}" if rest else ""
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": rounded(list(shown.values())[:MOST_SLICES]),
        "y": list(range(len(names))),
        "marker": {"color": colour},
        "hovertemplate": "%{x:.2f}<extra></extra>",
    }
    y = {"tickvals": trace["y"], "ticktext": names, "range": [len(names) - 0.5, -0.5], "showgrid": False}
    height = 110 + (36 if any("<br>" in name for name in names) else 26) * max(len(names), 2)
    return figure([trace], x={"title": "importance", "range": [0, 1]}, y=y, height=height, title=title, legend=False)
