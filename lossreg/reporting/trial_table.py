"""The trials of a study as a table, and tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from lossreg.reporting import leaderboard, usage
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import finite
from lossreg.terminal.plain_text import printable


def rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return one flat row per trial, in order of number."""
    fields = (
        "candidate", "state", "score", "default_score", "spread", "epoch", "epochs", "learning_rate", "recipe",
        "seconds", "trainer", "reason",
    )  # fmt: skip
    ordered = sorted(result.trials, key=lambda trial: trial.number)
    return [
        {
            "trial": trial.number,
            **{name: getattr(trial, name) for name in fields},
            **leaderboard.confirmed(result.confirmed(trial)),
            "decision": usage.decision(trial),
            **leaderboard.further(result, trial if trial.score is not None else None),
        }
        for trial in ordered
    ]


def _cell(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return flat rows with the same keys as CSV with a header; cells are empty for what is absent or not finite.

    Control characters in texts are written out.
    """
    rows = [{name: _cell(value) for name, value in finite(row).items()} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
