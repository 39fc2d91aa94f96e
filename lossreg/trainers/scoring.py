"""From raw scores to the study's metric, for many lanes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lossreg import links
from lossreg.spec import LossSpec
from lossreg.targets import CLASSIFICATION, TARGETS, Constants

if TYPE_CHECKING:
    from lossreg.metrics import Metric
    from lossreg.trainers.base import Problem


def refusal(metric: Metric, spec: LossSpec) -> str:
    """Why a loss cannot be scored by this metric; empty when it can."""
    if metric.response == "probability" and not spec.probabilistic:
        return f"{spec.name} yields no probabilities, and {metric.name} needs them"
    return ""


def predictions(spec: LossSpec, task: str, constants: Constants, scores: np.ndarray, response: str) -> np.ndarray:
    """What a metric looks at, from raw scores `(..., rows, outputs)`.

    label: `(..., rows)` class indices; probability: `(..., rows, k)`; score: `(..., rows)` for binary
    tasks, else probabilities; value: `(..., rows)` in the user's units.
    """
    if task in CLASSIFICATION:
        return _classes(spec, scores, response, binary=task == "binary")
    link = links.get(spec.link)
    value = np.asarray(link.forward(scores, **constants.select(link.needs)), np.float64)[..., link.point]
    if TARGETS[spec.target].standardised:
        value = constants.target_center + constants.target_scale * value
    return value


def _classes(spec: LossSpec, scores: np.ndarray, response: str, *, binary: bool) -> np.ndarray:
    if response == "label":
        return (scores[..., 0] > 0).astype(np.int64) if binary else scores.argmax(-1)
    if binary and response == "score":
        return scores[..., 0].astype(np.float64)
    z = np.concatenate([-scores / 2, scores / 2], -1) if binary else scores
    link = links.LINKS["softmax"] if spec.link in ("identity", "sigmoid") else links.get(spec.link)
    return np.asarray(link.forward(z.astype(np.float64)), np.float64)


def score_lanes(problem: Problem, labels: Sequence[str], scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`(lanes,)` metric of raw scores `(lanes, rows, outputs)`, lane by lane of `labels`; NaN where not finite."""
    result = np.full(len(labels), np.nan)
    sound = np.isfinite(scores).all(axis=tuple(range(1, scores.ndim)))
    data, metric = problem.dataset, problem.metric
    for label in set(labels):
        lanes = np.flatnonzero(sound & np.array([own == label for own in labels]))
        if lanes.size:
            seen = predictions(problem.losses[label], data.task, data.constants, scores[lanes], metric.response)
            usable = np.isfinite(seen).all(axis=tuple(range(1, seen.ndim)))
            result[lanes[usable]] = metric.score_lanes(y, seen[usable])
    return result
