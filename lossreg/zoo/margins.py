"""Losses of k raw scores as they are, without softmax or beside it: margins and squares."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract import activations
from lossreg.contract.params import Float
from lossreg.contract.spec import LossSpec
from lossreg.zoo.numerics import expected, highest, sample_mean

# probabilities do not tell the raw scores that they come from
RAW_SOFTMAX = replace(activations.get("softmax"), inverse=None)
score_loss = partial(LossSpec, tasks=("binary", "multiclass"), activation="identity", elicits="mode")


def _best_other(z: Any) -> Any:
    """For each class the largest score of the others: `(..., k)` to `(..., k)`."""
    at_top = z >= highest(z)
    first = at_top & (ops.cumsum(ops.cast(at_top, "int32"), axis=-1) == 1)
    best = ops.sum(ops.where(first, z, 0.0), axis=-1, keepdims=True)
    second = highest(ops.where(first, -float("inf"), z))
    return ops.where(first, second, best)


def crammer_singer(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """max(0, margin + max_{j != t} z_j - z_t).

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; margin > 0; returns `(batch,)`, at least 0. Crammer and Singer, 2001.

    >>> y_true, scores = ops.array([[1.0, 0.0, 0.0]] * 2), ops.array([[-0.5, -2.0, -3.0], [1.0, 0.5, 0.0]])
    >>> [f"{float(v):.4f}" for v in crammer_singer(y_true, scores, margin=1.0)]
    ['0.0000', '0.5000']
    """
    return expected(y_true, ops.relu(margin + _best_other(y_pred) - y_pred))


CRAMMER_SINGER = score_loss(
    name="crammer_singer",
    function=crammer_singer,
    aliases=("multiclass_hinge", "crammer_singer_hinge"),
    summary="The support vector machine's loss for many classes: zero beyond the margin over the best other class.",
    reference="Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector machines, 2001",
    formula="max(0, margin + max_{j != t} z_j - z_t)",
    params=(Float("margin", 1.0, 0.25, 2.0, log=True, domain="(0, inf)"),),
    shift_invariant=True,
    kinks=True,
    elicits="mode, where a class has more than half",
)


def square_loss(y_true: Any, y_pred: Any, *, kappa: Any, M: Any) -> Any:
    """(kappa (z_t - M)^2 + sum_{j != t} z_j^2)/K, on raw scores.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; kappa > 0; M > 0; returns `(batch,)`, at least 0. arXiv:2006.07322.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.5, 0.0]])
    >>> print(f"{float(square_loss(y_true, scores, kappa=1.0, M=1.0)[0]):.4f}")
    0.6250
    """
    squares = kappa * y_true * ops.square(y_pred - M) + (1.0 - y_true) * ops.square(y_pred)
    return sample_mean(squares)


SQUARE_LOSS = score_loss(
    name="square_loss",
    function=square_loss,
    aliases=("rescaled_square_loss",),
    summary="Squared error of raw scores from M for the true class and 0 for the others.",
    reference="Hui and Belkin, Evaluation of neural architectures trained with square loss vs cross-entropy, 2020, "
    "arXiv:2006.07322",
    formula="(kappa (z_t - M)^2 + sum_{j != t} z_j^2)/K",
    params=(
        Float("kappa", 1.0, 1.0, 15.0, domain="(0, inf)"),
        Float("M", 1.0, 1.0, 30.0, log=True, domain="(0, inf)"),
    ),
    # of one logit the two scores [-z/2, z/2] cannot both be right
    minimum=None,
)


def squentropy(y_true: Any, y_pred: Any) -> Any:
    """LSE(z) - z_t + sum_{j != t} z_j^2/(K - 1): cross-entropy, and raw scores of wrong classes near 0.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; returns `(batch,)`, at least 0. arXiv:2302.03952.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[1.0, 1.0]])
    >>> print(f"{float(squentropy(y_true, scores)[0]):.4f}")
    1.6931
    """
    squares = (1.0 - y_true) * ops.square(y_pred) / (y_pred.shape[-1] - 1)
    return expected(y_true, -ops.log_softmax(y_pred, axis=-1)) + sample_mean(ops.sum(squares, axis=-1))


SQUENTROPY = score_loss(
    name="squentropy",
    function=squentropy,
    summary="Cross-entropy plus the mean square of the wrong classes' raw scores: steadier and better calibrated.",
    reference="Hui, Belkin and Wright, Cut your losses with squentropy, 2023, arXiv:2302.03952",
    formula="LSE(z) - z_t + sum_{j != t} z_j^2/(K - 1)",
    activation=RAW_SOFTMAX,
    probabilistic=True,
    minimum=None,
)

LOSSES = (CRAMMER_SINGER, SQUARE_LOSS, SQUENTROPY)
