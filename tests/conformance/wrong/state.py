"""Wrong losses that keep something between calls, and parameters that are not checked."""

import keras
import numpy as np

from lossreg import Float, PerClass, ops
from lossreg.errors import ParameterError
from lossreg.zoo.numerics import log_other
from wrong.mutant import GAMMA, UNCALLABLE, Family, fading, proper

WRONG = Family()
COUNTS = {"needs": ("class_counts",), "elicits": "the mode of balanced classes"}


def minus_log(z):
    return -ops.log_softmax(z, axis=-1)


def ce(y, z):
    return ops.sum(y * minus_log(z), axis=-1)


# State


@WRONG.add("purity", *UNCALLABLE, **proper())
def noisy(y, z):
    """Two calls give two values."""
    return ce(y, z + keras.random.normal(ops.shape(z), dtype=z.dtype))


CALLS = []


@WRONG.add("purity", *UNCALLABLE, **proper())
def warming_up(y, z):
    """It counts its calls."""
    CALLS.append(1)
    return ce(y, z) * min(1.0, len(CALLS) / 1e5)


MEAN = {"loss": 1.0}


@WRONG.add("purity", *UNCALLABLE, **fading(params=(GAMMA,)))
def over_its_running_mean(y, z, *, gamma):
    """A running mean of the loss is kept in a global."""
    values = ops.sum(y * ops.exp(gamma * log_other(z)) * minus_log(z), axis=-1)
    if hasattr(values, "numpy"):
        MEAN["loss"] = 0.9 * MEAN["loss"] + 0.1 * float(ops.mean(values))
    return values / MEAN["loss"]


SEEN = {}


@WRONG.add(
    "constants",
    "purity",
    "alive",
    "graph",
    "lanes",
    "saving",
    "permutation",
    "descent",
    "binary_side",
    **fading(**COUNTS),
)
def counts_of_the_first_data(y, z, *, class_counts):
    """The first counts ever seen are kept for all."""
    k = z.shape[-1]
    if k not in SEEN:
        SEEN[k] = [float(n) + 1.0 for n in class_counts]
    return ce(y / ops.convert_to_tensor(SEEN[k], dtype=z.dtype), z)


@WRONG.add("alive", "graph", "lanes", "saving", "limits", "gradient", "purity", **fading(params=(GAMMA,)))
def gamma_of_the_first(y, z, *, gamma):
    """All instances share the gamma of the first."""
    first = SEEN.setdefault("gamma", float(gamma))
    return ops.sum(y * ops.exp(first * log_other(z)) * minus_log(z), axis=-1)


@WRONG.add("purity", "graph", "lanes", "saving", "descent", **proper())
def labels_changed_in_place(y, z):
    """The caller's labels are smoothed, each time more."""
    if isinstance(y, np.ndarray):
        y *= 0.9
        y += 0.1 / y.shape[-1]
    return ce(y, z)


# Parameters


class Lenient(Float):
    """A parameter that takes what it is given."""

    def check(self, value):
        return float(value)


class AnyLength(PerClass):
    """Weights whose number nobody counts."""

    def check(self, value, n_classes=None):
        return None if value is None else tuple(float(v) for v in value)


class Mended(Float):
    """A parameter brought back into its domain without a word."""

    def check(self, value):
        if value is None:
            raise ParameterError(f"{self.name} must be a number")
        return min(max(float(value), 0.0), 1.0)


@WRONG.add("domain", **fading(params=(Lenient("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"),)))
def nan_accepted(y, z, *, gamma):
    """A gamma of NaN, or of -1, is taken."""
    return ops.sum(y * ops.exp(gamma * log_other(z)) * minus_log(z), axis=-1)


@WRONG.add("domain", **fading(params=(AnyLength("alpha"),)))
def any_length_accepted(y, z, *, alpha):
    """Two weights for three classes are taken."""
    return ops.sum(y * alpha * minus_log(z), axis=-1)


@WRONG.add("domain", **proper(params=(Mended("eps", 0.1, 0.0, 0.3, domain="[0, 1)"),), minimum=None, elicits="mode"))
def mended_in_silence(y, z, *, eps):
    """An eps of 2 is taken for 1."""
    return (1.0 - eps) * ce(y, z) + eps * ops.mean(minus_log(z), axis=-1)
