"""Overlap losses for masks, as a plugin of lossreg.

Masks `y_true` and raw scores `y_pred` are `(batch, *space, c)`: a sample's value is 1 minus an overlap
of its whole mask with the probabilities p = sigmoid(z), averaged over the c channels. `smooth` is
added to the overlap's two sides, in places: an empty mask that is predicted empty costs nothing.
"""

from lossreg import Float, Limit, LossSpec, hookimpl, ops

TINY = 1e-7
SMOOTH = Float("smooth", 1.0, 1e-3, 1.0, log=True, domain="(0, inf)")
FN_WEIGHT = Float("fn_weight", 0.7, 0.3, 0.9, domain="(0, 1)")


def _over_space(values):
    """Sum over the places of a mask: `(batch, *space, c)` to `(batch, c)`."""
    axes = tuple(range(1, len(values.shape) - 1))
    return ops.sum(values, axis=axes) if axes else values


def _counts(y_true, y_pred):
    """True positives, false positives and false negatives of probabilities, each `(batch, c)`."""
    # the exponential of a log sigmoid keeps its gradient where a sigmoid has rounded to 1
    yes, no = ops.exp(ops.log_sigmoid(y_pred)), ops.exp(ops.log_sigmoid(-y_pred))
    return _over_space(y_true * yes), _over_space((1.0 - y_true) * yes), _over_space(y_true * no)


def _over_channels(values):
    """Mean over the channels: `(batch, c)` to `(batch,)`."""
    return ops.mean(values, axis=-1)


def dice(y_true, y_pred, *, smooth):
    """1 - (2 TP + smooth)/(2 TP + FP + FN + smooth), of probabilities.

    y_true `(batch, *space, c)` in [0, 1]; y_pred `(batch, *space, c)` raw scores; smooth > 0, in
    places; returns `(batch,)`, 0 to 1. Milletari, Navab & Ahmadi, 2016, arXiv:1606.04797 (with p in
    place of its square, and `smooth`).

    >>> y_true, scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(dice(y_true, scores, smooth=1.0)[0]):.4f}")
    0.3333
    """
    hit, false, missed = _counts(y_true, y_pred)
    return _over_channels((false + missed) / (2.0 * hit + false + missed + smooth))


def jaccard(y_true, y_pred, *, smooth):
    """1 - (TP + smooth)/(TP + FP + FN + smooth), of probabilities: intersection over union.

    Shapes, domain and return as of `dice`. Rahman & Wang, 2016, International Symposium on Visual
    Computing (with `smooth`).

    >>> y_true, scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(jaccard(y_true, scores, smooth=1.0)[0]):.4f}")
    0.4000
    """
    hit, false, missed = _counts(y_true, y_pred)
    return _over_channels((false + missed) / (hit + false + missed + smooth))


def _tversky(y_true, y_pred, fn_weight, smooth):
    """1 minus the Tversky index, `(batch, c)`, as a quotient that loses nothing near 0."""
    hit, false, missed = _counts(y_true, y_pred)
    error = (1.0 - fn_weight) * false + fn_weight * missed
    return error / (hit + error + smooth)


def tversky(y_true, y_pred, *, fn_weight, smooth):
    """1 - (TP + smooth)/(TP + (1 - fn_weight) FP + fn_weight FN + smooth), of probabilities.

    Shapes and return as of `dice`; fn_weight in (0, 1), above 1/2 to miss less; smooth > 0.
    Salehi, Erdogmus & Gholipour, 2017, arXiv:1706.05721, whose beta is fn_weight and alpha 1 - beta.

    >>> y_true, scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(tversky(y_true, scores, fn_weight=0.7, smooth=1.0)[0]):.4f}")
    0.2500
    """
    return _over_channels(_tversky(y_true, y_pred, fn_weight, smooth))


def focal_tversky(y_true, y_pred, *, fn_weight, exponent, smooth):
    """(1 - Tversky index)^exponent, of probabilities; straight below 1e-7, where a power has no finite gradient.

    Shapes, fn_weight, smooth and return as of `tversky`; exponent > 0: below 1 masks that are nearly
    right keep a gradient, above 1 they lose it. Abraham & Khan, 2018, arXiv:1810.07842, whose 1/gamma
    is the exponent (gamma = 4/3).

    >>> y_true, scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(focal_tversky(y_true, scores, fn_weight=0.7, exponent=0.5, smooth=1.0)[0]):.4f}")
    0.5000
    """
    x = _tversky(y_true, y_pred, fn_weight, smooth)
    near = x < TINY
    power = ops.where(near, TINY, x) ** exponent
    return _over_channels(ops.where(near, x / TINY, 1.0) * power)


def bce_dice(y_true, y_pred, *, mix, smooth):
    """(1 - mix) times the mean binary cross-entropy plus mix times the Dice loss.

    Shapes and smooth as of `dice`; mix in [0, 1]; returns `(batch,)`, at least 0. Isensee et al.,
    2021, Nature Methods 18 (nnU-Net), which adds both with weight 1.

    >>> y_true, scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(bce_dice(y_true, scores, mix=0.5, smooth=1.0)[0]):.4f}")
    0.5132
    """
    # y may lie between 0 and 1
    entropy = y_true * ops.softplus(-y_pred) + (1.0 - y_true) * ops.softplus(y_pred)
    mean = ops.mean(entropy, axis=tuple(range(1, len(entropy.shape))))
    return (1.0 - mix) * mean + mix * dice(y_true, y_pred, smooth=smooth)


def _of_masks(name, function, params, **facts):
    return LossSpec(
        name=name, function=function, aliases=(f"{name}_loss",), tasks=("segmentation",), params=params,
        target="dense", outputs="1", activation="sigmoid", **facts,
    )  # fmt: skip


@hookimpl
def lossreg_losses():
    """The losses that this package offers."""
    yield _of_masks(
        "dice", dice, (SMOOTH,), summary="Overlap of mask and prediction, twice counted: small objects count.",
        reference="Milletari, Navab & Ahmadi, 2016, arXiv:1606.04797",
        formula="1 - (2 TP + smooth)/(2 TP + FP + FN + smooth)",
    )  # fmt: skip
    yield _of_masks(
        "jaccard", jaccard, (SMOOTH,), summary="Intersection over union of mask and prediction.",
        reference="Rahman & Wang, 2016, ISVC", formula="1 - (TP + smooth)/(TP + FP + FN + smooth)",
    )  # fmt: skip
    yield _of_masks(
        "tversky", tversky, (FN_WEIGHT, SMOOTH),
        summary="Overlap in which what is missed weighs otherwise than what is added.",
        reference="Salehi, Erdogmus & Gholipour, 2017, arXiv:1706.05721",
        formula="1 - (TP + smooth)/(TP + (1 - fn_weight) FP + fn_weight FN + smooth)",
        limits=(Limit({"fn_weight": 0.5, "smooth": 0.5}, "dice", {"smooth": 1.0}),),
    )  # fmt: skip
    yield _of_masks(
        "focal_tversky", focal_tversky, (FN_WEIGHT, Float("exponent", 0.75, 0.5, 1.5, domain="(0, inf)"), SMOOTH),
        summary="Tversky loss with another weight for masks that are nearly right.",
        reference="Abraham & Khan, 2018, arXiv:1810.07842", formula="(1 - Tversky index)^exponent",
        limits=(Limit({"exponent": 1.0}, "tversky"),),
    )  # fmt: skip
    yield _of_masks(
        "bce_dice", bce_dice, (Float("mix", 0.5, 0.1, 0.9, domain="[0, 1]"), SMOOTH),
        summary="Cross-entropy of each place with the Dice loss of the whole.",
        reference="Isensee et al., 2021, Nature Methods 18", formula="(1 - mix) BCE + mix Dice",
        limits=(Limit({"mix": 1.0}, "dice"),),
    )  # fmt: skip
