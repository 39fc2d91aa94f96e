"""The scores of a study's trials: by loss, in order of trials, and by pairs of metrics."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting.arms import tested
from lossreg.reporting.pictures.figure import (
    CLEAR,
    EVERY,
    INK,
    Picture,
    Trace,
    band,
    dots,
    figure,
    name_in_lines,
    named,
    outside,
    rounded,
    scatter,
    text,
    vertical,
    whole_numbers,
)
from lossreg.reporting.plot_data import (
    ABOUT_BOX,
    GREY,
    box,
    completed,
    dot_heights,
    looks,
    names_by_loss,
    noise,
    reach,
    repeats,
    ring_heights,
    score_axis,
    shown_range,
)
from lossreg.reporting.values import shown_name
from lossreg.storage.constraints import in_words
from lossreg.storage.study_result import Standing, StudyResult
from lossreg.storage.trial_record import TrialRecord


def by_loss(result: StudyResult, drawn: Container[int] = EVERY) -> Picture:
    """Draw the scores of each candidate as dots, the best on top, on fresh splits as diamonds, of repeats as rings."""
    board = [row for row in result.ranking() if row.best]
    traces = [trace for line, row in enumerate(board) for trace in _scores_of(result, row, line, drawn)]
    traces += [*_confirmed(board), *_repeated(result, board)]
    score = next((result.compared_score(row.best) for row in board if row.is_baseline), None)
    shaded, limits, names = noise(result), reach(result, board), names_by_loss(result, board)
    picture = figure(
        traces,
        x={"title": text(score_axis(result)), "range": rounded(limits)},
        y={
            "tickvals": list(range(len(names))),
            "ticktext": [name_in_lines(shown_name(result, name)) for name in names],
            "range": [len(names) - 0.5, -0.5],
        },
        height=130 + 44 * max(len(names), 2),
        shapes=[*([band(*rounded(shaded[:2]))] if shaded else []), *([] if score is None else [vertical(score)])],
        legend=False,
    )
    return Picture("by-loss", "Scores by loss", f"{_marks(result, board)}{outside(result, limits)}", (picture,))


def _marks(result: StudyResult, board: Sequence[Standing]) -> str:
    """Return what each mark of the scores by loss is, in sentences."""
    is_confirmed, baseline = any(row.confirmed for row in board), next((row for row in board if row.is_baseline), None)
    marks = ["A filled mark is the validation score of a trial"]
    marks += ["a diamond the best setting on fresh splits, with its standard error"] if is_confirmed else []
    if result.verdict and repeats(result):
        marks += [f"a ring the score of a repeated training of the verdict on {tested(result.verdict)}"]
    if any(box([score for _, score in completed(result, row.candidate)]) for row in board):
        marks += [f"a box has {ABOUT_BOX.replace('; ', ', its ')}"]
    best = "confirmed" if baseline and baseline.confirmed else result.extreme
    lines = [f"The dashed line is the {best} score of the baseline."] if baseline else []
    shaded = noise(result)
    lines += [f"Shaded is {shaded.words}."] if shaded else []
    return " ".join([f"{'; '.join(marks)}.", *lines])


def _scores_of(result: StudyResult, row: Standing, line: int, drawn: Container[int]) -> list[Trace]:
    """Return the dots of a candidate, and a box behind them where there are enough of them for one."""
    done = completed(result, row.candidate)
    scores = rounded(score for _, score in done)
    heights, trials = dot_heights(line, len(done)), [trial for trial, _ in done]
    points = dots(result, row.candidate, scores, heights, trials, value="%{x:.5g}", drawn=drawn)
    boxed = box([score for _, score in done])
    if not boxed:
        return [points]
    names = ("lowerfence", "q1", "median", "q3", "upperfence")
    behind = {
        "type": "box",
        "orientation": "h",
        **{name: [value] for name, value in zip(names, rounded(boxed), strict=True)},
        "y": [line],
        "width": 0.6,
        "hoverinfo": "skip",
        "fillcolor": CLEAR,
        "line": {"color": GREY, "width": 1},
        "showlegend": False,
    }
    return [behind, points]


def _confirmed(board: Sequence[Standing]) -> list[Trace]:
    shown = [(line, row.confirmed) for line, row in enumerate(board) if row.confirmed]
    if not shown:
        return []
    errors = rounded(score.error or 0.0 for _, score in shown)
    return [
        scatter(
            [score.mean for _, score in shown],
            [line for line, _ in shown],
            error_x={"type": "data", "array": errors, "color": INK},
            marker={"symbol": "diamond", "color": INK, "size": 9},
            hovertemplate="on fresh splits: %{x:.5g}<extra></extra>",
            showlegend=False,
        )
    ]


def _repeated(result: StudyResult, board: Sequence[Standing]) -> list[Trace]:
    """Return the repeated trainings of a verdict as rings, below the trials of their loss or in a row of their own."""
    lines, look = names_by_loss(result, board), looks(result)
    return [
        scatter(
            scores,
            ring_heights(line := lines.index(side), len(scores), is_below=line < len(board)),
            marker={"symbol": "circle-open", "color": look[side]["color"] if side in look else GREY, "size": 8},
            hovertemplate=f"repeated training: %{{x:.5g}}<extra>{named(result, side)}</extra>",
            showlegend=False,
        )
        for side, scores in repeats(result).items()
    ]


def history(result: StudyResult, drawn: Container[int] = EVERY) -> Picture:
    """Draw score against number of trial, coloured by candidate, with the best so far."""
    traces = []
    for candidate in looks(result):
        done = completed(result, candidate)
        trials, scores = [trial for trial, _ in done], [score for _, score in done]
        numbers = [trial.number for trial in trials]
        traces.append(dots(result, candidate, numbers, scores, trials, value="%{y:.5g}", drawn=drawn, legend=True))
    x = whole_numbers("trial", len(result.trials))
    y = {"title": f"{text(result.metric)} (validation)", "range": rounded(shown_range(result))}
    picture = figure([*_best_so_far(result), *traces], x=x, y=y, height=420)
    return Picture("history", "Every trial", f"{_about_history(result)}{outside(result)}", (picture,))


def _about_history(result: StudyResult) -> str:
    """Return what the trials in order show, and how many of them are not there."""
    kept = f" of those that keep {in_words(result.constraints)}" if result.constraints else ""
    best = f", and the best score so far{kept}" if result.best_so_far() else ""
    gone = sum(trial.finite_score is None for trial in result.trials)
    without = f" {count_of(gone, 'trial without a score is', 'trials without a score are')} left out." if gone else ""
    return f"The trials of the search, in their order{best}.{without}"


def _best_so_far(result: StudyResult) -> list[Trace]:
    """Return the best score so far as a line; none where no trial keeps the constraints."""
    so_far = _steps(result.best_so_far())
    line = scatter(
        [trial.number for trial, _ in so_far],
        [score for _, score in so_far],
        "lines",
        line={"shape": "hv", "color": GREY},
        name=f"{result.extreme} so far",
        hoverinfo="skip",
    )
    return [line] if so_far else []


def _steps(so_far: Sequence[tuple[TrialRecord, float]]) -> list[tuple[TrialRecord, float]]:
    """Return the first and the last of a best-so-far curve, and those that change it."""
    ends = {0, len(so_far) - 1}
    return [one for i, one in enumerate(so_far) if i in ends or one[1] != so_far[i - 1][1]]


def pareto(result: StudyResult, drawn: Container[int] = EVERY) -> Picture:
    """Draw every trial by each pair of metrics, those of the Pareto front with a ring."""
    figures = tuple(_pair(result, *pair, drawn) for pair in combinations(range(len(result.objectives)), 2))
    count = len(result.front) if figures else 0
    note = f"Trials than which none is better in all metrics have a ring: {count} of them."
    return Picture("pareto", "Pareto front", note, figures)


def _pair(result: StudyResult, first: int, second: int, drawn: Container[int]) -> Mapping[str, Any]:
    def points(trials: Iterable[TrialRecord]) -> tuple[list[TrialRecord], list[float], list[float]]:
        valued = [(trial, result.objective_values(trial)) for trial in trials]
        known = [(t, x, y) for t, values in valued if None not in (x := values[first], y := values[second])]
        return [t for t, _, _ in known], rounded(x for _, x, _ in known), rounded(y for _, _, y in known)

    traces = []
    for candidate in looks(result):
        trials, x, y = points(trial for trial in result.trials if trial.candidate == candidate)
        traces.append(dots(result, candidate, x, y, trials, value="%{x:.5g}, %{y:.5g}", drawn=drawn, legend=True))
    _, x, y = points(result.front)
    marker = {"symbol": "circle-open", "size": 14, "color": INK}
    ring = scatter(x, y, name="Pareto front", hoverinfo="skip", marker=marker)
    names = [f"{text(result.objectives[index].metric)} (validation)" for index in (first, second)]
    return figure([*traces, ring], x={"title": names[0]}, y={"title": names[1]}, height=420)
