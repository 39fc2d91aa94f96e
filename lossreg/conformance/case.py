"""The loss under test: its labels, raw scores and parameters, and calls of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from lossreg.conformance import tensorflow
from lossreg.conformance.base import Failure
from lossreg.conformance.tensorflow import Array
from lossreg.contract import activations
from lossreg.contract.params import Choice, Float, Int, Interval, Param, PerClass, is_static
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import WEIGHTS, Constants
from lossreg.errors import one_line
from lossreg.registry.user_loss import UserLoss

CLASSES = {
    "onehot": (3, 2, 5),
    "multihot": (3, 2, 5),
    "ordinal": (4, 2, 5),
    "binary": (2,),
    "signed": (2,),
    "dense": (2,),
}
SPATIAL_SHAPE = (4, 3)
CONDITION = "Python cannot evaluate a condition on a tensor: use lossreg.ops.where."
MOST_CORNERS = 64
# samples of a call: a loss that broadcasts them against each other by mistake makes arrays of the square of it
AT_ONCE = 4096
Params = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """Parameters and constants with which a loss is called, for `k` classes (0 for a regression)."""

    k: int
    params: Params
    constants: Constants
    progress: float = 0.5

    def having(self, **constants: Any) -> Setting:
        """The same with some constants changed."""
        return replace(self, constants=replace(self.constants, **constants))

    def __str__(self) -> str:
        given = [f"{name} = {shown(value)}" for name, value in self.params.items()]
        return ", ".join([f"k = {self.k}"] * (self.k > 2) + given) or "no parameters"


def shown(value: Any) -> str:
    """A value or some numbers, short."""
    if value is None:
        return "absent"
    if isinstance(value, (tuple, list, np.ndarray)):
        return f"({', '.join(map(shown, value))})"
    return f"{float(value):.6g}" if isinstance(value, (float, np.number)) else str(value)


def brief(array: Array) -> str:
    """The first six numbers of an array."""
    return shown(array.ravel()[:6])


@dataclass
class Case:
    """A loss under test. `k` is the number of classes in most checks, `ks` all that are tried."""

    spec: LossSpec
    golden: list[dict[str, Any]] | None = None
    cache: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def ks(self) -> tuple[int, ...]:
        """Numbers of classes; (0,) for a regression."""
        return CLASSES.get(self.spec.target, (0,))

    @cached_property
    def k(self) -> int:
        """The first of `ks`."""
        return self.ks[0]

    @property
    def may_be_non_differentiable(self) -> bool:
        """Non-differentiable points are declared, or cannot be: a wrapped loss declares nothing."""
        return self.spec.claims.non_differentiable_points or isinstance(self.function, UserLoss)

    @property
    def classes(self) -> bool:
        """Labels are classes (or masks)."""
        return self.k > 0

    @cached_property
    def function(self) -> Any:
        """The loss function, every sample counting 1."""
        return self.spec.unweighted()

    @cached_property
    def activation(self) -> activations.Activation:
        """The function from raw scores to predictions."""
        return activations.get(self.spec.activation)

    def width(self, k: int | None = None) -> int:
        """The number of raw scores per sample (per pixel of a mask) for k classes."""
        k = self.k if k is None else k
        return {"k": k, "k-1": k - 1}.get(self.spec.outputs) or int(self.spec.outputs)

    # ------------------------------------------------------------------ values of parameters

    def setting(self, params: Params | None = None, k: int | None = None, rare: float = 0.1) -> Setting:
        """Defaults but for `params`, class counts falling from 1000 to 1000 `rare`."""
        k = self.k if k is None else k
        return Setting(k, self.spec.bind(params or {}, k or None), Constants(**self._constants(k, rare)))

    def _constants(self, k: int, rare: float) -> dict[str, Any]:
        if not k:
            return {"target_mean": 3.0, "target_center": 3.0, "target_scale": 2.0}
        counts = 1000.0 * rare ** (np.arange(k) / max(k - 1, 1))
        samples = 2000.0 if self.spec.target == "multihot" else counts.sum()
        return {"n_classes": k, "class_counts": tuple(counts), "class_priors": tuple(counts / samples)}

    def fixed_elsewhere(self) -> list[Setting]:
        """Other values of the parameters that are not searched, where their domain has them."""
        fixed = [p for p in self.spec.params if isinstance(p, Float) and p.low == p.high]
        return [self.setting({p.name: v}) for p in fixed for v in (0.23, 0.71) if v in Interval.parse(p.domain)]

    def plain(self, k: int | None = None) -> Setting:
        """Optional parameters absent, the others at their defaults, all classes equally frequent."""
        return self.setting({p.name: None for p in self.spec.params if p.optional}, k, rare=1.0)

    def corners(self, k: int | None = None) -> list[Setting]:
        """The defaults, then the corners of the search box; a sample of them where there are many."""
        k = self.k if k is None else k
        ends = [_ends(param, k) for param in self.spec.params]
        boxes = list(product(*ends)) if np.prod([len(e) for e in ends]) <= 4096 else self._some(ends)
        if len(boxes) > MOST_CORNERS:
            chosen = np.random.default_rng(1).permutation(len(boxes))[:MOST_CORNERS]
            boxes = [boxes[i] for i in sorted(chosen)]
        names = [param.name for param in self.spec.params]
        return [self.setting(k=k), *(self.setting(dict(zip(names, box, strict=True)), k) for box in boxes if names)]

    @staticmethod
    def _some(ends: list[list[Any]]) -> list[tuple[Any, ...]]:
        rng = np.random.default_rng(1)
        return [tuple(e[rng.integers(len(e))] for e in ends) for _ in range(MOST_CORNERS)]

    def draws(self, number: int, k: int | None = None, seed: int = 2) -> Iterator[Setting]:
        """Settings drawn from the search ranges."""
        k, rng = self.k if k is None else k, np.random.default_rng(seed)
        for _ in range(number):
            yield self.setting({p.name: _drawn(p, k, rng) for p in self.spec.params}, k)

    # ------------------------------------------------------------------ labels and raw scores

    def labels(self, n: int, k: int | None = None, seed: int = 3) -> Array:
        """`(n, *spatial_shape, t)` labels as the function receives them; classes in turn, shuffled."""
        k, rng = self.k if k is None else k, np.random.default_rng(seed)
        if self.spec.target in ("onehot", "ordinal", "binary", "signed"):
            return self._of_classes(rng.permutation(np.arange(n) % k), k)
        if self.spec.target == "multihot":
            return rng.integers(0, 2, size=(n, k)).astype(float)
        if self.spec.target == "dense":
            return rng.integers(0, 2, size=(n, *SPATIAL_SHAPE, 1)).astype(float)
        return self._numbers(n, rng)[:, None]

    def _of_classes(self, index: Array, k: int) -> Array:
        if self.spec.target == "onehot":
            return np.eye(k)[index]
        column = index[:, None].astype(float)
        return np.asarray(2 * column - 1 if self.spec.target == "signed" else column)

    def _numbers(self, n: int, rng: np.random.Generator) -> Array:
        domain = Interval.parse(self.domain)
        if self.spec.target == "count":
            return np.asarray(np.maximum(rng.poisson(3.0, n).astype(float), domain.low))
        if np.isinf(domain.low):
            center, scale = (0.0, 1.0) if self.spec.target == "real" else (3.0, 2.0)
            return np.minimum(center + scale * rng.normal(size=n), domain.high)
        if np.isinf(domain.high):
            return np.asarray(domain.low + rng.lognormal(1.0, 0.7, n))
        return rng.uniform(domain.low, domain.high, n)

    @property
    def domain(self) -> str:
        """The interval of the labels of a regression."""
        from lossreg.contract.targets import TARGETS

        return self.spec.target_domain or TARGETS[self.spec.target].domain

    def every_label(self, k: int | None = None) -> Array:
        """Every possible label once, or some of them: `(labels, *spatial_shape, t)`."""
        k = self.k if k is None else k
        if self.spec.target in ("onehot", "ordinal", "binary", "signed"):
            return self._of_classes(np.arange(k), k)
        if self.spec.target == "multihot":
            return np.array([[0.0] * k, [1.0] * k, [1.0] + [0.0] * (k - 1), [0.0] + [1.0] * (k - 1)])
        if self.spec.target == "dense":
            checkerboard = np.indices(SPATIAL_SHAPE).sum(axis=0) % 2
            return np.stack([np.zeros(SPATIAL_SHAPE), np.ones(SPATIAL_SHAPE), checkerboard])[..., None]
        return self._some_numbers()[:, None]

    def _some_numbers(self) -> Array:
        domain = Interval.parse(self.domain)
        preferred = {"count": (0, 1, 3, 40), "positive": (0.01, 0.5, 3, 40), "real": (-1.5, 0, 0.3, 4)}
        numbers = [v for v in preferred.get(self.spec.target, (-2.0, 0.0, 0.5, 3.0, 40.0)) if v in domain]
        return np.array(numbers if len(numbers) > 1 else self._numbers(4, np.random.default_rng(3)), float)

    def raw_scores(self, n: int, k: int | None = None, seed: int = 4, scale: float = 2.0) -> Array:
        """`(n, *spatial_shape, outputs)` normal raw scores."""
        rng = np.random.default_rng(seed)
        return scale * rng.normal(size=(n, *self.spatial_shape, self.width(k)))

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """The axes between samples and outputs."""
        return SPATIAL_SHAPE if self.spec.target == "dense" else ()

    def towards(self, y: Array, k: int | None = None) -> Array | None:
        """Scores that favour the labels `y`; None for a regression and where only the activation could tell."""
        target, width = self.spec.target, self.width(k)
        if target == "onehot":
            return np.asarray(y - (1 - y) / (y.shape[-1] - 1))
        if target in ("multihot", "binary", "dense"):
            return 2 * y - 1
        if target == "ordinal":
            steps = np.where(np.arange(width) < y, 1.0, -1.0)
            index = np.where(np.arange(width) == y, 1.0, -1.0 / max(width - 1, 1))
            return steps if self.spec.outputs == "k-1" else index
        return y if target == "signed" else None

    # ------------------------------------------------------------------ calls

    def arguments(self, setting: Setting) -> dict[str, Any]:
        """Keyword arguments: arrays will be tensors, the rest is static."""
        given = {p.name: _argument(p, setting.params[p.name], setting.k) for p in self.spec.params}
        for need in self.spec.needs:
            if need != WEIGHTS:
                given[need] = self._need(need, setting)
        return given

    @staticmethod
    def _need(need: str, setting: Setting) -> Any:
        if need == "n_classes":
            return setting.k
        return np.asarray(setting.progress if need == "progress" else getattr(setting.constants, need), float)

    def values(self, y: Array, z: Array, setting: Setting, dtype: str = "float64") -> Array:
        """`(n,)` losses; raises `Failure` where the function raises, or returns another shape."""
        returned = self._call(tensorflow.values, y, z, setting, dtype)
        return _vector(returned, len(z), setting)

    def each(self, y: Array, many: Array, setting: Setting) -> Array:
        """`(m, n)` float64 losses of `many` raw scores `(m, n, *spatial_shape, outputs)` for the same labels."""
        step = 1 if self.spec.level == "batch" else max(1, AT_ONCE // len(y))
        parts = (many[first : first + step] for first in range(0, len(many), step))
        return np.concatenate([self._at_once(y, part, setting) for part in parts])

    def _at_once(self, y: Array, many: Array, setting: Setting) -> Array:
        labels = np.tile(y, (len(many), *[1] * (y.ndim - 1)))
        return self.values(labels, many.reshape(-1, *many.shape[2:]), setting).reshape(many.shape[:2])

    def gradients(self, y: Array, z: Array, setting: Setting, dtype: str = "float64") -> tuple[Array, Array]:
        """`(n,)` losses and the gradient of their sum by the raw scores; raises as `values`."""
        returned, gradient = self._call(tensorflow.gradients, y, z, setting, dtype)
        return _vector(returned, len(z), setting), np.asarray(gradient)

    def _call(self, how: Any, y: Array, z: Array, setting: Setting, dtype: str) -> Any:
        try:
            return how(self.function, y, z, self.arguments(setting), dtype)
        except Failure:
            raise
        except Exception as error:
            what = f"it fails in {dtype} with {setting}: {one_line(error)}"
            raise Failure(what, "It is called as f(y_true, y_pred, *, parameters and needs).") from error

    def traced_gradients(self, y: Array, z: Array, setting: Setting, dtype: str = "float32") -> tuple[Array, Array]:
        """Return the same as `gradients`, through a graph that is kept where the loss can be traced."""
        arguments = self.arguments(setting)
        static = tuple((n, str(v)) for n, v in arguments.items() if not isinstance(v, np.ndarray))
        key = ("graph", dtype, z.shape[1:], static)
        if key not in self.cache:
            self.cache[key] = self._graph(y, z, arguments, dtype)
        if self.cache[key] is None:
            return self.gradients(y, z, setting, dtype)
        returned, gradient = self.cache[key](y, z, arguments)
        return _vector(returned, len(z), setting), np.asarray(gradient)

    def _graph(self, y: Array, z: Array, arguments: Mapping[str, Any], dtype: str) -> Any:
        try:
            return tensorflow.traced(self.function, y, z, arguments, dtype)
        except Exception:
            return None

    def predictions(self, z: Array, setting: Setting) -> Array:
        """The predictions for the raw scores."""
        return tensorflow.applied(self.activation.forward, z, self.activation_constants(setting))

    def activation_constants(self, setting: Setting) -> dict[str, Any]:
        """The constants that the activation asks for."""
        return {need: getattr(setting.constants, need) for need in self.activation.needs}

    def probe(self) -> tuple[str, str]:
        """The check that fails and a sentence, where the function cannot be called; else empty."""
        messages = [self._tried(dtype) for dtype in ("float64", "float32")]
        if messages[0] and not messages[1]:
            remedy = "Let constants follow the dtype of y_pred: plain numbers, or ops.cast(c, y_pred.dtype)."
            return "precision", f"{messages[0]} In float32 it can be called. {remedy}"
        return ("shape", messages[0]) if messages[0] else ("", "")

    @cached_property
    def samples(self) -> tuple[Array, Array]:
        """Labels and raw scores of the first call."""
        return self.labels(5), self.raw_scores(5)

    @cached_property
    def first(self) -> Array:
        """The values of the first call that the suite makes."""
        return self.values(*self.samples, self.setting())

    def _tried(self, dtype: str) -> str:
        try:
            _ = self.first if dtype == "float64" else self.values(*self.samples, self.setting(), dtype)
        except Failure as failure:
            return str(failure)
        except Exception as error:
            # NumPy's own advice (a.any()) would lead astray
            python = "truth value" in str(error) or "python bool" in str(error).lower()
            return f"it cannot be called: {one_line(error)}{f' {CONDITION}' if python else ''}"
        return ""


def _vector(returned: Any, n: int, setting: Setting) -> Array:
    array = np.asarray(returned)
    if array.shape != (n,):
        what = f"it returns shape {array.shape} for {n} samples ({setting})"
        remedy = "Return one value per sample, shape (batch,): reduce over every axis but the first."
        raise Failure(what, remedy)
    return array


def _argument(param: Param, value: Any, k: int) -> Any:
    return value if is_static(param, value) else np.asarray(np.ones(k) if value is None else value, float)


def _ends(param: Param, k: int) -> list[Any]:
    if isinstance(param, Choice):
        return list(param.choices)
    if isinstance(param, PerClass):
        ends = (param.low, param.high)
        return [None, [ends[i % 2] for i in range(k)], [ends[1 - i % 2] for i in range(k)]]
    return [param.low, param.high, *([None] if param.optional else [])]


def _drawn(param: Param, k: int, rng: np.random.Generator) -> Any:
    if isinstance(param, Choice):
        return param.choices[rng.integers(len(param.choices))]
    if param.optional and rng.random() < 0.2:
        return None
    if isinstance(param, PerClass):
        return [1.0, *(_between(param, rng) for _ in range(k - 1))]
    value = _between(param, rng)
    return min(max(round(value), param.low), param.high) if isinstance(param, Int) else value


def _between(param: Any, rng: np.random.Generator) -> float:
    if not param.log:
        return float(rng.uniform(param.low, param.high))
    inside = np.exp(rng.uniform(np.log(param.low), np.log(param.high)))
    return float(np.clip(inside, param.low, param.high))
