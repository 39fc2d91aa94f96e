"""Registered losses as `keras.losses.Loss` objects, for any `model.compile`.

They compute the same as the registry's functions, are saved by value under the package name
`lossreg`, and load wherever lossreg has been imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import keras
import numpy as np
from keras import ops

from lossreg.contract import activations
from lossreg.contract.declaration import spec_of
from lossreg.contract.params import PerClass, is_plain
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import STANDARD, TARGETS, WEIGHTS
from lossreg.errors import InputError, LossregError, ParameterError, is_text, one_line, represented
from lossreg.registry import dense_gradients, keras_labels, loss_constants, registry, saved_loss  # noqa: F401 (registers optimizers)
from lossreg.registry.user_loss import UserLoss, wrap
from lossreg.runtime import backend, keras_file  # noqa: F401 (backend is imported because it notices forks)

__all__ = ["RegistryLoss", "get", "load_model", "wrap"]

REMOTE = "://"
TF_OPS = {"softmax": "Softmax", "sigmoid": "Sigmoid"}


@keras.saving.register_keras_serializable(package="lossreg")
class RegistryLoss(keras.losses.Loss):
    """A registered loss with its parameters, as a Keras loss. Use `lossreg.get` to make one."""

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
        self.needs = loss_constants.checked(self.spec, needs or {})
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
        """Return the reduced loss; labels keep their own precision until they are one-hot."""
        y_pred = ops.convert_to_tensor(y_pred)
        self._check_width(keras_labels.columns(y_pred))
        y_true = self._labels(ops.convert_to_tensor(y_true), keras_labels.columns(y_pred))
        weight = None if sample_weight is None else self._aligned(sample_weight, y_pred)
        if WEIGHTS in self.spec.needs:
            self._weight, weight = weight, None
        loss = super().__call__(y_true, y_pred, weight)
        self._weight = None
        # Keras leaves the values of an empty batch unreduced
        is_reduced = self.reduction in (None, "none") or len(loss.shape) == 0
        return ops.cast(loss if is_reduced else ops.sum(loss), self._result_dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return unreduced values `(batch, *spatial_shape)`; `(batch,)` for a loss of whole samples."""
        y_pred = ops.cast(keras_labels.columns(ops.convert_to_tensor(y_pred)), self.dtype)
        self._check_width(y_pred)
        keras_labels.require_numbers(
            y_pred, "predictions", self.name, "Look for NaN in the data, or lower the learning rate."
        )
        y_true = self._standardised(self._labels(ops.convert_to_tensor(y_true), y_pred))
        raw_scores = self._raw_scores(y_pred)
        if raw_scores.shape[-1] == 1 and self.spec.serves_binary_as_two(2):
            raw_scores = keras_labels.two_raw_scores(raw_scores)
        if self.spec.target == "ordinal":
            # such losses compare labels, and a comparison with NaN, which a wrong label is, is false
            raw_scores = raw_scores + 0.0 * y_true
        return self._values(y_true, raw_scores, self._arguments(self._classes(raw_scores.shape[-1])))

    def _classes(self, columns: int) -> int:
        """Return the number of classes for this number of raw scores."""
        if self.spec.target in ("binary", "signed"):
            return 2
        return columns + 1 if self.spec.outputs == "k-1" else columns

    def get_config(self) -> dict[str, Any]:
        """Return everything that `from_config` needs, by value; for a user's loss, where it is defined."""
        return {**self._options(), "loss": saved_loss.identifier_of(self.spec)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RegistryLoss:
        """Return the loss that `get_config` described.

        Raises `UnknownError` if its plugin is not installed, `InputError` if a user's loss is not found again.
        """
        config = deepcopy(config)
        loss = config.pop("loss")
        return cls(saved_loss.restored(loss) if isinstance(loss, Mapping) else loss, **config)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        loss = self.spec.name if saved_loss.is_registered(self.spec) else self.spec
        return _rebuilt, (type(self), loss, self._options())

    def __repr__(self) -> str:
        changed = {n: v for n, v in self.needs.items() if n not in STANDARD or v != loss_constants.CONSTANTS[n].default}
        given = ", ".join(f"{name}={value}" for name, value in {**self.params, **changed}.items())
        return f"<lossreg loss {self.spec.name}({given})>"

    def _options(self) -> dict[str, Any]:
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
        """Return whether every pixel has a value of its own."""
        return self.spec.level == "sample" and self.spec.target != "dense"

    def _values(self, y: Any, raw_scores: Any, arguments: Mapping[str, Any]) -> Any:
        function = self.spec.unweighted()
        if isinstance(function, UserLoss):
            return function.values(y, raw_scores, **arguments)
        if self._weight is not None:
            arguments = {**arguments, WEIGHTS: ops.cast(self._weight, self.dtype)}
        if not self._pointwise or len(raw_scores.shape) == 2:
            return function(y, raw_scores, **arguments)
        return ops.reshape(
            function(keras_labels.flat(y), keras_labels.flat(raw_scores), **arguments), ops.shape(raw_scores)[:-1]
        )

    def _check_width(self, y_pred: Any) -> None:
        """Raise `InputError` for a wrong number of outputs, which a loss of two or more outputs would not notice."""
        wanted, width = self.spec.outputs, y_pred.shape[-1]
        if wanted.isdigit() and wanted != "1" and width not in (None, int(wanted)):
            what = f"it takes {wanted} outputs, and the predictions have {width}"
            raise InputError(what, where=self.name, hint=f"End the model in Dense({wanted}).")
        if self.spec.target == "ordinal" and wanted == "k" and width == 1:
            raise InputError("it takes one output per class, and the predictions have 1", where=self.name)

    def _labels(self, y: Any, y_pred: Any) -> Any:
        """Return the labels as the contract has them; raises `InputError` that names the loss."""
        try:
            return self._fitted(y, y_pred)
        except InputError as error:
            raise error.at(self.name) from None

    def _fitted(self, y: Any, y_pred: Any) -> Any:
        if TARGETS[self.spec.target].width == "k":
            k = max(y_pred.shape[-1] + (self.spec.outputs == "k-1"), 2)
            return keras_labels.class_labels(y, y_pred, k, self.dtype)
        if self.spec.target == "ordinal":
            # the activation makes k probabilities of k - 1 raw scores
            k = y_pred.shape[-1] + (self.spec.outputs == "k-1" and self.from_logits)
            return keras_labels.ordinal_labels(y, y_pred, max(k, 2), self.dtype)
        labels = keras_labels.column_labels(y, y_pred, self._domain, self.dtype, single=self.spec.outputs != "1")
        return keras_labels.signed(labels) if self.spec.target == "signed" else labels

    @property
    def _domain(self) -> str:
        """Return the interval of labels that are one column."""
        fixed = {"signed": "[-1, 1]", "binary": "[0, 1]"}.get(self.spec.target)
        return fixed or self.spec.target_domain or TARGETS[self.spec.target].domain

    def _raw_scores(self, y_pred: Any) -> Any:
        activation = activations.get(self.spec.activation)
        if activation.name == "softmax" and y_pred.shape[-1] == 1:
            activation = activations.get("sigmoid")
        if self.from_logits or activation.name == "identity":
            self._check_raw(y_pred, activation)
            return y_pred if self.from_logits else self._standardised(y_pred, activation.point)
        if activation.inverse is None:
            raise InputError(
                "predictions cannot be turned into raw scores", where=self.name, hint="Give from_logits=True."
            )
        if y_pred.shape[-1] == 1 and "k" in self.spec.outputs and not activations.is_usual(activation):
            both = self._inverse(activation, ops.concatenate([1.0 - y_pred, y_pred], axis=-1))
            return both if self.spec.outputs == "k-1" else both[..., 1:] - both[..., :1]
        return self._inverse(activation, self._standardised(y_pred, activation.point))

    def _standardised(self, values: Any, point: int | None = None) -> Any:
        """Return labels or predictions, given in the user's units, standardised: (value - center) / scale.

        Of several outputs `(batch, *spatial_shape, outputs)`, only the one with index `point` is in the user's units.
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
        """Raise `InputError` if a TensorFlow graph shows that these raw scores are probabilities."""
        if activation.name in TF_OPS and _raw_scores_before(y_pred, TF_OPS[activation.name]) is not None:
            what = f"from_logits=True, and the predictions come from {activation.name}"
            raise InputError(what, where=self.name, hint="Leave from_logits out, or end the model without activation.")

    def _inverse(self, activation: activations.Activation, y_pred: Any) -> Any:
        assert activation.inverse is not None
        if activation.name in TF_OPS:
            raw_scores = _raw_scores_before(y_pred, TF_OPS[activation.name])
            if raw_scores is not None:
                return ops.cast(raw_scores, self.dtype)
            y_pred = keras_labels.probabilities(y_pred, self.name)
        if activation.name in ("exp", "softplus"):
            y_pred = keras_labels.rates(y_pred, self.name)
        constants = {name: ops.convert_to_tensor(self.needs[name], self.dtype) for name in activation.needs}
        return activation.inverse(y_pred, **constants)

    def _arguments(self, k: int) -> dict[str, Any]:
        values = {p.name: self._argument(p, self.params[p.name], k) for p in self.spec.params}
        for name in (need for need in self.spec.needs if need != WEIGHTS):
            values[name] = (
                k if name == "n_classes" else self._argument(loss_constants.CONSTANTS[name], self.needs[name], k)
            )
        return values

    def _argument(self, param: Any, value: Any, k: int) -> Any:
        if isinstance(param, PerClass):
            param.check(value, k)
            return ops.ones((k,), dtype=self.dtype) if value is None else ops.convert_to_tensor(value, dtype=self.dtype)
        if is_plain(param, value) or isinstance(self.spec.function, UserLoss):
            return value
        return ops.convert_to_tensor(value, dtype=self.dtype)

    def _aligned(self, weight: Any, y_pred: Any) -> Any:
        """Return weights `(batch,)` as `(batch, 1, ...)`, since Keras would misalign them with values of pixels."""
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
    """Return a registered loss as a `keras.losses.Loss`: `lossreg.get("focal", gamma=1.5)`.

    loss: a name, alias or class name, in any case; a `LossSpec`; or what `wrap` takes.
    from_logits: whether predictions are raw scores; if not, they are what the loss's activation makes
    of them (probabilities, rates, values); losses with an identity activation ignore it.
    reduction, name, dtype: as in Keras. dtype is that of the result: the computation is in
    float32 or better. arguments: the loss's parameters, and the constants that it needs:
    target_mean and target_scale (default: predictions in their own units), class_counts, one per class.

    A loss of a standardised target (`real`) is computed on (value - target_center) / target_scale, by default
    on the values as they are. A study trains it so, with median and 1.4826 MAD of the training samples. Labels are
    always in the user's units, and so are predictions that are not raw scores: with from_logits=True, prediction =
    target_center + target_scale * raw score. With several outputs (`gaussian_nll`), the first is the value, and
    the others stay raw scores.

    Labels are class indices or one-hot (soft) labels `(batch, *spatial_shape[, k])` for losses of classes
    (a binary model may have one output), 0/1 or -1/1 for hinges, and otherwise one value per
    prediction. `(batch,)` and `(batch, 1)` are the same. Unreduced values are `(batch, *spatial_shape)`.
    Raises `UnknownError` and `ParameterError`; when called, `InputError` for shapes that do not fit
    and, eagerly, for values that cannot be right (inside a graph they give NaN).
    """
    spec = _spec(loss)
    needs = {key: arguments.pop(key) for key in list(arguments) if key in (*spec.constants, *spec.row_constants)}
    try:
        return RegistryLoss(
            spec, params=arguments, needs=needs, from_logits=from_logits, reduction=reduction, name=name, dtype=dtype
        )
    except InputError as error:
        raise error.at(f"lossreg.get({spec.name!r})") from None


def _rebuilt(kind: type[RegistryLoss], loss: str | LossSpec, options: dict[str, Any]) -> RegistryLoss:
    return kind(loss, **options)


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
    """Return `keras.saving.load_model(path, **options)`, with every lossreg loss known to Keras.

    path: a file, or a remote one that Keras reads: `"hf://user/model"`, `"gs://bucket/model.keras"`.
    Code in a file, as in a Lambda layer, is run only with `safe_mode=False`. Raises `InputError` for a file with code,
    where there is no such file, or Keras makes no model of it.
    """
    if not is_text(path) and not isinstance(path, os.PathLike):
        raise InputError(f"{represented(path)} is no path", where="lossreg.load_model")
    try:
        return keras_file.load(path, **options)
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


def _at_least_float32(dtype: str) -> str:
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def _raw_scores_before(y_pred: Any, activation: str) -> Any:
    """Return the raw scores from which `activation` computed `y_pred`, if a TensorFlow graph shows them; else None.

    A probability that has rounded to 0 or 1 has lost its gradient; its raw score has not.
    """
    op = getattr(y_pred, "op", None)
    while op is not None and op.type in ("Cast", "Identity"):
        op = op.inputs[0].op
    return op.inputs[0] if op is not None and op.type == activation else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
