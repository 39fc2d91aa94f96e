"""The form in which a loss receives labels: the target kinds, and the constants drawn from the training samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossreg.contract.params import Interval
from lossreg.errors import DataError

if TYPE_CHECKING:
    import numpy as np

CLASSIFICATION = ("binary", "multiclass")
REGRESSION = ("regression", "positive", "count")
# several labels per sample, each present or absent; a mask of 0 and 1 per sample
TASKS = (*CLASSIFICATION, "multilabel", "segmentation", *REGRESSION)


@dataclass(frozen=True, slots=True)
class Constants:
    """Numbers that a loss may ask for (`needs`), drawn from the training samples of one lane.

    class_counts, class_priors: `(k,)`, samples of each class and their shares (classification;
    of a multilabel task the samples that have each label, of a segmentation the pixels of a mask);
    target_center, target_scale: median and 1.4826 MAD of the target, the standard deviation
    where the MAD is 0 (regression); target_mean: its mean (regression).
    """

    n_classes: int = 0
    class_counts: tuple[float, ...] = ()
    class_priors: tuple[float, ...] = ()
    target_mean: float = 0.0
    target_center: float = 0.0
    target_scale: float = 1.0

    @classmethod
    def from_labels(cls, y: np.ndarray, n_classes: int = 0, *, multihot: bool = False) -> Constants:
        """Constants of labels: `(n, k)` of 0 and 1 where `multihot`; class indices `(n, *spatial_shape)` when
        `n_classes` is given; else reals `(n,)`.
        """
        import numpy as np

        if multihot:
            counts = y.sum(axis=0, dtype=float)
            return cls(n_classes, tuple(counts.tolist()), tuple((counts / len(y)).tolist()))
        if n_classes:
            y = y.ravel()
            counts = np.bincount(y.astype(np.int64), minlength=n_classes).astype(float)
            return cls(n_classes, tuple(counts.tolist()), tuple((counts / counts.sum()).tolist()))
        center = float(np.median(y))
        scale = 1.4826 * float(np.median(np.abs(y - center))) or float(np.std(y)) or 1.0
        return cls(target_mean=float(np.mean(y)), target_center=center, target_scale=scale)

    def select(self, needs: tuple[str, ...]) -> dict[str, Any]:
        """The constants named in `needs`, as keyword arguments."""
        return {name: getattr(self, name) for name in needs if name not in LATE_NEEDS}


WEIGHTS = "sample_weight"
# how labels of a standardised target are centred and scaled
STANDARD = ("target_center", "target_scale")
LATE_NEEDS = ("progress", WEIGHTS)
NEEDS = ("n_classes", "class_counts", "class_priors", "target_mean", "target_scale", *LATE_NEEDS)


def _onehot(y: Any, constants: Constants) -> Any:
    import numpy as np

    return np.eye(constants.n_classes, dtype=np.float32)[y]


def _column(y: Any, constants: Constants) -> Any:
    return y.astype("float32")[..., None]


def _as_it_is(y: Any, constants: Constants) -> Any:
    return y.astype("float32")


def _signed(y: Any, constants: Constants) -> Any:
    return 2 * _column(y, constants) - 1


def _standard(y: Any, constants: Constants) -> Any:
    return _column((y - constants.target_center) / constants.target_scale, constants)


@dataclass(frozen=True, slots=True)
class Target:
    """A target kind: from labels to the `(n, *spatial_shape, t)` array that the loss sees.

    Labels are `(n,)`, of `multihot` `(n, k)`, of `dense` (and `binary` in a segmentation) masks
    `(n, *spatial_shape)`. `ordinal` is the class index, classes being in order.
    `standardised` targets are centred and scaled; predictions are brought back by
    `center + scale * prediction`. `domain` is what the labels must lie in.
    """

    name: str
    width: str
    encode: Callable[[Any, Constants], Any]
    domain: str = "(-inf, inf)"
    standardised: bool = False

    def check(self, y: Any, domain: str = "") -> None:
        """Raise `DataError` when a label lies outside `domain` (the kind's own by default)."""
        domain = domain or self.domain
        for bound in (float(y.min()), float(y.max())):
            if bound not in Interval.parse(domain):
                raise DataError(
                    f"needs targets in {domain}, and the data has {bound:g}",
                    hint="Shift or transform the target, or choose another loss.",
                )


TARGETS = {
    target.name: target
    for target in (
        Target("onehot", "k", _onehot),
        Target("multihot", "k", _as_it_is, domain="[0, 1]"),
        Target("binary", "1", _column),
        Target("signed", "1", _signed),
        Target("ordinal", "1", _column, domain="[0, inf)"),
        Target("dense", "1", _column, domain="[0, 1]"),
        Target("real", "1", _standard, standardised=True),
        Target("raw", "1", _column),
        Target("positive", "1", _column, domain="(0, inf)"),
        Target("count", "1", _column, domain="[0, inf)"),
    )
}
