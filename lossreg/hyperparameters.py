"""The `hp` of a KerasTuner-style `build_model(hp)`, every hyperparameter at its default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from typing import Any, Self


class Defaults:
    """Answers as KerasTuner's `HyperParameters` does before any search.

    A hyperparameter is its `default` where one is given, else its least value, its first
    choice, or False; None inside a `conditional_scope` whose condition is not met.
    `facts` (`outputs`, `input_shape`, `n_classes`) are had by `hp.get` too, from any scope.
    """

    def __init__(self, facts: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = {}
        self._facts = dict(facts or {})
        self._known: set[str] = set()
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
        """A whole number: `default`, else `min_value`."""
        _check_range(name, min_value, max_value)
        value = int(min_value if default is None else default)
        return self._active(name, value, parent_name, parent_values)

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
        """A number: `default`, else `min_value`."""
        _check_range(name, min_value, max_value)
        value = float(min_value if default is None else default)
        return self._active(name, value, parent_name, parent_values)

    def Choice(  # noqa: N802, PLR0917
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One of `values`: `default`, else the first."""
        if not len(values):
            raise ValueError(f"{name}: no values to choose from")
        if default is not None and default not in values:
            raise ValueError(f"{name}: the default {default!r} is none of {list(values)}")
        return self._active(name, values[0] if default is None else default, parent_name, parent_values)

    def Boolean(  # noqa: N802
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """True or False: `default`."""
        return self._active(name, default, parent_name, parent_values)

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:  # noqa: N802
        """Always `value`."""
        return self._active(name, value, parent_name, parent_values)

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
        if parent not in self._known:
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
        if full in self._known:
            raise ValueError(f"{full} is currently inactive")
        raise KeyError(f"{full} does not exist; there are {', '.join((*self.values, *self._facts)) or 'none'}")

    def copy(self) -> Self:
        """An independent copy."""
        return deepcopy(self)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._facts or self._full(str(name)) in self.values

    def _full(self, name: str) -> str:
        return "/".join((*self._scopes, name))

    def _active(self, name: str, value: Any, parent_name: str | None, parent_values: Any) -> Any:
        scope = self.conditional_scope(parent_name, parent_values) if parent_name else nullcontext()
        with scope:
            full = self._full(name)
            self._known.add(full)
            met = all(parent in self.values and self.values[parent] in wanted for parent, wanted in self._conditions)
            return self.values.setdefault(full, value) if met else None


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (list, tuple, set)) else (values,)


def _check_range(name: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"{name}: min_value {low} is above max_value {high}")
