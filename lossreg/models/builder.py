"""The builder of a study's models: a built-in one (`mlp`, `cnn`) or the user's own, ending in raw scores.

Keras is imported when a model is built, not before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from lossreg.errors import InputError, UnknownError, contained, did_you_mean, one_line
from lossreg.models import built_in, compiled, saved_model
from lossreg.models.compiled import Compiled
from lossreg.models.hyperparameters import Answer, default
from lossreg.models.need import Need
from lossreg.models.raw_scores import raw_scores
from lossreg.models.saved_model import SavedModel
from lossreg.models.user_model import UserModel
from lossreg.runtime import backend, user_code

Make = Callable[[Need, Answer], Any]
BUILDING = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Builder:
    """Builds one architecture any number of times. `notes` lists what was changed in a user's model.

    spatial_shape: of a mask, empty for other tasks; multilabel: a sample has several labels; exposed, head: as in
    `Need`.
    """

    name: str
    make: Make = field(repr=False)
    spatial_shape: tuple[int, ...] = ()
    multilabel: bool = False
    exposed: bool = False
    head: str = "rebuilt"
    notes: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """A mark of the saved model that trials begin from; empty where models are built."""
        return str(getattr(self.make, "digest", ""))

    @property
    def declared(self) -> list[str]:
        """Return the hyperparameters that a user's model has declared so far."""
        return list(getattr(self.make, "declared", {}))

    @property
    def is_own(self) -> bool:
        """Tell whether it is a user's model."""
        return isinstance(self.make, UserModel)

    def build(
        self,
        input_shape: Sequence[int] | Mapping[str, Sequence[int]],
        outputs: int,
        n_classes: int,
        seed: int,
        answer: Answer = default,
    ) -> Any:
        """Return an uncompiled functional model from `(batch, *input_shape)` to raw scores `(batch, [...,] outputs)`.

        answer: called for every hyperparameter that is searched when it is declared, and gives its value.
        Equal seeds give equal weights. Python's and NumPy's random states are left as they were;
        the seed of Keras and of its backend is set. Raises `InputError` if the model cannot be built.
        """
        need = self._need(input_shape, outputs, n_classes)
        with BUILDING, _seeded(int(seed)):
            model = _with_raw_scores(self._model(need, answer), need, self.name)
            if need.is_saved:
                saved_model.note(model, need, self.name)
        for line in need.notes:
            note = f"{self.name}: {line}."
            if _unnumbered(note) not in map(_unnumbered, self.notes):
                self.notes.append(note)
        return model

    def compiled(
        self, input_shape: Any, outputs: int, n_classes: int, seed: int, answer: Answer = default
    ) -> Compiled | None:
        """Return how a user's model is compiled, with the arguments of `build`; None where that cannot be compared."""
        with BUILDING, _seeded(int(seed)):
            return compiled.of(self._model(self._need(input_shape, outputs, n_classes), answer))

    def hyperparameters(
        self, input_shape: Any, outputs: int, n_classes: int, seed: int, answer: Answer = default
    ) -> Any:
        """Return the `hp` with which `build` builds a user's model."""
        assert isinstance(self.make, UserModel)
        with BUILDING, _seeded(int(seed)):
            return self.make.hyperparameters(self._need(input_shape, outputs, n_classes), answer)

    def freed(self) -> Builder:
        """Return a builder of a user's model that asks for what the study fixes too, by default its value."""
        assert isinstance(self.make, UserModel)
        return replace(self, make=replace(self.make, frees=True))

    def _need(self, input_shape: Any, outputs: int, n_classes: int) -> Need:
        form = (self.spatial_shape, self.multilabel, self.exposed, self.head)
        return Need(_shape(input_shape), int(outputs), int(n_classes), *form)

    def _model(self, need: Need, answer: Answer) -> Any:
        """Return the model as its function builds it; raises `InputError` for whatever Keras raises."""
        try:
            with contained():
                return self.make(need, answer)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"the model cannot be built: {one_line(error)}", where=self.name) from error


def _unnumbered(note: str) -> str:
    """Return a note without the number of a layer, which Keras gives anew in each model: `(dense_1)`, `(dense_3)`."""
    return re.sub(r"_\d+\)", ")", note)


def _shape(shape: Any) -> Any:
    """Return a shape, or one for each input by name, in whole numbers."""
    if isinstance(shape, Mapping):
        return {str(name): _shape(input_shape) for name, input_shape in shape.items()}
    return tuple(int(size) for size in shape)


def _with_raw_scores(model: Any, need: Need, name: str) -> Any:
    """Return `raw_scores(model, need)`; raises `InputError` about the model `name` for what Keras raises."""
    try:
        with contained():
            return raw_scores(model, need)
    except InputError as error:
        raise error.at(name) from error
    except Exception as error:
        text = f"the model does not take samples of shape {need.input_shape}: {one_line(error)}"
        raise InputError(text, where=name) from error


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    before, numpy_before = random.getstate(), np.random.get_state()
    backend.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)


def resolve(
    build: Any = "mlp",
    *,
    base: Path = Path(),
    spatial_shape: tuple[int, ...] = (),
    multilabel: bool = False,
    exposed: bool = False,
    hp: str | Mapping[str, Any] | None = None,
    **options: Any,
) -> Builder:
    """Return the builder of `mlp`, `cnn` or a user's model, `file.py:function` or `package.module:function`.

    build: may also be a function, or a `keras_tuner.HyperModel`, an instance or a class. spatial_shape, multilabel,
    exposed: as in `Builder`. options: of built-in models only, each a value or a search space: `hidden` (widths),
    `activation`, `dropout` (share), `batch_norm`, and of cnn `filters` and `kernel_size`; None means not given. hp:
    what a study says of the hyperparameters of a user's model: `"search"` for all of them, or by name. Raises
    `InputError` for unknown names, wrong values and missing files.
    """
    given_options = {name: value for name, value in options.items() if value is not None}
    name, make = _maker(build, base, given_options, hp)
    return Builder(name, make, tuple(int(size) for size in spatial_shape), multilabel, exposed)


def resolve_saved(
    start: str,
    *,
    base: Path = Path(),
    spatial_shape: tuple[int, ...] = (),
    multilabel: bool = False,
    exposed: bool = False,
    head: str = "kept",
) -> Builder:
    """Return the builder of a saved `.keras` model, from whose weights every training begins.

    base: the folder where a relative path starts; the others: as in `Need`. Raises `InputError` if there is no file.
    """
    return Builder(start, SavedModel.of(start, base), spatial_shape, multilabel, exposed, head)


def _maker(build: Any, base: Path, given_options: Mapping[str, Any], hp: Any) -> tuple[str, Make]:
    if isinstance(build, str) and build in built_in.KINDS:
        return build, built_in.maker(build, given_options)
    if given_options:
        raise InputError(
            f"{', '.join(given_options)}: of built-in models only", where=str(build), hint="Leave them out."
        )
    if not isinstance(build, str):
        return getattr(build, "__name__", "build_model"), UserModel(build, Path(), "build_model", hp)
    if ":" not in build:
        hint = did_you_mean(build, built_in.KINDS) or user_code.FORMS
        raise UnknownError("is neither mlp, cnn nor a function of yours", where=build, hint=hint)
    return build, UserModel(user_code.locate(build, base), user_code.folder(build, base), build, hp)
