"""The end of a trial: what was trained, with which parameters, and the score that it reached."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from lossreg.contract import recipes
from lossreg.storage.stored_types import Count, Size

if TYPE_CHECKING:
    import numpy as np

CURVES = ("train_loss", "val_loss", "train_score", "val_score")
Weights = list["np.ndarray"]
NO_METRICS: Mapping[str, float] = {}


class Outcome(StrEnum):
    """The end of a trial: with a score, early by the pruner, in an exception, or non-finite."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    DIVERGED = "diverged"


def is_outcome(state: str) -> bool:
    """Return whether a state is one of those in which trials end."""
    return state in list(Outcome)


def finite(value: Any) -> Any:
    """Return `value` with every number that is not finite replaced by None, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def spread(scores: Sequence[float]) -> float | None:
    """Return the standard deviation of the members' scores (n - 1 in the denominator), None of fewer than two."""
    import statistics

    return statistics.stdev(scores) if len(scores) > 1 and all(map(math.isfinite, scores)) else None


@dataclass(frozen=True, slots=True, repr=False)
class TrialRecord:
    """One ended trial.

    state: complete, pruned, failed (an exception) or diverged (went non-finite);
    candidate: the study's name of the loss; loss: its registered name; params: what was
    suggested, by Optuna name (`focal.gamma`, `learning_rate`); loss_params: every keyword
    argument of the loss, fixed ones included; constants: what the loss takes from the training samples (those of
    the first fold where there are folds), None where an older version did not keep it; expression: source of a
    loss that no registry has, `lossreg.wrap(my_loss, ...)`; score: the study's metric on validation data at
    `epoch` (1-based), None unless complete; scores: those of the members at that epoch, empty unless
    folds or seeds made several, score being their mean and spread their standard deviation (n - 1);
    curves: by name of `CURVES`, one value per epoch, the members' mean; seconds: wall time from the first
    to the last epoch; asking: seconds that asking for it took, 0 where an older version did not keep it;
    trainer: population or fit; reason: why it failed or diverged; refusal: why no
    population could train it; started, ended: POSIX seconds; predicts_only: the class that the model
    predicts for every validation sample (0 in tasks without classes), None where its predictions vary; weights: of
    the training samples, `rows` naming the column ("" where it has no name), `classes` a list in class order, and
    `exposure` naming the column of exposures; empty where all count 1; default_score: the score without tuned
    decisions, decision: the tuned one of the first member,
    `{"threshold": 0.3}`, `{"shift": [0.1, -0.1]}` or `{"temperature": 1.2}`; None and empty where none is tuned;
    worker: the name of the one that trained it, `host:process:random`, empty where there was but one; metrics: further
    ones that the study has, by name, at the epoch of the score.
    """

    number: int
    state: Annotated[str, is_outcome]
    candidate: str
    loss: str
    params: Mapping[str, Any]
    loss_params: Mapping[str, Any]
    learning_rate: Size
    score: float | None
    epoch: Count
    curves: Mapping[str, list[float | None]]
    seconds: float
    trainer: str = "population"
    reason: str = ""
    refusal: str = ""
    distribution: str = ""
    version: str = ""
    started: float = 0.0
    ended: float = 0.0
    scores: list[float] = field(default_factory=list)
    spread: Size | None = None
    predicts_only: int | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    expression: str = ""
    weights: Mapping[str, Any] = field(default_factory=dict)
    default_score: float | None = None
    decision: Mapping[str, Any] = field(default_factory=dict)
    worker: str = ""
    asking: float = 0.0
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    def __repr__(self) -> str:
        reached = "no score" if self.score is None else f"score {self.score:.5g} at epoch {self.epoch}"
        return f"<trial {self.number}, {self.state}: {reached}, {self.recipe}, learning rate {self.learning_rate:.3g}>"

    @classmethod
    def of_training(
        cls, outcome: Outcome, *, params: Mapping[str, Any], loss_params: Mapping[str, Any],
        curves: Mapping[str, list[float]], chosen: int, scores: Sequence[float], predicts_only: int | None,
        default_score: float | None, decision: Mapping[str, Any], started: float,
        metrics: Mapping[str, float] = NO_METRICS, **others: Any,
    ) -> Self:  # fmt: skip
        """Return the record of a trial that ends now; one that is not complete has no score.

        params: as Optuna has them, the choice of loss included; chosen: the epoch that is scored, from 1;
        scores, predicts_only, default_score, decision, metrics: those there.
        """
        now, is_complete = time.time(), outcome == Outcome.COMPLETE
        last = 0 if outcome == Outcome.FAILED else len(curves["val_score"])
        members = list(scores) if is_complete and len(scores) > 1 else []
        return cls(
            state=outcome.value,
            params={name: value for name, value in params.items() if name != "loss"},
            loss_params=finite(loss_params),
            curves={name: finite(curve) for name, curve in curves.items()},
            score=curves["val_score"][chosen - 1] if is_complete else None,
            epoch=chosen if is_complete else last,
            scores=members,
            spread=spread(members),
            predicts_only=predicts_only if is_complete else None,
            default_score=default_score if is_complete else None,
            decision=dict(decision) if is_complete else {},
            metrics=finite(metrics) if is_complete else {},
            started=started,
            ended=now,
            seconds=now - started,
            **others,
        )

    @property
    def recipe(self) -> str:
        """The loss that was trained, ready to paste: `lossreg.get("focal", gamma=2.0, from_logits=True)`.

        Constants of the training samples stand in it as numbers. A function of the user's own, which the registry
        does not know, is called by its name.
        """
        function = "" if self.distribution else self.loss
        return recipes.recipe(self.expression or function or f'"{self.loss}"', self.loss_params, self.constants)

    @property
    def finite_score(self) -> float | None:
        """The score of a completed trial, None where it is not finite."""
        is_finite = self.state == Outcome.COMPLETE and self.score is not None and math.isfinite(self.score)
        return self.score if is_finite else None

    @property
    def epochs(self) -> int:
        """The number of epochs trained."""
        return len(self.curves.get("val_score", ()))

    def summary(self) -> dict[str, Any]:
        """Return the form used in `best` and `baseline` of the JSON documents, without what was confirmed."""
        names = (
            "recipe", "learning_rate", "score", "default_score", "decision", "spread", "scores", "epoch", "epochs",
            "predicts_only",
        )  # fmt: skip
        return {
            "trial": self.number,
            "loss": self.candidate,
            "params": dict(self.params),
            "settings": dict(self.loss_params),
            "constants": dict(self.constants),
            **{name: getattr(self, name) for name in names},
        }
