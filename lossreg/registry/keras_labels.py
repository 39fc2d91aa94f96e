"""Labels and predictions as users of Keras give them, brought to the shapes of the loss contract.

Wrong values raise an `InputError` where they are known (eagerly), and make the loss NaN inside a graph. A
wrong shape is an `InputError` in both.
"""

from __future__ import annotations

from typing import Any

from lossreg import ops
from lossreg.contract.params import Interval
from lossreg.errors import InputError

SLACK = 1e-3
ONE_VALUE = "Labels are one value per prediction."


def columns(x: Any) -> Any:
    """Return `(batch,)` as `(batch, 1)`; anything wider as it is."""
    return ops.expand_dims(x, axis=-1) if len(x.shape) == 1 else x


def flat(x: Any) -> Any:
    """Return `(batch, *spatial_shape, c)` as `(samples, c)`, one sample per pixel."""
    return x if len(x.shape) == 2 else ops.reshape(x, (-1, x.shape[-1]))


def two_raw_scores(z: Any) -> Any:
    """Return one logit `(..., 1)` as the two raw scores `[-z/2, z/2]`; sigmoid(z) is their softmax."""
    return ops.concatenate([-0.5 * z, 0.5 * z], axis=-1)


def class_labels(y: Any, predictions: Any, k: int, dtype: str) -> Any:
    """Return class indices or one-hot (soft) labels as `(batch, *spatial_shape, k)` of `dtype`.

    Indices may be `(batch, *spatial_shape)` or `(batch, *spatial_shape, 1)`. If `predictions` have one
    column, k is 2 and labels are 0, 1 or between. Raises `InputError`.
    """
    expected = f"There are {k} classes: labels are class indices from 0 to {k - 1} or one-hot rows of {k}."
    same_rank = len(y.shape) == len(predictions.shape)
    if same_rank and y.shape[-1] in (k, None):
        _check_shape(y, y.shape[:-1], predictions, predictions.shape[:-1], expected)
        return ops.reshape(_within(ops.cast(y, dtype), "[0, 1]", expected), (*ops.shape(predictions)[:-1], k))
    indices = ops.squeeze(y, axis=-1) if same_rank and y.shape[-1] == 1 else y
    _check_shape(y, indices.shape, predictions, predictions.shape[:-1], expected)
    is_pair = predictions.shape[-1] == 1
    return _pairs(indices, dtype, expected) if is_pair else _one_hot(indices, k, dtype, expected)


def column_labels(
    y: Any, predictions: Any, domain: str, dtype: str, *, single: bool = False, expected: str = ONE_VALUE
) -> Any:
    """Return labels in the shape of predictions `(batch, *spatial_shape, outputs)`, or of the first column if `single`.

    They may lack the last axis if it has one column; nothing is ever broadcast. `expected` describes the
    labels that the loss takes, for the `InputError` on others.
    """
    fitting = predictions[..., :1] if single else predictions
    one_short = len(y.shape) == len(fitting.shape) - 1
    column = ops.expand_dims(y, axis=-1) if one_short else y
    if len(column.shape) == len(fitting.shape) + 1 and column.shape[-1] == 1:
        column = ops.squeeze(column, axis=-1)
    _check_shape(y, column.shape, predictions, fitting.shape, expected)
    return _within(ops.reshape(ops.cast(column, dtype), ops.shape(fitting)), domain, expected)


def ordinal_labels(y: Any, predictions: Any, k: int, dtype: str) -> Any:
    """Return indices of `k` ordered classes `(batch, *spatial_shape[, 1])` with a last axis; raises `InputError`."""
    expected = f"Labels are class indices, the lowest class 0 and the highest {k - 1}, one per row and not one-hot."
    indices = column_labels(y, predictions, f"[0, {k - 1}]", dtype, single=True, expected=expected)
    part = indices - ops.floor(indices + SLACK)
    return indices + 0.0 * _checked(part, (0.0, 0.0), "labels are no class indices", expected)


def signed(y: Any) -> Any:
    """Return labels 0 and 1 as -1 and 1; labels -1 and 1 as they are."""
    return ops.where(ops.equal(y, 0.0), -1.0, y)


def probabilities(p: Any, where: str) -> Any:
    """Return `p`; raises `InputError` if it leaves [0, 1], as raw scores do."""
    hint = "Give from_logits=True for raw scores, or let the model end in softmax or sigmoid."
    return _checked(p, (0.0, 1.0), "predictions from {} to {} are not probabilities", hint, where)


def rates(mean: Any, where: str) -> Any:
    """Return `mean`; raises `InputError` if it is below 0 anywhere."""
    hint = "Let the model end in exponential or softplus, or give from_logits=True for raw scores."
    return _checked(mean, (0.0, float("inf")), "predictions from {} to {} are not all at least 0", hint, where)


def _pairs(y: Any, dtype: str, expected: str) -> Any:
    y = _within(ops.cast(y, dtype), "[0, 1]", expected)
    return ops.stack([1.0 - y, y], axis=-1)


def _one_hot(indices: Any, k: int, dtype: str, expected: str) -> Any:
    numbers = _within(ops.cast(indices, dtype), f"[0, {k - 1}]", expected)
    whole = ops.cast(indices, "int32")
    what = "labels are neither class indices nor one-hot rows"
    part = _checked(numbers - ops.cast(whole, dtype), (0.0, 0.0), what, expected)
    # 0 where the index is good, NaN where it is not: zeros for all classes would have loss 0 in silence
    return ops.one_hot(whole, k, dtype=dtype) + ops.expand_dims(part, axis=-1)


def _within(y: Any, domain: str, expected: str) -> Any:
    interval = Interval.parse(domain)
    what = f"labels from {{}} to {{}} are not all in {domain}"
    hint = f"{expected} Recode or shift the labels, or choose another loss."
    require_numbers(y, "labels", "", "Leave out the samples without a label.")
    return _checked(y, (interval.low, interval.high), what, hint)


def _checked(x: Any, bounds: tuple[float, float], what: str, hint: str, where: str = "") -> Any:
    """Return `x` if it lies within `bounds`; else raise `InputError`, or return NaN inside a graph."""
    if bounds == (-float("inf"), float("inf")):
        return x
    low, high = bounds[0] - SLACK, bounds[1] + SLACK
    values = _known_values(x)
    if values is None:
        return ops.where((x < low) | (x > high), float("nan"), x)
    if values.size and (values.min() < low or values.max() > high):
        raise InputError(what.format(f"{values.min():.6g}", f"{values.max():.6g}"), where=where, hint=hint)
    return x


def require_numbers(x: Any, name: str, where: str, hint: str) -> None:
    """Raise `InputError` if known values are NaN."""
    import numpy as np

    values = _known_values(x)
    if values is not None and (missing := int(np.isnan(values).sum())):
        what = f"{missing:,} of {values.size:,} {name} {'is' if missing == 1 else 'are'} NaN"
        raise InputError(what, where=where, hint=hint)


def _known_values(x: Any) -> Any:
    """Return the values of a tensor as an array; None inside a graph."""
    import numpy as np

    try:
        return np.asarray(x, dtype=np.float64)
    except Exception:  # each backend has its own error for a tensor of a graph
        return None


def _check_shape(y: Any, shape: Any, predictions: Any, wanted: Any, expected: str) -> None:
    """Raise `InputError` that names labels and predictions as given, unless `shape` fits `wanted`."""
    if len(shape) != len(wanted) or any(None not in (a, b) and a != b for a, b in zip(shape, wanted, strict=False)):
        what = f"labels of shape {_shape_text(y)} do not fit predictions of shape {_shape_text(predictions)}"
        raise InputError(what, hint=expected)


def _shape_text(x: Any) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in x.shape) + ("," if len(x.shape) == 1 else "") + ")"
