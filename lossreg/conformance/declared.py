"""The declarations of a spec: metadata, names, domains of parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from lossreg.conformance.base import Failure, does_not_apply
from lossreg.conformance.case import Case, shown
from lossreg.contract.params import Choice, Float, Int, Interval, PerClass
from lossreg.contract.targets import REGRESSION
from lossreg.errors import InputError, count_of, one_line
from lossreg.registry import registry
from lossreg.registry.user_loss import VARIADIC, UserLoss

# a limit less near than that is near many losses
LOOSEST = 0.05
# at these values formulas divide by zero
SPECIAL = (0.0, 1.0, -1.0, 2.0)
TEXTS = ("summary", "reference", "formula")


def metadata(case: Case) -> str:
    """Texts are there, the signature fits, what is declared does not contradict itself."""
    problems = [*_texts(case), *_signature(case), *_contradictions(case)]
    if problems:
        raise Failure("; ".join(problems), "Complete or correct the LossSpec.")
    count = len(case.spec.params)
    return f"complete: {count_of(count, 'parameter')}, tasks {', '.join(case.spec.tasks)}"


def _texts(case: Case) -> Iterator[str]:
    spec = case.spec
    for name in TEXTS:
        text = getattr(spec, name)
        if not text.strip() and not (name == "formula" and isinstance(spec.function, UserLoss)):
            yield f"{name} is empty"
        if "\n" in text.strip():
            yield f"{name} has more than one line"


def _signature(case: Case) -> Iterator[str]:
    function = case.spec.resolve()
    if isinstance(function, UserLoss):
        return
    taken = inspect.signature(function).parameters
    given = [*(p.name for p in case.spec.params), *case.spec.needs]
    if not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        yield from (f"the function does not take {name!r}" for name in given if name not in taken)
    for name, parameter in list(taken.items())[2:]:
        if name not in given and parameter.default is parameter.empty and parameter.kind not in VARIADIC:
            yield f"the function asks for {name!r}, which is neither a parameter nor in needs"


def _contradictions(case: Case) -> Iterator[str]:
    spec = case.spec
    stray = [task for task in spec.recommended if task not in spec.tasks]
    if stray:
        yield f"recommended for {', '.join(stray)}, which is not among its tasks"
    if wrong := [task for task in spec.tasks if (task in REGRESSION) == case.classes]:
        yield f"the target {spec.target!r} does not serve {', '.join(wrong)}"
    if "multiclass" in spec.tasks and spec.outputs == "1":
        yield "one output does not serve multiclass"
    if spec.probabilistic and case.activation.name == "identity":
        yield "probabilistic, and the activation is the identity"
    if spec.claims.score_range and not spec.claims.score_range[0] < 0 < spec.claims.score_range[1]:
        yield f"the score_range {spec.claims.score_range} does not hold 0"
    for name in filter(None, (spec.same_as, *(limit.equals for limit in spec.claims.limits))):
        if registry.default().look_up(name) is None:
            yield f"it refers to {name!r}, which is no registered loss"
    yield from _out_of_range(case)
    yield from _activation_problems(case)


def _out_of_range(case: Case) -> Iterator[str]:
    """Limits that any loss is near, labels that no task has."""
    for limit in case.spec.claims.limits:
        if limit.rtol > LOOSEST:
            yield f"the limit {limit} is declared to within {limit.rtol:g}, which says little (at most {LOOSEST:g})"
    given = case.spec.target_domain
    if case.spec.target == "real" and given and Interval.parse(given) != Interval.parse("(-inf, inf)"):
        yield f"target_domain {given} of a target that is standardised ('real'): choose target='raw'"


def _activation_problems(case: Case) -> Iterator[str]:
    try:
        predictions = case.predictions(case.raw_scores(4), case.setting())
    except Exception as error:
        yield f"its activation fails: {one_line(error)}"
        return
    if not np.isfinite(predictions).all():
        yield "its activation is not finite on ordinary raw scores"
    if case.activation.point >= predictions.shape[-1]:
        yield f"the activation's point {case.activation.point} is beyond its {predictions.shape[-1]} predictions"


def names(case: Case) -> str:
    """Every name leads to this loss, or is free."""
    spec = case.spec
    for name in (spec.name, *spec.aliases):
        owner = registry.default().look_up(name)
        if owner is not None and owner.spec != spec:
            what = f"the name {name} leads to the loss {owner.spec.name} of plugin {owner.plugin}"
            raise Failure(what, "Choose another name; case, underscores and hyphens do not count.")
    if len({spec.name, *spec.aliases}) <= len(spec.aliases):
        raise Failure(f"a name stands twice among {', '.join((spec.name, *spec.aliases))}", "Drop one.")
    return f"no other loss has {'any of its names' if spec.aliases else 'its name'}"


def domain(case: Case) -> str:
    """Values outside the domain are refused, those at its ends work."""
    if not case.spec.params:
        return does_not_apply("it has no parameters")
    for param in case.spec.params:
        for bad in _bad_values(param, case.k):
            _refused(case, param.name, bad)
        if isinstance(param, (Float, Int)) and param.low != param.high:
            _holds_within(case, param)
    return f"what is outside is refused, the ends work: {', '.join(p.name for p in case.spec.params)}"


def _bad_values(param: Any, k: int) -> list[Any]:
    if isinstance(param, Choice):
        return [object(), "no such choice"]
    bad: list[Any] = [float("nan"), "text", *_outside(Interval.parse(param.domain))]
    if isinstance(param, Int):
        bad.append(param.low + 0.5)
    if not param.optional:
        bad.append(None)
    if isinstance(param, PerClass):
        return [1.0, "text", [1.0] * (k + 1), *([value] * k for value in bad if not isinstance(value, str) and value)]
    return bad


def _outside(domain: Interval) -> list[float]:
    ends = ((domain.low, domain.closed_low, -1.0), (domain.high, domain.closed_high, 1.0))
    outside = [end + away * (0.5 if closed else 0.0) for end, closed, away in ends if np.isfinite(end)]
    return outside + [end for end, closed, _ in ends if np.isinf(end) and not closed]


def _refused(case: Case, name: str, bad: Any) -> None:
    try:
        case.spec.bind({name: bad}, case.k or None)
    except InputError:
        return
    raise Failure(f"{name} = {bad!r} is taken", f"Narrow the domain of {name}.")


def _holds_within(case: Case, param: Float | Int) -> None:
    """The loss is finite, float64, at the ends of the domain, far into its open part and at 0, 1, -1, 2."""
    y, z = case.labels(12), case.raw_scores(12)
    for value in _reaches(param):
        setting = case.setting({param.name: value})
        values, gradient = case.gradients(y, z, setting)
        if not (np.isfinite(values).all() and np.isfinite(gradient).all()):
            what = f"at {param.name} = {shown(float(value))}, in its domain {param.domain}, the loss is not finite"
            raise Failure(what, f"Narrow the domain of {param.name} to where the formula holds.")


def _reaches(param: Float | Int) -> list[Any]:
    domain = Interval.parse(param.domain)
    span = domain.high - domain.low if np.isfinite(domain.high - domain.low) else 1.0
    far = 10.0 * max(abs(param.low), abs(param.high), 1.0)
    low = -far if np.isinf(domain.low) else domain.low + (0.0 if domain.closed_low else 1e-3 * span)
    high = far if np.isinf(domain.high) else domain.high - (0.0 if domain.closed_high else 1e-3 * span)
    values = [low, param.low, param.high, high]
    if isinstance(param, Int):
        return [round(v) for v in values if round(v) in domain]
    return values + [v for v in SPECIAL if v in domain]
