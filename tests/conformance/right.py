"""Right but unusual losses, on which no check may raise a false alarm."""

import right_users
from wrong.mutant import (
    GAMMA,
    count,
    dense,
    fading,
    multihot,
    ordinal,
    pair,
    proper,
    raw,
    real,
    sigmoid,
    signed,
    softmax,
)

from lossreg import Choice, Float, Int, Limit, LossSpec, PerClass, ops
from lossreg.contract.activations import Activation
from lossreg.zoo.numerics import exp_within, log_other, sample_mean

LOSSES = []
SCALE = Float("c", 1.0, 0.1, 10.0, log=True, domain="(0, inf)")
COUNTED = {"level": "batch", "stop_gradient": True}


def correct(**fields):
    def keep(function):
        declared = {
            "name": function.__name__,
            "summary": function.__doc__,
            "reference": "this module",
            "formula": "see the code",
            **fields,
        }
        LOSSES.append(LossSpec(**{"function": function, **declared}))
        return function

    return keep


def minus_log(z):
    return -ops.log_softmax(z, axis=-1)


def ce(y, z):
    return ops.sum(y * minus_log(z), axis=-1)


def row(values):
    return ops.sum(values, axis=-1)


def exp_up_to(z, high):
    """exp(z), from `high` on its tangent."""
    inside = ops.minimum(z, high)
    return ops.exp(inside) * (1.0 + z - inside)


# Classes


@correct(**proper(limits=(Limit({}, "cross_entropy", factor=1000.0),)))
def loud(y, z):
    """Cross-entropy on a scale of thousands."""
    return 1000.0 * ce(y, z)


@correct(**proper(limits=(Limit({}, "cross_entropy", factor=0.001),)))
def quiet(y, z):
    """Cross-entropy on a scale of thousandths."""
    return 0.001 * ce(y, z)


@correct(**proper(minimum=1000.0))
def lifted(y, z):
    """Cross-entropy above a large constant."""
    return 1000.0 + ce(y, z)


@correct(**proper(minimum=-0.01))
def sunk(y, z):
    """Cross-entropy that comes down to a little below 0."""
    return ce(y, z) - 0.01


@correct(**proper(shift_invariant=False, non_differentiable_points=True))
def understated(y, z):
    """Cross-entropy that declares less than it could: a kink it has not, no invariance."""
    return ce(y, z)


@correct(**proper(probabilistic=False, tasks=("multiclass",), minimum=None, elicits=""))
def unassuming(y, z):
    """Cross-entropy that declares nothing at all."""
    return ce(y, z)


@correct(**proper(function="right:by_name_of_its_module", name="by_name"))
def by_name_of_its_module(y, z):
    """Cross-entropy, imported on first use."""
    return ce(y, z)


@correct(**proper())
def own_gradient(y, z):
    """Cross-entropy with its gradient given by hand, and given right."""

    @ops.custom_gradient
    def total(z):
        def grad(*args, upstream=None):
            slope = args[0] if upstream is None else upstream
            return slope[..., None] * ops.softmax(z, axis=-1)

        return ops.logsumexp(z, axis=-1), grad

    return total(z) - row(y * z)


@correct(**fading(params=(GAMMA,), stop_gradient=True))
def detached_focal_declared(y, z, *, gamma):
    """Focal loss whose factor has no gradient, and says so."""
    return row(y * ops.stop_gradient(ops.exp(gamma * log_other(z))) * minus_log(z))


@correct(**fading(params=(PerClass("alpha"),)))
def costs(y, z, *, alpha):
    """One weight a class and nothing else."""
    return row(y * alpha * minus_log(z))


@correct(**fading(params=(Float("temperature", 1.0, 0.25, 4.0, log=True, domain="(0, inf)"),)))
def cooled(y, z, *, temperature):
    """Cross-entropy of scores divided by a temperature."""
    return temperature * ce(y, z / temperature)


@correct(**fading(params=(Int("order", 2, 1, 8, domain="[1, inf)", static=True),
                        Choice("ending", "open", ("open", "closed")))))  # fmt: skip
def taylor_or_more(y, z, *, order, ending):
    """The first terms of cross-entropy's series, or those and the rest."""
    wrong = ops.exp(log_other(z))
    terms = sum(wrong**j / j for j in range(1, order + 1))
    return row(y * (terms + (0.1 * minus_log(z) if ending == "closed" else 0.0)))


@correct(**fading())
def one_less_probability(y, z):
    """1 - p_t: bounded, and nearly flat where it is very wrong."""
    return row(y * ops.exp(log_other(z)))


@correct(**fading(minimum=-1.0))
def minus_probability(y, z):
    """-p_t: never above 0."""
    return -row(y * ops.softmax(z, axis=-1))


@correct(**proper())
def squares_of_probabilities(y, z):
    """Squared error of probabilities: bounded, not convex."""
    return row(ops.square(ops.softmax(z, axis=-1) - y))


@correct(**softmax(activation="identity", probabilistic=False, non_differentiable_points=True, elicits="mode",
                 params=(Float("margin", 1.0, 0.25, 2.0, log=True, domain="(0, inf)"),)))  # fmt: skip
def best_other_class(y, z, *, margin):
    """The hinge of Crammer and Singer, for soft labels class by class."""
    k = z.shape[-1]
    others = ops.max(ops.where(ops.eye(k, dtype="bool"), -1e9, z[..., None, :]), axis=-1, initial=-1e9)
    return row(y * ops.relu(margin + others - z))


@correct(**softmax(tasks=("multiclass",), activation="sigmoid", shift_invariant=False, elicits="probability"))
def class_by_class(y, z):
    """A sigmoid a class, and an activation that says so."""
    return row(y * ops.softplus(-z) + (1.0 - y) * ops.softplus(z))


@correct(**fading(needs=("class_priors",), elicits="the mode of balanced classes",
                params=(Float("tau", 1.0, 0.0, 2.0, domain="[0, inf)"),)))  # fmt: skip
def adjusted(y, z, *, tau, class_priors):
    """Scores moved by the logarithm of the priors; a class without rows has a floor."""
    return ce(y, z + tau * ops.log(ops.maximum(class_priors, 1e-6)))


@correct(**fading(needs=("n_classes",), params=(Float("eps", 0.1, 0.0, 0.3, domain="[0, 1)"),), minimum=None,
                limits=(Limit({"eps": 0.1}, "label_smoothing_ce", {"eps": 0.1}),)))  # fmt: skip
def smoothing_by_number(y, z, *, eps, n_classes):
    """Label smoothing that is told the number of classes."""
    return ce((1.0 - eps) * y + eps / n_classes, z)


@correct(**fading(needs=("progress",), params=(GAMMA,)))
def focal_by_and_by(y, z, *, gamma, progress):
    """Focal loss whose exponent grows as training goes on."""
    return row(y * ops.exp(gamma * progress * log_other(z)) * minus_log(z))


@correct(
    **softmax(
        non_differentiable_points=True,
        minimum=None,
        params=(Float("level_", 0.1, 0.01, 0.5, log=True, domain="[0, inf)"),),
    )
)
def flooded(y, z, *, level_):
    """Cross-entropy that turns round below a level."""
    return level_ + row(y * ops.abs(minus_log(z) - level_))


@correct(**softmax(**COUNTED, elicits="mode", minimum=None))
def hard_samples_first(y, z):
    """Samples weighed by their share of the batch's loss: declared to see the batch."""
    values = ce(y, z)
    share = ops.stop_gradient(values / ops.maximum(ops.mean(values), 1e-6))
    return share * values


@correct(**softmax(level="batch", probabilistic=True, elicits="", minimum=None))
def agreement_of_the_batch(y, z):
    """One value of the whole batch, a copy for every sample; the distance of mean prediction and mean label besides."""
    values = ce(y, z)
    apart = ops.sum(ops.square(ops.mean(ops.softmax(z, axis=-1) - y, axis=0)))
    return ops.mean(values) + apart + 0.0 * values


@correct(**softmax(level="batch", probabilistic=True, elicits="", minimum=None, needs=("sample_weight",)))
def weighted_agreement_of_the_batch(y, z, *, sample_weight):
    """The same, of samples that are handed their weights."""
    share = (sample_weight / ops.maximum(ops.sum(sample_weight), 1e-6))[:, None]
    apart = ops.sum(ops.square(ops.sum(share * (ops.softmax(z, axis=-1) - y), axis=0)))
    return ops.sum(share[:, 0] * ce(y, z)) + apart + 0.0 * z[:, 0]


# One logit


@correct(**sigmoid(elicits="mode", params=(GAMMA, Float("alpha", None, 0.05, 0.95, domain="(0, 1)", optional=True))))
def focal_of_places(y, z, *, gamma, alpha):
    """Binary focal loss with an alpha that is absent by default."""
    right, wrong = ops.softplus(-z), ops.softplus(z)
    one, none = y * ops.exp(-gamma * wrong) * right, (1.0 - y) * ops.exp(-gamma * right) * wrong
    return sample_mean(one + none if alpha is None else alpha * one + (1.0 - alpha) * none)


@correct(**sigmoid(tasks=("binary", "segmentation"), elicits="probability"))
def brier_of_places(y, z):
    """The squared error of a probability, place by place."""
    return sample_mean(ops.square(ops.sigmoid(z) - y))


@correct(**signed())
def savage(y, z):
    """A bounded margin loss that is not convex."""
    return row(ops.square(ops.sigmoid(-y * z)))


@correct(**signed(non_differentiable_points=True, truncated=True))
def ramp(y, z):
    """The hinge cut off at 2: very wrong samples are given up, and that is declared."""
    return row(ops.clip(1.0 - y * z, 0.0, 2.0))


@correct(**signed(score_range=(-20.0, 20.0)))
def exponential_held(y, z):
    """e^(-yz), going on along its tangent beyond its score range."""
    return row(exp_up_to(-y * z, 20.0))


def _log_log(z):
    return -ops.expm1(-ops.exp(ops.minimum(z, 20.0)))


def _log_log_inverse(p):
    return ops.log(ops.maximum(-ops.log1p(-ops.minimum(p, 1.0 - 1e-6)), 1e-6))


@correct(
    **sigmoid(
        activation=Activation("log_log", _log_log, _log_log_inverse), elicits="probability", score_range=(-10.0, 10.0)
    )
)
def complementary_log_log(y, z):
    """The likelihood of a rare event, with an activation of its own: lopsided."""
    inside = ops.clip(z, -10.0, 10.0)
    present = -ops.log(-ops.expm1(-ops.exp(inside))) - ops.minimum(z - inside, 0.0)
    return row(y * present + (1.0 - y) * exp_up_to(z, 10.0))


# Several labels


@correct(**multihot(elicits="probability"))
def labels_one_by_one(y, z):
    """Binary cross-entropy, the mean over labels."""
    return ops.mean(y * ops.softplus(-z) + (1.0 - y) * ops.softplus(z), axis=-1)


@correct(**multihot(elicits="mode", params=(GAMMA, Float("tilt", 0.5, 0.1, 0.9, domain="(0, 1)"))))
def lopsided_labels(y, z, *, gamma, tilt):
    """Focal on absent labels alone."""
    absent = ops.exp(-gamma * ops.softplus(-z)) * ops.softplus(z)
    return ops.mean(tilt * y * ops.softplus(-z) + (1.0 - tilt) * (1.0 - y) * absent, axis=-1)


# Residuals


@correct(**real(elicits="mean", minimum=-0.5))
def squares_below_zero(y, z):
    """A thousand squares less a half."""
    return row(1000.0 * ops.square(z - y)) - 0.5


@correct(**real(params=(SCALE,), truncated=True))
def welsch_bounded(y, z, *, c):
    """Bounded, not convex: far residuals have no gradient, and that is declared."""
    return row(ops.square(c) * -ops.expm1(-0.5 * ops.square((z - y) / c)))


@correct(**real(params=(SCALE,)))
def geman_mcclure_ratio(y, z, *, c):
    """Bounded, with a gradient that fades as a power."""
    square = ops.square((z - y) / c)
    return row(square / (1.0 + square))


@correct(**real(non_differentiable_points=True, params=(Float("power", 1.5, 1.0, 2.0, domain="[1, 2]"),)))
def between_one_and_two(y, z, *, power):
    """abs(e) to a power: a kink at 1, smooth at 2."""
    return row(ops.abs(z - y) ** power)


@correct(
    **real(symmetric=False, params=(Float("a", 1.0, 0.1, 3.0, log=True, domain="(0, inf)"),), score_range=(-5.0, 5.0))
)
def linear_exponential(y, z, *, a):
    """Exponential on one side, linear on the other."""
    e = a * (z - y)
    return row(exp_up_to(e, 30.0) - e - 1.0)


@correct(
    **real(
        symmetric=False,
        non_differentiable_points=True,
        elicits="quantile",
        params=(Float("q", 0.9, 0.05, 0.95, domain="(0, 1)"),),
    )
)
def high_quantile(y, z, *, q):
    """A quantile well above the median."""
    return row(ops.maximum(q * (y - z), (q - 1.0) * (y - z)))


@correct(**real(symmetric=False, elicits="expectile", params=(Float("tau", 0.8, 0.05, 0.95, domain="(0, 1)"),)))
def high_expectile(y, z, *, tau):
    """An expectile well above the mean."""
    return row(ops.where(y > z, tau, 1.0 - tau) * ops.square(y - z))


@correct(
    **real(
        non_differentiable_points=True,
        truncated=True,
        params=(Float("width", 0.5, 0.1, 2.0, log=True, domain="(0, inf)"),),
    )
)
def dead_zone_and_ceiling(y, z, *, width):
    """Nothing within the width, and no more than a ceiling: two kinks."""
    return row(ops.clip(ops.abs(z - y) - width, 0.0, 3.0))


@correct(**raw(needs=("target_mean", "target_scale"), elicits="mean"))
def squares_in_units(y, z, *, target_mean, target_scale):
    """Squared error in the user's units."""
    return row(ops.square(target_mean + target_scale * z - y))


@correct(
    **raw(
        needs=("target_mean", "target_scale"), non_differentiable_points=True, truncated=True, target_domain="[0, inf)"
    )
)
def relative_to_both(y, z, *, target_mean, target_scale):
    """The error as a share of prediction and label: 1, whatever it is, where their signs differ."""
    prediction = target_mean + target_scale * z
    size = ops.abs(prediction) + ops.abs(y)
    return row(ops.abs(prediction - y) / ops.maximum(size, 1e-3 * target_scale))


@correct(**count(tasks=("positive",), target="positive", elicits="the geometric mean", minimum=0.0))
def squares_of_logarithms(y, z, *, target_mean):
    """The squared error of logarithms of a positive target."""
    return row(ops.square(z + ops.log(target_mean) - ops.log(y)))


@correct(**count(elicits="mean", score_range=(-30.0, 30.0)))
def poisson_deviance(y, z, *, target_mean):
    """Poisson's deviance: its constant depends on the label."""
    constant = ops.where(y > 0.0, y * ops.log(ops.maximum(y, 1e-30)) - y, 0.0)
    return row(2.0 * (target_mean * exp_within(z, -30.0, 30.0) - y * (z + ops.log(target_mean)) + constant))


# Two outputs


@correct(**pair(elicits="median", non_differentiable_points=True, score_range=(-15.0, 15.0)))
def laplace_density(y, z):
    """Location and logarithm of the scale."""
    scale = ops.clip(z[..., 1:], -15.0, 15.0)
    return row(ops.abs(z[..., :1] - y) * ops.exp(-scale) + z[..., 1:] + ops.square(z[..., 1:] - scale))


@correct(**pair(elicits="mean", params=(Float("floor", 0.01, 1e-3, 0.1, log=True, domain="(0, inf)"),)))
def gaussian_with_floor(y, z, *, floor):
    """Mean and a variance by softplus, above a floor."""
    variance = floor + ops.softplus(z[..., 1:])
    return row(0.5 * (ops.square(z[..., :1] - y) / variance + ops.log(variance)))


def three_levels(z):
    """A level and two gaps to three levels that rise."""
    return ops.concatenate([z[..., :1], z[..., :1] + ops.cumsum(ops.softplus(z[..., 1:]), axis=-1)], axis=-1)


@correct(**pair(elicits="median", non_differentiable_points=True, outputs="3", activation="quantiles"))
def three_quantiles(y, z):
    """The first, the middle and the last decile: the middle one is best beside the others' best alone."""
    e, level = y - three_levels(z), ops.convert_to_tensor([0.1, 0.5, 0.9], dtype=z.dtype)
    return row(ops.maximum(level * e, (level - 1.0) * e))


def _inflated(z, *, target_mean):
    rate = target_mean * ops.exp(z[..., :1])
    return ops.concatenate([rate * ops.sigmoid(-z[..., 1:]), z[..., 1:]], axis=-1)


@correct(**count(outputs="2", elicits="mean", score_range=(-30.0, 30.0), truncated=True,
               activation=Activation("inflated", _inflated, None, needs=("target_mean",))))  # fmt: skip
def zeros_besides_poisson(y, z, *, target_mean):
    """A rate, and the logit of having none."""
    s, a = z[..., :1], z[..., 1:]
    rate = target_mean * exp_within(s, -30.0, 30.0)
    none = ops.softplus(a) - ops.logaddexp(a, -rate)
    some = ops.softplus(a) + rate - y * (s + ops.log(ops.convert_to_tensor(target_mean, dtype=z.dtype)))
    return row(ops.where(ops.equal(y, 0.0), none, some))


# Masks


def over_space(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


@correct(**dense(elicits="overlap", params=(Float("smooth", 1.0, 1e-3, 1.0, log=True, domain="(0, inf)"),)))
def dice_of_squares(y, z, *, smooth):
    """Dice's overlap with squares below, over a space of any rank."""
    p = ops.sigmoid(z)
    below = over_space(ops.square(y)) + over_space(ops.square(p)) + smooth
    return 1.0 - (2.0 * over_space(y * p) + smooth) / below


@correct(**dense(elicits="probability"))
def mask_crossentropy(y, z):
    """Binary cross-entropy, one value per mask."""
    return sample_mean(y * ops.softplus(-z) + (1.0 - y) * ops.softplus(z))


# Classes in order


def _stages(z):
    """`(..., k - 1)` scores of going on to `(..., k)` probabilities of stopping at each class."""
    on = ops.cumprod(ops.sigmoid(z), axis=-1)
    first = ops.ones_like(on[..., :1])
    return ops.concatenate([first, on], axis=-1) - ops.concatenate([on, 0.0 * first], axis=-1)


@correct(**ordinal(outputs="k-1", activation=Activation("stages", _stages, None), elicits="probability"))
def continuation_ratio(y, z):
    """The likelihood of stopping at a class, stage by stage."""
    stage = ops.arange(z.shape[-1], dtype=z.dtype)
    going_on, asked = ops.cast(y > stage, z.dtype), ops.cast(y >= stage, z.dtype)
    return row(asked * (going_on * ops.softplus(-z) + (1.0 - going_on) * ops.softplus(z)))


@correct(**ordinal(shift_invariant=True, elicits="median"))
def expected_distance(y, z):
    """The distance in classes that is to be expected: least at the median."""
    return row(ops.softmax(z, axis=-1) * ops.abs(y - ops.arange(z.shape[-1], dtype=z.dtype)))


LOSSES += right_users.WRAPPED
