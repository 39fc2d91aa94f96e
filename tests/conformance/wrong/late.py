"""Wrong losses that passed every check until somebody went looking for such."""

from lossreg import Float, ops
from wrong.mutant import Family, dense, fading, ordinal, pair, proper, real, sigmoid, signed

WRONG = Family()


def ce(y, z):
    return -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)


def row(values):
    return ops.sum(values, axis=-1)


# Gradients


@WRONG.add("confidently_wrong", **proper(minimum=None))
def epsilon_in_the_logarithm(y, z):
    """Beyond a score of 20 the epsilon is all that is left."""
    return -row(y * ops.log(ops.softmax(z, axis=-1) + 1e-8))


@WRONG.add("gradient", **signed(non_differentiable_points=True))
def hinge_with_a_step(y, z):
    """A kink is declared, and there is a step."""
    margin = row(y * z)
    return ops.where(margin < 0.0, 1.5 - margin, ops.relu(1.0 - margin))


@WRONG.add("gradient", **sigmoid(elicits="probability", non_differentiable_points=True))
def slope_lost_at_zero(y, z):
    """Both kinks cancel in the value, and not in the gradient."""
    return row(ops.maximum(z, 0.0) - z * y + ops.log1p(ops.exp(-ops.abs(z))))


# Labels


@ops.custom_gradient
def _by_the_largest_label(y, z):
    def grad(*args, upstream=None):
        slope = (args[0] if upstream is None else upstream)[..., None]
        hard = ops.one_hot(ops.argmax(y, axis=-1), z.shape[-1], dtype=z.dtype)
        return -slope * ops.log_softmax(z, axis=-1), slope * (ops.softmax(z, axis=-1) - hard)

    return ce(y, z), grad


@WRONG.add("soft_labels", **proper())
def gradient_of_the_largest_label(y, z):
    """Right values, and a gradient by hand that knows hard labels alone."""
    return _by_the_largest_label(y, z)


@WRONG.add("soft_labels", "arguments", **real(elicits="mean"))
def labels_in_half_precision(y, z):
    """Labels pass through float16."""
    return row(ops.square(z - ops.cast(ops.cast(y, "float16"), z.dtype)))


@WRONG.add("soft_labels", **proper())
def classes_in_half_precision(y, z):
    """Soft labels pass through bfloat16."""
    return ce(ops.cast(ops.cast(y, "bfloat16"), z.dtype), z)


@WRONG.add("soft_labels", **dense(elicits="probability"))
def masks_as_whole_numbers(y, z):
    """Masks of probabilities become 0."""
    hard = ops.cast(ops.cast(y, "int32"), z.dtype)
    values = hard * ops.softplus(-z) + (1.0 - hard) * ops.softplus(z)
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))


# Minima


@WRONG.add("minimum", **fading(params=(Float("t", 1.0, -2.0, 2.0, domain="(-inf, inf)"),), minimum=None))
def sign_of_a_parameter(y, z, *, t):
    """Below 0 the parameter turns the loss round."""
    return ce(y, t * z)


@WRONG.add("optimum", **pair(elicits="mean", non_differentiable_points=True, outputs="3", activation="quantiles"))
def three_quantiles_called_mean(y, z):
    """The middle one is the median."""
    below = z[:, :1]
    q = ops.concatenate([below, below + ops.cumsum(ops.softplus(z[:, 1:]), axis=-1)], axis=-1)
    level = ops.convert_to_tensor([0.1, 0.5, 0.9], dtype=z.dtype)
    return row(ops.maximum(level * (y - q), (level - 1.0) * (y - q)))


@WRONG.add("optimum", **ordinal(shift_invariant=True, elicits="median"))
def one_class_called_median(y, z):
    """The probability that is missing elicits the most frequent class, not the median."""
    index = ops.arange(z.shape[-1], dtype=z.dtype)
    return 1.0 - row(ops.cast(ops.equal(y, index), z.dtype) * ops.softmax(z, axis=-1))
