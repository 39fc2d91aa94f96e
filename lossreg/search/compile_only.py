"""Hyperparameters that feed only `compile()`, which a study ignores: they are no part of an architecture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from lossreg.config.search_space import Options, Range, Space
from lossreg.errors import InputError
from lossreg.models.compiled import Compiled
from lossreg.models.hyperparameters import Declared
from lossreg.search.architectures import ends

Values = Mapping[str, Any]
Build = Callable[[Values], Compiled | None]


def found(declared: Sequence[tuple[Declared, Values]], build: Build) -> dict[str, Space | None]:
    """Return the hyperparameters that feed only `compile()`, by key: the learning rates that each gives, or None.

    declared: each with values of others at which it is active; build: returns how the model with these values, and
    others at their defaults, is compiled. Two models that differ in one hyperparameter alone are equal, however the
    others are set, and are compiled differently.
    """
    compiled = _Builds(build)
    if not declared or compiled.model({}) is None:
        return {}
    far = {one.key: values[-1] for one, _ in declared if (values := [*ends(one)])}
    feeds: dict[str, Space | None] = {}
    for one, changed in declared:
        models = compiled.far_apart(one, changed)
        if len(models) > 1 and _are_equal(models) and len({model[1:] for model in models if model}) > 1:
            others = compiled.far_apart(one, {**far, **changed})
            every = [compiled.model({**changed, one.key: value}) for value in ends(one)]
            if _are_equal(every) and (None in others or _are_equal(others)):
                feeds[one.key] = _rates(one, every)
    return feeds


def notes(model: str, feeds: Mapping[str, Space | None], key: str) -> list[str]:
    """Return lines for the user on what `found` returned; key: the hyperparameter whose learning rates are taken."""
    lines, others = [], ", ".join(other for other in feeds if other != key)
    if key and (rates := feeds[key]):
        lines.append(f"{model}: {key} feeds only compile(): its values, {rates.describe()}, are the learning rates")
    if others:
        lines.append(f"{model}: not searched, for it feeds only the ignored compile(): {others}")
    return lines


class _Builds:
    """Models by their values, each built once; None for values that do not go together."""

    def __init__(self, build: Build) -> None:
        self._build, self._known = build, dict[tuple[tuple[str, Any], ...], Compiled | None]()

    def far_apart(self, declared: Declared, values: Values) -> list[Compiled | None]:
        """Return the models at the first and the last end of a hyperparameter's values, one where there is one."""
        every = [*ends(declared)]
        return [self.model({**values, declared.key: value}) for value in dict.fromkeys((*every[:1], *every[-1:]))]

    def model(self, values: Values) -> Compiled | None:
        """Return the model with these values and others at their defaults."""
        key = tuple(sorted(values.items()))
        if key not in self._known:
            self._known[key] = None
            with suppress(InputError):
                self._known[key] = self._build(values)
        return self._known[key]


def _are_equal(models: Sequence[Compiled | None]) -> bool:
    return None not in models and len({model.architecture for model in models if model}) == 1


def _rates(declared: Declared, models: Sequence[Compiled | None]) -> Space | None:
    """Return the learning rates of these models, one for each end of a search space; None where more than they differ.

    Keras keeps them in single precision; where they are the hyperparameter's values, these are returned.
    """
    space, values = declared.search_space, [*ends(declared)]
    rates = [model.rate for model in models if model and model.rate]
    if len(rates) < len(values) or len({model.settings for model in models if model}) > 1:
        return None
    is_value = all(map(_is_close, values, rates))
    rates = [float(value) for value in values] if is_value else [float(f"{rate:.6g}") for rate in rates]
    if not isinstance(space, Range):
        return Options(tuple(dict.fromkeys(rates)))
    if is_value:
        return Range(rates[0], rates[-1], space.log, step=space.step)
    return Range(min(rates), max(rates), log=True)


def _is_close(value: Any, rate: float) -> bool:
    return isinstance(value, (int, float)) and math.isclose(value, rate, rel_tol=1e-6)
