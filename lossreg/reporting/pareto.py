"""The Pareto front of a study with several metrics: the trials than which none is better in all of them."""

from __future__ import annotations

from typing import Any

from lossreg.reporting.values import decimals, fixed
from lossreg.storage.study_result import StudyResult
from lossreg.terminal import plain_text

CAPTION = (
    "Pareto front: no trial is better than one of these in all metrics, by the validation scores of the search. Ranks, "
    "confirmation and the verdict go by {}."
)


def caption(result: StudyResult) -> str:
    """Return what the front is."""
    return CAPTION.format(result.metric)


def headings(result: StudyResult) -> list[str]:
    """Return the headings of the table: trial, loss, and each metric with its better side."""
    better = {"maximize": "higher", "minimize": "lower"}
    return ["trial", "loss", *(f"{one.metric} ({better[one.direction]} is better)" for one in result.objectives)]


def cells(result: StudyResult) -> list[list[str]]:
    """Return the cells of the table, a row per trial of the front, the best by the first metric first."""
    values = zip(*map(result.objective_values, result.front), strict=True)
    shown = [[fixed(value, decimals(column)) for value in column] for column in values]
    return [[str(t.number), t.candidate, *of_trial] for t, *of_trial in zip(result.front, *shown, strict=True)]


def rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return one flat row per trial of the front."""
    names = [one.metric for one in result.objectives]
    return [
        {
            "trial": trial.number,
            "candidate": trial.candidate,
            **dict(zip(names, result.objective_values(trial), strict=True)),
            "learning_rate": trial.learning_rate,
            "recipe": trial.recipe,
        }
        for trial in result.front
    ]


def markdown(result: StudyResult) -> str:
    """Return the front as a table in Markdown; empty of a study with one metric."""
    if not result.objectives:
        return ""
    head = headings(result)
    lines = [caption(result), "", f"| {' | '.join(head)} |", f"| --: | :-- |{' --: |' * len(result.objectives)}"]
    lines += [f"| {' | '.join(map(plain_text.markdown, row))} |" for row in cells(result)]
    return "\n".join(lines)
