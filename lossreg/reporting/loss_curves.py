"""A loss and its gradient as curves, along a line through the raw scores on which one number says how right they are.

The line depends on the target: the margin of the true class, the residual of a real target, the log ratio of a rate to
a count, the predicted position among ordered classes. Keras and its backend are imported with the first curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossreg.contract import activations
from lossreg.contract.params import Choice, Float, Int, Interval, Param, PerClass, is_plain
from lossreg.contract.spec import LossSpec
from lossreg.runtime import backend

# even, so that no point is at a non-differentiable 0; a batch-level loss is computed point by point
POINTS, POINTS_OF_A_BATCH = 600, 60
MOST_VALUES, MOST_PANELS = 6, 4
COUNTS = (900.0, 100.0, 500.0, 300.0)
BY_CLASS = ("class_counts", "class_priors")


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sample whose raw scores are `base + x direction`.

    y `(*spatial_shape, t)`; base and direction `(*spatial_shape, outputs)`. good: an x at which the prediction is about
    right, used for the other samples of a batch.
    """

    label: str
    y: Any
    base: Any
    direction: Any
    good: float = 2.0

    @property
    def rank(self) -> tuple[float, str]:
        """Return the place in a legend: numbers in order."""
        try:
            return float(self.label), ""
        except ValueError:
            return 0.0, self.label


@dataclass(frozen=True, slots=True)
class View:
    """The view of losses of one kind.

    axis, symbol: the swept number, in words and as a letter; low, high: its range; sweeps: the samples, parameters are
    varied on the first; by: the difference between the samples; reference: name, values and gradient of another loss;
    from_minimum: whether the minimum of each curve is subtracted; note: the meaning of the gradient's sign.
    """

    axis: str
    symbol: str
    sweeps: tuple[Sweep, ...]
    by: str = ""
    low: float = -6.0
    high: float = 6.0
    n_classes: int = 0
    reference: tuple[str, Callable[[Any], Any], Callable[[Any], Any]] | None = None
    from_minimum: bool = False
    note: str = "Where the gradient is below 0, descent raises the margin."


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: x, loss and gradient `(n,)` float64. default: whether the parameters are the published ones."""

    label: str
    x: Any
    loss: Any
    gradient: Any
    default: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """The curves of one parameter, or of one loss for several samples."""

    title: str
    curves: tuple[Curve, ...]


def panels(spec: LossSpec, seen: View | None = None) -> list[Panel]:
    """Return 1 to `MOST_PANELS` panels: samples, if they differ, then one panel per parameter."""
    seen = seen or view(spec)
    samples = _samples(spec, seen)
    first = [samples] if _differ(samples) else []
    varied = [_varied(spec, seen, param, bool(first)) for param in spec.params[: MOST_PANELS - len(first)]]
    return first + varied or [Panel("", (replace(samples.curves[0], label=spec.name, default=True),))]


def _samples(spec: LossSpec, seen: View) -> Panel:
    ordered = sorted(seen.sweeps, key=lambda sweep: sweep.rank)
    return Panel(seen.by, tuple(trace(spec, seen, sweep, {}, sweep.label) for sweep in ordered))


def _differ(samples: Panel) -> bool:
    """Tell whether the samples of a view have different curves."""
    first, *others = (curve.loss for curve in samples.curves)
    return any(not np.allclose(first, other, rtol=1e-3, atol=1e-4, equal_nan=True) for other in others)


def _varied(spec: LossSpec, seen: View, param: Param, named: bool) -> Panel:
    """Return the curves of a parameter, on the first sample that shows half its effect if samples are `named`."""
    candidates = [
        (sweep, tuple(_of(spec, seen, sweep, param, value) for value in values(param)))
        for sweep in (seen.sweeps if named and spec.level == "sample" else seen.sweeps[:1])
    ]
    enough = 0.5 * max(_effect(drawn) for _, drawn in candidates)
    sweep, drawn = next(one for one in candidates if _effect(one[1]) >= enough)
    if isinstance(param, PerClass):
        return Panel(f"{param.name} of the true class", drawn)
    sample = f" ({seen.by} {sweep.label.partition(' (')[0]})" if named else ""
    return Panel(f"{param.name}{sample}", drawn)


def _effect(drawn: Sequence[Curve]) -> float:
    """Return the difference between the gradients of curves, relative to the largest."""
    gradients = np.stack([curve.gradient for curve in drawn])
    return float(np.nanmax(np.ptp(gradients, axis=0)) / max(np.nanmax(np.abs(gradients)), 1e-9))


def _of(spec: LossSpec, seen: View, sweep: Sweep, param: Param, value: Any) -> Curve:
    default = value == _default(param)
    mark = " (default)" if default else ""
    given = {param.name: _class_weights(value, seen, sweep) if isinstance(param, PerClass) else value}
    return trace(spec, seen, sweep, given, f"{_shown(value)}{mark}", default=default)


def _class_weights(value: float, seen: View, sweep: Sweep) -> tuple[float, ...]:
    """Return `value` for the class of the sample, 1 for the others."""
    y = np.asarray(sweep.y)
    true = int(np.argmax(y)) if y.size == seen.n_classes else int(y.flat[0] > 0)
    return tuple(value if k == true else 1.0 for k in range(seen.n_classes))


def _default(param: Param) -> Any:
    return 1.0 if isinstance(param, PerClass) else param.default


def _shown(value: Any) -> str:
    return "absent" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def values(param: Param) -> list[Any]:
    """Return the values that are drawn: the default and some across the search range, in order."""
    if isinstance(param, Choice):
        others = [choice for choice in param.choices if choice != param.default]
        return [param.default, *others[: MOST_VALUES - 1]]
    if isinstance(param, PerClass):
        return [0.25, 0.5, 1.0, 2.0, 4.0]
    default = param.default
    grid = [value for value in _grid(param) if default is None or not _near(param, value, default)]
    known = sorted({*grid, *([] if default is None else [default])})
    absent = [None] if isinstance(param, Float) and param.optional else []
    return [*absent, *known]


def _grid(param: Float | Int) -> list[Any]:
    """Return four values across the search range: its ends, and two rounded ones between."""
    if param.low == param.high:
        return _beyond(param)
    low, high = (math.log(param.low), math.log(param.high)) if param.log else (param.low, param.high)
    spaced = [low + (high - low) * share for share in (1 / 3, 2 / 3)]
    inner = [float(f"{math.exp(one):.2g}" if param.log else f"{one:.3g}") for one in spaced]
    grid = [param.low, *inner, param.high]
    return [round(one) for one in grid] if isinstance(param, Int) else [float(one) for one in grid]


def _beyond(param: Float | Int) -> list[Any]:
    """Return values of a parameter that is not searched: at 10 and 90% of a bounded domain."""
    domain = Interval.parse(param.domain)
    whole = isinstance(param, Int) or not math.isfinite(domain.high - domain.low)
    return [] if whole else [domain.low + share * (domain.high - domain.low) for share in (0.1, 0.9)]


def _near(param: Float | Int, value: float, default: float) -> bool:
    """Tell whether two values are within an eighth of the search range, on its scale."""
    if isinstance(param, Int) or param.low == param.high:
        return value == default
    if param.log:
        return default > 0 and abs(math.log(value / default)) < math.log(param.high / param.low) / 8
    return abs(value - default) < (param.high - param.low) / 8


# ------------------------------------------------------------------------------- computing


def trace(
    spec: LossSpec, seen: View, sweep: Sweep, params: Mapping[str, Any], label: str = "", *, default: bool = False
) -> Curve:
    """Return loss and gradient of `spec` along a sweep, by automatic differentiation in float32."""
    batch = spec.level == "batch"
    grid = np.linspace(seen.low, seen.high, POINTS_OF_A_BATCH if batch else POINTS)
    arguments = _arguments(spec, seen, params)

    def losses(x: Any) -> Any:
        samples = _points(sweep, x)
        return _in_batches(spec, seen, samples, arguments) if batch else spec.resolve()(*samples, **arguments)

    loss, gradient = backend.value_and_gradient(losses, grid.astype(np.float32))
    height = np.asarray(loss, np.float64)
    minimum = np.nanmin(height) if seen.from_minimum else 0.0
    return Curve(
        label, grid, height - minimum, np.zeros(len(grid)) if gradient is None else np.asarray(gradient, float), default
    )


def _points(sweep: Sweep, x: Any) -> tuple[Any, Any]:
    """Return labels `(n, *spatial_shape, t)` and raw scores `(n, *spatial_shape, outputs)` at `x` `(n,)`."""
    from keras import ops

    y, base, direction = (ops.convert_to_tensor(one, "float32") for one in (sweep.y, sweep.base, sweep.direction))
    along = ops.reshape(x, (-1, *[1] * len(base.shape)))
    return ops.repeat(y[None], x.shape[0], axis=0), base + along * direction


def _in_batches(spec: LossSpec, seen: View, samples: tuple[Any, Any], arguments: Mapping[str, Any]) -> Any:
    """Return the values `(n,)` of a batch-level loss: each sample in a batch of samples that are right."""
    from keras import ops

    good = [_points(sweep, ops.convert_to_tensor([sweep.good], "float32")) for sweep in seen.sweeps]
    function, means = spec.unweighted(), []
    for at in range(samples[0].shape[0]):
        y, z = (ops.concatenate([*(one[i] for one in good), samples[i][at : at + 1]]) for i in (0, 1))
        means.append(ops.mean(function(y, z, **arguments)))
    return ops.stack(means)


def _arguments(spec: LossSpec, seen: View, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return all keyword arguments of the loss: parameters, and constants of an invented training set."""
    bound = spec.bind(params, seen.n_classes)
    arguments = {param.name: _argument(param, bound[param.name], seen.n_classes) for param in spec.params}
    constants = _constants(spec, seen.n_classes)
    return {**arguments, **{name: constants[name] for name in spec.needs if name in constants}}


def _argument(param: Param, value: Any, n_classes: int) -> Any:
    from keras import ops

    if is_plain(param, value):
        return value
    return ops.convert_to_tensor((1.0,) * n_classes if value is None else value, "float32")


def _constants(spec: LossSpec, n_classes: int) -> dict[str, Any]:
    counts = np.asarray((COUNTS * n_classes)[: max(n_classes, 1)])
    exponential = activations.get(spec.activation).name == "exp"
    numbers = {
        "class_counts": counts,
        "class_priors": counts / counts.sum(),
        "target_mean": 1.0 if exponential else 0.0,
        "target_scale": 1.0,
        "progress": 1.0,
    }
    from keras import ops

    return {"n_classes": n_classes, **{name: ops.convert_to_tensor(v, "float32") for name, v in numbers.items()}}


# ----------------------------------------------------------------------------------- views


def view(spec: LossSpec) -> View:
    """Return the view of losses with this target and these outputs."""
    makers: dict[tuple[str, str], Callable[[LossSpec], View]] = {
        ("onehot", "k"): _two_classes,
        ("binary", "1"): _one_logit,
        ("signed", "1"): _signed,
        ("multihot", "k"): _labels,
        ("ordinal", "k"): _ordered,
        ("ordinal", "k-1"): _ordered,
        ("dense", "1"): _mask,
        ("real", "1"): _residual,
        ("real", "2"): _location_and_scale,
        ("raw", "1"): _raw,
        ("positive", "1"): _rate,
        ("count", "1"): _rate,
    }
    if spec.target == "real" and activations.get(spec.activation).name == "quantiles":
        return _quantiles(spec)
    return makers.get((spec.target, spec.outputs), _one_raw_score)(spec)


def _cross_entropy(x: Any) -> Any:
    return np.logaddexp(0.0, -x)


def _cross_entropy_gradient(x: Any) -> Any:
    return -1.0 / (1.0 + np.exp(x))


CROSS_ENTROPY = ("cross-entropy", _cross_entropy, _cross_entropy_gradient)
SQUARED_ERROR = ("squared error", np.square, lambda x: 2.0 * x)


def _by_class(spec: LossSpec) -> tuple[str, str]:
    shares = (" (10% of the rows)", " (90% of the rows)") if set(BY_CLASS) & set(spec.needs) else ("", "")
    return f"1{shares[0]}", f"0{shares[1]}"


def _two_classes(spec: LossSpec) -> View:
    one, zero = _by_class(spec)
    sweeps = (
        Sweep(one, [0.0, 1.0], [0.0, 0.0], [-0.5, 0.5]),
        Sweep(zero, [1.0, 0.0], [0.0, 0.0], [0.5, -0.5]),
    )
    axis = "margin m of the true class (raw scores m/2, -m/2)"
    return View(axis, "m", sweeps, "true class", n_classes=2, reference=CROSS_ENTROPY)


def _one_logit(spec: LossSpec) -> View:
    one, zero = _by_class(spec)
    sweeps = (Sweep(one, [1.0], [0.0], [1.0]), Sweep(zero, [0.0], [0.0], [-1.0]))
    axis = "margin s (the logit, for class 0 negated)"
    return View(axis, "s", sweeps, "true class", n_classes=2, reference=CROSS_ENTROPY)


def _signed(spec: LossSpec) -> View:
    sweeps = (Sweep("1", [1.0], [0.0], [1.0]), Sweep("-1", [-1.0], [0.0], [-1.0]))
    return View("margin s = y z, y being -1 or 1", "s", sweeps, "label", n_classes=2, reference=CROSS_ENTROPY)


def _labels(spec: LossSpec) -> View:
    first, others = [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    sweeps = (
        Sweep("present", [1.0, 1.0, 0.0], others, first),
        Sweep("absent", [0.0, 1.0, 0.0], others, [-1.0, 0.0, 0.0]),
    )
    reference = (
        "mean cross-entropy",
        lambda x: (_cross_entropy(x) + 2.0 * math.log(2.0)) / 3.0,
        lambda x: _cross_entropy_gradient(x) / 3.0,
    )
    axis = "margin s of one label, the two others at 0"
    return View(axis, "s", sweeps, "the label is", n_classes=3, reference=reference)


def _ordered(spec: LossSpec, k: int = 4) -> View:
    """Return raw scores that put the prediction at a position u among the classes 0 to k - 1.

    k outputs: softmax of -(j - u)^2, which is 2 j u - j^2 up to a common shift; k - 1 outputs: 3 (u - j - 1/2), logits
    of being above class j.
    """
    steps = np.arange(k if spec.outputs == "k" else k - 1, dtype=float)
    base, direction = (-(steps**2), 2.0 * steps) if spec.outputs == "k" else (-3.0 * (steps + 0.5), 3.0 + 0.0 * steps)
    order = (1, 0, *range(2, k))
    sweeps = tuple(Sweep(str(true), [float(true)], base, direction, good=float(true)) for true in order)
    axis = f"predicted position u among the classes 0 to {k - 1}"
    note = "Where the gradient is below 0, descent moves the prediction to higher classes."
    return View(axis, "u", sweeps, "true class", low=-1.5, high=k + 0.5, n_classes=k, note=note)


def _mask(spec: LossSpec) -> View:
    def object_of(side: int) -> Any:
        y = np.zeros((8, 8, 1))
        y[:side, :side] = 1.0
        return y

    masks = [(f"{side * side} of 64 pixels", object_of(side)) for side in (4, 1, 7)]
    sweeps = tuple(Sweep(label, y, 0.0 * y, 2.0 * y - 1.0) for label, y in masks)
    axis = "margin s of every pixel of an 8 x 8 mask"
    return View(axis, "s", sweeps, "object", n_classes=2, reference=CROSS_ENTROPY)


TOWARDS_LARGER = "Where the gradient is below 0, descent raises the prediction."


def _residual(spec: LossSpec) -> View:
    sweeps = (Sweep("", [0.0], [0.0], [1.0], good=0.5),)
    return View("residual e = prediction - target", "e", sweeps, reference=SQUARED_ERROR, note=TOWARDS_LARGER)


def _location_and_scale(spec: LossSpec) -> View:
    scales = (1.0, -1.0, 0.0, 2.0)
    sweeps = tuple(Sweep(f"{scale:g}", [0.0], [0.0, scale], [1.0, 0.0], good=0.5) for scale in scales)
    axis = "residual e of the first output"
    return View(axis, "e", sweeps, "second output", note=TOWARDS_LARGER)


def _quantiles(spec: LossSpec) -> View:
    """Return the view of quantiles one apart: log(e^1 - 1) is the raw score of a step of 1."""
    width, point = int(spec.outputs), activations.get(spec.activation).point
    base = [-float(point), *[math.log(math.expm1(1.0))] * (width - 1)]
    sweeps = (Sweep("", [0.0], base, [1.0, *[0.0] * (width - 1)], good=0.5),)
    axis = "residual e of the middle quantile (steps of 1)"
    return View(axis, "e", sweeps, note=TOWARDS_LARGER)


def _rate(spec: LossSpec) -> View:
    if activations.get(spec.activation).name != "exp":
        return _one_raw_score(spec)
    sweeps = tuple(Sweep(f"{y:g}", [y], [math.log(y)], [1.0], good=0.2) for y in (2.0, 1.0, 5.0))
    axis = "log(prediction / target)"
    return View(axis, "log prediction", sweeps, "target", -2.0, 2.0, from_minimum=True, note=TOWARDS_LARGER)


def _raw(spec: LossSpec) -> View:
    targets, affine = (2.0, 1.0, 4.0), activations.get(spec.activation).name == "affine"
    sweeps = tuple(Sweep(f"{y:g}", [y], [y if affine else 0.0], [1.0], good=0.2) for y in targets)
    name = activations.get(spec.activation).name
    axis = "residual e = prediction - target" if affine else f"raw score z (prediction = {name}(z))"
    return View(axis, "e" if affine else "z", sweeps, "target", note=TOWARDS_LARGER)


def _one_raw_score(spec: LossSpec) -> View:
    """Return the view for all other outputs: the raw score of the point prediction, the others 0."""
    k = 0 if spec.target in ("real", "raw", "positive", "count") else 3
    width, point = spec.width(k), activations.get(spec.activation).point
    direction = np.eye(width)[min(point, width - 1)]
    wide = spec.target in ("onehot", "multihot")
    y = np.eye(k)[min(point, k - 1)] if wide else np.asarray([0.0 if spec.target in ("real", "raw") else 1.0])
    sweeps = (Sweep("", y, np.zeros(width), direction, good=1.0),)
    axis = f"raw score z of output {point}, the others 0"
    return View(axis, "z", sweeps, n_classes=k, note="Where the gradient is below 0, descent raises the raw score.")
