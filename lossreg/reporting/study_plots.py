"""Pictures of a study, as matplotlib figures: curves, history, scores by loss, parameter slices.

Every function takes a `StudyResult` and returns a `Figure` without a window or global state, so that it can be drawn
in any thread and is freed with its last reference.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from lossreg.errors import count_of
from lossreg.reporting.arms import tested
from lossreg.reporting.plot_data import (
    ABOUT_BOX,
    COLOURS,
    GREY,
    MOST_SLICES,
    box,
    compared,
    comparisons,
    completed,
    dot_heights,
    gain_axis,
    looks,
    names_by_loss,
    noise,
    number_outside,
    reach,
    repeats,
    ring_heights,
    score_axis,
    searched,
    shown_range,
    spans_decades,
)
from lossreg.reporting.values import shown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lossreg.storage.study_result import Standing, StudyResult
    from lossreg.storage.trial_record import TrialRecord


class Plot(Figure):
    """A figure that notebooks show without pyplot, which they must have imported for others."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def figures(result: StudyResult) -> dict[str, Figure]:
    """Return all figures of a study by file stem; none without a completed trial."""
    return {name: draw(result) for name, draw in drawers(result).items()}


def drawers(result: StudyResult) -> dict[str, Callable[[StudyResult], Figure]]:
    """Return the functions that draw the figures of a study, by file stem; none without a completed trial."""
    if result.best is None:
        return {}
    slices_of = {"slices": slices} if searched(result) else {}
    pareto_of = {"pareto": pareto} if result.objectives else {}
    return {"curves": curves, "history": history, "by_loss": by_loss, **slices_of, **pareto_of}


def curves(result: StudyResult, most: int = 4) -> Figure:
    """Draw loss (above) and metric (below) by epoch, for training and validation, of each candidate's best trial."""
    best = [row.best for row in result.ranking() if row.best]
    width = _columns(len(best), most)
    bands = [best[start : start + width] for start in range(0, len(best), width)] or [[]]
    figure = new_figure(3.1 * width + 1.2, 4.6 * len(bands) + 0.7)
    axes = _grid(figure, 2 * len(bands), width)
    for band, trials in enumerate(bands):
        for column in range(width):
            pair = axes[2 * band][column], axes[2 * band + 1][column]
            _curves_of(result, trials[column], *pair) if column < len(trials) else _blank(*pair)
        axes[2 * band][0].set_ylabel("loss")
        axes[2 * band + 1][0].set_ylabel(result.metric)
    _share_range([one for line in axes[1::2] for one in line if one.lines])
    _share_legend(figure, axes[0][0], f"{result.study}: the best setting of each loss")
    return figure


def _curves_of(result: StudyResult, trial: TrialRecord, above: Axes, below: Axes) -> None:
    for axes, kind in ((above, "loss"), (below, "score")):
        for part, colour, line in (("train", COLOURS[0], "--"), ("val", COLOURS[1], "-")):
            values = [math.nan if value is None else value for value in trial.curves.get(f"{part}_{kind}", [])]
            curve = "training" if part == "train" else "validation"
            dot = "o" if len(values) == 1 else ""
            axes.plot(range(1, len(values) + 1), values, line, color=colour, label=curve, marker=dot)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.axvline(trial.epoch, color=GREY, linewidth=0.8, linestyle=":")
    above.set_title(f"{shown_name(result, trial.candidate)}\ntrial {trial.number}, {trial.score:.4g}", fontsize=10)
    below.set_xlabel("epoch")


def history(result: StudyResult) -> Figure:
    """Draw score against trial number, coloured by candidate, with the best so far, without diverged trials."""
    figure = new_figure(8.5, 4.6)
    axes = plain(figure.add_subplot())
    for candidate, look in looks(result).items():
        done = completed(result, candidate)
        numbers, scores = [trial.number for trial, _ in done], [score for _, score in done]
        axes.scatter(numbers, scores, label=shown_name(result, candidate), s=26, **look)
    so_far = f"{result.extreme} so far{', constraints kept' * bool(result.constraints)}"
    if steps := [(trial.number, best) for trial, best in result.best_so_far()]:
        axes.step(*zip(*steps, strict=True), where="post", color=GREY, zorder=1, label=so_far)
    _zoom(axes, result)
    axes.set(xlabel="trial", ylabel=f"{result.metric} (validation)", title=f"{result.study}: every trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    return figure


def pareto(result: StudyResult) -> Figure:
    """Draw every trial by each pair of metrics, coloured by candidate, those of the Pareto front with a ring."""
    pairs = list(combinations(range(len(result.objectives)), 2))
    figure = new_figure(8.5 if len(pairs) == 1 else 4.0 * len(pairs) + 2.5, 4.6)
    (grid,) = _grid(figure, 1, len(pairs))
    for axes, pair in zip(grid, pairs, strict=True):
        _pair(result, axes, *pair)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.suptitle(f"{result.study}: {count_of(len(result.front), 'trial')} of the Pareto front")
    return figure


def _pair(result: StudyResult, axes: Axes, first: int, second: int) -> None:
    for candidate, look in looks(result).items():
        trials = [trial for trial in result.trials if trial.candidate == candidate]
        _scatter(result, axes, trials, (first, second), label=shown_name(result, candidate), s=26, **look)
    _scatter(result, axes, result.front, (first, second), label="Pareto front", s=110, facecolors="none",
             edgecolors=GREY)  # fmt: skip
    names = [result.objectives[index].metric for index in (first, second)]
    axes.set(xlabel=f"{names[0]} (validation)", ylabel=f"{names[1]} (validation)")


def _scatter(
    result: StudyResult, axes: Axes, trials: Iterable[TrialRecord], pair: tuple[int, int], **look: Any
) -> None:
    values = [result.objective_values(trial) for trial in trials]
    points = [point for one in values if None not in (point := tuple(one[index] for index in pair))]
    axes.scatter(*(zip(*points, strict=True) if points else ((), ())), **look)


def by_loss(result: StudyResult) -> Figure:
    """Draw the scores of each candidate as dots, over a box where there are several, and the baseline's best as a line.

    Scores on fresh splits are diamonds with their standard error; where there are some the line is the baseline's.
    Repeated trainings of the verdict are rings, and the noise of the validation rows is shaded.
    """
    board = [row for row in result.ranking() if row.best]
    lines = names_by_loss(result, board)
    figure = new_figure(8.5, 1.6 + 0.5 * max(len(lines), 2))
    axes = plain(figure.add_subplot())
    look = looks(result)
    groups = [[score for _, score in completed(result, row.candidate)] for row in board]
    for line, (row, scores) in enumerate(zip(board, groups, strict=True)):
        axes.scatter(scores, dot_heights(line, len(scores)), s=22, alpha=0.85, zorder=3, **look[row.candidate])
        if row.is_baseline and row.best:
            label = f"{'confirmed score' if row.confirmed else result.extreme} of the baseline"
            score = result.compared_score(row.best) or 0.0
            axes.axvline(score, color=GREY, linestyle="--", linewidth=1.2, label=label)
    _draw_boxes(axes, groups)
    _zoom(axes, result, reach(result, board), axis="x")
    _draw_confirmed(axes, result, board)
    _draw_repeats(axes, result, board)
    counts = [f"  n={len(group)}" for group in groups] + [""] * (len(lines) - len(board))
    names = [f"{shown_name(result, name)}{count}" for name, count in zip(lines, counts, strict=True)]
    axes.set_yticks(range(len(lines)), names)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set(xlabel=score_axis(result), title=f"{result.study}: scores by loss")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.22 * 3 / figure.get_figheight()), frameon=False)
    return figure


def _draw_boxes(axes: Axes, groups: Sequence[Sequence[float]]) -> None:
    """Draw a box behind the scores of each row that has enough of them."""
    boxed = {line: one for line, scores in enumerate(groups) if (one := box(scores))}
    if not boxed:
        return
    names, grey = ("whislo", "q1", "med", "q3", "whishi"), {"color": GREY}
    label = f"median, in a box of {ABOUT_BOX}"
    axes.bxp([dict(zip(names, one, strict=True)) for one in boxed.values()], positions=list(boxed),
             orientation="horizontal", widths=0.6, showfliers=False, medianprops={"color": "black"}, boxprops=grey,
             whiskerprops=grey, capprops=grey, manage_ticks=False, label=label)  # fmt: skip


def _draw_confirmed(axes: Axes, result: StudyResult, board: Sequence[Standing]) -> None:
    """Draw each candidate's score on fresh splits, and the noise of validation rows."""
    shown = [(line, row.confirmed) for line, row in enumerate(board) if row.confirmed]
    if shown:
        lines, scores = zip(*shown, strict=True)
        means, errors = [score.mean for score in scores], [score.error or 0.0 for score in scores]
        label = "on fresh splits, +- standard error"
        axes.errorbar(means, lines, xerr=errors, fmt="D", color="black", markersize=5, capsize=3, zorder=5, label=label)
    if shaded := noise(result):
        axes.axvspan(*shaded[:2], color=GREY, alpha=0.15, linewidth=0, zorder=0, label=shaded.words)


def _draw_repeats(axes: Axes, result: StudyResult, board: Sequence[Standing]) -> None:
    """Draw the repeats of the verdict below the trials of their loss, or in a row of their own."""
    lines, look = names_by_loss(result, board), looks(result)
    label = f"repeats of the verdict, on {tested(result.verdict)}" if result.verdict else ""
    for side, scores in repeats(result).items():
        line = lines.index(side)
        spread = ring_heights(line, len(scores), is_below=line < len(board))
        colour = look[side]["color"] if side in look else GREY
        axes.scatter(scores, spread, s=26, facecolors="none", edgecolors=colour, label=label)
        label = ""


def slices(result: StudyResult, most: int = 4) -> Figure:
    """Draw score against each searched parameter, by candidate, with a ring around the setting of the leaderboard."""
    names = searched(result)[:MOST_SLICES]
    width = _columns(len(names), most)
    rows = max(1, math.ceil(len(names) / width))
    figure = new_figure(2.9 * width + 1.6, 2.7 * rows + 0.8)
    grid = [axes for line in _grid(figure, rows, width) for axes in line]
    for index, (axes, name) in enumerate(zip(grid, names, strict=False)):
        _slice(result, axes, name)
        _zoom(axes, result, note=index == 0)
    _blank(*grid[len(names) :])
    for index, axes in enumerate(grid):
        axes.set_ylabel("" if index % width else result.metric)
        axes.tick_params(labelleft=index % width == 0)
    handles = {name: handle for axes in grid for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", frameon=False)
    figure.suptitle(f"{result.study}: score against each parameter")
    return figure


def _slice(result: StudyResult, axes: Axes, name: str) -> None:
    look = looks(result)
    for candidate in look:
        done = [(t.params[name], score) for t, score in completed(result, candidate) if t.params.get(name) is not None]
        if not done:
            continue
        values, scores = [value for value, _ in done], [score for _, score in done]
        axes.scatter(values, scores, s=20, label=shown_name(result, candidate), **look[candidate])
    best = [row.best for row in result.ranking() if row.best and row.best.params.get(name) is not None]
    values, heights = [trial.params[name] for trial in best], [trial.score or 0.0 for trial in best]
    if best:
        label = f"best {'confirmed ' * bool(result.confirmation)}setting of each loss"
        axes.scatter(values, heights, s=90, facecolors="none", edgecolors="black", linewidths=1.0, label=label)
    if spans_decades(trial.params.get(name) for trial in result.trials):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(name)
    axes.tick_params(axis="x", labelsize=8)


def verdict(result: StudyResult) -> Figure | None:
    """Draw the winner's differences from other arms with their 95% intervals, zero and the margin; None without any."""
    rows = comparisons(result)
    if result.verdict is None or not rows:
        return None
    figure = new_figure(8.5, 1.6 + 0.5 * len(rows))
    axes = plain(figure.add_subplot())
    for line, comparison in enumerate(rows.values()):
        axes.plot(comparison.interval, (line, line), color=COLOURS[0], linewidth=2)
        axes.plot(comparison.difference, line, "o", color=COLOURS[0])
    axes.axvline(0.0, color=GREY, linestyle="--", linewidth=1.2)
    if margin := result.verdict.margin:
        axes.axvspan(-margin, margin, color=GREY, alpha=0.2, label=f"margin of {margin:g}")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    name, baseline = compared(result.verdict)
    axes.set(xlabel="\n".join(gain_axis(result, result.verdict)))
    figure.suptitle(f"{result.study}: {name} against {baseline}, with 95% intervals")
    return figure


def no_comparison(result: StudyResult) -> Figure:
    """Return what takes the place of the plot of a former verdict."""
    figure = new_figure(8.5, 1.6)
    figure.text(0.5, 0.5, f"{result.study}: these trials have no comparison on test rows", ha="center", va="center")
    return figure


def _columns(count: int, most: int) -> int:
    """Return the number of columns, at most `most`, with which the rows are evenly filled."""
    return math.ceil(count / math.ceil(count / most)) if count else 1


def _zoom(
    axes: Axes, result: StudyResult, limits: tuple[float, float] | None = None, axis: str = "y", *, note: bool = True
) -> None:
    """Limit an axis to these scores, by default those that are shown, and say how many are not."""
    (axes.set_ylim if axis == "y" else axes.set_xlim)(*(limits or shown_range(result)))
    if note and (outside := number_outside(result, limits)):
        axes.set_title(f"{outside} outside", loc="right", fontsize=8, color=GREY)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches."""
    return Plot(figsize=(width, height), dpi=110, layout="constrained")


def _grid(figure: Figure, rows: int, columns: int) -> list[list[Axes]]:
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        plain(axes)
    return [list(line) for line in grid]


def _share_range(grid: Sequence[Axes]) -> None:
    """Have the same vertical range on all axes."""
    limits = [axes.get_ylim() for axes in grid]
    for axes in grid:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _blank(*axes: Axes) -> None:
    for one in axes:
        one.set_axis_off()


def _share_legend(figure: Figure, axes: Axes, title: str) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(title)


def plain(axes: Axes) -> Axes:
    """Return the axes with a faint grid and without a frame above and to the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return axes
