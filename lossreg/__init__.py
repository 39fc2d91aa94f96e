"""lossreg: which loss should I train with, and with which parameters?

For the author of a loss: a decorator for its kind (`softmax_loss`, `sigmoid_loss`, `margin_loss`, `multilabel_loss`,
`regression_loss`, `loss`) or `LossSpec`; `Float`, `Int`, `Choice`, `PerClass`, `Claims`, `Limit`, `hookimpl`, `ops`.
For its user: `get` and `wrap` (Keras losses), `losses` (what is registered), `init` (a study file for your data),
`tune` (a study), `load_predictor` (from raw rows to predictions), `load_trial` (the model that a trial trained),
`load_preprocessor` (of the file beside a saved model),
`repair` (of a damaged study), `dense_gradients` (an optimizer for embeddings as a study has it), `safe_mode` (for
studies of strangers).
Importing this package imports neither Keras nor a backend; its Keras losses are registered
for loading saved models as soon as Keras itself has been imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lossreg.runtime import autoload
from lossreg.version import __version__

if TYPE_CHECKING:
    from lossreg import ops
    from lossreg.contract.claims import Claims, Limit
    from lossreg.contract.declaration import (
        loss,
        margin_loss,
        multilabel_loss,
        regression_loss,
        sigmoid_loss,
        softmax_loss,
    )
    from lossreg.contract.params import Choice, Float, Int, PerClass
    from lossreg.contract.spec import LossSpec
    from lossreg.data.preprocessor_file import load_preprocessor, save_preprocessor
    from lossreg.errors import InputError, LossregError
    from lossreg.hookspecs import hookimpl
    from lossreg.inspection.first_study import init
    from lossreg.registry.dense_gradients import dense_gradients
    from lossreg.registry.keras_loss import get, load_model, wrap
    from lossreg.registry.registry import losses
    from lossreg.runtime.safety import safe_mode
    from lossreg.search.history import results
    from lossreg.search.predictors import load_predictor
    from lossreg.search.repairs import repair
    from lossreg.search.restore import load_trial
    from lossreg.search.tuning import tune

__all__ = [
    "Choice",
    "Claims",
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
    "init",
    "load_model",
    "load_predictor",
    "load_preprocessor",
    "load_trial",
    "loss",
    "losses",
    "margin_loss",
    "multilabel_loss",
    "ops",
    "regression_loss",
    "repair",
    "results",
    "safe_mode",
    "save_preprocessor",
    "sigmoid_loss",
    "softmax_loss",
    "tune",
    "wrap",
]

# imported when first used: the command answers Ctrl-C before any of them is there
_NAMES = {
    "contract.claims": ("Claims", "Limit"),
    "contract.declaration": (
        "loss", "margin_loss", "multilabel_loss", "regression_loss", "sigmoid_loss", "softmax_loss",
    ),
    "contract.params": ("Choice", "Float", "Int", "PerClass"),
    "contract.spec": ("LossSpec",),
    "data.preprocessor_file": ("load_preprocessor", "save_preprocessor"),
    "errors": ("InputError", "LossregError"),
    "hookspecs": ("hookimpl",),
    "inspection.first_study": ("init",),
    "registry.dense_gradients": ("dense_gradients",),
    "registry.keras_loss": ("get", "load_model", "wrap"),
    "registry.registry": ("losses",),
    "runtime.safety": ("safe_mode",),
    "search.history": ("results",),
    "search.predictors": ("load_predictor",),
    "search.repairs": ("repair",),
    "search.restore": ("load_trial",),
    "search.tuning": ("tune",),
}  # fmt: skip
_LAZY = {name: f"lossreg.{module}" for module, names in _NAMES.items() for name in names}
_MODULES = ("errors", "hookspecs", "ops")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"lossreg.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


autoload.follow("keras", "lossreg.registry.keras_loss")
