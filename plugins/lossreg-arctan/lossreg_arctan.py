"""The arctan loss, as a plugin of lossreg."""

from lossreg import Float, hookimpl, ops, regression_loss


@regression_loss(
    tasks=("regression",),
    params=(Float("c", 2.385, 0.01, 10.0, log=True, domain="(0, inf)"),),
    reference="scipy.optimize.least_squares",
)
def arctan(y_true, y_pred, *, c):
    """Quadratic near zero, bounded for outliers.

        c^2/2 arctan((e/c)^2)

    e is prediction - y; `(batch, 1)` and `(batch, 1)` to `(batch,)`.
    """
    return c**2 / 2 * ops.arctan(((y_pred - y_true)[:, 0] / c) ** 2)


@hookimpl
def lossreg_losses():
    """Yield the losses that this package offers."""
    yield arctan
