"""Losses of k raw scores that bear wrong labels."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.params import Float
from lossreg.zoo.multiclass import softmax_loss
from lossreg.zoo.parts import expected


def generalized_cross_entropy(y_true: Any, y_pred: Any, *, q: Any) -> Any:
    """(1 - p_t^q)/q: cross-entropy as q -> 0, 1 - p_t at q = 1.

    y_true `(batch, *space, k)` one-hot or class probabilities; y_pred `(batch, *space, k)` raw
    scores; q in (0, 1]; returns `(batch,)`, between 0 and 1/q. arXiv:1805.07836.

    >>> y_true, scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> print(f"{float(generalized_cross_entropy(y_true, scores, q=1.0)[0]):.4f}")
    0.5000
    """
    return expected(y_true, -ops.expm1(q * ops.log_softmax(y_pred, axis=-1)) / q)


GENERALIZED_CROSS_ENTROPY = softmax_loss(
    name="generalized_cross_entropy",
    function=generalized_cross_entropy,
    aliases=("gce", "generalized_ce", "categorical_generalized_cross_entropy"),
    summary="Between cross-entropy and mean absolute error: bears wrong labels.",
    reference="Zhang and Sabuncu, Generalized cross entropy loss, 2018, arXiv:1805.07836",
    formula="(1 - p_t^q)/q",
    params=(Float("q", 0.7, 0.05, 0.95, domain="(0, 1]"),),
    elicits="mode",
    recommended=("binary", "multiclass"),
)

LOSSES = (GENERALIZED_CROSS_ENTROPY,)
