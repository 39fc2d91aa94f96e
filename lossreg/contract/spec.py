"""`LossSpec`: a loss with everything needed to search over it.

The contract, for the author of a loss. Write a function of one batch of one trial:

    def my_loss(y_true, y_pred, *, gamma):   # (batch, t), (batch, outputs) -> (batch,)

`y_pred` are raw scores (the model's linear output), `y_true` are labels in the form that
`target` names, parameters are keyword-only scalars (a `PerClass` one is a `(k,)` vector), and
the return is one value per sample, not reduced. Use `from lossreg import ops`, never a backend.
A decorator of `lossreg.contract.declaration` makes the spec of such a function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from importlib import import_module
from operator import attrgetter
from typing import Any

from lossreg import ops
from lossreg.contract import activations, former_names
from lossreg.contract.claims import CLAIMS, Claims
from lossreg.contract.field_types import FLAG, TEXT, FieldTypes, mismatches, tuple_problem
from lossreg.contract.params import Choice, Param, PerClass, is_interval, problem
from lossreg.contract.targets import NEEDS, STANDARD, TARGETS, TASKS, WEIGHTS, Constants
from lossreg.errors import InputError, UnknownError, did_you_mean, represented, text_of

LossFunction = Callable[..., Any]
WIDTHS = re.compile(r"k|k-1|\d+")
RESERVED = (
    *NEEDS, *STANDARD, "y_true", "y_pred", "loss", "function", "activation", "link", "name", "reduction", "dtype",
    "from_logits",
)  # fmt: skip
NO_CLAIMS = Claims()


@dataclass(frozen=True, slots=True, init=False)
class LossSpec:
    """A loss with everything needed to search over it.

    name: snake_case, unique; aliases: other names, looked up without regard to case;
    function: a callable, or `"module:attribute"` imported on first use;
    tasks: among `lossreg.contract.targets.TASKS`; summary: one line; reference: paper or source;
    formula: plain text; target: a kind of `lossreg.contract.targets.TARGETS`, its domain narrowed by
    `target_domain`; outputs: the width of the raw scores ("1", "k", "k-1", "2", ...);
    activation: a name or an `Activation`; needs: extra keyword arguments (`lossreg.contract.targets.NEEDS`);
    level: "sample", or "batch" when a value depends on the other samples;
    probabilistic: the activation yields probabilities worth scoring;
    recommended: the tasks whose default search includes this loss; same_as: the name of a loss that it
    equals, at its defaults, on hard labels; claims: properties that only checks and pages read.

    Every field is given by its name; those of `Claims` may be given one by one, as in `minimum=None`.
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
    probabilistic: bool = False
    recommended: tuple[str, ...] = ()
    same_as: str = ""
    claims: Claims = NO_CLAIMS

    def __init__(self, **facts: Any) -> None:
        """Take the facts by their names; raises `InputError`."""
        where = f"loss {facts.get('name')!r}"
        given = _by_field(facts, where)
        for field in fields(self):
            if field.name not in given and field.default is MISSING:
                raise InputError(f"{field.name} is missing", where=where)
            object.__setattr__(self, field.name, given.get(field.name, field.default))
        for wrong in _malformed(self) or _problems(self):
            raise InputError(wrong, where=where)

    def param(self, name: str) -> Param:
        """The parameter of that name; raises `UnknownError` that lists what there is."""
        by_name = {param.name: param for param in self.params}
        if name not in by_name:
            has = ", ".join(map(describe, self.params)) or "no parameters"
            what = f"unknown parameter {name!r}; {self.name} has {has}"
            raise UnknownError(what, hint=did_you_mean(name, by_name))
        return by_name[name]

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
        """Return whether a task of one logit is handed to this multiclass loss as `[-z/2, z/2]`."""
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

        def ones(y: Any, raw_scores: Any, **arguments: Any) -> Any:
            return function(
                y, raw_scores, **{WEIGHTS: ops.ones(ops.shape(raw_scores)[:1], raw_scores.dtype), **arguments}
            )

        return ones if WEIGHTS in self.needs else function

    def values(self, y: Any, raw_scores: Any, n_classes: int, arguments: Mapping[str, Any]) -> Any:
        """Return the losses `(batch,)` of a task.

        y: labels `(batch, *spatial_shape, t)`; raw_scores: `(batch, *spatial_shape, outputs)`.
        """
        if self.serves_binary_as_two(n_classes):
            raw_scores = ops.concatenate([-raw_scores / 2, raw_scores / 2], axis=-1)
        return self.unweighted()(y, raw_scores, **arguments)

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
    shape = "one per class, " if isinstance(param, PerClass) else ""
    return f"{param.name} ({shape}{param.low:g} to {param.high:g}{', log' if param.log else ''})"


def _by_field(facts: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the facts by the fields that hold them: claims in one `Claims`, renamed ones under their new names."""
    given = former_names.by_present_names(facts, where=where, renamed=former_names.FACTS)
    claimed = {name: given.pop(name) for name in CLAIMS if name in given}
    if claimed and isinstance(given.setdefault("claims", NO_CLAIMS), Claims):
        given["claims"] = replace(given["claims"], **claimed)
    known = [field.name for field in fields(LossSpec)]
    for name in given:
        if name not in known:
            raise InputError(f"unknown keyword {name!r}", where=where, hint=did_you_mean(name, [*known, *CLAIMS]))
    return given


def _malformed(spec: LossSpec) -> list[str]:
    """Return the fields of the wrong type, above all a string where a tuple belongs."""
    wrong_tuples = [tuple_problem(name, getattr(spec, name), *kind) for name, kind in TUPLES.items()]
    wrong_fields = [*filter(None, wrong_tuples), *mismatches(spec, FIELD_TYPES)]
    if wrong_fields:
        return wrong_fields
    problems = [*spec.claims.problems(), *filter(None, map(problem, spec.params))]
    return problems + [f"{represented(alias)} is no name" for alias in spec.aliases if not alias.isidentifier()]


def _is_function(value: Any) -> bool:
    if isinstance(value, LossSpec):
        return False
    return callable(value) or re.fullmatch(r"[\w.]+:[\w.]+", str(value)) is not None


FIELD_TYPES: FieldTypes = {
    **dict.fromkeys(
        ("name", "summary", "reference", "formula", "target", "target_domain", "outputs", "level", "same_as"), TEXT
    ),
    "probabilistic": FLAG,
    "function": (_is_function, "callable or 'module:attribute'"),
    "activation": (lambda value: isinstance(value, str | activations.Activation), "a name or an Activation"),
    "claims": (lambda value: isinstance(value, Claims), "Claims(...)"),
}
TUPLES = {**dict.fromkeys(("tasks", "aliases", "needs", "recommended"), (str, "text")), "params": (Param, "parameter")}


def _problems(spec: LossSpec) -> list[str]:
    """Return what makes a spec unusable, in words; empty when it is sound."""
    names = [param.name for param in spec.params]
    tasks = dict.fromkeys((*spec.tasks, *spec.recommended))
    checks = [
        (re.fullmatch(r"[a-z][a-z0-9_]*", spec.name) is None, "the name must be snake_case"),
        (not spec.tasks, "tasks is empty"),
        (spec.target not in TARGETS, f"unknown target {spec.target!r}; known: {', '.join(TARGETS)}"),
        (WIDTHS.fullmatch(spec.outputs) is None, f"outputs must be a number, 'k' or 'k-1', not {spec.outputs!r}"),
        (len({*names}) != len(names), "two parameters have the same name"),
        (spec.level not in ("sample", "batch"), f"level must be 'sample' or 'batch', not {spec.level!r}"),
        (WEIGHTS in spec.needs and spec.level == "sample", f"{WEIGHTS} is for losses of level='batch': drop it"),
        *((task not in TASKS, f"unknown task {task!r}; known: {', '.join(TASKS)}") for task in tasks),
        *((need not in NEEDS, f"unknown need {need!r}; known: {', '.join(NEEDS)}") for need in spec.needs),
        (bool(spec.target_domain) and not is_interval(spec.target_domain),
         f"target_domain {spec.target_domain!r} is not an interval"),
        (isinstance(spec.activation, str) and spec.activation not in activations.ACTIVATIONS,
         f"unknown activation {spec.activation!r}; known: {', '.join(activations.ACTIVATIONS)}"),
        *((not name.isidentifier() or name in RESERVED, f"{name!r} cannot be the name of a parameter")
          for name in names),
    ]  # fmt: skip
    return [message for wrong, message in checks if wrong]
