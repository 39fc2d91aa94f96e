"""The metrics of a study: the one that is optimised, further ones, and those of constraints."""

from __future__ import annotations

from collections.abc import Sequence

from lossreg import data
from lossreg.config.study import StudySpec
from lossreg.errors import InputError
from lossreg.metrics import catalogue, decision, functions
from lossreg.metrics.catalogue import Metric
from lossreg.runtime.user_code import is_function
from lossreg.search.mistakes import located


def choose_metric(spec: StudySpec, dataset: data.Dataset) -> tuple[Metric, list[str]]:
    """Return the study's metric, by default the task's; raises `InputError` where a fold has no value of it."""
    metric = _metric(spec, dataset.task)
    for fold in dataset.folds:
        y = fold.scored_labels(fold.validation.scored)
        located(spec, "search.metric", metric.check, y, dataset.n_classes)
        if is_function(spec.search.metric):
            located(spec, "search.metric", functions.try_out, metric, y, dataset.n_classes)
    scored = [fold.validation for fold in dataset.folds]
    sizes = min(map(len, scored)), min(part.independent for part in scored)
    reason = decision.shortage(metric, dataset.task, *sizes)
    is_left_out = bool(reason) and spec.search.decision == "tuned"
    notes = [f'search.decision = "tuned" is left out: {reason}'] if is_left_out else []
    taken = ", ".join(dataset.loaded.beside) if dataset.loaded else ""
    return metric, [*([f"{metric.name} takes {taken} of each row, as before preprocessing"] if taken else []), *notes]


def measured_beside(spec: StudySpec, dataset: data.Dataset, metric: Metric) -> tuple[Metric, ...]:
    """Return the further metrics that trials are measured by: those of constraints, then the others of several."""
    others = objectives(spec, dataset)[1:]
    bounded = constrained(spec, dataset, [metric, *others])
    return (*bounded, *(one for one in others if one not in bounded))


def objectives(spec: StudySpec, dataset: data.Dataset) -> tuple[Metric, ...]:
    """Return the metrics of a study that has several; raises `InputError` where one has no value or is there twice."""
    known: list[Metric] = []
    for name in spec.search.metrics:
        metric = located(spec, "search.metrics", catalogue.resolve, name, dataset.task, may_be_left_out=False)
        located(spec, "search.metrics", _check_apart, metric, known, "Leave one of them out.")
        for fold in dataset.folds:
            y = fold.scored_labels(fold.validation.scored)
            located(spec, "search.metrics", metric.check, y, dataset.n_classes)
        known.append(metric)
    return tuple(known)


def constrained(spec: StudySpec, dataset: data.Dataset, searched: Sequence[Metric]) -> tuple[Metric, ...]:
    """Return the metrics of the study's constraints; raises `InputError` where no value can keep one.

    searched: the metrics that are optimised, which may be constrained too, with the sign that they have there.
    """
    known: list[Metric] = []
    for name, bound in spec.search.constraints.items():
        key = f"search.constraints.{name}"
        metric = located(spec, key, catalogue.resolve, name, dataset.task, may_be_left_out=False)
        located(spec, key, _check_bound, metric, bound)
        located(spec, key, _check_apart, metric, known, "Leave one of them out.")
        others = [one for one in searched if one.name != metric.name]
        located(spec, key, _check_apart, metric, others, f"Constrain that one: {{ {_negated(metric)} = {-bound:g} }}.")
        for fold in dataset.folds:
            located(spec, key, metric.check, fold.scored_labels(fold.validation.scored), dataset.n_classes)
        known.append(metric)
    return tuple(known)


def _negated(metric: Metric) -> str:
    """Return the name of the metric with the other sign, if there is one."""
    return metric.name.removeprefix("neg_") if metric.name.startswith("neg_") else f"neg_{metric.name}"


def require_known(spec: StudySpec) -> None:
    """Raise `InputError` for a metric that no task has, or a bound that it cannot have, before Keras is imported."""
    search = spec.search
    named = [("search.metric", search.metric)] * (not search.metrics) + [
        ("search.metrics", one) for one in search.metrics
    ]
    constraints = {f"search.constraints.{name}": name for name in search.constraints}
    for key, name in [*named, *constraints.items()]:
        if isinstance(name, str) and not is_function(name):
            located(spec, key, catalogue.require_known, name)
    for key, name in constraints.items():
        if metric := catalogue.find(name):
            located(spec, key, _check_bound, metric, search.constraints[name])


def _check_apart(metric: Metric, others: Sequence[Metric], hint: str) -> None:
    """Raise `InputError` where a metric is one of the others, or is one with the other sign."""
    names = [one.name for one in others]
    if metric.name in names:
        raise InputError(f"{metric.name} is there twice", hint=hint)
    if _negated(metric) in names:
        raise InputError(f"{metric.name} is {_negated(metric)} with the other sign, which the study has too", hint=hint)


def _check_bound(metric: Metric, bound: float) -> None:
    """Raise `InputError` for a bound that is better than the best value, or one that every value keeps."""
    is_maximised, best, worst = metric.direction == "maximize", metric.best, metric.worst
    sides = ("at most", "at least") if is_maximised else ("at least", "at most")
    if worst is not None and ((bound <= worst) if is_maximised else (bound >= worst)):
        what = f"{metric.name} is {sides[1]} {worst:g}, so every trial keeps {bound:g}"
        raise InputError(
            what, hint=f"Give a number from {min(worst, best):g} to {max(worst, best):g}, or leave it out."
        )
    if (bound > best) if is_maximised else (bound < best):
        what = f"{metric.name} is {sides[0]} {best:g}, so no trial can keep {bound:g}"
        hint = f"Write {-bound:g}, or {_negated(metric)} = {bound:g}." if best == 0 and is_maximised else ""
        raise InputError(what, hint=hint or ("A share is a number from 0 to 1." if is_maximised else ""))


def _metric(spec: StudySpec, task: str) -> Metric:
    search = spec.search
    if not is_function(search.metric):
        return located(spec, "search.metric", catalogue.resolve, str(search.metric or catalogue.default(task)), task)
    response = located(spec, "search.predictions", functions.response, task, search.predictions)
    direction = search.direction or ""  # which the study file must have where the metric is a function
    return located(
        spec, "search.metric", functions.metric_of, search.metric, spec.base, task=task, direction=direction,
        predictions=response,
    )  # fmt: skip
