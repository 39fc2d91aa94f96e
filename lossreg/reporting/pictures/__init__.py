"""Pictures of a study for its HTML page, as Plotly figures: plain values in the form that plotly.js takes."""

from __future__ import annotations

import math
from dataclasses import replace

from lossreg.reporting.pictures.figure import Picture
from lossreg.reporting.pictures.learning_curves import curves
from lossreg.reporting.pictures.parallel_coordinates import parallel
from lossreg.reporting.pictures.parameters import importance, slices
from lossreg.reporting.pictures.predictions import predicted
from lossreg.reporting.pictures.scores import by_loss, history, pareto
from lossreg.reporting.pictures.time_line import timeline
from lossreg.storage.records import StudyResult

MOST_POINTS = 4_000  # trials that are drawn


def pictures(result: StudyResult) -> list[Picture]:
    """Return the pictures of a study in order; none without a completed trial."""
    if result.best is None:
        return []
    shown = _thinned(result, MOST_POINTS)
    every, drawn = len(result.trials), len(shown.trials)
    few = f" {drawn:,} of {every:,} trials are drawn." if drawn < every else ""

    def thinned(picture: Picture) -> Picture:
        return replace(picture, note=f"{picture.note}{few}")

    first = [thinned(draw(shown)) for draw in (by_loss, history, pareto)]
    last = [thinned(draw(shown)) for draw in (slices, parallel, timeline)]
    whole = [curves(result), *predicted(result), importance(result)]
    return [picture for picture in (*first, *whole, *last) if picture.figures]


def _thinned(result: StudyResult, most: int) -> StudyResult:
    """Return a study with at most about so many trials: all that lead or were confirmed, of the others each n-th."""
    if len(result.trials) <= most:
        return result
    step = math.ceil(len(result.trials) / most)
    kept = {row.best.number for row in result.ranking() if row.best} | {trial.number for trial in result.front}
    kept |= set(result.confirmation.scores) if result.confirmation else set()
    trials = [trial for i, trial in enumerate(result.trials) if i % step == 0 or trial.number in kept]
    return replace(result, trials=trials)
