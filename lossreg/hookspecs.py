"""The one hook of a lossreg plugin.

A plugin is a module (or object) named by an entry point of the group `lossreg`:

    from lossreg import Float, hookimpl, ops, regression_loss

    @regression_loss(params=(Float("c", 2.4, 0.01, 10.0, log=True, domain="(0, inf)"),), ...)
    def arctan(y_true, y_pred, *, c):
        return c**2 / 2 * ops.arctan(((y_pred - y_true) / c) ** 2)[..., 0]

    @hookimpl
    def lossreg_losses():
        yield arctan
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from lossreg.contract.spec import LossSpec

GROUP = "lossreg"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def lossreg_losses() -> Iterable[LossSpec]:  # type: ignore[empty-body]
    """Yield the `LossSpec`s that this plugin offers."""
