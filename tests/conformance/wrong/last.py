"""Wrong losses that are right almost everywhere: a dead output, a class above 256, a step on the way."""

from lossreg import Float, Int, Limit, ops
from lossreg.zoo.numerics import log_other
from wrong.mutant import Family, dense, pair, proper, real, softmax

WRONG = Family()
Q = Float("q", 0.5, 0.05, 0.95, domain="(0, 1)")


def row(values):
    return ops.sum(values, axis=-1)


def ce(y, z):
    return -row(y * ops.log_softmax(z, axis=-1))


def focal(y, z, gamma):
    return ops.exp(gamma * row(y * log_other(z))) * ce(y, z)


# What is declared


@WRONG.add(
    "metadata",
    **softmax(
        params=(Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"),),
        limits=(Limit({"gamma": 1e-2}, "categorical_crossentropy", rtol=0.9),),
    ),
)
def limit_to_within_anything(y, z, *, gamma):
    """A limit that most losses are near."""
    return focal(y, z, gamma)


@WRONG.add("metadata", **real(target_domain="[0, inf)", elicits="mean"))
def standardised_above_zero(y, z):
    """Standardised targets have both signs."""
    return row(ops.square(z - y))


# What is left out


@WRONG.add("shape", **pair(elicits="mean", minimum=0.0))
def second_output_idle(y, z):
    """Two outputs are declared, and one is used."""
    return ops.square(z[:, :1] - y)[:, 0]


@WRONG.add("shape", **dense(elicits="probability"))
def mask_without_its_first_row(y, z):
    """The first row of every mask is ignored."""
    return ops.mean(ops.softplus(z) - y * z, axis=(1, 2, 3)) - ops.sum(
        (ops.softplus(z) - y * z)[:, :1], axis=(1, 2, 3)
    ) / (z.shape[1] * z.shape[2])


@WRONG.add("permutation", **proper(stop_gradient=True))
def first_class_half_detached(y, z):
    """The first class learns half as fast, and no value shows it."""
    first = z[:, :1]
    return ce(y, ops.concatenate([0.5 * first + 0.5 * ops.stop_gradient(first), z[:, 1:]], axis=-1))


@WRONG.add("arguments", **real(non_differentiable_points=True, params=(Q,), elicits="quantile"))
def quantile_symmetric_at_the_default(y, z, *, q):
    """At q = 1/2 alone labels and predictions may be swapped."""
    e = y - z
    return row(ops.maximum(q * e, (q - 1.0) * e))


# Constants


@WRONG.add("constants", **proper(needs=("progress",)))
def nothing_to_learn_at_first(y, z, *, progress):
    """At progress 0 every loss is 0."""
    return ce(y, z) * progress


@WRONG.add("constants", **proper(needs=("n_classes",)))
def classes_counted_in_vain(y, z, *, n_classes):
    """The number of classes is asked for and divided away."""
    return ce(y, z) * (n_classes / n_classes)


@WRONG.add(
    "constants", "labels", "reduction", "precision", "units", **real(needs=("target_scale",), elicits="", minimum=0.0)
)
def scaled_twice(y, z, *, target_scale):
    """Targets that are standardised already are divided by their scale."""
    return row(ops.log1p(ops.square((z - y) / target_scale)))


# Between the ends


@WRONG.add("precision", **proper())
def ten_classes_at_most(y, z):
    """Classes from the eleventh on are worth nothing."""
    kept = ops.cast(ops.arange(z.shape[-1]) < 10, z.dtype)
    return row(-y * kept * ops.log_softmax(z, axis=-1))


@WRONG.add("domain", **softmax(params=(Float("t", 1.5, 0.5, 4.0),)))
def temperature_of_any_sign(y, z, *, t):
    """A temperature of 0 is said to be one, too."""
    return ce(y, z / t)


@WRONG.add("alive", **softmax(params=(Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"),)))
def step_in_the_middle(y, z, *, gamma):
    """Between 3/2 and 7/2 the exponent is 5/2."""
    return focal(y, z, ops.where(ops.abs(gamma - 2.5) < 1.3, 2.5, gamma))


@WRONG.add("alive", **softmax(params=(Int("order", 2, 1, 6, domain="[1, inf)"),)))
def every_second_order(y, z, *, order):
    """Orders 2 and 3 are one, and so are 4 and 5."""
    return focal(y, z, 1.0 + ops.floor(order / 2.0))
