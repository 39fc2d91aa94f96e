"""Wrong losses of one raw score or two: residuals, counts, densities."""

from lossreg import Float, Int, ops
from wrong.mutant import UNCALLABLE, Family, count, pair, raw, real

WRONG = Family()
C = Float("c", 1.0, 0.1, 10.0, log=True, domain="(0, inf)")
Q = Float("q", 0.3, 0.05, 0.95, domain="(0, 1)")


def row(values):
    return ops.sum(values, axis=-1)


# Residuals


@WRONG.add("minimum", "descent", "optimum", "confidently_wrong", **real(symmetric=False, elicits="mean"))
def signed_error(y, z):
    """The mean of y_pred - y_true: no bound below."""
    return row(z - y)


@WRONG.add(
    "finite",
    *UNCALLABLE,
    **real(elicits="exp(mean of log1p y) - 1"),
)
def msle_of_standardised(y, z):
    """log(1 + y) of targets below -1."""
    return row(ops.square(ops.log1p(z) - ops.log1p(y)))


@WRONG.add("confidently_wrong", "minimum", "optimum", "descent", "gradient", "soft_labels",
           **real(elicits="exp(mean of log1p y) - 1", non_differentiable_points=True))  # fmt: skip
def msle_floored(y, z):
    """log(1 + y) of targets floored at 0, as in Keras: negative predictions have no gradient."""
    return row(ops.square(ops.log1p(ops.relu(z)) - ops.log1p(ops.relu(y))))


@WRONG.add(
    "finite",
    *UNCALLABLE,
    **raw(activation="softplus", needs=("target_scale",), elicits="exp(mean of log1p y) - 1"),
)
def msle_any_target(y, z, *, target_scale):
    """Nothing says that the target must not be below 0."""
    return row(ops.square(ops.log1p(target_scale * ops.softplus(z)) - ops.log1p(y)))


@WRONG.add("optimum", **real(symmetric=False, non_differentiable_points=True, params=(Q,), elicits="quantile"))
def quantile_mirrored(y, z, *, q):
    """q and 1 - q in each other's place."""
    e = z - y
    return row(ops.maximum(q * e, (q - 1.0) * e))


@WRONG.add("optimum", **real(symmetric=False, params=(Float("tau", 0.3, 0.05, 0.95, domain="(0, 1)"),),
                             elicits="expectile"))  # fmt: skip
def expectile_mirrored(y, z, *, tau):
    """tau and 1 - tau in each other's place."""
    e = z - y
    return row(ops.where(e > 0.0, tau, 1.0 - tau) * ops.square(e))


@WRONG.add("arguments", **real(non_differentiable_points=True, params=(Q,), elicits="quantile"))
def quantile_called_symmetric(y, z, *, q):
    """Swapping labels and predictions makes q 1 - q."""
    e = y - z
    return row(ops.maximum(q * e, (q - 1.0) * e))


@WRONG.add("arguments", **real(symmetric=False, elicits="mean"))
def symmetric_unsaid(y, z):
    """Nobody could tell that the arguments were swapped, and nothing says so."""
    return row(ops.square(z - y))


@WRONG.add("optimum", **real(non_differentiable_points=True, elicits="mean"))
def absolute_called_mean(y, z):
    """The absolute error estimates the median."""
    return row(ops.abs(z - y))


@WRONG.add("optimum", **real(params=(C,), elicits="mean"))
def huber_called_mean(y, z, *, c):
    """Huber's loss estimates neither mean nor median."""
    size = ops.abs(z - y)
    bounded = ops.minimum(size, c)
    return row(bounded * (size - 0.5 * bounded))


@WRONG.add("gradient", **real(elicits="median"))
def absolute_kink_undeclared(y, z):
    """The absolute error has a kink, and nothing says so."""
    return row(ops.abs(z - y))


@WRONG.add("gradient", "precision", "confidently_wrong", **real(params=(C,), elicits=""))
def huber_with_a_step(y, z, *, c):
    """c^2 where c^2/2 belongs: a step at abs(e) = c."""
    size = ops.abs(z - y)
    return row(ops.where(size <= c, 0.5 * ops.square(size), c * size - ops.square(c)))


@WRONG.add("finite", "fuzz", **real(non_differentiable_points=True, elicits="median"))
def root_of_the_square(y, z):
    """The root has no slope at 0."""
    return row(ops.sqrt(ops.square(z - y)))


@WRONG.add("finite", "domain", "fuzz", "precision", "minimum", **real(params=(C,)))
def naive_log_cosh(y, z, *, c):
    """cosh(100) is infinite in single precision."""
    return row(ops.square(c) * ops.log(ops.cosh((z - y) / c)))


@WRONG.add("finite", "fuzz", **real(params=(C,), non_differentiable_points=True))
def logarithm_in_the_other_branch(y, z, *, c):
    """The branch not taken has a gradient of NaN."""
    size = ops.abs(z - y)
    return row(ops.where(size <= c, size, c + ops.log(size - c + 1.0)))


@WRONG.add(
    "finite", "domain", "fuzz", "alive", "precision", **real(params=(Float("a", 1.0, -4.0, 2.0, domain="(-inf, 2]"), C))
)
def barron_by_its_formula(y, z, *, a, c):
    """Barron's formula divides 0 by 0 at a = 2."""
    b = ops.abs(a - 2.0)
    return row(b / a * ((ops.square((z - y) / c) / b + 1.0) ** (a / 2.0) - 1.0))


@WRONG.add(
    "finite",
    "domain",
    "fuzz",
    "precision",
    "alive",
    **real(params=(Float("delta", 1.0, 0.0, 10.0, domain="[0, inf)"),)),
)
def smooth_l1_at_zero(y, z, *, delta):
    """A delta of 0 is declared to be good, and is a division by 0."""
    size = ops.abs(z - y)
    bounded = ops.minimum(size, delta)
    return row(bounded * (size - 0.5 * bounded) / delta)


@WRONG.add("confidently_wrong", "descent", **real(params=(C,), non_differentiable_points=True))
def tukey_undeclared(y, z, *, c):
    """Beyond c there is no gradient, and nothing says so."""
    inside = ops.minimum(ops.square((z - y) / c), 1.0)
    return row(ops.square(c) / 6.0 * (1.0 - (1.0 - inside) ** 3))


@WRONG.add("minimum", "descent", "optimum", "confidently_wrong", "finite", "fuzz", "precision",
           **real(params=(C,), non_differentiable_points=True, truncated=True))  # fmt: skip
def tukey_inside_out(y, z, *, c):
    """Constant within c, where it should be constant beyond."""
    outside = ops.maximum(ops.square((z - y) / c), 1.0)
    return row(ops.square(c) / 6.0 * (1.0 - (1.0 - outside) ** 3))


@WRONG.add("alive", **real(params=(C,), elicits="mean"))
def squares_over_scale(y, z, *, c):
    """The scale of a square is a factor."""
    return row(ops.square((z - y) / c))


@WRONG.add(
    "minimum",
    "optimum",
    "units",
    "descent",
    "constants",
    **raw(needs=("target_mean", "target_scale"), symmetric=True, elicits="mean"),
)
def activation_forgotten(y, z, *, target_mean, target_scale):
    """The score is compared with the label as if it were the prediction."""
    return row(ops.square(z - y) / ops.square(target_scale) + 0.0 * target_mean)


@WRONG.add("minimum", "gradient", **real(params=(C,)))
def huber_half_a_unit(y, z, *, c):
    """1/2 where c^2/2 belongs: right for c = 1 alone."""
    size = ops.abs(z - y)
    return row(ops.where(size <= c, 0.5 * ops.square(size), c * size - 0.5))


@WRONG.add("finite", "precision", "fuzz", "domain", **real(params=(Float("a", 1.0, -4.0, 1.9, domain="(-inf, 2)"),)))
def barron_decided_at_zero(y, z, *, a):
    """At a = 0 the other branch is not taken, but has a gradient of NaN; beside it figures cancel."""
    square, b = ops.square(z - y), ops.abs(a - 2.0)
    return row(ops.where(ops.equal(a, 0.0), ops.log1p(0.5 * square), b / a * ((square / b + 1.0) ** (a / 2.0) - 1.0)))


@WRONG.add("finite", "minimum", "confidently_wrong",
           **raw(needs=("target_mean", "target_scale"), non_differentiable_points=True))  # fmt: skip
def percentage_without_floor(y, z, *, target_mean, target_scale):
    """The percentage of a label of 0."""
    return row(100.0 * ops.abs(target_mean + target_scale * z - y) / ops.abs(y))


# Counts and densities


@WRONG.add("finite", "fuzz", "precision", "minimum", **count(elicits="mean", score_range=(-30.0, 30.0)))
def poisson_overflow(y, z, *, target_mean):
    """Beyond its score range it is infinite."""
    return row(target_mean * ops.exp(z) - y * z)


@WRONG.add("optimum", "minimum", "descent", "constants", **count(elicits="mean", score_range=(-30.0, 30.0)))
def poisson_mean_forgotten(y, z, *, target_mean):
    """The rate is e^z here, and target_mean e^z where it is scored."""
    inside = ops.clip(z, -30.0, 30.0)
    return row(ops.exp(inside) * (1.0 + z - inside) - y * z + 0.0 * target_mean)


@WRONG.add("optimum", "descent", "minimum", "constants", **count(elicits="mean", symmetric=True, minimum=0.0))
def squared_rate(y, z, *, target_mean):
    """The label is compared with the logarithm of the rate."""
    return row(ops.square(z - y) + 0.0 * target_mean)


@WRONG.add(
    "finite",
    *UNCALLABLE,
    **count(activation="identity", needs=(), elicits="mean"),
)
def poisson_of_any_value(y, z):
    """The logarithm of a prediction that may be negative."""
    return row(z - y * ops.log(z + 1e-7))


@WRONG.add(
    "minimum",
    "optimum",
    "descent",
    "finite",
    "fuzz",
    "confidently_wrong",
    **count(target="positive", tasks=("positive",), elicits="mean", score_range=(-30.0, 30.0)),
)
def gamma_wrong_sign(y, z, *, target_mean):
    """z - y e^-z has no bound below."""
    inside = ops.clip(z, -30.0, 30.0)
    return row(z - y / target_mean * ops.exp(-inside) * (1.0 - z + inside))


@WRONG.add("alive", **count(params=(Int("order", 1, 1, 4, domain="[1, inf)"),), elicits="mean",
                            score_range=(-30.0, 30.0)))  # fmt: skip
def poisson_dead_order(y, z, *, order, target_mean):
    """A whole number that is divided away."""
    inside = ops.clip(z, -30.0, 30.0)
    return row(target_mean * ops.exp(inside) * (1.0 + z - inside) - y * z * (order / order))


@WRONG.add("finite", *UNCALLABLE, **pair(elicits="mean"))
def gaussian_of_raw_variance(y, z):
    """A variance that may be negative has no logarithm."""
    variance = z[..., 1:]
    return row(0.5 * (ops.square(z[..., :1] - y) / variance + ops.log(variance)))


@WRONG.add("optimum", "descent", "minimum", "confidently_wrong", **pair(elicits="mean", score_range=(-15.0, 15.0)))
def gaussian_outputs_swapped(y, z):
    """The second output is the mean, the first is scored."""
    log_variance = 15.0 * ops.tanh(z[..., :1] / 15.0)
    return row(0.5 * (ops.square(z[..., 1:] - y) * ops.exp(-log_variance) + log_variance))


@WRONG.add("minimum", **pair(elicits="mean"))
def gaussian_without_logarithm(y, z):
    """Nothing holds the variance back: the larger, the better."""
    return row(0.5 * ops.square(z[..., :1] - y) / (1e-3 + ops.softplus(z[..., 1:])))


@WRONG.add("finite", "fuzz", "precision", **pair(elicits="mean"))
def gaussian_overflow(y, z):
    """e^100 is infinite in single precision."""
    return row(0.5 * (ops.square(z[..., :1] - y) * ops.exp(-z[..., 1:]) + z[..., 1:]))
