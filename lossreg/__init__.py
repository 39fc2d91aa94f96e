"""lossreg: which loss should I train with, and with which parameters?

For the author of a loss: `LossSpec`, `Float`, `Int`, `Choice`, `PerClass`, `Limit`, `hookimpl`, `ops`.
For its user: `get` and `wrap` (Keras losses), `losses` (what is registered), `tune` (a study),
`load_trial` (the model that a trial trained), `repair` (of a damaged study), `dense_gradients` (an optimizer for
embeddings as a study has it).
Importing this package imports neither Keras nor a backend; its Keras losses are registered
for loading saved models as soon as Keras itself has been imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lossreg import autoload
from lossreg.version import __version__

if TYPE_CHECKING:
    from lossreg import ops
    from lossreg.errors import InputError, LossregError
    from lossreg.gradients import dense_gradients
    from lossreg.hookspecs import hookimpl
    from lossreg.keras_losses import get, load_model, wrap
    from lossreg.params import Choice, Float, Int, PerClass
    from lossreg.registry import losses
    from lossreg.repairs import repair
    from lossreg.search import tune
    from lossreg.spec import Limit, LossSpec
    from lossreg.trained import load_trial

__all__ = [
    "Choice",
    "Float",
    "InputError",
    "Int",
    "Limit",
    "LossSpec",
    "LossregError",
    "PerClass",
    "__version__",
    "dense_gradients",
    "get",
    "hookimpl",
    "load_model",
    "load_trial",
    "losses",
    "ops",
    "repair",
    "tune",
    "wrap",
]

# the command answers Ctrl-C before any of them is imported
_LAZY = {
    "Choice": "lossreg.params",
    "Float": "lossreg.params",
    "InputError": "lossreg.errors",
    "Int": "lossreg.params",
    "Limit": "lossreg.spec",
    "LossSpec": "lossreg.spec",
    "LossregError": "lossreg.errors",
    "PerClass": "lossreg.params",
    "dense_gradients": "lossreg.gradients",
    "get": "lossreg.keras_losses",
    "hookimpl": "lossreg.hookspecs",
    "load_model": "lossreg.keras_losses",
    "load_trial": "lossreg.trained",
    "losses": "lossreg.registry",
    "repair": "lossreg.repairs",
    "tune": "lossreg.search",
    "wrap": "lossreg.keras_losses",
}


_MODULES = ("errors", "hookspecs", "ops", "params", "spec")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"lossreg.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


autoload.follow("keras", "lossreg.keras_losses")
