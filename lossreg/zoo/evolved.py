"""Losses found by search: families whose very form is free."""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.declaration import softmax_loss
from lossreg.contract.params import Float
from lossreg.zoo.numerics import log_softmax, sample_mean

# y log p about y = p = 1/2: derivatives by p, pp, ppp, yp, ypp and yyp, after the point itself
CENTRE = (0.5, 0.5, 1.0, -2.0, 8.0, 2.0, -4.0, 0.0)


def _coefficient(i: int, value: float) -> Float:
    low, high = (value, value) if i == 2 else (value - 10.0, value + 10.0)
    return Float(f"theta_{i}", value, low, high)


@softmax_loss(
    aliases=("taylorglo",),
    reference="Gonzalez and Miikkulainen, Optimizing loss functions through multivariate Taylor polynomial "
    "parameterization, 2020, arXiv:2002.00059",
    params=tuple(_coefficient(i, value) for i, value in enumerate(CENTRE)),
    minimum=None,
    elicits="probability at its centre",
)
def taylor_glo(
    y_true: Any,
    y_pred: Any,
    *,
    theta_0: Any,
    theta_1: Any,
    theta_2: Any,
    theta_3: Any,
    theta_4: Any,
    theta_5: Any,
    theta_6: Any,
    theta_7: Any,
) -> Any:
    """A cubic in label and probability: cross-entropy at the centre, seven of eight coefficients searched.

        -sum (th2 b + th3 b^2/2 + th4 b^3/6 + th5 a b + th6 a b^2/2 + th7 a^2 b/2), a = y - th0, b = p - th1

    The polynomial is of third order about (theta_0, theta_1), without its terms in y alone. The defaults are the
    expansion of y log p about (1/2, 1/2). As p sums to 1, theta_2 only adds a constant, and is not searched. y_true
    `(batch, *spatial_shape, k)`, one-hot or class probabilities; y_pred of the same shape. Returns `(batch,)`,
    bounded. The paper's loss is the mean over classes.

    >>> y_true, raw_scores = ops.array([[0.0, 1.0]]), ops.array([[0.0, 0.0]])
    >>> centre = {f"theta_{i}": value for i, value in enumerate(CENTRE)}
    >>> right, undecided = taylor_glo(y_true, 1e3 * y_true, **centre), taylor_glo(y_true, raw_scores, **centre)
    >>> print(f"{float(right[0] - undecided[0]):.4f}")
    -0.5000
    """
    a, b = y_true - theta_0, ops.exp(log_softmax(y_pred)) - theta_1
    linear = theta_2 + theta_5 * a + 0.5 * theta_7 * a * a
    f = b * (linear + b * (0.5 * (theta_3 + theta_6 * a) + theta_4 / 6.0 * b))
    return sample_mean(-ops.sum(f, axis=-1))
