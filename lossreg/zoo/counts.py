"""Likelihoods of counts: the prediction is target_mean e^z, so training starts at the mean."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.spec import LossSpec
from lossreg.zoo.parts import exp_within, like, sample_mean

LOG_RANGE = (-30.0, 30.0)


def poisson(y_true: Any, y_pred: Any, *, target_mean: Any) -> Any:
    """e^r - y r, r = z + log(target_mean) the log of the rate; less the constant log y!.

    y_true `(batch, *space, 1)`, at least 0; y_pred of the same shape, scores; target_mean > 0;
    returns `(batch,)`. Beyond abs(z) = 30 the exponential goes on along its tangent. McCullagh and
    Nelder, 1989.

    >>> y_true, scores = ops.array([[3.0]]), ops.array([[0.0]])
    >>> print(f"{float(poisson(y_true, scores, target_mean=2.0)[0]):.4f}")
    -0.0794
    """
    log_mean = ops.log(ops.maximum(like(target_mean, y_pred), 1e-30))
    return sample_mean(target_mean * exp_within(y_pred, *LOG_RANGE) - y_true * (y_pred + log_mean))


POISSON = LossSpec(
    name="poisson",
    function=poisson,
    aliases=("poisson_nll", "poisson_loss"),
    tasks=("regression", "positive", "count"),
    summary="The likelihood of counts whose variance is their mean.",
    reference="McCullagh and Nelder, Generalized linear models, 1989",
    formula="e^r - y r, r = z + log(target_mean)",
    target="count",
    outputs="1",
    link="exp",
    needs=("target_mean",),
    score_range=LOG_RANGE,
    minimum=None,
    elicits="mean",
    recommended=("count",),
)

LOSSES = (POISSON,)
