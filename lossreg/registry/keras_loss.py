"""Registered losses as `keras.losses.Loss` objects, for any `model.compile`.

They compute what the registry's functions compute, on raw scores, are saved by value under the
package name `lossreg`, and load wherever lossreg has been imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from copy import deepcopy
from typing import Any

import keras
import numpy as np
from keras import ops

from lossreg.contract import activations
from lossreg.contract.declaration import spec_of
from lossreg.contract.params import Float, PerClass, is_plain
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import STANDARD, TARGETS, WEIGHTS
from lossreg.errors import (
    InputError,
    LossregError,
    ParameterError,
    UnknownError,
    did_you_mean,
    is_text,
    one_line,
    represented,
)
from lossreg.registry import dense_gradients, keras_labels, registry  # noqa: F401
from lossreg.registry.user_loss import UserLoss, wrap

# backends watches for forks, gradients registers optimizers
from lossreg.runtime import backend  # noqa: F401

__all__ = ["RegistryLoss", "get", "load_model", "wrap"]

CONSTANTS: dict[str, Any] = {
    "target_mean": Float("target_mean", 0.0, 0.0, 1.0),
    "target_center": Float("target_center", 0.0, 0.0, 1.0),
    "target_scale": Float("target_scale", 1.0, 1.0, 1.0, domain="(0, inf)"),
    "class_counts": PerClass("class_counts", domain="[0, inf)"),
    "class_priors": PerClass("class_priors", domain="[0, 1]", high=1.0),
    "progress": Float("progress", 1.0, 0.0, 1.0, domain="[0, 1]"),
}
BY_BATCH = {
    "n_classes": "It follows from the predictions.",
    WEIGHTS: "Give it where the loss is called, or to model.fit.",
}
PRIOR_SLACK = 1e-3
REGISTER = (
    'Give it @keras.saving.register_keras_serializable("my_package") and, a class, its `get_config`, and import its '
    "module before the model is loaded; of a model that is saved already, `compile=False` or custom_objects loads it."
)
REMOTE = "://"
TF_OPS = {"softmax": "Softmax", "sigmoid": "Sigmoid"}


@keras.saving.register_keras_serializable(package="lossreg")
class RegistryLoss(keras.losses.Loss):
    """One registered loss with its parameters; made by `lossreg.get`, which says what is accepted."""

    def __init__(
        self,
        loss: str | LossSpec,
        *,
        params: Mapping[str, Any] | None = None,
        needs: Mapping[str, Any] | None = None,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.spec = loss if isinstance(loss, LossSpec) else registry.default().get(loss)
        self.params = self.spec.bind(params or {})
        self.needs = _constants(self.spec, needs or {})
        self.from_logits = _flag("from_logits", from_logits)
        self._weight: Any = None
        policy = None if dtype is None else _policy(dtype)
        self._asked_dtype = policy and policy.name
        self._result_dtype = (policy or _policy(keras.config.floatx())).compute_dtype
        if name is not None and not is_text(name):
            raise ParameterError(f"name must be text, not {represented(name)}")
        try:
            super().__init__(
                name=name or self.spec.name, reduction=reduction, dtype=_at_least_float32(self._result_dtype)
            )
        except (TypeError, ValueError):
            hint = 'It is "sum_over_batch_size", "mean", "mean_with_sample_weight", "sum" or None.'
            raise ParameterError(f"unknown reduction {represented(reduction)}", hint=hint) from None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss; labels keep their own precision until they are one-hot."""
        y_pred = ops.convert_to_tensor(y_pred)
        self._check_width(keras_labels.columns(y_pred))
        y_true = self._labels(ops.convert_to_tensor(y_true), keras_labels.columns(y_pred))
        weight = None if sample_weight is None else self._aligned(sample_weight, y_pred)
        if WEIGHTS in self.spec.needs:
            self._weight, weight = weight, None
        loss = super().__call__(y_true, y_pred, weight)
        self._weight = None
        # Keras leaves the values of an empty batch unreduced
        whole = self.reduction in (None, "none") or len(loss.shape) == 0
        return ops.cast(loss if whole else ops.sum(loss), self._result_dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Unreduced values: `(batch, *space)`; `(batch,)` for a loss that sees whole samples."""
        y_pred = ops.cast(keras_labels.columns(ops.convert_to_tensor(y_pred)), self.dtype)
        self._check_width(y_pred)
        keras_labels.insist_numbers(
            y_pred, "predictions", self.name, "Look for NaN in the rows, or lower the learning rate."
        )
        y_true = self._standardised(self._labels(ops.convert_to_tensor(y_true), y_pred))
        scores = self._scores(y_pred)
        if scores.shape[-1] == 1 and self.spec.serves_binary_as_two(2):
            scores = keras_labels.two_scores(scores)
        if self.spec.target == "ordinal":
            # such losses compare labels, and a comparison with the NaN of a wrong label is just false
            scores = scores + 0.0 * y_true
        return self._values(y_true, scores, self._arguments(self._classes(scores.shape[-1])))

    def _classes(self, columns: int) -> int:
        """The number of classes for so many raw scores."""
        if self.spec.target in ("binary", "signed"):
            return 2
        return columns + 1 if self.spec.outputs == "k-1" else columns

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs, by value; of a user's loss its name and where it is defined."""
        return {**self._settings(), "loss": _identifier(self.spec)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RegistryLoss:
        """The loss that `get_config` described.

        Raises `UnknownError` where its plugin is not installed, `InputError` where a user's loss is not found again.
        """
        config = deepcopy(config)
        loss = config.pop("loss")
        return cls(_wrapped(loss) if isinstance(loss, Mapping) else loss, **config)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        loss = self.spec.name if _is_registered(self.spec) else self.spec
        return _rebuilt, (type(self), loss, self._settings())

    def __repr__(self) -> str:
        moved = {n: v for n, v in self.needs.items() if n not in STANDARD or v != CONSTANTS[n].default}
        given = ", ".join(f"{name}={value}" for name, value in {**self.params, **moved}.items())
        return f"<lossreg loss {self.spec.name}({given})>"

    def _settings(self) -> dict[str, Any]:
        return {
            "params": {name: _plain(value) for name, value in self.params.items()},
            "needs": {name: _plain(value) for name, value in self.needs.items()},
            "from_logits": self.from_logits,
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self._asked_dtype,
        }

    @property
    def _pointwise(self) -> bool:
        """Whether every place of `space` has a value of its own."""
        return self.spec.level == "sample" and self.spec.target != "dense"

    def _values(self, y: Any, scores: Any, arguments: Mapping[str, Any]) -> Any:
        function = self.spec.unweighted()
        if isinstance(function, UserLoss):
            return function.values(y, scores, **arguments)
        if self._weight is not None:
            arguments = {**arguments, WEIGHTS: ops.cast(self._weight, self.dtype)}
        if not self._pointwise or len(scores.shape) == 2:
            return function(y, scores, **arguments)
        return ops.reshape(
            function(keras_labels.flat(y), keras_labels.flat(scores), **arguments), ops.shape(scores)[:-1]
        )

    def _check_width(self, y_pred: Any) -> None:
        """Raise `InputError` for other outputs than a loss of two or more takes; none would be refused by itself."""
        wanted, found = self.spec.outputs, y_pred.shape[-1]
        if wanted.isdigit() and wanted != "1" and found not in (None, int(wanted)):
            what = f"it takes {wanted} outputs, and the predictions have {found}"
            raise InputError(what, where=self.name, hint=f"End the model in Dense({wanted}).")
        if self.spec.target == "ordinal" and wanted == "k" and found == 1:
            raise InputError("it takes one output a class, and the predictions have 1", where=self.name)

    def _labels(self, y: Any, y_pred: Any) -> Any:
        if TARGETS[self.spec.target].width == "k":
            k = max(y_pred.shape[-1] + (self.spec.outputs == "k-1"), 2)
            return keras_labels.class_labels(y, y_pred, k, self.dtype)
        if self.spec.target == "ordinal":
            # the activation makes k probabilities of k - 1 scores
            k = y_pred.shape[-1] + (self.spec.outputs == "k-1" and self.from_logits)
            return keras_labels.ordinal_labels(y, y_pred, max(k, 2), self.dtype)
        found = keras_labels.column_labels(y, y_pred, self._domain, self.dtype, single=self.spec.outputs != "1")
        return keras_labels.signed(found) if self.spec.target == "signed" else found

    @property
    def _domain(self) -> str:
        """The interval in which labels of one column lie."""
        fixed = {"signed": "[-1, 1]", "binary": "[0, 1]"}.get(self.spec.target)
        return fixed or self.spec.target_domain or TARGETS[self.spec.target].domain

    def _scores(self, y_pred: Any) -> Any:
        activation = activations.get(self.spec.activation)
        if activation.name == "softmax" and y_pred.shape[-1] == 1:
            activation = activations.get("sigmoid")
        if self.from_logits or activation.name == "identity":
            self._check_raw(y_pred, activation)
            return y_pred if self.from_logits else self._standardised(y_pred, activation.point)
        if activation.inverse is None:
            raise InputError("predictions cannot be turned into scores", where=self.name, hint="Give from_logits=True.")
        if y_pred.shape[-1] == 1 and "k" in self.spec.outputs and not activations.is_usual(activation):
            both = self._inverse(activation, ops.concatenate([1.0 - y_pred, y_pred], axis=-1))
            return both if self.spec.outputs == "k-1" else both[..., 1:] - both[..., :1]
        return self._inverse(activation, self._standardised(y_pred, activation.point))

    def _standardised(self, values: Any, point: int | None = None) -> Any:
        """Labels or predictions in the user's units as a standardised target has them: (value - center) / scale.

        Of several outputs `(batch, *space, outputs)` of one value only `point` is in the user's units.
        """
        if not TARGETS[self.spec.target].standardised:
            return values
        center, scale = (self.needs[name] for name in STANDARD)
        if point is None or self.spec.outputs == "1":
            return (values - center) / scale if (center, scale) != (0.0, 1.0) else values
        columns = range(int(self.spec.outputs) if self.spec.outputs.isdigit() else values.shape[-1])
        shift = ops.convert_to_tensor([center * (i == point) for i in columns], self.dtype)
        size = ops.convert_to_tensor([scale if i == point else 1.0 for i in columns], self.dtype)
        return (values - shift) / size

    def _check_raw(self, y_pred: Any, activation: activations.Activation) -> None:
        """Raise `InputError` where a TensorFlow graph tells that "raw scores" are probabilities."""
        if activation.name in TF_OPS and _before(y_pred, TF_OPS[activation.name]) is not None:
            what = f"from_logits=True, and the predictions come from {activation.name}"
            raise InputError(what, where=self.name, hint="Leave from_logits out, or end the model without activation.")

    def _inverse(self, activation: activations.Activation, y_pred: Any) -> Any:
        assert activation.inverse is not None
        if activation.name in TF_OPS:
            scores = _before(y_pred, TF_OPS[activation.name])
            if scores is not None:
                return ops.cast(scores, self.dtype)
            y_pred = keras_labels.probabilities(y_pred, self.name)
        if activation.name in ("exp", "softplus"):
            y_pred = keras_labels.rates(y_pred, self.name)
        constants = {name: ops.convert_to_tensor(self.needs[name], self.dtype) for name in activation.needs}
        return activation.inverse(y_pred, **constants)

    def _arguments(self, k: int) -> dict[str, Any]:
        values = {p.name: self._argument(p, self.params[p.name], k) for p in self.spec.params}
        for name in (need for need in self.spec.needs if need != WEIGHTS):
            values[name] = k if name == "n_classes" else self._argument(CONSTANTS[name], self.needs[name], k)
        return values

    def _argument(self, param: Any, value: Any, k: int) -> Any:
        if isinstance(param, PerClass):
            param.check(value, k)
            return ops.ones((k,), dtype=self.dtype) if value is None else ops.convert_to_tensor(value, dtype=self.dtype)
        if is_plain(param, value) or isinstance(self.spec.function, UserLoss):
            return value
        return ops.convert_to_tensor(value, dtype=self.dtype)

    def _aligned(self, weight: Any, y_pred: Any) -> Any:
        """Weights `(batch,)` of values `(batch, *space)` as `(batch, 1, ...)`, which Keras would misalign."""
        weight = ops.convert_to_tensor(weight)
        rank = max(len(y_pred.shape) - 1, 1) if self._pointwise else 1
        while 0 < len(weight.shape) < rank:
            weight = ops.expand_dims(weight, axis=-1)
        return weight


def get(
    loss: str | LossSpec | Callable[..., Any],
    *,
    from_logits: bool = False,
    reduction: str | None = "sum_over_batch_size",
    name: str | None = None,
    dtype: Any = None,
    **arguments: Any,
) -> RegistryLoss:
    """A `keras.losses.Loss` of a registered loss: `lossreg.get("focal", gamma=1.5)`.

    loss: a name, alias or class name, without regard to case; a `LossSpec`; or what `wrap` takes.
    from_logits: whether predictions are raw scores; if not, they are what the loss's activation makes
    of them (probabilities, rates, values); losses with an identity activation ignore it.
    reduction, name, dtype: as in Keras. dtype is that of the result: the computation is in
    float32 or better. arguments: the loss's parameters, and the constants that it needs:
    target_mean and target_scale (default: predictions in their own units), class_counts, one per class.

    A loss of a standardised target (`real`) is computed on (value - target_center) / target_scale, by default
    on the values as they are. A study trains it so, with median and 1.4826 MAD of the training rows. Labels are
    in the user's units always, predictions unless they are raw scores: with from_logits=True, prediction =
    target_center + target_scale * raw score. Of several outputs (`gaussian_nll`) the first is the value, the
    others stay raw scores.

    Labels are class indices or one-hot (soft) rows `(batch, *space[, k])` for losses of classes, of
    which a binary model may have one output; 0/1 or -1/1 for hinges; else one value a
    prediction. `(batch,)` and `(batch, 1)` are the same. Unreduced values are `(batch, *space)`.
    Raises `UnknownError` and `ParameterError`; on a call `InputError`, for shapes that do not fit
    and, eagerly, for values that cannot be right (inside a graph these give NaN).
    """
    spec = _spec(loss)
    needs = {key: arguments.pop(key) for key in list(arguments) if key in (*spec.constants, *spec.row_constants)}
    try:
        return RegistryLoss(
            spec, params=arguments, needs=needs, from_logits=from_logits, reduction=reduction, name=name, dtype=dtype
        )
    except InputError as error:
        raise error.at(f"lossreg.get({spec.name!r})") from None


def _rebuilt(kind: type[RegistryLoss], loss: str | LossSpec, settings: dict[str, Any]) -> RegistryLoss:
    return kind(loss, **settings)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{name} must be True or False, not {represented(value)}")
    return bool(value)


def _policy(dtype: Any) -> Any:
    try:
        return keras.dtype_policies.get(dtype)
    except Exception:
        hint = 'Give one of Keras, such as "float32" or "mixed_float16".'
        raise ParameterError(f"{represented(dtype)} is no dtype", hint=hint) from None


def load_model(path: Any, **options: Any) -> Any:
    """`keras.saving.load_model(path, **options)`, with every lossreg loss known to Keras.

    path: a file, or a remote one that Keras reads: `"hf://user/model"`, `"gs://bucket/model.keras"`.
    Raises `InputError` where there is no such file, or Keras makes no model of it.
    """
    if not is_text(path) and not isinstance(path, os.PathLike):
        raise InputError(f"{represented(path)} is no path", where="lossreg.load_model")
    try:
        return keras.saving.load_model(path, **options)
    except LossregError:
        raise
    except Exception as error:
        missing = REMOTE not in str(path) and not os.path.exists(path)  # noqa: PTH110, which is False for any text
        what = "there is no such file" if missing else f"Keras cannot load it: {one_line(error)}"
        raise InputError(what, where=str(path)) from error


def _spec(loss: Any) -> LossSpec:
    if declared := spec_of(loss):
        return declared
    if isinstance(loss, str):
        return registry.default().get(loss)
    if callable(loss):
        return wrap(loss)
    hint = 'Give a name such as "focal", a LossSpec or a function my_loss(y_true, y_pred).'
    raise InputError(f"{represented(loss)} is no loss", where="lossreg.get", hint=hint)


def _constants(spec: LossSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every constant but `n_classes`, checked, with defaults; raises `InputError`."""
    wanted = spec.row_constants
    for name in given:
        if name not in wanted:
            hint = BY_BATCH.get(name) or did_you_mean(name, wanted)
            raise UnknownError(f"{spec.name} does not take {name!r} here", hint=hint)
    return {name: _constant(spec, name, given) for name in wanted}


def _constant(spec: LossSpec, name: str, given: Mapping[str, Any]) -> Any:
    if name == "class_priors" and given.get(name) is None:
        counts = _constant(spec, "class_counts", given)
        return tuple(count / sum(counts) for count in counts)
    if name not in CONSTANTS:
        raise InputError(f"it needs {name}, which a Keras loss does not have")
    param = CONSTANTS[name]
    default = 1.0 if name == "target_mean" and activations.get(spec.activation).name == "exp" else param.default
    value = param.check(given.get(name, default))
    if value is None or (name == "class_counts" and not sum(value) > 0):
        example = "class_counts=[900, 100], the training rows of each class"
        raise InputError(f"{spec.name} needs {name}", hint=f"Give {example}.")
    if name == "class_priors" and abs(sum(value) - 1) > PRIOR_SLACK and spec.target != "multihot":
        raise ParameterError(f"class_priors sum to {sum(value):g}, not to 1")
    if name == "target_mean" and activations.get(spec.activation).name == "exp" and value <= 0:
        raise ParameterError(f"target_mean = {value:g} is outside its domain (0, inf)")
    return value


def _at_least_float32(dtype: str) -> str:
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def _before(y_pred: Any, activation: str) -> Any:
    """The scores that `activation` made `y_pred` of, where a TensorFlow graph tells; else None.

    A probability that has rounded to 0 or 1 has lost its gradient; its score has not.
    """
    op = getattr(y_pred, "op", None)
    while op is not None and op.type in ("Cast", "Identity"):
        op = op.inputs[0].op
    return op.inputs[0] if op is not None and op.type == activation else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_registered(spec: LossSpec) -> bool:
    entry = registry.default().look_up(spec.name)
    return entry is not None and entry.spec == spec


def _identifier(spec: LossSpec) -> dict[str, Any] | str:
    """What a saved model stores for `spec`: its registered name, or how to find the user's function again.

    It never raises, since Keras has emptied the file by the time it asks; what cannot be restored says so on loading.
    """
    if _is_registered(spec):
        return spec.name
    where = {"name": spec.name}
    if not isinstance(spec.function, UserLoss):
        return {**where, "lost": "it is in no registry", "hint": "Offer it in a plugin to save it."}
    source = spec.function.source
    if not isinstance(spec.activation, str):
        return {**where, "lost": "its activation has no name", "hint": REGISTER}
    if gone := _lost_arguments(source):
        return {**where, "lost": gone, "hint": REGISTER}
    options = {"name": spec.name, "activation": spec.activation, "target": spec.target, "outputs": spec.outputs}
    stored = {"options": {**options, "tasks": list(spec.tasks)}, "source": _stored(source)}
    return stored if _is_known(source) else {**stored, "defined": _defined(source)}


def _definition(source: Any) -> Any:
    return type(source) if isinstance(source, keras.losses.Loss) else source


def _is_of_keras(source: Any) -> bool:
    return str(getattr(_definition(source), "__module__", "")).partition(".")[0] == "keras"


def _is_known(source: Any) -> bool:
    """Whether Keras finds the definition of a user's loss by its name, in this process."""
    definition = _definition(source)
    return _is_of_keras(source) or keras.saving.get_registered_object(_keras_name(definition)) is definition


def _keras_name(definition: Any) -> str:
    """The name under which Keras looks for a function or class; of another callable that of its class."""
    has_name = hasattr(definition, "__name__")
    return str(keras.saving.get_registered_name(definition)) if has_name else type(definition).__name__


def _defined(source: Any) -> str:
    """`my_package.losses.my_loss`: where a user's loss is defined."""
    definition = _definition(source)
    name = getattr(definition, "__qualname__", type(definition).__name__)
    return f"{getattr(definition, '__module__', '')}.{name}"


def _lost_arguments(source: Any) -> str:
    """The arguments of a loss of Keras that a saved model would lose, in words; empty if none."""
    if not _is_of_keras(source) or _definition(source) is source:
        return ""
    again = keras.losses.deserialize(keras.losses.serialize(source))
    is_same = vars(again) == vars(source)
    return "" if is_same else f"Keras {keras.__version__} does not save the arguments of {type(source).__name__}"


def _stored(source: Any) -> Any:
    if isinstance(source, keras.losses.Loss):
        return keras.saving.serialize_keras_object(source)
    return _keras_name(source)


def _wrapped(identifier: Mapping[str, Any]) -> LossSpec:
    """The spec of a user's loss as `_identifier` stored it; raises `InputError` where it cannot be had again."""
    if "lost" in identifier:
        what = f"it cannot be saved: {identifier['lost']}"
        raise InputError(what, where=f"loss {identifier['name']!r}", hint=identifier["hint"])
    # files of 0.2.0 and before name the activation `link`
    options = {"activation" if name == "link" else name: value for name, value in identifier["options"].items()}
    return wrap(_restored(identifier), **options)


def _restored(identifier: Mapping[str, Any]) -> Any:
    source, defined = identifier["source"], identifier.get("defined")
    if isinstance(source, str):
        # a function of the user's is never mistaken for one of Keras of the same name
        known = {} if defined else vars(keras.losses)
        if (restored := keras.saving.get_registered_object(source, module_objects=known)) is not None:
            return restored
    else:
        with suppress(Exception) if defined else nullcontext():
            return keras.saving.deserialize_keras_object(source)
    where = f"loss {identifier['options']['name']!r}"
    what = f"it cannot be saved by value: Keras could not find the function again, {defined or source}"
    raise InputError(what, where=where, hint=REGISTER)
