"""Labels of a known task as numbers, with the names of their classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A task and its labels, with names and slugs of the classes, of multilabel columns, or of a mask's two values.

    y: class indices `(n,)` (int64); values `(n,)` (float64); several labels per row, `(n, k)` of 0 and 1
    (int64); masks `(n, *spatial_shape)` of 0 and 1 (int8). marks tell a reading
    from the usual one of such labels; values: the classes as the data have them, such as whole numbers, where these
    are not their names.
    """

    task: str
    y: NDArray[Any]
    classes: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    values: tuple[Any, ...] = ()

    @property
    def strata(self) -> NDArray[Any] | None:
        """A number per row, whose proportions the splits keep; None for values.

        For a multilabel row it is the rarest of its labels, for a mask whether it has any 1.
        """
        if not self.classes:
            return None
        if self.task == "multilabel":
            order = np.argsort(self.y.sum(axis=0), kind="stable")
            rarest: NDArray[Any] = order[self.y[:, order].argmax(axis=1)]
            rarest[self.y.sum(axis=1) == 0] = len(self.classes)
            return rarest
        return self.y if self.y.ndim == 1 else np.asarray(self.y.reshape(len(self.y), -1).max(axis=1))

    def absent(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the classes that none of these rows has."""
        y = self.y[rows]
        if self.task == "multilabel":
            return [name for name, rows_with in zip(self.classes, y.sum(axis=0), strict=True) if not rows_with]
        present = set(np.unique(y).tolist())
        return [name for i, name in enumerate(self.classes) if i not in present]


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, or names with their index where two are the same (the text "1" beside the number 1)."""
    return tuple(names) if len(set(names)) == len(names) else tuple(f"{name}#{i}" for i, name in enumerate(names))


def slugs(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique names for Optuna and MLflow, of lower-case ASCII letters, digits and `_`; -1 is `minus_1`."""
    taken: list[str] = []
    for index, name in enumerate(names):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        plain = re.sub(r"^-(?=[\d.])", "minus_", plain)
        slug = base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or f"class_{index}"
        number = 2
        while slug in taken:
            slug, number = f"{base}_{number}", number + 1
        taken.append(slug)
    return tuple(taken)
