"""Wrong losses of one raw score, of two, of several labels, of masks and of classes in order."""

from mutant import CROSSED, Family, count, dense, multihot, ordinal, pair, raw, real, sigmoid, signed

from lossreg import Float, Int, ops

WRONG = Family()
C = Float("c", 1.0, 0.1, 10.0, log=True, domain="(0, inf)")
Q = Float("q", 0.3, 0.05, 0.95, domain="(0, 1)")
GAMMA = Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)")


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


@WRONG.add("finite", "confidently_wrong", "minimum", "fuzz", **sigmoid(params=(GAMMA,), elicits="mode"))
def binary_focal_epsilon(y, z, *, gamma):
    """The epsilon stands in the logarithm, not in the power."""
    p = ops.where(ops.equal(y, 1.0), ops.sigmoid(z), 1.0 - ops.sigmoid(z))
    return row(-((1.0 - p) ** gamma) * ops.log(p + 1e-7))


@WRONG.add("soft_labels", "optimum", **sigmoid(elicits="probability"))
def binary_in_branches(y, z):
    """Labels that are neither 0 nor 1 match neither branch."""
    return row(ops.where(ops.equal(y, 1.0), ops.softplus(-z), ops.where(ops.equal(y, 0.0), ops.softplus(z), 0.0)))


@WRONG.add("confidently_wrong", "minimum", "optimum", "descent", "soft_labels",
           **sigmoid(link="identity", probabilistic=False, kinks=True, elicits="mode"))  # fmt: skip
def hinge_on_zero_and_one(y, z):
    """The hinge of labels 0 and 1: class 0 has no gradient."""
    return row(ops.relu(1.0 - y * z))


@WRONG.add("minimum", "optimum", "descent", "arguments",
           **signed(link="sigmoid", probabilistic=True, symmetric=False, elicits="probability"))  # fmt: skip
def crossentropy_of_signs(y, z):
    """Cross-entropy of labels -1 and 1."""
    return row(y * ops.softplus(-z) + (1.0 - y) * ops.softplus(z))


@WRONG.add("confidently_wrong", "minimum", "arguments", **signed(kinks=True))
def hinge_of_tanh(y, z):
    """The hinge after tanh: flat where it is wrong."""
    return row(ops.relu(1.0 - y * ops.tanh(z)))


@WRONG.add("minimum", "descent", "optimum", **signed(kinks=True))
def hinge_wrong_side(y, z):
    """A plus where a minus belongs."""
    return row(ops.relu(1.0 + y * z))


@WRONG.add("finite", "fuzz", "precision", **signed())
def exponential_margin(y, z):
    """e^100 is infinite in single precision."""
    return row(ops.exp(-y * z))


@WRONG.add("gradient", **signed())
def hinge_kink_undeclared(y, z):
    """The hinge has a kink, and nothing says so."""
    return row(ops.relu(1.0 - y * z))


# Several labels


@WRONG.add("optimum", "minimum", "soft_labels", **multihot(elicits="probability"))
def softmax_over_labels(y, z):
    """Labels that do not exclude each other share one softmax."""
    return -ops.mean(y * ops.log_softmax(z, axis=-1), axis=-1)


@WRONG.add("finite", "domain", "fuzz", "confidently_wrong", "minimum",
           **multihot(params=(Float("gamma_neg", 4.0, 0.0, 6.0, domain="[0, inf)"),), elicits="mode"))  # fmt: skip
def asymmetric_by_power(y, z, *, gamma_neg):
    """x^gamma has no slope at x = 0."""
    shifted = ops.relu(ops.sigmoid(z) - 0.05)
    negative = shifted**gamma_neg * -ops.log1p(-shifted)
    return ops.mean(y * ops.softplus(-z) + (1.0 - y) * negative, axis=-1)


@WRONG.add("permutation", "optimum", "shape", "soft_labels", **multihot(elicits="probability"))
def first_label_only(y, z):
    """All labels but the first are forgotten."""
    return y[:, 0] * ops.softplus(-z[:, 0]) + (1.0 - y[:, 0]) * ops.softplus(z[:, 0])


@WRONG.add("batch", "constants", *CROSSED, **multihot(elicits="mode", minimum=0.0))
def balanced_in_the_batch(y, z):
    """The weight of present labels comes from the batch."""
    share = ops.mean(y, axis=0, keepdims=True)
    return ops.mean((1.0 - share) * y * ops.softplus(-z) + share * (1.0 - y) * ops.softplus(z), axis=-1)


# Residuals


@WRONG.add("minimum", "descent", "optimum", **real(symmetric=False, elicits="mean"))
def signed_error(y, z):
    """The mean of y_pred - y_true: no bound below."""
    return row(z - y)


@WRONG.add("finite", "fuzz", "confidently_wrong", "minimum", "descent", "gradient", "precision", "batch", "optimum",
           "permutation", "reduction", "weights", "lanes", "graph", "saving", "purity", "golden",
           **real(elicits="exp(mean of log1p y) - 1"))  # fmt: skip
def msle_of_standardised(y, z):
    """log(1 + y) of targets below -1."""
    return row(ops.square(ops.log1p(z) - ops.log1p(y)))


@WRONG.add("confidently_wrong", "minimum", "optimum", "descent", "gradient",
           **real(elicits="exp(mean of log1p y) - 1", kinks=True))  # fmt: skip
def msle_floored(y, z):
    """log(1 + y) of targets floored at 0, as in Keras: negative predictions have no gradient."""
    return row(ops.square(ops.log1p(ops.relu(z)) - ops.log1p(ops.relu(y))))


@WRONG.add("finite", "fuzz", **raw(link="softplus", needs=("target_scale",), elicits="exp(mean of log1p y) - 1"))
def msle_any_target(y, z, *, target_scale):
    """Nothing says that the target must not be below 0."""
    return row(ops.square(ops.log1p(target_scale * ops.softplus(z)) - ops.log1p(y)))


@WRONG.add("optimum", **real(symmetric=False, kinks=True, params=(Q,), elicits="quantile"))
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


@WRONG.add("arguments", **real(kinks=True, params=(Q,), elicits="quantile"))
def quantile_called_symmetric(y, z, *, q):
    """Swapping labels and predictions makes q 1 - q."""
    e = y - z
    return row(ops.maximum(q * e, (q - 1.0) * e))


@WRONG.add("arguments", **real(symmetric=False, elicits="mean"))
def symmetric_unsaid(y, z):
    """Nobody could tell that the arguments were swapped, and nothing says so."""
    return row(ops.square(z - y))


@WRONG.add("optimum", **real(kinks=True, elicits="mean"))
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


@WRONG.add("finite", "fuzz", **real(kinks=True, elicits="median"))
def root_of_the_square(y, z):
    """The root has no slope at 0."""
    return row(ops.sqrt(ops.square(z - y)))


@WRONG.add("finite", "domain", "fuzz", "precision", **real(params=(C,)))
def naive_log_cosh(y, z, *, c):
    """cosh(100) is infinite in single precision."""
    return row(ops.square(c) * ops.log(ops.cosh((z - y) / c)))


@WRONG.add("finite", "fuzz", **real(params=(C,), kinks=True))
def logarithm_in_the_other_branch(y, z, *, c):
    """The branch not taken has a gradient of NaN."""
    size = ops.abs(z - y)
    return row(ops.where(size <= c, size, c + ops.log(size - c + 1.0)))


@WRONG.add("finite", "domain", "fuzz", "alive", **real(params=(Float("a", 1.0, -4.0, 2.0, domain="(-inf, 2]"), C)))
def barron_by_its_formula(y, z, *, a, c):
    """Barron's formula divides 0 by 0 at a = 2."""
    b = ops.abs(a - 2.0)
    return row(b / a * ((ops.square((z - y) / c) / b + 1.0) ** (a / 2.0) - 1.0))


@WRONG.add("finite", "domain", "fuzz", **real(params=(Float("delta", 1.0, 0.0, 10.0, domain="[0, inf)"),)))
def smooth_l1_at_zero(y, z, *, delta):
    """A delta of 0 is declared to be good, and is a division by 0."""
    size = ops.abs(z - y)
    bounded = ops.minimum(size, delta)
    return row(bounded * (size - 0.5 * bounded) / delta)


@WRONG.add("confidently_wrong", "descent", **real(params=(C,), kinks=True))
def tukey_undeclared(y, z, *, c):
    """Beyond c there is no gradient, and nothing says so."""
    inside = ops.minimum(ops.square((z - y) / c), 1.0)
    return row(ops.square(c) / 6.0 * (1.0 - (1.0 - inside) ** 3))


@WRONG.add("minimum", "descent", "optimum", "confidently_wrong", "finite", "fuzz", "precision",
           **real(params=(C,), kinks=True, truncated=True))  # fmt: skip
def tukey_inside_out(y, z, *, c):
    """Constant within c, where it should be constant beyond."""
    outside = ops.maximum(ops.square((z - y) / c), 1.0)
    return row(ops.square(c) / 6.0 * (1.0 - (1.0 - outside) ** 3))


@WRONG.add("alive", **real(params=(C,), elicits="mean"))
def squares_over_scale(y, z, *, c):
    """The scale of a square is a factor."""
    return row(ops.square((z - y) / c))


@WRONG.add("minimum", "optimum", "units", "descent",
           **raw(needs=("target_mean", "target_scale"), elicits="mean"))  # fmt: skip
def link_forgotten(y, z, *, target_mean, target_scale):
    """The score is compared with the label as if it were the prediction."""
    return row(ops.square(z - y) / ops.square(target_scale) + 0.0 * target_mean)


# Counts and densities


@WRONG.add("finite", "fuzz", "precision", **count(elicits="mean", score_range=(-30.0, 30.0)))
def poisson_overflow(y, z, *, target_mean):
    """Beyond its score range it is infinite."""
    return row(target_mean * ops.exp(z) - y * z)


@WRONG.add("optimum", **count(elicits="mean", score_range=(-30.0, 30.0)))
def poisson_mean_forgotten(y, z, *, target_mean):
    """The rate is e^z here, and target_mean e^z where it is scored."""
    inside = ops.clip(z, -30.0, 30.0)
    return row(ops.exp(inside) * (1.0 + z - inside) - y * z + 0.0 * target_mean)


@WRONG.add("optimum", "descent", **count(elicits="mean", minimum=0.0))
def squared_rate(y, z, *, target_mean):
    """The label is compared with the logarithm of the rate."""
    return row(ops.square(z - y) + 0.0 * target_mean)


@WRONG.add("finite", "fuzz", "confidently_wrong", "gradient", "precision", "batch", "permutation", "reduction",
           "weights", "lanes", "graph", "saving", "purity", "optimum", "descent", "minimum", "empty",
           **count(link="identity", needs=(), elicits="mean"))  # fmt: skip
def poisson_of_any_value(y, z):
    """The logarithm of a prediction that may be negative."""
    return row(z - y * ops.log(z + 1e-7))


@WRONG.add("minimum", "optimum", "descent", "finite", "fuzz",
           **count(target="positive", tasks=("positive",), elicits="mean", score_range=(-30.0, 30.0)))  # fmt: skip
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


@WRONG.add("finite", "fuzz", "confidently_wrong", "descent", "gradient", "precision", "optimum", "permutation",
           "batch", "reduction", "weights", "lanes", "graph", "saving", "purity", "shape", "minimum", "labels",
           **pair(elicits="mean"))  # fmt: skip
def gaussian_of_raw_variance(y, z):
    """A variance that may be negative has no logarithm."""
    variance = z[..., 1:]
    return row(0.5 * (ops.square(z[..., :1] - y) / variance + ops.log(variance)))


@WRONG.add("optimum", "descent", "minimum", "confidently_wrong", **pair(elicits="mean", score_range=(-15.0, 15.0)))
def gaussian_outputs_swapped(y, z):
    """The second output is the mean, the first is scored."""
    log_variance = 15.0 * ops.tanh(z[..., :1] / 15.0)
    return row(0.5 * (ops.square(z[..., 1:] - y) * ops.exp(-log_variance) + log_variance))


@WRONG.add("finite", "fuzz", "precision", **pair(elicits="mean"))
def gaussian_overflow(y, z):
    """e^100 is infinite in single precision."""
    return row(0.5 * (ops.square(z[..., :1] - y) * ops.exp(-z[..., 1:]) + z[..., 1:]))


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


@WRONG.add("minimum", "descent", **dense(elicits="overlap"))
def dice_coefficient(y, z):
    """The overlap itself is brought down."""
    tp, fp, fn = agreement(y, z)
    return (2.0 * tp + 1.0) / (2.0 * tp + fp + fn + 1.0)


@WRONG.add("minimum", **dense(params=(SMOOTH,), elicits="overlap"))
def jaccard_of_the_sum(y, z, *, smooth):
    """The union counts the overlap twice."""
    tp, fp, fn = agreement(y, z)
    return 1.0 - (tp + smooth) / (2.0 * tp + fp + fn + smooth)


@WRONG.add("confidently_wrong", "descent", **dense(elicits="overlap", kinks=True))
def dice_of_decisions(y, z):
    """Rounded predictions have no gradient."""
    found = ops.cast(z > 0.0, z.dtype)
    overlap = 2.0 * over_space(y * found) + 1.0
    return 1.0 - overlap / (over_space(y) + over_space(found) + 1.0)


@WRONG.add("alive", **dense(params=(SMOOTH,), elicits="overlap"))
def dice_dead_smooth(y, z, *, smooth):
    """The smoothing is a number in the formula, not the parameter."""
    tp, fp, fn = agreement(y, z)
    return 1.0 - (2.0 * tp + 1.0) / (2.0 * tp + fp + fn + 1.0)


# Classes in order


@WRONG.add("minimum", "descent", "optimum", "soft_labels", **ordinal(elicits="the mean class"))
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


@WRONG.add("shape", "batch", "minimum", "descent", "optimum", "gradient", *CROSSED, **ordinal(elicits="probability"))
def labels_not_squeezed(y, z):
    """(n, 1) labels make (n, 1, k) of one-hot, and (n, n) of the product, which is averaged."""
    label = ops.one_hot(ops.cast(y, "int32"), z.shape[-1], dtype=z.dtype)
    return ops.mean(-row(label * ops.log_softmax(z, axis=-1)), axis=-1)
