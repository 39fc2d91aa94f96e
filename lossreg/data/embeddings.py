"""Check of samples against Embedding layers, which take whole numbers within their tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.errors import InputError

if TYPE_CHECKING:
    from lossreg.data import Dataset


def check(model: Any, dataset: Dataset) -> None:
    """Raise `InputError` when an Embedding layer directly behind an input is given numbers outside its table.

    The layer would round fractions, and count a negative number from the end of its table.
    """
    parts = [part for fold in dataset.folds for part in (fold.train, fold.validation, fold.test)]
    for layer, name in _fed(model):
        for part in parts:
            x = part.x.get(name) if isinstance(part.x, dict) else part.x
            if x is not None and len(x):
                _check(layer, name if isinstance(part.x, dict) else "", x)


def _fed(model: Any) -> Iterator[tuple[Any, str]]:
    """Yield each Embedding layer right behind an input, and the input's name."""
    inputs = {id(tensor): tensor.name for tensor in model.inputs}
    for layer in model.layers:
        if type(layer).__name__ == "Embedding":
            try:
                source = layer.input
            except (AttributeError, ValueError):  # called several times, or nested
                continue
            if id(source) in inputs:
                yield layer, inputs[id(source)]


def _check(layer: Any, name: str, x: Any) -> None:
    odd = x[(x < 0) | (x >= layer.input_dim) | (x != np.floor(x))]
    if not odd.size:
        return
    what = f"the Embedding layer {layer.name} takes whole numbers from 0 to {layer.input_dim - 1}, not {odd[0]:g}"
    if (odd == np.floor(odd)).all():
        raise InputError(what, hint=f"The rows have {x.min():g} to {x.max():g}: give it a larger input_dim.")
    way = f'{{ {name} = "none" }}' if name else '"none"'
    raise InputError(what, hint=f"Standardised numbers are no tokens: set data.preprocess = {way}.")
