"""The user's model as KerasTuner has it: the `hp` of `build_model(hp)`, and the `build` of a `HyperModel`.

KerasTuner and Keras are imported here; import this module only where a study has a function for a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from types import MethodType
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as kinds

from lossreg.config.search_space import Fixed, Options, Range, Space, stepped
from lossreg.contract import params
from lossreg.models.hyperparameters import Answer, Conditions, Declared, default, qualified


def build_function(given: Any) -> Any:
    """Return the `build` of a `HyperModel`, given as an instance or a class; anything else as it is."""
    if isinstance(given, type) and issubclass(given, keras_tuner.HyperModel):
        given = given()
    if not isinstance(given, keras_tuner.HyperModel):
        return given
    written = MethodType(type(given).build, given)
    return given.build if signature(written).parameters else written


def lacks_build(given: Any) -> bool:
    """Return whether a `HyperModel`, an instance or a class, has no `build` of its own."""
    kind: Any = given if isinstance(given, type) else type(given)
    return issubclass(kind, keras_tuner.HyperModel) and kind.build is keras_tuner.HyperModel.build


def has_own_fit(given: Any) -> bool:
    """Return whether a `HyperModel`, an instance or a class, replaces `HyperModel.fit`."""
    kind: Any = given if isinstance(given, type) else type(given)
    return issubclass(kind, keras_tuner.HyperModel) and kind.fit is not keras_tuner.HyperModel.fit


def _answered(declare: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method `declare`; it sets a hyperparameter that is new and active to the answer, not its default."""

    @wraps(declare)
    def method(hp: Hyperparameters, *args: Any, **kwargs: Any) -> Any:
        number = len(hp.values)
        value = declare(hp, *args, **kwargs)
        if len(hp.values) > number:
            value = hp.values[hp.space[-1].name] = hp.answer(hp.latest())
        return value

    return method


class Hyperparameters(keras_tuner.HyperParameters):
    """KerasTuner's `HyperParameters` with each active hyperparameter set to what `answer` gives when it is declared.

    `facts` (`outputs`, `input_shape`, `n_classes`) are read with `hp.get` too, from any scope.
    """

    def __init__(self, facts: Mapping[str, Any] | None = None, answer: Answer = default) -> None:
        super().__init__()
        self.facts, self.answer = dict(facts or {}), answer

    Int = _answered(keras_tuner.HyperParameters.Int)
    Float = _answered(keras_tuner.HyperParameters.Float)
    Choice = _answered(keras_tuner.HyperParameters.Choice)
    Boolean = _answered(keras_tuner.HyperParameters.Boolean)
    Fixed = _answered(keras_tuner.HyperParameters.Fixed)

    def get(self, name: str) -> Any:
        """Return a hyperparameter or fact; raises `ValueError` if it is inactive, `KeyError` if it is unknown."""
        try:
            return super().get(name)
        except (KeyError, ValueError) as error:
            if name in self.facts:
                return self.facts[name]
            if isinstance(error, ValueError):
                raise
        known = ", ".join((*self.values, *self.facts)) or "none"
        raise KeyError(f"{name} does not exist; there are {known}")

    def copy(self) -> Hyperparameters:
        """Return an independent copy; what is declared in it alone stays at its default, as in KerasTuner."""
        other = type(self)(self.facts)
        other.merge(self)
        other.values = dict(self.values)
        return other

    def latest(self) -> Declared:
        """Return the hyperparameter that was declared last; raises `ValueError` for a step that leads nowhere."""
        *earlier, latest = self.space
        conditions: Conditions = tuple((parent.name, tuple(parent.values)) for parent in latest.conditions)
        known = any(other.name == latest.name for other in earlier)
        key = qualified(latest.name, conditions) if known else latest.name
        search_space, param = _described(latest)
        return Declared(key, latest.name, search_space, param.default, param, conditions)


def _described(parameter: Any) -> tuple[Space, params.Param]:
    """Return the values that are searched, and what a study may ask for in their place."""
    if isinstance(parameter, (kinds.Int, kinds.Float)):
        return _number(parameter)
    values = (False, True) if isinstance(parameter, kinds.Boolean) else tuple(parameter.values)
    search_space = Options(values) if len(values) > 1 else Fixed(parameter.default)
    return search_space, params.Choice(parameter.name, parameter.default, values)


def _number(parameter: Any) -> tuple[Space, params.Param]:
    """Describe a number; those of a log scale with steps are listed, since a step multiplies there.

    Without steps `reverse_log` is searched evenly: Optuna has no such scale.
    """
    name, low, high, step = parameter.name, parameter.min_value, parameter.max_value, parameter.step
    if step is not None and step <= 0:
        raise ValueError(f"{name}: step {step} leads nowhere")
    if not low <= parameter.default <= high:
        raise ValueError(f"{name}: the default {parameter.default} is outside {low} to {high}")
    kind: Any = type(low)
    integer, log = kind is int, parameter.sampling == "log"
    search_space: Space = Range(low, high, log, integer) if low < high else Fixed(low)
    if step and parameter.sampling != "linear":
        values = tuple(map(kind, _multiplied(parameter)))
        search_space = Options(values) if len(values) > 1 else Fixed(low)
    elif step and (step > 1 or not integer):
        search_space = stepped(low, high, step, integer=integer)
    param: Any = params.Int if integer else params.Float
    return search_space, param(name, kind(parameter.default), low, high, log=log)


def _multiplied(parameter: Any) -> list[Any]:
    """Return the values of a log scale with steps, ascending, to the last digit those of earlier versions.

    KerasTuner takes powers of the step, which round otherwise; a study that is resumed has the same options as before.
    """
    low, high = parameter.min_value, parameter.max_value
    values = [low]
    while values[-1] * parameter.step <= high * (1 + 1e-9):
        values.append(values[-1] * parameter.step)
    return values if parameter.sampling == "log" else [high + low - value for value in reversed(values)]
