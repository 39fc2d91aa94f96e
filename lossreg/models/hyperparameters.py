"""The `hp` of a KerasTuner-style `build_model(hp)`: records what is declared, and answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lossreg.config.search_space import Fixed, Space, nearest, parse
from lossreg.contract import params

MOST_KNOWN = 10_000  # answers of a tree, after which it is grown anew

Conditions = tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """A hyperparameter as a model declares it.

    key tells it from others of its name that stand under other conditions; param is what a study
    may ask of it in place of `space`; conditions are the parents' names and the values that make it active.
    """

    key: str
    name: str
    space: Space
    default: Any
    param: params.Param
    conditions: Conditions = ()

    def describe(self) -> str:
        """`16 to 64 by 16`, `4 to 8, where kind = mlp`."""
        when = " and ".join(f"{parent} = {_listed(values)}" for parent, values in self.conditions)
        return self.space.describe() + (f", where {when}" if when else "")

    def wished(self, raw: Any) -> Declared:
        """The same as a study wants it: `"search"`, `"default"`, a value, a range or choices; raises `InputError`."""
        if isinstance(raw, str) and raw in ("search", "default") and not self._has(raw):
            return self if raw == "search" else replace(self, space=Fixed(self.default))
        space = parse(raw, self.param)
        return replace(self, space=space, default=nearest(space, self.default))

    def _has(self, word: str) -> bool:
        return isinstance(self.param, params.Choice) and word in self.param.choices


Answer = Callable[[Declared], Any]


def default(declared: Declared) -> Any:
    """The answer of a model that is not searched."""
    return declared.default


def qualified(name: str, conditions: Conditions) -> str:
    """Return a name with the conditions under which it stands: `units.kind=cnn`."""
    return ".".join((name, *(f"{parent}={_listed(values)}" for parent, values in conditions)))


def given(values: Mapping[str, Any]) -> Answer:
    """Answers with values by key, and with the default where there is none."""
    return lambda declared: values.get(declared.key, declared.default)


class Tree:
    """What a model declares after which answers; grown by calling it, so that the same answers call it once.

    ask has the model built with an `Answer`.
    """

    def __init__(self, ask: Callable[[Answer], None]) -> None:
        self._ask = ask
        self._next: dict[tuple[Any, ...], Declared | None] = {}

    def walk(self, answer: Answer) -> dict[str, Any]:
        """Have every active hyperparameter answered in order; the values by key. Raises what the model raises."""
        values: dict[str, Any] = {}
        path: tuple[Any, ...] = ()
        while (declared := self._next.get(path)) is not None:
            values[declared.key] = answer(declared)
            path = (*path, values[declared.key])
        if path not in self._next:
            self._grow(values, answer)
        return values

    def _grow(self, values: dict[str, Any], answer: Answer) -> None:
        """Build the model with these values, and answer what it asks besides."""
        if len(self._next) > MOST_KNOWN:
            self._next.clear()
        path: tuple[Any, ...] = ()

        def reply(declared: Declared) -> Any:
            nonlocal path
            self._next[path] = declared
            if declared.key not in values:
                values[declared.key] = answer(declared)
            path = (*path, values[declared.key])
            return values[declared.key]

        self._ask(reply)
        self._next[path] = None


def _listed(values: Sequence[Any]) -> str:
    return " | ".join(map(str, values))
