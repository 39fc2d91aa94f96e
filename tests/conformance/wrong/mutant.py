"""A wrong loss, as a mistaken author would offer it, and the check that must find it."""

from dataclasses import dataclass, field
from functools import partial

from lossreg import Float, LossSpec
from lossreg.conformance import CHECKS

# a loss that fails as soon as it is called fails everything that calls it
UNCALLABLE = frozenset(CHECKS) - {"metadata", "names"}
SOURCE = {"reference": "nobody", "formula": "see the code"}
# checks that a value which depends on the rest of its batch fails, besides the check of that name
CROSSED = ("reduction", "weights", "empty", "permutation", "gradient")


@dataclass(frozen=True)
class Mutant:
    """`caught_by` names the check that must fail, `also` those that may; every other must pass."""

    spec: LossSpec
    caught_by: str
    also: frozenset = frozenset()
    golden: list | None = field(default=None, repr=False)

    @property
    def name(self):
        return self.spec.name


class Family(list):
    """The wrong losses of one module, in order."""

    def add(self, caught_by, *also, golden=None, **fields):
        """A decorator: the function's name and docstring are the loss's."""

        def keep(function):
            declared = {
                "name": function.__name__,
                "summary": function.__doc__,
                "reference": "nobody",
                "formula": "see the code",
                **fields,
            }
            spec = LossSpec(function=function, **declared)
            self.append(Mutant(spec, caught_by, frozenset(also), golden))
            return function

        return keep

    def offer(self, spec, caught_by, *also):
        """A spec made elsewhere."""
        self.append(Mutant(spec, caught_by, frozenset(also)))


softmax = partial(dict, tasks=("binary", "multiclass"), probabilistic=True, shift_invariant=True)
proper = partial(softmax, elicits="probability")
fading = partial(softmax, elicits="mode")
scored = partial(softmax, probabilistic=False, activation="identity")
sigmoid = partial(dict, tasks=("binary",), target="binary", outputs="1", activation="sigmoid", probabilistic=True)
signed = partial(
    dict, tasks=("binary",), target="signed", outputs="1", activation="identity", symmetric=True, elicits="mode"
)
multihot = partial(dict, tasks=("multilabel",), target="multihot", activation="sigmoid", probabilistic=True)
real = partial(dict, tasks=("regression",), target="real", outputs="1", activation="identity", symmetric=True)
raw = partial(dict, tasks=("regression",), target="raw", outputs="1", activation="affine")
count = partial(
    dict, tasks=("count",), target="count", outputs="1", activation="exp", needs=("target_mean",), minimum=None
)
pair = partial(dict, tasks=("regression",), target="real", outputs="2", activation="identity", minimum=None)
dense = partial(dict, tasks=("segmentation",), target="dense", outputs="1", activation="sigmoid", probabilistic=True)
ordinal = partial(dict, tasks=("multiclass",), target="ordinal", outputs="k", activation="softmax", probabilistic=True)

GAMMA = Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)")
