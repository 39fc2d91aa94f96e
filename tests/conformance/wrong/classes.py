"""Wrong losses of k raw scores: formulas, parameters and declarations."""

from lossreg import Choice, Float, Int, Limit, PerClass, ops
from lossreg.zoo.numerics import log_other
from wrong.mutant import CROSSED, GAMMA, Family, fading, proper, scored

WRONG = Family()
EPS = Float("eps", 0.1, 0.0, 0.3, domain="[0, 1)")
CE = Limit({}, "cross_entropy")


def minus_log(z):
    return -ops.log_softmax(z, axis=-1)


def ce(y, z):
    return ops.sum(y * minus_log(z), axis=-1)


def fade(z, gamma):
    return ops.exp(gamma * log_other(z))


# Parameters that do nothing, or no more than a learning rate does


@WRONG.add("alive", **fading(params=(GAMMA, Float("alpha", 0.25, 0.05, 0.95, domain="(0, 1)"))))
def focal_scalar_alpha(y, z, *, gamma, alpha):
    """One alpha for all classes only rescales the learning rate."""
    return alpha * ops.sum(y * fade(z, gamma) * minus_log(z), axis=-1)


@WRONG.add("alive", **fading(params=(GAMMA, PerClass("alpha"))))
def focal_dead_alpha(y, z, *, gamma, alpha):
    """Alpha is taken and never used."""
    return ops.sum(y * fade(z, gamma) * minus_log(z), axis=-1)


@WRONG.add("alive", **fading(params=(GAMMA, PerClass("alpha"))))
def focal_mean_alpha(y, z, *, gamma, alpha):
    """The weights are averaged before they are used."""
    return ops.mean(alpha) * ops.sum(y * fade(z, gamma) * minus_log(z), axis=-1)


@WRONG.add("alive", **fading(params=(GAMMA,)))
def focal_dead_gamma(y, z, *, gamma):
    """Gamma is overwritten by a number left from trying things out."""
    gamma = 2.0 + 0.0 * gamma
    return ops.sum(y * fade(z, gamma) * minus_log(z), axis=-1)


@WRONG.add("alive", **fading(params=(GAMMA,)))
def focal_capped_gamma(y, z, *, gamma):
    """Gamma above 2 is clipped without a word."""
    return ops.sum(y * fade(z, ops.minimum(gamma, 2.0)) * minus_log(z), axis=-1)


@WRONG.add("alive", **proper(params=(Float("weight", 1.0, 0.1, 10.0, log=True, domain="(0, inf)"),)))
def ce_times_weight(y, z, *, weight):
    """The weight of a loss that stands alone."""
    return weight * ce(y, z)


@WRONG.add("alive", **proper(params=(EPS,), limits=(Limit({"eps": 0.0}, "cross_entropy"),)))
def smoothing_towards_zero(y, z, *, eps):
    """Labels are shrunk, and nothing is given to the other classes."""
    return ce((1.0 - eps) * y, z)


@WRONG.add("alive", **fading(params=(Int("order", 2, 1, 8, domain="[1, inf)", static=True),)))
def taylor_whole_division(y, z, *, order):
    """1 // j is 0 from the second term on."""
    wrong = 1.0 - ops.softmax(z, axis=-1)
    return ops.sum(y * sum((1 // j) * wrong**j for j in range(1, order + 1)), axis=-1)


@WRONG.add("alive", **proper(params=(Choice("base", "nats", ("nats", "bits")),)))
def ce_dead_choice(y, z, *, base):
    """A choice that is never looked at."""
    return ce(y, z)


@WRONG.add("alive", **fading(params=(GAMMA, Float("floor", 1e-9, 1e-12, 1e-6, log=True, domain="(0, 1)"))))
def focal_dead_floor(y, z, *, gamma, floor):
    """A floor under the logarithm whose logarithm is never taken."""
    p = ops.maximum(ops.softmax(z, axis=-1), floor)
    return ops.sum(y * fade(z, gamma) * minus_log(z), axis=-1) + 0.0 * ops.sum(p, axis=-1)


BETA = Float("beta", 0.9, 0.6, 1.0, domain="(0, 1]")


@WRONG.add("alive", **fading(params=(BETA,), stop_gradient=True, limits=(Limit({"beta": 1.0}, "cross_entropy"),)))
def bootstrap_detached(y, z, *, beta):
    """Soft bootstrapping whose mixed-in probabilities have no gradient: beta (p - y) remains, a learning rate."""
    p = ops.stop_gradient(ops.softmax(z, axis=-1))
    return ce(beta * y + (1.0 - beta) * p, z)


@WRONG.add("alive", **proper(params=(Float("level", 0.0, 0.0, 1.0),), minimum=None))
def ce_and_level(y, z, *, level):
    """A constant is added, which no gradient sees."""
    return ce(y, z) + level


# Wrong formulas


@WRONG.add("soft_labels", **proper())
def labels_squared(y, z):
    """The labels are multiplied in twice."""
    return ops.sum(y * (y * minus_log(z)), axis=-1)


@WRONG.add("soft_labels", **fading(params=(GAMMA,)))
def focal_in_branches(y, z, *, gamma):
    """A label that is neither 0 nor 1 matches neither branch, and costs nothing."""
    return ops.sum(ops.where(ops.equal(y, 1.0), fade(z, gamma) * minus_log(z), 0.0), axis=-1)


@WRONG.add(
    "minimum",
    "shift",
    "finite",
    "descent",
    "optimum",
    "soft_labels",
    "confidently_wrong",
    "binary_side",
    "fuzz",
    "golden",
    "constants",
    "units",
    **proper(),
)
def ce_swapped(y_pred, y_true):
    """Predictions are taken before labels."""
    return -ops.sum(y_true * ops.log_softmax(y_pred, axis=-1), axis=-1)


@WRONG.add("minimum", "optimum", "descent", "soft_labels", "binary_side", "confidently_wrong", **proper())
def ce_wrong_sign(y, z):
    """The minus sign is lost."""
    return -ce(y, z)


@WRONG.add(
    "minimum",
    "permutation",
    "optimum",
    "descent",
    "soft_labels",
    "binary_side",
    "confidently_wrong",
    "lanes",
    **proper(),
)
def ce_next_class(y, z):
    """Labels that start from 1 are taken to start from 0."""
    return ce(ops.roll(y, 1, axis=-1), z)


@WRONG.add("minimum", "confidently_wrong", "optimum", "units", "soft_labels", **proper())
def softmax_twice(y, z):
    """Softmax of what is softmax already: never near 0, and flat where it is wrong."""
    return ce(y, ops.softmax(z, axis=-1))


@WRONG.add("shift", "optimum", "soft_labels", "units", **proper())
def one_against_the_rest(y, z):
    """Sigmoids where the prediction is made by softmax."""
    return ops.sum(y * ops.softplus(-z) + (1.0 - y) * ops.softplus(z), axis=-1)


@WRONG.add("limits", **proper(limits=(CE,), formula="LSE(z) - z_t, in nats"))
def ce_in_bits(y, z):
    """The logarithm to base 2."""
    return ce(y, z) / 0.6931471805599453


@WRONG.add("limits", **proper(limits=(CE,)))
def ce_mean_over_classes(y, z):
    """A mean over classes where a sum is meant."""
    return ops.mean(y * minus_log(z), axis=-1)


@WRONG.add("optimum", "shift", "soft_labels", "units", **proper(symmetric=True))
def brier_of_scores(y, z):
    """The squared error of raw scores, taken for probabilities."""
    return ops.sum(ops.square(z - y), axis=-1)


@WRONG.add("minimum", **fading())
def cosine_as_mean(y, z):
    """The products are averaged where they should be summed."""
    p = ops.softmax(z, axis=-1)
    size = ops.sqrt(ops.maximum(ops.sum(p * p, axis=-1) * ops.sum(y * y, axis=-1), 1e-12))
    return -ops.mean(y * p, axis=-1) / size


COSINE_AT_ZERO = WRONG.add("minimum", **fading(minimum=0.0, name="cosine_minimum_zero"))


@COSINE_AT_ZERO
def cosine(y, z):
    """Right, but it comes down to -1 and 0 is declared."""
    p = ops.softmax(z, axis=-1)
    size = ops.sqrt(ops.maximum(ops.sum(p * p, axis=-1) * ops.sum(y * y, axis=-1), 1e-12))
    return -ops.sum(y * p, axis=-1) / size


@WRONG.add("binary_side", "optimum", "descent", "soft_labels", "confidently_wrong", "minimum", **proper(minimum=None))
def ce_of_the_others(y, z):
    """Square brackets round the wrong thing: the other classes are rewarded."""
    return ce(1.0 - y, z)


@WRONG.add(
    "binary_side",
    "descent",
    "optimum",
    "confidently_wrong",
    "soft_labels",
    "minimum",
    **scored(shift_invariant=False, symmetric=True, elicits="mode", minimum=None),
)
def square_on_wrong_coding(y, z):
    """Squared distance to labels coded 1 for the wrong classes and 0 for the right one."""
    return ops.mean(ops.square(z - (1.0 - y)), axis=-1)


@WRONG.add("permutation", "optimum", "binary_side", "soft_labels", **proper())
def classes_in_order(y, z):
    """Later classes weigh more, on the quiet."""
    return ce(y * (1.0 + ops.arange(z.shape[-1], dtype=z.dtype)), z)


@WRONG.add("permutation", "optimum", "soft_labels", "confidently_wrong", **fading(elicits="the median class"))
def earth_movers_distance(y, z):
    """Classes in order, offered for classes that have none."""
    return ops.sum(ops.square(ops.cumsum(ops.softmax(z, axis=-1) - y, axis=-1)), axis=-1)


@WRONG.add(
    "descent",
    "precision",
    **fading(truncated=True, non_differentiable_points=True, minimum=None, elicits="mode of the learnt samples"),
)
def truncated_gce_absolute(y, z):
    """Constant below p_t = 1/2: from scratch no sample has a gradient."""
    p = ops.softmax(z, axis=-1)
    return ops.sum(y * (1.0 - ops.maximum(p, 0.5) ** 0.7), axis=-1) / 0.7


@WRONG.add("confidently_wrong", "minimum", "permutation", "optimum", "binary_side", **proper())
def background_left_out(y, z):
    """Class 0 is background, and has no loss."""
    return ops.sum(y[:, 1:] * minus_log(z)[:, 1:], axis=-1)


# Numbers that run over


@WRONG.add("finite", "fuzz", "shape", "labels", "permutation", "lanes", "minimum", "confidently_wrong", "descent",
           "binary_side", "soft_labels", **fading(minimum=None))  # fmt: skip
def mean_of_the_rest(y, z):
    """k - 2 is 0 for two classes."""
    rest = ops.sum((1.0 - y) * ops.square(ops.softmax(z, axis=-1)), axis=-1)
    return ce(y, z) + rest / ops.cast(z.shape[-1] - 2, z.dtype)


@WRONG.add("confidently_wrong", **proper())
def softmax_clipped(y, z):
    """Clipped probabilities have no gradient where it is needed most."""
    return -ops.sum(y * ops.log(ops.clip(ops.softmax(z, axis=-1), 1e-7, 1.0 - 1e-7)), axis=-1)


@WRONG.add("finite", "fuzz", "confidently_wrong", "minimum", "precision", **proper())
def log_of_softmax(y, z):
    """0 times log 0."""
    return -ops.sum(y * ops.log(ops.softmax(z, axis=-1)), axis=-1)


@WRONG.add("finite", "fuzz", "precision", "minimum", **proper())
def naive_logsumexp(y, z):
    """e^100 is infinite in single precision."""
    return ops.log(ops.sum(ops.exp(z), axis=-1)) - ops.sum(y * z, axis=-1)


@WRONG.add("finite", "fuzz", "confidently_wrong", **fading(params=(Float("q", 0.7, 0.05, 0.95, domain="(0, 1]"),)))
def gce_by_power(y, z, *, q):
    """The power p^q has an infinite slope at p = 0."""
    return ops.sum(y * (1.0 - ops.softmax(z, axis=-1) ** q), axis=-1) / q


@WRONG.add("finite", "fuzz", "confidently_wrong", "minimum", **fading(params=(GAMMA,)))
def focal_by_power(y, z, *, gamma):
    """x^gamma has no slope at x = 0 for gamma below 1."""
    return ops.sum(y * (1.0 - ops.softmax(z, axis=-1)) ** gamma * minus_log(z), axis=-1)


@WRONG.add("finite", "fuzz", "confidently_wrong", "minimum", **fading(params=(GAMMA,)))
def focal_epsilon_in_log(y, z, *, gamma):
    """The epsilon stands in the logarithm, not in the power."""
    p = ops.softmax(z, axis=-1)
    return -ops.sum(y * (1.0 - p) ** gamma * ops.log(p + 1e-7), axis=-1)


@WRONG.add("finite", "fuzz", "batch", "minimum", *CROSSED, **proper())
def stabilised_by_the_batch(y, z):
    """The maximum of the whole batch is subtracted: the other rows underflow."""
    shifted = z - ops.max(z)
    return ops.log(ops.sum(ops.exp(shifted), axis=-1)) - ops.sum(y * shifted, axis=-1)


@WRONG.add(
    "finite", "fuzz", "alive", "domain", "precision", **fading(params=(Float("t", 0.8, 0.5, 1.0, domain="[0.5, 1]"),))
)
def tempered_at_one(y, z, *, t):
    """(1 - p^(1 - t))/(1 - t) without its limit at t = 1."""
    return -ops.sum(y * ops.expm1(-(1.0 - t) * minus_log(z)), axis=-1) / (1.0 - t)


@WRONG.add(
    "fuzz",
    "finite",
    "alive",
    "permutation",
    "gradient",
    "soft_labels",
    "saving",
    "lanes",
    "precision",
    "purity",
    "domain",
    **fading(params=(Float("tilt", 1.0, -1.0, 1.0),)),
)
def broken_between_the_ends(y, z, *, tilt):
    """Good at both ends of the range and at the default, the root of a negative number between."""
    return ce(y, z) ** (1.0 + ops.sqrt(ops.abs(tilt) - 0.5))


@WRONG.add(
    "finite",
    "fuzz",
    "gradient",
    "minimum",
    "optimum",
    "binary_side",
    "descent",
    "alive",
    "precision",
    "domain",
    **fading(params=(GAMMA, Float("alpha", 1.0, 0.5, 2.0, domain="(0, inf)", optional=True))),
)
def focal_needs_alpha(y, z, *, gamma, alpha):
    """Alpha is declared as one that may be absent, and is not."""
    rest = 1.0 - ops.softmax(z, axis=-1)
    return ops.sum(y * (fade(z, gamma) * minus_log(z) + alpha * rest), axis=-1)


# Wrong declarations


@WRONG.add("optimum", **fading(params=(GAMMA,), elicits="probability"))
def focal_called_proper(y, z, *, gamma):
    """Focal loss does not estimate probabilities."""
    return ops.sum(y * fade(z, gamma) * minus_log(z), axis=-1)


@WRONG.add("limits", **fading(params=(GAMMA,), limits=(Limit({"gamma": 1.0}, "cross_entropy"),)))
def focal_wrong_limit(y, z, *, gamma):
    """It is cross-entropy at gamma = 0."""
    return ops.sum(y * fade(z, gamma) * minus_log(z), axis=-1)


@WRONG.add("limits", **fading(twin_of="cross_entropy"))
def brier_as_twin(y, z):
    """The Brier score, said to be cross-entropy on hard labels."""
    return ops.sum(ops.square(ops.softmax(z, axis=-1) - y), axis=-1)


@WRONG.add("shift", "empty", **scored(non_differentiable_points=True, elicits="mode"))
def hinge_slot_zero(y, z):
    """The true class's slot counts as 0, so that the value hangs on the level of the scores."""
    return ops.relu(1.0 + ops.max((1.0 - y) * z, axis=-1) - ops.sum(y * z, axis=-1))


@WRONG.add("arguments", **proper(symmetric=True))
def ce_called_symmetric(y, z):
    """Cross-entropy is not symmetric."""
    return ce(y, z)


@WRONG.add("names", **proper(aliases=("mse",)))
def ce_alias_taken(y, z):
    """An alias that a built-in has."""
    return ce(y, z)


@WRONG.add("names", **proper(aliases=("Focal",)))
def ce_alias_of_focal(y, z):
    """A name that differs from a built-in's by its case alone."""
    return ce(y, z)


@WRONG.add("metadata", **proper(summary=""))
def ce_unsaid(y, z):
    """Nothing tells what it is."""
    return ce(y, z)


@WRONG.add("metadata", **proper(reference=" "))
def ce_unsourced(y, z):
    """Nothing tells where it comes from."""
    return ce(y, z)


@WRONG.add("metadata", **proper(recommended=("regression",)))
def ce_for_values(y, z):
    """Recommended for a task that it does not serve."""
    return ce(y, z)


@WRONG.add("constants", **fading(needs=("progress",)))
def progress_unused(y, z, *, progress):
    """Asks how far training is, and does not care."""
    return ce(y, z)


@WRONG.add("names", **proper(aliases=("ce_of_mine", "ce_of_mine")))
def ce_named_twice(y, z):
    """An alias that stands twice."""
    return ce(y, z)


@WRONG.add("constants", "finite", "fuzz", **fading(needs=("class_counts",), elicits="the mode of balanced classes"))
def absent_class(y, z, *, class_counts):
    """The weight of a class without rows is infinite."""
    return ce(y / class_counts, z)


@WRONG.add("constants", "finite", "fuzz", **fading(needs=("class_priors",), elicits="mode of balanced", minimum=0.0))
def log_of_no_prior(y, z, *, class_priors):
    """The logarithm of a prior of 0."""
    return ce(y, z + ops.log(class_priors))
