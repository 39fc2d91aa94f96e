"""`FreshScores`: the results of trainings on fresh splits, stored as they end, so that none is done twice."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna

from lossreg.search import attributes
from lossreg.storage.trial_record import finite
from lossreg.storage.trials import ATTRIBUTE

KEPT = "lossreg:confirmed"
Split = tuple[str, int]  # the number of a trial, as a name, and that of a split


class Scored(NamedTuple):
    """The result of a training: the metric, under the empty name, and further ones; if it diverged, only the reason."""

    values: Mapping[str, float]
    reason: str = ""


class FreshScores:
    """The trainings of a study on its fresh splits, by trial and split, since the study or a loss's code changed last.

    Each write is an attribute of its own with what is new. require_turn: called before a write; provenance:
    distribution and version of every loss.
    """

    def __init__(
        self, study: optuna.Study, require_turn: Callable[[], None], provenance: Mapping[str, Sequence[str]]
    ) -> None:
        self._study, self._require_turn = study, require_turn
        # after a change settings may be trained otherwise
        changes = len(study.user_attrs[ATTRIBUTE].get(attributes.CHANGES, ()))
        versions = hashlib.sha256(json.dumps(provenance, sort_keys=True).encode()).hexdigest()[:8]
        self._prefix = f"{KEPT}:{changes}:{versions}:"
        self.known: dict[Split, Scored] = {}
        self._new: dict[Split, Scored] = {}
        for part in self._parts:
            self.known |= _read(part)

    @property
    def _parts(self) -> list[Any]:
        """The parts that were written, in this order."""
        noted = self._study.user_attrs
        names = (f"{self._prefix}{number}" for number in itertools.count())
        return [noted[name] for name in itertools.takewhile(noted.__contains__, names)]

    def add(self, name: str, split: int, scored: Scored) -> None:
        """Keep a training, to be written with others that ended in the same epoch."""
        self.known[name, split] = self._new[name, split] = scored

    def write(self) -> None:
        """Write what is new."""
        if self._new:
            self._require_turn()
            lines = [[*split, finite(scored.values), scored.reason] for split, scored in self._new.items()]
            self._study.set_user_attr(f"{self._prefix}{len(self._parts)}", lines)
        self._new = {}


def are_kept(study: optuna.Study | None) -> bool:
    """Return whether a study has trainings on fresh splits."""
    return study is not None and any(name.startswith(KEPT) for name in study.user_attrs)


def _read(part: Any) -> dict[Split, Scored]:
    return {
        (name, split): Scored({metric: math.nan if v is None else v for metric, v in values.items()}, reason)
        for name, split, values, reason in part
    }
