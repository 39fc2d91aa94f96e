"""`Description`: what a predictor predicts, as JSON beside its network and its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

Label = StrictBool | StrictInt | StrictFloat | StrictStr
Output = Literal["probability", "score", "prediction"]


class Description(BaseModel):
    """A predictor in words and numbers.

    study, trial, loss: where it comes from, loss being a recipe such as `lossreg.get("focal", gamma=2.0)`; task: as in
    `lossreg.contract.targets.TASKS`; target: the names of the target, one or several; classes: in the order of the
    outputs, with index 1 the positive class of two; the names of several labels; empty for numbers; output: the kind
    of number that the network gives; decision: as in `TrialRecord.decision`, which is part of the network.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["lossreg predictor 1"] = "lossreg predictor 1"
    study: str
    trial: int = Field(ge=0)
    loss: str
    task: str
    target: tuple[str, ...]
    classes: tuple[Label, ...] = ()
    output: Output
    decision: Mapping[str, float | tuple[float, ...]] = Field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The classes, or the labels of a row, as text."""
        return [str(label) for label in self.classes]

    def json_text(self) -> str:
        """Return it as the text of a file."""
        return f"{self.model_dump_json(indent=2)}\n"


def plain(values: Any) -> tuple[Label, ...]:
    """Return class labels as JSON holds them, text in place of those that it does not."""
    return tuple(value if isinstance(value, (bool, int, float, str)) else str(value) for value in values)
