"""How labels reach a loss: the target kinds, and the constants drawn from the training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossreg.errors import DataError
from lossreg.params import Interval

if TYPE_CHECKING:
    import numpy as np

CLASSIFICATION = ("binary", "multiclass")
REGRESSION = ("regression", "positive", "count")
TASKS = (*CLASSIFICATION, "multilabel", *REGRESSION)


@dataclass(frozen=True, slots=True)
class Constants:
    """Numbers that a loss may ask for (`needs`), drawn from the training rows of one lane.

    class_counts, class_priors: `(k,)`, rows of each class and their shares (classification);
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
    def from_labels(cls, y: np.ndarray, n_classes: int = 0) -> Constants:
        """Constants of `(n,)` labels: class indices when `n_classes` is given, else reals."""
        import numpy as np

        if n_classes:
            counts = np.bincount(y.astype(np.int64), minlength=n_classes).astype(float)
            return cls(n_classes, tuple(counts.tolist()), tuple((counts / counts.sum()).tolist()))
        center = float(np.median(y))
        scale = 1.4826 * float(np.median(np.abs(y - center))) or float(np.std(y)) or 1.0
        return cls(target_mean=float(np.mean(y)), target_center=center, target_scale=scale)

    def select(self, needs: tuple[str, ...]) -> dict[str, Any]:
        """The constants named in `needs`, as keyword arguments."""
        return {name: getattr(self, name) for name in needs if name not in LATE_NEEDS}


LATE_NEEDS = ("progress",)
NEEDS = ("n_classes", "class_counts", "class_priors", "target_mean", "target_scale", *LATE_NEEDS)


def _onehot(y: Any, constants: Constants) -> Any:
    import numpy as np

    return np.eye(constants.n_classes, dtype=np.float32)[y]


def _column(y: Any, constants: Constants) -> Any:
    return y.astype("float32")[:, None]


def _signed(y: Any, constants: Constants) -> Any:
    return 2 * _column(y, constants) - 1


def _standard(y: Any, constants: Constants) -> Any:
    return _column((y - constants.target_center) / constants.target_scale, constants)


@dataclass(frozen=True, slots=True)
class Target:
    """A target kind: from `(n,)` labels to the `(n, t)` array that the loss sees.

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
        Target("binary", "1", _column),
        Target("signed", "1", _signed),
        Target("real", "1", _standard, standardised=True),
        Target("raw", "1", _column),
        Target("positive", "1", _column, domain="(0, inf)"),
        Target("count", "1", _column, domain="[0, inf)"),
    )
}
