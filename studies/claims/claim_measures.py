"""What is measured on the test rows, beside lossreg's own metrics."""

from __future__ import annotations

import numpy as np

BINS = 15
SMALLEST = 0.01  # a count that is predicted: the deviance of 0 is infinite
TEMPERATURES = np.geomspace(0.1, 10, 81)


def share_right(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the accuracy of probabilities, which a study of it keeps."""
    return float((y_pred.argmax(axis=1) == y_true).mean())


def deviance(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the Poisson deviance of predictions of any sign: those below `SMALLEST` are raised to it."""
    mean = np.maximum(y_pred, SMALLEST)
    ratio = np.where(y_true > 0, y_true, 1.0) / mean
    return float(2 * (y_true * np.log(ratio) - y_true + mean).mean())


def calibration_error(y: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error of the likeliest class, of bins of the same width (Guo et al., 2017)."""
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, is_right - confidence, BINS)).sum() / len(y))


def tempered(y: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities at the temperature that is best on the other half of the rows."""
    logs, made = np.log(np.maximum(probabilities, 1e-30)), probabilities.copy()
    halves = np.arange(len(y)) % 2 == 0, np.arange(len(y)) % 2 == 1
    for half, other in (halves, halves[::-1]):
        losses = [
            -np.log(_softmax(logs[other] / t)[np.arange(other.sum()), y[other]] + 1e-30).mean() for t in TEMPERATURES
        ]
        made[half] = _softmax(logs[half] / TEMPERATURES[int(np.argmin(losses))])
    return made


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return made
