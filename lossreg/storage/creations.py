"""The creations of trials in a damaged journal: found again by the lines about each trial, so that numbers stay.

Optuna numbers trials by the order in which they are created, so a lost line that created one would renumber all
later ones. The lines about a trial carry its number; `numbered` finds by them which creations are missing, and puts
in a stand-in.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import TrialState

from lossreg.storage import lines
from lossreg.storage.lines import Line

UNUSED, DOUBLE, APART = 2.0, 3.0, 50.0  # how unlikely: a creation that was lost, one too many, one that does not fit


def numbered(kept: Sequence[Line]) -> list[Line]:
    """The lines with as many creations as trials are told of, each at its place; marks what is about no trial."""
    places = {id(line): place for place, line in enumerate(kept)}
    created = [line for line in kept if line.op == lines.CREATE_TRIAL]
    about: dict[int, list[Line]] = defaultdict(list)
    for line in kept:
        if line.op in lines.OF_TRIALS:
            about[line.log["trial_id"]].append(line)
    told = [number for number, own in about.items() if number < len(created) or len(own) > 1]
    count = max(told, default=-1) + 1
    for number in [number for number in about if number >= max(count, len(created))]:
        for line in about.pop(number):
            line.fault = "it is about a trial that there is not"
    numbers = _aligned(len(created), count, _Costs(created, about, places))
    for place, line in enumerate(created):
        if numbers[place] is None:
            line.fault = "it creates a trial that there is not"
    return _filled([line for line in kept if not line.fault], created, numbers, count, about)


class _Costs:
    """How badly the creation at a place fits the trial of a number."""

    def __init__(self, created: Sequence[Line], about: Mapping[int, list[Line]], places: Mapping[int, int]) -> None:
        self.created, self.about, self.places = created, about, places

    @property
    def fit_as_they_are(self) -> bool:
        """Whether each creation in turn fits, and no trial is left over."""
        left = [number for number in self.about if number >= len(self.created)]
        return not left and all(self.of(i, i) < UNUSED for i in range(len(self.created)))

    def of(self, place: int, number: int) -> float:
        """0 where all agrees."""
        line, own = self.created[place], self.about.get(number, [])
        if not own:
            return 0.0
        here, first = self.places[id(line)], self.places[id(own[0])]
        if first < here:
            return APART if len(own) > 1 and self.places[id(own[1])] < here else UNUSED
        runs = any(one.op == lines.STATE and one.log["state"] == TrialState.RUNNING for one in own)
        waits = line.log.get("state") == TrialState.WAITING
        if not waits:
            return (UNUSED if runs else 0.0) + (0.0 if first == here + 1 else 0.5)
        wished = line.log.get("system_attrs", {}).get("fixed_params", {})
        has = {one.log["param_name"]: _value(one) for one in own if one.op == lines.PARAM}
        wrong = sum(name in has and not _same(has[name], value) for name, value in wished.items())
        return (0.0 if runs else UNUSED) + 10.0 * wrong


def _value(line: Line) -> Any:
    distribution = lines.distribution_of(line.log)
    return distribution.to_external_repr(line.log["param_value_internal"]) if distribution else None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(one, (int, float)) and isinstance(other, (int, float)) and math.isclose(one, other)
    return bool(one == other)


def _aligned(count: int, trials: int, costs: _Costs) -> list[int | None]:
    """The number of each creation in turn, None for one too many, as the alignment of least cost has them."""
    if costs.fit_as_they_are:
        return list(range(count))
    width = abs(trials - count) + 3
    best: list[dict[int, tuple[float, int, str]]] = [{0: (0.0, 0, "")}]
    best[0].update({number: (UNUSED * number, number - 1, "lost") for number in range(1, width + 1)})
    for place in range(count):
        row: dict[int, tuple[float, int, str]] = {}
        for number in range(max(0, place + 1 - width), place + 1 + width + 1):
            ways = []
            if (before := best[place].get(number - 1)) is not None:
                ways.append((before[0] + costs.of(place, number - 1), number - 1, "is"))
            if (before := best[place].get(number)) is not None:
                ways.append((before[0] + DOUBLE, number, "double"))
            if (before := row.get(number - 1)) is not None:
                ways.append((before[0] + UNUSED, number - 1, "lost"))
            if ways:
                row[number] = min(ways)
        best.append(row)
    return _walked(best, trials)


def _walked(best: Sequence[dict[int, tuple[float, int, str]]], trials: int) -> list[int | None]:
    """The way back through the table of `_aligned`."""
    last = best[-1]
    # trials that were created last and that nothing is told of may be there too
    number = min(last, key=lambda end: (last[end][0] + max(0, trials - end) * UNUSED, end))
    number, place, found = max(number, 0), len(best) - 1, []
    while place:
        _, before, way = best[place][number]
        if way != "lost":
            found.append(before if way == "is" else None)
            place -= 1
        number = before
    return found[::-1]


def _filled(
    kept: Sequence[Line], created: Sequence[Line], numbers: Sequence[int | None], count: int, about: Mapping[int, Any]
) -> list[Line]:
    """The lines with a stand-in behind the creation before each one that is missing."""
    number_of = {id(line): number for line, number in zip(created, numbers, strict=True) if number is not None}
    filled: list[Line] = []
    following = 0
    there = set(number_of.values())
    ahead = [line for line in kept if id(line) in number_of]
    starts = {id(one): number_of[id(one)] for one in ahead}
    of_study = (lines.CREATE_STUDY, lines.STUDY_ATTRIBUTE, lines.STUDY_SYSTEM)
    first = next((place for place, line in enumerate(kept) if line.op not in of_study), len(kept))
    for place, line in enumerate(kept):
        if place == first:
            following = _stand_in(filled, following, there, count, about)
        filled.append(line)
        if id(line) in starts:
            following = _stand_in(filled, starts[id(line)] + 1, there, count, about)
    return filled


def _stand_in(filled: list[Line], number: int, there: set[int], count: int, about: Mapping[int, list[Line]]) -> int:
    """Create the trials from `number` on that nothing creates."""
    while number not in there and number < max(count, max(there, default=0) + 1):
        own = about.get(number, [])
        filled.append(lines.written(0, _creation(own, number)))
        number += 1
    return number


def _creation(own: Sequence[Line], number: int) -> dict[str, Any]:
    """A trial that takes the lines that are left of one; of one without any, a failed trial."""
    log = {"op_code": lines.CREATE_TRIAL, "worker_id": lines.repairer(number), "study_id": 0, "datetime_start": None}
    if not any(line.op == lines.PARAM for line in own):
        start = "1970-01-01T00:00:00.000000+00:00"
        return {**log, "state": int(TrialState.FAIL), "datetime_start": start, "datetime_complete": start}
    runs = any(line.op == lines.STATE and line.log["state"] == TrialState.RUNNING for line in own)
    return {**log, "state": int(TrialState.WAITING)} if runs else log
