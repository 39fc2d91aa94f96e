"""Losses for classes that have an order, as a plugin of lossreg.

Labels are class indices `(batch, *space, 1)`; `coral` and `corn` take one raw score for each of the
k - 1 questions "is the class above j?", the others one for each of the k classes.
"""

from lossreg import Float, LossSpec, hookimpl, ops
from lossreg.contract.activations import Activation

TINY = 1e-7


def _sample_mean(values):
    """Mean over every axis but the first: `(batch, ...)` to `(batch,)`."""
    axes = tuple(range(1, len(values.shape)))
    return ops.mean(values, axis=axes) if axes else values


def _at_least(y_true, first, number):
    """1 where the class is `first + j` or above, else 0, for `number` values of j: `(..., 1)` to `(..., number)`."""
    return ops.cast(y_true >= ops.arange(first, first + number, dtype=y_true.dtype), y_true.dtype)


# ------------------------------------------------------------------ k - 1 questions


def coral(y_true, y_pred):
    """Sum over j of the binary cross-entropy of "is the class above j?", j = 0 to k - 2.

    y_true `(batch, *space, 1)` class indices from 0; y_pred `(batch, *space, k - 1)` raw scores;
    returns `(batch,)`, at least 0. Cao, Mirjalili & Raschka, 2019, arXiv:1901.07884, with all importance
    weights 1.

    >>> y_true, scores = ops.array([[2.0]]), ops.array([[2.1, 1.8, -2.1, -1.8]])
    >>> print(f"{float(coral(y_true, scores)[0]):.4f}")
    0.5370
    """
    above = _at_least(y_true, 1, y_pred.shape[-1])
    return _sample_mean(ops.sum(ops.softplus((1.0 - 2.0 * above) * y_pred), axis=-1))


def corn(y_true, y_pred):
    """Sum over j <= y of the binary cross-entropy of "is the class above j, given that it is above j - 1?".

    A sample takes part only in the questions that arise for it. y_true `(batch, *space, 1)` class
    indices from 0; y_pred `(batch, *space, k - 1)` raw scores; returns `(batch,)`, at least 0.
    Shi, Cao & Raschka, 2021, arXiv:2111.08851; their mean over all questions that arise is here a
    mean over samples.

    >>> y_true, scores = ops.array([[0.0]]), ops.array([[2.1, 1.8, -2.1, -1.8]])
    >>> print(f"{float(corn(y_true, scores)[0]):.4f}")
    2.2155
    """
    questions = y_pred.shape[-1]
    arises, above = _at_least(y_true, 0, questions), _at_least(y_true, 1, questions)
    return _sample_mean(ops.sum(arises * ops.softplus((1.0 - 2.0 * above) * y_pred), axis=-1))


def _shares(above):
    """P(y > j) for j = 0 to k - 2, not rising, as P(y = j) for j = 0 to k - 1."""
    one, none = ops.ones_like(above[..., :1]), ops.zeros_like(above[..., :1])
    return ops.concatenate([one, above], axis=-1) - ops.concatenate([above, none], axis=-1)


def _above(p):
    """P(y = j) for j = 0 to k - 1 as P(y > j) for j = 0 to k - 2."""
    return ops.flip(ops.cumsum(ops.flip(p, axis=-1), axis=-1), axis=-1)[..., 1:]


def _logit_of(part, whole):
    """The score whose sigmoid is part / whole."""
    return ops.log(ops.maximum(part, TINY)) - ops.log(ops.maximum(whole - part, TINY))


def _coral_forward(z):
    # P(y > j) may rise with j where the last layer shares no weights: such a class gets probability 0
    p = ops.maximum(_shares(ops.sigmoid(z)), 0.0)
    return p / ops.sum(p, axis=-1, keepdims=True)


def _coral_inverse(p):
    above = _above(p)
    return _logit_of(above, ops.ones_like(above))


def _corn_forward(z):
    # P(y > j) is the product of the conditional probabilities of j and all questions before it
    return _shares(ops.exp(ops.cumsum(ops.log_sigmoid(z), axis=-1)))


def _corn_inverse(p):
    above = _above(p)
    return _logit_of(above, ops.concatenate([ops.ones_like(p[..., :1]), above[..., :-1]], axis=-1))


CORAL_ACTIVATION = Activation("coral", _coral_forward, _coral_inverse)
CORN_ACTIVATION = Activation("corn", _corn_forward, _corn_inverse)


# ------------------------------------------------------------------ k classes


def squared_emd(y_true, y_pred):
    """Sum over j of (P(y <= j) - 1[y <= j])^2: the squared earth mover's distance, or ranked probability score.

    y_true `(batch, *space, 1)` class indices from 0; y_pred `(batch, *space, k)` raw scores;
    returns `(batch,)`, 0 to k - 1. Hou, Yu & Samaras, 2016, arXiv:1611.05916.

    >>> y_true, scores = ops.array([[0.0]]), ops.array([[0.0, 0.0, 0.0, 0.0]])
    >>> print(f"{float(squared_emd(y_true, scores)[0]):.4f}")
    0.8750
    """
    p, above = ops.softmax(y_pred, axis=-1), _at_least(y_true, 1, y_pred.shape[-1] - 1)
    # of both tails the one that should be empty, which is exact however small it is
    astray = above * ops.cumsum(p, axis=-1)[..., :-1] + (1.0 - above) * _above(p)
    return _sample_mean(ops.sum(ops.square(astray), axis=-1))


def weighted_kappa(y_true, y_pred, *, power):
    """log(1 - kappa) of the whole batch, kappa being Cohen's, weighted by abs(i - j)^power, of softmax(z).

    1 - kappa is the expected distance of label and prediction over what it would be were they
    independent. y_true `(batch, *space, 1)` class indices from 0; y_pred `(batch, *space, k)` raw
    scores; power > 0; returns `(batch,)`, the batch's value for each sample: about -15 where every
    prediction is right, 0 for predictions by chance. Where all labels are one class it is 0 whatever
    the predictions: batches should be large and mixed. de la Torre, Puig & Valls, 2018, Pattern
    Recognition Letters 105.

    >>> y_true, scores = ops.array([[0.0], [1.0], [2.0]]), ops.zeros((3, 3))
    >>> print(f"{float(weighted_kappa(y_true, scores, power=2.0)[0]):.4f}")
    0.0000
    """
    k = y_pred.shape[-1]
    places = ops.arange(k, dtype=y_pred.dtype)
    distance = (ops.abs(places[:, None] - places) / (k - 1)) ** power
    p = ops.reshape(ops.softmax(y_pred, axis=-1), (-1, k))
    y = ops.cast(ops.reshape(y_true, (-1, 1)) == places, p.dtype)
    number = ops.maximum(ops.sum(y), 1.0)
    found = ops.sum(ops.matmul(y, distance) * p) / number
    by_chance = ops.sum(ops.sum(ops.matmul(y, distance), axis=0) / number * ops.sum(p, axis=0) / number)
    value = ops.log((found + TINY) / (by_chance + TINY))
    return value + ops.zeros_like(_sample_mean(ops.sum(y_pred, axis=-1)))


# ------------------------------------------------------------------ what is offered


@hookimpl
def lossreg_losses():
    """The losses that this package offers."""
    yield LossSpec(
        name="coral", function=coral, aliases=("coral_loss",), tasks=("binary", "multiclass"),
        summary="Ordered classes as k - 1 binary questions, asked of every sample.",
        reference="Cao, Mirjalili & Raschka, 2019, arXiv:1901.07884",
        formula="sum_j softplus(-s_j z_j), s_j = +1 if y > j else -1",
        target="ordinal", outputs="k-1", activation=CORAL_ACTIVATION, probabilistic=True, elicits="probability",
    )  # fmt: skip
    yield LossSpec(
        name="corn", function=corn, aliases=("corn_loss",), tasks=("binary", "multiclass"),
        summary="Ordered classes as k - 1 conditional questions, asked while the answers are yes.",
        reference="Shi, Cao & Raschka, 2021, arXiv:2111.08851",
        formula="sum_{j <= y} softplus(-s_j z_j), s_j = +1 if y > j else -1",
        target="ordinal", outputs="k-1", activation=CORN_ACTIVATION, probabilistic=True, elicits="probability",
    )  # fmt: skip
    yield LossSpec(
        name="squared_emd", function=squared_emd, aliases=("ranked_probability_score",), tasks=("multiclass",),
        summary="Squared distance of cumulated probabilities: being far off costs more.",
        reference="Hou, Yu & Samaras, 2016, arXiv:1611.05916", formula="sum_j (P(y <= j) - 1[y <= j])^2",
        target="ordinal", outputs="k", activation="softmax", probabilistic=True, shift_invariant=True,
        elicits="probability",
    )  # fmt: skip
    yield LossSpec(
        name="weighted_kappa", function=weighted_kappa, aliases=("weighted_kappa_loss",), tasks=("multiclass",),
        summary="Cohen's weighted kappa of the whole batch, on probabilities.",
        reference="de la Torre, Puig & Valls, 2018, Pattern Recognition Letters 105",
        formula="log(1 - kappa), weights abs(i - j)^power",
        params=(Float("power", 2.0, 0.5, 4.0, domain="(0, inf)"),),
        target="ordinal", outputs="k", activation="softmax", level="batch", shift_invariant=True, minimum=None,
        elicits="agreement beyond chance",
    )  # fmt: skip
