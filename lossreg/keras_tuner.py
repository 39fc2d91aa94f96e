"""For users of KerasTuner: `loss(hp, ["cross_entropy", "focal"], y_train)` inside their `build_model`, and `LossTuner`.

`LossTuner` is a `keras_tuner.Tuner` whose search is a study; it is imported, with Keras, when it is first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from lossreg.runtime import backend
from lossreg.search import suggestions

if TYPE_CHECKING:
    import keras_tuner

    from lossreg.registry.keras_loss import RegistryLoss
    from lossreg.search.loss_tuner import LossTuner
    from lossreg.search.suggestions import Losses

__all__ = ["LossTuner", "loss"]


def __getattr__(name: str) -> Any:
    if name != "LossTuner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    backend.load()
    from lossreg.search.loss_tuner import LossTuner

    return LossTuner


def loss(
    hp: keras_tuner.HyperParameters, losses: Losses, y: Any, *, task: str = "auto", from_logits: bool = False
) -> RegistryLoss:
    """Return a Keras loss whose choice (`loss`) and parameters (`focal.gamma`) are hyperparameters.

    The parameters of all losses are declared; those of a loss are active in its trials only, and begin at their
    published values, or at the nearest ones in their ranges. losses, y, task and from_logits are those of
    `lossreg.optuna.suggest_loss`. Give the tuner a metric as its objective, such as `val_accuracy`: the values of
    different losses are not comparable.
    Raises `InputError`.
    """
    suggestions.check_searcher("hp", hp, "conditional_scope", "keras_tuner.HyperParameters")
    proposer = suggestions.proposer_of(losses, y, task)
    published = {name: value for loss in proposer.names for name, value in proposer.published(loss)[0].items()}
    trial = _Trial(hp, published)
    chosen = suggestions.suggested(proposer, trial, from_logits=from_logits)
    for other in proposer.names:
        if other != trial.chosen:  # a tuner draws the parameters that it knows
            proposer.suggest(_Trial(hp, published, other))
    return chosen


class _Trial:
    """The methods of an Optuna trial that a suggestion needs, on KerasTuner's hyperparameters.

    published: the values that come first, by name; of: the loss whose parameters are declared, by default the chosen.
    """

    def __init__(self, hp: keras_tuner.HyperParameters, published: Mapping[str, Any], of: str = "") -> None:
        self.hp, self.published, self.chosen = hp, published, of

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """Return one of the choices; the first one asked for is the loss, on which all others depend."""
        if name == "loss" and self.chosen:
            return self.chosen
        shown = suggestions.options(choices)
        if not self.chosen:
            known = next((parameter for parameter in self.hp.space if parameter.name == name), None)
            suggestions.check_free(name, known, shown)
        first = self.published.get(name)
        default = shown[choices.index(first)] if first in choices else None
        with self._scope():
            chosen = self.hp.Choice(name, shown, default=default)
        self.chosen = self.chosen or chosen
        return choices[0 if chosen is None else shown.index(chosen)]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None) -> Any:
        """Return a real number."""
        return self._number(self.hp.Float, name, low, high, log=log, step=step)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> Any:
        """Return a whole number."""
        return self._number(self.hp.Int, name, low, high, log=log, step=step)

    def _number(self, kind: Any, name: str, low: float, high: float, *, log: bool, step: float | None) -> Any:
        with self._scope():
            value = kind(name, low, high, default=self.published.get(name), **suggestions.spacing(log=log, step=step))
        return low if value is None else value

    def _scope(self) -> AbstractContextManager[Any]:
        if not self.chosen:
            return nullcontext()
        scope: AbstractContextManager[Any] = self.hp.conditional_scope("loss", [self.chosen])
        return scope
