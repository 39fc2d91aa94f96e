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
from lossreg.storage.study_result import StudyResult

MOST_POINTS = 4_000  # trials that are drawn


def pictures(result: StudyResult) -> list[Picture]:
    """Return the pictures of a study in order; none without a completed trial."""
    if result.best is None:
        return []
    drawn = _drawn(result, MOST_POINTS)
    few = f" {len(drawn):,} of {len(result.trials):,} trials are drawn." if len(drawn) < len(result.trials) else ""

    def thinned(picture: Picture) -> Picture:
        return replace(picture, note=f"{picture.note}{few}")

    first = [thinned(draw(result, drawn)) for draw in (by_loss, history, pareto)]
    last = [thinned(draw(result, drawn)) for draw in (slices, parallel, timeline)]
    whole = [curves(result), *predicted(result), importance(result)]
    return [picture for picture in (*first, *whole, *last) if picture.figures]


def _drawn(result: StudyResult, most: int) -> set[int]:
    """Return the numbers of about so many trials: of all that lead or were confirmed, of the others each n-th."""
    step = math.ceil(len(result.trials) / most)
    kept = {row.best.number for row in result.ranking() if row.best} | {trial.number for trial in result.front}
    kept |= set(result.confirmation.scores) if result.confirmation else set()
    return kept | {trial.number for trial in result.trials[::step]}
