"""The study's metric of raw scores, for many lanes together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lossreg.contract import activations
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import REGRESSION, TARGETS, Constants
from lossreg.metrics import decision

if TYPE_CHECKING:
    from lossreg.metrics.catalogue import Metric
    from lossreg.training.interface import Problem


def refusal(metric: Metric, spec: LossSpec) -> str:
    """Return why a loss cannot be scored by this metric; empty when it can."""
    if metric.response == "probability" and not spec.probabilistic:
        return f"{spec.name} yields no probabilities, and {metric.name} needs them"
    return ""


def predictions(spec: LossSpec, task: str, constants: Constants, raw_scores: np.ndarray, response: str) -> np.ndarray:
    """Return what a metric needs of raw scores `(..., samples, *spatial_shape, outputs)`.

    response `label`: `(..., samples, *spatial_shape)` class indices, in a multilabel task `(..., samples, k)` of 0 and
    1; `probability`: `(..., samples, *spatial_shape, k)`; `score`: `(..., samples, *spatial_shape)` for binary tasks
    and masks, `(..., samples, k)` for multilabel tasks, else probabilities; `value`: `(..., samples)` in the user's
    units.
    """
    if task in REGRESSION:
        return _values(spec, constants, raw_scores)
    if task == "multilabel":
        return _multilabel(spec, constants, raw_scores, response)
    raw_scores = of_one_logit(raw_scores, spec, task)
    is_usual, binary = activations.is_usual(activations.get(spec.activation)), task != "multiclass"
    if not is_usual or response == "probability" or (response == "score" and not binary):
        probabilities = _probabilities(spec, constants, raw_scores, binary=binary)
        return probabilities if response == "probability" else _decided(probabilities, response, binary=binary)
    if response == "label":
        return (raw_scores[..., 0] > 0).astype(np.int8) if binary else raw_scores.argmax(-1)
    return raw_scores[..., 0].astype(np.float64)


def of_one_logit(raw_scores: Any, spec: LossSpec, task: str) -> Any:
    """Return two raw scores of a binary task as their difference, the logit of class 1; others as they are."""
    two = task == "binary" and raw_scores.shape[-1] == 2 and activations.is_usual(activations.get(spec.activation))
    return raw_scores[..., 1:] - raw_scores[..., :1] if two else raw_scores


def _values(spec: LossSpec, constants: Constants, raw_scores: np.ndarray) -> np.ndarray:
    activation = activations.get(spec.activation)
    value = _forward(activation, constants, raw_scores)[..., activation.point]
    return constants.target_center + constants.target_scale * value if TARGETS[spec.target].standardised else value


def _multilabel(spec: LossSpec, constants: Constants, raw_scores: np.ndarray, response: str) -> np.ndarray:
    """Return predictions of a multilabel task: a label is there above a raw score of 0 or a probability of 1/2."""
    activation = activations.get(spec.activation)
    usual = activations.is_usual(activation)
    values = raw_scores.astype(np.float64) if usual else _forward(activation, constants, raw_scores)
    if response == "label":
        return (values > (0.0 if usual else 0.5)).astype(np.int64)
    if usual and response == "probability":
        return _forward(activations.ACTIVATIONS["sigmoid"], constants, values)
    return values


def _probabilities(spec: LossSpec, constants: Constants, raw_scores: np.ndarray, *, binary: bool) -> np.ndarray:
    """Return `(..., k)` probabilities of all classes; an activation of one probability gives that of class 1."""
    activation = activations.get(spec.activation)
    # a multiclass loss is given a binary raw score z as [-z/2, z/2]; the softmax of these is sigmoid(z)
    doubled = binary and (activations.is_usual(activation) or spec.serves_binary_as_two(2))
    z = np.concatenate([-raw_scores / 2, raw_scores / 2], -1) if doubled else raw_scores
    activation = activations.ACTIVATIONS["softmax"] if activations.is_usual(activation) else activation
    probabilities = _forward(activation, constants, z.astype(np.float64))
    if probabilities.shape[-1] == 1:
        return np.concatenate([1 - probabilities, probabilities], -1)
    return probabilities


def log_probabilities(spec: LossSpec, task: str, constants: Constants, raw_scores: np.ndarray) -> np.ndarray:
    """Return `(..., samples, *spatial_shape, k)` log probabilities of classes, up to a constant per sample.

    Of a loss without probabilities these are its raw scores, the largest of which is the class too.
    """
    binary, raw_scores = task != "multiclass", of_one_logit(raw_scores, spec, task)
    if not activations.is_usual(activations.get(spec.activation)):
        return np.log(np.maximum(_probabilities(spec, constants, raw_scores, binary=binary), activations.TINY))
    z = raw_scores.astype(np.float64)
    return np.concatenate([-z / 2, z / 2], -1) if binary else z


def _decided(probabilities: np.ndarray, response: str, *, binary: bool) -> np.ndarray:
    """Return the most probable class, or as a score the probability of class 1 of two, else all."""
    if response == "label":
        return probabilities.argmax(-1)
    return probabilities[..., 1] if binary else probabilities


def _forward(activation: activations.Activation, constants: Constants, raw_scores: np.ndarray) -> np.ndarray:
    return np.asarray(activation.forward(raw_scores, **constants.select(activation.needs)), np.float64)


def score_lanes(
    problem: Problem, candidates: Sequence[str], raw_scores: np.ndarray, y: np.ndarray, fold: int = 0,
    *, metric: Metric | None = None,
) -> np.ndarray:  # fmt: skip
    """Return the `(lanes,)` metric of raw scores `(lanes, samples, *spatial_shape, outputs)`; NaN where not finite.

    y: as `Split.scored`; candidates: of each lane; fold: whose constants bring predictions back to the user's units. A
    segmentation is
    scored over the pixels of all its masks together. metric: another one than the problem's.
    """
    metric = metric or problem.metric
    result = np.full(len(candidates), np.nan)
    finite = np.isfinite(raw_scores).all(axis=tuple(range(1, raw_scores.ndim)))
    for candidate in set(candidates):
        lanes = np.flatnonzero(finite & np.array([other == candidate for other in candidates]))
        if lanes.size:
            predicted = of_metric(problem, candidate, raw_scores[lanes], fold, metric)
            usable = np.isfinite(predicted).all(axis=tuple(range(1, predicted.ndim)))
            labels = y.ravel() if problem.folds[fold].task == "segmentation" else y
            result[lanes[usable]] = metric.score_lanes(labels, predicted[usable])
    return result


def of_metric(
    problem: Problem, candidate: str, raw_scores: np.ndarray, fold: int = 0, metric: Metric | None = None
) -> np.ndarray:
    """Return the predictions `(lanes, samples[, k])` that a metric, the problem's, takes; of masks, of their pixels.

    raw_scores: `(lanes, samples, *spatial_shape, outputs)`, of one candidate.
    """
    data, response = problem.folds[fold], (metric or problem.metric).response
    predicted = predictions(problem.losses[candidate], data.task, data.constants, raw_scores, response)
    if data.task != "segmentation":
        return predicted
    return predicted.reshape(len(predicted), -1, *predicted.shape[raw_scores.ndim - 1 :])


class Scored(NamedTuple):
    """The score of a lane on validation samples.

    predicts_only: as `predicts_only` has it; default_score: without a tuned decision; decision: fitted on all of
    these samples, by its name. None and nothing where no decision is tuned. also: the further metrics, by name.
    """

    score: float
    predicts_only: int
    default_score: float | None = None
    decision: Mapping[str, Any] = {}
    also: Mapping[str, float] = {}


def of_validation(problem: Problem, candidates: Sequence[str], raw_scores: np.ndarray, fold: int = 0) -> list[Scored]:
    """Return the scores of lanes on the validation samples of a fold, with their decisions tuned where they are to be.

    raw_scores: `(lanes, samples, *spatial_shape, outputs)`. The score of a tuned decision is that of all samples
    together, each half of which is predicted with the decision that is fitted on the other.
    """
    y = problem.folds[fold].validation.scored
    scores = score_lanes(problem, candidates, raw_scores, y, fold).tolist()
    one_class = predicts_only(problem, candidates, raw_scores, fold).tolist()
    also = [
        (metric.name, score_lanes(problem, candidates, raw_scores, y, fold, metric=metric).tolist())
        for metric in problem.also
    ]
    scored = [
        Scored(*pair, also={name: values[lane] for name, values in also})
        for lane, pair in enumerate(zip(scores, one_class, strict=True))
    ]
    finite = [lane for lane, score in enumerate(scores) if math.isfinite(score)]
    what = tunable(problem, fold) if problem.decision == "tuned" and finite else ""
    if what:
        logs = _logs_of_lanes(problem, [candidates[lane] for lane in finite], raw_scores[finite], fold)
        for lane, tuned in zip(finite, _tuned(problem, what, logs, fold), strict=True):
            scored[lane] = tuned._replace(default_score=scores[lane], also=scored[lane].also)
    return scored


def tunable(problem: Problem, fold: int = 0) -> str:
    """Return what can be tuned of decisions on the validation samples of a fold, nothing where there are too few.

    All folds decide alike, though not all have equally many groups or times; two of these are needed in any case.
    """
    data, metric = problem.folds[fold], problem.metric
    validation = data.validation
    units = validation.independent if validation.counted is None else validation.counted
    is_short = validation.independent < 2 or decision.shortage(metric, data.task, len(validation), units)
    return "" if is_short else decision.kind(metric, data.task)


def _logs_of_lanes(problem: Problem, candidates: Sequence[str], raw_scores: np.ndarray, fold: int) -> np.ndarray:
    """Return the log probabilities `(lanes, samples, k)` of lanes of several candidates."""
    parts: dict[int, np.ndarray] = {}
    for candidate in set(candidates):
        lanes = [lane for lane, name in enumerate(candidates) if name == candidate]
        parts |= zip(lanes, logs_of_metric(problem, candidate, raw_scores[lanes], fold), strict=True)
    return np.stack([parts[lane] for lane in range(len(candidates))])


def _tuned(problem: Problem, what: str, logs: np.ndarray, fold: int) -> list[Scored]:
    """Return the scores of lanes with tuned decisions; logs: log probabilities of all validation samples."""
    validation, metric = problem.folds[fold].validation, problem.metric
    y = validation.y
    # the pixels of a mask are not independent, and stay together
    labels = y if y.ndim == 1 else np.zeros(len(y))
    half = np.repeat(decision.halves(labels, units=validation.units), y.size // len(y))
    scored = validation.scored.ravel()
    scores = metric.score_lanes(scored, decision.crossfit(what, metric, scored, logs, half))
    decisions = decision.fit(what, metric, scored, logs)
    lanes = zip(scores.tolist(), _only(what, logs, decisions).tolist(), decisions, strict=True)
    return [Scored(score, only, decision=decision.named(what, numbers)) for score, only, numbers in lanes]


def _only(what: str, logs: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """Return the `(lanes,)` class that a lane decides for in all samples, `VARIED` where there are several."""
    predicted = logs.argmax(-1) if what == decision.TEMPERATURE else decision.decided(what, logs, decisions)
    return np.where((predicted == predicted[:, :1]).all(1), predicted[:, 0], VARIED)


def logs_of_metric(problem: Problem, candidate: str, raw_scores: np.ndarray, fold: int = 0) -> np.ndarray:
    """Return log probabilities `(lanes, samples, k)`, of masks of their pixels, as `log_probabilities` does."""
    data = problem.folds[fold]
    logs = log_probabilities(problem.losses[candidate], data.task, data.constants, raw_scores)
    return logs.reshape(len(logs), -1, logs.shape[-1])


VARIED = -1
FIRST = 64  # samples that are looked at first: nearly every model predicts two classes among them


def predicts_only(problem: Problem, candidates: Sequence[str], raw_scores: np.ndarray, fold: int = 0) -> np.ndarray:
    """Return the `(lanes,)` class that a lane predicts for all samples, `VARIED` where there are several.

    raw_scores: `(lanes, samples, *spatial_shape, outputs)`. In tasks without classes 0 stands for one value, or one
    set of labels. Of masks all pixels count.
    """
    result = np.full(len(candidates), VARIED)
    # an odd step meets both of two classes that alternate
    first = raw_scores[:, :: raw_scores.shape[1] // FIRST | 1]
    lanes = np.flatnonzero(_predicted(problem, candidates, first, fold) != VARIED)
    if lanes.size:
        result[lanes] = _predicted(problem, [candidates[lane] for lane in lanes.tolist()], raw_scores[lanes], fold)
    return result


def _predicted(problem: Problem, candidates: Sequence[str], raw_scores: np.ndarray, fold: int) -> np.ndarray:
    """Return the same of all samples given."""
    result = np.full(len(candidates), VARIED)
    data = problem.folds[fold]
    finite = np.isfinite(raw_scores).all(axis=tuple(range(1, raw_scores.ndim))) & (raw_scores.shape[1] > 1)
    for candidate in set(candidates):
        lanes = np.flatnonzero(finite & np.array([other == candidate for other in candidates]))
        if not lanes.size:
            continue
        predicted = predictions(problem.losses[candidate], data.task, data.constants, raw_scores[lanes], "label")
        predicted = predicted.reshape(len(lanes), -1, 1) if data.task == "segmentation" else predicted
        same = (predicted == predicted[:, :1]).reshape(len(lanes), -1).all(-1)
        result[lanes[same]] = predicted[same, 0] if data.task in ("binary", "multiclass") else 0
    return result
