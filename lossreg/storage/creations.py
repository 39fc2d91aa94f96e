"""The creations of trials in a damaged journal: those that were lost are replaced, so that trials keep their numbers.

Optuna numbers trials in the order of their creation, so a lost line that created one would renumber all
later ones. The lines about a trial have its number; `numbered` finds by them which creations are missing, and puts
in a replacement.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import TrialState

from lossreg.storage import lines
from lossreg.storage.lines import Line

LOST, DOUBLE, MISFIT = 2.0, 3.0, 50.0  # costs of a creation that was lost, is there twice, or does not fit its trial


def numbered(remaining: Sequence[Line]) -> list[Line]:
    """Return the lines with a creation for every trial that they are about, in order; mark lines about no trial."""
    positions = {id(line): position for position, line in enumerate(remaining)}
    created = [line for line in remaining if line.op == lines.CREATE_TRIAL]
    about: dict[int, list[Line]] = defaultdict(list)
    for line in remaining:
        if line.op in lines.OF_TRIALS:
            about[line.log["trial_id"]].append(line)
    known = [number for number, its_lines in about.items() if number < len(created) or len(its_lines) > 1]
    count = max(known, default=-1) + 1
    for number in [number for number in about if number >= max(count, len(created))]:
        for line in about.pop(number):
            line.fault = "it is about a trial that does not exist"
    numbers = _aligned(len(created), count, _Costs(created, about, positions))
    for position, line in enumerate(created):
        if numbers[position] is None:
            line.fault = "it creates a trial that does not exist"
    return _filled([line for line in remaining if not line.fault], created, numbers, count, about)


class _Costs:
    """The cost of taking the creation at a position for that of the trial of a number."""

    def __init__(self, created: Sequence[Line], about: Mapping[int, list[Line]], positions: Mapping[int, int]) -> None:
        self.created, self.about, self.positions = created, about, positions

    @property
    def fit_as_they_are(self) -> bool:
        """True if each creation in turn fits, and no trial is left over."""
        left = [number for number in self.about if number >= len(self.created)]
        return not left and all(self.of(i, i) < LOST for i in range(len(self.created)))

    def of(self, position: int, number: int) -> float:
        """Return the cost, 0 where everything agrees."""
        line, its_lines = self.created[position], self.about.get(number, [])
        if not its_lines:
            return 0.0
        here, first = self.positions[id(line)], self.positions[id(its_lines[0])]
        if first < here:
            return MISFIT if len(its_lines) > 1 and self.positions[id(its_lines[1])] < here else LOST
        runs = _runs(its_lines)
        waits = line.log.get("state") == TrialState.WAITING
        if not waits:
            return (LOST if runs else 0.0) + (0.0 if first == here + 1 else 0.5)
        queued = line.log.get("system_attrs", {}).get("fixed_params", {})
        given = {one.log["param_name"]: _value(one) for one in its_lines if one.op == lines.PARAM}
        wrong = sum(name in given and not _same(given[name], value) for name, value in queued.items())
        return (0.0 if runs else LOST) + 10.0 * wrong


def _runs(its_lines: Sequence[Line]) -> bool:
    """Return whether one of a trial's lines starts it."""
    return any(line.op == lines.STATE and line.log["state"] == TrialState.RUNNING for line in its_lines)


def _value(line: Line) -> Any:
    distribution = lines.distribution_of(line.log)
    return distribution.to_external_repr(line.log["param_value_internal"]) if distribution else None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(one, (int, float)) and isinstance(other, (int, float)) and math.isclose(one, other)
    return bool(one == other)


def _aligned(count: int, trials: int, costs: _Costs) -> list[int | None]:
    """Return the number of each creation in turn, None for one too many, by the alignment of least cost."""
    if costs.fit_as_they_are:
        return list(range(count))
    width = abs(trials - count) + 3
    best: list[dict[int, tuple[float, int, str]]] = [{0: (0.0, 0, "")}]
    best[0].update({number: (LOST * number, number - 1, "lost") for number in range(1, width + 1)})
    for position in range(count):
        row: dict[int, tuple[float, int, str]] = {}
        for number in range(max(0, position + 1 - width), position + 1 + width + 1):
            ways = []
            if (before := best[position].get(number - 1)) is not None:
                ways.append((before[0] + costs.of(position, number - 1), number - 1, "is"))
            if (before := best[position].get(number)) is not None:
                ways.append((before[0] + DOUBLE, number, "double"))
            if (before := row.get(number - 1)) is not None:
                ways.append((before[0] + LOST, number - 1, "lost"))
            if ways:
                row[number] = min(ways)
        best.append(row)
    return _walked(best, trials)


def _walked(best: Sequence[dict[int, tuple[float, int, str]]], trials: int) -> list[int | None]:
    """Return the numbers along the cheapest path back through the table of `_aligned`."""
    last = best[-1]
    # trials created last, without any lines about them, may be there too
    number = min(last, key=lambda end: (last[end][0] + max(0, trials - end) * LOST, end))
    number, position, numbers = max(number, 0), len(best) - 1, []
    while position:
        _, before, way = best[position][number]
        if way != "lost":
            numbers.append(before if way == "is" else None)
            position -= 1
        number = before
    return numbers[::-1]


def _filled(
    remaining: Sequence[Line],
    created: Sequence[Line],
    numbers: Sequence[int | None],
    count: int,
    about: Mapping[int, Any],
) -> list[Line]:
    """Return the lines with replacements for missing creations, each behind the creation before it."""
    number_of = {id(line): number for line, number in zip(created, numbers, strict=True) if number is not None}
    filled: list[Line] = []
    following = 0
    there = set(number_of.values())
    of_study = (lines.CREATE_STUDY, lines.STUDY_ATTRIBUTE, lines.STUDY_SYSTEM)
    first = next((position for position, line in enumerate(remaining) if line.op not in of_study), len(remaining))
    for position, line in enumerate(remaining):
        if position == first:
            following = _replace_missing(filled, following, there, count, about)
        filled.append(line)
        if id(line) in number_of:
            following = _replace_missing(filled, number_of[id(line)] + 1, there, count, about)
    return filled


def _replace_missing(
    filled: list[Line], number: int, there: set[int], count: int, about: Mapping[int, list[Line]]
) -> int:
    """Append a creation for each trial from `number` on that has none; return the number of the next that has one."""
    while number not in there and number < max(count, max(there, default=0) + 1):
        filled.append(lines.written(0, _creation(about.get(number, []), number)))
        number += 1
    return number


def _creation(its_lines: Sequence[Line], number: int) -> dict[str, Any]:
    """Return the entry that creates a trial which its remaining lines fit; a failed one where none remain."""
    log = {"op_code": lines.CREATE_TRIAL, "worker_id": lines.repairer(number), "study_id": 0, "datetime_start": None}
    if not any(line.op == lines.PARAM for line in its_lines):
        start = "1970-01-01T00:00:00.000000+00:00"
        return {**log, "state": int(TrialState.FAIL), "datetime_start": start, "datetime_complete": start}
    return {**log, "state": int(TrialState.WAITING)} if _runs(its_lines) else log
