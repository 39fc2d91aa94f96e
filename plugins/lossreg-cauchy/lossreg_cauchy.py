"""The Cauchy loss, as a plugin of lossreg."""

from lossreg import Float, LossSpec, hookimpl, ops


def cauchy(y_true, y_pred, *, c):
    """c^2/2 log(1 + (e/c)^2), e = prediction - y; `(batch, 1)` and `(batch, 1)` to `(batch,)`."""
    return c**2 / 2 * ops.log1p(((y_pred - y_true)[:, 0] / c) ** 2)


@hookimpl
def lossreg_losses():
    """The losses that this package offers."""
    yield LossSpec(
        name="cauchy", function=cauchy, tasks=("regression",), target="real", outputs="1", link="identity",
        params=(Float("c", 2.385, 0.01, 10.0, log=True, domain="(0, inf)"),), formula="c^2/2 log(1 + (e/c)^2)",
        summary="quadratic near zero, logarithmic for outliers", reference="Holland and Welsch (1977)", symmetric=True,
    )  # fmt: skip
