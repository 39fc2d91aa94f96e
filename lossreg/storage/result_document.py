"""The JSON document of a study's results."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lossreg.storage.trial_record import TrialRecord, finite

if TYPE_CHECKING:
    from lossreg.storage.study_result import StudyResult


def document_of(result: StudyResult) -> dict[str, Any]:
    """Return the document that `tune --json` and `results --json` print."""
    board = result.ranking()
    baseline = next((row.best for row in board if row.is_baseline), None)
    document: dict[str, Any] = finite(
        {
            "study": result.study,
            "metric": result.metric,
            "direction": result.direction,
            "task": result.task,
            "noise": result.data.get("noise"),
            "trials": result.counts,
            "best": _summary(result, result.best),
            "ties": result.ties,
            "verdict": result.verdict.to_json() if result.verdict else None,
            "baseline": _summary(result, baseline),
            "losses": [
                {
                    "name": row.candidate,
                    "loss": row.loss,
                    "rank": row.rank,
                    **row.search_scores,
                    "confirmed": row.confirmed.to_json() if row.confirmed else None,
                    "trials": row.trials,
                    "params": dict(row.best.params) if row.best else {},
                    "settings": dict(row.best.loss_params) if row.best else {},
                    "recipe": row.best.recipe if row.best else None,
                    **_kept(result, row.best),
                }
                for row in board
            ],
            "seconds": result.seconds,
            "tracking": result.tracking,
            "trainer": result.trainer,
            "notes": result.notes,
            **({"constraints": [asdict(one) for one in result.constraints]} if result.constraints else {}),
            **_objectives(result),
        }
    )
    return document


def _summary(result: StudyResult, trial: TrialRecord | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    confirmed = result.confirmed(trial)
    return {**trial.summary(), "confirmed": confirmed.to_json() if confirmed else None, **_kept(result, trial)}


def _objectives(result: StudyResult) -> dict[str, Any]:
    """Return the metrics that are optimised together, and the trials of the Pareto front; nothing of one metric."""
    if not result.objectives:
        return {}
    names = [one.metric for one in result.objectives]
    rows = [
        {"trial": t.number, "loss": t.candidate, "scores": dict(zip(names, result.objective_values(t), strict=True))}
        for t in result.front
    ]
    return {"objectives": [asdict(one) for one in result.objectives], "pareto": rows}


def _kept(result: StudyResult, trial: TrialRecord | None) -> dict[str, Any]:
    """Return a trial's further metrics, and whether it keeps the constraints; nothing without constraints."""
    kept = {"keeps": trial is not None and result.keeps(trial)} if result.constraints else {}
    has_metrics = result.constraints or result.objectives
    return {"metrics": dict(result.measured(trial)) if trial else {}, **kept} if has_metrics else {}
