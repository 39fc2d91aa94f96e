"""The `hp` of a KerasTuner-style `build_model(hp)`: records what is declared, and answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Self

from lossreg.config.search_space import Fixed, Options, Range, Space, nearest, parse, stepped
from lossreg.contract import params

SAMPLINGS = ("linear", "log", "reverse_log")
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


def given(values: Mapping[str, Any]) -> Answer:
    """Answers with values by key, and with the default where there is none."""
    return lambda declared: values.get(declared.key, declared.default)


class Hyperparameters:
    """Answers as KerasTuner's `HyperParameters` does, with the values that `answer` gives.

    By default a hyperparameter is its `default` where one is given, else its least value, its first
    choice, or False; it is None inside a `conditional_scope` whose condition is not met.
    `facts` (`outputs`, `input_shape`, `n_classes`) are had by `hp.get` too, from any scope.
    """

    def __init__(self, facts: Mapping[str, Any] | None = None, answer: Answer = default) -> None:
        self.values: dict[str, Any] = {}
        self._facts, self._answer = dict(facts or {}), answer
        self._declared: dict[str, dict[Conditions, str]] = {}
        self._scopes: list[str] = []
        self._conditions: list[tuple[str, tuple[Any, ...]]] = []

    def Int(  # noqa: N802, PLR0917
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A whole number."""
        space = _space(name, min_value, max_value, step, sampling, integer=True)
        value = int(min_value if default is None else default)
        own = params.Int(name, value, int(min_value), int(max_value), log=sampling == "log")
        return self._active(space, own, parent_name, parent_values)

    def Float(  # noqa: N802, PLR0917
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A number."""
        space = _space(name, float(min_value), float(max_value), step, sampling, integer=False)
        value = float(min_value if default is None else default)
        own = params.Float(name, value, float(min_value), float(max_value), log=sampling == "log")
        return self._active(space, own, parent_name, parent_values)

    def Choice(  # noqa: N802, PLR0917
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One of `values`."""
        if not len(values):
            raise ValueError(f"{name}: no values to choose from")
        if default is not None and default not in values:
            raise ValueError(f"{name}: the default {default!r} is none of {list(values)}")
        return self._choice(name, tuple(values), values[0] if default is None else default, parent_name, parent_values)

    def Boolean(  # noqa: N802
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """True or False."""
        return self._choice(name, (False, True), default, parent_name, parent_values)

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:  # noqa: N802
        """Always `value`."""
        return self._choice(name, (value,), value, parent_name, parent_values)

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Prefix the names inside by `name/`."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Hyperparameters inside are None unless `parent_name` is one of `parent_values`; raises `ValueError`."""
        parent = self._full(parent_name)
        if parent not in self._declared:
            raise ValueError(f"no hyperparameter {parent} for the condition")
        self._conditions.append((parent, _as_tuple(parent_values)))
        try:
            yield
        finally:
            self._conditions.pop()

    def get(self, name: str) -> Any:
        """The value of a hyperparameter or fact; raises `ValueError` if inactive, `KeyError` if unknown."""
        full = self._full(name)
        if full in self.values:
            return self.values[full]
        if name in self._facts:
            return self._facts[name]
        if full in self._declared:
            raise ValueError(f"{full} is currently inactive")
        raise KeyError(f"{full} does not exist; there are {', '.join((*self.values, *self._facts)) or 'none'}")

    def copy(self) -> Self:
        """An independent copy, answered as this one."""
        other = type(self)(self._facts, self._answer)
        for name in ("values", "_declared", "_scopes", "_conditions"):
            setattr(other, name, deepcopy(getattr(self, name)))
        return other

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._facts or self._full(str(name)) in self.values

    def _full(self, name: str) -> str:
        return "/".join((*self._scopes, name))

    def _choice(self, name: str, values: tuple[Any, ...], value: Any, parent: str | None, wanted: Any) -> Any:
        space = Options(values) if len(values) > 1 else Fixed(value)
        return self._active(space, params.Choice(name, value, values), parent, wanted)

    def _active(self, space: Space, own: params.Param, parent: str | None, wanted: Any) -> Any:
        scope = self.conditional_scope(parent, wanted) if parent else nullcontext()
        with scope:
            full, conditions = self._full(own.name), tuple(self._conditions)
            key = self._declared.setdefault(full, {}).setdefault(conditions, self._key(full))
            if not all(parent in self.values and self.values[parent] in values for parent, values in conditions):
                return None
            if full not in self.values:
                self.values[full] = self._answer(Declared(key, full, space, own.default, own, conditions))
            return self.values[full]

    def _key(self, full: str) -> str:
        """The name; where the same name stands under other conditions already, these are put behind it."""
        if not self._declared.get(full):
            return full
        return ".".join((full, *(f"{parent}={_listed(values)}" for parent, values in self._conditions)))


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


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (list, tuple, set)) else (values,)


def _listed(values: Sequence[Any]) -> str:
    return " | ".join(map(str, values))


def _space(name: str, low: Any, high: Any, step: Any, sampling: str | None, *, integer: bool) -> Space:
    """The values of a number; those of a log scale with steps are listed, since a step multiplies there.

    Without steps `reverse_log` is searched evenly: Optuna has no such scale.
    """
    kind = (sampling or "linear").lower()
    _check(name, low, high, step, kind)
    if step and kind != "linear":
        return _multiplied(low, high, step, kind, integer=integer)
    if step and (step > 1 or not integer):
        return stepped(low, high, step, integer=integer)
    return Range(low, high, kind == "log", integer) if low < high else Fixed(low)


def _multiplied(low: Any, high: Any, step: Any, kind: str, *, integer: bool) -> Space:
    values = [low]
    while values[-1] * step <= high * (1 + 1e-9):
        values.append(values[-1] * step)
    if kind == "reverse_log":
        values = [high + low - value for value in reversed(values)]
    return Options(tuple(int(v) if integer else v for v in values)) if len(values) > 1 else Fixed(low)


def _check(name: str, low: float, high: float, step: Any, kind: str) -> None:
    if low > high:
        raise ValueError(f"{name}: min_value {low} is above max_value {high}")
    if kind not in SAMPLINGS:
        raise ValueError(f"{name}: sampling {kind!r} is none of {', '.join(SAMPLINGS)}")
    if kind != "linear" and low <= 0:
        raise ValueError(f"{name}: {kind} starts above 0, not at {low}")
    if step is not None and (step <= 0 or (kind != "linear" and step <= 1)):
        raise ValueError(f"{name}: step {step} leads nowhere")
