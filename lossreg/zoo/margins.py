"""Losses of k raw scores as they are, without softmax or beside it: margins and squares."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from lossreg import ops
from lossreg.contract import activations
from lossreg.contract.declaration import loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import expected, highest, sample_mean

# probabilities do not tell the raw scores that they come from
RAW_SOFTMAX = replace(activations.get("softmax"), inverse=None)
raw_score_loss = partial(loss, tasks=("binary", "multiclass"), activation="identity", elicits="mode")


def _best_other(z: Any) -> Any:
    """For each class the largest raw score of the others: `(..., k)` to `(..., k)`."""
    at_top = z >= highest(z)
    first = at_top & (ops.cumsum(ops.cast(at_top, "int32"), axis=-1) == 1)
    best = ops.sum(ops.where(first, z, 0.0), axis=-1, keepdims=True)
    second = highest(ops.where(first, -float("inf"), z))
    return ops.where(first, second, best)


@raw_score_loss(
    aliases=("multiclass_hinge", "crammer_singer_hinge"),
    reference="Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector machines, 2001",
    params=(Float("margin", 1.0, 0.25, 2.0, log=True, domain="(0, inf)"),),
    shift_invariant=True,
    non_differentiable_points=True,
    elicits="mode, where a class has more than half",
)
def crammer_singer(y_true: Any, y_pred: Any, *, margin: Any) -> Any:
    """The support vector machine's loss for many classes: zero beyond the margin over the best other class.

        max(0, margin + max_{j != t} z_j - z_t)

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; margin > 0.
    Returns `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[1.0, 0.0, 0.0]] * 2), ops.array([[-0.5, -2.0, -3.0], [1.0, 0.5, 0.0]])
    >>> [f"{float(v):.4f}" for v in crammer_singer(y_true, raw_scores, margin=1.0)]
    ['0.0000', '0.5000']
    """
    return expected(y_true, ops.relu(margin + _best_other(y_pred) - y_pred))


@raw_score_loss(
    aliases=("rescaled_square_loss",),
    reference="Hui and Belkin, Evaluation of neural architectures trained with square loss vs cross-entropy, 2020, "
    "arXiv:2006.07322",
    params=(Float("kappa", 1.0, 1.0, 15.0, domain="(0, inf)"), Float("M", 1.0, 1.0, 30.0, log=True, domain="(0, inf)")),
    minimum=None,
)
def square_loss(y_true: Any, y_pred: Any, *, kappa: Any, M: Any) -> Any:
    """Squared error of raw scores from M for the true class and 0 for the others.

        (kappa (z_t - M)^2 + sum_{j != t} z_j^2)/K

    In a binary task the raw scores are -z/2 and z/2 of one logit, which cannot both be right. y_true `(batch,
    *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape; kappa > 0; M > 0. Returns
    `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.5, 0.0]])
    >>> print(f"{float(square_loss(y_true, raw_scores, kappa=1.0, M=1.0)[0]):.4f}")
    0.6250
    """
    squares = kappa * y_true * ops.square(y_pred - M) + (1.0 - y_true) * ops.square(y_pred)
    return sample_mean(squares)


@raw_score_loss(
    reference="Hui, Belkin and Wright, Cut your losses with squentropy, 2023, arXiv:2302.03952",
    activation=RAW_SOFTMAX,
    probabilistic=True,
    minimum=None,
)
def squentropy(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy plus the mean square of the wrong classes' raw scores: steadier and better calibrated.

        LSE(z) - z_t + sum_{j != t} z_j^2/(K - 1)

    y_true `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape. Returns
    `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[1.0, 1.0]])
    >>> print(f"{float(squentropy(y_true, raw_scores)[0]):.4f}")
    1.6931
    """
    squares = (1.0 - y_true) * ops.square(y_pred) / (y_pred.shape[-1] - 1)
    return expected(y_true, -ops.log_softmax(y_pred, axis=-1)) + sample_mean(ops.sum(squares, axis=-1))
