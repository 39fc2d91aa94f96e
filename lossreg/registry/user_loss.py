"""A user's ordinary loss, a function or a Keras `Loss` of predictions, as a `LossSpec`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lossreg import ops
from lossreg.contract import activations
from lossreg.contract.activations import Activation
from lossreg.contract.claims import Claims
from lossreg.contract.declaration import spec_of
from lossreg.contract.field_types import is_real
from lossreg.contract.former_names import by_present_names
from lossreg.contract.params import Float
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import REGRESSION, TARGETS
from lossreg.errors import InputError, count_of, is_text, represented
from lossreg.zoo.numerics import sample_mean

TASKS_OF = {
    "onehot": ("binary", "multiclass"),
    "ordinal": ("binary", "multiclass"),
    "binary": ("binary", "segmentation"),
    "signed": ("binary", "segmentation"),
    "multihot": ("multilabel",),
    "dense": ("segmentation",),
}
TARGET_OF = {"softmax": "onehot", "sigmoid": "binary", "exp": "count", "softplus": "raw", "affine": "raw"}
ACTIVATION_OF = {
    "onehot": "softmax", "binary": "sigmoid", "multihot": "sigmoid", "dense": "sigmoid",
    "raw": "affine", "positive": "exp", "count": "exp",
}  # fmt: skip
OF_KERAS = ("name", "reduction", "dtype")
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
SIGNATURE = "Write it as `my_loss(y_true, y_pred)`, in this order."


@dataclass(frozen=True, slots=True)
class UserLoss:
    """Calls the user's `source` on predictions, as `LossSpec.function` is called on raw scores.

    source: a function `(y_true, y_pred, **params)`, a Keras `Loss` or a subclass of it.
    """

    source: Any
    activation: Activation
    name: str

    def __call__(self, y_true: Any, y_pred: Any, **arguments: Any) -> Any:
        """`(batch, *spatial_shape, t)` labels and raw scores to `(batch,)`; raises `InputError`."""
        return sample_mean(self.values(y_true, y_pred, **arguments))

    def values(self, y_true: Any, y_pred: Any, **arguments: Any) -> Any:
        """The same before the mean over space: what the user's loss returns, less a last axis of outputs."""
        constants = {need: arguments.pop(need) for need in self.activation.needs}
        values = self._call(y_true, self.activation.forward(y_pred, **constants), arguments)
        self._check(values, y_pred)
        return ops.mean(values, axis=-1) if len(values.shape) >= len(y_pred.shape) else values

    def _call(self, y_true: Any, prediction: Any, params: dict[str, Any]) -> Any:
        params = _as_written(self.source, params) if params else params
        if inspect.isclass(self.source):
            loss: Any = self.source(**params)
            return loss.call(y_true, prediction)
        if _is_keras_loss(self.source):
            return self.source.call(y_true, prediction)
        return self.source(y_true, prediction, **params)

    def _check(self, values: Any, y_pred: Any) -> None:
        shape: tuple[int | None, ...] = tuple(getattr(values, "shape", ()))
        batch = y_pred.shape[0]
        if len(shape) == 0:
            problem = "it returns a single number for the whole batch"
        elif None not in (shape[0], batch) and shape[0] != batch:
            problem = f"it returns {count_of(shape[0] or 0, 'value')} for a batch of {batch}"
        else:
            return
        hint = "Return one value per sample: reduce over the last axis only, as in `ops.mean(..., axis=-1)`."
        raise InputError(problem, where=f"loss {self.name!r}", hint=hint)


def wrap(
    source: Any,
    *,
    name: str | None = None,
    activation: str | Activation | None = None,
    target: str | None = None,
    outputs: str | None = None,
    tasks: Iterable[str] | None = None,
    summary: str | None = None,
    link: str | Activation | None = None,
) -> LossSpec:
    """A spec of `source`: a function `my_loss(y_true, y_pred)`, a closure, a Keras `Loss` or its class.

    It is called with labels in the form of `target` (of `lossreg.contract.targets.TARGETS`) and with the
    predictions that `activation` (of `lossreg.contract.activations.ACTIVATIONS`) makes of raw scores, both
    `(batch, *spatial_shape, width)`; further axes of what it returns are averaged. Of activation, target and
    tasks those that are given decide the others: an activation of softmax has one-hot labels and serves
    classification; nothing given at all is a regression loss of a standardised target.

    Arguments with a number as default, of a function after the first two or of a class's
    `__init__`, become parameters whose search range is that default alone: fixed until a study
    gives a range. `link` is the former name of `activation`. Raises `InputError`.
    """
    _check_options(name=name, target=target, outputs=outputs, summary=summary)
    name = name or _snake_case(source)
    given = {key: value for key, value in (("activation", activation), ("link", link)) if value is not None}
    activation = by_present_names(given, where=f"loss {name!r}").get("activation")
    _check_source(source, name)
    _check_tasks(tasks, name)
    tasks = tuple(tasks or ())
    target, activation = _target_and_activation(target, activation, tasks)
    if target not in TARGETS:
        raise InputError(f"unknown target {target!r}; known: {', '.join(TARGETS)}", where=f"loss {name!r}")
    chosen, title = activations.get(activation), _title(source)
    return LossSpec(
        name=name,
        function=UserLoss(source, chosen, name),
        tasks=tasks or TASKS_OF.get(target, REGRESSION),
        summary=summary or _summary(source),
        reference=f"{getattr(source, '__module__', '')}.{title}",
        params=_params(source, f"the function {title}" if title == "<lambda>" else f"loss {name!r}"),
        target=target,
        outputs=outputs or ("k" if target in ("onehot", "multihot", "ordinal") else "1"),
        activation=activation,
        needs=chosen.needs,
        probabilistic=chosen.name in ("softmax", "sigmoid"),
        claims=Claims(minimum=None),
    )


def expression(spec: LossSpec) -> str:
    """Source of what `wrap` made, `lossreg.wrap(my_loss, activation="sigmoid", ...)`; empty for other specs."""
    if not isinstance(spec.function, UserLoss):
        return ""
    title = _title(spec.function.source)
    named = title.isidentifier() and not _is_instance(spec.function.source)
    options = {"target": spec.target, "activation": activations.get(spec.activation).name, "outputs": spec.outputs}
    shown = ", ".join(f'{name}="{value}"' for name, value in options.items())
    return f"lossreg.wrap({title if named else spec.name}, {shown})"


def _target_and_activation(
    target: str | None, activation: str | Activation | None, tasks: tuple[str, ...]
) -> tuple[str, str | Activation]:
    if target is None and tasks in (("multilabel",), ("segmentation",)):
        target = "multihot" if tasks == ("multilabel",) else "dense"
    if target is None and activation is not None:
        target = TARGET_OF.get(activations.get(activation).name)
    if target is None:
        target = "onehot" if "multiclass" in tasks else "binary" if "binary" in tasks else "real"
    return target, activation if activation is not None else ACTIVATION_OF.get(target, "identity")


def _check_options(**options: Any) -> None:
    for name, value in options.items():
        if value is not None and not is_text(value):
            raise InputError(f"{name} must be text, not {represented(value)}", where="lossreg.wrap")


def _check_tasks(tasks: Any, name: str) -> None:
    if tasks is not None and (isinstance(tasks, str) or not isinstance(tasks, Iterable)):
        raise InputError(f"tasks must be a tuple of names, not {represented(tasks)}", where=f"loss {name!r}")


def _check_source(source: Any, name: str) -> None:
    problem, hint = "", ""
    if inspect.isclass(source) and not _is_keras_loss(source):
        problem, hint = f"the class {source.__name__} is no keras.losses.Loss", "Subclass it, or give a function."
    elif spec_of(source) is not None:
        problem, hint = "it is a LossSpec already, or has one", "Use it as it is."
    elif not callable(source):
        problem, hint = (
            f"{represented(source)} is no loss",
            "Give a function my_loss(y_true, y_pred) or a keras.losses.Loss.",
        )
    elif _title(source).startswith("SparseCategorical"):
        problem, hint = "it takes class indices", "Labels are one-hot here: give the same loss without Sparse."
    if problem:
        raise InputError(problem, where=f"loss {name!r}", hint=hint)


def _is_instance(source: Any) -> bool:
    return not inspect.isclass(source) and _is_keras_loss(source)


def _is_keras_loss(source: Any) -> Any:
    from keras.losses import Loss

    return issubclass(source, Loss) if inspect.isclass(source) else isinstance(source, Loss)


def _params(source: Any, where: str) -> tuple[Float, ...]:
    tunable = _tunable(source, where)
    for p in tunable:
        if p.default is p.empty:
            hint = f"Give {p.name} a number as default, or wrap an instance or closure that has its value."
            raise InputError(f"argument {p.name} has no default", where=where, hint=hint)
    return tuple(Float(p.name, float(p.default), p.default, p.default) for p in tunable if _is_number(p.default))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and is_real(value)


def _as_written(source: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers again as ints where the default is one (`axis=-1`), which parameters hold as floats."""
    defaults = {name: p.default for name, p in inspect.signature(source).parameters.items()}
    return {
        name: int(value) if type(defaults.get(name)) is int and type(value) is float and value.is_integer() else value
        for name, value in params.items()
    }


def _tunable(source: Any, where: str) -> list[inspect.Parameter]:
    """The arguments that may be parameters: of a function those after labels and predictions."""
    if inspect.isclass(source):
        given = inspect.signature(source).parameters.values()
        return [p for p in given if p.name not in OF_KERAS and p.kind not in VARIADIC]
    if _is_keras_loss(source):
        return []
    given = inspect.signature(source).parameters.values()
    positional = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in given):
        raise InputError("it does not take labels and predictions", where=where, hint=SIGNATURE)
    if [("pred" in p.name, "true" in p.name) for p in positional[:2]] == [(True, False), (False, True)]:
        raise InputError("it takes predictions before labels", where=where, hint=SIGNATURE)
    return [p for p in given if p not in positional[:2] and p.kind not in VARIADIC]


def _title(source: Any) -> str:
    return str(getattr(source, "__name__", type(source).__name__))


def _snake_case(source: Any) -> str:
    title = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", _title(source)).lower()
    return re.sub(r"\W", "", title).strip("_") if title.isidentifier() else "user_loss"


def _summary(source: Any) -> str:
    doc = None if inspect.isclass(source) or not inspect.isfunction(source) else inspect.getdoc(source)
    return doc.splitlines()[0] if doc else f"A loss of the user's own: {_title(source)}."
