"""The built-in losses, one module per family, offered through the same hook as any plugin's.

Throughout: `y_true (batch, *spatial_shape, t)` are labels, `y_pred (batch, *spatial_shape, outputs)` raw scores
of the same dtype, the value is `(batch,)`, the mean over space. Parameters and constants are
numbers or scalar tensors, `(k,)` vectors where that is stated. p is softmax or sigmoid of the raw scores, t
the true class; soft labels are weights of the classes. Float32 and wider types are exact; what `lossreg.get`
receives in half precision it computes in float32.
"""

from __future__ import annotations

from collections.abc import Iterator

from lossreg.contract.declaration import declared_in
from lossreg.contract.spec import LossSpec
from lossreg.hookspecs import hookimpl
from lossreg.zoo import (
    binary,
    counts,
    evolved,
    focal,
    imbalance,
    likelihoods,
    margins,
    multiclass,
    multilabel,
    noisy_labels,
    quantiles,
    regression,
    robust_regression,
    tempered,
)

FAMILIES = (
    multiclass,
    margins,
    binary,
    focal,
    noisy_labels,
    tempered,
    imbalance,
    evolved,
    multilabel,
    regression,
    robust_regression,
    quantiles,
    counts,
    likelihoods,
)


@hookimpl
def lossreg_losses() -> Iterator[LossSpec]:
    """Yield every built-in loss."""
    for family in FAMILIES:
        yield from declared_in(family)
