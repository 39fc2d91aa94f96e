"""Pictures of a study for its HTML page, as Plotly figures: plain values in the form that plotly.js takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lossreg.errors import one_line
from lossreg.reporting.pictures.figure import Picture
from lossreg.reporting.pictures.learning_curves import curves
from lossreg.reporting.pictures.parallel_coordinates import parallel
from lossreg.reporting.pictures.parameters import importance, slices
from lossreg.reporting.pictures.predictions import predicted
from lossreg.reporting.pictures.scores import by_loss, history, pareto
from lossreg.reporting.pictures.time_line import timeline
from lossreg.storage.study_result import StudyResult

MOST_POINTS = 4_000  # trials that are drawn


def pictures(result: StudyResult) -> list[Picture]:
    """Return the pictures of a study in order; none without a completed trial.

    One that cannot be drawn has no figures, and its note says why.
    """
    if result.best is None:
        return []
    drawn = _drawn(result, MOST_POINTS)
    few = f" {len(drawn):,} of {len(result.trials):,} trials are drawn." if len(drawn) < len(result.trials) else ""

    def thinned(picture: Picture) -> Picture:
        return replace(picture, note=f"{picture.note}{few}")

    def of_trials(draw: Callable[..., Picture]) -> Picture:
        return thinned(picture) if (picture := draw(result, drawn)).figures else picture

    drawers: dict[str, Callable[[], Picture]] = {
        "Scores by loss": partial(of_trials, by_loss),
        "Every trial": partial(of_trials, history),
        "Pareto front": partial(of_trials, pareto),
        "Learning curves": partial(curves, result),
        **predicted(result),
        "Importance of loss and parameters": partial(importance, result),
        "Score against each parameter": partial(of_trials, slices),
        "Parallel coordinates": partial(of_trials, parallel),
        "Time line": partial(of_trials, timeline),
    }
    shown = (_drawn_alone(title, draw) for title, draw in drawers.items())
    return [picture for picture in shown if picture]


def _drawn_alone(title: str, draw: Callable[[], Picture]) -> Picture | None:
    """Return a picture, None where there is nothing to draw; without figures and with the reason where that fails."""
    try:
        return picture if (picture := draw()).figures else None
    except Exception as error:
        key = title.lower().replace(" ", "-")
        return Picture(key, title, f"This picture cannot be drawn: {one_line(error)}.", ())


def _drawn(result: StudyResult, most: int) -> set[int]:
    """Return the numbers of about so many trials: of all that lead or were confirmed, of the others each n-th."""
    step = math.ceil(len(result.trials) / most)
    kept = {row.best.number for row in result.ranking() if row.best} | {trial.number for trial in result.front}
    kept |= set(result.confirmation.scores) if result.confirmation else set()
    return kept | {trial.number for trial in result.trials[::step]}
