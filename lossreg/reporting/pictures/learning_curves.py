"""Learning curves of the best trial of each loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lossreg.reporting import report
from lossreg.reporting.pictures.figure import (
    MOST_CURVES,
    SYMBOLS,
    Axis,
    Picture,
    Trace,
    figure,
    named,
    scatter,
    text,
    vertical,
    whole_numbers,
)
from lossreg.reporting.plot_data import looks
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord


def curves(result: StudyResult) -> Picture:
    """Draw the metric by epoch of each candidate's best trial on common axes, and its loss on its own."""
    best = [row.best for row in result.ranking() if row.best][:MOST_CURVES]
    metric = figure(
        [trace for trial in best for trace in _metric_curves(result, trial)],
        x=_epochs(best),
        y={"title": text(result.metric)},
        height=420,
    )
    losses = [_loss_curves(result, trial) for trial in best]
    note = (
        f"The best setting of each loss, by its {report.kind_of_score(result, result.best)} score: solid lines are "
        "validation, dotted lines training. Values of different losses cannot be compared, so each loss has its own "
        "axes; a dashed grey line marks the epoch that was scored."
    )
    few = f" The first {MOST_CURVES} losses are shown." if len(result.losses) > MOST_CURVES == len(best) else ""
    return Picture("curves", "Learning curves", note + few, (metric, *losses))


def _metric_curves(result: StudyResult, trial: TrialRecord) -> list[Trace]:
    look, name = looks(result)[trial.candidate], named(result, trial.candidate)
    marker = {"symbol": SYMBOLS[look["marker"]], "maxdisplayed": 6, "size": 7}
    kinds = (("val_score", "solid", "validation", 2), ("train_score", "dot", "training", 1.5))
    return [
        {
            **_line(trial.curves.get(curve, ()), look["color"], dash, width, f"{name}, {part}"),
            "marker": marker,
            "mode": "lines+markers" if width == 2 else "lines",
            "name": name,
            "legendgroup": name,
            "showlegend": width == 2,
        }
        for curve, dash, part, width in kinds
    ]


def _loss_curves(result: StudyResult, trial: TrialRecord) -> Mapping[str, Any]:
    kinds = (("train_loss", "training", "dot"), ("val_loss", "validation", "solid"))
    colour = looks(result)[trial.candidate]["color"]
    traces = [_line(trial.curves.get(curve, ()), colour, dash, 2, part) for curve, part, dash in kinds]
    title = f"{named(result, trial.candidate)}, trial {trial.number}"
    return figure(traces, x=_epochs([trial]), y={"title": "loss"}, title=title, shapes=[vertical(trial.epoch)])


def _epochs(trials: Iterable[TrialRecord]) -> Axis:
    return whole_numbers("epoch", max((len(curve) for trial in trials for curve in trial.curves.values()), default=0))


def _line(values: Sequence[float | None], colour: str, dash: str, width: float, name: str) -> Trace:
    """Return a curve by epoch; a single epoch is a dot."""
    mode = "markers" if len(values) == 1 else "lines"
    line = {"color": colour, "dash": dash, "width": width}
    hover = f"{name}: %{{y:.5g}} at epoch %{{x}}<extra></extra>"
    return scatter(range(1, len(values) + 1), values, mode, line=line, name=name, hovertemplate=hover)
