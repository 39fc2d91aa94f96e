"""Raw rows of several parts (training, validation, test), one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import features, new_forms
from lossreg.data.features import Array, Features
from lossreg.data.origin import Origin
from lossreg.data.parts import NAMES, TEST, TRAIN, VALIDATION
from lossreg.data.raw import Raw
from lossreg.data.row_numbers import RowNumbers


def joined(parts: Mapping[int, Raw], origin: Origin) -> Raw:
    """Return the rows of parts that are given, one after the other; raises `DataError` when their shapes differ."""
    rows = parts[TRAIN]
    given = [part for part in (VALIDATION, TEST) if part in parts]
    for part in given:
        rows = appended(rows, parts[part], part, origin)
    notes = [f"{NAMES[part].capitalize()} rows: the given {NAMES[part]} set." for part in given]
    return replace(rows, notes=[*rows.notes, *notes])


def appended(rows: Raw, other: Raw, part: int, origin: Origin) -> Raw:
    """Return the rows of other parts, and after them those of a further one; raises `DataError` when shapes differ."""
    if not len(other.y):
        raise origin.error(f"no {NAMES[part]} rows", "Leave them out, and a share of the rows is cut off for them.")
    before = np.full(len(rows.y), TRAIN, np.int8) if rows.given is None else rows.given
    numbers = {f"the {NAMES[of]} rows": raw.numbers for of, raw in ((TRAIN, rows), (part, other))}
    both = [name for name in rows.beside if name in other.beside]
    x, notes = _as_trained(rows.x, other.x, origin)
    return replace(
        rows, x=features.joined(rows.x, x, NAMES[part], origin), y=_joined_labels(rows.y, other.y, NAMES[part], origin),
        given=np.concatenate([before, np.full(len(other.y), part, np.int8)]), weights=_joined_weights(rows, other),
        aside={use: pd.concat([rows.aside[use], other.aside[use]], ignore_index=True) for use in rows.aside},
        read_as=RowNumbers.joined(numbers), gap_words=Counter(rows.gap_words) + Counter(other.gap_words),
        beside={name: pd.concat([rows.beside[name], other.beside[name]], ignore_index=True) for name in both},
        notes=[*rows.notes, *(f"{NAMES[part].capitalize()} rows: {note}" for note in notes)],
    )  # fmt: skip


def _as_trained(train: Features, test: Features, origin: Origin) -> tuple[Features, list[str]]:
    """Return rows of a further part with numbers and dates in the form of the training rows, and notes."""
    known, parts, notes = features.parts(train), dict(features.parts(test)), list[str]()
    for name, part in parts.items():
        training = known.get(name)
        if isinstance(part, pd.DataFrame) and isinstance(training, pd.DataFrame) and not origin.as_given:
            parts[name], part_notes = new_forms.as_trained(part, training, origin.options)
            notes += [f"{name}: {note}" if name else note for note in part_notes]
    return (parts if isinstance(test, dict) else parts[""]), notes


def _joined_weights(train: Raw, test: Raw) -> NDArray[np.float64] | None:
    if train.weights is None and test.weights is None:
        return None
    return np.concatenate([np.ones(len(part.y)) if part.weights is None else part.weights for part in (train, test)])


def _joined_labels(train: pd.Series[Any] | Array, test: pd.Series[Any] | Array, part: str, origin: Origin) -> Any:
    if isinstance(train, pd.Series) and isinstance(test, pd.Series):
        features.check_order(train, test, "y", part, origin)
        return pd.concat([train, test], ignore_index=True)
    if train.shape[1:] != test.shape[1:]:
        raise origin.error(f"training labels have shape {train.shape}, {part} labels {test.shape}")
    return np.concatenate([train, test])
