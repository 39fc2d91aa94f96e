"""Wrong losses of one logit, of several labels, of masks and of classes in order."""

from lossreg import Float, ops
from wrong.mutant import CROSSED, GAMMA, Family, dense, multihot, ordinal, sigmoid, signed

WRONG = Family()


def row(values):
    return ops.sum(values, axis=-1)


def over_space(values):
    """`(batch, *space, 1)` to `(batch,)`."""
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


# One logit


@WRONG.add("confidently_wrong", "minimum", **sigmoid(elicits="probability"))
def sigmoid_clipped(y, z):
    """Clipped probabilities, as in Keras on probabilities."""
    p = ops.clip(ops.sigmoid(z), 1e-7, 1.0 - 1e-7)
    return row(-y * ops.log(p) - (1.0 - y) * ops.log(1.0 - p))


@WRONG.add("finite", "confidently_wrong", "minimum", "precision", "fuzz", **sigmoid(elicits="probability"))
def log_of_sigmoid(y, z):
    """The logarithm of a probability that has rounded to 0."""
    p = ops.sigmoid(z)
    return row(-y * ops.log(p) - (1.0 - y) * ops.log(1.0 - p))


@WRONG.add("finite", "confidently_wrong", "minimum", "fuzz", "soft_labels", **sigmoid(params=(GAMMA,), elicits="mode"))
def binary_focal_epsilon(y, z, *, gamma):
    """The epsilon stands in the logarithm, not in the power."""
    p = ops.where(ops.equal(y, 1.0), ops.sigmoid(z), 1.0 - ops.sigmoid(z))
    return row(-((1.0 - p) ** gamma) * ops.log(p + 1e-7))


@WRONG.add("soft_labels", "optimum", **sigmoid(elicits="probability"))
def binary_in_branches(y, z):
    """Labels that are neither 0 nor 1 match neither branch."""
    return row(ops.where(ops.equal(y, 1.0), ops.softplus(-z), ops.where(ops.equal(y, 0.0), ops.softplus(z), 0.0)))


@WRONG.add(
    "confidently_wrong",
    "minimum",
    "optimum",
    "descent",
    "soft_labels",
    "binary_side",
    **sigmoid(
        activation="identity", probabilistic=False, symmetric=True, non_differentiable_points=True, elicits="mode"
    ),
)
def hinge_on_zero_and_one(y, z):
    """The hinge of labels 0 and 1: class 0 has no gradient."""
    return row(ops.relu(1.0 - y * z))


@WRONG.add(
    "minimum",
    "optimum",
    "descent",
    "arguments",
    "binary_side",
    **signed(activation="sigmoid", probabilistic=True, symmetric=False, elicits="probability"),
)
def crossentropy_of_signs(y, z):
    """Cross-entropy of labels -1 and 1."""
    return row(y * ops.softplus(-z) + (1.0 - y) * ops.softplus(z))


@WRONG.add("confidently_wrong", "minimum", "arguments", **signed(non_differentiable_points=True))
def hinge_of_tanh(y, z):
    """The hinge after tanh: flat where it is wrong."""
    return row(ops.relu(1.0 - y * ops.tanh(z)))


@WRONG.add(
    "minimum", "descent", "optimum", "confidently_wrong", "binary_side", **signed(non_differentiable_points=True)
)
def hinge_wrong_side(y, z):
    """A plus where a minus belongs."""
    return row(ops.relu(1.0 + y * z))


@WRONG.add("finite", "fuzz", "precision", "minimum", **signed())
def exponential_margin(y, z):
    """e^100 is infinite in single precision."""
    return row(ops.exp(-y * z))


@WRONG.add("gradient", **signed())
def hinge_kink_undeclared(y, z):
    """The hinge has a kink, and nothing says so."""
    return row(ops.relu(1.0 - y * z))


@WRONG.add("alive", **sigmoid(params=(GAMMA, Float("alpha", 0.25, 0.05, 0.95, domain="(0, 1)")), elicits="mode"))
def alpha_without_balancing(y, z, *, gamma, alpha):
    """Keras ignores alpha unless told to balance."""
    return ops.sum(_focal_of_keras(y, z, gamma, alpha), axis=-1)


def _focal_of_keras(y, z, gamma, alpha, apply_class_balancing=False):
    right, wrong = ops.softplus(-z), ops.softplus(z)
    fade_1, fade_0 = ops.exp(-gamma * wrong), ops.exp(-gamma * right)
    if apply_class_balancing:
        y, others = alpha * y, (1.0 - alpha) * (1.0 - y)
    else:
        others = 1.0 - y
    return y * fade_1 * right + others * fade_0 * wrong


@WRONG.add("soft_labels", **sigmoid(elicits="probability"))
def labels_rounded(y, z):
    """Labels are rounded to 0 and 1."""
    y = ops.round(y)
    return row(y * ops.softplus(-z) + (1.0 - y) * ops.softplus(z))


# Several labels


@WRONG.add(
    "optimum", "minimum", "soft_labels", "confidently_wrong", **multihot(elicits="probability", shift_invariant=True)
)
def softmax_over_labels(y, z):
    """Labels that do not exclude each other share one softmax."""
    return -ops.mean(y * ops.log_softmax(z, axis=-1), axis=-1)


@WRONG.add(
    "finite",
    "domain",
    "fuzz",
    "confidently_wrong",
    "minimum",
    "alive",
    **multihot(params=(Float("gamma_neg", 4.0, 0.0, 6.0, domain="[0, inf)"),)),
)
def asymmetric_by_power(y, z, *, gamma_neg):
    """x^gamma has no slope at x = 0."""
    shifted = ops.relu(ops.sigmoid(z) - 0.05)
    negative = shifted**gamma_neg * -ops.log1p(-shifted)
    return ops.mean(y * ops.softplus(-z) + (1.0 - y) * negative, axis=-1)


@WRONG.add(
    "permutation", "optimum", "shape", "soft_labels", "descent", "confidently_wrong", **multihot(elicits="probability")
)
def first_label_only(y, z):
    """All labels but the first are forgotten."""
    return y[:, 0] * ops.softplus(-z[:, 0]) + (1.0 - y[:, 0]) * ops.softplus(z[:, 0])


@WRONG.add("batch", "constants", "soft_labels", *CROSSED, **multihot(minimum=0.0))
def balanced_in_the_batch(y, z):
    """The weight of present labels comes from the batch."""
    share = ops.mean(y, axis=0, keepdims=True)
    return ops.mean((1.0 - share) * y * ops.softplus(-z) + share * (1.0 - y) * ops.softplus(z), axis=-1)


# Masks

SMOOTH = Float("smooth", 1.0, 1e-3, 1.0, log=True, domain="(0, inf)")
FN = Float("fn_weight", 0.7, 0.3, 0.9, domain="(0, 1)")
# of four places three belong to the mask, one is found: (1 + 1)/(1 + 0.7 x 2 + 1)
MISSED = [{
    "y": [[[1.0], [1.0], [1.0], [0.0]]], "z": [[[50.0], [-50.0], [-50.0], [-50.0]]], "params": {"fn_weight": 0.7},
    "needs": {}, "values": [1.0 - 2.0 / 3.4], "source": "Salehi et al., arXiv:1706.05721, equation 3, smoothed by 1",
}]  # fmt: skip


def agreement(y, z):
    """True positives, false positives, false negatives: `(batch,)` each."""
    p = ops.sigmoid(z)
    return over_space(y * p), over_space((1.0 - y) * p), over_space(y * (1.0 - p))


@WRONG.add("golden", golden=MISSED, **dense(params=(FN,), elicits="overlap"))
def tversky_swapped(y, z, *, fn_weight):
    """The weight of missed places is put on false alarms, as in Keras before 3.16."""
    tp, fp, fn = agreement(y, z)
    return 1.0 - (tp + 1.0) / (tp + fn_weight * fp + (1.0 - fn_weight) * fn + 1.0)


@WRONG.add("batch", "constants", *CROSSED, **dense(elicits="overlap"))
def dice_over_the_batch(y, z):
    """All masks of the batch are one mask."""
    p = ops.sigmoid(z)
    overlap = (2.0 * ops.sum(y * p) + 1.0) / (ops.sum(y) + ops.sum(p) + 1.0)
    return 1.0 - overlap + 0.0 * over_space(p)


@WRONG.add("finite", "fuzz", "minimum", "confidently_wrong", "precision", "empty", **dense(elicits="overlap"))
def dice_of_nothing(y, z):
    """An empty mask, rightly found empty, is 0 through 0."""
    tp, fp, fn = agreement(y, z)
    return 1.0 - 2.0 * tp / (2.0 * tp + fp + fn)


@WRONG.add("minimum", "descent", "confidently_wrong", **dense(elicits="overlap"))
def dice_coefficient(y, z):
    """The overlap itself is brought down."""
    tp, fp, fn = agreement(y, z)
    return (2.0 * tp + 1.0) / (2.0 * tp + fp + fn + 1.0)


@WRONG.add("minimum", **dense(params=(SMOOTH,), elicits="overlap"))
def jaccard_of_the_sum(y, z, *, smooth):
    """The union counts the overlap twice."""
    tp, fp, fn = agreement(y, z)
    return 1.0 - (tp + smooth) / (2.0 * tp + fp + fn + smooth)


@WRONG.add("confidently_wrong", "descent", "shape", "minimum", "units", "gradient",
           **dense(elicits="overlap", non_differentiable_points=True))  # fmt: skip
def dice_of_decisions(y, z):
    """Rounded predictions have no gradient."""
    actual = ops.cast(z > 0.0, z.dtype)
    overlap = 2.0 * over_space(y * actual) + 1.0
    return 1.0 - overlap / (over_space(y) + over_space(actual) + 1.0)


@WRONG.add("alive", **dense(params=(SMOOTH,), elicits="overlap"))
def dice_dead_smooth(y, z, *, smooth):
    """The smoothing is a number in the formula, not the parameter."""
    tp, fp, fn = agreement(y, z)
    return 1.0 - (2.0 * tp + 1.0) / (2.0 * tp + fp + fn + 1.0)


# Classes in order


@WRONG.add("minimum", "descent", "optimum", "soft_labels", "confidently_wrong", **ordinal(elicits="the mean class"))
def distance_from_one(y, z):
    """Classes are counted from 1."""
    k = z.shape[-1]
    middle = row(ops.softmax(z, axis=-1) * (1.0 + ops.arange(k, dtype=z.dtype)))
    return ops.square(middle - y[..., 0])


@WRONG.add("batch", "minimum", "descent", "permutation", "confidently_wrong", "optimum", *CROSSED,
           **ordinal(elicits="the median class"))  # fmt: skip
def earth_movers_over_the_batch(y, z):
    """The cumulative sum runs over rows."""
    label = ops.one_hot(ops.cast(y[..., 0], "int32"), z.shape[-1], dtype=z.dtype)
    return row(ops.square(ops.cumsum(ops.softmax(z, axis=-1) - label, axis=0)))


@WRONG.add("precision", **ordinal(elicits="probability"))
def class_in_half(y, z):
    """Above 256 bfloat16 has no whole numbers of their own."""
    index = ops.cast(ops.cast(y[..., 0], "bfloat16"), "int32")
    return -row(ops.one_hot(index, z.shape[-1], dtype=z.dtype) * ops.log_softmax(z, axis=-1))


@WRONG.add("batch", "minimum", "descent", "optimum", "gradient", "shape", *CROSSED, **ordinal(elicits="probability"))
def labels_not_squeezed(y, z):
    """(n, 1) labels make (n, 1, k) of one-hot, and (n, n) of the product, which is averaged."""
    label = ops.one_hot(ops.cast(y, "int32"), z.shape[-1], dtype=z.dtype)
    return ops.mean(-row(label * ops.log_softmax(z, axis=-1)), axis=-1)
