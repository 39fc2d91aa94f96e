"""Losses for classes that have an order, as a plugin of lossreg.

Labels are class indices `(batch, *spatial_shape, 1)`; `coral` and `corn` take one raw score for each of the
k - 1 questions "is the class above j?", the others one for each of the k classes.
"""

from functools import partial

from lossreg import Float, hookimpl, ops, softmax_loss
from lossreg.contract.activations import Activation

TINY = 1e-7
ordinal_loss = partial(softmax_loss, tasks=("multiclass",), target="ordinal", probabilistic=False)
questions_loss = partial(
    softmax_loss, tasks=("binary", "multiclass"), target="ordinal", outputs="k-1", shift_invariant=False,
    elicits="probability",
)  # fmt: skip


def _sample_mean(values):
    """Mean over every axis but the first: `(batch, ...)` to `(batch,)`."""
    axes = tuple(range(1, len(values.shape)))
    return ops.mean(values, axis=axes) if axes else values


def _at_least(y_true, first, number):
    """1 where the class is `first + j` or above, else 0, for `number` values of j: `(..., 1)` to `(..., number)`."""
    return ops.cast(y_true >= ops.arange(first, first + number, dtype=y_true.dtype), y_true.dtype)


# ------------------------------------------------------------------ activations


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


# ------------------------------------------------------------------ k - 1 questions


@questions_loss(
    activation=CORAL_ACTIVATION,
    aliases=("coral_loss",),
    reference="Cao, Mirjalili & Raschka, 2019, arXiv:1901.07884",
)
def coral(y_true, y_pred):
    """Ordered classes as k - 1 binary questions, asked of every sample.

        sum_j softplus(-s_j z_j), s_j = +1 if y > j else -1

    The question is "is the class above j?", j = 0 to k - 2; all importance weights of the paper are 1.
    y_true `(batch, *spatial_shape, 1)`, class indices from 0; y_pred `(batch, *spatial_shape, k - 1)`. Returns
    `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[2.0]]), ops.array([[2.1, 1.8, -2.1, -1.8]])
    >>> print(f"{float(coral(y_true, raw_scores)[0]):.4f}")
    0.5370
    """
    above = _at_least(y_true, 1, y_pred.shape[-1])
    return _sample_mean(ops.sum(ops.softplus((1.0 - 2.0 * above) * y_pred), axis=-1))


@questions_loss(
    activation=CORN_ACTIVATION,
    aliases=("corn_loss",),
    reference="Shi, Cao & Raschka, 2021, arXiv:2111.08851",
)
def corn(y_true, y_pred):
    """Ordered classes as k - 1 conditional questions, asked while the answers are yes.

        sum_{j <= y} softplus(-s_j z_j), s_j = +1 if y > j else -1

    The question is "is the class above j, given that it is above j - 1?"; a sample takes part only in the questions
    that arise for it. The paper's mean over all questions that arise is here a mean over samples.
    y_true `(batch, *spatial_shape, 1)`, class indices from 0; y_pred `(batch, *spatial_shape, k - 1)`. Returns
    `(batch,)`, at least 0.

    >>> y_true, raw_scores = ops.array([[0.0]]), ops.array([[2.1, 1.8, -2.1, -1.8]])
    >>> print(f"{float(corn(y_true, raw_scores)[0]):.4f}")
    2.2155
    """
    questions = y_pred.shape[-1]
    arises, above = _at_least(y_true, 0, questions), _at_least(y_true, 1, questions)
    return _sample_mean(ops.sum(arises * ops.softplus((1.0 - 2.0 * above) * y_pred), axis=-1))


# ------------------------------------------------------------------ k classes


@ordinal_loss(
    probabilistic=True,
    elicits="probability",
    aliases=("ranked_probability_score",),
    reference="Hou, Yu & Samaras, 2016, arXiv:1611.05916",
)
def squared_emd(y_true, y_pred):
    """Squared distance of cumulated probabilities: being far off costs more.

        sum_j (P(y <= j) - 1[y <= j])^2

    The squared earth mover's distance, or ranked probability score.
    y_true `(batch, *spatial_shape, 1)`, class indices from 0; y_pred `(batch, *spatial_shape, k)`. Returns
    `(batch,)`, 0 to k - 1.

    >>> y_true, raw_scores = ops.array([[0.0]]), ops.array([[0.0, 0.0, 0.0, 0.0]])
    >>> print(f"{float(squared_emd(y_true, raw_scores)[0]):.4f}")
    0.8750
    """
    p, above = ops.softmax(y_pred, axis=-1), _at_least(y_true, 1, y_pred.shape[-1] - 1)
    # of both tails the one that should be empty, which is exact however small it is
    astray = above * ops.cumsum(p, axis=-1)[..., :-1] + (1.0 - above) * _above(p)
    return _sample_mean(ops.sum(ops.square(astray), axis=-1))


@ordinal_loss(
    params=(Float("power", 2.0, 0.5, 4.0, domain="(0, inf)"),),
    level="batch",
    minimum=None,
    elicits="agreement beyond chance",
    aliases=("weighted_kappa_loss",),
    reference="de la Torre, Puig & Valls, 2018, Pattern Recognition Letters 105",
)
def weighted_kappa(y_true, y_pred, *, power):
    """Cohen's weighted kappa of the whole batch, on probabilities.

        log(1 - kappa), weights abs(i - j)^power

    1 - kappa is the expected distance of label and prediction over what it would be were they independent.
    y_true `(batch, *spatial_shape, 1)`, class indices from 0; y_pred `(batch, *spatial_shape, k)`;
    power > 0. Returns `(batch,)`, the batch's value for each sample: about -15 where every prediction is right, 0 for
    predictions by chance. Where all labels are one class it is 0 whatever the predictions: batches should be large
    and mixed.

    >>> y_true, raw_scores = ops.array([[0.0], [1.0], [2.0]]), ops.zeros((3, 3))
    >>> print(f"{float(weighted_kappa(y_true, raw_scores, power=2.0)[0]):.4f}")
    0.0000
    """
    k = y_pred.shape[-1]
    classes = ops.arange(k, dtype=y_pred.dtype)
    distance = (ops.abs(classes[:, None] - classes) / (k - 1)) ** power
    p = ops.reshape(ops.softmax(y_pred, axis=-1), (-1, k))
    y = ops.cast(ops.reshape(y_true, (-1, 1)) == classes, p.dtype)
    number = ops.maximum(ops.sum(y), 1.0)
    found = ops.sum(ops.matmul(y, distance) * p) / number
    by_chance = ops.sum(ops.sum(ops.matmul(y, distance), axis=0) / number * ops.sum(p, axis=0) / number)
    value = ops.log((found + TINY) / (by_chance + TINY))
    return value + ops.zeros_like(_sample_mean(ops.sum(y_pred, axis=-1)))


@hookimpl
def lossreg_losses():
    """Yield the losses that this package offers."""
    yield from (coral, corn, squared_emd, weighted_kappa)
