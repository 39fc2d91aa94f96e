"""`FreshScores`: what trainings on fresh splits came to, kept in a study as they end, so that none is done twice."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optuna

from lossreg.search import attributes
from lossreg.storage.records import finite
from lossreg.storage.trials import ATTRIBUTE

KEPT = "lossreg:confirmed"
EVERY = 10.0  # seconds between two writes
Split = tuple[str, int]  # the number of a trial, as a name, and that of a split


class Scored(NamedTuple):
    """What a training came to: the metric, under the empty name, and further ones; none, and why, if it diverged."""

    values: Mapping[str, float]
    reason: str = ""


class FreshScores:
    """The trainings of a study on its fresh splits, by trial and split, since it changed last.

    Each write is an attribute of its own with what is new. require_turn: called before a write.
    """

    def __init__(self, study: optuna.Study, require_turn: Callable[[], None]) -> None:
        self._study, self._require_turn, self._written_at = study, require_turn, time.monotonic()
        # after a change of the study settings may be trained otherwise
        self._prefix = f"{KEPT}:{len(study.user_attrs[ATTRIBUTE].get(attributes.CHANGES, ()))}:"
        self.known: dict[Split, Scored] = {}
        self._new: dict[Split, Scored] = {}
        for part in self._parts:
            self.known |= _read(part)

    @property
    def _parts(self) -> list[Any]:
        """What was written, in the order in which it was."""
        noted = self._study.user_attrs
        names = (f"{self._prefix}{number}" for number in itertools.count())
        return [noted[name] for name in itertools.takewhile(noted.__contains__, names)]

    def add(self, name: str, split: int, scored: Scored) -> None:
        """Keep a training; it is written with others that end within a few seconds."""
        self.known[name, split] = self._new[name, split] = scored
        if time.monotonic() - self._written_at >= EVERY:
            self.write()

    def write(self) -> None:
        """Write what is new."""
        if self._new:
            self._require_turn()
            lines = [[*split, finite(scored.values), scored.reason] for split, scored in self._new.items()]
            self._study.set_user_attr(f"{self._prefix}{len(self._parts)}", lines)
        self._new, self._written_at = {}, time.monotonic()


def _read(part: Any) -> dict[Split, Scored]:
    return {
        (name, split): Scored({metric: math.nan if v is None else v for metric, v in values.items()}, reason)
        for name, split, values, reason in part
    }
