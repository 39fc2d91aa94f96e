"""From raw scores to the study's metric, for many lanes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.contract import activations
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import REGRESSION, TARGETS, Constants

if TYPE_CHECKING:
    from lossreg.metrics.catalogue import Metric
    from lossreg.training.interface import Problem


def refusal(metric: Metric, spec: LossSpec) -> str:
    """Why a loss cannot be scored by this metric; empty when it can."""
    if metric.response == "probability" and not spec.probabilistic:
        return f"{spec.name} yields no probabilities, and {metric.name} needs them"
    return ""


def predictions(spec: LossSpec, task: str, constants: Constants, scores: np.ndarray, response: str) -> np.ndarray:
    """What a metric looks at, from raw scores `(..., rows, *space, outputs)`.

    label: `(..., rows, *space)` class indices, of several labels a row `(..., rows, k)` of 0 and 1;
    probability: `(..., rows, *space, k)`; score: `(..., rows, *space)` for binary tasks and masks,
    `(..., rows, k)` for several labels, else probabilities; value: `(..., rows)` in the user's units.
    """
    if task in REGRESSION:
        return _values(spec, constants, scores)
    if task == "multilabel":
        return _several(spec, constants, scores, response)
    scores = of_one_logit(scores, spec, task)
    own, binary = not activations.is_usual(activations.get(spec.activation)), task != "multiclass"
    if own or response == "probability" or (response == "score" and not binary):
        found = _probabilities(spec, constants, scores, binary=binary)
        return found if response == "probability" else _judged(found, response, binary=binary)
    if response == "label":
        return (scores[..., 0] > 0).astype(np.int8) if binary else scores.argmax(-1)
    return scores[..., 0].astype(np.float64)


def of_one_logit(scores: Any, spec: LossSpec, task: str) -> Any:
    """Two scores of a binary task as their difference, the logit of class 1; others as they are."""
    two = task == "binary" and scores.shape[-1] == 2 and activations.is_usual(activations.get(spec.activation))
    return scores[..., 1:] - scores[..., :1] if two else scores


def _values(spec: LossSpec, constants: Constants, scores: np.ndarray) -> np.ndarray:
    activation = activations.get(spec.activation)
    value = _forward(activation, constants, scores)[..., activation.point]
    return constants.target_center + constants.target_scale * value if TARGETS[spec.target].standardised else value


def _several(spec: LossSpec, constants: Constants, scores: np.ndarray, response: str) -> np.ndarray:
    """Of several labels a row: a label is there where its score is above 0, or its own activation's probability 1/2."""
    activation = activations.get(spec.activation)
    usual = activations.is_usual(activation)
    seen = scores.astype(np.float64) if usual else _forward(activation, constants, scores)
    if response == "label":
        return (seen > (0.0 if usual else 0.5)).astype(np.int64)
    return (
        _forward(activations.ACTIVATIONS["sigmoid"], constants, seen) if usual and response == "probability" else seen
    )


def _probabilities(spec: LossSpec, constants: Constants, scores: np.ndarray, *, binary: bool) -> np.ndarray:
    """`(..., k)` of all classes; an activation of one probability gives that of class 1."""
    activation = activations.get(spec.activation)
    # a multiclass loss sees a binary score z as [-z/2, z/2]; the softmax of these is sigmoid(z)
    doubled = binary and (activations.is_usual(activation) or spec.serves_binary_as_two(2))
    z = np.concatenate([-scores / 2, scores / 2], -1) if doubled else scores
    found = _forward(
        activations.ACTIVATIONS["softmax"] if activations.is_usual(activation) else activation,
        constants,
        z.astype(np.float64),
    )
    return np.concatenate([1 - found, found], -1) if found.shape[-1] == 1 else found


def _judged(probabilities: np.ndarray, response: str, *, binary: bool) -> np.ndarray:
    """The most probable class; as a score the probability of class 1 of two, else all."""
    if response == "label":
        return probabilities.argmax(-1)
    return probabilities[..., 1] if binary else probabilities


def _forward(activation: activations.Activation, constants: Constants, scores: np.ndarray) -> np.ndarray:
    return np.asarray(activation.forward(scores, **constants.select(activation.needs)), np.float64)


def score_lanes(
    problem: Problem, labels: Sequence[str], scores: np.ndarray, y: np.ndarray, fold: int = 0
) -> np.ndarray:
    """`(lanes,)` metric of raw scores `(lanes, rows, *space, outputs)`, lane by lane of `labels`; NaN where not finite.

    fold is the one whose constants bring predictions back to the user's units. A segmentation is
    scored over the places of all its masks together.
    """
    result = np.full(len(labels), np.nan)
    sound = np.isfinite(scores).all(axis=tuple(range(1, scores.ndim)))
    data, metric = problem.folds[fold], problem.metric
    for label in set(labels):
        lanes = np.flatnonzero(sound & np.array([own == label for own in labels]))
        if lanes.size:
            seen = predictions(problem.losses[label], data.task, data.constants, scores[lanes], metric.response)
            seen = _flat(seen, y.ndim) if data.task == "segmentation" else seen
            usable = np.isfinite(seen).all(axis=tuple(range(1, seen.ndim)))
            result[lanes[usable]] = metric.score_lanes(y.ravel() if data.task == "segmentation" else y, seen[usable])
    return result


VARIED = -1
SAMPLE = 64  # rows that are looked at first; nearly every model predicts two things in them


def predicts_only(problem: Problem, labels: Sequence[str], scores: np.ndarray, fold: int = 0) -> np.ndarray:
    """Return `(lanes,)` the class that a lane predicts for all rows, of raw scores `(lanes, rows, *space, outputs)`.

    `VARIED` where there are several; in tasks without classes 0 stands for one value, or one set of labels. Of masks
    all places count.
    """
    result = np.full(len(labels), VARIED)
    # an odd step is in step with nothing that alternates
    sample = scores[:, :: scores.shape[1] // SAMPLE | 1]
    lanes = np.flatnonzero(_predicted(problem, labels, sample, fold) != VARIED)
    if lanes.size:
        result[lanes] = _predicted(problem, [labels[lane] for lane in lanes.tolist()], scores[lanes], fold)
    return result


def _predicted(problem: Problem, labels: Sequence[str], scores: np.ndarray, fold: int) -> np.ndarray:
    """The same of the rows given, all of which are scored."""
    result = np.full(len(labels), VARIED)
    data = problem.folds[fold]
    sound = np.isfinite(scores).all(axis=tuple(range(1, scores.ndim))) & (scores.shape[1] > 1)
    for label in set(labels):
        lanes = np.flatnonzero(sound & np.array([other == label for other in labels]))
        if not lanes.size:
            continue
        seen = predictions(problem.losses[label], data.task, data.constants, scores[lanes], "label")
        seen = seen.reshape(len(lanes), -1, 1) if data.task == "segmentation" else seen
        same = (seen == seen[:, :1]).reshape(len(lanes), -1).all(-1)
        result[lanes[same]] = seen[same, 0] if data.task in ("binary", "multiclass") else 0
    return result


def _flat(seen: np.ndarray, axes: int) -> np.ndarray:
    """`(lanes, rows, *space[, k])` as `(lanes, places[, k])`; `axes` counts rows and space."""
    return seen.reshape(len(seen), -1, *seen.shape[1 + axes :])
