"""The user's own model: a function `build_model(hp)` or `build_model()`, or a `keras_tuner.HyperModel`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from lossreg.config.search_space import Fixed
from lossreg.errors import InputError, contained
from lossreg.models.hyperparameters import Answer, Declared
from lossreg.models.need import Need
from lossreg.runtime import user_code


@dataclass(eq=False)
class UserModel:
    """Builds the model of a user's `build_model(hp)`, `build_model()` or `HyperModel`.

    hp: what the study says of its hyperparameters; declared: those that it has declared so far, by name; frees: those
    that the study fixes are asked for too, with their value as the default.
    """

    given: Any
    folder: Path
    name: str
    hp: str | Mapping[str, Any] | None = None
    declared: dict[str, Declared] = field(default_factory=dict)
    seen: WeakSet[Any] = field(default_factory=WeakSet)
    frees: bool = False

    def __call__(self, need: Need, answer: Answer) -> Any:
        """Return a new model, as the user's function builds it; raises `InputError`."""
        import keras

        wrong: list[InputError] = []
        try:
            model = self._built(self._hp(need, answer, wrong))
        except InputError as error:
            raise wrong[0] if wrong else error from error.__cause__
        if not isinstance(model, keras.Model):
            raise InputError(f"returned {type(model).__name__}, not a keras.Model", where=self.name)
        if model in self.seen:
            raise InputError("returned the same model twice", where=self.name, hint="Build a new one in every call.")
        self.seen.add(model)
        self._note(model, need)
        return model

    def hyperparameters(self, need: Need, answer: Answer) -> Any:
        """Return the `hp` with which a model is built, as far as it comes where that fails."""
        hp = self._hp(need, answer, [])
        with suppress(Exception), contained():
            self._built(hp)
        return hp

    @cached_property
    def build(self) -> Callable[..., Any]:
        """Return the user's function that builds a model; raises `InputError` if there is none."""
        from lossreg.models import keras_tuner

        if keras_tuner.lacks_build(self.given):
            hint = "Write `def build(self, hp)`, which returns a Keras model."
            raise InputError("the HyperModel has no build of its own", where=self.name, hint=hint)
        build = user_code.call(keras_tuner.build_function, self.name, self.folder, self.given)
        if not callable(build):
            raise InputError(f"is not a function but {type(build).__name__}", where=self.name)
        return build

    def _hp(self, need: Need, answer: Answer, wrong: list[InputError]) -> Any:
        from lossreg.models.keras_tuner import Hyperparameters

        return Hyperparameters(need.facts(), partial(self._answered, answer, wrong))

    def _built(self, hp: Any) -> Any:
        arguments = [hp] if inspect.signature(self.build).parameters else []
        return user_code.call(self.build, self.name, self.folder, *arguments)

    def _answered(self, answer: Answer, wrong: list[InputError], declared: Declared) -> Any:
        """Return what the study fixes, or else what `answer` gives; wrong values in the study are added to `wrong`."""
        self.declared[declared.name] = declared
        table = self.hp if isinstance(self.hp, Mapping) else {}
        choice = table.get(declared.key, table.get(declared.name, "search" if self.hp == "search" else "default"))
        try:
            chosen = declared.restricted_to(choice)
        except InputError as error:
            wrong.append(error.at(f"hp.{declared.name}"))
            raise wrong[0] from error
        if not isinstance(chosen.search_space, Fixed):
            return answer(chosen)
        value = chosen.search_space.value
        is_given = declared.key in table or declared.name in table
        return answer(replace(declared, default=value)) if self.frees and is_given else value

    def _note(self, model: Any, need: Need) -> None:
        from lossreg.models.keras_tuner import has_own_fit

        if model.compiled:
            need.notes.append("compile() is ignored: loss, optimizer and metric are the study's")
        if has_own_fit(self.given):
            need.notes.append("its own fit is ignored: the study trains the model")
