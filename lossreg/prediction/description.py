"""`Description`: what a predictor predicts, as JSON beside its network and its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
)

from lossreg.errors import InputError, on_disk

MODEL, PREPROCESSOR, DESCRIPTION = "model.keras", "preprocessor.json", "predictor.json"  # the files of a predictor
Label = StrictBool | StrictInt | StrictFloat | StrictStr
Output = Literal["probability", "score", "prediction"]
Requirement = Annotated[str, StringConstraints(pattern=r"^[a-z-]+==[\w.+-]+$")]
Kind = Literal["boolean", "string", "any"]


class Part(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    """A column of raw rows; required: training had a value in every row."""

    name: str
    kind: Kind
    required: bool


class Array(Part):
    """An input of raw arrays: its NumPy type and the shape of a sample."""

    dtype: str = Field(pattern=r"^\w+$")
    shape: tuple[int, ...]


class Description(Part):
    """A predictor in words and numbers.

    study, trial, loss: where it comes from, loss being a recipe such as `lossreg.get("focal", gamma=2.0)`; task: as in
    `lossreg.contract.targets.TASKS`; target: the names of the target, one or several; classes: in the order of the
    outputs, with index 1 the positive class of two; the names of several labels; empty for numbers; output: the kind
    of number that the network gives; decision: as in `TrialRecord.decision`, which is part of the network; columns,
    arrays: the form of raw rows; example: a typical row of a table; backend: of Keras, which trained it;
    requirements: the packages that it needs, `name==version`.
    """

    format: Literal["lossreg predictor 1"] = "lossreg predictor 1"
    study: str
    trial: int = Field(ge=0)
    loss: str
    task: str
    target: tuple[str, ...]
    classes: tuple[Label, ...] = ()
    output: Output
    decision: Mapping[str, float | tuple[float, ...]] = Field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    arrays: Mapping[str, Array] = Field(default_factory=dict)
    example: list[dict[str, Any]] = Field(default_factory=list)
    backend: str = "tensorflow"
    requirements: tuple[Requirement, ...] = ()

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


def described(file: Path) -> Description:
    """Return what a file says of its predictor; raises `InputError`."""
    with on_disk(file):
        text = file.read_bytes()
    try:
        return Description.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "literal_error" and first["loc"] == ("format",):
            what, hint = f"is a {first['input']!s:.80}, which this version does not read", "Export the predictor again."
            raise InputError(what, where=str(file), hint=hint) from None
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise InputError(f"is no description of a predictor, or damaged ({reason})", where=str(file)) from None
