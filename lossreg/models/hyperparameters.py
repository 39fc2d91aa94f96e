"""The hyperparameters that a model declares, and the order in which it declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lossreg.config.search_space import Fixed, Space, nearest, parse
from lossreg.contract import params

MOST_KNOWN = 10_000  # answers of a tree, after which it starts again

Conditions = tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """A hyperparameter as a model declares it.

    key: its name, with its conditions if another of this name stands under other conditions; param: what a
    study may give in place of `search_space`; conditions: the parents' names and the values that make it active.
    """

    key: str
    name: str
    search_space: Space
    default: Any
    param: params.Param
    conditions: Conditions = ()

    def describe(self) -> str:
        """Return it in words: `16 to 64 by 16`, `4 to 8, where kind = mlp`."""
        when = " and ".join(f"{parent} = {_listed(values)}" for parent, values in self.conditions)
        return self.search_space.describe() + (f", where {when}" if when else "")

    def restricted_to(self, raw: Any) -> Declared:
        """Return it as a study gives it: `"search"`, `"default"`, a value, a range or choices; raises `InputError`."""
        if isinstance(raw, str) and raw in ("search", "default") and not self._has(raw):
            return self if raw == "search" else replace(self, search_space=Fixed(self.default))
        search_space = parse(raw, self.param)
        return replace(self, search_space=search_space, default=nearest(search_space, self.default))

    def _has(self, word: str) -> bool:
        return isinstance(self.param, params.Choice) and word in self.param.choices


Answer = Callable[[Declared], Any]


def default(declared: Declared) -> Any:
    """Return the default of a hyperparameter, the answer of a model that is not searched."""
    return declared.default


def qualified(name: str, conditions: Conditions) -> str:
    """Return a name with the conditions under which it stands: `units.kind=cnn`."""
    return ".".join((name, *(f"{parent}={_listed(values)}" for parent, values in conditions)))


def given(values: Mapping[str, Any]) -> Answer:
    """Return an answer that takes values by key, and the default for other keys."""
    return lambda declared: values.get(declared.key, declared.default)


class Tree:
    """The hyperparameters that a model declares after given answers; the same answers build the model once.

    build: builds the model with an `Answer`.
    """

    def __init__(self, build: Callable[[Answer], None]) -> None:
        self._build = build
        self._next: dict[tuple[Any, ...], Declared | None] = {}

    def walk(self, answer: Answer) -> dict[str, Any]:
        """Answer every active hyperparameter in order, and return the values by key. Raises what the model raises."""
        values: dict[str, Any] = {}
        path: tuple[Any, ...] = ()
        while (declared := self._next.get(path)) is not None:
            values[declared.key] = answer(declared)
            path = (*path, values[declared.key])
        if path not in self._next:
            self._grow(values, answer)
        return values

    def _grow(self, values: dict[str, Any], answer: Answer) -> None:
        """Build the model with these values, and answer the hyperparameters that follow them."""
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

        self._build(reply)
        self._next[path] = None


def _listed(values: Sequence[Any]) -> str:
    return " | ".join(map(str, values))
