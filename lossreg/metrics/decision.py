"""Decisions that are tuned to a metric: a threshold, a shift of log probabilities or a temperature, for many lanes.

A loss that weights classes gains F1 or balanced accuracy largely by another threshold, and a focal loss loses log loss
for want of a temperature. Fitting these shows what else differs.

Log probabilities are `(lanes, n, k)`, up to a constant per sample; their largest is the class. A decision of a lane is
a row of numbers:

    threshold    (1,)  of two classes, the second is decided for where its log odds exceed it
    shift        (k,)  is added to the log probabilities before the largest is taken
    temperature  (1,)  divides the log probabilities; they are normalised then
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossreg.contract.scored_labels import labels_of
from lossreg.errors import count_of

if TYPE_CHECKING:
    from lossreg.metrics.catalogue import Metric

Array = NDArray[Any]
Floats = NDArray[np.float64]

THRESHOLD, SHIFT, TEMPERATURE = "threshold", "shift", "temperature"
# a ranking of samples has no temperature
OF_PROBABILITIES = ("log_loss", "brier_score", "d2_log_loss_score", "d2_brier_score")
# validation rows from which a decision is tuned, against overfitting: those of AutoGluon 1.x (TabularPredictor.fit,
# `calibrate_decision_threshold` and `calibrate`), where accuracy is hardly ever improved by a threshold
FEWEST = {THRESHOLD: 50, SHIFT: 50, TEMPERATURE: 500}
FEWEST_ACCURACY = 10_000
FEWEST_UNITS = 10  # of which each half has 5, where rows are not independent
MOST = 10_000  # samples that a decision is fitted on; of masks these are pixels
OF_CLASS = 40  # thresholds that are tried, among the scores of each class
STRENGTHS = np.linspace(0.0, 1.5, 16)  # of the shift towards rare classes; 1 is logit adjustment
# candidates that are averaged before the best is taken: new samples gain up to .004 of F1 or balanced accuracy
# where 200 or 1,000 samples were fitted on; with 60, of which 5 are of the rare class, +.008 of balanced accuracy and
# -.008 of F1 (normal scores of two classes, 100 draws, standard errors of .001 to .005)
NEIGHBOURS = 7
FIXED_POINT_STEPS = 10
NEWTON_STEPS = 30
COLDEST, HOTTEST = 0.05, 20.0
ROUNDING, TINY = 1e-12, 1e-12
ELEMENTS = 200_000  # of log probabilities of which decisions are searched at a time


def kind(metric: Metric, task: str) -> str:
    """Return what is tuned for a metric of a task: `threshold`, `shift`, `temperature`, or nothing."""
    return kind_of(metric.name, metric.response, task)


def kind_of(metric: str, response: str, task: str) -> str:
    """Return the same for a metric of this name and kind of predictions."""
    is_tuned = response == "label" or _is_of_probabilities(metric)
    return by_name(metric, task) if is_tuned and task in ("binary", "multiclass", "segmentation") else ""


def by_name(metric: str, task: str) -> str:
    """Return the same for the name of a metric of which something is tuned."""
    if _is_of_probabilities(metric):
        return TEMPERATURE
    return SHIFT if task == "multiclass" else THRESHOLD


def in_words(what: str) -> str:
    """Return what is tuned as users read it."""
    return "shift per class" if what == SHIFT else what


def _is_of_probabilities(metric: str) -> bool:
    return metric.removeprefix("neg_") in OF_PROBABILITIES


def shortage(metric: Metric, task: str, rows: int, units: int | None = None) -> str:
    """Return why no decision is tuned with so many validation rows; empty where one is.

    units: the groups or times that these rows are of, None where each row is independent.
    """
    what = kind(metric, task)
    if not what:
        return f"there is nothing to tune for {metric.name} in a {task} task"
    fewest = FEWEST_ACCURACY if metric.name == "accuracy" else FEWEST[what]
    if rows < fewest:
        return f"{rows} validation rows are too few for a {in_words(what)} of {metric.name}, which needs {fewest}"
    if units is None or units >= FEWEST_UNITS:
        return ""
    too_few = f"{count_of(units, 'group')} or time{'s' * (units != 1)} of validation rows"
    return f"too few for a {in_words(what)} of {metric.name}: {too_few}, and it needs {FEWEST_UNITS}"


def halves(y: Array, seed: int = 0, units: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Return one half of samples with these class indices `(n,)`, drawn at random, with half of each class.

    units: `(n,)` numbers of samples that stay together; the first of each unit counts, and units of
    about the same size are dealt out in turn. With one unit the other half is empty.
    """
    if units is not None:
        _, first, of_row, sizes = np.unique(units, return_index=True, return_inverse=True, return_counts=True)
        classes = y[first]
        by_size = np.lexsort((np.random.default_rng(seed).random(len(first)), sizes, classes))
        of_unit = np.empty(len(first), bool)
        of_unit[by_size] = np.arange(len(first)) % 2 == 0
        return np.asarray(of_unit[of_row.reshape(-1)])
    order = np.lexsort((np.random.default_rng(seed).random(len(y)), y))
    half = np.empty(len(y), bool)
    half[order] = np.arange(len(y)) % 2 == 0
    return half


def crossfit(what: str, metric: Metric, y: Array, logs: Floats, half: NDArray[np.bool_]) -> Array:
    """Return decided predictions of all samples, each half with the decision that is fitted on the other."""
    first, second = (decided(what, logs[:, ~part], fit(what, metric, y[part], logs[:, part])) for part in (half, ~half))
    predicted = np.empty((*logs.shape[:2], *first.shape[2:]), first.dtype)
    predicted[:, ~half], predicted[:, half] = first, second
    return predicted


def decided(what: str, logs: Floats, decisions: Floats) -> Array:
    """Return predicted classes `(lanes, n)`, with a temperature probabilities `(lanes, n, k)`; decisions: per lane."""
    if what == THRESHOLD:
        labels: Array = (logs[..., 1] - logs[..., 0] > decisions).astype(np.int8)
        return labels
    if what == SHIFT:
        return np.asarray((logs + decisions[:, None, :]).argmax(-1))
    return _softmax(logs / decisions[:, None, :])


def named(what: str, numbers: Floats) -> dict[str, Any]:
    """Return the decision of a lane as plain values, `{"threshold": 0.3}` or `{"shift": [0.1, -0.1]}`."""
    return {what: numbers.tolist() if what == SHIFT else float(numbers[0])}


def fit(what: str, metric: Metric, y: Array, logs: Floats) -> Floats:
    """Return the decision of each lane, `(lanes, 1)` or `(lanes, k)`, that is best on these samples.

    It is exact in float32. Where several are equally good it is the default one, of zeros, if that is among them.
    """
    if len(y) > MOST:
        some = np.random.default_rng(0).choice(len(y), MOST, replace=False)
        y, logs = y[some], logs[:, some]
    size = max(1, ELEMENTS // logs[0].size)
    parts = [logs[first : first + size] for first in range(0, len(logs), size)]
    fitted = [
        _temperatures(labels_of(y), part) if what == TEMPERATURE else _searched(what, metric, y, part) for part in parts
    ]
    return np.concatenate(fitted).astype(np.float32).astype(np.float64)


def _searched(what: str, metric: Metric, y: Array, logs: Floats) -> Floats:
    """Return the best of some thresholds or shifts of each lane by the metric."""
    candidates = (_thresholds if what == THRESHOLD else _shifts)(labels_of(y), logs)
    predicted = np.concatenate([decided(what, logs, each) for each in candidates])
    scores = metric.score_lanes(y, predicted).reshape(len(candidates), -1)
    best = _best(scores if metric.direction == "maximize" else -scores)
    return np.asarray(candidates[best, np.arange(len(logs))])


def _best(scores: Floats) -> NDArray[np.int64]:
    """Return the best of each lane's candidates, of scores `(candidates, lanes)`: the first unless another is better.

    Scores of few samples are noisy. The candidate is taken whose neighbourhood is best, of several the middle one.
    """
    from scipy.ndimage import uniform_filter1d

    smooth = uniform_filter1d(scores[1:], NEIGHBOURS, axis=0, mode="nearest")
    is_best = smooth >= smooth.max(0) - ROUNDING
    chosen = 1 + (is_best.cumsum(0) == is_best.sum(0) // 2 + 1).argmax(0)
    return np.where(scores[0] >= scores[chosen, np.arange(len(chosen))] - ROUNDING, 0, chosen)


def _thresholds(y: Array, logs: Floats) -> Floats:
    """Return 0, then ascending midpoints of scores, at quantiles of each class, so that a rare one has its share."""
    odds = logs[..., 1] - logs[..., 0]
    order = np.argsort(odds, axis=1, kind="stable")
    ordered, labels = np.take_along_axis(odds, order, 1), y[order]
    above = np.sort(np.concatenate([_spaced(labels == label) for label in (0, 1)], 1), 1)
    ends = [np.take_along_axis(ordered, places, 1) for places in (above, np.maximum(above - 1, 0))]
    candidates = np.concatenate([np.zeros((len(odds), 1)), (ends[0] + ends[1]) / 2], 1)
    return candidates.T[..., None]


def _spaced(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return positions `(lanes, m)` of what is chosen, equally many in each lane, spread from the first to the last."""
    places = np.nonzero(chosen)[1].reshape(len(chosen), -1)
    last = places.shape[1] - 1
    return places[:, np.unique(np.linspace(0, last, OF_CLASS).round().astype(int))] if last >= 0 else places


def _shifts(y: Array, logs: Floats) -> Floats:
    """Return 0, then `c - t log(frequencies)` for some t, `(candidates, lanes, k)`.

    c makes the mean probabilities the frequencies of the classes, which undoes the class weights of a loss. Source of
    the second part: Menon et al., 2021, Long-tail learning via logit adjustment.
    """
    counts = np.bincount(y, minlength=logs.shape[2]) + 1.0
    p = _softmax(logs)
    factors = np.ones((len(p), p.shape[2]))
    for _ in range(FIXED_POINT_STEPS):
        totals = p @ factors[..., None]
        factors *= counts / (factors * ((1 / totals).swapaxes(1, 2) @ p)[:, 0] + 1)
    priors = np.log(counts / counts.sum())
    shifts = np.log(factors) - STRENGTHS[:, None, None] * priors
    return np.concatenate([np.zeros((1, *factors.shape)), shifts - shifts.mean(2, keepdims=True)])


def _temperatures(y: Array, logs: Floats) -> Floats:
    """Return the temperature of each lane with the least log loss, which is convex in the inverse of it.

    By Newton's method, within bounds that close in on the minimum.
    """
    right = logs[:, np.arange(len(y)), y].mean(1)
    inverse, low, high = np.ones(len(logs)), np.full(len(logs), 1 / HOTTEST), np.full(len(logs), 1 / COLDEST)
    for _ in range(NEWTON_STEPS):
        p = _softmax(logs * inverse[:, None, None])
        mean = (p * logs).sum(2)
        slope, curvature = mean.mean(1) - right, ((p * logs**2).sum(2) - mean**2).mean(1)
        low, high = np.where(slope > 0, low, inverse), np.where(slope > 0, inverse, high)
        step = inverse - slope / np.maximum(curvature, TINY)
        before, inverse = inverse, np.where((step > low) & (step < high), step, np.sqrt(low * high))
        if np.allclose(inverse, before, rtol=1e-6, atol=0):
            break
    return 1 / inverse[:, None]


def _softmax(logs: Floats) -> Floats:
    from scipy.special import softmax

    p: Floats = softmax(logs, axis=-1)
    return p
