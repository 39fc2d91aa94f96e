"""Facts on a study besides its trials: its question, data, time and trainer, as sentences and pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting import report
from lossreg.reporting.values import listed, number
from lossreg.storage.study_result import StudyResult


def question(result: StudyResult) -> str:
    """Return what the study asks, in a sentence."""
    data, count = result.data.get("name", ""), len(result.losses)
    losses = f"{count} losses" if count > 1 else "1 loss"
    of_data = f" on {data}" if data else ""
    return f"Which of {losses}, with which parameters, gives the {result.extreme} {result.metric}{of_data}?"


def facts(result: StudyResult) -> dict[str, str]:
    """Return what is known of data, search and trainer, by name; nothing of what has no value."""
    data = result.data
    pairs = {
        "Task": result.task,
        "Metric": f"{result.metric}, {report.arrow(result.direction)}, on {report.scored_on(result)}",
        "Trials": ", ".join(filter(None, [report.counts(result), report.epochs(result)])),
        "Each score in the search": f"the mean of {report.members(result.spec)}, +- their standard deviation"
        if report.members(result.spec)
        else "",
        "Data": ", ".join(filter(None, [str(data.get("name", "")), rows_of(data), _features(data)])),
        "Labels" if result.task == "multilabel" else "Classes": _classes(data),
        "Label noise": _noise(data),
        "Digest of the data": str(data.get("digest", "")),
        "Time": report.took(result) if result.seconds else "",
        "Training": _training(result),
    }
    return {name: value for name, value in pairs.items() if value}


def rows_of(data: Mapping[str, Any]) -> str:
    """Return the number of rows by split: `364 train, 91 validation, 114 test rows`."""
    rows = data.get("rows")
    return f"{', '.join(f'{count:,} {part}' for part, count in rows.items())} rows" if isinstance(rows, Mapping) else ""


def _noise(data: Mapping[str, Any]) -> str:
    noise = data.get("noise")
    if not isinstance(noise, Mapping):
        return ""
    return (
        f"{noise['flipped']:,} of {noise['rows']:,} labels of train and validation rows are of another class, at random"
    )


def _features(data: Mapping[str, Any]) -> str:
    features = data.get("features")
    return count_of(features if isinstance(features, int) else len(features), "feature") if features else ""


def _classes(data: Mapping[str, Any]) -> str:
    """Return every class or label with its rows; of masks, the share of the foreground."""
    share = data.get("foreground")
    return f"{number(100 * share)}% of the pixels are foreground" if share is not None else listed(data.get("classes"))


def _training(result: StudyResult) -> str:
    """Return how many trials were trained together and alone, and why."""
    ways = {"population": "many trained at a time", "fit": "one trained at a time"}
    numbers = [
        f"{count_of(result.trainer[name], 'trial')}, {way}" for name, way in ways.items() if result.trainer.get(name)
    ]
    reasons = [str(reason) for reason in result.trainer.get("reasons") or []]
    return "; ".join([*numbers, *reasons])
