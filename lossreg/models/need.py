"""The inputs and raw scores that the task and the loss need of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """The form of a model: `outputs` raw scores per sample (or pixel); `n_classes` is 0 for regression.

    input_shape: of a sample, or of each of its inputs by name; spatial_shape: of a mask, with raw scores
    `(batch, *spatial_shape, outputs)`, empty for other tasks; multilabel: a sample has several labels; exposed: the
    logarithm of a further input, `exposure`, is added to the raw scores; head: the last layer is `rebuilt` where it has
    another number of outputs, or `kept`, or always a `new` one.
    """

    input_shape: Shape | Mapping[str, Shape]
    outputs: int
    n_classes: int
    spatial_shape: tuple[int, ...] = ()
    multilabel: bool = False
    exposed: bool = False
    head: str = "rebuilt"
    notes: list[str] = field(default_factory=list, compare=False)

    @property
    def widths(self) -> tuple[int, ...]:
        """The numbers of outputs with which models of this task usually end, whatever the loss needs."""
        binary = self.n_classes == 2 and not self.multilabel
        return (self.outputs, *((1, 2) if binary else (self.n_classes or 1,)))

    @property
    def is_saved(self) -> bool:
        """True if the model is a saved one, which no function of the user's can fit to the data."""
        return self.head != "rebuilt"

    def inputs(self) -> Any:
        """Return symbolic inputs, one or by name."""
        import keras

        if isinstance(self.input_shape, Mapping):
            return {name: keras.Input(shape, name=name) for name, shape in self.input_shape.items()}
        return keras.Input(self.input_shape)

    def facts(self) -> dict[str, Any]:
        """Return what `hp.get` gives besides hyperparameters."""
        facts = {"outputs": self.outputs, "input_shape": self.input_shape, "n_classes": self.n_classes}
        return (
            {**facts, "spatial_shape": self.spatial_shape, "space": self.spatial_shape} if self.spatial_shape else facts
        )
