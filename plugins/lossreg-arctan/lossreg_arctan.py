"""The arctan loss, as a plugin of lossreg."""

from lossreg import Float, LossSpec, hookimpl, ops


def arctan(y_true, y_pred, *, c):
    """c^2/2 arctan((e/c)^2), e = prediction - y; `(batch, 1)` and `(batch, 1)` to `(batch,)`."""
    return c**2 / 2 * ops.arctan(((y_pred - y_true)[:, 0] / c) ** 2)


@hookimpl
def lossreg_losses():
    """The losses that this package offers."""
    yield LossSpec(
        name="arctan", function=arctan, tasks=("regression",), target="real", outputs="1", activation="identity",
        params=(Float("c", 2.385, 0.01, 10.0, log=True, domain="(0, inf)"),), formula="c^2/2 arctan((e/c)^2)",
        summary="quadratic near zero, bounded for outliers", reference="scipy.optimize.least_squares", symmetric=True,
    )  # fmt: skip
