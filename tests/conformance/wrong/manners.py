"""Wrong losses whose formula is right: shapes, batches, numbers, graphs, state, saving."""

import keras
import numpy as np

from lossreg import Float, PerClass, ops
from lossreg.zoo.numerics import log_other
from wrong.mutant import CROSSED, GAMMA, UNCALLABLE, Family, fading, ordinal, proper, real, softmax

WRONG = Family()
DELTA = Float("delta", 1.0, 0.1, 10.0, log=True, domain="(0, inf)")
COUNTS = {"needs": ("class_counts",), "elicits": "the mode of balanced classes"}
UNTRACEABLE = ["lanes", "saving", "descent"]


def minus_log(z):
    return -ops.log_softmax(z, axis=-1)


def ce(y, z):
    return ops.sum(y * minus_log(z), axis=-1)


# Shapes


@WRONG.add("shape", *UNCALLABLE, **proper())
def reduced_inside(y, z):
    """The mean is taken inside."""
    return ops.mean(ce(y, z))


@WRONG.add("shape", *UNCALLABLE, **proper())
def column_returned(y, z):
    """One column too many."""
    return ops.sum(y * minus_log(z), axis=-1, keepdims=True)


@WRONG.add("shape", *UNCALLABLE, **proper())
def mean_over_the_batch_axis(y, z):
    """One value a class."""
    return ops.mean(y * minus_log(z), axis=0)


@WRONG.add("shape", *UNCALLABLE, **softmax(params=(PerClass("alpha"),), elicits="mode"))
def alpha_along_the_batch(y, z, *, alpha):
    """The weights of classes stand along the rows."""
    return ops.sum(y * alpha[:, None] * minus_log(z), axis=-1)


@WRONG.add("shape", *UNCALLABLE, **real(elicits="mean"))
def rows_against_columns(y, z):
    """(n,) less (n, 1) is (n, n)."""
    return ops.square(y[:, 0] - z)


@WRONG.add("batch", "shape", "minimum", "optimum", "gradient", "arguments", "descent", *CROSSED,
           **real(elicits="mean"))  # fmt: skip
def rows_against_columns_averaged(y, z):
    """(n,) less (n, 1) is (n, n), and the mean over it hides that."""
    return ops.mean(ops.square(y[:, 0] - z), axis=-1)


@WRONG.add("shape", *UNCALLABLE, **ordinal(params=(Float("q", 0.7, 0.05, 0.95, domain="(0, 1)"),), elicits="mode"))
def labels_against_rows(y, z, *, q):
    """Keras 3.15's generalised cross-entropy: labels (n, 1) make it (n, n)."""
    return keras.losses.categorical_generalized_cross_entropy(y, ops.softmax(z, axis=-1), q)


@WRONG.add("shape", *UNCALLABLE, **proper())
def does_not_exist(y, z):
    """A function that no backend has."""
    return ops.sum(y * minus_log(z) * ops.once_like(z), axis=-1)


@WRONG.add("metadata", *UNCALLABLE, **fading(params=(GAMMA,)))
def gamma_forgotten(y, z):
    """A parameter that the function does not take."""
    return ce(y, z)


@WRONG.add("shape", "batch", **proper())
def squeezed(y, z):
    """All axes of length 1 are dropped, that of a batch of one too."""
    return ops.squeeze(ops.sum(y * minus_log(z), axis=-1, keepdims=True))


# Samples that see each other


@WRONG.add("batch", *CROSSED, "graph", "optimum", "precision", "minimum", "lanes", "binary_side", **proper())
def noise_of_a_fixed_seed(y, z):
    """The same noise in every call, by the place in the batch."""
    return ce(y, z + keras.random.normal(ops.shape(z), seed=0, dtype=z.dtype))


@WRONG.add("batch", "minimum", *CROSSED, **real(symmetric=False))
def share_of_the_variance(y, z):
    """The squared error over the variance of the batch's labels."""
    return ops.sum(ops.square(z - y), axis=-1) / (ops.mean(ops.square(y - ops.mean(y))) + 1e-3)


@WRONG.add(
    "batch",
    "minimum",
    "finite",
    "fuzz",
    "gradient",
    "confidently_wrong",
    "descent",
    "optimum",
    "binary_side",
    "soft_labels",
    *CROSSED,
    **proper(minimum=None),
)
def normalised_by_the_largest(y, z):
    """The largest value of the batch becomes 1."""
    values = ce(y, z)
    return values / ops.maximum(ops.max(values), 1e-6)


@WRONG.add("batch", "limits", "minimum", *CROSSED, **proper())
def multiplied_by_the_batch(y, z):
    """The mean's denominator is undone."""
    return ce(y, z) * ops.cast(ops.shape(z)[0], z.dtype)


@WRONG.add("batch", "minimum", "optimum", "binary_side", *CROSSED, **proper())
def sum_for_every_sample(y, z):
    """The sum over the batch, a copy for every sample."""
    values = ce(y, z)
    return ops.sum(values) + 0.0 * values


@WRONG.add("batch", "constants", "minimum", "soft_labels", *CROSSED, **fading(elicits="the mode of balanced classes"))
def weights_of_the_batch(y, z):
    """Class weights from the batch's own counts."""
    counts = ops.maximum(ops.sum(y, axis=0), 1.0)
    return ce(y / counts, z) * ops.mean(counts)


@WRONG.add(
    "batch",
    "minimum",
    "optimum",
    "descent",
    "soft_labels",
    "shift",
    "binary_side",
    "confidently_wrong",
    "fuzz",
    "finite",
    "units",
    *CROSSED,
    **proper(),
)
def softmax_over_the_batch(y, z):
    """The softmax runs over rows."""
    return -ops.sum(y * ops.log_softmax(z, axis=0), axis=-1)


@WRONG.add(
    "batch", "minimum", "confidently_wrong", "descent", "optimum", "binary_side", *CROSSED, **proper(minimum=None)
)
def against_the_first(y, z):
    """The first sample is the baseline of the others."""
    values = ce(y, z)
    return values - values[:1] + ops.mean(values)


@WRONG.add("batch", "gradient", "optimum", *CROSSED, **proper(non_differentiable_points=True))
def hardest_of_the_batch(y, z):
    """Samples easier than the mean are left out."""
    values = ce(y, z)
    return ops.where(values >= ops.mean(values), values, 0.5 * values)


@WRONG.add("reduction", "limits", "minimum", "descent", **proper(level="batch", minimum=None))
def batch_level_sum(y, z):
    """Declared to see the batch, but twice the batch gives twice the value."""
    values = ce(y, z)
    return ops.sum(values) + 0.0 * values


@WRONG.add("permutation", "minimum", "batch", **proper(level="batch", minimum=None, non_differentiable_points=True))
def neighbours_in_the_batch(y, z):
    """Declared to see the batch, but the order of its rows matters."""
    values = ce(y, z)
    return values + 0.5 * ops.maximum(values, ops.roll(values, 1))


@WRONG.add("empty", "graph", "lanes", **proper())
def first_row_wanted(y, z):
    """There is no first row in an empty batch."""
    return ce(y, z) + 0.0 * ops.sum(z[0])


# Gradients


@WRONG.add("gradient", **fading(params=(GAMMA,)))
def detached_focal(y, z, *, gamma):
    """The factor has no gradient, and nothing says so."""
    return ops.sum(y * ops.stop_gradient(ops.exp(gamma * log_other(z))) * minus_log(z), axis=-1)


@WRONG.add("gradient", "optimum", "descent", **proper())
def wrong_custom_gradient(y, z):
    """A gradient by hand that forgets the labels."""

    @ops.custom_gradient
    def total(z):
        def grad(*args, upstream=None):
            slope = args[0] if upstream is None else upstream
            return slope[..., None] * ops.softmax(z, axis=-1) * 0.5

        return ops.logsumexp(z, axis=-1), grad

    return total(z) - ops.sum(y * z, axis=-1)


@WRONG.add(
    "confidently_wrong",
    "precision",
    "descent",
    "optimum",
    "gradient",
    "shape",
    "units",
    **proper(stop_gradient=True),
)
def everything_stopped(y, z):
    """A stopped gradient is declared, and it is the whole of it."""
    return ce(y, ops.stop_gradient(z))


@WRONG.add(
    "confidently_wrong",
    "descent",
    "optimum",
    "shape",
    "minimum",
    "empty",
    "precision",
    "units",
    **fading(non_differentiable_points=True, minimum=None, probabilistic=False),
)
def error_rate(y, z):
    """The metric itself, which has no gradient."""
    best = ops.cast(ops.equal(z, ops.max(z, axis=-1, keepdims=True)), z.dtype)
    return 1.0 - ops.sum(y * best, axis=-1)


# Precision and types


@WRONG.add("precision", "soft_labels", **proper())
def indices_in_bfloat16(y, z):
    """Above 256 bfloat16 has no whole numbers of their own."""
    index = ops.cast(ops.cast(ops.argmax(y, axis=-1), "bfloat16"), "int32")
    return ce(ops.one_hot(index, z.shape[-1], dtype=z.dtype), z)


@WRONG.add(
    "precision",
    "gradient",
    "finite",
    "fuzz",
    "minimum",
    "shift",
    "optimum",
    "batch",
    "permutation",
    "soft_labels",
    **proper(),
)
def half_inside(y, z):
    """The sum is made in half precision."""
    return ops.cast(ce(ops.cast(y, "float16"), ops.cast(z, "float16")), z.dtype)


@WRONG.add("precision", "shape", "graph", **proper())
def double_returned(y, z):
    """Whatever comes in, float64 goes out."""
    return ops.cast(ce(y, z), "float64")


@WRONG.add("precision", "gradient", "shape", "shift", "permutation", "reduction", **proper())
def single_returned(y, z):
    """Whatever comes in, float32 goes out."""
    return ce(ops.cast(y, "float32"), ops.cast(z, "float32"))


@WRONG.add("precision", *UNCALLABLE, **proper())
def single_constant(y, z):
    """A constant of float32 among float64."""
    return ce(y, z) + 0.0 * ops.sum(z * ops.convert_to_tensor([1.0], dtype="float32"), axis=-1)


# Graphs and lanes


@WRONG.add("graph", *UNTRACEABLE, **fading(params=(GAMMA,)))
def python_if(y, z, *, gamma):
    """Python decides on a tensor."""
    if gamma == 0.0:
        return ce(y, z)
    return ops.sum(y * ops.exp(gamma * log_other(z)) * minus_log(z), axis=-1)


@WRONG.add("graph", *UNTRACEABLE, **fading(params=(GAMMA,)))
def python_float(y, z, *, gamma):
    """Python's float of a tensor."""
    return ops.sum(y * ops.exp(float(gamma) * log_other(z)) * minus_log(z), axis=-1)


@WRONG.add(
    "graph",
    "precision",
    "gradient",
    "confidently_wrong",
    "optimum",
    "purity",
    "shape",
    "units",
    *UNTRACEABLE,
    **proper(),
)
def numpy_inside(y, z):
    """NumPy knows neither graphs nor gradients."""
    z = np.asarray(z)
    top = z.max(axis=-1, keepdims=True)
    values = np.log(np.exp(z - top).sum(axis=-1)) + top[..., 0] - (np.asarray(y) * z).sum(axis=-1)
    return ops.convert_to_tensor(values, dtype=z.dtype)


@WRONG.add("graph", *UNTRACEABLE, **proper())
def batch_known_beforehand(y, z):
    """In a graph the length of the batch is None."""
    return ops.reshape(ce(y, z), (z.shape[0] * 1,))


@WRONG.add("graph", "lanes", "gradient", **proper())
def another_in_a_graph(y, z):
    """Twice the value where Python runs."""
    return ce(y, z) * (1.0 + hasattr(z, "numpy"))


@WRONG.add("lanes", **fading(params=(GAMMA,)))
def decided_by_cond(y, z, *, gamma):
    """A condition that cannot be mapped over lanes."""
    log_p = minus_log(z)
    faded = ops.cond(gamma > 0.0, lambda: ops.exp(gamma * log_other(z)) * log_p, lambda: 1.0 * log_p)
    return ops.sum(y * faded, axis=-1)


@WRONG.add("lanes", **proper())
def summed_by_scan(y, z):
    """A loop that cannot be mapped over lanes."""
    terms = ops.transpose(y * minus_log(z))
    return ops.scan(lambda total, term: (total + term, total), ops.zeros_like(z[:, 0]), terms)[0]


@WRONG.add(
    "lanes",
    "gradient",
    **softmax(non_differentiable_points=True, elicits="mode", probabilistic=False, activation="identity"),
)
def second_best_by_top_k(y, z):
    """top_k cannot be mapped over no lanes at all."""
    top = ops.top_k(z, 2)[0]
    best, second = top[:, 0], top[:, 1]
    true = ops.sum(y * z, axis=-1)
    return ops.relu(1.0 + ops.where(ops.equal(true, best), second, best) - true)
