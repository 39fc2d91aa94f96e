"""`LossSpec`: a loss with everything needed to search over it.

The contract, for the author of a loss. Write a function for ONE trial:

    def my_loss(y_true, y_pred, *, gamma):   # (batch, t), (batch, outputs) -> (batch,)

`y_pred` are raw scores (the model's linear output), `y_true` are labels in the form that
`target` names, parameters are keyword-only scalars (a `PerClass` one is a `(k,)` vector), and
the return is one value a sample, not reduced. Use `from lossreg import ops`, never a backend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from operator import attrgetter
from typing import Any

from lossreg import ops
from lossreg.contract import activations
from lossreg.contract.params import Choice, Interval, Param, PerClass, is_real, malformed
from lossreg.contract.targets import NEEDS, STANDARD, TARGETS, TASKS, WEIGHTS, Constants
from lossreg.errors import InputError, UnknownError, did_you_mean, is_text, represented, text_of

LossFunction = Callable[..., Any]
WIDTHS = re.compile(r"k|k-1|\d+")
SMALL = 2e-3
FLAGS = ("probabilistic", "shift_invariant", "symmetric", "kinks", "stop_gradient", "truncated")
TEXTS = ("name", "summary", "reference", "formula", "target", "target_domain", "outputs", "level", "elicits", "twin_of")
RESERVED = (
    *NEEDS, *STANDARD, "y_true", "y_pred", "loss", "function", "activation", "link", "name", "reduction", "dtype",
    "from_logits",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """With the parameters `at` a loss is `factor` times the loss `equals` with its parameters `of`.

    Parameters not named are at their defaults. rtol says how near the limit is, where it is
    only approached.
    """

    at: Mapping[str, Any]
    equals: str
    of: Mapping[str, Any] = field(default_factory=dict)
    factor: float = 1.0
    rtol: float = 1e-5

    def __str__(self) -> str:
        given = ", ".join(f"{name} {reached(value)}" for name, value in self.at.items())
        return f"{given or 'always'}: {'' if self.factor == 1 else f'{self.factor:g} x '}{self.equals}"


TUPLES: dict[str, Any] = {
    "tasks": str, "aliases": str, "needs": str, "recommended": str, "params": Param, "limits": Limit,
}  # fmt: skip


def reached(value: Any) -> str:
    """How a limit speaks of a value: `= 1`; `-> 0`, `-> inf` or `-> 1` of a value that is only near it."""
    if not isinstance(value, (int, float)):
        return f"= {str(value).lower()}"
    if 0 < abs(value) <= SMALL or abs(value) >= 1 / SMALL:
        return "-> 0" if abs(value) < 1 else f"-> {'-' * (value < 0)}inf"
    near = 0 < abs(value - round(value)) < SMALL
    return f"-> {round(value)}" if near else f"= {value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec:
    """A loss with everything needed to search over it.

    name: snake_case, unique; aliases: other names, looked up without regard to case;
    function: a callable, or `"module:attribute"` imported on first use;
    tasks: among `lossreg.contract.targets.TASKS`; summary: one line; reference: paper or source;
    formula: plain text; target: a kind of `lossreg.contract.targets.TARGETS`, its domain narrowed by
    `target_domain`; outputs: the width of the raw scores ("1", "k", "k-1", "2", ...);
    activation: a name or an `Activation`; needs: extra keyword arguments (`lossreg.contract.targets.NEEDS`).

    Properties, which the conformance suite reads: `level` ("sample", or "batch" when a value
    depends on the other samples); `score_range`, raw scores between which the formula is
    exact; `probabilistic`, the activation yields probabilities worth scoring; `shift_invariant`;
    `symmetric` in its arguments; `kinks`; `stop_gradient`; `truncated`, zero gradient on some
    wrong samples; `minimum`, the value that it comes down to on a hard label, whatever its
    parameters (None: it depends on them or on the label); `elicits`, the functional that it estimates
    ("probability", "mode", "weighted mode", the mode where classes are equally frequent and no
    weight is given, "mean", "median", "quantile", "expectile", or a phrase);
    `limits`, settings at which it equals another loss.

    `recommended` names the tasks whose default search includes this loss; `twin_of` names a
    loss that it equals, at its defaults, on hard labels.
    """

    name: str
    function: LossFunction | str
    tasks: tuple[str, ...]
    summary: str
    reference: str
    formula: str = ""
    aliases: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    target: str = "onehot"
    target_domain: str = ""
    outputs: str = "k"
    activation: str | activations.Activation = "softmax"
    needs: tuple[str, ...] = ()
    level: str = "sample"
    score_range: tuple[float, float] | None = None
    probabilistic: bool = False
    shift_invariant: bool = False
    symmetric: bool = False
    kinks: bool = False
    stop_gradient: bool = False
    truncated: bool = False
    minimum: float | None = 0.0
    elicits: str = ""
    limits: tuple[Limit, ...] = ()
    recommended: tuple[str, ...] = ()
    twin_of: str = ""
    _by_name: Mapping[str, Param] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for problem in _malformed(self):
            raise InputError(problem, where=f"loss {self.name!r}")
        object.__setattr__(self, "_by_name", {param.name: param for param in self.params})
        for problem in _problems(self):
            raise InputError(problem, where=f"loss {self.name!r}")

    def param(self, name: str) -> Param:
        """The parameter of that name; raises `UnknownError` that lists what there is."""
        if name not in self._by_name:
            has = ", ".join(describe(p) for p in self.params) or "no parameters"
            what = f"unknown parameter {name!r}; {self.name} has {has}"
            raise UnknownError(what, hint=did_you_mean(name, self._by_name))
        return self._by_name[name]

    def resolve(self) -> LossFunction:
        """The function itself, imported if the spec names it as `"module:attribute"`.

        Raises `InputError` when there is no such function.
        """
        if not isinstance(self.function, str):
            return self.function
        module, _, attribute = self.function.partition(":")
        try:
            resolved: LossFunction = attrgetter(attribute)(import_module(module))
        except (ImportError, AttributeError) as error:
            what = f"its function {self.function} cannot be imported: {text_of(error)}"
            raise InputError(what, where=f"loss {self.name!r}") from error
        return resolved

    def bind(self, params: Mapping[str, Any], n_classes: int | None = None) -> dict[str, Any]:
        """All parameters with defaults filled in and checked; raises `InputError`."""
        for name in params:
            self.param(name)
        return {p.name: _checked(p, params.get(p.name, p.default), n_classes) for p in self.params}

    def width(self, n_classes: int) -> int:
        """Number of raw scores for a task of `n_classes` (0 for regression)."""
        if self.serves_binary_as_two(n_classes):
            return 1
        return n_classes - (self.outputs == "k-1") if "k" in self.outputs else int(self.outputs)

    def serves_binary_as_two(self, n_classes: int) -> bool:
        """Whether a one-logit task is handed to this multiclass loss as `[-z/2, z/2]`."""
        return n_classes == 2 and self.outputs == "k" and self.target == "onehot"

    @property
    def constants(self) -> tuple[str, ...]:
        """Every constant that the loss or its activation asks for."""
        return tuple(dict.fromkeys((*self.needs, *activations.get(self.activation).needs)))

    @property
    def row_constants(self) -> tuple[str, ...]:
        """The constants that `lossreg.get` takes: those asked for, and center and scale of a standardised target.

        Without those that a Keras loss is told by each batch: n_classes and sample_weight.
        """
        standard = STANDARD if TARGETS[self.target].standardised else ()
        return tuple(name for name in dict.fromkeys((*self.constants, *standard)) if name not in ("n_classes", WEIGHTS))

    def unweighted(self) -> LossFunction:
        """The function with every sample counting 1, unless it is called with `sample_weight` `(batch,)`."""
        function = self.resolve()

        def ones(y: Any, scores: Any, **arguments: Any) -> Any:
            return function(y, scores, **{WEIGHTS: ops.ones(ops.shape(scores)[:1], scores.dtype), **arguments})

        return ones if WEIGHTS in self.needs else function

    def values(self, y: Any, scores: Any, n_classes: int, arguments: Mapping[str, Any]) -> Any:
        """`(batch,)` losses of a task's labels `(batch, *space, t)` and raw scores `(batch, *space, outputs)`."""
        if self.serves_binary_as_two(n_classes):
            scores = ops.concatenate([-scores / 2, scores / 2], axis=-1)
        return self.unweighted()(y, scores, **arguments)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Raise `InputError`: Keras would wrap a spec as a bare function, and drop axes before the loss sees them."""
        hint = "Give lossreg.get(spec) to model.compile."
        raise InputError("a LossSpec is not a Keras loss", where=f"loss {self.name!r}", hint=hint)

    def encode(self, y: Any, constants: Constants) -> Any:
        """Labels `(n,)` as the `(n, t)` float32 array that the function receives."""
        return TARGETS[self.target].encode(y, constants)

    def check_labels(self, y: Any) -> None:
        """Raise `DataError` when labels lie outside what the loss is defined for."""
        if TARGETS[self.target].width == "1" and self.target not in ("binary", "signed"):
            TARGETS[self.target].check(y, self.target_domain)


def _checked(param: Param, value: Any, n_classes: int | None) -> Any:
    return param.check(value, n_classes) if isinstance(param, PerClass) else param.check(value)


def describe(param: Param) -> str:
    """`delta (0.01 to 10, log)`: a parameter and its search range, for messages."""
    if isinstance(param, Choice):
        return f"{param.name} ({', '.join(map(str, param.choices))})"
    shape = "one a class, " if isinstance(param, PerClass) else ""
    return f"{param.name} ({shape}{param.low:g} to {param.high:g}{', log' if param.log else ''})"


def _malformed(spec: LossSpec) -> list[str]:
    """Fields of the wrong type, above all a string where a tuple belongs."""
    found = [problem for name in TUPLES if (problem := _tuple_problem(name, getattr(spec, name), TUPLES[name]))]
    found += [
        f"{name} must be text, not {represented(getattr(spec, name))}" for name in TEXTS if not _has_text(spec, name)
    ]
    flags = [name for name in FLAGS if not isinstance(getattr(spec, name), bool)]
    found += [f"{name} must be True or False, not {represented(getattr(spec, name))}" for name in flags]
    activation: Any = spec.activation
    if not isinstance(activation, str | activations.Activation):
        found.append(f"activation must be a name or an Activation, not {represented(activation)}")
    if spec.minimum is not None and not is_real(spec.minimum):
        found.append(f"minimum must be a number or None, not {represented(spec.minimum)}")
    if spec.score_range is not None and not _is_range(spec.score_range):
        found.append(f"score_range must be two numbers, low and high, not {represented(spec.score_range)}")
    if found:
        return found
    found = [problem for limit in spec.limits if (problem := _malformed_limit(limit))]
    found += [problem for param in spec.params if (problem := malformed(param))]
    return found + [f"{represented(alias)} is no name" for alias in spec.aliases if not alias.isidentifier()]


def _has_text(spec: LossSpec, name: str) -> bool:
    return is_text(getattr(spec, name))


def _tuple_problem(name: str, value: Any, kind: Any) -> str:
    if not isinstance(value, tuple):
        return f"{name} must be a tuple"
    noun = {Param: "no parameter", Limit: "no Limit"}.get(kind, "no text")
    return next((f"{name}: {represented(item)} is {noun}" for item in value if not isinstance(item, kind)), "")


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(is_real, value)) and value[0] < value[1]


def _malformed_limit(limit: Limit) -> str:
    checks = [
        (isinstance(limit.at, Mapping) and isinstance(limit.of, Mapping), "at and of must map names to values"),
        (is_text(limit.equals), f"equals must name a loss, not {represented(limit.equals)}"),
        (is_real(limit.factor) and is_real(limit.rtol), "factor and rtol must be numbers"),
    ]
    return next((f"limits: {message}" for sound, message in checks if not sound), "")


def _problems(spec: LossSpec) -> list[str]:
    """What makes a spec unusable, in words; empty when it is sound."""
    checks = [
        (re.fullmatch(r"[a-z][a-z0-9_]*", spec.name) is None, "the name must be snake_case"),
        (not spec.tasks, "tasks is empty"),
        (not _is_function(spec.function), "function must be callable or 'module:attribute'"),
        (spec.target not in TARGETS, f"unknown target {spec.target!r}; known: {', '.join(TARGETS)}"),
        (WIDTHS.fullmatch(spec.outputs) is None, f"outputs must be a number, 'k' or 'k-1', not {spec.outputs!r}"),
        (len(spec._by_name) != len(spec.params), "two parameters have the same name"),
        (spec.level not in ("sample", "batch"), f"level must be 'sample' or 'batch', not {spec.level!r}"),
        (WEIGHTS in spec.needs and spec.level == "sample", f"{WEIGHTS} is for losses of level='batch': drop it"),
    ]
    found = [message for wrong, message in checks if wrong]
    tasks = dict.fromkeys((*spec.tasks, *spec.recommended))
    found += [f"unknown task {t!r}; known: {', '.join(TASKS)}" for t in tasks if t not in TASKS]
    found += [problem for need in spec.needs if (problem := _need_problem(need))]
    if spec.target_domain and not _is_interval(spec.target_domain):
        found.append(f"target_domain {spec.target_domain!r} is not an interval")
    if isinstance(spec.activation, str) and spec.activation not in activations.ACTIVATIONS:
        found.append(f"unknown activation {spec.activation!r}; known: {', '.join(activations.ACTIVATIONS)}")
    return found + [problem for param in spec.params if (problem := _range_problem(param))]


def _need_problem(need: str) -> str:
    return "" if need in NEEDS else f"unknown need {need!r}; known: {', '.join(NEEDS)}"


def _is_function(function: Any) -> bool:
    if isinstance(function, LossSpec):
        return False
    return callable(function) or re.fullmatch(r"[\w.]+:[\w.]+", str(function)) is not None


def _is_interval(text: str) -> bool:
    try:
        Interval.parse(text)
    except ValueError:
        return False
    return True


def _choice_problem(param: Choice) -> str:
    for choice in param.choices:
        # trainings share a graph by the choices that they have in common
        if not _is_hashable(choice):
            return f"{param.name}: the choice {choice!r} is not hashable; use text, a number or a tuple"
    return "" if param.default in param.choices else f"{param.name}: the default is none of the choices"


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _range_problem(param: Param) -> str:
    if not param.name.isidentifier() or param.name in RESERVED:
        return f"{param.name!r} cannot be the name of a parameter"
    if isinstance(param, Choice):
        return _choice_problem(param)
    if not _is_interval(param.domain):
        return f"{param.name}: the domain {param.domain!r} is not an interval"
    domain, span = Interval.parse(param.domain), f"{param.low:g} to {param.high:g}"
    checks = [
        (not param.low <= param.high, f"search range upside down ({span})"),
        (param.low not in domain or param.high not in domain, f"search range {span} leaves the domain {domain}"),
        (param.log and param.low <= 0, "a log range must be positive"),
        (param.default is None and not param.optional, "it has no default and is not optional"),
    ]
    defaults = param.default if isinstance(param, PerClass) else (param.default,)
    given = [value for value in defaults or () if value is not None]
    checks += [(value not in domain, f"the default {value:g} is outside the domain {domain}") for value in given]
    checks += [(not param.low <= value <= param.high, f"the default {value:g} is outside {span}") for value in given]
    if isinstance(param, PerClass):
        tau = f"default_tau {param.default_tau:g} is outside {param.low_tau:g} to {param.high_tau:g}"
        checks.append((not param.low_tau <= param.default_tau <= param.high_tau, tau))
    return next((f"{param.name}: {message}" for wrong, message in checks if wrong), "")
