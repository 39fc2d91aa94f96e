"""For objectives of Optuna: `suggest_loss(trial, ["cross_entropy", "focal"], y_train)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossreg.search import suggestions

if TYPE_CHECKING:
    import optuna

    from lossreg.registry.keras_loss import RegistryLoss
    from lossreg.search.suggestions import Losses

__all__ = ["suggest_loss"]


def suggest_loss(
    trial: optuna.trial.BaseTrial, losses: Losses, y: Any, *, task: str = "auto", from_logits: bool = False
) -> RegistryLoss:
    """Return a Keras loss whose choice (`loss`) and parameters (`focal.gamma`) are parameters of the trial.

    losses: names of registered losses, which are searched over their declared ranges, or a table for each as under
    [losses] of a study: `{"focal": {"gamma": {"low": 0.0, "high": 3.0}}, "cross_entropy": {}}`; y: the labels of the
    training rows, from which class counts and the like come: class indices `(n,)`, one-hot rows or several labels
    `(n, k)`, or numbers `(n,)`; task: as in `[data]` of a study; from_logits: as in `lossreg.get`. Compare trials by a
    metric: the values of different losses are not comparable. Raises `InputError`.
    """
    return suggestions.suggest(trial, losses, y, task, from_logits=from_logits)
