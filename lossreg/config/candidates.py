"""The candidates of a study: its losses, looked up in a registry, with their search spaces."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lossreg.config.document import dotted
from lossreg.config.schema import Loss
from lossreg.config.search_space import Fixed, Range, Space, declared, parse, shown
from lossreg.config.study import StudySpec
from lossreg.contract import activations
from lossreg.contract.declaration import spec_of
from lossreg.contract.params import Float, Param
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import CLASSIFICATION, REGRESSION
from lossreg.errors import InputError
from lossreg.registry.discovery import Entry, key
from lossreg.registry.registry import Registry
from lossreg.registry.user_loss import UserLoss, wrap
from lossreg.runtime import user_code

BASELINES = {
    **dict.fromkeys(CLASSIFICATION, "cross_entropy"),
    "multilabel": "multilabel_bce",
    "segmentation": "binary_crossentropy",
    **dict.fromkeys(REGRESSION, "mean_squared_error"),
}
# with an exposure, those that have a log link and take zeros
EXPOSED_BASELINES = {"count": "poisson", "positive": "tweedie"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate of the study: its loss, and a search space for every parameter."""

    name: str
    spec: LossSpec
    entry: Entry
    search_space: Mapping[str, Space]
    baseline: bool = False


def candidates_of(
    study: StudySpec, registry: Registry, task: str, n_classes: int, without: Collection[str] = ()
) -> list[Candidate]:
    """Return the losses that the study searches; exactly one of them is the baseline.

    `n_classes` is 0 for regression. Without [losses] they are the recommended losses of the
    task. If no candidate is the plain baseline, it is added as the first. Candidates in `without` are left out. Raises
    `InputError` that lists every mistake.
    """
    written = {candidate: loss for candidate, loss in study.losses.items() if candidate not in without}
    chosen = (
        _written(study, written, registry, task, n_classes) if study.losses else _recommended(registry, task, n_classes)
    )
    baselines = {**BASELINES, **EXPOSED_BASELINES} if study.data.exposure else BASELINES
    return _with_baseline(chosen, registry.find(baselines[task]))


def takes_exposure(spec: LossSpec, n_classes: int = 0) -> bool:
    """Return whether a loss has one raw score and a log link, so that log(exposure) can be an offset."""
    return activations.has_log_link(activations.get(spec.activation)) and spec.width(n_classes) == 1


def _recommended(registry: Registry, task: str, n_classes: int) -> list[Candidate]:
    return [
        Candidate(entry.spec.name, entry.spec, entry, {p.name: declared(p, n_classes) for p in entry.spec.params})
        for entry in registry.recommended(task)
    ]


def _written(
    study: StudySpec, losses: Mapping[str, Loss], registry: Registry, task: str, n_classes: int
) -> list[Candidate]:
    chosen: list[Candidate] = []
    mistakes: list[InputError] = []
    for candidate, loss in losses.items():
        try:
            registry, entry = _entry(candidate, loss, study, registry, task)
            _check_facts(candidate, loss, entry.spec)
            _check_task(candidate, entry.spec, registry, task)
        except InputError as mistake:
            mistakes.append(mistake)
            continue
        space, wrong = _space(candidate, loss.params, entry.spec, n_classes)
        entry = _with_ranges(entry, space) if isinstance(entry.spec.function, UserLoss) else entry
        chosen.append(Candidate(candidate, entry.spec, entry, space))
        mistakes += wrong
    if mistakes:
        raise study.gathered(mistakes)
    return chosen


def _entry(candidate: str, loss: Loss, study: StudySpec, registry: Registry, task: str) -> tuple[Registry, Entry]:
    """Return the loss of a candidate; one of the user's own comes with a registry that has it too."""
    if loss.function is not None:
        return _with_user_loss(candidate, loss, study.base, registry, task)
    try:
        return registry, registry.find(loss.loss or candidate)
    except InputError as unknown:
        if not loss.loss and isinstance(named := loss.params.get("candidate"), str):
            hint = f'The key of the loss that a candidate tries is loss: write loss = "{named}".'
            raise InputError("unknown key", where=dotted(("losses", candidate, "candidate")), hint=hint) from None
        raise unknown.at(dotted(("losses", candidate, "loss") if loss.loss else ("losses", candidate))) from None


def _with_user_loss(candidate: str, loss: Loss, base: Path, registry: Registry, task: str) -> tuple[Registry, Entry]:
    """Return the user's own function as a loss: as it is declared if it is, else as what the study says of it."""
    where = dotted(("losses", candidate, "function"))
    function = _located(loss.function, base, where)
    try:
        if (spec := spec_of(function)) is None:
            registry = registry.add(_user_loss(function, loss, _free_name(candidate, registry), task))
            return registry, registry.specs()[-1]
        if present := next((entry for entry in registry.specs() if entry.spec == spec), None):
            return registry, present
        registry = registry.add(spec)
    except InputError as mistake:
        raise mistake.at(where) from mistake
    return registry, registry.specs()[-1]


def _located(function: Any, base: Path, where: str) -> Any:
    try:
        return user_code.locate(function, base) if isinstance(function, str) else function
    except InputError as mistake:
        raise type(mistake)(f"{mistake.where}: {mistake.what}", where=where, hint=mistake.hint) from mistake


def _user_loss(function: Any, loss: Loss, name: str, task: str) -> LossSpec:
    """Return the user's own function as a spec. Labels and predictions in their usual form follow from the task."""
    of_task = loss.activation in (None, "identity") or task == "multilabel"
    usual: dict[str, Any] = {"tasks": (task,)} if loss.target is None and of_task else {}
    return wrap(function, name=name, **loss.facts, **usual)


def _check_facts(candidate: str, loss: Loss, spec: LossSpec) -> None:
    """Raise `InputError` where the study says something else of a function than its declaration."""
    declared = {"activation": activations.get(spec.activation).name, "target": spec.target, "outputs": spec.outputs}
    for name, value in loss.facts.items():
        if value != declared[name]:
            what = f"the function is declared with {name} = {shown(declared[name])}, not {shown(value)}"
            raise InputError(what, where=dotted(("losses", candidate, name)), hint="Leave it out.")


def _with_ranges(entry: Entry, space: Mapping[str, Space]) -> Entry:
    """Return the user's own loss with the ranges that the study gives its parameters, where it gives some."""
    params = tuple(_with_range(param, space[param.name]) for param in entry.spec.params)
    return replace(entry, spec=replace(entry.spec, params=params))


def _with_range(param: Param, space: Space) -> Param:
    """Return a parameter whose range holds the study's, and its default."""
    if not isinstance(param, Float) or not isinstance(space, Range):
        return param
    ends = [space.low, space.high, *([] if param.default is None else [param.default])]
    return replace(param, low=min(ends), high=max(ends))


def _free_name(candidate: str, registry: Registry) -> str:
    """Return a name for the loss of a candidate, in snake_case, that no registered loss has."""
    taken = {key(name) for entry in registry.specs() for name in (entry.spec.name, *entry.spec.aliases)}
    name = re.sub(r"\W+", "_", candidate).lower().lstrip("_0123456789") or "own"
    while key(name) in taken:
        name += "_own"
    return name


def _check_task(candidate: str, spec: LossSpec, registry: Registry, task: str) -> None:
    if task not in spec.tasks:
        fitting = ", ".join(entry.spec.name for entry in registry.for_task(task))
        what = f"{spec.name} is for {', '.join(spec.tasks)} tasks, and this task is {task}"
        raise InputError(what, where=dotted(("losses", candidate)), hint=f"Losses that fit: {fitting}.")


def _space(
    candidate: str, params: Mapping[str, Any], spec: LossSpec, n_classes: int
) -> tuple[dict[str, Space], list[InputError]]:
    """Return a search space for every parameter of the loss, and the mistakes of the study in them."""
    space, mistakes = {param.name: declared(param, n_classes) for param in spec.params}, []
    for name, raw in params.items():
        try:
            space[name] = parse(raw, spec.param(name), n_classes)
        except InputError as mistake:
            mistakes.append(mistake.at(dotted(("losses", candidate, name))))
    return space, mistakes


def _with_baseline(chosen: list[Candidate], entry: Entry) -> list[Candidate]:
    """Return the same, with the first plain baseline marked, or one put in front."""
    for i, candidate in enumerate(chosen):
        if _is_plain(candidate, entry.spec.name):
            return [*chosen[:i], replace(candidate, baseline=True), *chosen[i + 1 :]]
    name = _free_candidate(entry.spec.name, {candidate.name for candidate in chosen})
    space = {param.name: Fixed(param.default) for param in entry.spec.params}
    return [Candidate(name, entry.spec, entry, space, baseline=True), *chosen]


def _is_plain(candidate: Candidate, baseline: str) -> bool:
    """Return whether a candidate is the baseline loss, or one declared the same, kept at its defaults."""
    same = key(baseline) in (key(candidate.spec.name), key(candidate.spec.same_as))
    return same and all(candidate.search_space[p.name] == Fixed(p.default) for p in candidate.spec.params)


def _free_candidate(name: str, taken: set[str]) -> str:
    spare = (f"baseline_{i}" for i in range(2, len(taken) + 3))
    return next(candidate for candidate in (name, "baseline", *spare) if candidate not in taken)
