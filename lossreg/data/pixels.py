"""Arrays that are images by their shape and values, and notes on what becomes of their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.errors import count_of

CHANNELS = (1, 3, 4)
LEAST = 8  # pixels of a side, from which an array (n, height, width) may be images
BYTES = 255
SAMPLE = 1_000_000


def shape(x: Any) -> tuple[int, int, int] | None:
    """Return height, width and channels of images; None for what seems to be something else.

    Arrays `(n, height, width, channels)` with 1, 3 or 4 channels are images. So are `(n, height, width)` from 8 x 8 on
    with bytes, whole numbers from 0 to 255 or numbers from 0 to 1; others may be sequences.
    """
    if not isinstance(x, np.ndarray) or not x.size:
        return None
    if x.ndim == 4 and x.shape[-1] in CHANNELS:
        return x.shape[1], x.shape[2], x.shape[3]
    if x.ndim == 3 and min(x.shape[1:]) >= LEAST and _are_grey_values(x):
        return x.shape[1], x.shape[2], 1
    return None


def described(of: tuple[int, int, int]) -> str:
    """Return the form of an image in words: `28 x 28 pixels in 1 channel`."""
    height, width, channels = of
    return f"{height} x {width} pixels in {count_of(channels, 'channel')}"


def channels_first(x: Any) -> str:
    """Return a note on an array that may be images with the channels before height and width; empty for others."""
    if not isinstance(x, np.ndarray) or x.ndim != 4 or shape(x) or x.shape[1] not in CHANNELS:
        return ""
    return (
        f"x has rows of shape {x.shape[1:]}: if these are images, give them with the channels last, "
        "numpy.moveaxis(x, 1, -1)."
    )


def scaling(rows: NDArray[Any], mean: float, scale: float) -> list[str]:
    """Return a note on images whose pixels are standardised."""
    if (of := shape(rows)) is None:
        return []
    low, high = _ends(rows)
    return [
        f"x: images of {described(of)}; pixels from {low:g} to {high:g} become (pixel - {mean:.4g}) / {scale:.4g}, by "
        "mean and deviation of all training pixels."
    ]


def as_given(rows: Any) -> list[str]:
    """Return a note on images whose pixels stay as they are."""
    if (of := shape(rows)) is None:
        return []
    low, high = _ends(rows)
    wide = ", and models learn better from small numbers: keras.layers.Rescaling(1 / 255)" if high > 1 else ""
    return [f"x: images of {described(of)}; pixels from {low:g} to {high:g} stay as they are{wide}."]


def _ends(x: NDArray[Any]) -> tuple[float, float]:
    finite = x if x.dtype.kind in "bui" else x[np.isfinite(x)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _are_grey_values(x: NDArray[Any]) -> bool:
    if x.dtype == np.uint8:
        return True
    flat = x.reshape(-1)
    values = flat[:: max(1, flat.size // SAMPLE)]
    if values.dtype.kind not in "uif" or not np.isfinite(values).all() or values.min() < 0:
        return False
    whole = values.dtype.kind in "ui" or bool((values == np.floor(values)).all())
    return bool(values.max() <= (BYTES if whole else 1))
