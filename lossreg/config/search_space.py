"""Values of a parameter: fixed, or searched.

`well_formed` and `parse` read the values of a study file's loss tables: a number or boolean
is fixed; an array is a fixed `PerClass`, in class order; `{low, high[, log]}` is searched;
`{choices = [...]}`; `"search"` (the declared range), `"default"`, `"none"` where the
parameter may be absent; for `PerClass` also `"per_class"` and `"by_count"`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lossreg.contract.params import Choice, Float, Int, Interval, Param, PerClass
from lossreg.errors import InputError, did_you_mean, shortened, text_of
from lossreg.terminal.masking import masked

# A free weight for each of many classes makes tuning hopeless: above this, one exponent.
MOST_FREE_CLASSES = 5
MOST_FLOAT = sys.float_info.max
MOST, LEAST = 3.4028234e38, 1e-45  # of float32, in which everything is trained
DIGITS = 12  # of a number reached in steps: 0.15, not 0.15000000000000002
FIXED = "(fixed)"  # end of a value in words that is not searched
FORMS = "a value, { low = ..., high = ... }, { choices = [...] }"


def shown(value: Any) -> str:
    """Return a value as a study file would write it, at most 60 characters: `"adam"`, `true`, `[64, 64]`.

    What is longer is cut, lists and tables between their items, or after the name of one.
    """
    text = masked(_shown(value), words=False)
    if len(text) <= 60 or not isinstance(value, (Mapping, list, tuple)) or ", " not in text[:55]:
        return shortened(text, 60)
    head, _, item = text[:55].rpartition(", ")
    name = f"{item.partition(' = ')[0]} = " if isinstance(value, Mapping) and " = " in item else ""
    return f"{head}, {name}...{' }' if isinstance(value, Mapping) else ']'}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_shown(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    return "none" if value is None else " ".join(text_of(value, f"an object of {type(value).__name__}").split())


def _plainly(value: Any) -> str:
    """Return a value for a table: as `shown`, without quotes or brackets, numbers to six digits."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plainly, value))
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else _shown(value)


@dataclass(frozen=True, slots=True)
class Fixed:
    """One value for every trial; None where the parameter is absent."""

    value: Any

    def describe(self) -> str:
        """`2 (fixed)`."""
        return f"{_plainly(self.value)} {FIXED}"

    def plain(self) -> Any:
        """Return the value as a study file would give it."""
        return list(self.value) if isinstance(self.value, tuple) else self.value


@dataclass(frozen=True, slots=True)
class Range:
    """All numbers from `low` to `high`, both included; sampled evenly on a log scale if `log`.

    With a `step`, which excludes `log`: `low`, `low + step` and so on to `high`.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float = 0.0

    def describe(self) -> str:
        """`0.0001 to 0.01 log`, `16 to 64 by 16`."""
        return f"{self.low:g} to {self.high:g}{' log' if self.log else ''}{f' by {self.step:g}' if self.step else ''}"

    def plain(self) -> Any:
        """Return the table `{low, high, log}`."""
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class Options:
    """One of a few values."""

    choices: tuple[Any, ...]

    def describe(self) -> str:
        """`a | b`."""
        return " | ".join(map(_plainly, self.choices))

    def plain(self) -> Any:
        """Return the table `{choices}`."""
        return {"choices": [list(c) if isinstance(c, tuple) else c for c in self.choices]}


@dataclass(frozen=True, slots=True)
class PerClassRange:
    """One number per class, each from `low` to `high`; one class is fixed at 1."""

    low: float
    high: float
    log: bool

    def describe(self) -> str:
        """`one per class, 0.1 to 10 log`."""
        return f"one per class, {self.low:g} to {self.high:g}{' log' if self.log else ''}"

    def plain(self) -> Any:
        """Return the table `{low, high, log}`."""
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class ByCount:
    """One exponent tau from `low` to `high`: class k has n_k ** -tau.

    n_k are its training samples, with folds those of the first.
    """

    low: float
    high: float

    def describe(self) -> str:
        """`by count, tau 0 to 1.5`."""
        return f"by count, tau {self.low:g} to {self.high:g}"

    def plain(self) -> Any:
        """Return the word that asks for it."""
        return "by_count"


Space = Fixed | Range | Options | PerClassRange | ByCount


def stepped(low: float, high: float, step: float, *, integer: bool = False) -> Space:
    """Return the numbers from `low` to `high` in steps: fixed where there is one, two values where there are two."""
    count = int((high - low) / step + 1e-8)
    last = low + count * step if integer else round(low + count * step, DIGITS)
    if count > 1:
        return Range(low, last, step=step, integer=integer)
    return Options((low, last)) if count else Fixed(low)


def evenly(low: float, high: float, most: float) -> Space:
    """Return numbers from `low` to `high`, included, in equal steps of at most `most`; fixed where both are equal."""
    width = Decimal(str(high)) - Decimal(str(low))
    least = math.ceil(width / Decimal(str(most)))
    for count in range(max(least, 1), 2 * least + 1):
        step = round(width / count, DIGITS)
        if step * count == width:  # Optuna lowers the end of a range that its steps do not meet exactly
            return stepped(low, high, float(step))
    inner = (round(low + (high - low) * i / least, DIGITS) for i in range(1, least))
    return Options((low, *inner, high)) if low < high else Fixed(low)


def nearest(space: Space, value: Any) -> Any:
    """Return the value of a search space that is nearest to `value`; the first option where it is none of them."""
    if isinstance(space, Fixed):
        return space.value
    if isinstance(space, Options):
        equal = [c for c in space.choices if c == value and isinstance(c, bool) == isinstance(value, bool)]
        return equal[0] if equal else space.choices[0]
    assert isinstance(space, Range)
    inside = min(max(value, space.low), space.high)
    if not space.step:
        return inside
    steps = round((inside - space.low) / space.step)
    return space.low + steps * space.step if space.integer else round(space.low + steps * space.step, DIGITS)


def well_formed(raw: Any) -> Any:
    """`raw` itself, if it is a value of the grammar at all; raises `InputError` if not."""
    if isinstance(raw, Mapping):
        _check_table(raw)
    elif isinstance(raw, (list, tuple)):
        _check_list("an array", raw)
    elif raw is not None and not isinstance(raw, str):
        _check_number("a value", raw)
    return raw


def _check_table(table: Mapping[str, Any]) -> None:
    if set(table) == {"choices"}:
        _check_choices(table["choices"])
        return
    odd = next((key for key in table if key not in ("low", "high", "log", "choices")), None)
    if odd is not None:
        raise InputError(
            f"unknown key {odd!r} in {shown(table)}; possible: {FORMS}",
            hint=did_you_mean(odd, ("low", "high", "log", "choices")),
        )
    if not {"low", "high"} <= set(table) or "choices" in table:
        raise InputError(f"{shown(table)} is not complete; possible: {FORMS}")
    _check_range(table["low"], table["high"], table.get("log", False))


def _check_range(low: Any, high: Any, log: Any) -> None:
    for name, end in (("low", low), ("high", high)):
        if isinstance(end, bool):
            raise InputError(f"{name} must be a number, not {shown(end)}")
        _check_number(name, end)
    if not isinstance(log, bool):
        raise InputError(f"log must be true or false, not {shown(log)}")
    if low > high:
        raise InputError(f"the range is upside down: low = {low:g}, high = {high:g}", hint="Swap them.")
    if log and low <= 0:
        raise InputError(f"a log range must start above 0, not at {low:g}", hint="Raise low, or take log = false.")


def _check_choices(choices: Any) -> None:
    if not isinstance(choices, (list, tuple)) or not choices:
        raise InputError(f"choices must be a list of at least one value, not {shown(choices)}")
    for i, choice in enumerate(choices):
        if isinstance(choice, (list, tuple)):
            _check_list(f"choices[{i}]", choice)
        elif choice is not None and not isinstance(choice, str):
            _check_number(f"choices[{i}]", choice)
        if choice in choices[:i]:
            raise InputError(f"choices has {shown(choice)} twice")


def _check_list(name: str, values: list[Any] | tuple[Any, ...]) -> None:
    if not values:
        raise InputError(f"{name} must not be empty")
    for value in values:
        _check_number(f"each number of {name}", value)


def _check_number(name: str, value: Any) -> None:
    if not isinstance(value, (int, float)):
        raise InputError(f"{name} must be a number, not {shown(value)}", hint=f"Possible: {FORMS}.")
    if not -MOST_FLOAT <= value <= MOST_FLOAT:  # a NaN too, and whole numbers that no float holds
        raise InputError(f"{name} must be finite, not {shown(value)}")
    if abs(value) > MOST or 0 < abs(value) < LEAST:
        became = "infinite" if abs(value) > MOST else "0"
        raise InputError(f"{name} must be a number of 32 bits, where {shown(value)} is {became}")


def declared(param: Param, n_classes: int = 0) -> Space:
    """Return the declared search range of a parameter."""
    if isinstance(param, Choice):
        searched = len(param.choices) > 1 and not param.fixed
        return Options(param.choices) if searched else Fixed(param.default)
    if isinstance(param, PerClass):
        free = n_classes <= MOST_FREE_CLASSES
        return PerClassRange(param.low, param.high, param.log) if free else ByCount(param.low_tau, param.high_tau)
    return _range(param.low, param.high, param.log, isinstance(param, Int))


def _range(low: float, high: float, log: bool, integer: bool) -> Space:
    return Range(low, high, log, integer) if low < high else Fixed(low)


def parse(raw: Any, param: Param, n_classes: int = 0) -> Space:
    """Return the search space that a study file's `raw` value gives `param`; raises `InputError`.

    `n_classes` is the length of a fixed `PerClass` array and the number of searched weights.
    """
    well_formed(raw)
    value = "none" if raw is None else tuple(raw) if isinstance(raw, list) else raw
    if isinstance(value, str) and not (isinstance(param, Choice) and value in param.choices):
        return _word(value, param, n_classes)
    if isinstance(value, Mapping):
        return _choices(value["choices"], param) if "choices" in value else _interval(value, param)
    return Fixed(_checked(value, param, n_classes))


def _word(word: str, param: Param, n_classes: int) -> Space:
    words: dict[str, Space] = {"search": declared(param, n_classes), "default": Fixed(param.default)}
    if param.optional:
        words["none"] = Fixed(None)
    if isinstance(param, PerClass):
        words["per_class"] = PerClassRange(param.low, param.high, param.log)
        words["by_count"] = ByCount(param.low_tau, param.high_tau)
    if word == "search" and isinstance(words["search"], Fixed):
        hint = f"Give {_forms(param)}."
        raise InputError(f"{param.name} has no range of its own to search: it is part of the task", hint=hint)
    if word not in words:
        named = [*words, *(choice for choice in getattr(param, "choices", ()) if isinstance(choice, str))]
        raise InputError(
            f"{shown(word)} is no value for {param.name}; possible: {_forms(param)}, {', '.join(map(shown, named))}",
            hint=did_you_mean(word, named),
        )
    return words[word]


def _forms(param: Param) -> str:
    if isinstance(param, Choice):
        return "{ choices = [...] }"
    value = "an array of one number per class" if isinstance(param, PerClass) else "a number"
    ends = "{ low = ..., high = ... }"
    return f"{value}, {ends}" if isinstance(param, PerClass) else f"{value}, {ends}, {{ choices = [...] }}"


def _interval(table: Mapping[str, Any], param: Param) -> Space:
    if isinstance(param, Choice):
        raise InputError(f"{param.name} has no range; it is one of {', '.join(map(shown, param.choices))}")
    low, high = (_end(table[name], param) for name in ("low", "high"))
    log = table.get("log", param.log)
    if log and low <= 0:
        raise InputError(
            f"low = {low:g}, but {param.name} is searched on a log scale, which must start above 0",
            hint="Raise low, or add log = false.",
        )
    if isinstance(param, PerClass):
        return PerClassRange(low, high, log)
    return _range(low, high, log, isinstance(param, Int))


def _end(value: float, param: Float | Int | PerClass) -> float:
    if isinstance(param, Int) and value != int(value):
        raise InputError(f"{param.name} takes whole numbers, so its range cannot end at {value:g}")
    if value not in Interval.parse(param.domain):
        raise InputError(f"the range ends at {value:g}, outside the domain {param.domain} of {param.name}")
    return int(value) if isinstance(param, Int) else float(value)


def _choices(choices: list[Any], param: Param) -> Space:
    if isinstance(param, PerClass):
        raise InputError(
            f"{param.name} takes no choices",
            hint="List the loss as several candidates, each with a fixed array.",
        )
    values = tuple(_choice(choice, param) for choice in choices)
    return Options(values) if len(values) > 1 else Fixed(values[0])


def _choice(value: Any, param: Float | Int | Choice) -> Any:
    absent = value is None or (value == "none" and not isinstance(param, Choice))
    return param.check(None if absent and param.optional else tuple(value) if isinstance(value, list) else value)


def _checked(value: Any, param: Param, n_classes: int) -> Any:
    if isinstance(param, PerClass):
        if not isinstance(value, tuple):
            raise InputError(
                f"{param.name} takes one number per class, not {shown(value)}, which would rescale the learning rate",
                hint=f"Give {n_classes or 'k'} numbers in class order: [1.0, 2.0, ...].",
            )
        return param.check(value, n_classes or None)
    if isinstance(value, tuple) and not isinstance(param, Choice):
        raise InputError(
            f"{param.name} takes one number, not {shown(value)}",
            hint=f"To search over these: {{ choices = {shown(value)} }}.",
        )
    return param.check(value)
