"""Models: the built-in `mlp` and the user's `build_model(hp)`, both ending in raw scores; and what predicts with them.

Keras is imported when a model is built, not before.
"""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from lossreg.config.search_space import Fixed, Space, nearest
from lossreg.contract import activations
from lossreg.contract.params import Choice
from lossreg.contract.targets import TARGETS, Constants
from lossreg.errors import InputError, UnknownError, contained, did_you_mean, one_line
from lossreg.models.hyperparameters import Answer, Declared, default, given
from lossreg.models.raw_scores import Need, raw_scores
from lossreg.runtime import user_code

if TYPE_CHECKING:
    from lossreg.contract.spec import LossSpec

Make = Callable[[Need, Answer], Any]
MLP_OPTIONS: Mapping[str, Any] = {"hidden": (64, 64), "activation": "relu", "dropout": 0.0, "batch_norm": False}
BUILDING = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Builder:
    """Builds one architecture as often as it is asked to. `notes` says what was changed in a user's model.

    space: the shape of a mask, of a segmentation; multilabel: whether a row has several labels.
    """

    name: str
    make: Make = field(repr=False)
    space: tuple[int, ...] = ()
    multilabel: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def declared(self) -> list[str]:
        """The hyperparameters that a user's function has declared so far."""
        return list(getattr(self.make, "declared", {}))

    def build(
        self,
        input_shape: Sequence[int] | Mapping[str, Sequence[int]],
        outputs: int,
        n_classes: int,
        seed: int,
        values: Mapping[str, Any] | None = None,
    ) -> Any:
        """An uncompiled functional Keras model from `(batch, *input_shape)` to raw scores `(batch, *space, outputs)`.

        values of hyperparameters that are searched, by key; the others are at their defaults.
        Equal seeds give equal weights. Python's and NumPy's random state are left as they were;
        the seed of Keras and of its backend is set. Raises `InputError` when the model cannot be had.
        """
        return self.ask(input_shape, outputs, n_classes, seed, given(values) if values else default)

    def ask(
        self,
        input_shape: Sequence[int] | Mapping[str, Sequence[int]],
        outputs: int,
        n_classes: int,
        seed: int,
        answer: Answer,
    ) -> Any:
        """As `build`, every hyperparameter that is searched being answered as it is declared."""
        need = Need(_shape(input_shape), int(outputs), int(n_classes), self.space, self.multilabel)
        with BUILDING, _seeded(int(seed)):
            model = raw_scores_of(self._made(need, answer), need, self.name)
        self.notes.extend(note for line in need.notes if (note := f"{self.name}: {line}.") not in self.notes)
        return model

    def _made(self, need: Need, answer: Answer) -> Any:
        """What the function makes; raises `InputError` for all that Keras raises, such as for want of memory."""
        try:
            with contained():
                return self.make(need, answer)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"the model cannot be built: {one_line(error)}", where=self.name) from error


def _shape(given: Any) -> Any:
    """Whole numbers: a shape, or one for each input by name."""
    if isinstance(given, Mapping):
        return {str(name): _shape(own) for name, own in given.items()}
    return tuple(int(size) for size in given)


def raw_scores_of(model: Any, need: Need, name: str) -> Any:
    """`heads.raw_scores`, with Keras's own complaints as `InputError`s about the model `name`."""
    try:
        with contained():
            return raw_scores(model, need)
    except InputError as error:
        raise error.at(name) from error
    except Exception as error:
        text = f"the model does not take rows of shape {need.input_shape}: {one_line(error)}"
        raise InputError(text, where=name) from error


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    import keras

    before, numpy_before = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)


def resolve(
    build: str | Callable[..., Any] = "mlp",
    *,
    base: Path = Path(),
    space: tuple[int, ...] = (),
    multilabel: bool = False,
    hp: str | Mapping[str, Any] | None = None,
    **options: Any,
) -> Builder:
    """The builder of the built-in `mlp`, or of a user's function `file.py:function` or `package.module:function`.

    space, multilabel: as in `Builder`; options: of the mlp only: `hidden` (widths), `activation`,
    `dropout` (share), `batch_norm`, a value or a `Space` to search; None means not given. hp: what a study
    says of the hyperparameters of a user's function: `"search"` them all, or by name. Raises
    `InputError` for unknown names, wrong values and missing files.
    """
    said = {name: value for name, value in options.items() if value is not None}
    name, make = _maker(build, base, said, hp)
    return Builder(name, make, tuple(int(size) for size in space), multilabel)


def _maker(build: str | Callable[..., Any], base: Path, said: Mapping[str, Any], hp: Any) -> tuple[str, Make]:
    if build == "mlp":
        return "mlp", _mlp_maker(said)
    if said:
        raise InputError(f"{', '.join(said)}: of the built-in mlp only", where=str(build), hint="Leave them out.")
    if not isinstance(build, str):
        return getattr(build, "__name__", type(build).__name__), _Users(build, Path(), "build_model", hp)
    if ":" not in build:
        hint = did_you_mean(build, ("mlp",)) or user_code.FORMS
        raise UnknownError("is neither mlp nor a function of yours", where=build, hint=hint)
    return build, _Users(user_code.locate(build, base), user_code.folder(build, base), build, hp)


# ------------------------------------------------------------------ the built-in model


def _mlp_maker(said: Mapping[str, Any]) -> Make:
    for name in said:
        if name not in MLP_OPTIONS:
            raise UnknownError(
                f"unknown option {name}; mlp has {', '.join(MLP_OPTIONS)}",
                where="mlp",
                hint=did_you_mean(name, MLP_OPTIONS),
            )
    options = {**MLP_OPTIONS, **said}
    searched = {name: option for name, option in options.items() if isinstance(option, Space)}
    fixed = {name: MLP_OPTIONS[name] if name in searched else option for name, option in options.items()}
    for name, wrong in _wrong_options(**fixed).items():
        if wrong:
            raise InputError(f"{name} = {fixed[name]!r}: {wrong}", where="mlp")
    declared = [_option(name, space) for name, space in searched.items()]
    return lambda need, answer: _mlp(need, **fixed | {one.key: answer(one) for one in declared})


def _option(name: str, space: Space) -> Declared:
    usual = nearest(space, MLP_OPTIONS[name])
    return Declared(name, name, space, usual, Choice(name, usual, (usual,)))


def _wrong_options(hidden: Any, activation: Any, dropout: Any, batch_norm: Any) -> dict[str, str]:
    widths = isinstance(hidden, (list, tuple)) and all(type(width) is int and width > 0 for width in hidden)
    share = isinstance(dropout, (int, float)) and not isinstance(dropout, bool) and 0 <= dropout < 1
    return {
        "hidden": "" if widths else "must be a list of positive whole numbers",
        "activation": "" if isinstance(activation, str) else "must be the name of a Keras activation",
        "dropout": "" if share else "must be a share from 0 to below 1",
        "batch_norm": "" if isinstance(batch_norm, bool) else "must be true or false",
    }


def _mlp(need: Need, hidden: Sequence[int], activation: str, dropout: float, batch_norm: bool) -> Any:
    """Hidden layers of `Dense [BatchNormalization] activation [Dropout]`, then a linear Dense layer named scores.

    The scores of masks are brought to their shape.
    """
    import keras
    from keras import layers

    _check_activation(activation)
    inputs = need.inputs() if isinstance(need.input_shape, Mapping) else keras.Input(need.input_shape, name="features")
    x = _flat(inputs)
    for number, width in enumerate(hidden, 1):
        x = layers.Dense(width, None if batch_norm else activation, name=f"hidden_{number}")(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
            x = layers.Activation(activation, name=f"activation_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    scores = layers.Dense(math.prod(need.space) * need.outputs, name="scores")(x)
    if need.space:
        scores = layers.Reshape((*need.space, need.outputs), name="places")(scores)
    return keras.Model(inputs, scores)


def _flat(inputs: Any) -> Any:
    """One vector a row of an input or of several by name."""
    from keras import layers

    if not isinstance(inputs, Mapping):
        return inputs if len(inputs.shape) == 2 else layers.Flatten(name="flatten")(inputs)
    parts = [x if len(x.shape) == 2 else layers.Flatten(name=f"flatten_{name}")(x) for name, x in inputs.items()]
    return layers.Concatenate(name="inputs")(parts) if len(parts) > 1 else parts[0]


def _check_activation(name: str) -> None:
    from keras import activations

    try:
        activations.get(name)
    except ValueError:
        known = [a for a in dir(activations) if a[0].isalpha() and a not in ("deserialize", "get", "serialize")]
        hint = did_you_mean(name, known) or f"Known: {', '.join(known)}."
        raise UnknownError(f"unknown activation {name!r}", where="mlp", hint=hint) from None


# ------------------------------------------------------------------ the user's model


@dataclass(eq=False)
class _Users:
    """A user's `build_model(hp)`, `build_model()` or `HyperModel`; hp is what the study says of its hyperparameters."""

    given: Any
    folder: Path
    name: str
    hp: str | Mapping[str, Any] | None = None
    declared: dict[str, Declared] = field(default_factory=dict)
    seen: WeakSet[Any] = field(default_factory=WeakSet)

    def __call__(self, need: Need, answer: Answer) -> Any:
        import keras

        wrong: list[InputError] = []
        try:
            model = user_code.call(self.build, self.name, self.folder, *self._arguments(need, answer, wrong))
        except InputError as error:
            raise wrong[0] if wrong else error from error.__cause__
        if not isinstance(model, keras.Model):
            raise InputError(f"returned {type(model).__name__}, not a keras.Model", where=self.name)
        if model in self.seen:
            raise InputError("returned the same model twice", where=self.name, hint="Build a new one in every call.")
        self.seen.add(model)
        self._note(model, need)
        return model

    @cached_property
    def build(self) -> Callable[..., Any]:
        """The function that builds a model."""
        from lossreg.models import keras_tuner

        build = user_code.call(keras_tuner.build_function, self.name, self.folder, self.given)
        if not callable(build):
            raise InputError(f"is no function but {type(build).__name__}", where=self.name)
        return build

    def _arguments(self, need: Need, answer: Answer, wrong: list[InputError]) -> list[Any]:
        from lossreg.models.keras_tuner import Hyperparameters

        takes = inspect.signature(self.build).parameters
        return [Hyperparameters(need.facts(), partial(self._answered, answer, wrong))] if takes else []

    def _answered(self, answer: Answer, wrong: list[InputError], declared: Declared) -> Any:
        """What the study fixes, or else what `answer` says; what the study says in vain is put down in `wrong`."""
        self.declared[declared.name] = declared
        table = self.hp if isinstance(self.hp, Mapping) else {}
        wish = table.get(declared.key, table.get(declared.name, "search" if self.hp == "search" else "default"))
        try:
            wished = declared.wished(wish)
        except InputError as error:
            wrong.append(error.at(f"hp.{declared.name}"))
            raise wrong[0] from error
        return wished.space.value if isinstance(wished.space, Fixed) else answer(wished)

    def _note(self, model: Any, need: Need) -> None:
        from lossreg.models.keras_tuner import has_own_fit

        if model.compiled:
            need.notes.append("compile() is ignored: loss, optimizer and metric are the study's")
        if has_own_fit(self.given):
            need.notes.append("its own fit is ignored: the study trains the model")


# ------------------------------------------------------------------ prediction


def inference(model: Any, spec: LossSpec, constants: Constants, n_classes: int) -> Any:
    """A Keras model from preprocessed rows to predictions, sharing the layers of `model`; uncompiled.

    Classification: layer `probability`, `(batch, 1)` of class 1 for a binary task, of several labels
    `(batch, k)` of each, of masks `(batch, *space, 1)` of each place, else `(batch, k)`; for a loss that
    yields no probabilities layer `score`, the raw scores, whose largest (one score, or several
    labels: whose sign) is the class. Regression: layer `prediction`, `(batch, 1)` in the user's units.
    It is made of Keras's own layers and operations and loads without lossreg.
    """
    import keras

    scores = model.outputs[0]
    if not n_classes:
        prediction = _value(scores, spec, constants)
    elif spec.probabilistic:
        prediction = _probability(scores, spec, constants, n_classes)
    else:
        prediction = keras.layers.Activation("linear", name="score")(scores)
    return keras.Model(model.input, prediction)


def _probability(scores: Any, spec: LossSpec, constants: Constants, n_classes: int) -> Any:
    from keras import layers, ops

    activation = activations.get(spec.activation)
    apart = scores.shape[-1] == 1 or spec.target == "multihot"
    if activations.is_usual(activation):
        if n_classes == 2 and not apart:
            scores, apart = scores[..., 1:] - scores[..., :1], True
        return layers.Activation("sigmoid" if apart else "softmax", name="probability")(scores)
    # a multiclass loss sees a binary score z as [-z/2, z/2]
    z = ops.concatenate([-scores / 2, scores / 2], axis=-1) if spec.serves_binary_as_two(n_classes) else scores
    probabilities = activation.forward(z, **constants.select(activation.needs))
    binary = n_classes == 2 and probabilities.shape[-1] == 2 and spec.target != "multihot"
    return layers.Activation("linear", name="probability")(probabilities[..., 1:] if binary else probabilities)


def _value(scores: Any, spec: LossSpec, constants: Constants) -> Any:
    from keras import layers

    activation = activations.get(spec.activation)
    value = activation.forward(scores, **constants.select(activation.needs))
    if value.shape[-1] != 1:
        value = value[:, activation.point : activation.point + 1]
    if not TARGETS[spec.target].standardised:
        return layers.Activation("linear", name="prediction")(value)
    return layers.Rescaling(constants.target_scale, offset=constants.target_center, name="prediction")(value)
