"""Overlap losses for masks, as a plugin of lossreg.

Masks `y_true` and raw scores `y_pred` are `(batch, *spatial_shape, c)`: a sample's value is 1 minus an overlap
of its whole mask with the probabilities p = sigmoid(z), averaged over the c channels. `smooth` is
added to the overlap's two sides, in pixels: an empty mask that is predicted empty costs nothing.
"""

from functools import partial

from lossreg import Float, Limit, hookimpl, ops, sigmoid_loss

TINY = 1e-7
SMOOTH = Float("smooth", 1.0, 1e-3, 1.0, log=True, domain="(0, inf)")
mask_loss = partial(sigmoid_loss, tasks=("segmentation",), target="dense", probabilistic=False)
FN_WEIGHT = Float("fn_weight", 0.7, 0.3, 0.9, domain="(0, 1)")


def _over_pixels(values):
    """Sum over the pixels of a mask: `(batch, *spatial_shape, c)` to `(batch, c)`."""
    axes = tuple(range(1, len(values.shape) - 1))
    return ops.sum(values, axis=axes) if axes else values


def _counts(y_true, y_pred):
    """True positives, false positives and false negatives of probabilities, each `(batch, c)`."""
    # the exponential of a log sigmoid keeps its gradient where a sigmoid has rounded to 1
    yes, no = ops.exp(ops.log_sigmoid(y_pred)), ops.exp(ops.log_sigmoid(-y_pred))
    return _over_pixels(y_true * yes), _over_pixels((1.0 - y_true) * yes), _over_pixels(y_true * no)


def _over_channels(values):
    """Mean over the channels: `(batch, c)` to `(batch,)`."""
    return ops.mean(values, axis=-1)


@mask_loss(params=(SMOOTH,), aliases=("dice_loss",), reference="Milletari, Navab & Ahmadi, 2016, arXiv:1606.04797")
def dice(y_true, y_pred, *, smooth):
    """Overlap of mask and prediction, twice counted: small objects count.

        1 - (2 TP + smooth)/(2 TP + FP + FN + smooth)

    The paper has the square of p in place of p, and no `smooth`. y_true `(batch, *spatial_shape, c)` in [0, 1];
    y_pred of the same shape; smooth > 0, in pixels. Returns `(batch,)`, 0 to 1.

    >>> y_true, raw_scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(dice(y_true, raw_scores, smooth=1.0)[0]):.4f}")
    0.3333
    """
    hit, false, missed = _counts(y_true, y_pred)
    return _over_channels((false + missed) / (2.0 * hit + false + missed + smooth))


@mask_loss(params=(SMOOTH,), aliases=("jaccard_loss",), reference="Rahman & Wang, 2016, ISVC")
def jaccard(y_true, y_pred, *, smooth):
    """Intersection over union of mask and prediction.

        1 - (TP + smooth)/(TP + FP + FN + smooth)

    Shapes, domain and return as of `dice`. The paper has no `smooth`.

    >>> y_true, raw_scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(jaccard(y_true, raw_scores, smooth=1.0)[0]):.4f}")
    0.4000
    """
    hit, false, missed = _counts(y_true, y_pred)
    return _over_channels((false + missed) / (hit + false + missed + smooth))


def _tversky(y_true, y_pred, fn_weight, smooth):
    """1 minus the Tversky index, `(batch, c)`, as a quotient that loses nothing near 0."""
    hit, false, missed = _counts(y_true, y_pred)
    error = (1.0 - fn_weight) * false + fn_weight * missed
    return error / (hit + error + smooth)


@mask_loss(
    params=(FN_WEIGHT, SMOOTH),
    aliases=("tversky_loss",),
    reference="Salehi, Erdogmus & Gholipour, 2017, arXiv:1706.05721",
    limits=(Limit({"fn_weight": 0.5, "smooth": 0.5}, "dice", {"smooth": 1.0}),),
)
def tversky(y_true, y_pred, *, fn_weight, smooth):
    """Overlap in which pixels that are missed have another weight than those that are added.

        1 - (TP + smooth)/(TP + (1 - fn_weight) FP + fn_weight FN + smooth)

    Shapes and return as of `dice`; fn_weight in (0, 1), above 1/2 to miss less; smooth > 0. The paper's beta is
    fn_weight and its alpha 1 - beta.

    >>> y_true, raw_scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(tversky(y_true, raw_scores, fn_weight=0.7, smooth=1.0)[0]):.4f}")
    0.2500
    """
    return _over_channels(_tversky(y_true, y_pred, fn_weight, smooth))


@mask_loss(
    params=(FN_WEIGHT, Float("exponent", 0.75, 0.5, 1.5, domain="(0, inf)"), SMOOTH),
    aliases=("focal_tversky_loss",),
    reference="Abraham & Khan, 2018, arXiv:1810.07842",
    limits=(Limit({"exponent": 1.0}, "tversky"),),
)
def focal_tversky(y_true, y_pred, *, fn_weight, exponent, smooth):
    """Tversky loss with another weight for masks that are nearly right.

        (1 - Tversky index)^exponent

    Straight below 1e-7, where a power has no finite gradient. Shapes, fn_weight, smooth and return as of `tversky`;
    exponent > 0: below 1 masks that are nearly right keep a gradient, above 1 they lose it. The paper's 1/gamma is
    the exponent (gamma = 4/3).

    >>> y_true, raw_scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(focal_tversky(y_true, raw_scores, fn_weight=0.7, exponent=0.5, smooth=1.0)[0]):.4f}")
    0.5000
    """
    x = _tversky(y_true, y_pred, fn_weight, smooth)
    near = x < TINY
    power = ops.where(near, TINY, x) ** exponent
    return _over_channels(ops.where(near, x / TINY, 1.0) * power)


@mask_loss(
    params=(Float("mix", 0.5, 0.1, 0.9, domain="[0, 1]"), SMOOTH),
    aliases=("bce_dice_loss",),
    reference="Isensee et al., 2021, Nature Methods 18",
    limits=(Limit({"mix": 1.0}, "dice"),),
)
def bce_dice(y_true, y_pred, *, mix, smooth):
    """Cross-entropy of each pixel with the Dice loss of the whole.

        (1 - mix) BCE + mix Dice

    BCE is the mean binary cross-entropy. Shapes and smooth as of `dice`; mix in [0, 1]. Returns `(batch,)`, at
    least 0. The paper (nnU-Net) adds both with weight 1.

    >>> y_true, raw_scores = ops.array([[[1.0], [0.0]]]), ops.array([[[0.0], [0.0]]])
    >>> print(f"{float(bce_dice(y_true, raw_scores, mix=0.5, smooth=1.0)[0]):.4f}")
    0.5132
    """
    # y may lie between 0 and 1
    entropy = y_true * ops.softplus(-y_pred) + (1.0 - y_true) * ops.softplus(y_pred)
    mean = ops.mean(entropy, axis=tuple(range(1, len(entropy.shape))))
    return (1.0 - mix) * mean + mix * dice(y_true, y_pred, smooth=smooth)


@hookimpl
def lossreg_losses():
    """Yield the losses that this package offers."""
    yield from (dice, jaccard, tversky, focal_tversky, bce_dice)
