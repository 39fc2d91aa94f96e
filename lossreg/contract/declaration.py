"""Decorators that declare a loss once, one for each kind: the function stays as it is, its spec is in `.spec`.

    @softmax_loss(params=(Float("eps", 0.1, 0.0, 0.3, domain="[0, 1)"),), reference="arXiv:1512.00567")
    def label_smoothing_ce(y_true, y_pred, *, eps):
        \"""Cross-entropy to labels mixed with the uniform distribution.

            -(1 - eps) log p_t - eps/K sum log p
        \"""

The function's name is the name of the loss, the first paragraph of its docstring the summary. The second one is
the formula if it is indented, or if nothing follows it and it does not end with a full stop. `name=`, `summary=`
and `formula=` say otherwise; all other keywords are those of `LossSpec` and `Claims`, and stand before what the
kind says of its losses.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from lossreg.contract import former_names
from lossreg.contract.claims import Claims
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import REGRESSION
from lossreg.errors import InputError, represented, shortened, text_of

F = TypeVar("F", bound=Callable[..., Any])
INDENT = "    "
LATE = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)


def loss(*bare: Any, **facts: Any) -> Callable[[F], F]:
    """Declare a loss of no particular kind; `facts` are the keywords of `LossSpec`.

    The decorated function is called as before; its attribute `spec` is the `LossSpec`. Raises `InputError`.
    """
    return _declaring("loss", bare, {}, facts)


def softmax_loss(*bare: Any, **facts: Any) -> Callable[[F], F]:
    """Declare a loss of k raw scores for one-hot labels; predictions are softmax(raw scores)."""
    usual = {"tasks": ("binary", "multiclass"), "probabilistic": True, "shift_invariant": True}
    return _declaring("softmax_loss", bare, usual, facts)


def sigmoid_loss(*bare: Any, **facts: Any) -> Callable[[F], F]:
    """Declare a loss of one raw score for labels 0 and 1; predictions are sigmoid(raw score)."""
    usual = {"tasks": ("binary", "segmentation"), "target": "binary", "outputs": "1", "activation": "sigmoid"}
    return _declaring("sigmoid_loss", bare, {**usual, "probabilistic": True}, facts)


def margin_loss(*bare: Any, **facts: Any) -> Callable[[F], F]:
    """Declare a loss of one raw score for labels -1 and 1; the sign of the raw score is the prediction.

    It is symmetric, as a loss of their product is: where labels and raw scores cannot be swapped, give symmetric=False.
    """
    usual = {"tasks": ("binary",), "target": "signed", "outputs": "1", "activation": "identity", "symmetric": True}
    return _declaring("margin_loss", bare, {**usual, "elicits": "mode"}, facts)


def multilabel_loss(*bare: Any, **facts: Any) -> Callable[[F], F]:
    """Declare a loss of k raw scores for k labels that are each 0 or 1; predictions are sigmoid(raw scores)."""
    usual = {"tasks": ("multilabel",), "target": "multihot", "activation": "sigmoid", "probabilistic": True}
    return _declaring("multilabel_loss", bare, usual, facts)


def regression_loss(*bare: Any, **facts: Any) -> Callable[[F], F]:
    """Declare a loss of one prediction for a standardised target: both centred, in units of its robust scale.

    It is symmetric, as a loss of the size of their difference is: where labels and predictions cannot be swapped,
    as where errors above cost more than errors below, give symmetric=False.
    """
    usual = {"tasks": REGRESSION, "target": "real", "outputs": "1", "activation": "identity", "symmetric": True}
    return _declaring("regression_loss", bare, usual, facts)


def _declaring(kind: str, bare: Sequence[Any], usual: Mapping[str, Any], facts: Mapping[str, Any]) -> Callable[[F], F]:
    """Return the decorator `kind`, with what it says of its losses unless the author says otherwise."""
    if bare:
        what = "it is given a function" if callable(bare[0]) else f"it takes no {represented(bare[0])} without a name"
        raise InputError(what, where=f"@{kind}", hint=f"Write @{kind}(tasks=..., reference=...) above the function.")
    if "function" in facts:
        what = "function is the decorated one, and no other can be given"
        raise InputError(what, where=f"@{kind}", hint="Write LossSpec(function=...) instead.")
    given = former_names.by_present_names(facts, where=f"@{kind}", renamed=former_names.FACTS)
    if given.get("reference") == "":
        hint = 'Name the paper or the source: reference="mine" is enough.'
        raise InputError("the reference is empty", where=f"@{kind}", hint=hint)
    claims = given.get("claims")
    stated = claims.stated if isinstance(claims, Claims) else frozenset()
    unsaid = {name: value for name, value in usual.items() if name not in stated}

    def declare(function: F) -> F:
        if not isinstance(function, FunctionType):
            raise InputError(f"{represented(function)} is no function", hint="Write LossSpec(function=...) instead.")
        if isinstance(below := vars(function).get("spec"), LossSpec):
            what = "it is declared by a decorator below this one too"
            raise InputError(what, where=f"loss {below.name!r}", hint="Keep one of them.")
        documented = {"name": function.__name__, "function": function, **_documented(function)}
        spec = LossSpec(**{**documented, **unsaid, **given})
        _require_callable(function, spec)
        vars(function)["spec"] = spec
        return function

    return declare


def _require_callable(function: FunctionType, spec: LossSpec) -> None:
    """Raise `InputError` for a function that cannot be called as a loss with the declared parameters is."""
    where = f"loss {spec.name!r}"
    if any(is_late(function) for is_late in LATE):
        raise InputError("its function must return the values: neither `async def` nor `yield`", where=where)
    named = dict.fromkeys((*(param.name for param in spec.params), *spec.needs))
    signature = inspect.signature(function)
    try:
        signature.bind("y_true", "y_pred", **named)
    except TypeError as error:
        called = ", ".join(("y_true", "y_pred", *(f"{name}=..." for name in named)))
        what = f"its function cannot be called as {function.__name__}({called}): {text_of(error)}"
        raise InputError(what, where=where, hint=f"It takes {shortened(str(signature), 80)}.") from error


def spec_of(declared: Any) -> LossSpec | None:
    """Return the spec of a decorated function, or a spec as it is; None for anything else.

    Raises `InputError` for a wrapper of a decorated function, to which decorators copy its attributes.
    """
    if isinstance(declared, LossSpec):
        return declared
    can_have_one = isinstance(declared, FunctionType) or hasattr(declared, "__wrapped__")
    spec = getattr(declared, "__dict__", {}).get("spec") if can_have_one else None
    if not isinstance(spec, LossSpec):
        return None
    if spec.function is not declared:
        what = "a decorator stands above the one that declares it, and would not be called"
        hint = "Put the decorator that declares the loss above all others."
        raise InputError(what, where=f"loss {spec.name!r}", hint=hint)
    return spec


def declared_in(module: ModuleType) -> Iterator[LossSpec]:
    """Yield the specs of the decorated functions that a module defines, in their order there."""
    for value in vars(module).values():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__ and (spec := spec_of(value)):
            yield spec


def _documented(function: Callable[..., Any]) -> dict[str, str]:
    """Return the summary and the formula in a docstring."""
    if sys.flags.optimize > 1:  # `python -OO` drops docstrings
        return {"summary": function.__name__.replace("_", " ")}
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    second, _, more = rest.partition("\n\n")
    indented = all(line.startswith(INDENT) for line in second.splitlines())
    # where nothing follows, the indentation of the formula is taken for that of the docstring
    formula = second if indented or not (more or second.endswith(".")) else ""
    texts = {"summary": " ".join(summary.split()), "formula": " ".join(formula.split())}
    return {name: text for name, text in texts.items() if text}
